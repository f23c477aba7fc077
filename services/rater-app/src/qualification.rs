//! A rater's test per task type: how an answer on a golden item moves it on. The test itself is in `learning::calibration`.

use chrono::{DateTime, Utc};
use learning::calibration::Decision;
use storage::connection::Connection;
use storage::error::StorageError;
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

/// Enters an answer on a golden item into the rater's test for the task type; the test, when the answer was given in calibration. The
/// rater must be locked.
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
    if purpose != "calibration" {
        return Ok(None);
    }
    let before = qualifications::find(tx, &rater.rater_id, task_type)?.unwrap_or_else(|| Qualification::new(&rater.rater_id, task_type));
    let after = after_answer(&before, is_right, rules, now);
    qualifications::save(tx, &after, now)?;
    if after.is_passed() && !rater.is_calibrated {
        raters::pass_calibration(tx, &rater.rater_id, now)?;
    }
    Ok(Some(after))
}
