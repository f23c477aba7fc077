-- Key figures that are money say in which currency.
ALTER TABLE rlhf_metrics ADD COLUMN cost_currency TEXT;
ALTER TABLE rlhf_metrics ADD COLUMN revenue_currency TEXT;

-- Work that the clock asks for is queued once, however many processes look at the clock: the slot is the kind of work and its time.
ALTER TABLE jobs ADD COLUMN slot TEXT;
CREATE UNIQUE INDEX jobs_slot_key ON jobs (slot);

-- When feedback on a brand's outputs becomes a rating task.
CREATE TABLE feedback_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    brand_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    is_on BOOLEAN NOT NULL,
    max_rating INTEGER CHECK (max_rating IS NULL OR (max_rating >= 1 AND max_rating <= 4)),
    thumbs_down BOOLEAN NOT NULL,
    corrections BOOLEAN NOT NULL,
    preferences BOOLEAN NOT NULL,
    daily_limit INTEGER NOT NULL CHECK (daily_limit >= 1 AND daily_limit <= 1000),
    updated_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT feedback_rules_brand_id_key UNIQUE (brand_id),
    CONSTRAINT feedback_rules_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
);

-- Feedback that met its brand's rule, and the rating task it became or why it became none.
CREATE TABLE feedback_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    feedback_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    brand_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'asked', 'created', 'left_out')),
    reason TEXT,
    task_id TEXT,
    pair_hash TEXT,
    asked_on DATE,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT feedback_tasks_feedback_id_key UNIQUE (feedback_id),
    CONSTRAINT feedback_tasks_brand_id_pair_hash_key UNIQUE (brand_id, pair_hash),
    CONSTRAINT feedback_tasks_feedback_id_fkey FOREIGN KEY (feedback_id) REFERENCES feedback (feedback_id),
    CONSTRAINT feedback_tasks_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
);
CREATE INDEX feedback_tasks_state_id_idx ON feedback_tasks (state, id);
CREATE INDEX feedback_tasks_tenant_id_id_idx ON feedback_tasks (tenant_id, id);

-- What was said in one session, such as on the plans of one set.
CREATE INDEX feedback_session_id_idx ON feedback (session_id) WHERE session_id IS NOT NULL;

-- Who decided what. Each row holds the hash of itself and of the row before it, so that a row that is changed, taken out or put in shows.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number BIGINT NOT NULL,
    tenant_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT audit_log_number_key UNIQUE (number)
);
CREATE INDEX audit_log_tenant_id_number_idx ON audit_log (tenant_id, number);
CREATE INDEX audit_log_subject_idx ON audit_log (subject);
CREATE INDEX audit_log_created_at_idx ON audit_log (created_at);

-- The end of the chain: whoever adds a row holds this one, and rows cut off the end show.
CREATE TABLE audit_chain (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
INSERT INTO audit_chain (id, number, hash, created_at, updated_at) VALUES (1, 0, '', '1970-01-01T00:00:00.000000Z', '1970-01-01T00:00:00.000000Z');
