//! Recording a judgment and taking it back, each in one transaction: judgment, assignment, records of rater and golden item,
//! the task's progress, its consensus, and the events that tell of it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::task::{Choice, TaskStatus};
use learning::calibration::Decision as Calibration;
use serde_json::json;
use storage::assignments::{self, Assignment};
use storage::connection::Connection;
use storage::consensus::{self, NewConsensus};
use storage::error::StorageError;
use storage::golden::{self, GoldenItem};
use storage::judgments::{self, Judgment, NewJudgment};
use storage::outbox::{self, Destination, NewEvent};
use storage::raters::{self, Answer, Rater, Step};
use storage::tasks::{self, Task};

use crate::decision::{self, Votes};
use crate::dispatch::{Rules, calibration_of};
use crate::reviews;
use crate::submission::{self, Submission};

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is recorded.
    Recorded(Box<Recorded>),
    /// The same was recorded before.
    Repeated(Box<Recorded>),
    /// The lease had ended and the slot is taken; the submission is kept as the assignment's draft.
    LeaseExpired,
}

/// A recorded judgment with what the rater may learn of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The judgment.
    pub judgment: Judgment,
    /// In calibration: the expert's answer and where the rater stands.
    pub calibration: Option<CalibrationResult>,
}

/// What a rater learns after a calibration item.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationResult {
    /// Whether the answer equals the expert's.
    pub correct: bool,
    /// The expert's choice, in the stored order.
    pub expert_choice: Choice,
    /// The expert's reason.
    pub rationale: String,
    /// Where the rater stands.
    pub decision: Calibration,
    /// Calibration items answered rightly.
    pub n_correct: i32,
    /// Calibration items answered.
    pub n_total: i32,
}

/// Records a submission that has passed [`Submission::check`]. Commit whatever it answers.
///
/// # Errors
/// [`StorageError::NotFound`] for somebody else's assignment; [`StorageError::Conflict`]: `judgment_exists` when another judgment
/// was recorded for it, `lease_expired` when the task was passed over.
pub fn record(
    tx: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    submission: &Submission,
    rules: &Rules,
    threshold: f64,
    now: DateTime<Utc>,
) -> Result<Outcome, StorageError> {
    let (task, assignment, rater, others) = lock_for(tx, rater_id, assignment_id)?;
    let item = if task.is_golden { golden::find(tx, &task.task_id)? } else { None };
    if let Some(judgment) = judgments::find_of_assignment(tx, assignment_id)? {
        if !submission.equals(&judgment) {
            return Err(StorageError::conflict(
                "judgment_exists",
                "you have judged this task with another answer; undo it within its time to change it",
            ));
        }
        let calibration = calibration_result(&assignment, &judgment, item.as_ref(), &rater, rules);
        return Ok(Outcome::Repeated(Box::new(Recorded { judgment, calibration })));
    }
    if assignment.state == "skipped" {
        return Err(StorageError::conflict("lease_expired", "you passed over this task; ask for the next one"));
    }
    if !assignment.is_open(now) && !slot_is_free(tx, &task, &assignment, now)? {
        assignments::save_draft(tx, rater_id, assignment_id, submission.draft(), now)?;
        return Ok(Outcome::LeaseExpired);
    }
    let judgment = insert_judgment(tx, &task, &assignment, submission, now)?;
    assignments::submit(tx, &assignment, now)?;
    let answer = answer_of(&judgment, &task, &assignment);
    let mut rater = raters::note_answer(tx, &rater, &answer, Step::Forward, now)?;
    if let Some(matches) = judgment.matches_golden {
        golden::note_answer(tx, &task.task_id, matches, Step::Forward, now)?;
    }
    if assignment.purpose == "calibration" && !rater.is_calibrated && calibration_of(&rater, &rules.calibration) == Calibration::Pass {
        raters::pass_calibration(tx, rater_id, now)?;
        rater = raters::find(tx, rater_id)?;
    }
    update_task(tx, &task, &others, threshold, rules.review_sla, now)?;
    announce(tx, "judgment_recorded", &judgment, &rater, &task, now)?;
    let calibration = calibration_result(&assignment, &judgment, item.as_ref(), &rater, rules);
    Ok(Outcome::Recorded(Box::new(Recorded { judgment, calibration })))
}

