//! Deliveries as their owners see them: the log, one with its payload, and sending again.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::json;

use super::{Webhook, attempts};
use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine};
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::webhook_deliveries as t;
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// Most deliveries that are replayed at once.
pub const MAX_REPLAYED: i64 = 1_000;

/// A delivery.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Delivery {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub delivery_id: String,
    /// To whom.
    pub webhook_id: String,
    /// Whose it is; `None` is the platform's.
    pub tenant_id: Option<String>,
    /// The event; it is sent as `webhook-id`, by which a receiver knows repeats.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// The body, byte for byte as it is signed and sent.
    #[serde(skip)]
    pub payload: String,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    /// Attempts since it was made or replayed.
    pub attempts: i32,
    /// How often it was replayed.
    pub replays: i32,
    /// When it is tried next; while it is being sent, when another process may take it over.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was tried last.
    pub last_attempt_at: Option<Timestamp>,
    /// What the receiver answered last.
    pub last_http_status: Option<i32>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// How long the last attempt took.
    pub duration_ms: Option<i32>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Its last attempts, as [`super::attempts`] has them; `None` in rows made before they were kept.
    #[serde(skip)]
    pub history: Option<Json>,
}

/// A delivery to make.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewDelivery {
    pub delivery_id: String,
    pub webhook_id: String,
    pub tenant_id: Option<String>,
    pub event_id: String,
    pub event_type: String,
    pub payload: String,
    pub status: &'static str,
    pub attempts: i32,
    pub replays: i32,
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl NewDelivery {
    /// Of an event, due at once.
    #[must_use]
    pub fn new(webhook: &Webhook, event_id: &str, event_type: &str, payload: String, now: DateTime<Utc>) -> Self {
        Self {
            delivery_id: domain::id::new("dlv"),
            webhook_id: webhook.webhook_id.clone(),
            tenant_id: webhook.tenant_id.clone(),
            event_id: event_id.to_owned(),
            event_type: event_type.to_owned(),
            payload,
            status: "pending",
            attempts: 0,
            replays: 0,
            next_attempt_at: Some(Timestamp(now)),
            created_at: Timestamp(now),
            updated_at: Timestamp(now),
        }
    }
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// To this webhook.
    pub webhook_id: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Of this type of event.
    pub event_type: Option<String>,
    /// Made from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Made before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// What a replay of many did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Deliveries that are sent again.
    pub replayed: usize,
    /// Whether there are others; ask again for those.
    pub has_more: bool,
}

/// The query of the log, to be run or to be explained.
macro_rules! wanted {
    ($scope:expr, $filter:expr, $page:expr) => {{
        let mut query = t::table.select(Delivery::as_select()).order(t::id.desc()).limit($page.fetch()).into_boxed();
        if let Some(tenant) = $scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(webhook) = &$filter.webhook_id {
            query = query.filter(t::webhook_id.eq(webhook));
        }
        if let Some(status) = &$filter.status {
            query = query.filter(t::status.eq(status));
        }
        if let Some(event_type) = &$filter.event_type {
            query = query.filter(t::event_type.eq(event_type));
        }
        if let Some(from) = $filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = $filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        if let Some(after) = $page.after {
            query = query.filter(t::id.lt(after));
        }
        query
    }};
}

/// Deliveries of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &DeliveryFilter, page: &Page) -> Result<Slice<Delivery>, StorageError> {
    let rows: Vec<Delivery> = on!(conn, c => wanted!(scope, filter, page).load(c))?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// How the log is read.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, scope: &Scope, filter: &DeliveryFilter, page: &Page) -> Result<String, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = on!(conn, c => Explained { words, query: wanted!(scope, filter, page) }.load(c))?;
    Ok(lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n"))
}

/// One delivery.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, delivery_id: &str) -> Result<Delivery, StorageError> {
    let found: Option<Delivery> =
        on!(conn, c => t::table.filter(t::delivery_id.eq(delivery_id)).select(Delivery::as_select()).first(c).optional())?;
    found.filter(|row| scope.may_see(row.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("delivery", delivery_id))
}

/// Adds one delivery: a test.
///
/// # Errors
/// As any query.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewDelivery) -> Result<Delivery, StorageError> {
    on!(conn, c => diesel::insert_into(t::table).values(new).execute(c))?;
    find(conn, scope, &new.delivery_id)
}

/// Sends a delivery again, under the same event id, with all its attempts before it. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when it is still being tried or its webhook is off.
pub fn replay(conn: &mut Connection, scope: &Scope, delivery_id: &str, now: DateTime<Utc>) -> Result<Delivery, StorageError> {
    let row = locked(conn, scope, delivery_id)?;
    if row.status == "pending" {
        return Err(StorageError::conflict("conflict", "it is still being tried by itself: send it now, or replay it when that has ended"));
    }
    require_enabled(conn, scope, &row.webhook_id)?;
    again(conn, &[row.id], now)?;
    super::record(
        conn,
        scope,
        row.tenant_id.as_deref(),
        "webhook.replayed",
        &row.webhook_id,
        json!({"delivery_id": delivery_id, "deliveries": 1}),
        now,
    )?;
    find(conn, scope, delivery_id)
}

