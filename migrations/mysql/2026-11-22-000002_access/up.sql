-- Raters and their record.
CREATE TABLE rater_profiles (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    rater_id VARCHAR(100) NOT NULL,
    name VARCHAR(200) NOT NULL,
    email VARCHAR(254),
    total_judgments INTEGER NOT NULL DEFAULT 0,
    golden_correct INTEGER NOT NULL DEFAULT 0,
    golden_total INTEGER NOT NULL DEFAULT 0,
    golden_set_accuracy DOUBLE,
    consensus_agreed INTEGER NOT NULL DEFAULT 0,
    consensus_total INTEGER NOT NULL DEFAULT 0,
    inter_rater_agreement DOUBLE,
    avg_confidence DOUBLE,
    avg_time_per_task_seconds DOUBLE,
    preferred_task_types JSON NOT NULL,
    reliability_by_task_type JSON NOT NULL,
    calibration_correct INTEGER NOT NULL DEFAULT 0,
    calibration_total INTEGER NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL,
    is_calibrated BOOLEAN NOT NULL,
    is_simulated BOOLEAN NOT NULL,
    calibration_date DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT rater_profiles_rater_id_key UNIQUE (rater_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rater_profiles_is_active_total_judgments_idx ON rater_profiles (is_active, total_judgments);

-- People who sign in with a password.
CREATE TABLE accounts (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    account_id VARCHAR(100) NOT NULL,
    email VARCHAR(254) NOT NULL,
    password_hash VARCHAR(255),
    role VARCHAR(20) NOT NULL CHECK (role IN ('platform_admin', 'tenant_admin', 'analyst', 'expert', 'rater', 'service')),
    tenant_id VARCHAR(100),
    rater_id VARCHAR(100),
    display_name VARCHAR(200) NOT NULL,
    user_metadata JSON NOT NULL,
    is_active BOOLEAN NOT NULL,
    last_sign_in_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT accounts_account_id_key UNIQUE (account_id),
    CONSTRAINT accounts_email_key UNIQUE (email),
    CONSTRAINT accounts_rater_id_fkey FOREIGN KEY (rater_id) REFERENCES rater_profiles (rater_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX accounts_tenant_id_idx ON accounts (tenant_id);
CREATE INDEX accounts_rater_id_idx ON accounts (rater_id);

-- One row per refresh token; each is used once.
CREATE TABLE refresh_tokens (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    token_hash VARCHAR(64) NOT NULL,
    session_id VARCHAR(100) NOT NULL,
    account_id VARCHAR(100) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    used_at DATETIME(6),
    revoked_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT refresh_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT refresh_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (account_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_account_id_idx ON refresh_tokens (account_id);
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- API keys, stored as SHA-256.
CREATE TABLE api_keys (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id VARCHAR(100) NOT NULL,
    name VARCHAR(200) NOT NULL,
    key_hash VARCHAR(64) NOT NULL,
    key_prefix VARCHAR(20) NOT NULL,
    role VARCHAR(20) NOT NULL CHECK (role IN ('platform_admin', 'tenant_admin', 'analyst', 'expert', 'rater', 'service')),
    tenant_id VARCHAR(100),
    scopes JSON NOT NULL,
    created_by VARCHAR(100) NOT NULL,
    expires_at DATETIME(6),
    revoked_at DATETIME(6),
    last_used_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT api_keys_key_id_key UNIQUE (key_id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX api_keys_tenant_id_idx ON api_keys (tenant_id);
