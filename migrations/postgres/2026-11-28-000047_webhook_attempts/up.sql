-- The last attempts of a delivery, oldest first: when, what was answered, what went wrong, how long it took. None in rows made before.
ALTER TABLE webhook_deliveries ADD COLUMN history JSONB;
CREATE INDEX webhook_deliveries_tenant_id_event_type_id_idx ON webhook_deliveries (tenant_id, event_type, id);
CREATE INDEX webhook_deliveries_event_type_id_idx ON webhook_deliveries (event_type, id);
