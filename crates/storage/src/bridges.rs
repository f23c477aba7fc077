//! Bridges that carry events to a hosted project: how far each has come, and which process works it. A process holds a bridge for a short time
//! that it renews with its work, so that after its end another goes on from the same place.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::outbox;
use crate::prepared::change;
use crate::schema::realtime_bridges as t;
use crate::types::Timestamp;
use crate::{insert_new, lock, on};

/// Takes a bridge, or holds it longer; the sequence up to which events were carried, or `None` while another process holds it. A bridge that
/// is new begins with what is new: nobody there waits for the past. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn take(conn: &mut Connection, bridge: &str, holder: &str, hold: TimeDelta, now: DateTime<Utc>) -> Result<Option<i64>, StorageError> {
    let mut row = locked(conn, bridge)?;
    if row.is_none() {
        let newest = outbox::newest(conn)?;
        let fresh = (
            (t::bridge.eq(bridge), t::carried.eq(newest), t::holder.eq(holder), t::held_until.eq(Timestamp(now + hold))),
            (t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
        );
        if insert_new!(conn, t::table, &fresh)? > 0 {
            return Ok(Some(newest));
        }
        row = locked(conn, bridge)?;
    }
    let (id, carried, held_by, until) =
        row.ok_or_else(|| StorageError::Corrupt(format!("the bridge {bridge} is not there after it was made")))?;
    if held_by != holder && until.0 > now {
        return Ok(None);
    }
    let changes = (t::holder.eq(holder), t::held_until.eq(Timestamp(now + hold)), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => change(t::table, t::id.eq(id), changes).execute(c))?;
    Ok(Some(carried))
}

/// Notes how far events were carried; `false` when another process has the bridge by now.
///
/// # Errors
/// As any query.
pub fn note(
    conn: &mut Connection,
    bridge: &str,
    holder: &str,
    carried: i64,
    hold: TimeDelta,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let own = t::bridge.eq(bridge).and(t::holder.eq(holder));
    let changes = (t::carried.eq(carried), t::held_until.eq(Timestamp(now + hold)), t::updated_at.eq(Timestamp(now)));
    Ok(on!(conn, c => change(t::table, own, changes).execute(c))? == 1)
}

/// Lets another process take a bridge at once.
///
/// # Errors
/// As any query.
pub fn leave(conn: &mut Connection, bridge: &str, holder: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let own = t::bridge.eq(bridge).and(t::holder.eq(holder));
    let changes = (t::held_until.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => change(t::table, own, changes).execute(c))?;
    Ok(())
}

fn locked(conn: &mut Connection, bridge: &str) -> Result<Option<(i64, i64, String, Timestamp)>, StorageError> {
    let query = t::table.filter(t::bridge.eq(bridge)).select((t::id, t::carried, t::holder, t::held_until));
    let rows: Vec<(i64, i64, String, Timestamp)> = lock!(conn, query => (i64, i64, String, Timestamp))?;
    Ok(rows.into_iter().next())
}
