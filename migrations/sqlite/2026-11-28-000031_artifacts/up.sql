-- Files in buckets: a row is one upload. It is written before the first byte, and only a ready one has a slot, which is the address that
-- people use: so bytes that are incomplete or replaced can be found and removed, and are never seen. The bytes lie in the store named here.
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    bucket TEXT NOT NULL CHECK (bucket IN ('model-artifacts', 'training-data', 'exports')),
    path TEXT NOT NULL,
    slot TEXT,
    state TEXT NOT NULL CHECK (state IN ('uploading', 'ready', 'deleting')),
    store TEXT NOT NULL CHECK (store IN ('local', 's3', 'supabase')),
    content_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT artifacts_artifact_id_key UNIQUE (artifact_id),
    CONSTRAINT artifacts_slot_key UNIQUE (slot),
    CHECK ((slot IS NULL) = (state <> 'ready'))
);
CREATE INDEX artifacts_tenant_id_bucket_id_idx ON artifacts (tenant_id, bucket, id);
CREATE INDEX artifacts_state_updated_at_idx ON artifacts (state, updated_at);

-- Versions of LoRA adapters, each made of two artifacts that were found consistent.
CREATE TABLE adapter_versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    adapter_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    path TEXT NOT NULL,
    base_model TEXT NOT NULL,
    lora_rank INTEGER NOT NULL,
    lora_alpha DOUBLE NOT NULL,
    parameters_count BIGINT NOT NULL,
    details TEXT NOT NULL CHECK (json_valid(details)),
    config_artifact_id TEXT NOT NULL,
    weights_artifact_id TEXT NOT NULL,
    note TEXT,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT adapter_versions_key UNIQUE (tenant_id, adapter_id, version),
    CONSTRAINT adapter_versions_config_artifact_id_fkey FOREIGN KEY (config_artifact_id) REFERENCES artifacts (artifact_id),
    CONSTRAINT adapter_versions_weights_artifact_id_fkey FOREIGN KEY (weights_artifact_id) REFERENCES artifacts (artifact_id)
);
CREATE INDEX adapter_versions_config_artifact_id_idx ON adapter_versions (config_artifact_id);
CREATE INDEX adapter_versions_weights_artifact_id_idx ON adapter_versions (weights_artifact_id);
-- What an adapter wrote and how it was judged.
CREATE INDEX rating_tasks_adapter_id_idx ON rating_tasks (adapter_id);
