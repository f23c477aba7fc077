//! The log of deliveries over HTTP: the list, one with what was sent, and sending again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::page::Page;
use storage::webhooks::attempts;
use storage::webhooks::deliveries::{self as stored, Delivery, DeliveryFilter};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use super::events::{TEST, TYPES};
use super::may_manage;
use crate::period;
use crate::state::State;

/// What a delivery may be.
pub const STATUSES: [&str; 3] = ["pending", "delivered", "failed"];

/// Filters of the log.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// To this webhook.
    pub webhook_id: Option<String>,
    /// With this status: `pending`, `delivered` or `failed`.
    pub status: Option<String>,
    /// Of this type of event, as `GET /v1/webhook-event-types` lists them, or `webhook.test`.
    pub event_type: Option<String>,
    /// Made from this instant or day.
    pub from: Option<String>,
    /// Made before this instant, or to the end of this day.
    pub to: Option<String>,
}

impl DeliveryQuery {
    /// As storage has it.
    ///
    /// # Errors
    /// 422 for a status or type that is none, and for times that are none.
    pub fn filter(self) -> Result<DeliveryFilter, Problem> {
        if let Some(status) = self.status.as_deref().filter(|status| !STATUSES.contains(status)) {
            return Err(Problem::invalid_field("status", format!("is {status:?}; it is one of {}", STATUSES.join(", "))));
        }
        if let Some(wanted) = self.event_type.as_deref().filter(|wanted| !is_type(wanted)) {
            let known: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
            return Err(Problem::invalid_field("event_type", format!("is {wanted:?}; it is one of {}, {TEST}", known.join(", "))));
        }
        let period = period::read(self.from.as_deref(), self.to.as_deref())?;
        Ok(DeliveryFilter {
            webhook_id: self.webhook_id,
            status: self.status,
            event_type: self.event_type,
            from: period.from,
            to: period.to,
        })
    }
}

fn is_type(name: &str) -> bool {
    name == TEST || TYPES.iter().any(|known| known.name == name)
}

/// What is to be sent again.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// Deliveries made from this instant on that failed for good.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    #[schema(required, value_type = DateTime<Utc>)]
    pub since: Option<DateTime<Utc>>,
}

/// Deliveries, newest first, without what was sent.
#[utoipa::path(get, path = "/v1/webhook-deliveries", tag = "webhooks", params(DeliveryQuery, web::paging::Page),
    responses((status = 200, body = web::paging::Slice<crate::rows::DeliveryRow>, description = "`{data, next_cursor}`")))]
pub async fn list_webhook_deliveries(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<DeliveryQuery>,
) -> Result<Json<Slice<Delivery>>, Problem> {
    caller.require(may_manage)?;
    let (scope, page, filter) = (caller.scope(), Page::try_from(&query.page)?, query.filter.filter()?);
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &scope, &filter, &page)).await?;
    Ok(Json(Slice::from(slice)))
}

/// One delivery with `payload`, the body, byte for byte as it is signed and sent, and `history`, its last 36 attempts, oldest first.
#[utoipa::path(get, path = "/v1/webhook-deliveries/{delivery_id}", tag = "webhooks", params(("delivery_id" = String, Path)),
    responses((status = 200, body = crate::rows::DeliveryRow, description = "The delivery"), (status = 404, description = "Not there for this caller")))]
pub async fn get_webhook_delivery(state: Data<State>, caller: Caller, delivery_id: Path<String>) -> Result<Json<Value>, Problem> {
    caller.require(may_manage)?;
    let scope = caller.scope();
    let row = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &delivery_id)).await?;
    let mut shown = json!(row);
    shown["payload"] = json!(row.payload);
    shown["history"] = json!(attempts::of(&row));
    Ok(Json(shown))
}

/// Sends one delivery again, delivered or failed, under the same `webhook-id`.
#[utoipa::path(post, path = "/v1/webhook-deliveries/{delivery_id}/replay", tag = "webhooks", params(("delivery_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 400, description = "The Idempotency-Key cannot be read"), (status = 202, body = crate::rows::DeliveryRow, description = "It is due now"), (status = 404, description = "Not there for this caller"), (status = 409, description = "It is still being tried, or its webhook is off")))]
pub async fn replay_webhook_delivery(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    delivery_id: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let request = key.of(&caller, b"");
    let (scope, now) = (caller.scope(), state.clock.now());
    let storage = state.storage.scoped(&scope);
    let answer = repeat::create(&storage, request, now, move |conn| {
        Ok(Answer { status: StatusCode::ACCEPTED, body: json!(stored::replay(conn, &scope, &delivery_id, now)?) })
    })
    .await?;
    state.webhooks.due.notify_one();
    Ok(answer)
}

/// Makes the next attempt of a waiting delivery now, before its pause is over. It counts as one of the twelve.
#[utoipa::path(post, path = "/v1/webhook-deliveries/{delivery_id}/send-now", tag = "webhooks", params(("delivery_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 400, description = "The Idempotency-Key cannot be read"), (status = 202, body = crate::rows::DeliveryRow, description = "It is due now"), (status = 404, description = "Not there for this caller"), (status = 409, description = "It does not wait, or is being sent at this moment")))]
pub async fn send_webhook_delivery_now(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    delivery_id: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let request = key.of(&caller, b"");
    let (scope, now) = (caller.scope(), state.clock.now());
    let storage = state.storage.scoped(&scope);
    let answer = repeat::create(&storage, request, now, move |conn| {
        Ok(Answer { status: StatusCode::ACCEPTED, body: json!(stored::send_now(conn, &scope, &delivery_id, now)?) })
    })
    .await?;
    state.webhooks.due.notify_one();
    Ok(answer)
}

/// Sends again what failed for good since an instant, oldest first, at most 1,000 at once.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks", params(("webhook_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = ReplayBody,
    responses((status = 202, body = crate::rows::ReplayedRow, description = "How many are due now, and whether there are others"), (status = 404, description = "Not there for this caller"), (status = 409, description = "The webhook is off"), (status = 422, description = "Fields that are wrong")))]
pub async fn replay_failed_webhook_deliveries(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    webhook_id: Path<String>,
    body: JsonBytes<ReplayBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let request = key.of(&caller, &body.bytes);
    let since = body.value.since.ok_or_else(|| Problem::invalid_field("since", "is required: a time such as 2026-01-31T09:00:00Z"))?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let storage = state.storage.scoped(&scope);
    let answer = repeat::create(&storage, request, now, move |conn| {
        Ok(Answer { status: StatusCode::ACCEPTED, body: json!(stored::replay_failed(conn, &scope, &webhook_id, since, now)?) })
    })
    .await?;
    state.webhooks.due.notify_one();
    Ok(answer)
}
