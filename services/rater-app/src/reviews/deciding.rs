//! An expert's own view, and the decision: each in one transaction under the lock of the task. The first decision counts; whoever comes
//! second is told who decided, when and what.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::invalid::Invalid;
use domain::rubric;
use domain::scope::Scope;
use domain::task::{Choice, Difficulty, TaskType};
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::consensus::{self, Consensus, NewConsensus};
use storage::error::StorageError;
use storage::golden::NewGoldenItem;
use storage::judgments::{self, Judgment};
use storage::raters::{self, Step};
use storage::reviews::{self, BlindView, NewDecision, Review};
use storage::tasks::{self, Task};
use storage::{accounts, audit, golden as items};

use super::answers;
use super::deadline::waits;
use super::view::{LOOK_ENDS_AFTER, review_view};
use super::{BlindChoice, Decision};
use crate::golden::{self, NewGolden};
use crate::progress;
use crate::submission::MAX_REASONS;

const MAX_NOTE_CHARS: usize = 2_000;

/// What became of a view or a decision.
#[derive(Debug, Clone)]
pub enum Outcome<T> {
    /// It is recorded, or was before.
    Done(T),
    /// The task waits for no expert (any more).
    Refused(Refusal),
}

/// Why a task takes no view and no decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// In a sentence.
    pub detail: String,
    /// The decision that came first, when an expert made one.
    pub decision: Option<Value>,
}

/// Records what an expert thinks before seeing the judgments; the task and the review, which may be shown with them now.
///
/// # Errors
/// [`StorageError::NotFound`] outside the scope; [`StorageError::Invalid`]; [`StorageError::Conflict`] when another view is recorded.
pub fn record_blind(
    tx: &mut Connection,
    scope: &Scope,
    task_id: &str,
    blind: &BlindChoice,
    now: DateTime<Utc>,
) -> Result<Outcome<(Task, Review)>, StorageError> {
    tasks::find(tx, scope, task_id)?;
    let task = tasks::lock(tx, task_id)?;
    check_blind(blind, type_of(&task)?, task.candidate_count())?;
    if !waits(&task.status) {
        return Ok(Outcome::Refused(refusal(tx, &task)?));
    }
    let review = reviews::open(tx, &task, scope.actor(), now - LOOK_ENDS_AFTER, now)?;
    let view = BlindView { choice: blind.choice.as_ref().to_owned(), reasons: json!(blind.reasons), confidence: blind.confidence };
    if review.blind_at.is_none() {
        let review = reviews::save_blind(tx, &review, &view, now)?;
        return Ok(Outcome::Done((task, review)));
    }
    if review.blind_choice.as_deref() == Some(&view.choice) {
        return Ok(Outcome::Done((task, review)));
    }
    let why = format!(
        "your own view of task {task_id:?} is recorded as {}, and you have seen the judgments since; decide otherwise if they changed your mind",
        review.blind_choice.as_deref().unwrap_or_default()
    );
    Err(StorageError::conflict("conflict", why))
}

