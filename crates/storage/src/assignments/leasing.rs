//! Giving out the next task: a bounded look at the queue, then one task locked, a place taken, and the lease written.
//!
//! The rater is locked first, so that two requests of one rater are one after the other; tasks that others hold the lock of are passed
//! over and never waited for, so that nobody waits for somebody who waits.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;

use super::first_free::lock_first_free;
use super::{Assignment, blind_order, changed_once, find_of_rater, leased_of_rater};
use crate::batch::{Batch, Must, enter};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::prepared::change;
use crate::queue::{self, DONE_STATES, Waiting};
use crate::schema::{golden_set_items as golden, rating_tasks as tasks, task_assignments as t};
use crate::tasks::Task;
use crate::types::{Json, Timestamp};
use crate::{lease, on};

/// Golden items looked at in one round.
const LOOK_AHEAD: i64 = 24;

/// Rounds of looking, before the caller is to try again: each finds what others took in the round before.
const ROUNDS: usize = 3;

/// Leases ended at most when the queue is empty for this rater.
const SWEEP_AT_ONCE: i64 = 50;

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

/// What a rater who asks is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Leased {
    /// This task, with the probability of its leading choice where the queue knows one.
    Task(Box<Assignment>, Box<Task>, Option<f64>),
    /// The rater holds this lease already; nothing was changed.
    Held(Box<Assignment>),
    /// Nothing.
    Nothing,
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

/// What could be given out: a golden item has no place in the queue.
pub(super) struct Candidate {
    pub(super) task_id: String,
    own: Option<String>,
    leading_posterior: Option<f64>,
}

/// Leases the next task: of the first in the queue the one with the highest `score` for this rater (of equal ones the first). The rater
/// must be locked by this transaction; one who holds a lease is given no work, and must not ask for golden items. A task that the rater gave
/// back or lost may come again, with its draft and its blind order.
///
/// # Errors
/// [`StorageError::Raced`] when others took every task looked at.
pub fn lease_next(
    conn: &mut Connection,
    request: &LeaseRequest,
    score: &dyn Fn(&Waiting) -> f64,
    now: DateTime<Utc>,
) -> Result<Leased, StorageError> {
    let mut has_swept = request.purpose != Purpose::Work;
    for _ in 0..ROUNDS {
        let mut found = candidates(conn, request, score)?;
        if found.is_empty() && !has_swept {
            // Perhaps only leases whose time is over are in the way.
            has_swept = true;
            if let Some(held) = leased_of_rater(conn, &request.rater_id)? {
                return Ok(Leased::Held(Box::new(held)));
            }
            if !super::sweep_expired(conn, now, SWEEP_AT_ONCE)?.is_empty() {
                found = candidates(conn, request, score)?;
            }
        }
        if found.is_empty() {
            return Ok(Leased::Nothing);
        }
        if let Some((candidate, task)) = take_first(conn, &found, request)? {
            let (assignment, task) = give(conn, candidate, task, request, now)?;
            return Ok(Leased::Task(Box::new(assignment), Box::new(task), candidate.leading_posterior));
        }
    }
    Err(StorageError::Raced("others took every task that was looked at"))
}

/// Why [`lease_next`] found nothing.
///
/// # Errors
/// As any query.
pub fn nothing_because(conn: &mut Connection, request: &LeaseRequest) -> Result<Nothing, StorageError> {
    let (any, unseen) = match request.purpose {
        Purpose::Work => queue::has_any(conn, &request.rater_id, &request.task_types)?,
        Purpose::Calibration | Purpose::Golden => (count_golden(conn, &request.task_types)? > 0, false),
    };
    Ok(match (any, unseen) {
        (false, _) => Nothing::NoTasks,
        (true, false) => Nothing::AllDoneByYou,
        (true, true) => Nothing::AllHeld,
    })
}

/// Locks the first task that nobody else has the lock of and that has a free place, and takes the place (on PostgreSQL [`give`] takes it).
fn take_first<'f>(
    conn: &mut Connection,
    found: &'f [Candidate],
    request: &LeaseRequest,
) -> Result<Option<(&'f Candidate, Task)>, StorageError> {
    let is_work = request.purpose == Purpose::Work;
    if let (Connection::Postgres(c), true) = (&mut *conn, is_work) {
        let ids: Vec<&str> = found.iter().map(|candidate| candidate.task_id.as_str()).collect();
        let locked = lock_first_free(c, &ids)?;
        return Ok(locked.and_then(|task| Some((found.iter().find(|candidate| candidate.task_id == task.task_id)?, task))));
    }
    for candidate in found {
        let wanted = tasks::table.filter(tasks::task_id.eq(&candidate.task_id).and(tasks::is_golden.eq(!is_work)));
        let locked: Vec<Task> = lease!(conn, wanted.select(Task::as_select()) => Task)?;
        if let Some(task) = locked.into_iter().next()
            && (!is_work || queue::take_place(conn, &task.task_id)?)
        {
            return Ok(Some((candidate, task)));
        }
    }
    Ok(None)
}

