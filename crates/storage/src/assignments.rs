//! Assignments: who holds which task until when, and in which blind order the candidates are shown.
//!
//! A task is given out on slots: open leases and judgments together never exceed `required_judgments`. Golden items have no
//! slots; any number of raters may answer them. Locks are taken in the order task, raters, assignment.

mod leasing;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::schema::task_assignments as t;
use crate::types::{Json, Timestamp};
use crate::{lock, on};

pub use leasing::{LeaseRequest, Nothing, Purpose, lease_next, nothing_because};

/// A stored assignment.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Assignment {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub assignment_id: String,
    /// The task.
    pub task_id: String,
    /// Who holds it.
    pub rater_id: String,
    /// `leased`, `submitted`, `released`, `skipped` or `expired`.
    pub state: String,
    /// `work`, `calibration` or `golden`.
    pub purpose: String,
    /// `[1, 0]`: place 0 shows the stored candidate 1.
    pub display_order: Json,
    /// When the lease began.
    pub leased_at: Timestamp,
    /// When it ends without a heartbeat.
    pub expires_at: Timestamp,
    /// Last sign of life.
    pub heartbeat_at: Timestamp,
    /// What the rater has entered so far.
    pub draft: Option<Json>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Assignment {
    /// The stored places in the order shown.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let places = self.display_order.as_array().map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| usize::try_from(place.as_u64()?).ok()).collect()
    }

    /// Whether the rater holds the task at `now`.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.state == "leased" && self.expires_at.0 > now
    }
}

/// The order in which an assignment shows `n` candidates: a shuffle (Fisher and Yates) driven by SHA-256 of its id, so that it can
/// be recomputed and nobody can choose it.
#[must_use]
pub fn blind_order(assignment_id: &str, n: usize) -> Vec<usize> {
    let digest = Sha256::digest(assignment_id);
    let mut order: Vec<usize> = (0..n).collect();
    for (place, byte) in (1..n).rev().zip(digest.iter()) {
        order.swap(place, usize::from(*byte) % (place + 1));
    }
    order
}

/// One assignment of this rater.
///
/// # Errors
/// [`StorageError::NotFound`], also for somebody else's.
pub fn find_of_rater(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<Assignment, StorageError> {
    let own = t::assignment_id.eq(assignment_id).and(t::rater_id.eq(rater_id));
    let found: Option<Assignment> = on!(conn, c => t::table.filter(own).select(Assignment::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("assignment", assignment_id))
}

/// One assignment of this rater, locked until the transaction ends. Lock its task first.
///
/// # Errors
/// [`StorageError::NotFound`], also for somebody else's.
pub fn lock_of_rater(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<Assignment, StorageError> {
    let found: Vec<Assignment> = lock!(conn, t::table
        .filter(t::assignment_id.eq(assignment_id).and(t::rater_id.eq(rater_id)))
        .select(Assignment::as_select()) => Assignment)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("assignment", assignment_id))
}

/// The open lease of a rater, if there is one.
///
/// # Errors
/// As any query.
pub fn open_of_rater(conn: &mut Connection, rater_id: &str, now: DateTime<Utc>) -> Result<Option<Assignment>, StorageError> {
    let open = t::rater_id.eq(rater_id).and(t::state.eq("leased")).and(t::expires_at.gt(Timestamp(now)));
    Ok(on!(conn, c => t::table.filter(open).order(t::id).select(Assignment::as_select()).first(c).optional())?)
}

/// Open leases on a task by others than this rater.
///
/// # Errors
/// As any query.
pub fn open_by_others(conn: &mut Connection, task_id: &str, rater_id: &str, now: DateTime<Utc>) -> Result<i64, StorageError> {
    let open = t::task_id.eq(task_id).and(t::rater_id.ne(rater_id)).and(t::state.eq("leased")).and(t::expires_at.gt(Timestamp(now)));
    Ok(on!(conn, c => t::table.filter(open).count().get_result(c))?)
}

/// Extends a lease that is still open.
///
/// # Errors
/// [`StorageError::NotFound`], or [`StorageError::Conflict`] (`lease_expired`).
pub fn extend(
    conn: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let assignment = lock_open(conn, rater_id, assignment_id, now)?;
    let changes = (t::expires_at.eq(Timestamp(now + lease)), t::heartbeat_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(assignment.id)).set(changes).execute(c))?;
    find_of_rater(conn, rater_id, assignment_id)
}

/// Gives a task back; it may come again. Giving it back twice changes nothing.
///
/// # Errors
/// [`StorageError::NotFound`], or [`StorageError::Conflict`] (`judgment_exists`) after a judgment.
pub fn release(conn: &mut Connection, rater_id: &str, assignment_id: &str, now: DateTime<Utc>) -> Result<Assignment, StorageError> {
    let assignment = lock_of_rater(conn, rater_id, assignment_id)?;
    match assignment.state.as_str() {
        "submitted" => Err(StorageError::conflict("judgment_exists", "this assignment was judged; there is nothing to give back")),
        "leased" => end(conn, &assignment, "released", None, now),
        _ => Ok(assignment),
    }
}

/// Passes over a task for good.
///
/// # Errors
/// [`StorageError::NotFound`], or [`StorageError::Conflict`] (`lease_expired`).
pub fn skip(
    conn: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let assignment = lock_open(conn, rater_id, assignment_id, now)?;
    end(conn, &assignment, "skipped", Some(reason), now)
}

/// Keeps what the rater has entered so far, also after the lease has ended, so that no work is lost.
///
/// # Errors
/// [`StorageError::NotFound`], or [`StorageError::Conflict`] (`judgment_exists`) after a judgment.
pub fn save_draft(
    conn: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    draft: Value,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let assignment = lock_of_rater(conn, rater_id, assignment_id)?;
    if assignment.state == "submitted" {
        return Err(StorageError::conflict("judgment_exists", "this assignment was judged; its draft is closed"));
    }
    let changes = (t::draft.eq(Some(Json(draft))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(assignment.id)).set(changes).execute(c))?;
    find_of_rater(conn, rater_id, assignment_id)
}

/// Notes that the judgment is in. The assignment must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn submit(conn: &mut Connection, assignment: &Assignment, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes =
        (t::state.eq("submitted"), t::draft.eq(None::<Json>), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(assignment.id)).set(changes).execute(c))?;
    Ok(())
}

