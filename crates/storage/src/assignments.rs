//! Assignments: who holds which task until when, and in which blind order the candidates are shown.
//!
//! A task is given out on slots: leases and judgments together never exceed `required_judgments`. A lease keeps its slot until it is
//! judged, given back or swept, so one that is late may still be judged when nobody has swept it. Golden items have no slots; any number
//! of raters may answer them. Locks are taken in the order task, raters; an assignment is changed only from the state it was seen in.
//! Where rows have versions, the common case locks nothing before it writes: [`see`] and [`write_as_seen`].

mod claim;
mod first_free;
mod leasing;
mod seen;
mod stand_in;
mod sweep;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::batch::{Batch, Followed, Must, enter};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::prepared::change;
use crate::schema::{rating_tasks as tasks, task_assignments as t};
use crate::tasks::TaskState;
use crate::types::{Json, Timestamp};

pub use claim::{Claim, Wish, claim, look_for, raters_who_ask, tests_of};
pub use leasing::{LeaseRequest, Leased, Nothing, Purpose, lease_next, nothing_because};
pub use seen::{Seen, see, write_as_seen};
pub use stand_in::{has_golden_left, note_stand_in, stand_in, stands_for};
pub use sweep::{Ended, end_expired_of, sweep_expired, warn_of_end};

/// A stored assignment.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Assignment {
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

    /// Whether a slot of the task is counted for it: a lease on work, also one whose time is over and that nobody has swept yet.
    #[must_use]
    pub fn holds_a_slot(&self) -> bool {
        self.state == "leased" && self.purpose == "work"
    }

    /// Whether the rater holds the task at `now`.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.state == "leased" && self.expires_at.0 > now
    }
}

/// The order in which an assignment shows `n` candidates: a shuffle (Fisher and Yates) driven by SHA-256 of a lot that is drawn for it and
/// kept nowhere; the order is stored.
#[must_use]
pub fn blind_order(lot: &str, n: usize) -> Vec<usize> {
    let digest = Sha256::digest(lot);
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

/// One assignment of this rater with its task, which is locked until the transaction ends. The assignment is as it was before the lock was
/// had: whoever changes it does so from the state that was read.
///
/// # Errors
/// [`StorageError::NotFound`], also for somebody else's.
pub fn lock_task_of(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<(Assignment, TaskState), StorageError> {
    if let Connection::Postgres(c) = conn {
        let own = t::assignment_id.eq(assignment_id).and(t::rater_id.eq(rater_id));
        let both = t::table.inner_join(tasks::table.on(tasks::task_id.eq(t::task_id))).filter(own);
        let query = both.select((Assignment::as_select(), TaskState::as_select()));
        let found = Followed { query, by: " FOR UPDATE OF rating_tasks" }.get_result(c).optional()?;
        return found.ok_or_else(|| StorageError::not_found("assignment", assignment_id));
    }
    let assignment = find_of_rater(conn, rater_id, assignment_id)?;
    let task = crate::tasks::lock_state(conn, &assignment.task_id)?;
    Ok((assignment, task))
}

/// The lease of a rater, if there is one, also when its time is over and nobody has ended it: its place is still the rater's. The latest to
/// end, when taking a judgment back has made it two.
///
/// # Errors
/// As any query.
pub fn leased_of_rater(conn: &mut Connection, rater_id: &str) -> Result<Option<Assignment>, StorageError> {
    let own = t::rater_id.eq(rater_id).and(t::state.eq("leased"));
    Ok(on!(conn, c => t::table.filter(own).order(t::expires_at.desc()).select(Assignment::as_select()).first(c).optional())?)
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
    let assignment = find_of_rater(conn, rater_id, assignment_id)?;
    require_open(&assignment, now)?;
    extend_found(conn, assignment, lease, now)
}

/// Extends a lease that this transaction has found open.
///
/// # Errors
/// [`StorageError::Raced`] when it ended in between.
pub fn extend_found(
    conn: &mut Connection,
    assignment: Assignment,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let until = Timestamp(now + lease);
    let changes =
        (t::expires_at.eq(until), t::heartbeat_at.eq(Timestamp(now)), t::warned_at.eq(None::<Timestamp>), t::updated_at.eq(Timestamp(now)));
    let seen = t::assignment_id.eq(&assignment.assignment_id).and(t::state.eq(&assignment.state));
    changed_once(on!(conn, c => change(t::table, seen, changes).execute(c))?)?;
    Ok(Assignment { expires_at: until, heartbeat_at: Timestamp(now), updated_at: Timestamp(now), ..assignment })
}

/// Gives a task back; it may come again. Giving it back twice changes nothing.
///
/// # Errors
/// [`StorageError::NotFound`], or [`StorageError::Conflict`] (`judgment_exists`) after a judgment.
pub fn release(conn: &mut Connection, rater_id: &str, assignment_id: &str, now: DateTime<Utc>) -> Result<Assignment, StorageError> {
    let assignment = find_of_rater(conn, rater_id, assignment_id)?;
    match assignment.state.as_str() {
        "submitted" => Err(StorageError::conflict("judgment_exists", "this assignment was judged; there is nothing to give back")),
        "leased" => end(conn, assignment, "released", None, now),
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
    let assignment = find_of_rater(conn, rater_id, assignment_id)?;
    require_open(&assignment, now)?;
    end(conn, assignment, "skipped", Some(reason), now)
}

/// Golden items that a rater was given since an instant, those of calibration left out.
///
/// # Errors
/// As any query.
pub fn count_golden_since(conn: &mut Connection, rater_id: &str, since: DateTime<Utc>) -> Result<i64, StorageError> {
    let given = t::rater_id.eq(rater_id).and(t::purpose.eq("golden")).and(t::leased_at.ge(Timestamp(since)));
    Ok(on!(conn, c => t::table.filter(given).count().get_result(c))?)
}

/// How many raters have passed over a task.
///
/// # Errors
/// As any query.
pub fn count_skips(conn: &mut Connection, task_id: &str) -> Result<i64, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::task_id.eq(task_id).and(t::state.eq("skipped"))).count().get_result(c))?)
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
    let assignment = find_of_rater(conn, rater_id, assignment_id)?;
    if assignment.state == "submitted" {
        return Err(StorageError::conflict("judgment_exists", "this assignment was judged; its draft is closed"));
    }
    let changes = (t::draft.eq(Some(Json(draft.clone()))), t::updated_at.eq(Timestamp(now)));
    let seen = t::assignment_id.eq(&assignment.assignment_id).and(t::state.eq(&assignment.state));
    changed_once(on!(conn, c => change(t::table, seen, changes).execute(c))?)?;
    Ok(Assignment { draft: Some(Json(draft)), updated_at: Timestamp(now), ..assignment })
}