/// Decides a task.
///
/// # Errors
/// [`StorageError::NotFound`] outside the scope; [`StorageError::Invalid`].
pub fn decide(
    tx: &mut Connection,
    scope: &Scope,
    task_id: &str,
    decision: &Decision,
    now: DateTime<Utc>,
) -> Result<Outcome<Value>, StorageError> {
    tasks::find(tx, scope, task_id)?;
    let task = tasks::lock(tx, task_id)?;
    let golden = as_golden(task_id, decision);
    check_decision(decision, &golden, type_of(&task)?, task.candidate_count())?;
    if !waits(&task.status) {
        return match repeated(tx, &task, scope, decision)? {
            Some(body) => Ok(Outcome::Done(body)),
            None => Ok(Outcome::Refused(refusal(tx, &task)?)),
        };
    }
    let given = judgments::of_task(tx, task_id)?;
    let mut rater_ids: Vec<String> = given.iter().map(|judgment| judgment.rater_id.clone()).collect();
    rater_ids.sort_unstable();
    raters::lock_all(tx, &rater_ids)?;
    let before = consensus::find(tx, task_id)?;
    let opened = reviews::open(tx, &task, scope.actor(), now - LOOK_ENDS_AFTER, now)?;
    let review = reviews::decide(tx, &task, &opened, &to_store(decision, before.as_ref(), &given), now)?;
    let decided = expert_consensus(task_id, decision, scope.actor(), &given, before.as_ref());
    consensus::save(tx, &decided, now)?;
    let feedback = decision.note_to_raters.as_deref().unwrap_or(&decision.rationale);
    judgments::note_review(tx, task_id, decision.choice.as_ref(), feedback, now)?;
    let opinions = judgments::opinions(tx, task_id)?;
    progress::note_decision(tx, task_id, &opinions, Step::Forward, now)?;
    let task = tasks::set_progress(tx, &task, "validated", task.judgments_count, Some(now), now)?;
    if decision.make_golden {
        golden::insert(tx, &task, scope.actor(), &golden, now)?;
    } else if is_proposed(&reviews::of_task(tx, task_id)?, &review, decision) {
        items::propose(tx, &item_of(&golden, &task, scope.actor()), now)?;
    }
    let (retailer, tenant) = (task.retailer_id.as_deref(), task.tenant_id.as_deref());
    let event = progress::decision_event(task_id, &task.task_type, retailer, tenant, &task.status, &decided, now);
    storage::outbox::push(tx, &event, now)?;
    answers::tell(tx, &given, &task, &review, now)?;
    crate::tasks::announce(tx, &task.task_type, now)?;
    let detail = json!({"choice": decision.choice, "rationale": decision.rationale, "golden": decision.make_golden});
    audit::append(tx, scope, &audit::entry(tenant, "task.decided_by_expert", format!("task:{task_id}"), detail), now)?;
    body(tx, &task, &review).map(Outcome::Done)
}

/// What a decision answers, also when it is sent again.
fn body(tx: &mut Connection, task: &Task, review: &Review) -> Result<Value, StorageError> {
    let item = items::find(tx, &task.task_id)?;
    let of_state = |is_candidate: bool| item.as_ref().filter(|item| (item.state == "candidate") == is_candidate);
    let names = names_of(tx, review)?;
    Ok(json!({
        "task_id": task.task_id,
        "status": task.status,
        "consensus": consensus::find(tx, &task.task_id)?,
        "review": review_view(review, &names),
        "golden": of_state(false),
        "golden_candidate": of_state(true),
    }))
}

/// The answer to a decision that this expert has made already, word for word: an answer that was lost on the way is given again.
fn repeated(tx: &mut Connection, task: &Task, scope: &Scope, decision: &Decision) -> Result<Option<Value>, StorageError> {
    let made = reviews::decision_of(tx, &task.task_id)?.filter(|review| {
        review.expert_id == scope.actor()
            && review.choice.as_deref() == Some(decision.choice.as_ref())
            && review.rationale.as_ref() == Some(&decision.rationale)
            && review.error_class.as_deref() == decision.error_class.map(super::ErrorClass::word)
    });
    made.map(|review| body(tx, task, &review)).transpose()
}

fn refusal(tx: &mut Connection, task: &Task) -> Result<Refusal, StorageError> {
    let decision = reviews::decision_of(tx, &task.task_id)?.filter(|_| task.status == "validated");
    let Some((review, at)) = decision.and_then(|review| review.decided_at.map(|at| (review, at))) else {
        return Ok(Refusal { detail: format!("task {:?} is {} and waits for no expert", task.task_id, task.status), decision: None });
    };
    let names = names_of(tx, &review)?;
    let who = names.first().map_or(review.expert_id.as_str(), |(_, name)| name.as_str());
    let detail = format!(
        "task {:?} was decided by {who} at {} as {}; the first decision counts. Take the next task",
        task.task_id,
        at.to_rfc3339_opts(SecondsFormat::Secs, true),
        review.choice.as_deref().unwrap_or_default(),
    );
    Ok(Refusal { detail, decision: Some(review_view(&review, &names)) })
}

fn names_of(tx: &mut Connection, review: &Review) -> Result<Vec<(String, String)>, StorageError> {
    Ok(accounts::display_names(tx, &[review.expert_id.as_str()])?.into_iter().collect())
}

fn type_of(task: &Task) -> Result<TaskType, StorageError> {
    task.task_type.parse().map_err(|_| StorageError::Corrupt(format!("task {} has type {:?}", task.task_id, task.task_type)))
}

fn as_golden(task_id: &str, decision: &Decision) -> NewGolden {
    NewGolden {
        task_id: Some(task_id.to_owned()),
        task: None,
        choice: decision.choice,
        reasons: decision.reasons.clone(),
        rationale: decision.rationale.clone(),
        difficulty: decision.difficulty.unwrap_or(Difficulty::Medium),
        edge_case_type: None,
    }
}

