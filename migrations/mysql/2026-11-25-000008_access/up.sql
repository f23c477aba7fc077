-- Token buckets: what callers and tenants may still spend, shared by all processes.
CREATE TABLE rate_limit_buckets (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    bucket VARCHAR(250) NOT NULL,
    tokens DOUBLE NOT NULL,
    refilled_at DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT rate_limit_buckets_bucket_key UNIQUE (bucket)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rate_limit_buckets_refilled_at_idx ON rate_limit_buckets (refilled_at);

-- Whose answer was kept.
ALTER TABLE idempotency_keys ADD COLUMN tenant_id VARCHAR(100);
CREATE INDEX idempotency_keys_tenant_id_idx ON idempotency_keys (tenant_id);
