//! Events, written in the transaction that causes them and delivered after it.
//!
//! Realtime events are read by every process by sequence (`after`); events for another service are delivered at least once (`due`).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde_json::Value;

use crate::types::{Json, Timestamp};

use crate::announcements;
use crate::batch::{Batch, Must, enter};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::outbox_events as t;

/// Who is to hear of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// WebSocket clients.
    Realtime,
    /// The RLHF backend's private listener.
    RlhfBackend,
    /// The rater app's private listener.
    RaterApp,
}

impl Destination {
    fn word(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::RlhfBackend => "rlhf_backend",
            Self::RaterApp => "rater_app",
        }
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct OutboxEvent {
    /// The sequence.
    pub id: i64,
    /// Public id; consumers use it to drop repeats.
    pub event_id: String,
    /// Realtime topic, or the operation at the destination.
    pub topic: String,
    /// Name of the event.
    pub event: String,
    /// What happened.
    pub payload: Json,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Failed deliveries so far.
    pub attempts: i32,
    /// When it happened.
    pub created_at: Timestamp,
}

/// An event to write.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Who is to hear of it.
    pub destination: Destination,
    /// Realtime topic, or the operation at the destination.
    pub topic: String,
    /// Name of the event.
    pub event: String,
    /// What happened.
    pub payload: Value,
    /// Whose it is.
    pub tenant_id: Option<String>,
}

/// Writes an event; call it inside the transaction that makes it true. The event's id.
///
/// # Errors
/// As any query.
pub fn push(conn: &mut Connection, event: &NewEvent, now: DateTime<Utc>) -> Result<String, StorageError> {
    let mut ids = push_all(conn, std::slice::from_ref(event), now)?;
    ids.pop().ok_or_else(|| StorageError::Corrupt("an event without id".to_owned()))
}

/// Writes several events. Their ids.
///
/// # Errors
/// As any query.
pub fn push_all(conn: &mut Connection, events: &[NewEvent], now: DateTime<Utc>) -> Result<Vec<String>, StorageError> {
    let mut ids = Vec::with_capacity(events.len());
    for one in events.chunks(1) {
        let mut batch = Batch::default();
        ids.extend(enter_all(conn, &mut batch, one, now)?);
        batch.finish(conn)?;
    }
    Ok(ids)
}

/// Writes several events with other changes, one after the other: an insert of one row is prepared once a connection, one of several rows
/// is not. Their ids.
///
/// # Errors
/// As any query.
pub fn enter_all<'a>(
    conn: &mut Connection,
    batch: &mut Batch<'a>,
    events: &'a [NewEvent],
    now: DateTime<Utc>,
) -> Result<Vec<String>, StorageError> {
    if events.iter().any(|event| event.destination == Destination::Realtime) {
        announcements::note_written();
    }
    let mut ids = Vec::with_capacity(events.len());
    for event in events {
        let event_id = domain::id::new("evt");
        let row = (
            t::event_id.eq(event_id.clone()),
            t::destination.eq(event.destination.word()),
            t::topic.eq(&event.topic),
            t::event.eq(&event.event),
            t::payload.eq(Json(event.payload.clone())),
            t::tenant_id.eq(event.tenant_id.as_deref()),
            t::created_at.eq(Timestamp(now)),
        );
        enter!(conn, batch, Must::ChangeOne, diesel::insert_into(t::table).values(row))?;
        ids.push(event_id);
    }
    Ok(ids)
}

/// The newest sequence of all; 0 when there is none.
///
/// # Errors
/// As any query.
pub fn newest(conn: &mut Connection) -> Result<i64, StorageError> {
    let newest: Option<i64> = on!(conn, c => t::table.select(diesel::dsl::max(t::id)).first(c))?;
    Ok(newest.unwrap_or(0))
}

/// All sequences after one, whoever is to hear of them: what is missing between them may still be committed.
///
/// # Errors
/// As any query.
pub fn sequences(conn: &mut Connection, after: i64) -> Result<Vec<i64>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::id.gt(after)).order(t::id).limit(1000).select(t::id).load(c))?)
}

