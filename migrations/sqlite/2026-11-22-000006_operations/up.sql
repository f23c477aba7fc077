-- Events written in the business transaction, delivered after it.
CREATE TABLE outbox_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    destination TEXT NOT NULL CHECK (destination IN ('realtime', 'rlhf_backend', 'rater_app')),
    topic TEXT NOT NULL,
    event TEXT NOT NULL,
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    tenant_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered_at TEXT,
    next_attempt_at TEXT,
    last_error TEXT,
    created_at TEXT NOT NULL,
    CONSTRAINT outbox_events_event_id_key UNIQUE (event_id)
);
CREATE INDEX outbox_events_destination_id_idx ON outbox_events (destination, id);
CREATE INDEX outbox_events_destination_delivered_at_next_attempt_at_idx ON outbox_events (destination, delivered_at, next_attempt_at);
CREATE INDEX outbox_events_created_at_idx ON outbox_events (created_at);

-- Answers kept so that a repeated request gets the same one.
CREATE TABLE idempotency_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    response TEXT NOT NULL CHECK (json_valid(response)),
    created_at TEXT NOT NULL,
    CONSTRAINT idempotency_keys_caller_idempotency_key_key UNIQUE (caller, idempotency_key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

-- Files that were imported, by content.
CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    import_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
    received BIGINT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    errors TEXT NOT NULL CHECK (json_valid(errors)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT imports_import_id_key UNIQUE (import_id)
);
CREATE INDEX imports_table_name_content_hash_idx ON imports (table_name, content_hash);
