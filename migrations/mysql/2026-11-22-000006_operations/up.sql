-- Events written in the business transaction, delivered after it.
CREATE TABLE outbox_events (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    event_id VARCHAR(100) NOT NULL,
    destination VARCHAR(20) NOT NULL CHECK (destination IN ('realtime', 'rlhf_backend', 'rater_app')),
    topic VARCHAR(200) NOT NULL,
    event VARCHAR(100) NOT NULL,
    payload JSON NOT NULL,
    tenant_id VARCHAR(100),
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered_at DATETIME(6),
    next_attempt_at DATETIME(6),
    last_error VARCHAR(1000),
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT outbox_events_event_id_key UNIQUE (event_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX outbox_events_destination_id_idx ON outbox_events (destination, id);
CREATE INDEX outbox_events_destination_delivered_at_next_attempt_at_idx ON outbox_events (destination, delivered_at, next_attempt_at);
CREATE INDEX outbox_events_created_at_idx ON outbox_events (created_at);

-- Answers kept so that a repeated request gets the same one.
CREATE TABLE idempotency_keys (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    caller VARCHAR(200) NOT NULL,
    idempotency_key VARCHAR(200) NOT NULL,
    body_hash VARCHAR(64) NOT NULL,
    status INTEGER NOT NULL,
    response JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT idempotency_keys_caller_idempotency_key_key UNIQUE (caller, idempotency_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

-- Files that were imported, by content.
CREATE TABLE imports (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    import_id VARCHAR(100) NOT NULL,
    table_name VARCHAR(40) NOT NULL,
    content_hash VARCHAR(64) NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
    received BIGINT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    errors JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT imports_import_id_key UNIQUE (import_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX imports_table_name_content_hash_idx ON imports (table_name, content_hash);
