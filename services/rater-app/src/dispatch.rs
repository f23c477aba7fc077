//! Which task a rater gets next: calibration for a task type before work on it, then work with golden items mixed in.

pub mod gather;
pub mod nothing;
mod together;
mod why;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::task::TaskType;
use learning::calibration::SequentialTest;
use learning::drift::DriftTest;
use learning::golden::{ExposureCaps, RateRules};
use learning::judgment::GoldRecord;
use sha2::{Digest, Sha256};
use storage::assignments::{self, Assignment, LeaseRequest, Leased, Nothing, Purpose};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::qualifications::{self, Qualification};
use storage::queue::{self as stored, Weights};
use storage::raters::{self, Rater};
use storage::tasks::{self, Task};

use crate::evidence::Evidence;
use crate::qualification;
use crate::queue::{self, Part, Shares};

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
    /// Calibration has to be passed first: of any kind, or of those kinds of which tasks are open.
    NeedsCalibration,
    /// Tasks are open, but only of kinds that the rater has not passed and cannot be tested in now.
    NotQualified,
    /// Calibration is not over, and the rater has answered every golden item of the type.
    NoGoldenItems,
    /// Calibration was not passed.
    CalibrationFailed,
    /// Calibration was passed already.
    AlreadyCalibrated,
    /// The rater has given as many judgments as one may in a day.
    QuotaReached,
    /// The profile is not active.
    Paused,
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
            Self::NotQualified => "not_qualified",
            Self::NoGoldenItems => "no_golden_items",
            Self::CalibrationFailed => "calibration_failed",
            Self::AlreadyCalibrated => "already_calibrated",
            Self::QuotaReached => "quota_reached",
            Self::Paused => "paused",
        }
    }
}

/// The rules of giving out and judging.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a task is held.
    pub lease: TimeDelta,
    /// Share of golden items among the work.
    pub golden_rate: f64,
    /// The calibration test.
    pub calibration: SequentialTest,
    /// How long after a failed calibration the next attempt may begin.
    pub calibration_retry: TimeDelta,
    /// Attempts at calibration per task type.
    pub calibration_attempts: i32,
    /// When golden answers after calibration ask for it again.
    pub drift: DriftTest,
    /// How often a golden item may be seen.
    pub exposure: ExposureCaps,
    /// The order of the queue.
    pub weights: Weights,
    /// Judgments a rater may give in 24 hours; 0 is no bound.
    pub daily_judgments: i64,
    /// Posterior probability from which a task with all its judgments is decided.
    pub threshold: f64,
    /// Posterior probability from which no further judgment is asked for, where more may be.
    pub enough: f64,
    /// Raters who may pass over a task before an expert looks at it.
    pub max_skips: i64,
    /// What earlier decisions say about raters.
    pub evidence: Arc<Evidence>,
    /// How long experts have for a task that waits for one.
    pub review_sla: TimeDelta,
    /// The secret of draws.
    pub lot: Lot,
}

/// What raters must not know about draws that concern them.
#[derive(Clone, Default)]
pub struct Lot([u8; 32]);

impl Lot {
    /// From a secret of this installation.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Sha256::new().chain_update("golden items").chain_update(secret).finalize().into())
    }
}

impl std::fmt::Debug for Lot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lot(..)")
    }
}

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Request {
    /// The rater.
    pub rater_id: String,
    /// The account's role.
    pub role: Role,
    /// Work, calibration, or whatever is right.
    pub wanted: Wanted,
    /// Task type words; empty is any.
    pub task_types: Vec<String>,
    /// What retailers were served lately.
    pub shares: Shares,
}

/// A task that was given out.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The lease.
    pub assignment: Assignment,
    /// The task.
    pub task: Task,
    /// Why this one; empty in calibration.
    pub why: Vec<Part>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This one.
    Given(Box<Given>),
    /// Nothing, because.
    Nothing(Reason),
}

