//! Names of columns: which field of ours each one fills, and how its cells are read.

use super::Table;

/// How the cells of a column are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A public identifier.
    Id,
    /// A text of at most so many characters.
    Text(usize),
    /// One of a fixed set of words.
    Word(&'static [&'static str]),
    /// ISO 4217 code.
    Currency,
    /// A decimal, kept in micros.
    Money,
    /// A whole number of 0 or more.
    Count,
    /// Any finite number.
    Number,
    /// True or false.
    Flag,
    /// A day.
    Date,
    /// A JSON object.
    Object,
    /// A JSON list.
    List,
    /// An identifier that becomes a list of one.
    ListOfOne,
}

/// What a column fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    /// The field of the row to write.
    pub(super) name: &'static str,
    /// How cells are read.
    pub(super) kind: Kind,
    /// Whether the field may be null; an empty cell of one that may not leaves it as it is.
    pub(super) is_nullable: bool,
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_nullable: false }
}

const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_nullable: true }
}

const STATUSES: &[&str] = &["draft", "scheduled", "active", "paused", "completed", "archived"];
const OBJECTIVES: &[&str] = &["awareness", "consideration", "conversion"];
const SEGMENT_TYPES: &[&str] = &["demographic", "behavioral", "lookalike", "contextual"];

pub(super) type Columns = &'static [(&'static str, Field)];

const RETAILERS: Columns = &[
    ("retailer_id", required("retailer_id", Kind::Id)),
    ("name", required("name", Kind::Text(200))),
    ("schema_version", required("schema_version", Kind::Text(50))),
    ("mapping_config", required("mapping_config", Kind::Object)),
    ("api_endpoint", nullable("api_endpoint", Kind::Text(500))),
    ("clean_room_endpoint", nullable("clean_room_endpoint", Kind::Text(500))),
    ("policies", required("policies", Kind::Object)),
    ("creative_specs", required("creative_specs", Kind::Object)),
    ("country", nullable("country", Kind::Text(2))),
    ("currency", nullable("currency", Kind::Currency)),
    ("timezone", required("timezone", Kind::Text(64))),
    ("attribution", nullable("attribution", Kind::Object)),
    ("is_active", required("is_active", Kind::Flag)),
];

const BRANDS: Columns = &[
    ("brand_id", required("brand_id", Kind::Id)),
    ("tenant_id", required("tenant_id", Kind::Id)),
    ("retailer_id", nullable("retailer_id", Kind::Id)),
    ("name", required("name", Kind::Text(200))),
    ("tone_guidelines", required("tone_guidelines", Kind::Object)),
    ("product_categories", required("product_categories", Kind::List)),
    ("budget_constraints", required("budget_constraints", Kind::Object)),
    ("attributes", required("attributes", Kind::Object)),
    ("is_active", required("is_active", Kind::Flag)),
];

const SKUS: Columns = &[
    ("sku_id", required("sku_id", Kind::Id)),
    ("retailer_id", required("retailer_id", Kind::Id)),
    ("brand_id", nullable("brand_id", Kind::Id)),
    ("upc", nullable("upc", Kind::Text(14))),
    ("ean", nullable("ean", Kind::Text(14))),
    ("gtin", nullable("gtin", Kind::Text(14))),
    ("name", required("name", Kind::Text(500))),
    ("category", nullable("category", Kind::Text(200))),
    ("subcategory", nullable("subcategory", Kind::Text(200))),
    ("brand_name", nullable("brand_name", Kind::Text(200))),
    ("price", nullable("price_micros", Kind::Money)),
    ("margin", nullable("margin", Kind::Number)),
    ("cost", nullable("cost_micros", Kind::Money)),
    ("currency", nullable("currency", Kind::Currency)),
    ("attributes", required("attributes", Kind::Object)),
    ("is_in_stock", nullable("is_in_stock", Kind::Flag)),
    ("stock_level", nullable("stock_level", Kind::Count)),
];

