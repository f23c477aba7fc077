//! Giving out the next task: a bounded look at the queue, then one task locked, looked at again, and leased.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{Assignment, find_of_rater, insert, open_by_others, open_of_rater};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::schema::{golden_set_items as golden, rating_tasks as tasks, task_assignments as t};
use crate::tasks::Task;
use crate::types::{Instant, Timestamp};
use crate::{lease, lock, on, raters};

/// Tasks looked at in one round.
const LOOK_AHEAD: i64 = 20;

/// Rounds in which held tasks are passed over; in the round after them the first one is waited for.
const ROUNDS: usize = 2;

const OPEN_STATUSES: [&str; 2] = ["pending", "in_progress"];

/// States in which a task never comes to the same rater again.
const DONE_STATES: [&str; 2] = ["submitted", "skipped"];

/// Why somebody is given a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be judged.
    Work,
    /// To learn whether the rater may work.
    Calibration,
    /// To weigh the rater's work, unseen.
    Golden,
}

impl Purpose {
    /// The stored word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Calibration => "calibration",
            Self::Golden => "golden",
        }
    }
}

/// Who wants what for how long.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Who wants a task.
    pub rater_id: String,
    /// Task type words; empty is any.
    pub task_types: Vec<String>,
    /// Work, or golden items.
    pub purpose: Purpose,
    /// How long it is held.
    pub lease: TimeDelta,
}

/// Why there is nothing to give out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// There is no open task of these types.
    NoTasks,
    /// The rater has judged or skipped all of them.
    AllDoneByYou,
    /// All that are left are held by others.
    AllHeld,
}

/// Leases the next task: highest priority first, then the oldest. Call it in a transaction. A rater who holds a task already
/// gets that one. A task that the rater gave back or lost may come again, with its draft and its blind order.
///
/// # Errors
/// As any query.
pub fn lease_next(conn: &mut Connection, request: &LeaseRequest, now: DateTime<Utc>) -> Result<Option<Assignment>, StorageError> {
    for round in 0..=ROUNDS {
        let ids = candidates(conn, request, LOOK_AHEAD, now)?;
        if ids.is_empty() {
            return Ok(None);
        }
        for id in ids {
            let locked: Vec<Task> = if round < ROUNDS {
                lease!(conn, tasks::table.find(id).select(Task::as_select()) => Task)?
            } else {
                lock!(conn, tasks::table.find(id).select(Task::as_select()) => Task)?
            };
            let Some(task) = locked.into_iter().next() else { continue };
            // A second request of the same rater waits here, and then finds the lease of the first.
            raters::lock_one(conn, &request.rater_id)?;
            if let Some(open) = open_of_rater(conn, &request.rater_id, now)? {
                return Ok(Some(open));
            }
            if let Some(assignment) = take(conn, &task, request, now)? {
                return Ok(Some(assignment));
            }
        }
    }
    Ok(None)
}

/// Why [`lease_next`] found nothing.
///
/// # Errors
/// As any query.
pub fn nothing_because(conn: &mut Connection, request: &LeaseRequest) -> Result<Nothing, StorageError> {
    let open = count(conn, request, None)?;
    let unseen = count(conn, request, Some(&request.rater_id))?;
    Ok(match (open, unseen) {
        (0, _) => Nothing::NoTasks,
        (_, 0) => Nothing::AllDoneByYou,
        _ => Nothing::AllHeld,
    })
}

