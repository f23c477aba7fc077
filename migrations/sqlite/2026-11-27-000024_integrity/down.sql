DROP INDEX judgments_voided_by_action_id_idx;
ALTER TABLE judgments DROP COLUMN voided_by_action;
ALTER TABLE judgments DROP COLUMN voided_at;
ALTER TABLE rater_profiles DROP COLUMN paused_reason;
ALTER TABLE rater_profiles DROP COLUMN golden_rate_factor;
DROP TABLE rater_standings;
DROP TABLE rater_actions;