/// Takes a judgment back: its assignment is open again with the judgment as its draft, and all counts are as before.
///
/// It may be taken back within `within` of being given, unless it was a calibration answer (the expert's answer was shown), an
/// expert has reviewed the task since, or the task's decision was already passed on to the RLHF backend.
///
/// # Errors
/// [`StorageError::NotFound`] for somebody else's judgment; [`StorageError::Conflict`] (`undo_expired`) with the reason.
pub fn undo(
    tx: &mut Connection,
    rater_id: &str,
    judgment_id: &str,
    within: TimeDelta,
    rules: &Rules,
    threshold: f64,
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let refuse = |why: &str| Err(StorageError::conflict("undo_expired", why));
    let seen = judgments::find_of_rater(tx, rater_id, judgment_id)?;
    let (task, assignment, rater, others) = lock_for(tx, rater_id, &seen.assignment_id)?;
    // Read again under the lock: two requests to take back are one.
    let judgment = judgments::find_of_rater(tx, rater_id, judgment_id)?;
    if now - judgment.created_at.0 > within {
        return refuse("the time to take a judgment back is over");
    }
    if assignment.purpose == "calibration" {
        return refuse("a calibration answer cannot be taken back: the expert's answer was shown");
    }
    if judgment.expert_reviewed {
        return refuse("an expert has decided this task since");
    }
    if task.status == "completed" && !task.is_golden {
        if !judgments::withdraw_decision(tx, &task.task_id)? {
            return refuse("the task is decided and its decision was passed on");
        }
        note_decision(tx, &task.task_id, Step::Back, now)?;
    }
    judgments::delete(tx, &judgment)?;
    let rater = raters::find(tx, &rater.rater_id)?;
    let rater = raters::note_answer(tx, &rater, &answer_of(&judgment, &task, &assignment), Step::Back, now)?;
    if let Some(matches) = judgment.matches_golden {
        golden::note_answer(tx, &task.task_id, matches, Step::Back, now)?;
    }
    let draft = submission::of_judgment(&judgment).draft();
    let reopened = assignments::reopen(tx, &assignment, draft, rules.lease, now)?;
    update_task(tx, &task, &others, threshold, rules.review_sla, now)?;
    announce(tx, "judgment_withdrawn", &judgment, &rater, &task, now)?;
    Ok(reopened)
}

/// Enters the final consensus of a task into the records of all who judged it, or takes it back. Abstentions are left out. The
/// raters must be locked.
///
/// # Errors
/// As any query.
pub fn note_decision(tx: &mut Connection, task_id: &str, step: Step, now: DateTime<Utc>) -> Result<(), StorageError> {
    let decided = consensus::find(tx, task_id)?.filter(|consensus| consensus.is_final).and_then(|consensus| consensus.choice);
    let Some(choice) = decided else { return Ok(()) };
    for judgment in judgments::of_task(tx, task_id)?.iter().filter(|judgment| judgment.choice != Choice::Unsure.as_ref()) {
        raters::note_decision(tx, &judgment.rater_id, judgment.choice == choice, step, now)?;
    }
    Ok(())
}

/// Tells the RLHF backend that a task is decided.
///
/// # Errors
/// As any query.
pub fn tell_decision(tx: &mut Connection, task: &Task, decided: &NewConsensus, now: DateTime<Utc>) -> Result<(), StorageError> {
    let event = NewEvent {
        destination: Destination::RlhfBackend,
        topic: "judgments_ready".to_owned(),
        event: "judgments_ready".to_owned(),
        payload: json!({
            "task_id": task.task_id, "task_type": task.task_type, "retailer_id": task.retailer_id, "tenant_id": task.tenant_id,
            "status": task.status, "choice": decided.choice, "posterior": decided.posterior, "judgments": decided.judgments_count,
            "decided_at": now,
        }),
        tenant_id: task.tenant_id.clone(),
    };
    outbox::push(tx, &event, now)?;
    Ok(())
}