/// Writes the lease of a task that this transaction has locked.
fn give(
    conn: &mut Connection,
    candidate: &Candidate,
    task: Task,
    request: &LeaseRequest,
    now: DateTime<Utc>,
) -> Result<(Assignment, Task), StorageError> {
    let is_work = request.purpose == Purpose::Work;
    let is_first = is_work && task.status == "pending";
    let assignment = match &candidate.own {
        Some(own) => renew(conn, own, request, now)?,
        None => new_assignment(&task, request, now),
    };
    let mut batch = Batch::default();
    if is_work && matches!(conn, Connection::Postgres(_)) {
        queue::enter_place(conn, &mut batch, &candidate.task_id)?;
    }
    if candidate.own.is_none() {
        insert(conn, &mut batch, &assignment)?;
    }
    let assigned_at = task.assigned_at.or(Some(Timestamp(now)));
    if is_first {
        let changes = (tasks::status.eq("in_progress"), tasks::assigned_at.eq(assigned_at), tasks::updated_at.eq(Timestamp(now)));
        enter!(conn, batch, Must::ChangeOne, change(tasks::table, tasks::id.eq(task.id), changes))?;
    }
    batch.finish(conn)?;
    let task = if is_first { Task { status: "in_progress".to_owned(), assigned_at, ..task } } else { task };
    Ok((assignment, task))
}

fn new_assignment(task: &Task, request: &LeaseRequest, now: DateTime<Utc>) -> Assignment {
    let (now, until) = (Timestamp(now), Timestamp(now + request.lease));
    Assignment {
        assignment_id: domain::id::new("asg"),
        task_id: task.task_id.clone(),
        rater_id: request.rater_id.clone(),
        state: "leased".to_owned(),
        purpose: request.purpose.word().to_owned(),
        // Not of the assignment's own id, which the rater knows and could compute the order from.
        display_order: Json(json!(blind_order(&domain::id::new("lot"), task.candidate_count()))),
        leased_at: now,
        expires_at: until,
        heartbeat_at: now,
        draft: None,
        skip_reason: None,
        finished_at: None,
        created_at: now,
        updated_at: now,
    }
}

fn insert<'a>(conn: &mut Connection, batch: &mut Batch<'a>, new: &'a Assignment) -> Result<(), StorageError> {
    let row = (
        t::assignment_id.eq(&new.assignment_id),
        t::task_id.eq(&new.task_id),
        t::rater_id.eq(&new.rater_id),
        t::state.eq(&new.state),
        t::purpose.eq(&new.purpose),
        t::display_order.eq(&new.display_order),
        t::leased_at.eq(new.leased_at),
        t::expires_at.eq(new.expires_at),
        t::heartbeat_at.eq(new.heartbeat_at),
        t::created_at.eq(new.created_at),
        t::updated_at.eq(new.updated_at),
    );
    enter!(conn, batch, Must::ChangeOne, diesel::insert_into(t::table).values(row)).map(drop)
}

/// Leases a task again to a rater who gave it back or lost it.
fn renew(conn: &mut Connection, assignment_id: &str, request: &LeaseRequest, now: DateTime<Utc>) -> Result<Assignment, StorageError> {
    let changes = (
        t::state.eq("leased"),
        t::purpose.eq(request.purpose.word()),
        t::leased_at.eq(Timestamp(now)),
        t::expires_at.eq(Timestamp(now + request.lease)),
        t::heartbeat_at.eq(Timestamp(now)),
        t::warned_at.eq(None::<Timestamp>),
        t::finished_at.eq(None::<Timestamp>),
        t::updated_at.eq(Timestamp(now)),
    );
    let ended = t::assignment_id.eq(assignment_id).and(t::state.eq_any(["released", "expired"]));
    changed_once(on!(conn, c => diesel::update(t::table.filter(ended)).set(changes).execute(c))?)?;
    find_of_rater(conn, &request.rater_id, assignment_id)
}

/// What could be given out, best first.
pub(super) fn candidates(
    conn: &mut Connection,
    request: &LeaseRequest,
    score: &dyn Fn(&Waiting) -> f64,
) -> Result<Vec<Candidate>, StorageError> {
    if request.purpose != Purpose::Work {
        return golden_candidates(conn, request);
    }
    let mut scored: Vec<(f64, Candidate)> = queue::look(conn, &request.rater_id, &request.task_types)?
        .into_iter()
        .map(|(waiting, own)| {
            let leading_posterior = waiting.leading_posterior;
            (score(&waiting), Candidate { task_id: waiting.task_id, own, leading_posterior })
        })
        .collect();
    // Stable: of equal scores the first in the queue.
    scored.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    Ok(scored.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Active golden items that this rater has not answered or passed over: the least used first.
pub(super) fn golden_candidates(conn: &mut Connection, request: &LeaseRequest) -> Result<Vec<Candidate>, StorageError> {
    let found: Vec<(String, Option<String>)> = on!(conn, c => {
        let own = t::task_id.eq(golden::task_id).and(t::rater_id.eq(&request.rater_id));
        let mut query = golden::table
            .inner_join(tasks::table.on(tasks::task_id.eq(golden::task_id)))
            .left_join(t::table.on(own))
            .filter(golden::is_active.eq(true))
            .filter(golden::max_exposures.is_null().or(golden::max_exposures.gt(golden::times_used.nullable())))
            .filter(t::state.nullable().is_null().or(t::state.nullable().ne_all(DONE_STATES)))
            .order((golden::times_used, golden::id))
            .limit(LOOK_AHEAD)
            .select((golden::task_id, t::assignment_id.nullable()))
            .into_boxed();
        if !request.task_types.is_empty() {
            query = query.filter(tasks::task_type.eq_any(&request.task_types));
        }
        query.load(c)
    })?;
    Ok(found.into_iter().map(|(task_id, own)| Candidate { task_id, own, leading_posterior: None }).collect())
}

fn count_golden(conn: &mut Connection, task_types: &[String]) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let mut query = golden::table
            .inner_join(tasks::table.on(tasks::task_id.eq(golden::task_id)))
            .filter(golden::is_active.eq(true))
            .select(diesel::dsl::count_star())
            .into_boxed();
        if !task_types.is_empty() {
            query = query.filter(tasks::task_type.eq_any(task_types));
        }
        query.get_result(c)
    })?)
}
