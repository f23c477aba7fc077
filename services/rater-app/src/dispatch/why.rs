//! Why a rater is given a task, part by part; the same for golden items among the work, which show what the task shows that they stand for.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use storage::assignments::{self, Assignment};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::queue as stored;
use storage::raters::Rater;
use storage::tasks::{self, Task};

use super::{Request, Rules};
use crate::queue::{self, Known, Part};

/// The priority of tasks that name none, and of golden items that stand for no task.
const COMMON_PRIORITY: i32 = 50;

/// Hours that a golden item which stands for no task seems to have waited at most.
const MOST_HOURS: u8 = 24;

/// Whether others' answers enter the score: a first answer is the common case.
pub fn has_leading(assignment: &Assignment, task: &Task) -> bool {
    assignment.purpose == "work" && task.judgments_count > 0
}

/// The probability of the leading choice, while the queue knows one.
///
/// # Errors
/// As any query.
pub fn leading(tx: &mut Connection, task: &Task) -> Result<Option<f64>, StorageError> {
    Ok(stored::find(tx, &task.task_id)?.and_then(|row| row.leading_posterior))
}

/// The parts of the score of whatever was given: for a golden item among the work, those of the task that it stands for.
///
/// # Errors
/// As any query.
pub fn of_given(
    tx: &mut Connection,
    assignment: &Assignment,
    task: &Task,
    own_leading: Option<f64>,
    (rater, request): (&Rater, &Request),
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Vec<Part>, StorageError> {
    if assignment.purpose != "golden" {
        return Ok(of_work(assignment, task, own_leading, (rater, request), rules, now));
    }
    let stand_in = match assignments::stands_for(tx, &assignment.assignment_id)? {
        Some(task_id) => found(tasks::read(tx, &task_id))?,
        None => None,
    };
    let Some(stand_in) = stand_in else { return Ok(parts(&common(assignment, task, rules), rater, request, rules, now)) };
    let leading = if stand_in.judgments_count > 0 { leading(tx, &stand_in)? } else { None };
    Ok(parts(&Known::of_task(&stand_in, leading), rater, request, rules, now))
}

/// The parts of the score of a task; nothing in calibration.
pub fn of_work(
    assignment: &Assignment,
    task: &Task,
    leading: Option<f64>,
    (rater, request): (&Rater, &Request),
    rules: &Rules,
    now: DateTime<Utc>,
) -> Vec<Part> {
    if assignment.purpose == "calibration" {
        return Vec::new();
    }
    parts(&Known::of_task(task, leading.filter(|_| has_leading(assignment, task))), rater, request, rules, now)
}

fn parts(known: &Known<'_>, rater: &Rater, request: &Request, rules: &Rules, now: DateTime<Utc>) -> Vec<Part> {
    let mut parts = queue::parts(known, rater, &request.shares, &rules.weights, now);
    parts.retain(|part| part.name != "selection");
    parts
}

/// What is common among tasks, with an age that is drawn once for the assignment.
fn common<'a>(assignment: &Assignment, task: &'a Task, rules: &Rules) -> Known<'a> {
    let draw = Sha256::new().chain_update(rules.lot.0).chain_update("age").chain_update(&assignment.assignment_id).finalize();
    let hours = draw.first().map_or(0, |byte| i64::from(byte % MOST_HOURS));
    Known {
        task_type: &task.task_type,
        retailer_id: None,
        priority: COMMON_PRIORITY,
        model_uncertainty: None,
        leading_posterior: None,
        created_at: assignment.created_at.0 - TimeDelta::hours(hours),
        selection: 0.0,
    }
}

/// The task, if it is still there.
fn found(read: Result<Task, StorageError>) -> Result<Option<Task>, StorageError> {
    match read {
        Err(StorageError::NotFound { .. }) => Ok(None),
        read => read.map(Some),
    }
}
