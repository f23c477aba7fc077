-- What users of model outputs said about them.
CREATE TABLE feedback (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    feedback_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    brand_id VARCHAR(100),
    user_id VARCHAR(100) NOT NULL,
    task_type VARCHAR(40) NOT NULL,
    prompt LONGTEXT NOT NULL,
    model_output LONGTEXT NOT NULL,
    feedback_type VARCHAR(20) NOT NULL CHECK (feedback_type IN ('thumbs_up', 'thumbs_down', 'rating', 'preference', 'correction')),
    rating INTEGER,
    preferred_output LONGTEXT,
    rejected_output LONGTEXT,
    metadata JSON NOT NULL,
    session_id VARCHAR(100),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT feedback_feedback_id_key UNIQUE (feedback_id),
    CONSTRAINT feedback_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id),
    CHECK (rating IS NULL OR (rating >= 1 AND rating <= 5))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX feedback_brand_id_idx ON feedback (brand_id);
CREATE INDEX feedback_tenant_id_task_type_created_at_idx ON feedback (tenant_id, task_type, created_at);
CREATE INDEX feedback_tenant_id_feedback_type_created_at_idx ON feedback (tenant_id, feedback_type, created_at);
CREATE INDEX feedback_created_at_idx ON feedback (created_at);

-- Trained reward models; active_slot is unique so that one is active per task type and retailer.
CREATE TABLE reward_models (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    model_id VARCHAR(100) NOT NULL,
    base_model VARCHAR(100) NOT NULL,
    retailer_id VARCHAR(100),
    task_type VARCHAR(40) NOT NULL,
    training_judgments_count INTEGER NOT NULL,
    training_feedback_count INTEGER NOT NULL,
    training_pairs_count INTEGER NOT NULL,
    training_date DATETIME(6) NOT NULL,
    model_path VARCHAR(500) NOT NULL,
    config JSON NOT NULL,
    metrics JSON NOT NULL,
    parameters JSON NOT NULL,
    validation_accuracy DOUBLE,
    inter_rater_agreement DOUBLE,
    auto_check_correlation DOUBLE,
    is_active BOOLEAN NOT NULL,
    active_slot VARCHAR(160),
    deployed_at DATETIME(6),
    version INTEGER NOT NULL,
    parent_model_id VARCHAR(100),
    dataset_hash VARCHAR(64) NOT NULL,
    seed BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT reward_models_model_id_key UNIQUE (model_id),
    CONSTRAINT reward_models_active_slot_key UNIQUE (active_slot),
    CONSTRAINT reward_models_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT reward_models_parent_model_id_fkey FOREIGN KEY (parent_model_id) REFERENCES reward_models (model_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX reward_models_retailer_id_idx ON reward_models (retailer_id);
CREATE INDEX reward_models_parent_model_id_idx ON reward_models (parent_model_id);
CREATE INDEX reward_models_task_type_version_idx ON reward_models (task_type, version);

-- Work done in the background, with progress.
CREATE TABLE jobs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    job_id VARCHAR(100) NOT NULL,
    kind VARCHAR(40) NOT NULL,
    state VARCHAR(20) NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    tenant_id VARCHAR(100),
    progress DOUBLE NOT NULL,
    message VARCHAR(500) NOT NULL,
    input JSON NOT NULL,
    result JSON,
    error LONGTEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_by VARCHAR(100) NOT NULL,
    lease_until DATETIME(6),
    started_at DATETIME(6),
    finished_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT jobs_job_id_key UNIQUE (job_id),
    CHECK (progress >= 0 AND progress <= 1)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX jobs_state_kind_id_idx ON jobs (state, kind, id);

-- Key figures per day and retailer; each figure with n and definition.
CREATE TABLE rlhf_metrics (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    date DATE NOT NULL,
    retailer_scope VARCHAR(100) NOT NULL DEFAULT '',
    retailer_id VARCHAR(100),
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
    definitions JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT rlhf_metrics_date_retailer_scope_key UNIQUE (date, retailer_scope),
    CONSTRAINT rlhf_metrics_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX rlhf_metrics_retailer_id_idx ON rlhf_metrics (retailer_id);
