DROP INDEX idempotency_keys_tenant_id_idx;
ALTER TABLE idempotency_keys DROP COLUMN tenant_id;
DROP TABLE rate_limit_buckets;
