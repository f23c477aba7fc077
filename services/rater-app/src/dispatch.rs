//! Which task a rater gets next: calibration first, then work with golden items mixed in.

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use learning::calibration::{Decision, SequentialTest};
use sha2::{Digest, Sha256};
use storage::assignments::{self, Assignment, LeaseRequest, Nothing, Purpose};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::raters::{self, Rater};
use storage::tasks::{self, Task};

/// What the rater asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is right: calibration until it is passed, then work.
    Anything,
    /// Work only.
    Work,
    /// Calibration only.
    Calibration,
}

/// Why nothing is given out; the words of the `Endcap-Reason` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no open task of these types.
    NoTasks,
    /// The rater has judged or skipped all of them.
    AllDoneByYou,
    /// All that are left are held by others; ask again soon.
    AllHeld,
    /// Calibration has to be passed first.
    NeedsCalibration,
    /// Calibration was not passed.
    CalibrationFailed,
    /// Calibration was passed already.
    AlreadyCalibrated,
    /// The profile is not active.
    Paused,
}

/// The rules of giving out.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a task is held.
    pub lease: TimeDelta,
    /// Share of golden items among the work.
    pub golden_rate: f64,
    /// The calibration test.
    pub calibration: SequentialTest,
    /// How long experts have for a task that waits for one.
    pub review_sla: TimeDelta,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This one.
    Given(Box<(Assignment, Task)>),
    /// Nothing, because.
    Nothing(Reason),
}

/// Leases the next task, or renews the lease that the rater holds. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn next(
    tx: &mut Connection,
    rater_id: &str,
    role: Role,
    wanted: Wanted,
    task_types: &[String],
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Next, StorageError> {
    let rater = raters::find(tx, rater_id)?;
    if !rater.is_active {
        return Ok(Next::Nothing(Reason::Paused));
    }
    if let Some(open) = assignments::open_of_rater(tx, rater_id, now)? {
        let renewed = assignments::extend(tx, rater_id, &open.assignment_id, rules.lease, now)?;
        let task = tasks::read(tx, &renewed.task_id)?;
        return Ok(Next::Given(Box::new((renewed, task))));
    }
    let purposes = match purposes(&rater, role, wanted, rules) {
        Ok(purposes) => purposes,
        Err(reason) => return Ok(Next::Nothing(reason)),
    };
    let mut reason = Reason::NoTasks;
    for purpose in purposes {
        let request =
            LeaseRequest { rater_id: rater_id.to_owned(), task_types: task_types.to_vec(), purpose: *purpose, lease: rules.lease };
        if let Some(assignment) = assignments::lease_next(tx, &request, now)? {
            let task = tasks::read(tx, &assignment.task_id)?;
            return Ok(Next::Given(Box::new((assignment, task))));
        }
        reason = match assignments::nothing_because(tx, &request)? {
            Nothing::NoTasks => Reason::NoTasks,
            Nothing::AllDoneByYou => Reason::AllDoneByYou,
            Nothing::AllHeld => Reason::AllHeld,
        };
    }
    Ok(Next::Nothing(reason))
}

/// Whether a golden item is due: a draw from a hash of the rater and the number of judgments, so that it can be recomputed and
/// a second request does not draw again.
#[must_use]
pub fn golden_is_due(rater_id: &str, total_judgments: i32, golden_rate: f64) -> bool {
    let digest = Sha256::digest(format!("{rater_id} {total_judgments}"));
    let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0) < golden_rate
}

/// What to look for, in this order.
fn purposes(rater: &Rater, role: Role, wanted: Wanted, rules: &Rules) -> Result<&'static [Purpose], Reason> {
    let is_exempt = role.may_review() || rater.is_calibrated;
    match (is_exempt, wanted) {
        (true, Wanted::Calibration) => Err(Reason::AlreadyCalibrated),
        (true, _) if golden_is_due(&rater.rater_id, rater.total_judgments, rules.golden_rate) => Ok(&[Purpose::Golden, Purpose::Work]),
        (true, _) => Ok(&[Purpose::Work]),
        (false, _) if calibration_of(rater, &rules.calibration) == Decision::Fail => Err(Reason::CalibrationFailed),
        (false, Wanted::Work) => Err(Reason::NeedsCalibration),
        (false, _) => Ok(&[Purpose::Calibration]),
    }
}

/// What the rater's calibration answers mean so far.
#[must_use]
pub fn calibration_of(rater: &Rater, test: &SequentialTest) -> Decision {
    test.decide(rater.calibration_correct.max(0).unsigned_abs(), rater.calibration_total.max(0).unsigned_abs())
}

impl Reason {
    /// The word in the header.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoTasks => "no_tasks",
            Self::AllDoneByYou => "all_done_by_you",
            Self::AllHeld => "all_held",
            Self::NeedsCalibration => "needs_calibration",
            Self::CalibrationFailed => "calibration_failed",
            Self::AlreadyCalibrated => "already_calibrated",
            Self::Paused => "paused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_items_come_at_their_rate() {
        let n = (0..5000).filter(|count| golden_is_due("rtr_1", *count, 0.1)).count();
        // Within five standard deviations of 500.
        assert!((394..606).contains(&n), "{n}");
        assert!((0..100).all(|count| !golden_is_due("rtr_1", count, 0.0) && golden_is_due("rtr_1", count, 1.0)));
    }
}
