//! Leases whose time runs out: their holders are warned and told, and the tasks come to others.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use storage::assignments::{self, Ended};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};

/// A holder is warned so long before the end.
pub const WARN_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// Leases looked at in one transaction.
const BATCH: i64 = 200;

/// Ends leases that are past their time and tells their holders; how many.
///
/// # Errors
/// As any query.
pub fn end(tx: &mut Connection, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let ended = assignments::sweep_expired(tx, now, BATCH)?;
    tell(tx, "lease_expired", &ended, now)
}

/// Warns the holders of leases that are about to end; how many.
///
/// # Errors
/// As any query.
pub fn warn(tx: &mut Connection, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let ending = assignments::warn_of_end(tx, now, WARN_WITHIN, BATCH)?;
    tell(tx, "lease_ending", &ending, now)
}

fn tell(tx: &mut Connection, event: &str, leases: &[Ended], now: DateTime<Utc>) -> Result<usize, StorageError> {
    if leases.is_empty() {
        return Ok(0);
    }
    let events: Vec<NewEvent> = leases
        .iter()
        .map(|lease| NewEvent {
            destination: Destination::Realtime,
            topic: format!("rater:{}", lease.rater_id),
            event: event.to_owned(),
            payload: json!({"assignment_id": lease.assignment_id, "lease_expires_at": lease.expires_at}),
            tenant_id: None,
        })
        .collect();
    outbox::push_all(tx, &events, now)?;
    Ok(leases.len())
}