/// Leases the next task, or renews the lease that the rater holds. Call it in a transaction.
///
/// # Errors
/// [`StorageError::Raced`] when others took every task looked at; or as any query.
pub fn next(tx: &mut Connection, request: &Request, rules: &Rules, now: DateTime<Utc>) -> Result<Next, StorageError> {
    let rater = raters::lock_one(tx, &request.rater_id)?;
    if !rater.is_active {
        return Ok(Next::Nothing(Reason::Paused));
    }
    let tests = if is_exempt(&rater, request.role) { Vec::new() } else { qualifications::of_rater(tx, &rater.rater_id)? };
    let plan = plan(&rater, &tests, request, rules, now);
    // Who looks for work and holds a lease is told so by the search; before anything else is answered or given, a lease is looked for here.
    let is_told =
        rules.daily_judgments == 0 && plan.as_ref().is_ok_and(|plan| plan.first().is_some_and(|(purpose, _)| *purpose == Purpose::Work));
    if !is_told && let Some(open) = assignments::leased_of_rater(tx, &rater.rater_id)? {
        return held(tx, request, &rater, open, rules, now);
    }
    let plan = match plan {
        Ok(plan) => plan,
        Err(reason) => return Ok(Next::Nothing(reason)),
    };
    if rules.daily_judgments > 0
        && storage::judgments::count_since(tx, &rater.rater_id, now - TimeDelta::hours(24))? >= rules.daily_judgments
    {
        return Ok(Next::Nothing(Reason::QuotaReached));
    }
    let score = |waiting: &stored::Waiting| queue::score(&queue::parts(&waiting.into(), &rater, &request.shares, &rules.weights, now));
    let mut reason = Reason::NoTasks;
    for (purpose, task_types) in plan {
        if purpose == Purpose::Golden
            && assignments::count_golden_since(tx, &rater.rater_id, now - TimeDelta::hours(24))? >= rules.exposure.per_rater_and_day.into()
        {
            continue;
        }
        let wanted = LeaseRequest { rater_id: rater.rater_id.clone(), task_types, purpose, lease: rules.lease };
        let stand_in = if purpose == Purpose::Golden { assignments::stand_in(tx, &wanted, &score)? } else { None };
        match assignments::lease_next(tx, &wanted, &score, now)? {
            Leased::Task(assignment, task, leading) => {
                if let Some(stand_in) = &stand_in {
                    assignments::note_stand_in(tx, &assignment.assignment_id, stand_in)?;
                }
                let why = why::of_given(tx, &assignment, &task, leading, (&rater, request), rules, now)?;
                return Ok(Next::Given(Box::new(Given { assignment: *assignment, task: *task, why })));
            }
            Leased::Held(open) => return held(tx, request, &rater, *open, rules, now),
            Leased::Nothing => {}
        }
        let tested = tests.iter().find(|test| purpose == Purpose::Calibration && wanted.task_types.contains(&test.task_type));
        if let Some(test) = tested
            && qualification::decide_without_items(tx, test, rules, now)?.is_some()
        {
            return next(tx, request, rules, now);
        }
        reason = match (purpose, assignments::nothing_because(tx, &wanted)?) {
            (Purpose::Calibration, _) if tests.iter().any(|test| test.state == "failed") => Reason::CalibrationFailed,
            (_, Nothing::NoTasks) => Reason::NoTasks,
            (Purpose::Calibration, _) => Reason::NoGoldenItems,
            (_, Nothing::AllDoneByYou) => Reason::AllDoneByYou,
            (_, Nothing::AllHeld) => Reason::AllHeld,
        };
    }
    let is_for_work = request.wanted != Wanted::Calibration && matches!(reason, Reason::NoTasks | Reason::AllDoneByYou);
    let other_kinds = if is_for_work { nothing::of_other_kinds(tx, &tests, request, rules, now)? } else { None };
    Ok(Next::Nothing(other_kinds.unwrap_or(reason)))
}

