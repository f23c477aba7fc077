-- Raters and their record.
CREATE TABLE rater_profiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rater_id TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    total_judgments INTEGER NOT NULL DEFAULT 0,
    golden_correct INTEGER NOT NULL DEFAULT 0,
    golden_total INTEGER NOT NULL DEFAULT 0,
    golden_set_accuracy DOUBLE,
    consensus_agreed INTEGER NOT NULL DEFAULT 0,
    consensus_total INTEGER NOT NULL DEFAULT 0,
    inter_rater_agreement DOUBLE,
    avg_confidence DOUBLE,
    avg_time_per_task_seconds DOUBLE,
    preferred_task_types TEXT NOT NULL CHECK (json_valid(preferred_task_types)),
    reliability_by_task_type TEXT NOT NULL CHECK (json_valid(reliability_by_task_type)),
    calibration_correct INTEGER NOT NULL DEFAULT 0,
    calibration_total INTEGER NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL,
    is_calibrated BOOLEAN NOT NULL,
    is_simulated BOOLEAN NOT NULL,
    calibration_date TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rater_profiles_rater_id_key UNIQUE (rater_id)
);
CREATE INDEX rater_profiles_is_active_total_judgments_idx ON rater_profiles (is_active, total_judgments);

-- People who sign in with a password.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT,
    role TEXT NOT NULL CHECK (role IN ('platform_admin', 'tenant_admin', 'analyst', 'expert', 'rater', 'service')),
    tenant_id TEXT,
    rater_id TEXT,
    display_name TEXT NOT NULL,
    user_metadata TEXT NOT NULL CHECK (json_valid(user_metadata)),
    is_active BOOLEAN NOT NULL,
    last_sign_in_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT accounts_account_id_key UNIQUE (account_id),
    CONSTRAINT accounts_email_key UNIQUE (email),
    CONSTRAINT accounts_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
);
CREATE INDEX accounts_tenant_id_idx ON accounts (tenant_id);
CREATE INDEX accounts_rater_id_idx ON accounts (rater_id);

-- One row per refresh token; each is used once.
CREATE TABLE refresh_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL,
    session_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT,
    revoked_at TEXT,
    created_at TEXT NOT NULL,
    CONSTRAINT refresh_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT refresh_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (account_id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_account_id_idx ON refresh_tokens (account_id);
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- API keys, stored as SHA-256.
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    key_prefix TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('platform_admin', 'tenant_admin', 'analyst', 'expert', 'rater', 'service')),
    tenant_id TEXT,
    scopes TEXT NOT NULL CHECK (json_valid(scopes)),
    created_by TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    last_used_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT api_keys_key_id_key UNIQUE (key_id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash)
);
CREATE INDEX api_keys_tenant_id_idx ON api_keys (tenant_id);
