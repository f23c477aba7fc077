CREATE INDEX outbox_events_destination_id_idx ON outbox_events (destination, id);
DROP INDEX outbox_events_created_at_idx;
CREATE INDEX outbox_events_created_at_idx ON outbox_events (created_at);
