-- Addresses that are told of events, by tenant (none: the platform's own, told of all). The secret signs what is sent and is sealed.
CREATE TABLE webhooks (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    webhook_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100),
    url VARCHAR(2000) NOT NULL,
    description VARCHAR(500) NOT NULL,
    event_types JSON NOT NULL,
    secret_sealed VARCHAR(500) NOT NULL,
    previous_secret_sealed VARCHAR(500),
    previous_secret_until DATETIME(6),
    is_enabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR(500),
    failing_since DATETIME(6),
    created_by VARCHAR(200) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT webhooks_webhook_id_key UNIQUE (webhook_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX webhooks_tenant_id_id_idx ON webhooks (tenant_id, id);

-- What was or is to be sent to one of them: one row for an event, however often it is tried. The unique key is what makes an event that is
-- read twice one delivery. The payload is text, because the signature is of its bytes.
CREATE TABLE webhook_deliveries (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    delivery_id VARCHAR(100) NOT NULL,
    webhook_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100),
    event_id VARCHAR(100) NOT NULL,
    event_type VARCHAR(60) NOT NULL,
    payload TEXT NOT NULL,
    status VARCHAR(12) NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    replays INTEGER NOT NULL CHECK (replays >= 0),
    next_attempt_at DATETIME(6),
    last_attempt_at DATETIME(6),
    last_http_status INTEGER,
    last_error VARCHAR(500),
    duration_ms INTEGER,
    delivered_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT webhook_deliveries_delivery_id_key UNIQUE (delivery_id),
    CONSTRAINT webhook_deliveries_event_key UNIQUE (webhook_id, event_id),
    CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    CHECK ((next_attempt_at IS NOT NULL) = (status = 'pending'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX webhook_deliveries_tenant_id_id_idx ON webhook_deliveries (tenant_id, id);
CREATE INDEX webhook_deliveries_tenant_id_status_id_idx ON webhook_deliveries (tenant_id, status, id);
CREATE INDEX webhook_deliveries_webhook_id_id_idx ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_webhook_id_status_id_idx ON webhook_deliveries (webhook_id, status, id);
CREATE INDEX webhook_deliveries_status_id_idx ON webhook_deliveries (status, id);
CREATE INDEX webhook_deliveries_status_next_attempt_at_idx ON webhook_deliveries (status, next_attempt_at);
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);

-- How far events were made into deliveries, and which sequences before that may still be committed.
CREATE TABLE webhook_readings (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    reader VARCHAR(50) NOT NULL,
    carried BIGINT NOT NULL,
    missing JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT webhook_readings_reader_key UNIQUE (reader)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
