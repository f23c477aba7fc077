ALTER TABLE rater_profiles RESET (fillfactor);
ALTER TABLE rating_tasks RESET (fillfactor);
CREATE INDEX rater_profiles_is_active_total_judgments_idx ON rater_profiles (is_active, total_judgments);
DROP INDEX judgments_voided_by_action_id_idx;
CREATE INDEX judgments_voided_by_action_id_idx ON judgments (voided_by_action, id);
DROP INDEX outbox_events_destination_delivered_at_next_attempt_at_idx;
CREATE INDEX outbox_events_destination_delivered_at_next_attempt_at_idx ON outbox_events (destination, delivered_at, next_attempt_at);
DROP INDEX task_assignments_state_expires_at_idx;
CREATE INDEX task_assignments_state_expires_at_idx ON task_assignments (state, expires_at);
