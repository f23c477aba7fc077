//! Webhooks: addresses of a tenant that are told of its events, signed as Standard Webhooks has it, tried again for a day and more, and
//! kept in a log from which they can be sent again.
//!
//! ```text
//! outbox -> work::carry (one transaction: deliveries and how far) -> webhook_deliveries -> work::take (lease) -> sending -> receiver
//!                                                                            ^---- later, up to 12 times ----'
//! ```

pub mod events;
pub mod log;
pub mod sending;
pub mod signing;
pub mod work;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use chrono::TimeDelta;
use domain::invalid::Invalid;
use domain::role::Role;
use peers::outbound::{Outbound, Rules};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::api_keys::has_tenant;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::webhooks::deliveries::{self, NewDelivery};
use storage::webhooks::{self as stored, NewWebhook, Webhook, WebhookPatch};
use tokio::sync::Notify;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, QueryOf};
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;
use web::sealing::place_of_webhook;
use web::settings::Settings;

use crate::state::State;
use events::{EventType, TEST, TYPES};

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// How long the secret before the present one signs too.
const BOTH_FOR: TimeDelta = TimeDelta::hours(24);

/// What sending needs in one process.
#[derive(Debug)]
pub struct Desk {
    /// The way out.
    pub outbound: Outbound,
    /// Wakes what sends when something is due.
    pub due: Notify,
}

impl Desk {
    /// By these settings.
    ///
    /// # Errors
    /// [`Invalid`] when there can be no HTTP client.
    pub fn new(settings: &Settings) -> Result<Self, Invalid> {
        let settings = &settings.webhooks;
        let rules = Rules {
            allows_http: settings.allows_http,
            ports: settings.ports.clone(),
            networks: settings.networks.clone(),
            timeout: settings.timeout,
        };
        let outbound = Outbound::new(rules).map_err(|error| Invalid::one("webhooks", error.to_string()))?;
        Ok(Self { outbound, due: Notify::new() })
    }
}

/// A webhook as it is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// Where events are sent: `https:`, and a public address.
    pub url: String,
    /// For the reader.
    #[serde(default)]
    pub description: String,
    /// Types of events, as `GET /v1/webhook-event-types` lists them.
    pub event_types: Vec<String>,
    /// Whose it is; the caller's tenant when absent. Without a tenant it is the platform's and is told of all tenants' events.
    pub tenant_id: Option<String>,
    /// Whether it is on.
    #[serde(default = "yes")]
    pub is_enabled: bool,
}

fn yes() -> bool {
    true
}

/// What is to be changed; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatchBody {
    /// Where events are sent.
    pub url: Option<String>,
    /// For the reader.
    pub description: Option<String>,
    /// Types of events.
    pub event_types: Option<Vec<String>>,
    /// On or off. Off gives up what waits; it can be sent again later.
    pub is_enabled: Option<bool>,
}

/// All types of events.
#[derive(Debug, Serialize)]
pub struct EventTypes {
    data: &'static [EventType],
}

pub(crate) fn may_manage(role: Role) -> bool {
    matches!(role, Role::PlatformAdmin | Role::TenantAdmin)
}

/// Checks the fields that are given; the address is looked up.
async fn check(state: &State, url: Option<&str>, description: Option<&str>, types: Option<&[String]>) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if let Some(url) = url
        && let Err(why) = state.webhooks.outbound.check(url).await
    {
        invalid.add("url", why);
    }
    if description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION || text.chars().any(char::is_control)) {
        invalid.add("description", format!("must be at most {MAX_DESCRIPTION} characters without control characters"));
    }
    if let Some(types) = types {
        if types.is_empty() {
            invalid.add("event_types", "must name at least one type");
        }
        for (i, wanted) in types.iter().enumerate() {
            let is_known = TYPES.iter().any(|known| known.name == wanted);
            if !is_known || types[..i].contains(wanted) {
                let known: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
                let why = if is_known { "is named twice".to_owned() } else { format!("is no type; there are {}", known.join(", ")) };
                invalid.add(format!("event_types[{i}]"), why);
                // The others would say the same.
                break;
            }
        }
    }
    invalid.into_result()
}

