DROP INDEX golden_set_items_state_id_idx;
-- Before this migration a golden item was given out or not; candidates were not known.
DELETE FROM golden_set_items WHERE state = 'candidate';
ALTER TABLE golden_set_items DROP COLUMN max_exposures;
ALTER TABLE golden_set_items DROP COLUMN retire_reason;
ALTER TABLE golden_set_items DROP COLUMN retired_at;
ALTER TABLE golden_set_items DROP COLUMN state;
DROP INDEX judgments_rater_id_answered_at_id_idx;
ALTER TABLE judgments DROP COLUMN answered_at;
DROP INDEX rating_tasks_status_review_due_at_id_idx;
ALTER TABLE rating_tasks DROP COLUMN review_due_at;
ALTER TABLE rating_tasks DROP COLUMN escalated_at;
DROP TABLE expert_reviews;
