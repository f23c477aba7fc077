//! Leases whose time runs out: warning their holders, and ending them so that others get the task.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::queue;
use crate::schema::{rating_tasks as tasks, task_assignments as t};
use crate::types::Timestamp;
use crate::{lease, on};

/// A lease that was ended, or is about to end.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Ended {
    /// The assignment.
    pub assignment_id: String,
    /// Its task.
    pub task_id: String,
    /// Who held it.
    pub rater_id: String,
    /// `work`, `calibration` or `golden`.
    pub purpose: String,
    /// When its time is over.
    pub expires_at: Timestamp,
}

/// In the text and not a value, because only then may the index of leases alone be used, whatever its value would be.
fn is_leased() -> SqlLiteral<Bool> {
    sql("task_assignments.state = 'leased'")
}

/// Ends leases that are past their time and frees their slots: at most `limit`, longest over first. Tasks that somebody works on at this
/// very moment are left for the next time. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn sweep_expired(conn: &mut Connection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Ended>, StorageError> {
    let past = || is_leased().and(t::expires_at.le(Timestamp(now)));
    let found: Vec<Ended> = on!(conn, c => t::table
        .filter(past())
        .order(t::expires_at)
        .limit(limit.clamp(1, 500))
        .select((t::assignment_id, t::task_id, t::rater_id, t::purpose, t::expires_at))
        .load(c))?;
    let mut by_task: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    for lease in &found {
        by_task.entry(&lease.task_id).or_default().push(lease);
    }
    let mut ended = Vec::new();
    for (task_id, leases) in by_task {
        let locked: Vec<i64> = lease!(conn, tasks::table.filter(tasks::task_id.eq(task_id)).select(tasks::id) => i64)?;
        if locked.is_empty() {
            continue;
        }
        for lease in leases {
            let changes = (t::state.eq("expired"), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
            // Looked at again: a heartbeat may have come in between.
            let still = t::assignment_id.eq(&lease.assignment_id).and(past());
            if on!(conn, c => diesel::update(t::table.filter(still)).set(changes).execute(c))? == 0 {
                continue;
            }
            if lease.purpose == "work" {
                queue::free_places(conn, task_id, 1)?;
            }
            ended.push(lease.clone());
        }
    }
    Ok(ended)
}

/// Ends the leases of one task that are past their time and frees their slots. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn end_expired_of(conn: &mut Connection, task_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let past = is_leased().and(t::expires_at.le(Timestamp(now))).and(t::purpose.eq("work"));
    let changes = (t::state.eq("expired"), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    let ended = on!(conn, c => diesel::update(t::table.filter(t::task_id.eq(task_id).and(past))).set(changes).execute(c))?;
    match i32::try_from(ended) {
        Ok(ended) if ended > 0 => queue::free_places(conn, task_id, ended),
        _ => Ok(()),
    }
}

/// Leases that end within `within` and whose holders were not warned yet; they count as warned from then on. A heartbeat makes a
/// holder warnable again.
///
/// # Errors
/// As any query.
pub fn warn_of_end(conn: &mut Connection, now: DateTime<Utc>, within: TimeDelta, limit: i64) -> Result<Vec<Ended>, StorageError> {
    let soon = || is_leased().and(t::expires_at.gt(Timestamp(now))).and(t::expires_at.le(Timestamp(now + within)));
    let found: Vec<Ended> = on!(conn, c => t::table
        .filter(soon().and(t::warned_at.is_null()))
        .order(t::expires_at)
        .limit(limit.clamp(1, 500))
        .select((t::assignment_id, t::task_id, t::rater_id, t::purpose, t::expires_at))
        .load(c))?;
    let mut warned = Vec::new();
    for lease in found {
        let still = t::assignment_id.eq(&lease.assignment_id).and(soon()).and(t::warned_at.is_null());
        if on!(conn, c => diesel::update(t::table.filter(still)).set(t::warned_at.eq(Some(Timestamp(now)))).execute(c))? > 0 {
            warned.push(lease);
        }
    }
    Ok(warned)
}
