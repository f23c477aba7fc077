//! Recording a judgment and taking it back, each in one transaction: judgment, assignment, records of rater and golden item,
//! the task's progress, its consensus, and the events that tell of it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::task::{Choice, TaskType};
use learning::calibration::Decision as Calibration;
use serde_json::json;
use storage::assignments::{self, Assignment};
use storage::batch::Batch;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::golden::{self, GoldenItem};
use storage::judgments::{self, Judgment, NewJudgment, Opinion};
use storage::outbox::{self, Destination, NewEvent};
use storage::qualifications::Qualification;
use storage::queue;
use storage::raters::{self, Answer, Rater, Step};
use storage::tasks::{self, TaskState};

use crate::dispatch::Rules;
use crate::progress::{self, Change, Moved};
use crate::qualification;
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
    /// Whether it decided its task.
    pub has_decided: bool,
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
    /// The task type that is tested.
    pub task_type: String,
    /// Where the rater stands.
    pub decision: Calibration,
    /// Items of this attempt answered rightly.
    pub n_correct: i32,
    /// Items of this attempt answered.
    pub n_total: i32,
}

/// Records a submission. Commit whatever it answers.
///
/// # Errors
/// [`StorageError::NotFound`] for somebody else's assignment; [`StorageError::Invalid`] with the fields that are wrong;
/// [`StorageError::Conflict`]: `judgment_exists` when another judgment was recorded for it, `lease_expired` when the task was passed over.
pub fn record(
    tx: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    submission: &Submission,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Outcome, StorageError> {
    let (assignment, task) = assignments::lock_task_of(tx, rater_id, assignment_id)?;
    submission.check(task_type_of(&task)?, task.candidate_count())?;
    let item = if task.is_golden { golden::find(tx, &task.task_id)? } else { None };
    if let Some(repeated) = repeated(tx, &assignment, &task, submission, item.as_ref(), rules)? {
        return Ok(repeated);
    }
    if assignment.state == "skipped" {
        return Err(StorageError::conflict("lease_expired", "you passed over this task; ask for the next one"));
    }
    if !assignment.holds_a_slot() && assignment.purpose == "work" && !has_free_slot(tx, &task, now)? {
        // Read before the lock of its task: a second request of the same rater may have judged it since.
        if assignments::find_of_rater(tx, rater_id, assignment_id)?.state != assignment.state {
            return Err(StorageError::Raced("the assignment changed in between"));
        }
        assignments::save_draft(tx, rater_id, assignment_id, submission.draft(), now)?;
        return Ok(Outcome::LeaseExpired);
    }
    let (before, raters) = match task.is_golden {
        true => (Vec::new(), vec![raters::lock_one(tx, rater_id)?]),
        false => raters::lock_judges(tx, &task.task_id, rater_id)?,
    };
    let judged = judge(tx, (&assignment, &task), submission, (before, &raters, None), rules, now)?;
    let mut batch = Batch::default();
    // First of all changes: when the assignment was judged or ended since it was read, before the lock of its task, all is done again.
    assignments::submit(tx, &mut batch, &assignment, now)?;
    judgments::enter(tx, &mut batch, &judged.judgment)?;
    let place = judged.moved.enter(tx, &mut batch, rules, now)?;
    judged.records.iter().try_for_each(|record| raters::enter_record(tx, &mut batch, record, None))?;
    outbox::enter_all(tx, &mut batch, &judged.events, now)?;
    let counts = batch.finish(tx)?;
    judged.moved.settle(tx, &counts, place, rules, now)?;

    let mut calibration = None;
    if let (Some(item), Some(matches)) = (&item, judged.judgment.matches_golden) {
        let rater = rater_of(&judged.records, rater_id)?;
        golden::note_answer(tx, &task.task_id, matches, Step::Forward, now)?;
        let test = qualification::note_answer(tx, rater, &task.task_type, &assignment.purpose, matches, rules, now)?;
        calibration = test.and_then(|test| calibration_result(&test, &judged.judgment, item, rules));
    }
    Ok(judged.recorded(calibration))
}

/// [`record`] for the common case with three statements and no lock, outside of a transaction: a judgment of work in time, with nobody in
/// between. `None` when it is another case, or somebody was: then nothing is written, and [`record`] has to say what there is to say.
///
/// # Errors
/// As [`record`].
pub fn record_at_once(
    conn: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    submission: &Submission,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Option<Outcome>, StorageError> {
    let Some(seen) = assignments::see(conn, rater_id, assignment_id)? else { return Ok(None) };
    if seen.task.is_golden || !seen.assignment.holds_a_slot() || seen.max_judgments.is_none() {
        return Ok(None);
    }
    submission.check(task_type_of(&seen.task)?, seen.task.candidate_count())?;
    let raters = (seen.given.clone(), seen.raters.as_slice(), seen.max_judgments);
    let mut judged = judge(conn, (&seen.assignment, &seen.task), submission, raters, rules, now)?;
    if !judged.moved.is_plain() {
        return Ok(None);
    }
    // The database makes the changes in this order, which is that of the locks elsewhere: the task, raters, then all else.
    judged.records.sort_by(|left, right| left.rater_id.cmp(&right.rater_id));
    let mut batch = Batch::default();
    judged.moved.enter_state(conn, &mut batch, Some(&seen.task_version), now)?;
    for record in &judged.records {
        let Some(version) = seen.version_of(record) else { return Ok(None) };
        raters::enter_record(conn, &mut batch, record, Some(version))?;
    }
    judged.moved.enter_place(conn, &mut batch, rules, now)?;
    assignments::submit(conn, &mut batch, &seen.assignment, now)?;
    judgments::enter(conn, &mut batch, &judged.judgment)?;
    outbox::enter_all(conn, &mut batch, &judged.events, now)?;
    match assignments::write_as_seen(conn, batch) {
        Err(error) if error.is_transient() => Ok(None),
        done => done.map(|()| Some(judged.recorded(None))),
    }
}

/// What a submission comes to, before anything is written.
struct Judged {
    judgment: Judgment,
    moved: Moved,
    records: Vec<Rater>,
    events: Vec<NewEvent>,
}

impl Judged {
    fn recorded(self, calibration: Option<CalibrationResult>) -> Outcome {
        let has_decided = self.moved.decided().is_some();
        Outcome::Recorded(Box::new(Recorded { judgment: self.judgment, calibration, has_decided }))
    }
}

/// Judges a task for a rater: what was said of it `before`, by whom, and how many judgments it may get where that was read.
fn judge(
    tx: &mut Connection,
    (assignment, task): (&Assignment, &TaskState),
    submission: &Submission,
    (before, raters, at_most): (Vec<Opinion>, &[Rater], Option<i32>),
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Judged, StorageError> {
    let judgment = judgment_of(task, assignment, submission, now)?;
    let given: Vec<Opinion> = before.into_iter().chain([opinion_of(&judgment)]).collect();
    let change = Change { given: &given, raters, leases: -i32::from(assignment.holds_a_slot()), at_most, step: Step::Forward };
    let moved = progress::decide(tx, task, &change, rules, now)?;
    let rater = raters::after_answer(rater_of(raters, &assignment.rater_id)?, &answer_of(&judgment, task, assignment), Step::Forward, now);
    let records = records_after(raters, rater, &given, moved.decided(), now);
    let events = events_of("judgment_recorded", &judgment, rater_of(&records, &assignment.rater_id)?, task, moved.event(now));
    Ok(Judged { judgment, moved, records, events })
}

/// The records that a judgment changes: its rater's, and when it decides the task those of all who voted.
fn records_after(raters: &[Rater], rater: Rater, given: &[Opinion], decided: Option<&str>, now: DateTime<Utc>) -> Vec<Rater> {
    let Some(choice) = decided else { return vec![rater] };
    let agrees = |one: &Rater| {
        let opinion = given.iter().find(|opinion| opinion.rater_id == one.rater_id)?;
        (opinion.choice != Choice::Unsure.as_ref()).then(|| opinion.choice == choice)
    };
    let others = raters.iter().filter(|other| other.rater_id != rater.rater_id);
    let decided = others.filter_map(|other| Some(raters::after_decision(other, agrees(other)?, now)));
    let own = match agrees(&rater) {
        Some(agrees) => raters::after_decision(&rater, agrees, now),
        None => rater.clone(),
    };
    decided.chain([own]).collect()
}

/// The answer to a submission whose assignment was judged before.
fn repeated(
    tx: &mut Connection,
    assignment: &Assignment,
    task: &TaskState,
    submission: &Submission,
    item: Option<&GoldenItem>,
    rules: &Rules,
) -> Result<Option<Outcome>, StorageError> {
    if assignment.state != "submitted" {
        return Ok(None);
    }
    let Some(judgment) = judgments::find_of_assignment(tx, &assignment.assignment_id)? else { return Ok(None) };
    if !submission.equals(&judgment) {
        return Err(StorageError::conflict(
            "judgment_exists",
            "you have judged this task with another answer; undo it within its time to change it",
        ));
    }
    let calibration = match item.filter(|_| assignment.purpose == "calibration") {
        Some(item) => storage::qualifications::find(tx, &assignment.rater_id, &task.task_type)?
            .and_then(|test| calibration_result(&test, &judgment, item, rules)),
        None => None,
    };
    Ok(Some(Outcome::Repeated(Box::new(Recorded { judgment, calibration, has_decided: task.status == "completed" && !task.is_golden }))))
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
    now: DateTime<Utc>,
) -> Result<Assignment, StorageError> {
    let refuse = |why: &str| Err(StorageError::conflict("undo_expired", why));
    let seen = judgments::find_of_rater(tx, rater_id, judgment_id)?;
    let mut task = tasks::lock_state(tx, &seen.task_id)?;
    let before = if task.is_golden { Vec::new() } else { judgments::opinions(tx, &task.task_id)? };
    let raters = lock_raters(tx, rater_id, &before)?;
    // Read under the lock: two requests to take back are one.
    let judgment = judgments::find_of_rater(tx, rater_id, judgment_id)?;
    let assignment = assignments::find_of_rater(tx, rater_id, &judgment.assignment_id)?;
    if storage::integrity::voiding::counts(tx, judgment_id)? == Some(false) {
        return refuse("it was taken out of the count");
    }
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
        progress::note_decision(tx, &task.task_id, &before, Step::Back, now)?;
        task.status = "in_progress".to_owned();
    }
    judgments::delete(tx, &judgment)?;
    let rater = rater_of(&raters, rater_id)?;
    let rater = raters::note_answer(tx, rater, &answer_of(&judgment, &task, &assignment), Step::Back, now)?;
    if let Some(matches) = judgment.matches_golden {
        golden::note_answer(tx, &task.task_id, matches, Step::Back, now)?;
        qualification::take_back(tx, rater_id, &task.task_type, rules, now)?;
    }
    let draft = submission::of_judgment(&judgment).draft();
    let reopened = assignments::reopen(tx, assignment, draft, rules.lease, now)?;
    let left: Vec<Opinion> = before.into_iter().filter(|opinion| opinion.rater_id != rater_id).collect();
    let change = Change { given: &left, raters: &raters, leases: i32::from(reopened.holds_a_slot()), at_most: None, step: Step::Back };
    let decision = progress::move_on(tx, &task, &change, rules, now)?;
    outbox::push_all(tx, &events_of("judgment_withdrawn", &judgment, &rater, &task, decision), now)?;
    Ok(reopened)
}

/// Locks the rater and all who judged the task, in one order.
fn lock_raters(tx: &mut Connection, rater_id: &str, judgments: &[Opinion]) -> Result<Vec<Rater>, StorageError> {
    let mut ids: Vec<String> = judgments.iter().map(|judgment| judgment.rater_id.clone()).chain([rater_id.to_owned()]).collect();
    ids.sort_unstable();
    ids.dedup();
    raters::lock_all(tx, &ids)
}

fn rater_of<'a>(raters: &'a [Rater], rater_id: &str) -> Result<&'a Rater, StorageError> {
    raters.iter().find(|rater| rater.rater_id == rater_id).ok_or_else(|| StorageError::not_found("rater", rater_id))
}

