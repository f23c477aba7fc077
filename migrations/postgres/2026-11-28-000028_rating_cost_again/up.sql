-- What every judgment writes, made cheaper: it tells of two or three events.
-- Events are read by their sequence, which the primary key has; nearly all are realtime ones.
DROP INDEX outbox_events_destination_id_idx;
-- Only clearing away looks for them by age, and they are written in the order of their age: an entry for each page of them is enough.
DROP INDEX outbox_events_created_at_idx;
CREATE INDEX outbox_events_created_at_idx ON outbox_events USING brin (created_at) WITH (pages_per_range = 32);