/// Notes that the judgment is in. The slot that a lease held becomes the judgment's; see [`Assignment::holds_a_slot`]. The batch fails when
/// the assignment has changed since it was read.
///
/// # Errors
/// [`StorageError::Raced`] as above; or as any query.
pub fn submit<'a>(
    conn: &mut Connection,
    batch: &mut Batch<'a>,
    assignment: &'a Assignment,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let changes =
        (t::state.eq("submitted"), t::draft.eq(None::<Json>), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    let seen = t::assignment_id.eq(&assignment.assignment_id).and(t::state.eq(&assignment.state));
    enter!(conn, batch, Must::ChangeOne, change(t::table, seen, changes)).map(drop)
}

/// Opens a submitted assignment again, with the judgment as its draft. The caller counts its lease again.
///
/// # Errors
/// [`StorageError::Raced`] when the assignment has changed since it was read.
pub fn reopen(
    conn: &mut Connection,
    assignment: Assignment,
    draft: Value,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let until = Timestamp(now + lease);
    let changes = (
        t::state.eq("leased"),
        t::draft.eq(Some(Json(draft.clone()))),
        t::finished_at.eq(None::<Timestamp>),
        t::expires_at.eq(until),
        t::heartbeat_at.eq(Timestamp(now)),
        t::warned_at.eq(None::<Timestamp>),
        t::updated_at.eq(Timestamp(now)),
    );
    let seen = t::assignment_id.eq(&assignment.assignment_id).and(t::state.eq(&assignment.state));
    changed_once(on!(conn, c => change(t::table, seen, changes).execute(c))?)?;
    Ok(Assignment {
        state: "leased".to_owned(),
        draft: Some(Json(draft)),
        finished_at: None,
        expires_at: until,
        heartbeat_at: Timestamp(now),
        updated_at: Timestamp(now),
        ..assignment
    })
}

/// A change made from another state than the one seen is none.
fn changed_once(rows: usize) -> Result<(), StorageError> {
    if rows == 1 { Ok(()) } else { Err(StorageError::Raced("the assignment changed in between")) }
}

fn require_open(assignment: &Assignment, now: DateTime<Utc>) -> Result<(), StorageError> {
    if assignment.is_open(now) {
        return Ok(());
    }
    let state = if assignment.state == "leased" { "expired" } else { &assignment.state };
    let why = format!("this assignment is no longer held (it is {state}); ask for the next one, a saved draft is kept");
    Err(StorageError::conflict("lease_expired", why))
}

/// Ends a lease without a judgment and frees its slot, under the lock of its task.
fn end(
    conn: &mut Connection,
    assignment: Assignment,
    state: &str,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    crate::tasks::lock_state(conn, &assignment.task_id)?;
    let changes =
        (t::state.eq(state), t::skip_reason.eq(reason), t::finished_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    let seen = t::assignment_id.eq(&assignment.assignment_id).and(t::state.eq(&assignment.state));
    changed_once(on!(conn, c => change(t::table, seen, changes).execute(c))?)?;
    if assignment.holds_a_slot() {
        crate::queue::free_places(conn, &assignment.task_id, 1)?;
    }
    Ok(Assignment {
        state: state.to_owned(),
        skip_reason: reason.map(str::to_owned),
        finished_at: Some(Timestamp(now)),
        updated_at: Timestamp(now),
        ..assignment
    })
}