fn sealed(state: &State, secret: &SecretString, webhook_id: &str) -> Result<String, Problem> {
    let sealed = state.settings.seal_keys.seal(secret, &place_of_webhook(webhook_id));
    sealed.map_err(|error| Problem::conflict("conflict", format!("The secret cannot be kept: {error}.")))
}

/// The answer with its secret opened: what is kept under an idempotency key holds it sealed.
fn with_secret(state: &State, mut answer: Answer) -> Result<HttpResponse, Problem> {
    let id = answer.body["webhook_id"].as_str().unwrap_or_default().to_owned();
    let opened = state.settings.seal_keys.open(answer.body["secret"].as_str().unwrap_or_default(), &place_of_webhook(&id));
    let secret = opened.map_err(|error| Problem::conflict("conflict", format!("The secret cannot be shown again: {error}.")))?;
    answer.body["secret"] = json!(secret.expose_secret());
    Ok(answer.response())
}

/// Makes a webhook. The answer holds its `secret`, once.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = WebhookBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = crate::rows::WebhookRow, description = "The webhook and, once, its `secret`"), (status = 409, description = "There is no seal key, or there are as many webhooks as may be"), (status = 422, description = "Fields that are wrong, an address that leads inside among them")))]
pub async fn create_webhook(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<WebhookBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let request = key.of(&caller, &body.bytes);
    let (scope, now, body) = (caller.scope(), state.clock.now(), body.value);
    let storage = state.storage.scoped(&scope);
    if let Some(kept) = repeat::kept(&storage, request.as_ref()).await? {
        return with_secret(&state, kept);
    }
    let tenant_id = body.tenant_id.or_else(|| scope.tenant().map(str::to_owned));
    if !scope.may_see(tenant_id.as_deref()) || tenant_id.as_deref() == Some("") {
        return Err(Problem::invalid_field("tenant_id", "is not your tenant; leave it out"));
    }
    check(&state, Some(&body.url), Some(&body.description), Some(&body.event_types)).await?;
    let webhook_id = domain::id::new("whk");
    let new = NewWebhook {
        secret_sealed: sealed(&state, &signing::generate(), &webhook_id)?,
        webhook_id,
        tenant_id,
        url: body.url,
        description: body.description,
        event_types: body.event_types,
        is_enabled: body.is_enabled,
    };
    let made = repeat::made(&storage, request, now, move |conn| {
        if let Some(tenant) = new.tenant_id.as_ref().filter(|_| scope.tenant().is_none())
            && !has_tenant(conn, tenant)?
        {
            return Err(Invalid::one("tenant_id", format!("there is no tenant {tenant:?}: nothing belongs to it")).into());
        }
        let row = stored::insert(conn, &scope, &new, now)?;
        Ok(Answer::created(shown_with(&row, &new.secret_sealed)))
    })
    .await?;
    with_secret(&state, made)
}

fn shown_with(row: &Webhook, sealed: &str) -> Value {
    let mut shown = json!(row);
    shown["secret"] = json!(sealed);
    shown
}

/// Webhooks, newest first, without their secrets.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(web::paging::Page),
    responses((status = 200, body = web::paging::Slice<crate::rows::WebhookRow>, description = "`{data, next_cursor}`")))]
pub async fn list_webhooks(state: Data<State>, caller: Caller, query: ListQuery<NoFilter>) -> Result<Json<Slice<Webhook>>, Problem> {
    caller.require(may_manage)?;
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &scope, &page)).await?;
    Ok(Json(Slice::from(slice)))
}

/// One webhook, without its secret.
#[utoipa::path(get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 200, body = crate::rows::WebhookRow, description = "The webhook"), (status = 404, description = "Not there for this caller")))]
pub async fn get_webhook(state: Data<State>, caller: Caller, webhook_id: Path<String>) -> Result<Json<Webhook>, Problem> {
    caller.require(may_manage)?;
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &webhook_id)).await?))
}

/// Changes a webhook, switches it on or off.
#[utoipa::path(patch, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)), request_body = WebhookPatchBody,
    responses((status = 200, body = crate::rows::WebhookRow, description = "The webhook"), (status = 404, description = "Not there for this caller"), (status = 422, description = "Fields that are wrong")))]
