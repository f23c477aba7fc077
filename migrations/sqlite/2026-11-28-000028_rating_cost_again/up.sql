-- What every judgment writes, made cheaper: it tells of two or three events.
-- Events are read by their sequence, which the primary key has; nearly all are realtime ones.
DROP INDEX outbox_events_destination_id_idx;