fn item_of(golden: &NewGolden, task: &Task, expert_id: &str) -> NewGoldenItem {
    NewGoldenItem {
        task_id: task.task_id.clone(),
        expert_id: expert_id.to_owned(),
        expert_choice: golden.choice.as_ref().to_owned(),
        expert_reasons: json!(golden.reasons),
        expert_rationale: golden.rationale.clone(),
        difficulty_level: golden.difficulty.as_ref().to_owned(),
        edge_case_type: None,
    }
}

fn to_store(decision: &Decision, before: Option<&Consensus>, given: &[Judgment]) -> NewDecision {
    NewDecision {
        choice: decision.choice.as_ref().to_owned(),
        error_class: decision.error_class.map(|class| class.word().to_owned()),
        reasons: json!(decision.reasons),
        rationale: decision.rationale.clone(),
        note_to_raters: decision.note_to_raters.clone(),
        majority_choice: before.and_then(|before| before.choice.clone()),
        rubric_version: given.iter().map(|judgment| judgment.rubric_version).max().unwrap_or(rubric::VERSION),
    }
}

/// A task is proposed as a golden item when its answer is beyond doubt: every expert who looked thought the same before seeing the
/// judgments, and the error class says that task and guideline are sound.
fn is_proposed(all: &[Review], own: &Review, decision: &Decision) -> bool {
    let mut blind = all.iter().filter_map(|review| review.blind_choice.as_deref());
    own.blind_at.is_some()
        && decision.error_class.is_some_and(super::ErrorClass::is_clear)
        && blind.all(|choice| choice == decision.choice.as_ref())
}

fn check_blind(blind: &BlindChoice, task_type: TaskType, n_candidates: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if blind.choice.candidate().is_some_and(|place| place >= n_candidates) {
        invalid.add("choice", format!("the task has {n_candidates} candidates; {} is not one of them", blind.choice));
    }
    if !(0.0..=1.0).contains(&blind.confidence) {
        invalid.add("confidence", format!("must be 0 to 1, not {}", blind.confidence));
    }
    if blind.reasons.len() > MAX_REASONS {
        invalid.add("reasons", format!("at most {MAX_REASONS}, not {}", blind.reasons.len()));
    }
    for (place, code) in blind.reasons.iter().enumerate().take(MAX_REASONS) {
        if !rubric::reason_fits(task_type, blind.choice, code) {
            invalid.add(format!("reasons[{place}]"), format!("{code:?} does not fit the choice {} of {task_type}", blind.choice));
        }
    }
    invalid.into_result()
}

fn check_decision(decision: &Decision, golden: &NewGolden, task_type: TaskType, n_candidates: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    invalid.merge(golden::check(golden, task_type, n_candidates));
    if decision.note_to_raters.as_ref().is_some_and(|note| note.trim().is_empty() || note.chars().count() > MAX_NOTE_CHARS) {
        invalid.add("note_to_raters", format!("must be 1 to {MAX_NOTE_CHARS} characters, or left out"));
    }
    if let Some(why) = decision.error_class.filter(|_| decision.make_golden).and_then(super::ErrorClass::unfit_for_golden) {
        invalid.add("make_golden", format!("a golden item must have one right answer: {why}"));
    }
    invalid.into_result()
}

/// The expert's word is the decision; what the raters' votes came to is kept beside it.
fn expert_consensus(task_id: &str, decision: &Decision, expert_id: &str, given: &[Judgment], before: Option<&Consensus>) -> NewConsensus {
    let votes = given.iter().filter(|judgment| judgment.choice != Choice::Unsure.as_ref()).count();
    let agreeing = given.iter().filter(|judgment| judgment.choice == decision.choice.as_ref()).count();
    NewConsensus {
        task_id: task_id.to_owned(),
        choice: Some(decision.choice.as_ref().to_owned()),
        posterior: Some(1.0),
        posteriors: before.map_or_else(|| json!({}), |before| before.posteriors.0.clone()),
        method: "expert".to_owned(),
        judgments_count: i32::try_from(given.len()).unwrap_or(i32::MAX),
        agreement: (votes > 0).then(|| agreeing as f64 / votes as f64),
        is_final: true,
        decided_by: Some(expert_id.to_owned()),
        rationale: Some(decision.rationale.clone()),
    }
}
