DROP INDEX campaigns_status_end_date_idx ON campaigns;
DROP INDEX campaigns_status_start_date_idx ON campaigns;
DROP TABLE campaign_history;
