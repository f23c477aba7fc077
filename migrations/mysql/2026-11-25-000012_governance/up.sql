-- What a campaign's ads say and show, and what the retailer's policy had against it when it was written.
CREATE TABLE campaign_creatives (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    creative_id VARCHAR(100) NOT NULL,
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    name VARCHAR(200) NOT NULL,
    content JSON NOT NULL,
    findings JSON NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT campaign_creatives_campaign_creative_id_key UNIQUE (campaign, creative_id),
    CONSTRAINT campaign_creatives_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX campaign_creatives_tenant_id_campaign_id_idx ON campaign_creatives (tenant_id, campaign, id);
-- When the sealed key of the retailer's API was given.
ALTER TABLE retailers ADD COLUMN api_key_set_at DATETIME(6);
