//! Taking judgments out of the count and giving them back. A voided judgment stays, so that its rater does not get the task again, and
//! so that it can be given back.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{judgments as j, rater_actions as t, rating_tasks as tasks, task_assignments as a};
use crate::types::Timestamp;

/// Where a judgment is: `(judgment, task)`.
pub type Place = (String, String);

/// Judgments of a rater that count and were given between two instants, golden items left out, oldest first.
///
/// # Errors
/// As any query.
pub fn counted(
    conn: &mut Connection,
    rater_id: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Place>, StorageError> {
    Ok(on!(conn, c => j::table
        .inner_join(tasks::table.on(tasks::task_id.eq(j::task_id)))
        .filter(j::rater_id.eq(rater_id).and(j::voided_at.is_null()))
        .filter(j::created_at.ge(Timestamp(from)).and(j::created_at.le(Timestamp(to))))
        .filter(tasks::is_golden.eq(false))
        .order((j::created_at, j::id))
        .limit(limit)
        .select((j::judgment_id, j::task_id))
        .load(c))?)
}

/// Judgments that an action took out of the count, from the one after `after` (a primary key) on: each with its primary key.
///
/// # Errors
/// As any query.
pub fn voided_by(conn: &mut Connection, action_id: &str, after: i64, limit: i64) -> Result<Vec<(i64, Place)>, StorageError> {
    Ok(on!(conn, c => j::table
        .filter(j::voided_by_action.eq(action_id).and(j::id.gt(after)))
        .order(j::id)
        .limit(limit)
        .select((j::id, (j::judgment_id, j::task_id)))
        .load(c))?)
}

/// Leases on a task by others than this rater that have not ended, also those whose time is over: such a one may still be judged.
///
/// # Errors
/// As any query.
pub fn leases_of_others(conn: &mut Connection, task_id: &str, rater_id: &str) -> Result<i64, StorageError> {
    let held = a::task_id.eq(task_id).and(a::rater_id.ne(rater_id)).and(a::state.eq("leased")).and(a::purpose.eq("work"));
    Ok(on!(conn, c => a::table.filter(held).count().get_result(c))?)
}

/// Whether a judgment counts; `None` when it is gone. Its task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn counts(conn: &mut Connection, judgment_id: &str) -> Result<Option<bool>, StorageError> {
    Ok(on!(conn, c => j::table.filter(j::judgment_id.eq(judgment_id)).select(j::voided_at.is_null()).first(c).optional())?)
}

/// Takes a judgment out of the count, or with `None` gives it back. Its task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn set(conn: &mut Connection, judgment_id: &str, voided_by: Option<&str>, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (j::voided_at.eq(voided_by.map(|_| Timestamp(now))), j::voided_by_action.eq(voided_by), j::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(j::table.filter(j::judgment_id.eq(judgment_id))).set(changes).execute(c))?;
    Ok(())
}

/// Adds to the number of judgments that an action took out of the count.
///
/// # Errors
/// As any query.
pub fn add(conn: &mut Connection, action_id: &str, by: i32) -> Result<(), StorageError> {
    let own = t::table.filter(t::action_id.eq(action_id));
    on!(conn, c => diesel::update(own).set(t::voided_judgments.eq(t::voided_judgments + by)).execute(c))?;
    Ok(())
}

/// Notes that all that follows from an action is done, unless it was reversed in between (`was_reversed` says what the caller saw).
///
/// # Errors
/// As any query.
pub fn finish(conn: &mut Connection, action_id: &str, was_reversed: bool, now: DateTime<Utc>) -> Result<(), StorageError> {
    let seen = t::action_id.eq(action_id).and(t::reversed_at.is_not_null().eq(was_reversed));
    on!(conn, c => diesel::update(t::table.filter(seen)).set(t::finished_at.eq(Some(Timestamp(now)))).execute(c))?;
    Ok(())
}

/// Actions whose judgments are still to be voided or given back, oldest first.
///
/// # Errors
/// As any query.
pub fn unfinished(conn: &mut Connection, limit: i64) -> Result<Vec<super::Action>, StorageError> {
    let open = t::finished_at.is_null();
    Ok(on!(conn, c => t::table.filter(open).order(t::id).limit(limit).select(super::Action::as_select()).load(c))?)
}