fn locked(conn: &mut Connection, scope: &Scope, delivery_id: &str) -> Result<Delivery, StorageError> {
    let rows: Vec<Delivery> = lock!(conn, t::table.filter(t::delivery_id.eq(delivery_id)).select(Delivery::as_select()) => Delivery)?;
    let row = rows.into_iter().find(|row| scope.may_see(row.tenant_id.as_deref()));
    row.ok_or_else(|| StorageError::not_found("delivery", delivery_id))
}

/// Makes the next attempt of a waiting delivery due now; it counts as any other. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when it does not wait, or is being sent.
pub fn send_now(conn: &mut Connection, scope: &Scope, delivery_id: &str, now: DateTime<Utc>) -> Result<Delivery, StorageError> {
    let row = locked(conn, scope, delivery_id)?;
    if row.status != "pending" {
        return Err(StorageError::conflict("conflict", format!("it does not wait, it is {}: replay it to send it again", row.status)));
    }
    if attempts::is_under_way(&row, now) {
        return Err(StorageError::conflict("conflict", "it is being sent at this moment; look at what comes of it"));
    }
    // What is due already keeps its place before what came later.
    if row.next_attempt_at.is_some_and(|at| at.0 > now) {
        let changes = (t::next_attempt_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(t::table.find(row.id)).set(changes).execute(c))?;
        let detail = json!({"delivery_id": delivery_id});
        super::record(conn, scope, row.tenant_id.as_deref(), "webhook.sent_now", &row.webhook_id, detail, now)?;
    }
    find(conn, scope, delivery_id)
}

/// Sends again what failed for good since an instant, oldest first, at most [`MAX_REPLAYED`]. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when the webhook is off.
pub fn replay_failed(
    conn: &mut Connection,
    scope: &Scope,
    webhook_id: &str,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Replayed, StorageError> {
    let webhook = require_enabled(conn, scope, webhook_id)?;
    let mut ids: Vec<i64> = lock!(conn, t::table
        .filter(t::webhook_id.eq(webhook_id).and(t::status.eq("failed")).and(t::created_at.ge(Timestamp(since))))
        .order(t::id)
        .limit(MAX_REPLAYED + 1)
        .select(t::id) => i64)?;
    let most = usize::try_from(MAX_REPLAYED).unwrap_or(usize::MAX);
    let has_more = ids.len() > most;
    ids.truncate(most);
    again(conn, &ids, now)?;
    if !ids.is_empty() {
        let detail = json!({"since": since, "deliveries": ids.len()});
        super::record(conn, scope, webhook.tenant_id.as_deref(), "webhook.replayed", webhook_id, detail, now)?;
    }
    Ok(Replayed { replayed: ids.len(), has_more })
}

fn again(conn: &mut Connection, ids: &[i64], now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (
        t::status.eq("pending"),
        t::attempts.eq(0),
        t::replays.eq(t::replays + 1),
        t::next_attempt_at.eq(Some(Timestamp(now))),
        t::delivered_at.eq(None::<Timestamp>),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.filter(t::id.eq_any(ids))).set(changes).execute(c))?;
    Ok(())
}

/// The webhook, which must be on: what is made for one that is off would be given up at once.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`conflict`) when it is off.
pub fn require_enabled(conn: &mut Connection, scope: &Scope, webhook_id: &str) -> Result<Webhook, StorageError> {
    let row = super::locked(conn, scope, webhook_id)?;
    if row.is_enabled {
        return Ok(row);
    }
    Err(StorageError::conflict("conflict", "the webhook is off; switch it on first"))
}

/// Deletes deliveries made before an instant that are not waiting, at most `limit`; how many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>, limit: i64) -> Result<usize, StorageError> {
    let old = t::table.filter(t::created_at.lt(Timestamp(before)).and(t::status.ne("pending"))).order(t::created_at).limit(limit);
    let ids: Vec<i64> = on!(conn, c => old.select(t::id).load(c))?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::id.eq_any(&ids))).execute(c))?)
}

/// How many deliveries wait, and since when the oldest that is due waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Deliveries that are not done, whenever they are due.
    pub pending: i64,
    /// How long the one that is due for longest has been due.
    pub overdue: TimeDelta,
}

/// What waits.
///
/// # Errors
/// As any query.
pub fn waiting(conn: &mut Connection, now: DateTime<Utc>) -> Result<Waiting, StorageError> {
    let all = t::table.filter(t::status.eq("pending"));
    let pending: i64 = on!(conn, c => all.count().get_result(c))?;
    let first: Option<Option<Timestamp>> = on!(conn, c => all.order(t::next_attempt_at).select(t::next_attempt_at).first(c).optional())?;
    let overdue = first.flatten().map_or(TimeDelta::zero(), |at| (now - at.0).max(TimeDelta::zero()));
    Ok(Waiting { pending, overdue })
}
