CREATE INDEX outbox_events_destination_id_idx ON outbox_events (destination, id);
