//! A rater's test per task type: how an answer on a golden item moves it on. The test itself is in `learning::calibration`.

use chrono::{DateTime, Utc};
use domain::task::TaskType;
use learning::calibration::Decision;
use learning::drift::Drift;
use storage::assignments::{self, LeaseRequest, Purpose};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::history;
use storage::qualifications::{self, Qualification};
use storage::raters::{self, Rater};
use storage::types::Timestamp;

use crate::dispatch::Rules;

/// What the answers of an attempt mean so far.
#[must_use]
pub fn standing(test: &Qualification, rules: &Rules) -> Decision {
    match test.state.as_str() {
        "passed" => Decision::Pass,
        "failed" => Decision::Fail,
        _ => rules.calibration.decide(test.correct.max(0).unsigned_abs(), test.total.max(0).unsigned_abs()),
    }
}

/// The test after one more answer in calibration. A failed one that may be tried again begins anew.
#[must_use]
pub fn after_answer(before: &Qualification, is_right: bool, rules: &Rules, now: DateTime<Utc>) -> Qualification {
    let mut test = before.clone();
    if test.state == "failed" {
        test = Qualification { attempt: before.attempt + 1, ..Qualification::new(&before.rater_id, &before.task_type) };
    }
    test.total += 1;
    test.correct += i32::from(is_right);
    match standing(&test, rules) {
        Decision::Pass => {
            test.state = "passed".to_owned();
            test.decided_at = Some(Timestamp(now));
            test.reason = None;
            test.drift = 0.0;
        }
        Decision::Fail => {
            test.state = "failed".to_owned();
            test.decided_at = Some(Timestamp(now));
            test.retry_at = (test.attempt < rules.calibration_attempts).then_some(Timestamp(now + rules.calibration_retry));
            test.reason = Some(format!("{} of {} answers were as the expert's", test.correct, test.total));
        }
        Decision::Continue { .. } => {}
    }
    test
}

