//! A golden item whose own answer was wrong: what its raters' answers counted for is stepped back.

use chrono::{DateTime, Utc};
use learning::calibration::Decision;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::golden::{self, Mark};
use storage::qualifications::{self, Qualification};
use storage::tasks::TaskState;
use storage::{history, raters};

use crate::dispatch::Rules;
use crate::qualification;

/// Answers stepped back at most: an item is given to three hundred raters by the rules of wear, and each answers once.
const MOST_ANSWERS: i64 = 1_000;

/// Takes the answers on an item out of all that they count in: the records of its raters, their tests and drift, and the item's own record.
/// Calibration that was passed stays passed, and what drift has opened stays open. How many answers it were. The task and the item must be
/// locked by this transaction.
///
/// # Errors
/// As any query.
pub fn step_back(tx: &mut Connection, task: &TaskState, rules: &Rules, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let marks = golden::marks(tx, &task.task_id, MOST_ANSWERS)?;
    let mut ids: Vec<String> = marks.iter().map(|mark| mark.rater_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let raters = if ids.is_empty() { Vec::new() } else { raters::lock_all(tx, &ids)? };
    for mark in &marks {
        let Some(rater) = raters.iter().find(|rater| rater.rater_id == mark.rater_id) else { continue };
        let is_right = mark.is_right == Some(true);
        raters::take_mark(tx, rater, (&task.task_type, &mark.purpose), is_right, now)?;
        if mark.purpose == "calibration" {
            take_from_test(tx, mark, &task.task_type, rules, now)?;
        }
    }
    golden::unmark(tx, &task.task_id, &marks, now)?;
    for mark in marks.iter().filter(|mark| mark.purpose == "golden") {
        qualification::take_back(tx, &mark.rater_id, &task.task_type, rules, now)?;
    }
    Ok(marks.len())
}

/// A test of calibration without an answer of its present attempt: one that failed by it is open again.
fn take_from_test(tx: &mut Connection, mark: &Mark, task_type: &str, rules: &Rules, now: DateTime<Utc>) -> Result<(), StorageError> {
    let Some(test) = qualifications::find(tx, &mark.rater_id, task_type)?.filter(|test| !test.is_passed()) else { return Ok(()) };
    let of_attempt = history::newest_in_calibration(tx, &mark.rater_id, task_type, test.total.into())?;
    if !of_attempt.contains(&mark.judgment_id) {
        return Ok(());
    }
    let is_right = i32::from(mark.is_right == Some(true));
    let open = Qualification {
        state: "open".to_owned(),
        correct: (test.correct - is_right).max(0),
        total: (test.total - 1).max(0),
        reason: None,
        decided_at: None,
        retry_at: None,
        ..test.clone()
    };
    let has_failed = test.state == "failed" && qualification::standing(&open, rules) == Decision::Fail;
    let after = if has_failed { Qualification { correct: open.correct, total: open.total, ..test } } else { open };
    qualifications::save(tx, &after, now)
}
