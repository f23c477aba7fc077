ALTER TABLE retailers DROP COLUMN api_key_set_at;
DROP TABLE campaign_creatives;
