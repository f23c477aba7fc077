-- What a campaign's ads say and show, and what the retailer's policy had against it when it was written.
CREATE TABLE campaign_creatives (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    creative_id TEXT NOT NULL,
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL CHECK (json_valid(content)),
    findings TEXT NOT NULL CHECK (json_valid(findings)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT campaign_creatives_campaign_creative_id_key UNIQUE (campaign, creative_id),
    CONSTRAINT campaign_creatives_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
);
CREATE INDEX campaign_creatives_tenant_id_campaign_id_idx ON campaign_creatives (tenant_id, campaign, id);
-- When the sealed key of the retailer's API was given.
ALTER TABLE retailers ADD COLUMN api_key_set_at TEXT;
