-- Versions of corrected rows, and sums that are kept while performance is written.
ALTER TABLE performance_metrics ADD COLUMN version INTEGER NOT NULL DEFAULT 1 AFTER source;

-- What a row said before it was corrected, so that figures can be shown as they were.
CREATE TABLE performance_revisions (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    date DATE NOT NULL,
    placement_type VARCHAR(100) NOT NULL,
    audience_segment VARCHAR(100) NOT NULL,
    category VARCHAR(100) NOT NULL,
    sku_id VARCHAR(100) NOT NULL,
    impression_kind VARCHAR(40) NOT NULL,
    impressions BIGINT,
    clicks BIGINT,
    conversions BIGINT,
    spend_micros BIGINT,
    revenue_micros BIGINT,
    units_sold BIGINT,
    new_to_brand_conversions BIGINT,
    currency VARCHAR(3),
    source VARCHAR(100) NOT NULL,
    version INTEGER NOT NULL,
    valid_from DATETIME(6) NOT NULL,
    replaced_at DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT performance_revisions_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX performance_revisions_campaign_date_idx ON performance_revisions (campaign, date);
CREATE INDEX performance_revisions_tenant_id_id_idx ON performance_revisions (tenant_id, id);

-- Sums kept up to date in the transaction that writes performance. measured is a bit mask of the measures that the summed rows had.
CREATE TABLE performance_rollups (
    campaign BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    grain VARCHAR(10) NOT NULL CHECK (grain IN ('day', 'month', 'total')),
    period_start DATE NOT NULL,
    dimension VARCHAR(20) NOT NULL CHECK (dimension IN ('', 'placement_type', 'audience_segment', 'category', 'sku_id', 'impression_kind')),
    value VARCHAR(100) NOT NULL,
    currency VARCHAR(3) NOT NULL,
    measured SMALLINT NOT NULL,
    n BIGINT NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    conversions BIGINT NOT NULL,
    spend_micros BIGINT NOT NULL,
    revenue_micros BIGINT NOT NULL,
    units_sold BIGINT NOT NULL,
    new_to_brand_conversions BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT performance_rollups_pkey PRIMARY KEY (campaign, grain, dimension, period_start, value, currency, measured),
    CONSTRAINT performance_rollups_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX performance_rollups_tenant_id_grain_dimension_period_start_idx ON performance_rollups (tenant_id, grain, dimension, period_start);
CREATE INDEX performance_rollups_grain_dimension_period_start_idx ON performance_rollups (grain, dimension, period_start);

-- The sums of what is stored already.
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'day', p.date, '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), p.date;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE);
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'total', DATE '1970-01-01', '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END);
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), 'placement_type', p.placement_type, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), p.placement_type;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), 'audience_segment', p.audience_segment, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), p.audience_segment;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), 'category', p.category, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), p.category;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), 'sku_id', p.sku_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), p.sku_id;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), 'impression_kind', p.impression_kind, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS SIGNED), CAST(COALESCE(SUM(p.clicks), 0) AS SIGNED), CAST(COALESCE(SUM(p.conversions), 0) AS SIGNED), CAST(COALESCE(SUM(p.spend_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.revenue_micros), 0) AS SIGNED), CAST(COALESCE(SUM(p.units_sold), 0) AS SIGNED), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS SIGNED), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), CAST(DATE_FORMAT(p.date, '%Y-%m-01') AS DATE), p.impression_kind;
