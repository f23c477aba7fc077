-- Campaigns; the public id is unique within its tenant.
CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    retailer_id TEXT NOT NULL,
    brand_id TEXT,
    name TEXT NOT NULL,
    objective TEXT CHECK (objective IN ('awareness', 'consideration', 'conversion')),
    start_date DATE,
    end_date DATE,
    total_budget_micros BIGINT,
    currency TEXT,
    allocated_budget TEXT CHECK (allocated_budget IS NULL OR json_valid(allocated_budget)),
    placement_types TEXT NOT NULL CHECK (json_valid(placement_types)),
    target_audiences TEXT NOT NULL CHECK (json_valid(target_audiences)),
    target_skus TEXT NOT NULL CHECK (json_valid(target_skus)),
    constraints TEXT NOT NULL CHECK (json_valid(constraints)),
    attributes TEXT NOT NULL CHECK (json_valid(attributes)),
    status TEXT NOT NULL CHECK (status IN ('draft', 'scheduled', 'active', 'paused', 'completed', 'archived')),
    version INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT campaigns_tenant_id_campaign_id_key UNIQUE (tenant_id, campaign_id),
    CONSTRAINT campaigns_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT campaigns_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id),
    CHECK (end_date IS NULL OR start_date IS NULL OR end_date >= start_date),
    CHECK (total_budget_micros IS NULL OR total_budget_micros >= 0)
);
CREATE INDEX campaigns_retailer_id_idx ON campaigns (retailer_id);
CREATE INDEX campaigns_brand_id_idx ON campaigns (brand_id);
CREATE INDEX campaigns_tenant_id_status_id_idx ON campaigns (tenant_id, status, id);
CREATE INDEX campaigns_campaign_id_idx ON campaigns (campaign_id);

-- Daily performance; absent measures are null, never 0.
CREATE TABLE performance_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    date DATE NOT NULL,
    placement_type TEXT NOT NULL DEFAULT '',
    audience_segment TEXT NOT NULL DEFAULT '',
    category TEXT NOT NULL DEFAULT '',
    sku_id TEXT NOT NULL DEFAULT '',
    impression_kind TEXT NOT NULL DEFAULT '',
    impressions BIGINT,
    clicks BIGINT,
    conversions BIGINT,
    spend_micros BIGINT,
    revenue_micros BIGINT,
    units_sold BIGINT,
    new_to_brand_conversions BIGINT,
    currency TEXT,
    source TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT performance_metrics_campaign_date_placement_type_audience__key UNIQUE (campaign, date, placement_type, audience_segment, category, sku_id, impression_kind),
    CONSTRAINT performance_metrics_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
);
CREATE INDEX performance_metrics_tenant_id_date_idx ON performance_metrics (tenant_id, date);

-- Candidate plans; those of one request share a plan_set_id.
CREATE TABLE campaign_plans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    plan_id TEXT NOT NULL,
    plan_set_id TEXT NOT NULL,
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('candidate', 'in_review', 'chosen', 'rejected')),
    strategy TEXT NOT NULL,
    position INTEGER NOT NULL,
    budget_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    horizon_days INTEGER NOT NULL,
    plan TEXT NOT NULL CHECK (json_valid(plan)),
    score DOUBLE,
    win_probability DOUBLE,
    model_id TEXT,
    task_id TEXT,
    choice_reason TEXT,
    decided_by TEXT,
    decided_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT campaign_plans_plan_id_key UNIQUE (plan_id),
    CONSTRAINT campaign_plans_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE,
    CONSTRAINT campaign_plans_model_id_fkey FOREIGN KEY (model_id) REFERENCES reward_models (model_id),
    CONSTRAINT campaign_plans_task_id_fkey FOREIGN KEY (task_id) REFERENCES rating_tasks (task_id)
);
CREATE INDEX campaign_plans_plan_set_id_idx ON campaign_plans (plan_set_id);
CREATE INDEX campaign_plans_campaign_idx ON campaign_plans (campaign);
CREATE INDEX campaign_plans_model_id_idx ON campaign_plans (model_id);
CREATE INDEX campaign_plans_task_id_idx ON campaign_plans (task_id);
CREATE INDEX campaign_plans_tenant_id_campaign_id_idx ON campaign_plans (tenant_id, campaign, id);

-- Why the software decided as it did.
CREATE TABLE reflection_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_id TEXT NOT NULL,
    tenant_id TEXT,
    campaign BIGINT,
    session_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('reflection', 'decision', 'execution')),
    memory_references TEXT NOT NULL CHECK (json_valid(memory_references)),
    alternate_frames TEXT NOT NULL CHECK (json_valid(alternate_frames)),
    risk_factors TEXT NOT NULL CHECK (json_valid(risk_factors)),
    mitigation_strategies TEXT NOT NULL CHECK (json_valid(mitigation_strategies)),
    confidence_value DOUBLE,
    confidence_rationale TEXT,
    decision_threshold DOUBLE,
    bias_checkpoint TEXT NOT NULL CHECK (json_valid(bias_checkpoint)),
    decision TEXT NOT NULL CHECK (json_valid(decision)),
    decision_rationale TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT reflection_logs_log_id_key UNIQUE (log_id),
    CONSTRAINT reflection_logs_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
);
CREATE INDEX reflection_logs_campaign_idx ON reflection_logs (campaign);
CREATE INDEX reflection_logs_session_id_idx ON reflection_logs (session_id);
CREATE INDEX reflection_logs_tenant_id_id_idx ON reflection_logs (tenant_id, id);
