-- Token buckets: what callers and tenants may still spend, shared by all processes.
CREATE TABLE rate_limit_buckets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL,
    tokens DOUBLE NOT NULL,
    refilled_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rate_limit_buckets_bucket_key UNIQUE (bucket)
);
CREATE INDEX rate_limit_buckets_refilled_at_idx ON rate_limit_buckets (refilled_at);

-- Whose answer was kept.
ALTER TABLE idempotency_keys ADD COLUMN tenant_id TEXT;
CREATE INDEX idempotency_keys_tenant_id_idx ON idempotency_keys (tenant_id);