/// Whether a judgment without a lease still finds a place: leases and judgments together never exceed what is wanted.
fn has_free_slot(tx: &mut Connection, task: &TaskState, now: DateTime<Utc>) -> Result<bool, StorageError> {
    assignments::end_expired_of(tx, &task.task_id, now)?;
    let row = queue::find(tx, &task.task_id)?;
    Ok(row.is_some_and(|row| row.open_leases + row.judgments < row.required))
}

fn task_type_of(task: &TaskState) -> Result<TaskType, StorageError> {
    task.task_type.parse().map_err(|_| StorageError::Corrupt(format!("task {} has type {:?}", task.task_id, task.task_type)))
}

fn opinion_of(judgment: &Judgment) -> Opinion {
    Opinion { rater_id: judgment.rater_id.clone(), choice: judgment.choice.clone(), is_escalated: judgment.is_escalated }
}

fn judgment_of(task: &TaskState, assignment: &Assignment, submission: &Submission, now: DateTime<Utc>) -> Result<Judgment, StorageError> {
    let order = assignment.order();
    let stored = submission.choice.unblind(&order);
    let choice =
        stored.ok_or_else(|| StorageError::Corrupt(format!("assignment {} has no order for its candidates", assignment.assignment_id)))?;
    // Whoever asks about a golden item among the work, or says to be unsure, has not answered it.
    let is_answer = assignment.purpose == "calibration" || !(submission.escalate || choice == Choice::Unsure);
    let matches_golden = task.golden_choice.as_ref().filter(|_| task.is_golden && is_answer).map(|expert| expert == choice.as_ref());
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
    Ok(Judgment::new(new, now))
}

