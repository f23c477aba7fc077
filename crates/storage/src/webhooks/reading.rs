//! Makes events into deliveries: what is new in the outbox, one row for each webhook that hears of it, and how far that came, in one
//! transaction. A process that is killed has done all of it or nothing; a sequence that is committed late is looked for again; and what is
//! read twice all the same makes no second delivery, because webhook and event are a key.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;

use super::Webhook;
use super::deliveries::NewDelivery;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::outbox::{self, OutboxEvent};
use crate::schema::{outbox_events as o, webhook_deliveries as d, webhook_readings as t, webhooks as w};
use crate::types::{Json, Timestamp};
use crate::{insert_new, lock, on};

/// The only reader so far.
const READER: &str = "outbox";

/// Events read at once.
const EVENTS: i64 = 500;

/// Rows in one insert.
const ROWS: usize = 200;

/// How long a sequence that was passed over is looked for: several times as long as any statement may take.
const MISSING_FOR: TimeDelta = TimeDelta::minutes(10);

/// Most sequences looked for again; beyond that the oldest are given up.
const MOST_MISSING: usize = 2_000;

/// Who hears of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The tenant whose it is, and the platform.
    Tenant,
    /// Every tenant, and the platform.
    Everyone,
}

/// An event in the words in which webhooks are told of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its type.
    pub event_type: &'static str,
    /// Who hears of it.
    pub audience: Audience,
    /// The body.
    pub payload: String,
}

/// What one reading did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Events read.
    pub events: usize,
    /// Deliveries made.
    pub deliveries: usize,
    /// Whether there is more to read at once.
    pub has_more: bool,
}

/// Whether there is something to read: cheap, and without a lock.
///
/// # Errors
/// As any query.
pub fn is_behind(conn: &mut Connection) -> Result<bool, StorageError> {
    let reading: Option<(i64, Json)> =
        on!(conn, c => t::table.filter(t::reader.eq(READER)).select((t::carried, t::missing)).first(c).optional())?;
    let Some((carried, missing)) = reading else { return Ok(true) };
    Ok(missing.as_array().is_some_and(|missing| !missing.is_empty()) || outbox::newest(conn)? > carried)
}

/// Reads on. The first reading of all only notes where it begins. A webhook with `most_pending` deliveries that wait is switched off.
/// Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn carry(
    conn: &mut Connection,
    tell: &dyn Fn(&OutboxEvent) -> Option<Told>,
    most_pending: i64,
    now: DateTime<Utc>,
) -> Result<Carried, StorageError> {
    let Some((id, carried, mut missing)) = begin(conn, now)? else { return Ok(Carried::default()) };
    let new: Vec<OutboxEvent> =
        on!(conn, c => o::table.filter(o::id.gt(carried)).order(o::id).limit(EVENTS).select(OutboxEvent::as_select()).load(c))?;
    let looked_for: Vec<i64> = missing.keys().copied().collect();
    let mut events: Vec<OutboxEvent> = if looked_for.is_empty() {
        Vec::new()
    } else {
        on!(conn, c => o::table.filter(o::id.eq_any(&looked_for)).order(o::id).select(OutboxEvent::as_select()).load(c))?
    };
    for found in &events {
        missing.remove(&found.id);
    }
    let upto = new.last().map_or(carried, |event| event.id);
    let there: BTreeSet<i64> = new.iter().map(|event| event.id).collect();
    let passed_over = (carried + 1).max(upto - 10 * EVENTS)..upto;
    missing.extend(passed_over.filter(|sequence| !there.contains(sequence)).map(|sequence| (sequence, now)));
    missing.retain(|_, since| now - *since < MISSING_FOR);
    while missing.len() > MOST_MISSING {
        missing.pop_first();
    }
    let has_more = new.len() >= usize::try_from(EVENTS).unwrap_or(usize::MAX);
    events.extend(new);
    let deliveries = make(conn, &events, tell, most_pending, now)?;
    let list: Vec<_> = missing.iter().map(|(sequence, since)| json!([sequence, since.timestamp_micros()])).collect();
    let changes = (t::carried.eq(upto), t::missing.eq(Json(json!(list))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(id)).set(changes).execute(c))?;
    Ok(Carried { events: events.len(), deliveries, has_more })
}

