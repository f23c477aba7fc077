//! What rows look like, for the API document. Schemathesis (`scripts/check-api`) holds every answer to these shapes.
#![expect(dead_code, reason = "describes what handlers write")]

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An object whose members depend on what it is about.
#[derive(ToSchema)]
#[schema(as = Members, value_type = Object)]
pub struct Json(Map<String, Value>);

/// Feedback as it is stored.
#[derive(ToSchema)]
#[schema(as = Feedback)]
pub struct FeedbackRow {
    feedback_id: String,
    tenant_id: Option<String>,
    brand_id: Option<String>,
    user_id: String,
    task_type: String,
    feedback_type: String,
    prompt: String,
    model_output: String,
    rating: Option<i32>,
    preferred_output: Option<String>,
    rejected_output: Option<String>,
    metadata: Json,
    session_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// A job of the background worker.
#[derive(ToSchema)]
#[schema(as = Job)]
pub struct JobRow {
    job_id: String,
    kind: String,
    /// `queued`, `running`, `succeeded` or `failed`.
    state: String,
    /// 0 to 1.
    progress: f64,
    message: Option<String>,
    input: Json,
    result: Option<Json>,
    error: Option<String>,
    attempts: i32,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// An entry of the audit log; each holds the hash of the one before.
#[derive(ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditRow {
    number: i64,
    action: String,
    actor: String,
    subject: String,
    tenant_id: Option<String>,
    detail: Value,
    hash: String,
    previous_hash: String,
    created_at: DateTime<Utc>,
}

/// A job that was queued.
#[derive(ToSchema)]
#[schema(as = Queued)]
pub struct QueuedRow {
    /// Follow it at `/v1/jobs/{job_id}`.
    job_id: String,
}

/// A webhook.
#[derive(ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookRow {
    webhook_id: String,
    tenant_id: Option<String>,
    url: String,
    /// `whsec_` and 32 bytes in base64; only in the answer that makes it.
    secret: Option<String>,
    description: String,
    event_types: Vec<String>,
    previous_secret_until: Option<DateTime<Utc>>,
    is_enabled: bool,
    disabled_reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What was or is to be sent to a webhook.
#[derive(ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryRow {
    delivery_id: String,
    webhook_id: String,
    tenant_id: Option<String>,
    /// Sent as `webhook-id`.
    event_id: String,
    event_type: String,
    /// The body, byte for byte; only of a single delivery.
    payload: Option<String>,
    /// Its last 36 attempts, oldest first; only of a single delivery.
    history: Option<Vec<AttemptRow>>,
    /// `pending`, `delivered` or `failed`.
    status: String,
    attempts: i32,
    replays: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    last_attempt_at: Option<DateTime<Utc>>,
    last_http_status: Option<i32>,
    last_error: Option<String>,
    duration_ms: Option<i32>,
    delivered_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An attempt of a delivery that has ended.
#[derive(ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct AttemptRow {
    /// Replays before it: 0 is the delivery itself.
    replay: i32,
    /// Its number since then, from 1; one is missing where a process died while it sent.
    number: i32,
    /// When it began.
    at: DateTime<Utc>,
    http_status: Option<u16>,
    error: Option<String>,
    duration_ms: i32,
}

/// What a replay of many did.
#[derive(ToSchema)]
#[schema(as = WebhooksReplayed)]
pub struct ReplayedRow {
    replayed: u32,
    /// Whether others failed in that time; ask again for those.
    has_more: bool,
}

/// Types of events.
#[derive(ToSchema)]
#[schema(as = WebhookEventTypes)]
pub struct EventTypesRow {
    data: Vec<EventTypeRow>,
}

/// A type of event.
#[derive(ToSchema)]
#[schema(as = WebhookEventType)]
pub struct EventTypeRow {
    name: String,
    description: String,
    /// The fields of `data`.
    fields: Vec<String>,
    /// Whether every tenant hears of it.
    is_for_all: bool,
}
