-- What every judgment writes, made cheaper.
-- Leases that are open: what ends and what is about to end. An assignment that is over is in it no more, and no other search can take it
-- for a way to an assignment.
DROP INDEX task_assignments_state_expires_at_idx;
CREATE INDEX task_assignments_state_expires_at_idx ON task_assignments (state, expires_at) WHERE state = 'leased';
-- Realtime events, by far the most, are never delivered to a service.
DROP INDEX outbox_events_destination_delivered_at_next_attempt_at_idx;
CREATE INDEX outbox_events_destination_delivered_at_next_attempt_at_idx ON outbox_events (destination, delivered_at, next_attempt_at) WHERE destination <> 'realtime';
-- Hardly any judgment is taken out of the count.
DROP INDEX judgments_voided_by_action_id_idx;
CREATE INDEX judgments_voided_by_action_id_idx ON judgments (voided_by_action, id) WHERE voided_by_action IS NOT NULL;
-- There are few raters, and each of their judgments moved them in it.
DROP INDEX rater_profiles_is_active_total_judgments_idx;