/// Sequences that are looked for again, each with when it was passed over.
type Missing = BTreeMap<i64, DateTime<Utc>>;

/// The place where reading goes on, held until the end of the transaction; `None` when it was only just made.
fn begin(conn: &mut Connection, now: DateTime<Utc>) -> Result<Option<(i64, i64, Missing)>, StorageError> {
    let query = t::table.filter(t::reader.eq(READER)).select((t::id, t::carried, t::missing));
    let rows: Vec<(i64, i64, Json)> = lock!(conn, query => (i64, i64, Json))?;
    if let Some((id, carried, missing)) = rows.into_iter().next() {
        let read = |pair: &serde_json::Value| Some((pair[0].as_i64()?, DateTime::from_timestamp_micros(pair[1].as_i64()?)?));
        return Ok(Some((id, carried, missing.as_array().into_iter().flatten().filter_map(read).collect())));
    }
    let newest = outbox::newest(conn)?;
    let row = (
        t::reader.eq(READER),
        t::carried.eq(newest),
        t::missing.eq(Json(json!([]))),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    insert_new!(conn, t::table, &row)?;
    Ok(None)
}

fn make(
    conn: &mut Connection,
    events: &[OutboxEvent],
    tell: &dyn Fn(&OutboxEvent) -> Option<Told>,
    most_pending: i64,
    now: DateTime<Utc>,
) -> Result<usize, StorageError> {
    let told: Vec<(&OutboxEvent, Told)> = events.iter().filter_map(|event| Some((event, tell(event)?))).collect();
    if told.is_empty() {
        return Ok(0);
    }
    let webhooks = hearers(conn, &told)?;
    let mut rows = Vec::new();
    for webhook in &webhooks {
        let heard: Vec<_> = told.iter().filter(|(event, told)| is_for(webhook, event, told)).collect();
        if heard.is_empty() || is_full(conn, webhook, most_pending, now)? {
            continue;
        }
        rows.extend(
            heard.iter().map(|(event, told)| NewDelivery::new(webhook, &event.event_id, told.event_type, told.payload.clone(), now)),
        );
    }
    let mut made = 0;
    for chunk in rows.chunks(ROWS) {
        made += insert_new!(conn, d::table, chunk)?;
    }
    Ok(made)
}

/// Webhooks that are on, of those whom these events may concern.
fn hearers(conn: &mut Connection, told: &[(&OutboxEvent, Told)]) -> Result<Vec<Webhook>, StorageError> {
    let is_for_all = told.iter().any(|(_, told)| told.audience == Audience::Everyone);
    let tenants: BTreeSet<&str> = told.iter().filter_map(|(event, _)| event.tenant_id.as_deref()).collect();
    Ok(on!(conn, c => {
        let mut query = w::table.filter(w::is_enabled.eq(true)).order(w::id).select(Webhook::as_select()).into_boxed();
        if !is_for_all {
            query = query.filter(w::tenant_id.is_null().or(w::tenant_id.eq_any(&tenants)));
        }
        query.load(c)
    })?)
}

fn is_for(webhook: &Webhook, event: &OutboxEvent, told: &Told) -> bool {
    let concerns = webhook.tenant_id.is_none() || told.audience == Audience::Everyone || webhook.tenant_id == event.tenant_id;
    concerns && webhook.hears(told.event_type)
}

/// Whether a webhook has so much waiting that no more is kept for it; then it is switched off.
fn is_full(conn: &mut Connection, webhook: &Webhook, most_pending: i64, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let waiting = d::table.filter(d::webhook_id.eq(&webhook.webhook_id).and(d::status.eq("pending")));
    let beyond: Option<i64> = on!(conn, c => waiting.order(d::id).offset(most_pending - 1).select(d::id).first(c).optional())?;
    if beyond.is_some() {
        super::disable(conn, webhook, &format!("{most_pending} deliveries waited"), now)?;
    }
    Ok(beyond.is_some())
}