/// Leases a task that is locked, when it is still to be had: between the look and the lock somebody may have taken the last slot.
fn take(conn: &mut Connection, task: &Task, request: &LeaseRequest, now: DateTime<Utc>) -> Result<Option<Assignment>, StorageError> {
    if request.purpose == Purpose::Work {
        let held = open_by_others(conn, &task.task_id, &request.rater_id, now)?;
        let is_open = OPEN_STATUSES.contains(&task.status.as_str()) && !task.is_golden;
        if !is_open || held + i64::from(task.judgments_count) >= i64::from(task.required_judgments) {
            return Ok(None);
        }
    }
    let own = t::task_id.eq(&task.task_id).and(t::rater_id.eq(&request.rater_id));
    let before: Option<Assignment> = on!(conn, c => t::table.filter(own).select(Assignment::as_select()).first(c).optional())?;
    let assignment = match before {
        Some(before) if DONE_STATES.contains(&before.state.as_str()) => return Ok(None),
        Some(before) => renew(conn, &before, request, now)?,
        None => insert(conn, task, request, now)?,
    };
    if request.purpose == Purpose::Work && (task.status == "pending" || task.assigned_at.is_none()) {
        let first = task.assigned_at.unwrap_or(Timestamp(now));
        let changes = (tasks::status.eq("in_progress"), tasks::assigned_at.eq(Some(first)), tasks::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(tasks::table.find(task.id)).set(changes).execute(c))?;
    }
    Ok(Some(assignment))
}

fn renew(conn: &mut Connection, before: &Assignment, request: &LeaseRequest, now: DateTime<Utc>) -> Result<Assignment, StorageError> {
    let changes = (
        t::state.eq("leased"),
        t::purpose.eq(request.purpose.word()),
        t::leased_at.eq(Timestamp(now)),
        t::expires_at.eq(Timestamp(now + request.lease)),
        t::heartbeat_at.eq(Timestamp(now)),
        t::finished_at.eq(None::<Timestamp>),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(before.id)).set(changes).execute(c))?;
    find_of_rater(conn, &before.rater_id, &before.assignment_id)
}

/// Primary keys of tasks that could be given out, best first.
fn candidates(conn: &mut Connection, request: &LeaseRequest, limit: i64, now: DateTime<Utc>) -> Result<Vec<i64>, StorageError> {
    let is_work = request.purpose == Purpose::Work;
    Ok(on!(conn, c => {
        let done = t::table.filter(t::rater_id.eq(&request.rater_id).and(t::state.eq_any(DONE_STATES))).select(t::task_id);
        let mut query = tasks::table
            .select(tasks::id)
            .filter(tasks::is_golden.eq(!is_work))
            .filter(tasks::task_id.ne_all(done))
            .order((tasks::priority.desc(), tasks::id))
            .limit(limit)
            .into_boxed();
        if !request.task_types.is_empty() {
            query = query.filter(tasks::task_type.eq_any(&request.task_types));
        }
        if is_work {
            let has_free_slot = diesel::dsl::sql::<Bool>(
                "(SELECT COUNT(*) FROM task_assignments held WHERE held.task_id = rating_tasks.task_id AND held.state = 'leased' AND held.expires_at > ",
            )
            .bind::<Instant, _>(Timestamp(now))
            .sql(") + rating_tasks.judgments_count < rating_tasks.required_judgments");
            query = query.filter(tasks::status.eq_any(OPEN_STATUSES)).filter(has_free_slot);
        } else {
            let active = golden::table.filter(golden::is_active.eq(true)).select(golden::task_id);
            query = query.filter(tasks::task_id.eq_any(active));
        }
        query.load(c)
    })?)
}

/// Open tasks of the types asked for, without those that `unseen_by` is done with.
fn count(conn: &mut Connection, request: &LeaseRequest, unseen_by: Option<&str>) -> Result<i64, StorageError> {
    let is_work = request.purpose == Purpose::Work;
    Ok(on!(conn, c => {
        let mut query = tasks::table.select(diesel::dsl::count_star()).filter(tasks::is_golden.eq(!is_work)).into_boxed();
        if !request.task_types.is_empty() {
            query = query.filter(tasks::task_type.eq_any(&request.task_types));
        }
        if is_work {
            query = query.filter(tasks::status.eq_any(OPEN_STATUSES));
        } else {
            let active = golden::table.filter(golden::is_active.eq(true)).select(golden::task_id);
            query = query.filter(tasks::task_id.eq_any(active));
        }
        if let Some(rater_id) = unseen_by {
            let done = t::table.filter(t::rater_id.eq(rater_id).and(t::state.eq_any(DONE_STATES))).select(t::task_id);
            query = query.filter(tasks::task_id.ne_all(done));
        }
        query.get_result(c)
    })?)
}