/// Opens a submitted assignment again, with the judgment as its draft. The assignment must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn reopen(
    conn: &mut Connection,
    assignment: &Assignment,
    draft: Value,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let changes = (
        t::state.eq("leased"),
        t::draft.eq(Some(Json(draft))),
        t::finished_at.eq(None::<Timestamp>),
        t::expires_at.eq(Timestamp(now + lease)),
        t::heartbeat_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(assignment.id)).set(changes).execute(c))?;
    find_of_rater(conn, &assignment.rater_id, &assignment.assignment_id)
}

/// Marks leases that are past their time; they counted as free before. How many.
///
/// # Errors
/// As any query.
pub fn sweep_expired(conn: &mut Connection, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let past = t::table.filter(t::state.eq("leased").and(t::expires_at.le(Timestamp(now))));
    let changes = (t::state.eq("expired"), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    Ok(on!(conn, c => diesel::update(past).set(changes).execute(c))?)
}

fn lock_open(conn: &mut Connection, rater_id: &str, assignment_id: &str, now: DateTime<Utc>) -> Result<Assignment, StorageError> {
    let assignment = lock_of_rater(conn, rater_id, assignment_id)?;
    if assignment.is_open(now) {
        return Ok(assignment);
    }
    let why = format!("this assignment is no longer held (it is {}); ask for the next one, a saved draft is kept", word_of(&assignment));
    Err(StorageError::conflict("lease_expired", why))
}

fn word_of(assignment: &Assignment) -> &str {
    if assignment.state == "leased" { "expired" } else { &assignment.state }
}

fn end(
    conn: &mut Connection,
    assignment: &Assignment,
    state: &str,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let changes =
        (t::state.eq(state), t::skip_reason.eq(reason), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(assignment.id)).set(changes).execute(c))?;
    find_of_rater(conn, &assignment.rater_id, &assignment.assignment_id)
}

fn insert(
    conn: &mut Connection,
    task: &crate::tasks::Task,
    request: &LeaseRequest,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let assignment_id = domain::id::new("asg");
    let order = blind_order(&assignment_id, task.candidate_count());
    let row = (
        t::assignment_id.eq(&assignment_id),
        t::task_id.eq(&task.task_id),
        t::rater_id.eq(&request.rater_id),
        t::state.eq("leased"),
        t::purpose.eq(request.purpose.word()),
        t::display_order.eq(Json(json!(order))),
        t::leased_at.eq(Timestamp(now)),
        t::expires_at.eq(Timestamp(now + request.lease)),
        t::heartbeat_at.eq(Timestamp(now)),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    find_of_rater(conn, &request.rater_id, &assignment_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blind_orders_are_fair_and_repeatable() {
        let mut first_is_a = 0;
        for n in 0..2000 {
            let id = format!("asg_{n}");
            let order = blind_order(&id, 2);
            assert_eq!(order, blind_order(&id, 2));
            first_is_a += usize::from(order == [0, 1]);
        }
        // Within five standard deviations of half.
        assert!((888..1112).contains(&first_is_a), "{first_is_a}");
        let mut three = blind_order("asg_x", 3);
        three.sort_unstable();
        assert_eq!(three, [0, 1, 2]);
    }
}
