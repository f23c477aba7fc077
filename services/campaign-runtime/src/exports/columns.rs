//! The columns of exported tables, named as imports name them.

use serde_json::{Value, json};
use storage::performance::rows::ExportRow;
use web::tabular::{Column, Kind};

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Retailers,
    Brands,
    Skus,
    AudienceSegments,
    Campaigns,
    Performance,
}

const NAMES: [(Source, &str); 6] = [
    (Source::Retailers, "retailers"),
    (Source::Brands, "brands"),
    (Source::Skus, "skus"),
    (Source::AudienceSegments, "audience-segments"),
    (Source::Campaigns, "campaigns"),
    (Source::Performance, "performance"),
];

impl Source {
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(source, _)| *source)
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(source, _)| *source == self).map_or("", |(_, name)| name)
    }
}

use Kind::{Flag, Money, Real, Text, Whole};

const RETAILERS: &[(&str, Kind)] = &[
    ("retailer_id", Text),
    ("name", Text),
    ("schema_version", Text),
    ("mapping_config", Text),
    ("api_endpoint", Text),
    ("clean_room_endpoint", Text),
    ("policies", Text),
    ("creative_specs", Text),
    ("country", Text),
    ("currency", Text),
    ("timezone", Text),
    ("attribution", Text),
    ("is_active", Flag),
];

const BRANDS: &[(&str, Kind)] = &[
    ("brand_id", Text),
    ("tenant_id", Text),
    ("retailer_id", Text),
    ("name", Text),
    ("tone_guidelines", Text),
    ("product_categories", Text),
    ("budget_constraints", Text),
    ("attributes", Text),
    ("is_active", Flag),
];

const SKUS: &[(&str, Kind)] = &[
    ("sku_id", Text),
    ("retailer_id", Text),
    ("brand_id", Text),
    ("upc", Text),
    ("ean", Text),
    ("gtin", Text),
    ("name", Text),
    ("category", Text),
    ("subcategory", Text),
    ("brand_name", Text),
    ("price", Money),
    ("margin", Real),
    ("cost", Money),
    ("currency", Text),
    ("attributes", Text),
    ("is_in_stock", Flag),
    ("stock_level", Whole),
];

const SEGMENTS: &[(&str, Kind)] = &[
    ("segment_id", Text),
    ("retailer_id", Text),
    ("name", Text),
    ("description", Text),
    ("segment_type", Text),
    ("criteria", Text),
    ("size_estimate", Whole),
    ("reach_estimate", Real),
    ("cpm_estimate", Money),
    ("currency", Text),
    ("is_active", Flag),
];

const CAMPAIGNS: &[(&str, Kind)] = &[
    ("campaign_id", Text),
    ("tenant_id", Text),
    ("retailer_id", Text),
    ("brand_id", Text),
    ("name", Text),
    ("objective", Text),
    ("start_date", Text),
    ("end_date", Text),
    ("total_budget", Money),
    ("currency", Text),
    ("placement_types", Text),
    ("target_audiences", Text),
    ("target_skus", Text),
    ("constraints", Text),
    ("attributes", Text),
    ("status", Text),
];

const PERFORMANCE: &[(&str, Kind)] = &[
    ("campaign_id", Text),
    ("tenant_id", Text),
    ("retailer_id", Text),
    ("date", Text),
    ("placement_type", Text),
    ("audience_segment", Text),
    ("category", Text),
    ("sku_id", Text),
    ("impression_kind", Text),
    ("impressions", Whole),
    ("clicks", Whole),
    ("conversions", Whole),
    ("spend", Money),
    ("revenue", Money),
    ("units_sold", Whole),
    ("new_to_brand_conversions", Whole),
    ("currency", Text),
];

fn list(source: Source) -> &'static [(&'static str, Kind)] {
    match source {
        Source::Retailers => RETAILERS,
        Source::Brands => BRANDS,
        Source::Skus => SKUS,
        Source::AudienceSegments => SEGMENTS,
        Source::Campaigns => CAMPAIGNS,
        Source::Performance => PERFORMANCE,
    }
}

pub(super) fn columns(source: Source) -> Vec<Column> {
    list(source).iter().map(|(name, kind)| Column::new(*name, *kind)).collect()
}

/// The cells of a row of the catalog.
pub(super) fn cells(source: Source, row: &Value) -> Vec<Value> {
    let cell = |(name, kind): &(&str, Kind)| match kind {
        Money => amount(row.get(format!("{name}_micros")).and_then(Value::as_i64)),
        _ => row.get(*name).cloned().unwrap_or(Value::Null),
    };
    list(source).iter().map(cell).collect()
}

/// The cells of a row of performance.
pub(super) fn cells_of_metric(row: &ExportRow) -> Vec<Value> {
    let metric = &row.metric;
    vec![
        json!(row.campaign_id),
        json!(row.tenant_id),
        json!(row.retailer_id),
        json!(metric.date),
        json!(metric.placement_type),
        json!(metric.audience_segment),
        json!(metric.category),
        json!(metric.sku_id),
        json!(metric.impression_kind),
        json!(metric.impressions),
        json!(metric.clicks),
        json!(metric.conversions),
        amount(metric.spend_micros),
        amount(metric.revenue_micros),
        json!(metric.units_sold),
        json!(metric.new_to_brand_conversions),
        json!(metric.currency),
    ]
}

fn amount(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |micros| json!(domain::money::format_micros(micros)))
}
