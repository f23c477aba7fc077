-- What became of a campaign, change by change; one row for each version since the table exists.
CREATE TABLE campaign_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('create', 'clone', 'update', 'transition', 'bulk', 'import', 'allocate', 'creatives')),
    reason TEXT,
    changes TEXT NOT NULL CHECK (json_valid(changes)),
    created_at TEXT NOT NULL,
    CONSTRAINT campaign_history_campaign_version_key UNIQUE (campaign, version),
    CONSTRAINT campaign_history_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
);
CREATE INDEX campaign_history_tenant_id_campaign_version_idx ON campaign_history (tenant_id, campaign, version);
-- The job that moves campaigns asks for what is due.
CREATE INDEX campaigns_status_start_date_idx ON campaigns (status, start_date);
CREATE INDEX campaigns_status_end_date_idx ON campaigns (status, end_date);
