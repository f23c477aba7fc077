-- Key figures that are money say in which currency.
ALTER TABLE rlhf_metrics ADD COLUMN cost_currency VARCHAR(3);
ALTER TABLE rlhf_metrics ADD COLUMN revenue_currency VARCHAR(3);

-- Work that the clock asks for is queued once, however many processes look at the clock: the slot is the kind of work and its time.
ALTER TABLE jobs ADD COLUMN slot VARCHAR(100);
CREATE UNIQUE INDEX jobs_slot_key ON jobs (slot);

-- When feedback on a brand's outputs becomes a rating task.
CREATE TABLE feedback_rules (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    brand_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    is_on BOOLEAN NOT NULL,
    max_rating INTEGER CHECK (max_rating IS NULL OR (max_rating >= 1 AND max_rating <= 4)),
    thumbs_down BOOLEAN NOT NULL,
    corrections BOOLEAN NOT NULL,
    preferences BOOLEAN NOT NULL,
    daily_limit INTEGER NOT NULL CHECK (daily_limit >= 1 AND daily_limit <= 1000),
    updated_by VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT feedback_rules_brand_id_key UNIQUE (brand_id),
    CONSTRAINT feedback_rules_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Feedback that met its brand's rule, and the rating task it became or why it became none.
CREATE TABLE feedback_tasks (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    feedback_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    brand_id VARCHAR(100) NOT NULL,
    state VARCHAR(12) NOT NULL CHECK (state IN ('waiting', 'asked', 'created', 'left_out')),
    reason VARCHAR(40),
    task_id VARCHAR(100),
    pair_hash VARCHAR(64),
    asked_on DATE,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT feedback_tasks_feedback_id_key UNIQUE (feedback_id),
    CONSTRAINT feedback_tasks_brand_id_pair_hash_key UNIQUE (brand_id, pair_hash),
    CONSTRAINT feedback_tasks_feedback_id_fkey FOREIGN KEY (feedback_id) REFERENCES feedback (feedback_id),
    CONSTRAINT feedback_tasks_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX feedback_tasks_state_id_idx ON feedback_tasks (state, id);
CREATE INDEX feedback_tasks_tenant_id_id_idx ON feedback_tasks (tenant_id, id);

-- What was said in one session, such as on the plans of one set.
CREATE INDEX feedback_session_id_idx ON feedback (session_id);

-- Who decided what. Each row holds the hash of itself and of the row before it, so that a row that is changed, taken out or put in shows.
CREATE TABLE audit_log (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    number BIGINT NOT NULL,
    tenant_id VARCHAR(100),
    actor VARCHAR(200) NOT NULL,
    action VARCHAR(60) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    detail MEDIUMTEXT NOT NULL,
    previous_hash VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT audit_log_number_key UNIQUE (number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX audit_log_tenant_id_number_idx ON audit_log (tenant_id, number);
CREATE INDEX audit_log_subject_idx ON audit_log (subject);
CREATE INDEX audit_log_created_at_idx ON audit_log (created_at);

-- The end of the chain: whoever adds a row holds this one, and rows cut off the end show.
CREATE TABLE audit_chain (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    number BIGINT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO audit_chain (id, number, hash, created_at, updated_at) VALUES (1, 0, '', '1970-01-01 00:00:00', '1970-01-01 00:00:00');
