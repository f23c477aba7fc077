-- Addresses that are told of events, by tenant (none: the platform's own, told of all). The secret signs what is sent and is sealed.
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL,
    tenant_id TEXT,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    event_types TEXT NOT NULL CHECK (json_valid(event_types)),
    secret_sealed TEXT NOT NULL,
    previous_secret_sealed TEXT,
    previous_secret_until TEXT,
    is_enabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    failing_since TEXT,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT webhooks_webhook_id_key UNIQUE (webhook_id)
);
CREATE INDEX webhooks_tenant_id_id_idx ON webhooks (tenant_id, id);

-- What was or is to be sent to one of them: one row for an event, however often it is tried. The unique key is what makes an event that is
-- read twice one delivery. The payload is text, because the signature is of its bytes.
CREATE TABLE webhook_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    tenant_id TEXT,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    replays INTEGER NOT NULL CHECK (replays >= 0),
    next_attempt_at TEXT,
    last_attempt_at TEXT,
    last_http_status INTEGER,
    last_error TEXT,
    duration_ms INTEGER,
    delivered_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT webhook_deliveries_delivery_id_key UNIQUE (delivery_id),
    CONSTRAINT webhook_deliveries_event_key UNIQUE (webhook_id, event_id),
    CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    CHECK ((next_attempt_at IS NOT NULL) = (status = 'pending'))
);
CREATE INDEX webhook_deliveries_tenant_id_id_idx ON webhook_deliveries (tenant_id, id);
CREATE INDEX webhook_deliveries_tenant_id_status_id_idx ON webhook_deliveries (tenant_id, status, id);
CREATE INDEX webhook_deliveries_webhook_id_id_idx ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_webhook_id_status_id_idx ON webhook_deliveries (webhook_id, status, id);
CREATE INDEX webhook_deliveries_status_id_idx ON webhook_deliveries (status, id);
CREATE INDEX webhook_deliveries_status_next_attempt_at_idx ON webhook_deliveries (status, next_attempt_at);
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);

-- How far events were made into deliveries, and which sequences before that may still be committed.
CREATE TABLE webhook_readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reader TEXT NOT NULL,
    carried BIGINT NOT NULL,
    missing TEXT NOT NULL CHECK (json_valid(missing)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT webhook_readings_reader_key UNIQUE (reader)
);