/// Decides an open test of a rater who has answered every golden item of its type, when the answers suffice for an exact test: the test
/// as it is then. Otherwise it stays open until there are more items.
///
/// # Errors
/// As any query.
pub fn decide_without_items(
    tx: &mut Connection,
    test: &Qualification,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Option<Qualification>, StorageError> {
    let count = |n: i32| n.max(0).unsigned_abs();
    if test.state != "open" || !rules.calibration.passes_exactly(count(test.correct), count(test.total)) {
        return Ok(None);
    }
    let passed = Qualification { state: "passed".to_owned(), decided_at: Some(Timestamp(now)), drift: 0.0, ..test.clone() };
    qualifications::save(tx, &passed, now)?;
    raters::pass_calibration(tx, &test.rater_id, now)?;
    Ok(Some(passed))
}

/// Whether a rater has answered or passed over every golden item of a type.
fn has_no_item_left(tx: &mut Connection, test: &Qualification, rules: &Rules) -> Result<bool, StorageError> {
    let request = LeaseRequest {
        rater_id: test.rater_id.clone(),
        task_types: vec![test.task_type.clone()],
        purpose: Purpose::Calibration,
        lease: rules.lease,
    };
    Ok(!assignments::has_golden_left(tx, &request)?)
}

/// Enters an answer on a golden item into the rater's test for the task type; the test, when the answer was given in calibration. In the
/// flow of work it moves the test of drift, which may open calibration again. The rater must be locked.
///
/// # Errors
/// As any query.
pub fn note_answer(
    tx: &mut Connection,
    rater: &Rater,
    task_type: &str,
    purpose: &str,
    is_right: bool,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Option<Qualification>, StorageError> {
    let before = qualifications::find(tx, &rater.rater_id, task_type)?;
    if purpose != "calibration" {
        note_work(tx, rater, before, task_type, is_right, rules, now)?;
        return Ok(None);
    }
    let before = before.unwrap_or_else(|| Qualification::new(&rater.rater_id, task_type));
    let after = after_answer(&before, is_right, rules, now);
    qualifications::save(tx, &after, now)?;
    if after.is_passed() && !rater.is_calibrated {
        raters::pass_calibration(tx, &rater.rater_id, now)?;
    }
    // Nobody learns it by asking for one more item, so it is said now.
    if after.state == "open"
        && has_no_item_left(tx, &after, rules)?
        && let Some(passed) = decide_without_items(tx, &after, rules, now)?
    {
        return Ok(Some(passed));
    }
    Ok(Some(after))
}

/// A golden answer among work: Page's cumulative sum of the evidence that the rater has become worse.
fn note_work(
    tx: &mut Connection,
    rater: &Rater,
    before: Option<Qualification>,
    task_type: &str,
    is_right: bool,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let passed = || Qualification { state: "passed".to_owned(), ..Qualification::new(&rater.rater_id, task_type) };
    let before = match before {
        Some(test) => test,
        None if rater.is_exempt => passed(),
        // A reviewer: nobody tests experts.
        None => return Ok(()),
    };
    if !before.is_passed() {
        return Ok(());
    }
    let after = after_work(&before, is_right, rules);
    if !after.is_passed() && rater.is_exempt {
        for other in TaskType::ALL.iter().filter(|other| other.as_ref() != task_type) {
            if qualifications::find(tx, &rater.rater_id, other.as_ref())?.is_none() {
                qualifications::save(tx, &Qualification { task_type: other.as_ref().to_owned(), ..passed() }, now)?;
            }
        }
        raters::end_exemption(tx, &rater.rater_id, now)?;
    }
    qualifications::save(tx, &after, now)
}

/// Golden answers that a sum of evidence is made of at most when it is made anew.
const MOST_ANSWERS: i64 = 1_000;

/// A golden answer among work was taken back: the evidence is summed anew from those that are left, because a sum that never falls below
/// nothing cannot be stepped back. Calibration that the answer has opened again stays open. The rater must be locked.
///
/// # Errors
/// As any query.
pub fn take_back(tx: &mut Connection, rater_id: &str, task_type: &str, rules: &Rules, now: DateTime<Utc>) -> Result<(), StorageError> {
    let Some(test) = qualifications::find(tx, rater_id, task_type)?.filter(Qualification::is_passed) else { return Ok(()) };
    let left = history::golden_answers(tx, rater_id, task_type, test.decided_at.map(|at| at.0), MOST_ANSWERS)?;
    let drift = left.into_iter().fold(0.0, |sum, is_right| rules.drift.step(sum, is_right));
    qualifications::save(tx, &Qualification { drift, ..test }, now)
}

/// A passed test after one more golden answer among work: open again once the rater has drifted.
#[must_use]
pub fn after_work(before: &Qualification, is_right: bool, rules: &Rules) -> Qualification {
    let drift = rules.drift.step(before.drift, is_right);
    if rules.drift.verdict(drift) != Drift::Retest {
        return Qualification { drift, ..before.clone() };
    }
    Qualification {
        reason: Some("your answers on known items have become less sure; calibration shows whether that was chance".to_owned()),
        ..Qualification::new(&before.rater_id, &before.task_type)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failed_test_may_be_tried_again_after_its_time_and_drift_opens_a_passed_one() {
        let rules = crate::assignments::rules(&web::settings::Settings::from_variables(Vec::<(&str, &str)>::new()).unwrap());
        let now = Utc::now();
        let mut test = Qualification::new("rtr_1", "plan_quality");
        while test.state == "open" {
            test = after_answer(&test, false, &rules, now);
        }
        assert_eq!((test.state.as_str(), test.attempt), ("failed", 1));
        assert!(!test.may_be_tried(now) && test.may_be_tried(now + rules.calibration_retry));
        test = after_answer(&test, true, &rules, now);
        assert_eq!((test.state.as_str(), test.attempt, test.correct, test.total), ("open", 2, 1, 1), "the next attempt begins at nothing");
        while test.state == "open" {
            test = after_answer(&test, true, &rules, now);
        }
        assert!(test.is_passed());
        // Each wrong answer is ln(0.40 / 0.15) = 0.98 of evidence; 4.5 are reached with the fifth.
        let answers = (1..=5).map(|_| {
            test = after_work(&test, false, &rules);
            test.state.clone()
        });
        assert_eq!(answers.collect::<Vec<_>>(), ["passed", "passed", "passed", "passed", "open"]);
    }
}