const SEGMENTS: Columns = &[
    ("segment_id", required("segment_id", Kind::Id)),
    ("retailer_id", required("retailer_id", Kind::Id)),
    ("name", required("name", Kind::Text(200))),
    ("description", nullable("description", Kind::Text(10_000))),
    ("segment_type", required("segment_type", Kind::Word(SEGMENT_TYPES))),
    ("criteria", required("criteria", Kind::Object)),
    ("size_estimate", nullable("size_estimate", Kind::Count)),
    ("reach_estimate", nullable("reach_estimate", Kind::Number)),
    ("cpm_estimate", nullable("cpm_estimate_micros", Kind::Money)),
    ("currency", nullable("currency", Kind::Currency)),
    ("is_active", required("is_active", Kind::Flag)),
];

const CAMPAIGNS: Columns = &[
    ("campaign_id", required("campaign_id", Kind::Id)),
    ("tenant_id", required("tenant_id", Kind::Id)),
    ("retailer_id", required("retailer_id", Kind::Id)),
    ("brand_id", nullable("brand_id", Kind::Id)),
    ("lead_brand_id", nullable("brand_id", Kind::Id)),
    ("name", required("name", Kind::Text(200))),
    ("objective", nullable("objective", Kind::Word(OBJECTIVES))),
    ("start_date", nullable("start_date", Kind::Date)),
    ("end_date", nullable("end_date", Kind::Date)),
    ("total_budget", nullable("total_budget_micros", Kind::Money)),
    ("currency", nullable("currency", Kind::Currency)),
    ("placement_types", required("placement_types", Kind::List)),
    ("target_audiences", required("target_audiences", Kind::List)),
    ("target_audience_id", required("target_audiences", Kind::ListOfOne)),
    ("target_skus", required("target_skus", Kind::List)),
    ("constraints", required("constraints", Kind::Object)),
    ("attributes", required("attributes", Kind::Object)),
    ("status", required("status", Kind::Word(STATUSES))),
];

const CAMPAIGN_SKUS: Columns = &[("campaign_id", required("campaign_id", Kind::Id)), ("sku_id", required("sku_id", Kind::Id))];

const PERFORMANCE: Columns = &[
    ("campaign_id", required("campaign_id", Kind::Id)),
    ("tenant_id", nullable("tenant_id", Kind::Id)),
    ("retailer_id", nullable("retailer_id", Kind::Id)),
    ("date", required("date", Kind::Date)),
    ("placement_type", nullable("placement_type", Kind::Text(100))),
    ("audience_segment", nullable("audience_segment", Kind::Text(100))),
    ("category", nullable("category", Kind::Text(100))),
    ("sku_id", nullable("sku_id", Kind::Text(100))),
    ("impression_kind", nullable("impression_kind", Kind::Text(40))),
    ("impressions", nullable("impressions", Kind::Count)),
    ("clicks", nullable("clicks", Kind::Count)),
    ("conversions", nullable("conversions", Kind::Count)),
    ("spend", nullable("spend", Kind::Money)),
    ("revenue", nullable("revenue", Kind::Money)),
    ("units_sold", nullable("units_sold", Kind::Count)),
    ("new_to_brand_conversions", nullable("new_to_brand_conversions", Kind::Count)),
    ("currency", nullable("currency", Kind::Currency)),
];

/// The columns of a table by name.
pub(super) fn all(table: Table) -> Columns {
    match table {
        Table::Retailers => RETAILERS,
        Table::Brands => BRANDS,
        Table::Skus => SKUS,
        Table::AudienceSegments => SEGMENTS,
        Table::Campaigns => CAMPAIGNS,
        Table::CampaignSkus => CAMPAIGN_SKUS,
        Table::Performance => PERFORMANCE,
    }
}

/// The field that a column of a catalog table fills; `None` for columns that are not known.
pub(super) fn field(table: Table, column: &str) -> Option<Field> {
    all(table).iter().find(|(name, _)| *name == column).map(|(_, field)| *field)
}

/// The column without which no row of a table can be taken.
pub(super) fn key(table: Table) -> &'static str {
    match table {
        Table::Retailers => "retailer_id",
        Table::Brands => "brand_id",
        Table::Skus => "sku_id",
        Table::AudienceSegments => "segment_id",
        Table::Campaigns | Table::CampaignSkus => "campaign_id",
        Table::Performance => "date",
    }
}

/// Whether what is not known is kept under `attributes`.
pub(super) fn has_attributes(table: Table) -> bool {
    matches!(table, Table::Brands | Table::Skus | Table::Campaigns)
}