fn answer_of(judgment: &Judgment, task: &TaskState, assignment: &Assignment) -> Answer {
    Answer {
        task_type: task.task_type.clone(),
        confidence: judgment.confidence,
        time_spent_seconds: judgment.time_spent_seconds,
        matches_golden: judgment.matches_golden,
        in_calibration: assignment.purpose == "calibration",
    }
}

/// The events of a judgment. The leaderboard's news is made of the rater's by the pump.
fn events_of(event: &str, judgment: &Judgment, rater: &Rater, task: &TaskState, decision: Option<NewEvent>) -> Vec<NewEvent> {
    let own = NewEvent {
        destination: Destination::Realtime,
        topic: format!("rater:{}", rater.rater_id),
        event: event.to_owned(),
        payload: json!({"judgment_id": judgment.judgment_id, "rater_id": rater.rater_id, "total_judgments": rater.total_judgments}),
        tenant_id: None,
    };
    [own, crate::tasks::changed(&task.task_type)].into_iter().chain(decision).collect()
}

fn calibration_result(test: &Qualification, judgment: &Judgment, item: &GoldenItem, rules: &Rules) -> Option<CalibrationResult> {
    Some(CalibrationResult {
        correct: judgment.matches_golden == Some(true),
        expert_choice: item.expert_choice.parse().ok()?,
        rationale: item.expert_rationale.clone(),
        task_type: test.task_type.clone(),
        decision: qualification::standing(test, rules),
        n_correct: test.correct,
        n_total: test.total,
    })
}