/// The lease that a rater holds, held anew.
fn held(
    tx: &mut Connection,
    request: &Request,
    rater: &Rater,
    open: Assignment,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Next, StorageError> {
    let assignment = assignments::extend_found(tx, open, rules.lease, now)?;
    given(tx, request, rater, assignment, rules, now)
}

/// What a rater who holds this assignment sees of it. The assignment must be the rater's.
///
/// # Errors
/// As any query.
pub fn given(
    tx: &mut Connection,
    request: &Request,
    rater: &Rater,
    assignment: Assignment,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Next, StorageError> {
    let task = tasks::read(tx, &assignment.task_id)?;
    let leading = if why::has_leading(&assignment, &task) { why::leading(tx, &task)? } else { None };
    let why = why::of_given(tx, &assignment, &task, leading, (rater, request), rules, now)?;
    Ok(Next::Given(Box::new(Given { assignment, task, why })))
}

/// Whether a golden item is due: a draw from a hash of the rater and the number of judgments, so that a second request does not draw
/// again, and of a secret, so that raters cannot draw for themselves.
#[must_use]
pub fn golden_is_due(lot: &Lot, rater_id: &str, total_judgments: i32, golden_rate: f64) -> bool {
    let digest = Sha256::new().chain_update(lot.0).chain_update(format!("{rater_id} {total_judgments}")).finalize();
    let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0) < golden_rate
}

/// How often golden items come to a rater: the more, the less is known of the rater, and while the rater seems to drift.
fn golden_rate(rater: &Rater, tests: &[Qualification], rules: &Rules) -> f64 {
    let count = |n: i32| n.max(0).unsigned_abs();
    let record = GoldRecord { correct: count(rater.golden_correct), total: count(rater.golden_total) };
    let sums = tests.iter().filter(|test| test.is_passed()).map(|test| test.drift);
    let drift = rules.drift.verdict(sums.fold(0.0, f64::max));
    RateRules::with_base(rules.golden_rate).rate(record, drift, rater.golden_rate_factor)
}

/// Whether somebody may work without calibration.
#[must_use]
pub fn is_exempt(rater: &Rater, role: Role) -> bool {
    role.may_review() || rater.is_exempt
}

/// What to look for, in this order: purposes with the task types they are for, where none is any.
fn plan(
    rater: &Rater,
    tests: &[Qualification],
    request: &Request,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Vec<(Purpose, Vec<String>)>, Reason> {
    let work = |task_types: Vec<String>| {
        let golden_first = golden_is_due(&rules.lot, &rater.rater_id, rater.total_judgments, golden_rate(rater, tests, rules));
        let golden = golden_first.then(|| (Purpose::Golden, task_types.clone()));
        golden.into_iter().chain([(Purpose::Work, task_types)]).collect()
    };
    if is_exempt(rater, request.role) {
        return if request.wanted == Wanted::Calibration { Err(Reason::AlreadyCalibrated) } else { Ok(work(request.task_types.clone())) };
    }
    let all: Vec<String> = TaskType::ALL.iter().map(|task_type| task_type.as_ref().to_owned()).collect();
    // Each type once, whatever was asked for.
    let asked: Vec<String> =
        all.iter().filter(|task_type| request.task_types.is_empty() || request.task_types.contains(task_type)).cloned().collect();
    let test_of = |task_type: &str| tests.iter().find(|test| test.task_type == task_type);
    let passed: Vec<String> = asked.iter().filter(|task_type| test_of(task_type).is_some_and(Qualification::is_passed)).cloned().collect();
    // What was begun comes first, so that one test is finished before the next begins.
    let mut open: Vec<(i32, &String)> = asked
        .iter()
        .filter(|task_type| test_of(task_type).is_none_or(|test| test.may_be_tried(now)))
        .map(|task_type| (test_of(task_type).filter(|test| test.state == "open").map_or(0, |test| test.total), task_type))
        .collect();
    open.sort_by_key(|(answered, _)| -answered);
    let calibration = || open.iter().map(|(_, task_type)| (Purpose::Calibration, vec![(*task_type).clone()])).collect::<Vec<_>>();
    let refusal = if passed.is_empty() { Reason::CalibrationFailed } else { Reason::AlreadyCalibrated };
    match request.wanted {
        Wanted::Work | Wanted::Anything if passed.len() == all.len() => Ok(work(Vec::new())),
        Wanted::Work | Wanted::Anything if !passed.is_empty() => Ok(work(passed)),
        Wanted::Work if !open.is_empty() => Err(Reason::NeedsCalibration),
        _ if open.is_empty() => Err(refusal),
        _ => Ok(calibration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_items_come_at_their_rate() {
        let n = (0..5000).filter(|count| golden_is_due(&Lot::default(), "rtr_1", *count, 0.1)).count();
        // Within five standard deviations of 500.
        assert!((394..606).contains(&n), "{n}");
        let of = |lot: &Lot| (0..100).map(|count| golden_is_due(lot, "rtr_1", count, 0.5)).collect::<Vec<_>>();
        assert_ne!(of(&Lot::new("one")), of(&Lot::new("another")), "the secret decides");
        assert!((0..100).all(|n| !golden_is_due(&Lot::default(), "rtr_1", n, 0.0) && golden_is_due(&Lot::default(), "rtr_1", n, 1.0)));
    }
}
