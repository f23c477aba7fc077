//! Why a rater finds nothing while tasks of other kinds are open: said, so that nobody waits for work that calibration stands before.

use chrono::{DateTime, Utc};
use domain::task::TaskType;
use storage::assignments::{self, LeaseRequest, Nothing, Purpose};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::qualifications::Qualification;

use super::{Reason, Request, Rules};

/// What stands between a rater who has passed some kinds and open tasks of others; `None` when there are none, and for whoever has passed no
/// kind and is told otherwise.
///
/// # Errors
/// As any query.
pub fn of_other_kinds(
    tx: &mut Connection,
    tests: &[Qualification],
    request: &Request,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Option<Reason>, StorageError> {
    if !tests.iter().any(Qualification::is_passed) {
        return Ok(None);
    }
    let open = open_kinds(tx, &not_passed(tests, &request.task_types), request, rules)?;
    if open.is_empty() {
        return Ok(None);
    }
    for task_type in &open {
        if may_be_tested(tests, task_type, now) && has_items(tx, task_type, request, rules)? {
            return Ok(Some(Reason::NeedsCalibration));
        }
    }
    Ok(Some(Reason::NotQualified))
}

/// The kinds, of those asked for (all where none is named), that a rater has not passed.
#[must_use]
pub fn not_passed(tests: &[Qualification], asked: &[String]) -> Vec<String> {
    let is_asked = |word: &str| asked.is_empty() || asked.iter().any(|one| one == word);
    let is_passed = |word: &str| tests.iter().any(|test| test.task_type == word && test.is_passed());
    TaskType::ALL.iter().map(|kind| kind.as_ref().to_owned()).filter(|word| is_asked(word) && !is_passed(word)).collect()
}

/// Whether a rater may go on with, or begin, the test of a kind.
#[must_use]
pub fn may_be_tested(tests: &[Qualification], task_type: &str, now: DateTime<Utc>) -> bool {
    let test = tests.iter().find(|test| test.task_type == task_type);
    test.is_none_or(|test| test.may_be_tried(now))
}

fn open_kinds(tx: &mut Connection, kinds: &[String], request: &Request, rules: &Rules) -> Result<Vec<String>, StorageError> {
    let mut open = Vec::new();
    for task_type in kinds {
        if assignments::nothing_because(tx, &wanted(task_type, Purpose::Work, request, rules))? == Nothing::AllHeld {
            open.push(task_type.clone());
        }
    }
    Ok(open)
}

fn has_items(tx: &mut Connection, task_type: &str, request: &Request, rules: &Rules) -> Result<bool, StorageError> {
    assignments::has_golden_left(tx, &wanted(task_type, Purpose::Calibration, request, rules))
}

fn wanted(task_type: &str, purpose: Purpose, request: &Request, rules: &Rules) -> LeaseRequest {
    LeaseRequest { rater_id: request.rater_id.clone(), task_types: vec![task_type.to_owned()], purpose, lease: rules.lease }
}
