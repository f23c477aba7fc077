-- What users of model outputs said about them.
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    feedback_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    brand_id TEXT,
    user_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    prompt TEXT NOT NULL,
    model_output TEXT NOT NULL,
    feedback_type TEXT NOT NULL CHECK (feedback_type IN ('thumbs_up', 'thumbs_down', 'rating', 'preference', 'correction')),
    rating INTEGER,
    preferred_output TEXT,
    rejected_output TEXT,
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    session_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT feedback_feedback_id_key UNIQUE (feedback_id),
    CONSTRAINT feedback_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id),
    CHECK (rating IS NULL OR (rating >= 1 AND rating <= 5))
);
CREATE INDEX feedback_brand_id_idx ON feedback (brand_id);
CREATE INDEX feedback_tenant_id_task_type_created_at_idx ON feedback (tenant_id, task_type, created_at);
CREATE INDEX feedback_tenant_id_feedback_type_created_at_idx ON feedback (tenant_id, feedback_type, created_at);
CREATE INDEX feedback_created_at_idx ON feedback (created_at);

-- Trained reward models; active_slot is unique so that one is active per task type and retailer.
CREATE TABLE reward_models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id TEXT NOT NULL,
    base_model TEXT NOT NULL,
    retailer_id TEXT,
    task_type TEXT NOT NULL,
    training_judgments_count INTEGER NOT NULL,
    training_feedback_count INTEGER NOT NULL,
    training_pairs_count INTEGER NOT NULL,
    training_date TEXT NOT NULL,
    model_path TEXT NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config)),
    metrics TEXT NOT NULL CHECK (json_valid(metrics)),
    parameters TEXT NOT NULL CHECK (json_valid(parameters)),
    validation_accuracy DOUBLE,
    inter_rater_agreement DOUBLE,
    auto_check_correlation DOUBLE,
    is_active BOOLEAN NOT NULL,
    active_slot TEXT,
    deployed_at TEXT,
    version INTEGER NOT NULL,
    parent_model_id TEXT,
    dataset_hash TEXT NOT NULL,
    seed BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT reward_models_model_id_key UNIQUE (model_id),
    CONSTRAINT reward_models_active_slot_key UNIQUE (active_slot),
    CONSTRAINT reward_models_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT reward_models_parent_model_id_fkey FOREIGN KEY (parent_model_id) REFERENCES reward_models (model_id)
);
CREATE INDEX reward_models_retailer_id_idx ON reward_models (retailer_id);
CREATE INDEX reward_models_parent_model_id_idx ON reward_models (parent_model_id);
CREATE INDEX reward_models_task_type_version_idx ON reward_models (task_type, version);

-- Work done in the background, with progress.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    tenant_id TEXT,
    progress DOUBLE NOT NULL,
    message TEXT NOT NULL,
    input TEXT NOT NULL CHECK (json_valid(input)),
    result TEXT CHECK (result IS NULL OR json_valid(result)),
    error TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_by TEXT NOT NULL,
    lease_until TEXT,
    started_at TEXT,
    finished_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT jobs_job_id_key UNIQUE (job_id),
    CHECK (progress >= 0 AND progress <= 1)
);
CREATE INDEX jobs_state_kind_id_idx ON jobs (state, kind, id);

-- Key figures per day and retailer; each figure with n and definition.
CREATE TABLE rlhf_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    date DATE NOT NULL,
    retailer_scope TEXT NOT NULL DEFAULT '',
    retailer_id TEXT,
    tool_call_exact_match_rate DOUBLE,
    tool_call_compile_pass_rate DOUBLE,
    schema_mapping_f1 DOUBLE,
    policy_pass_rate_first_submit DOUBLE,
    time_to_onboard_days DOUBLE,
    inter_rater_reliability DOUBLE,
    golden_set_accuracy DOUBLE,
    percent_tasks_escalated DOUBLE,
    cost_per_accepted_judgment_micros BIGINT,
    latency_per_rl_iteration_hours DOUBLE,
    incremental_roas DOUBLE,
    incremental_revenue_micros BIGINT,
    expert_hours_saved DOUBLE,
    total_judgments INTEGER NOT NULL,
    active_raters INTEGER NOT NULL,
    tasks_completed INTEGER NOT NULL,
    definitions TEXT NOT NULL CHECK (json_valid(definitions)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT rlhf_metrics_date_retailer_scope_key UNIQUE (date, retailer_scope),
    CONSTRAINT rlhf_metrics_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
);
CREATE INDEX rlhf_metrics_retailer_id_idx ON rlhf_metrics (retailer_id);
