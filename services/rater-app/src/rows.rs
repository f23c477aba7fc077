//! What rows look like, for the API document. Schemathesis (`scripts/check-api`) holds every answer to these shapes.
#![expect(dead_code, reason = "describes what handlers write")]

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An object whose members depend on what it is about.
#[derive(ToSchema)]
#[schema(as = Members, value_type = Object)]
pub struct Json(Map<String, Value>);

/// A task as its owner and operators see it; raters see less.
#[derive(ToSchema)]
#[schema(as = Task)]
pub struct TaskRow {
    task_id: String,
    task_type: String,
    status: String,
    tenant_id: Option<String>,
    retailer_id: Option<String>,
    adapter_id: Option<String>,
    title: String,
    prompt: String,
    context_snippets: Vec<Json>,
    candidate_a: Value,
    candidate_b: Value,
    candidate_c: Option<Value>,
    auto_checks: Vec<Json>,
    priority: i32,
    uncertainty_score: Option<f64>,
    judgments_count: i32,
    required_judgments: Option<i32>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
}

/// A golden item.
#[derive(ToSchema)]
#[schema(as = GoldenItem)]
pub struct GoldenRow {
    task_id: String,
    /// `candidate`, `active` or `retired`.
    state: String,
    is_active: bool,
    expert_id: String,
    expert_choice: String,
    expert_reasons: Vec<String>,
    expert_rationale: String,
    difficulty_level: String,
    edge_case_type: Option<String>,
    max_exposures: Option<i32>,
    times_used: i32,
    rater_accuracy_rate: Option<f64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    questions_seen_at: Option<DateTime<Utc>>,
}
