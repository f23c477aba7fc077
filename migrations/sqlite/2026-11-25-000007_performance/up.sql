-- Versions of corrected rows, and sums that are kept while performance is written.
ALTER TABLE performance_metrics ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- What a row said before it was corrected, so that figures can be shown as they were.
CREATE TABLE performance_revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    date DATE NOT NULL,
    placement_type TEXT NOT NULL,
    audience_segment TEXT NOT NULL,
    category TEXT NOT NULL,
    sku_id TEXT NOT NULL,
    impression_kind TEXT NOT NULL,
    impressions BIGINT,
    clicks BIGINT,
    conversions BIGINT,
    spend_micros BIGINT,
    revenue_micros BIGINT,
    units_sold BIGINT,
    new_to_brand_conversions BIGINT,
    currency TEXT,
    source TEXT NOT NULL,
    version INTEGER NOT NULL,
    valid_from TEXT NOT NULL,
    replaced_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT performance_revisions_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
);
CREATE INDEX performance_revisions_campaign_date_idx ON performance_revisions (campaign, date);
CREATE INDEX performance_revisions_tenant_id_id_idx ON performance_revisions (tenant_id, id);

-- Sums kept up to date in the transaction that writes performance. measured is a bit mask of the measures that the summed rows had.
CREATE TABLE performance_rollups (
    campaign BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    grain TEXT NOT NULL CHECK (grain IN ('day', 'month', 'total')),
    period_start DATE NOT NULL,
    dimension TEXT NOT NULL CHECK (dimension IN ('', 'placement_type', 'audience_segment', 'category', 'sku_id', 'impression_kind')),
    value TEXT NOT NULL,
    currency TEXT NOT NULL,
    measured SMALLINT NOT NULL,
    n BIGINT NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    conversions BIGINT NOT NULL,
    spend_micros BIGINT NOT NULL,
    revenue_micros BIGINT NOT NULL,
    units_sold BIGINT NOT NULL,
    new_to_brand_conversions BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT performance_rollups_pkey PRIMARY KEY (campaign, grain, dimension, period_start, value, currency, measured),
    CONSTRAINT performance_rollups_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX performance_rollups_tenant_id_grain_dimension_period_start_idx ON performance_rollups (tenant_id, grain, dimension, period_start);
CREATE INDEX performance_rollups_grain_dimension_period_start_idx ON performance_rollups (grain, dimension, period_start);

-- The sums of what is stored already.
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'day', p.date, '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), p.date;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date);
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'total', '1970-01-01', '', '', COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END);
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), 'placement_type', p.placement_type, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date), p.placement_type;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), 'audience_segment', p.audience_segment, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date), p.audience_segment;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), 'category', p.category, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date), p.category;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), 'sku_id', p.sku_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date), p.sku_id;
INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at)
SELECT p.campaign, p.tenant_id, 'month', strftime('%Y-%m-01', p.date), 'impression_kind', p.impression_kind, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), COUNT(*), CAST(COALESCE(SUM(p.impressions), 0) AS BIGINT), CAST(COALESCE(SUM(p.clicks), 0) AS BIGINT), CAST(COALESCE(SUM(p.conversions), 0) AS BIGINT), CAST(COALESCE(SUM(p.spend_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.revenue_micros), 0) AS BIGINT), CAST(COALESCE(SUM(p.units_sold), 0) AS BIGINT), CAST(COALESCE(SUM(p.new_to_brand_conversions), 0) AS BIGINT), MAX(p.updated_at)
FROM performance_metrics p GROUP BY p.campaign, p.tenant_id, COALESCE(p.currency, ''), (CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END), strftime('%Y-%m-01', p.date), p.impression_kind;