pub async fn update_webhook(
    state: Data<State>,
    caller: Caller,
    webhook_id: Path<String>,
    body: JsonBody<WebhookPatchBody>,
) -> Result<Json<Webhook>, Problem> {
    caller.require(may_manage)?;
    let (scope, now, body) = (caller.scope(), state.clock.now(), body.0);
    let storage = state.storage.scoped(&scope);
    // Names are looked up for those only whose webhook it is.
    let (reader, id) = (scope.clone(), webhook_id.clone());
    storage.read(move |conn| stored::find(conn, &reader, &id)).await?;
    check(&state, body.url.as_deref(), body.description.as_deref(), body.event_types.as_deref()).await?;
    let patch = WebhookPatch { url: body.url, description: body.description, event_types: body.event_types, is_enabled: body.is_enabled };
    Ok(Json(storage.transaction(move |conn| stored::update(conn, &scope, &webhook_id, &patch, now)).await?))
}

/// Removes a webhook with its log.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 204, description = "Gone"), (status = 404, description = "Not there for this caller")))]
pub async fn delete_webhook(state: Data<State>, caller: Caller, webhook_id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    state.storage.scoped(&scope).transaction(move |conn| stored::remove(conn, &scope, &webhook_id, now)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// How a secret is changed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RotateQuery {
    /// Whether the secrets before are worth nothing at once, because one has leaked (default false: the present one signs for 24 hours more).
    pub at_once: Option<bool>,
}

/// Gives a webhook another secret, shown once. For 24 hours everything is signed with both, unless `at_once` is asked for.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/rotate-secret", tag = "webhooks", params(("webhook_id" = String, Path), RotateQuery, ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 400, description = "The Idempotency-Key cannot be read"), (status = 200, body = crate::rows::WebhookRow, description = "The webhook and, once, its new `secret`"), (status = 404, description = "Not there for this caller"), (status = 409, description = "Changed within the last 24 hours, and not asked to do it at once")))]
pub async fn rotate_webhook_secret(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    webhook_id: Path<String>,
    query: QueryOf<RotateQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let at_once = query.0.at_once.unwrap_or(false);
    let request = key.of(&caller, if at_once { b"at once" } else { b"" });
    let (scope, now) = (caller.scope(), state.clock.now());
    let sealed = sealed(&state, &signing::generate(), &webhook_id)?;
    let made = repeat::made(&state.storage.scoped(&scope), request, now, move |conn| {
        let row = stored::rotate(conn, &scope, &webhook_id, &sealed, (!at_once).then(|| now + BOTH_FOR), now)?;
        Ok(Answer { status: StatusCode::OK, body: shown_with(&row, &sealed) })
    })
    .await?;
    with_secret(&state, made)
}

/// Sends a test event, whatever the webhook has subscribed to; what comes of it is in the log.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/test", tag = "webhooks", params(("webhook_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 400, description = "The Idempotency-Key cannot be read"), (status = 202, body = crate::rows::DeliveryRow, description = "The delivery, which is due now"), (status = 404, description = "Not there for this caller"), (status = 409, description = "The webhook is off")))]
pub async fn test_webhook(state: Data<State>, caller: Caller, key: RepeatKey, webhook_id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let request = key.of(&caller, b"");
    let (scope, now) = (caller.scope(), state.clock.now());
    let answer =
        repeat::create(&state.storage.scoped(&scope), request, now, move |conn: &mut Connection| -> Result<Answer, StorageError> {
            let webhook = deliveries::require_enabled(conn, &scope, &webhook_id)?;
            let event_id = domain::id::new("evt");
            let body = events::test(&event_id, &scope, webhook.tenant_id.as_deref(), now);
            let delivery = deliveries::insert(conn, &scope, &NewDelivery::new(&webhook, &event_id, TEST, body, now))?;
            Ok(Answer { status: StatusCode::ACCEPTED, body: json!(delivery) })
        })
        .await?;
    state.webhooks.due.notify_one();
    Ok(answer)
}

/// The types of events that webhooks may subscribe to.
#[utoipa::path(get, path = "/v1/webhook-event-types", tag = "webhooks",
    responses((status = 200, body = crate::rows::EventTypesRow, description = "`{data: [{name, description, fields, is_for_all}]}`")))]
pub async fn list_webhook_event_types(caller: Caller) -> Result<Json<EventTypes>, Problem> {
    caller.require(may_manage)?;
    Ok(Json(EventTypes { data: &TYPES }))
}
