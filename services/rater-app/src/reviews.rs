//! Expert review: tasks that raters escalated or did not agree on, oldest first, and the expert's decision.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use domain::scope::Scope;
use domain::task::{Choice, Difficulty, TaskType};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::consensus::{self, Consensus, NewConsensus};
use storage::error::StorageError;
use storage::judgments::{self, Judgment};
use storage::raters::{self, Step};
use storage::tasks::{self, Task};
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::assignments::REASON_HEADER;
use crate::golden::{self, NewGolden};
use crate::presentation;
use crate::progress;
use crate::state::State;

/// An expert's decision.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The decision, in the stored order as `GET /v1/reviews/next` shows it.
    pub choice: Choice,
    /// Why; raters of the task see it.
    pub rationale: String,
    /// Whether the task becomes a golden item.
    #[serde(default)]
    pub make_golden: bool,
    /// How hard it is, for a golden item.
    #[serde(default)]
    pub difficulty: Option<Difficulty>,
}

/// The oldest task that waits for an expert, with all judgments (without who gave them); 204 when none waits.
#[utoipa::path(get, path = "/v1/reviews/next", tag = "reviews", responses((status = 200, description = "{task, judgments, consensus}"), (status = 204, description = "Endcap-Reason: no_reviews"), (status = 403, description = "Experts and administrators only")))]
pub async fn next_review(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    Ok(match find_next(&state, &caller).await? {
        Some(body) => HttpResponse::Ok().json(body),
        None => HttpResponse::NoContent().insert_header((REASON_HEADER, "no_reviews")).finish(),
    })
}

/// The next review, for pages too.
///
/// # Errors
/// 403 for others than experts and administrators.
pub async fn find_next(state: &State, caller: &Caller) -> Result<Option<Value>, Problem> {
    caller.require(Role::may_review)?;
    let (scope, role) = (caller.scope(), caller.role);
    let found = state
        .storage
        .read(move |conn| {
            let Some(task) = tasks::next_for_review(conn, &scope)? else { return Ok(None) };
            let given = judgments::of_task(conn, &task.task_id)?;
            let consensus = consensus::find(conn, &task.task_id)?;
            Ok(Some((task, given, consensus)))
        })
        .await?;
    Ok(found.map(|(task, given, consensus)| view(&task, role, &given, consensus.as_ref())))
}

/// Decides a task that is escalated or in expert review.
#[utoipa::path(post, path = "/v1/reviews/{task_id}", tag = "reviews", params(("task_id" = String, Path)), request_body = Review, responses((status = 200, description = "{task_id, status, consensus, golden}"), (status = 404, description = "Not there, or not yours"), (status = 409, description = "It waits for no expert")))]
pub async fn review_task(state: Data<State>, caller: Caller, path: Path<String>, body: JsonBody<Review>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, review, now) = (caller.scope(), path.into_inner(), body.0, state.clock.now());
    let answer = state.storage.transaction(move |tx| decide(tx, &scope, &task_id, &review, now)).await?;
    state.after_commit();
    state.after_decision();
    Ok(HttpResponse::Ok().json(answer))
}

fn decide(
    tx: &mut Connection,
    scope: &Scope,
    task_id: &str,
    review: &Review,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Value, StorageError> {
    tasks::find(tx, scope, task_id)?;
    let task = tasks::lock(tx, task_id)?;
    let golden = NewGolden {
        task_id: Some(task_id.to_owned()),
        task: None,
        choice: review.choice,
        reasons: Vec::new(),
        rationale: review.rationale.clone(),
        difficulty: review.difficulty.unwrap_or(Difficulty::Medium),
        edge_case_type: None,
    };
    let task_type: TaskType =
        task.task_type.parse().map_err(|_| StorageError::Corrupt(format!("task {task_id} has type {:?}", task.task_type)))?;
    golden::check(&golden, task_type, task.candidate_count())?;
    if !matches!(task.status.as_str(), "escalated" | "expert_review") {
        let why = format!("task {task_id:?} is {} and waits for no expert", task.status);
        return Err(StorageError::conflict("transition_not_allowed", why));
    }
    let given = judgments::of_task(tx, task_id)?;
    let mut rater_ids: Vec<String> = given.iter().map(|judgment| judgment.rater_id.clone()).collect();
    rater_ids.sort_unstable();
    raters::lock_all(tx, &rater_ids)?;
    let before = consensus::find(tx, task_id)?;
    let decided = expert_consensus(task_id, review, scope.actor(), &given, before.as_ref());
    consensus::save(tx, &decided, now)?;
    let saved = consensus::find(tx, task_id)?;
    judgments::note_review(tx, task_id, review.choice.as_ref(), &review.rationale, now)?;
    let opinions = judgments::opinions(tx, task_id)?;
    progress::note_decision(tx, task_id, &opinions, Step::Forward, now)?;
    let task = tasks::set_progress(tx, &task, "validated", task.judgments_count, Some(now), now)?;
    let item = if review.make_golden { Some(golden::insert(tx, &task, scope.actor(), &golden, now)?) } else { None };
    let (retailer, tenant) = (task.retailer_id.as_deref(), task.tenant_id.as_deref());
    let event = progress::decision_event(task_id, &task.task_type, retailer, tenant, &task.status, &decided, now);
    storage::outbox::push(tx, &event, now)?;
    crate::tasks::announce(tx, &task.task_id, &task.task_type, now)?;
    Ok(json!({"task_id": task.task_id, "status": task.status, "consensus": saved, "golden": item}))
}

/// The expert's word is the decision; what the raters' votes came to is kept beside it.
fn expert_consensus(task_id: &str, review: &Review, expert_id: &str, given: &[Judgment], before: Option<&Consensus>) -> NewConsensus {
    let votes = given.iter().filter(|judgment| judgment.choice != Choice::Unsure.as_ref()).count();
    let agreeing = given.iter().filter(|judgment| judgment.choice == review.choice.as_ref()).count();
    NewConsensus {
        task_id: task_id.to_owned(),
        choice: Some(review.choice.as_ref().to_owned()),
        posterior: Some(1.0),
        posteriors: before.map_or_else(|| json!({}), |before| before.posteriors.0.clone()),
        method: "expert".to_owned(),
        judgments_count: i32::try_from(given.len()).unwrap_or(i32::MAX),
        agreement: (votes > 0).then(|| agreeing as f64 / votes as f64),
        is_final: true,
        decided_by: Some(expert_id.to_owned()),
        rationale: Some(review.rationale.clone()),
    }
}

fn view(task: &Task, role: Role, given: &[Judgment], consensus: Option<&Consensus>) -> Value {
    let judgments: Vec<Value> = given
        .iter()
        .map(|judgment| {
            json!({
                "choice": judgment.choice,
                "reasons": judgment.reasons,
                "confidence": judgment.confidence,
                "rubric_scores": judgment.rubric_scores,
                "free_text_feedback": judgment.free_text_feedback,
                "is_escalated": judgment.is_escalated,
                "escalation_reason": judgment.escalation_reason,
                "time_spent_seconds": judgment.time_spent_seconds,
            })
        })
        .collect();
    json!({"task": presentation::task_for_owner(task, role), "judgments": judgments, "consensus": consensus})
}