/// Locks the task, then all raters concerned, then the assignment. The raters' ids come with them.
fn lock_for(tx: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<(Task, Assignment, Rater, Vec<String>), StorageError> {
    let seen = assignments::find_of_rater(tx, rater_id, assignment_id)?;
    let task = tasks::lock(tx, &seen.task_id)?;
    let mut ids = vec![rater_id.to_owned()];
    if !task.is_golden {
        ids.extend(judgments::of_task(tx, &task.task_id)?.into_iter().map(|judgment| judgment.rater_id));
        ids.sort_unstable();
        ids.dedup();
    }
    let locked = raters::lock_all(tx, &ids)?;
    let rater = locked.into_iter().find(|rater| rater.rater_id == rater_id).ok_or_else(|| StorageError::not_found("rater", rater_id))?;
    let assignment = assignments::lock_of_rater(tx, rater_id, assignment_id)?;
    Ok((task, assignment, rater, ids))
}

fn slot_is_free(tx: &mut Connection, task: &Task, assignment: &Assignment, now: DateTime<Utc>) -> Result<bool, StorageError> {
    if assignment.purpose != "work" {
        return Ok(true);
    }
    let held = assignments::open_by_others(tx, &task.task_id, &assignment.rater_id, now)?;
    let is_open = matches!(task.status.as_str(), "pending" | "in_progress");
    Ok(is_open && held + i64::from(task.judgments_count) < i64::from(task.required_judgments))
}

fn insert_judgment(
    tx: &mut Connection,
    task: &Task,
    assignment: &Assignment,
    submission: &Submission,
    now: DateTime<Utc>,
) -> Result<Judgment, StorageError> {
    let order = assignment.order();
    let stored = submission.choice.unblind(&order);
    let choice =
        stored.ok_or_else(|| StorageError::Corrupt(format!("assignment {} has no order for its candidates", assignment.assignment_id)))?;
    let matches_golden = task.golden_choice.as_ref().filter(|_| task.is_golden).map(|expert| expert == choice.as_ref());
    let new = NewJudgment {
        assignment_id: assignment.assignment_id.clone(),
        task_id: task.task_id.clone(),
        rater_id: assignment.rater_id.clone(),
        choice: choice.as_ref().to_owned(),
        display_order: json!(order),
        reasons: json!(submission.reasons),
        free_text_feedback: submission.free_text_feedback.clone(),
        confidence: submission.confidence,
        rubric_scores: json!(submission.rubric_scores),
        time_spent_seconds: (now - assignment.leased_at.0).as_seconds_f64().max(0.0),
        active_ms: submission.active_ms,
        is_escalated: submission.escalate,
        escalation_reason: submission.escalation_reason.clone(),
        matches_golden,
        rubric_version: domain::rubric::VERSION,
    };
    judgments::insert(tx, &new, now)
}

fn answer_of(judgment: &Judgment, task: &Task, assignment: &Assignment) -> Answer {
    Answer {
        task_type: task.task_type.clone(),
        confidence: judgment.confidence,
        time_spent_seconds: judgment.time_spent_seconds,
        matches_golden: judgment.matches_golden,
        in_calibration: assignment.purpose == "calibration",
    }
}

/// Counts the judgments again and moves the task on. Golden items, and tasks that an expert has decided, only count.
fn update_task(
    tx: &mut Connection,
    task: &Task,
    rater_ids: &[String],
    threshold: f64,
    review_sla: TimeDelta,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let given = judgments::of_task(tx, &task.task_id)?;
    let count = i32::try_from(given.len()).unwrap_or(i32::MAX);
    if task.is_golden || task.status == "validated" {
        tasks::set_progress(tx, task, &task.status, count, task.completed_at.map(|at| at.0), now)?;
        return Ok(());
    }
    let raters = raters::find_all(tx, rater_ids)?;
    let votes = Votes {
        task_id: &task.task_id,
        n_candidates: task.candidate_count(),
        required: task.required_judgments,
        judgments: &given,
        raters: &raters,
    };
    let decision = decision::decide(&votes, threshold);
    let completed_at = (decision.status == TaskStatus::Completed).then_some(now);
    let before = task;
    let task = tasks::set_progress(tx, task, decision.status.as_ref(), count, completed_at, now)?;
    reviews::deadline::keep(tx, &task.task_id, &before.status, &task.status, review_sla, now)?;
    match decision.consensus {
        Some(consensus) => {
            consensus::save(tx, &consensus, now)?;
            if consensus.is_final {
                note_decision(tx, &task.task_id, Step::Forward, now)?;
                tell_decision(tx, &task, &consensus, now)?;
            }
        }
        None => consensus::delete(tx, &task.task_id)?,
    }
    Ok(())
}

fn announce(
    tx: &mut Connection,
    event: &str,
    judgment: &Judgment,
    rater: &Rater,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let to = |topic: String, event: &str, payload| NewEvent {
        destination: Destination::Realtime,
        topic,
        event: event.to_owned(),
        payload,
        tenant_id: None,
    };
    let own = json!({"judgment_id": judgment.judgment_id, "rater_id": rater.rater_id, "total_judgments": rater.total_judgments});
    outbox::push(tx, &to(format!("rater:{}", rater.rater_id), event, own), now)?;
    crate::tasks::announce(tx, task, now)?;
    let standing = json!({"rater_id": rater.rater_id, "total_judgments": rater.total_judgments});
    outbox::push(tx, &to("leaderboard".to_owned(), "leaderboard_changed", standing), now)?;
    Ok(())
}

fn calibration_result(
    assignment: &Assignment,
    judgment: &Judgment,
    item: Option<&GoldenItem>,
    rater: &Rater,
    rules: &Rules,
) -> Option<CalibrationResult> {
    let item = item.filter(|_| assignment.purpose == "calibration")?;
    Some(CalibrationResult {
        correct: judgment.matches_golden == Some(true),
        expert_choice: item.expert_choice.parse().ok()?,
        rationale: item.expert_rationale.clone(),
        decision: if rater.is_calibrated { Calibration::Pass } else { calibration_of(rater, &rules.calibration) },
        n_correct: rater.calibration_correct,
        n_total: rater.calibration_total,
    })
}