/// Realtime events after a sequence, and those of the `missing` sequences before it that are there by now; oldest first. A transaction
/// that began earlier may commit a lower sequence later, so a reader asks again for the gaps in what it has seen.
///
/// # Errors
/// As any query.
pub fn after(conn: &mut Connection, sequence: i64, missing: &[i64], limit: i64) -> Result<Vec<OutboxEvent>, StorageError> {
    let word = Destination::Realtime.word();
    let limit = limit.clamp(1, 1000);
    let mut events: Vec<OutboxEvent> = on!(conn, c => t::table
        .filter(t::destination.eq(word).and(t::id.gt(sequence)))
        .order(t::id)
        .limit(limit)
        .select(OutboxEvent::as_select())
        .load(c))?;
    if !missing.is_empty() {
        let late: Vec<OutboxEvent> = on!(conn, c => t::table
            .filter(t::destination.eq(word).and(t::id.eq_any(missing)))
            .order(t::id)
            .select(OutboxEvent::as_select())
            .load(c))?;
        events.splice(0..0, late);
    }
    Ok(events)
}

/// In the text, so that the index of what services are told may be used.
fn is_of_a_service() -> SqlLiteral<Bool> {
    sql("outbox_events.destination <> 'realtime'")
}

/// Events for another service that wait for delivery, oldest first.
///
/// # Errors
/// As any query.
pub fn due(conn: &mut Connection, to: Destination, now: DateTime<Utc>, limit: i64) -> Result<Vec<OutboxEvent>, StorageError> {
    let limit = limit.clamp(1, 1000);
    let events = on!(conn, c => t::table
        .filter(t::destination.eq(to.word()).and(t::delivered_at.is_null()).and(is_of_a_service()))
        .filter(t::next_attempt_at.is_null().or(t::next_attempt_at.le(Timestamp(now))))
        .order(t::id)
        .limit(limit)
        .select(OutboxEvent::as_select())
        .load(c))?;
    Ok(events)
}

/// Those of one topic: each sender delivers its own.
///
/// # Errors
/// As any query.
pub fn due_on(
    conn: &mut Connection,
    to: Destination,
    topic: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<OutboxEvent>, StorageError> {
    let limit = limit.clamp(1, 1000);
    let events = on!(conn, c => t::table
        .filter(t::destination.eq(to.word()).and(t::topic.eq(topic)).and(t::delivered_at.is_null()).and(is_of_a_service()))
        .filter(t::next_attempt_at.is_null().or(t::next_attempt_at.le(Timestamp(now))))
        .order(t::id)
        .limit(limit)
        .select(OutboxEvent::as_select())
        .load(c))?;
    Ok(events)
}

/// Events for another service that were not delivered yet.
///
/// # Errors
/// As any query.
pub fn waiting(conn: &mut Connection, to: Destination) -> Result<i64, StorageError> {
    let query = t::table.filter(t::destination.eq(to.word()).and(is_of_a_service())).filter(t::delivered_at.is_null()).count();
    Ok(on!(conn, c => query.get_result(c))?)
}

/// Notes a delivery.
///
/// # Errors
/// As any query.
pub fn delivered(conn: &mut Connection, id: i64, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.find(id)).set((t::delivered_at.eq(Some(Timestamp(now))), t::last_error.eq(None::<String>))).execute(c))?;
    Ok(())
}

/// Notes a failed delivery; the next try comes after 1, 2, 4 … at most 300 seconds.
///
/// # Errors
/// As any query.
pub fn failed(conn: &mut Connection, event: &OutboxEvent, reason: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let seconds = (1_i64 << event.attempts.clamp(0, 9)).min(300);
    let reason: String = reason.chars().take(500).collect();
    let changes = (
        t::attempts.eq(event.attempts.saturating_add(1)),
        t::next_attempt_at.eq(Some(Timestamp(now + TimeDelta::seconds(seconds)))),
        t::last_error.eq(Some(reason)),
    );
    on!(conn, c => diesel::update(t::table.find(event.id)).set(changes).execute(c))?;
    Ok(())
}

/// Deletes realtime events older than `before`, and delivered ones; how many. The newest event of all stays whatever it is: a process that
/// starts reads from it how far the sequence had come, and with it that something was cleared away.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    // Read first: MariaDB refuses to delete from a table that the condition reads.
    let newest = newest(conn)?;
    let old = t::created_at.lt(Timestamp(before)).and(t::destination.eq(Destination::Realtime.word()).or(t::delivered_at.is_not_null()));
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::id.lt(newest).and(old))).execute(c))?)
}
