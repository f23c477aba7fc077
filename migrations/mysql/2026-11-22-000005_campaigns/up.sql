-- Campaigns; the public id is unique within its tenant.
CREATE TABLE campaigns (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    campaign_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    retailer_id VARCHAR(100) NOT NULL,
    brand_id VARCHAR(100),
    name VARCHAR(200) NOT NULL,
    objective VARCHAR(20) CHECK (objective IN ('awareness', 'consideration', 'conversion')),
    start_date DATE,
    end_date DATE,
    total_budget_micros BIGINT,
    currency VARCHAR(3),
    allocated_budget JSON,
    placement_types JSON NOT NULL,
    target_audiences JSON NOT NULL,
    target_skus JSON NOT NULL,
    constraints JSON NOT NULL,
    attributes JSON NOT NULL,
    status VARCHAR(20) NOT NULL CHECK (status IN ('draft', 'scheduled', 'active', 'paused', 'completed', 'archived')),
    version INTEGER NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT campaigns_tenant_id_campaign_id_key UNIQUE (tenant_id, campaign_id),
    CONSTRAINT campaigns_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT campaigns_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id),
    CHECK (end_date IS NULL OR start_date IS NULL OR end_date >= start_date),
    CHECK (total_budget_micros IS NULL OR total_budget_micros >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX campaigns_retailer_id_idx ON campaigns (retailer_id);
CREATE INDEX campaigns_brand_id_idx ON campaigns (brand_id);
CREATE INDEX campaigns_tenant_id_status_id_idx ON campaigns (tenant_id, status, id);
CREATE INDEX campaigns_campaign_id_idx ON campaigns (campaign_id);

-- Daily performance; absent measures are null, never 0.
CREATE TABLE performance_metrics (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    date DATE NOT NULL,
    placement_type VARCHAR(100) NOT NULL DEFAULT '',
    audience_segment VARCHAR(100) NOT NULL DEFAULT '',
    category VARCHAR(100) NOT NULL DEFAULT '',
    sku_id VARCHAR(100) NOT NULL DEFAULT '',
    impression_kind VARCHAR(40) NOT NULL DEFAULT '',
    impressions BIGINT,
    clicks BIGINT,
    conversions BIGINT,
    spend_micros BIGINT,
    revenue_micros BIGINT,
    units_sold BIGINT,
    new_to_brand_conversions BIGINT,
    currency VARCHAR(3),
    source VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT performance_metrics_campaign_date_placement_type_audience__key UNIQUE (campaign, date, placement_type, audience_segment, category, sku_id, impression_kind),
    CONSTRAINT performance_metrics_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX performance_metrics_tenant_id_date_idx ON performance_metrics (tenant_id, date);

-- Candidate plans; those of one request share a plan_set_id.
CREATE TABLE campaign_plans (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    plan_id VARCHAR(100) NOT NULL,
    plan_set_id VARCHAR(100) NOT NULL,
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    status VARCHAR(20) NOT NULL CHECK (status IN ('candidate', 'in_review', 'chosen', 'rejected')),
    strategy VARCHAR(60) NOT NULL,
    position INTEGER NOT NULL,
    budget_micros BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    horizon_days INTEGER NOT NULL,
    plan JSON NOT NULL,
    score DOUBLE,
    win_probability DOUBLE,
    model_id VARCHAR(100),
    task_id VARCHAR(100),
    choice_reason LONGTEXT,
    decided_by VARCHAR(100),
    decided_at DATETIME(6),
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT campaign_plans_plan_id_key UNIQUE (plan_id),
    CONSTRAINT campaign_plans_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE,
    CONSTRAINT campaign_plans_model_id_fkey FOREIGN KEY (model_id) REFERENCES reward_models (model_id),
    CONSTRAINT campaign_plans_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX campaign_plans_plan_set_id_idx ON campaign_plans (plan_set_id);
CREATE INDEX campaign_plans_campaign_idx ON campaign_plans (campaign);
CREATE INDEX campaign_plans_model_id_idx ON campaign_plans (model_id);
CREATE INDEX campaign_plans_task_id_idx ON campaign_plans (task_id);
CREATE INDEX campaign_plans_tenant_id_campaign_id_idx ON campaign_plans (tenant_id, campaign, id);

-- Why the software decided as it did.
CREATE TABLE reflection_logs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    log_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100),
    campaign BIGINT,
    session_id VARCHAR(100) NOT NULL,
    task_type VARCHAR(40) NOT NULL,
    phase VARCHAR(20) NOT NULL CHECK (phase IN ('reflection', 'decision', 'execution')),
    memory_references JSON NOT NULL,
    alternate_frames JSON NOT NULL,
    risk_factors JSON NOT NULL,
    mitigation_strategies JSON NOT NULL,
    confidence_value DOUBLE,
    confidence_rationale LONGTEXT,
    decision_threshold DOUBLE,
    bias_checkpoint JSON NOT NULL,
    decision JSON NOT NULL,
    decision_rationale LONGTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT reflection_logs_log_id_key UNIQUE (log_id),
    CONSTRAINT reflection_logs_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX reflection_logs_campaign_idx ON reflection_logs (campaign);
CREATE INDEX reflection_logs_session_id_idx ON reflection_logs (session_id);
CREATE INDEX reflection_logs_tenant_id_id_idx ON reflection_logs (tenant_id, id);
