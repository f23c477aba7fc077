//! Webhooks: addresses that are told of events, each with a sealed secret that signs what is sent. What is sent is in [`deliveries`],
//! how events become deliveries in [`reading`], and who sends them in [`queue`].

pub mod attempts;
pub mod deliveries;
pub mod queue;
pub mod reading;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::json;

use crate::audit::{self, entry};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::{webhook_deliveries as d, webhooks as t};
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// Most webhooks of a tenant, and of the platform.
pub const MAX_OF_TENANT: i64 = 20;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Webhook {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub webhook_id: String,
    /// Whose it is; `None` is the platform's own, which is told of all tenants' events.
    pub tenant_id: Option<String>,
    /// Where events are sent.
    pub url: String,
    /// For the reader.
    pub description: String,
    /// Types of events that are sent.
    pub event_types: Json,
    /// The secret, sealed.
    #[serde(skip)]
    pub secret_sealed: String,
    /// The one before it, sealed.
    #[serde(skip)]
    pub previous_secret_sealed: Option<String>,
    /// Until when the one before it signs too.
    pub previous_secret_until: Option<Timestamp>,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// Why not, when it was not a person who switched it off.
    pub disabled_reason: Option<String>,
    /// Since when every attempt fails.
    pub failing_since: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether events of this type are sent.
    #[must_use]
    pub fn hears(&self, event_type: &str) -> bool {
        self.event_types.as_array().is_some_and(|types| types.iter().any(|one| one == event_type))
    }
}

/// A webhook to make.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewWebhook {
    pub webhook_id: String,
    pub tenant_id: Option<String>,
    pub url: String,
    pub description: String,
    pub event_types: Vec<String>,
    pub secret_sealed: String,
    pub is_enabled: bool,
}

/// What may be changed.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct WebhookPatch {
    pub url: Option<String>,
    pub description: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub is_enabled: Option<bool>,
}

/// Makes a webhook. Call it in a transaction.
///
/// # Errors
/// [`StorageError::Conflict`] (`conflict`) when the tenant has as many as it may have.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewWebhook, now: DateTime<Utc>) -> Result<Webhook, StorageError> {
    let own: Vec<i64> = match &new.tenant_id {
        Some(tenant) => lock!(conn, t::table.filter(t::tenant_id.eq(tenant)).order(t::id).select(t::id) => i64)?,
        None => lock!(conn, t::table.filter(t::tenant_id.is_null()).order(t::id).select(t::id) => i64)?,
    };
    if own.len() >= usize::try_from(MAX_OF_TENANT).unwrap_or(usize::MAX) {
        return Err(StorageError::conflict("conflict", format!("there are {MAX_OF_TENANT} webhooks already; remove one first")));
    }
    let row = (
        t::webhook_id.eq(&new.webhook_id),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::url.eq(&new.url),
        t::description.eq(&new.description),
        t::event_types.eq(Json(json!(new.event_types))),
        t::secret_sealed.eq(&new.secret_sealed),
        t::is_enabled.eq(new.is_enabled),
        t::created_by.eq(scope.actor()),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    let detail = json!({"url": new.url, "event_types": new.event_types});
    record(conn, scope, new.tenant_id.as_deref(), "webhook.created", &new.webhook_id, detail, now)?;
    find(conn, scope, &new.webhook_id)
}

/// One webhook.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, webhook_id: &str) -> Result<Webhook, StorageError> {
    let found: Option<Webhook> =
        on!(conn, c => t::table.filter(t::webhook_id.eq(webhook_id)).select(Webhook::as_select()).first(c).optional())?;
    found.filter(|row| scope.may_see(row.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("webhook", webhook_id))
}

