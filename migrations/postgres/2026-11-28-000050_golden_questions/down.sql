ALTER TABLE golden_set_items DROP COLUMN questions_seen_at;
