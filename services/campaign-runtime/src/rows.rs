//! What rows look like, for the API document: handlers write them from several tables, so no one type of theirs says it. Schemathesis
//! (`scripts/check-api`) holds every answer to these shapes.
#![expect(dead_code, reason = "describes what handlers write")]

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An object whose members depend on what it is about.
#[derive(ToSchema)]
#[schema(as = Members, value_type = Object)]
pub struct Json(Map<String, Value>);

/// An amount of money.
#[derive(ToSchema)]
#[schema(as = Money)]
pub struct MoneyRow {
    /// A decimal with six places.
    amount: String,
    /// ISO 4217 code.
    currency: String,
}

/// A retailer; its key is never shown.
#[derive(ToSchema)]
#[schema(as = Retailer)]
pub struct RetailerRow {
    retailer_id: String,
    name: String,
    schema_version: String,
    mapping_config: Json,
    policies: Json,
    creative_specs: Json,
    currency: Option<String>,
    timezone: Option<String>,
    has_api_key: bool,
    is_active: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A brand.
#[derive(ToSchema)]
#[schema(as = Brand)]
pub struct BrandRow {
    brand_id: String,
    tenant_id: String,
    retailer_id: Option<String>,
    name: String,
    tone_guidelines: Json,
    product_categories: Vec<Value>,
    budget_constraints: Json,
    attributes: Json,
    is_active: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A product of a retailer.
#[derive(ToSchema)]
#[schema(as = Sku)]
pub struct SkuRow {
    sku_id: String,
    retailer_id: String,
    brand_id: Option<String>,
    tenant_id: Option<String>,
    name: String,
    category: Option<String>,
    subcategory: Option<String>,
    price: Option<MoneyRow>,
    margin: Option<Value>,
    cost: Option<MoneyRow>,
    attributes: Json,
    is_in_stock: Option<bool>,
    stock_level: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An audience segment of a retailer.
#[derive(ToSchema)]
#[schema(as = AudienceSegment)]
pub struct SegmentRow {
    segment_id: String,
    retailer_id: String,
    name: String,
    description: Option<String>,
    segment_type: String,
    criteria: Json,
    size_estimate: Option<i64>,
    /// As stated: people, or a share.
    reach_estimate: Option<f64>,
    cpm_estimate: Option<MoneyRow>,
    is_active: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// How a campaign stands today.
#[derive(ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryRow {
    status: String,
    /// In words.
    reason: Option<String>,
}

/// A campaign.
#[derive(ToSchema)]
#[schema(as = Campaign)]
pub struct CampaignRow {
    campaign_id: String,
    tenant_id: Option<String>,
    retailer_id: String,
    brand_id: Option<String>,
    name: String,
    objective: Option<String>,
    status: String,
    start_date: Option<NaiveDate>,
    end_date: Option<NaiveDate>,
    currency: Option<String>,
    total_budget: Option<MoneyRow>,
    allocated_budget: Option<Json>,
    placement_types: Vec<String>,
    target_audiences: Vec<String>,
    target_skus: Vec<String>,
    constraints: Json,
    attributes: Json,
    delivery: DeliveryRow,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What changed in a campaign.
#[derive(ToSchema)]
#[schema(as = CampaignChange)]
pub struct ChangeRow {
    version: i32,
    action: String,
    actor: String,
    role: Option<String>,
    reason: Option<String>,
    /// By field: `before` and `after`.
    changes: Json,
    created_at: DateTime<Utc>,
}

/// An experiment.
#[derive(ToSchema)]
#[schema(as = Experiment)]
pub struct ExperimentRow {
    experiment_id: String,
    tenant_id: Option<String>,
    campaign_id: Option<String>,
    name: String,
    hypothesis: Option<String>,
    design: String,
    definition: Json,
    status: String,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An API key, without the key.
#[derive(ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyRow {
    key_id: String,
    key_prefix: String,
    name: String,
    role: String,
    tenant_id: Option<String>,
    scopes: Vec<String>,
    created_by: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Why something was decided.
#[derive(ToSchema)]
#[schema(as = ReflectionLog)]
pub struct ReflectionRow {
    log_id: String,
    tenant_id: Option<String>,
    session_id: String,
    task_type: Option<String>,
    phase: String,
    alternate_frames: Vec<Value>,
    risk_factors: Vec<Value>,
    mitigation_strategies: Vec<Value>,
    confidence_value: Option<f64>,
    decision_rationale: Option<String>,
    created_at: DateTime<Utc>,
}

/// A creative with what is found in it.
#[derive(ToSchema)]
#[schema(as = CreativeWithFindings)]
pub struct CreativeRow {
    creative_id: String,
    name: String,
    content: Json,
    is_compliant: bool,
    findings: Vec<Json>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An import.
#[derive(ToSchema)]
#[schema(as = Import)]
pub struct ImportRow {
    import_id: String,
    tenant_id: Option<String>,
    table: String,
    state: String,
    dry_run: bool,
    received: i64,
    inserted: i64,
    updated: i64,
    unchanged: i64,
    rejected: i64,
    message: Option<String>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}