/// Webhooks of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, page: &Page) -> Result<Slice<Webhook>, StorageError> {
    let rows: Vec<Webhook> = on!(conn, c => {
        let mut query = t::table.select(Webhook::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Changes a webhook. Switching it on begins anew: what made it be switched off is forgotten. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn update(
    conn: &mut Connection,
    scope: &Scope,
    webhook_id: &str,
    patch: &WebhookPatch,
    now: DateTime<Utc>,
) -> Result<Webhook, StorageError> {
    let mut row = locked(conn, scope, webhook_id)?;
    let was_enabled = row.is_enabled;
    row.url = patch.url.clone().unwrap_or(row.url);
    row.description = patch.description.clone().unwrap_or(row.description);
    row.event_types = patch.event_types.as_ref().map_or(row.event_types, |types| Json(json!(types)));
    row.is_enabled = patch.is_enabled.unwrap_or(row.is_enabled);
    if row.is_enabled && !was_enabled {
        (row.disabled_reason, row.failing_since) = (None, None);
    }
    let changes = (
        t::url.eq(&row.url),
        t::description.eq(&row.description),
        t::event_types.eq(row.event_types.clone()),
        t::is_enabled.eq(row.is_enabled),
        t::disabled_reason.eq(row.disabled_reason.as_deref()),
        t::failing_since.eq(row.failing_since),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(row.id)).set(changes).execute(c))?;
    if was_enabled && !row.is_enabled {
        give_up_waiting(conn, webhook_id, "the webhook was switched off", now)?;
    }
    let detail = json!({"url": row.url, "event_types": row.event_types, "is_enabled": row.is_enabled});
    record(conn, scope, row.tenant_id.as_deref(), "webhook.changed", webhook_id, detail, now)?;
    find(conn, scope, webhook_id)
}

/// Gives a webhook another secret. The present one signs too until `both_until`; without that it is worth nothing at once, nor is the one before
/// it. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) while the secret before the present one is still promised to sign.
pub fn rotate(
    conn: &mut Connection,
    scope: &Scope,
    webhook_id: &str,
    sealed: &str,
    both_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Webhook, StorageError> {
    let row = locked(conn, scope, webhook_id)?;
    if let Some(until) = row.previous_secret_until.filter(|until| both_until.is_some() && until.0 > now) {
        let until = until.0.format("%Y-%m-%d %H:%M UTC");
        let why = format!(
            "the secret was changed already, and the one before it signs until {until}; change it then, or at once (at_once=true) if a secret has leaked"
        );
        return Err(StorageError::conflict("conflict", why));
    }
    let changes = (
        t::secret_sealed.eq(sealed),
        t::previous_secret_sealed.eq(both_until.map(|_| row.secret_sealed)),
        t::previous_secret_until.eq(both_until.map(Timestamp)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(row.id)).set(changes).execute(c))?;
    let detail = json!({"both_until": both_until});
    record(conn, scope, row.tenant_id.as_deref(), "webhook.secret_rotated", webhook_id, detail, now)?;
    find(conn, scope, webhook_id)
}

/// Removes a webhook with its deliveries. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn remove(conn: &mut Connection, scope: &Scope, webhook_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let row = locked(conn, scope, webhook_id)?;
    on!(conn, c => diesel::delete(t::table.find(row.id)).execute(c))?;
    record(conn, scope, row.tenant_id.as_deref(), "webhook.removed", webhook_id, json!({"url": row.url}), now)
}

/// Switches a webhook off for a reason that its owner is to read; what waits is given up and may be replayed. Call it in a transaction.
///
/// # Errors
/// As any query.
pub(crate) fn disable(conn: &mut Connection, row: &Webhook, reason: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let on = t::webhook_id.eq(&row.webhook_id).and(t::is_enabled.eq(true));
    let changes = (t::is_enabled.eq(false), t::disabled_reason.eq(Some(reason)), t::updated_at.eq(Timestamp(now)));
    if on!(conn, c => diesel::update(t::table.filter(on)).set(changes).execute(c))? == 0 {
        return Ok(());
    }
    give_up_waiting(conn, &row.webhook_id, &format!("the webhook was switched off: {reason}"), now)?;
    let scope = Scope::system("webhooks");
    record(conn, &scope, row.tenant_id.as_deref(), "webhook.disabled", &row.webhook_id, json!({"reason": reason}), now)
}

fn give_up_waiting(conn: &mut Connection, webhook_id: &str, why: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let waiting = d::webhook_id.eq(webhook_id).and(d::status.eq("pending"));
    let changes =
        (d::status.eq("failed"), d::next_attempt_at.eq(None::<Timestamp>), d::last_error.eq(Some(why)), d::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(d::table.filter(waiting)).set(changes).execute(c))?;
    Ok(())
}

fn locked(conn: &mut Connection, scope: &Scope, webhook_id: &str) -> Result<Webhook, StorageError> {
    let rows: Vec<Webhook> = lock!(conn, t::table.filter(t::webhook_id.eq(webhook_id)).select(Webhook::as_select()) => Webhook)?;
    let own = rows.into_iter().find(|row| scope.may_see(row.tenant_id.as_deref()));
    own.ok_or_else(|| StorageError::not_found("webhook", webhook_id))
}

fn record(
    conn: &mut Connection,
    scope: &Scope,
    tenant: Option<&str>,
    action: &'static str,
    webhook_id: &str,
    detail: serde_json::Value,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    audit::append(conn, scope, &entry(tenant, action, format!("webhook:{webhook_id}"), detail), now).map(drop)
}

/// Webhooks after a primary key, for sealing their secrets anew.
///
/// # Errors
/// As any query.
pub fn sealed_after(conn: &mut Connection, after: i64, limit: i64) -> Result<Vec<Webhook>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::id.gt(after)).order(t::id).limit(limit).select(Webhook::as_select()).load(c))?)
}

/// Puts secrets that were sealed anew in the place of those that were read; `false` when they were changed meanwhile.
///
/// # Errors
/// As any query.
pub fn reseal(conn: &mut Connection, read: &Webhook, secret: &str, previous: Option<&str>) -> Result<bool, StorageError> {
    let same = t::id.eq(read.id).and(t::secret_sealed.eq(&read.secret_sealed));
    let changes = (t::secret_sealed.eq(secret), t::previous_secret_sealed.eq(previous));
    Ok(on!(conn, c => diesel::update(t::table.filter(same)).set(changes).execute(c))? == 1)
}
