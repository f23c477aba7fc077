-- What became of a campaign, change by change; one row for each version since the table exists.
CREATE TABLE campaign_history (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    version INTEGER NOT NULL,
    actor VARCHAR(200) NOT NULL,
    role VARCHAR(20) NOT NULL,
    action VARCHAR(20) NOT NULL CHECK (action IN ('create', 'clone', 'update', 'transition', 'bulk', 'import', 'allocate', 'creatives')),
    reason LONGTEXT,
    changes JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT campaign_history_campaign_version_key UNIQUE (campaign, version),
    CONSTRAINT campaign_history_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX campaign_history_tenant_id_campaign_version_idx ON campaign_history (tenant_id, campaign, version);
-- The job that moves campaigns asks for what is due.
CREATE INDEX campaigns_status_start_date_idx ON campaigns (status, start_date);
CREATE INDEX campaigns_status_end_date_idx ON campaigns (status, end_date);
