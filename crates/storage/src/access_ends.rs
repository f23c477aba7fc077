//! Access that was taken away: sessions that ended, accounts that may do less, keys that were revoked. Written to the outbox in the transaction
//! that takes it, so that every process with sockets closes those that were opened with it, and opens no new ones for tokens that are out still.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::outbox::{self, Destination, NewEvent, OutboxEvent};
use crate::schema::outbox_events as t;
use crate::types::Timestamp;

/// Topic of these events in the outbox; no room has this name, and no client is told of them.
pub const TOPIC: &str = "access_ends";

/// What ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccessEnd {
    /// One sign-in.
    Session {
        /// Which.
        session_id: String,
    },
    /// Whatever an account was given before.
    Account {
        /// Whose.
        account_id: String,
        /// The sign-in that goes on.
        spared: Option<String>,
        /// Sign-ins whose tokens may say the second of the end as the time of their issue.
        latest: BTreeSet<String>,
    },
    /// An API key.
    Key {
        /// Which.
        key_id: String,
    },
}

/// Writes what ended; call it in the transaction that ends it.
///
/// # Errors
/// As any query.
pub fn tell(conn: &mut Connection, end: &AccessEnd, now: DateTime<Utc>) -> Result<(), StorageError> {
    let payload =
        serde_json::to_value(end).map_err(|error| StorageError::Corrupt(format!("an end of access cannot be written: {error}")))?;
    // Of no tenant: nobody reads it but the processes themselves.
    let event =
        NewEvent { destination: Destination::Realtime, topic: TOPIC.to_owned(), event: "ended".to_owned(), payload, tenant_id: None };
    outbox::push(conn, &event, now).map(drop)
}

/// What an event says, and when that was; nothing for other events.
#[must_use]
pub fn read(event: &OutboxEvent) -> Option<(AccessEnd, DateTime<Utc>)> {
    if event.topic != TOPIC {
        return None;
    }
    match serde_json::from_value(event.payload.0.clone()) {
        Ok(end) => Some((end, event.created_at.0)),
        Err(error) => {
            tracing::error!(%error, event_id = event.event_id, "an end of access cannot be read");
            None
        }
    }
}

/// What ended since `from` and is in the outbox still, at the events after `after` (0 for the first), oldest first.
///
/// # Errors
/// As any query.
pub fn since(conn: &mut Connection, from: DateTime<Utc>, after: i64, limit: i64) -> Result<Vec<OutboxEvent>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::created_at.ge(Timestamp(from)).and(t::topic.eq(TOPIC)).and(t::id.gt(after)))
        .order(t::id)
        .limit(limit)
        .select(OutboxEvent::as_select())
        .load(c))?)
}
