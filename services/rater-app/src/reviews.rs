//! Expert review: tasks that raters escalated or did not agree on, the one due first at the front. An expert thinks first and sees the
//! raters' judgments afterwards, decides, and tells the raters.
//!
//! ```text
//! queue (due time, who looks) -> blind view -> judgments shown -> decision -> raters, golden items, RLHF backend
//! ```
//!
//! Looking at a task locks nobody out; the first decision counts.

pub mod answers;
pub mod deadline;
pub mod deciding;
pub mod error_class;
pub mod figures;
pub mod gauges;
pub mod queue;
pub mod view;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use domain::task::{Choice, Difficulty};
use serde::Deserialize;
use serde_json::Value;
use storage::error::StorageError;
use storage::{reviews as stored, tasks};
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::assignments::REASON_HEADER;
use crate::state::State;
use deadline::{sla, waits};
use deciding::{Outcome, Refusal};
pub use error_class::ErrorClass;
use view::LOOK_ENDS_AFTER;

/// What an expert thinks before seeing the judgments.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlindChoice {
    /// In the stored order; unsure is a view, too.
    pub choice: Choice,
    /// At most three reason codes that fit the choice.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// 0 to 1.
    pub confidence: f64,
}

/// An expert's decision.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Review)]
pub struct Decision {
    /// The decision, in the stored order as `GET /v1/reviews/next` shows it.
    pub choice: Choice,
    /// At most three reason codes that fit the choice; they go into the golden item.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Why; raters of the task see it.
    pub rationale: String,
    /// What went wrong among the raters.
    #[serde(default)]
    pub error_class: Option<ErrorClass>,
    /// A word to the raters, beside the rationale.
    #[serde(default)]
    pub note_to_raters: Option<String>,
    /// Whether the task becomes a golden item.
    #[serde(default)]
    pub make_golden: bool,
    /// How hard it is, for a golden item.
    #[serde(default)]
    pub difficulty: Option<Difficulty>,
}

/// The task that waits longest past or nearest to its due time, one that nobody else looks at before others, without what raters thought of it; 204 when none waits. Send the own view to `/v1/reviews/{task_id}/blind` to see the judgments.
#[utoipa::path(get, path = "/v1/reviews/next", tag = "reviews", responses((status = 200, description = "{task, reason, judgments_count, due_at, is_overdue, looked_at_by_others, review}; with {judgments, consensus} once the own view is recorded"), (status = 204, description = "Endcap-Reason: no_reviews"), (status = 403, description = "Experts and administrators only")))]
pub async fn next_review(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, rater_id, sla, now) = (caller.scope(), caller.rater_id.clone(), sla(&state.settings), state.clock.now());
    let found = state
        .storage
        .transaction(move |tx| {
            let Some(task) = queue::next(tx, &scope, rater_id.as_deref(), sla, now)? else { return Ok(None) };
            let review = stored::open(tx, &task, scope.actor(), now - LOOK_ENDS_AFTER, now)?;
            view::read(tx, task, Some(review), scope.actor(), now).map(Some)
        })
        .await?;
    Ok(match found {
        Some(opened) => HttpResponse::Ok().json(view::view(&opened, &state.settings.rating.calibration, now)),
        None => HttpResponse::NoContent().insert_header((REASON_HEADER, "no_reviews")).finish(),
    })
}

/// One task that waits, opened for this expert as `next` does it; or one that an expert decided, with the decision and the judgments.
#[utoipa::path(get, path = "/v1/reviews/{task_id}", tag = "reviews", params(("task_id" = String, Path)), responses((status = 200, description = "As next answers it"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "Not there, not yours, or never before an expert")))]
pub async fn open_review(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, now) = (caller.scope(), path.into_inner(), state.clock.now());
    let opened = state
        .storage
        .transaction(move |tx| {
            let task = tasks::find(tx, &scope, &task_id)?;
            let review = if waits(&task.status) {
                stored::open(tx, &task, scope.actor(), now - LOOK_ENDS_AFTER, now)?
            } else {
                stored::decision_of(tx, &task_id)?.ok_or_else(|| StorageError::not_found("review of task", task_id.as_str()))?
            };
            view::read(tx, task, Some(review), scope.actor(), now)
        })
        .await?;
    Ok(HttpResponse::Ok().json(view::view(&opened, &state.settings.rating.calibration, now)))
}

/// Records what the expert thinks before seeing what raters thought, and shows it: judgments without names, consensus, checks. Sent again with the same choice it answers the same.
#[utoipa::path(post, path = "/v1/reviews/{task_id}/blind", tag = "reviews", params(("task_id" = String, Path)), request_body = BlindChoice, responses((status = 200, description = "As next answers it, with {judgments: [{rater, gold_band, choice, reasons, confidence, ...}], consensus}"), (status = 404, description = "Not there, or not yours"), (status = 409, description = "Another view is recorded, or it waits for no expert: with {decision} when one was first"), (status = 422, description = "Wrong fields")))]
pub async fn record_blind(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<BlindChoice>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, blind, now) = (caller.scope(), path.into_inner(), body.0, state.clock.now());
    let outcome = state
        .storage
        .transaction(move |tx| {
            Ok(match deciding::record_blind(tx, &scope, &task_id, &blind, now)? {
                Outcome::Done((task, review)) => Outcome::Done(view::read(tx, task, Some(review), scope.actor(), now)?),
                Outcome::Refused(refusal) => Outcome::Refused(refusal),
            })
        })
        .await?;
    match outcome {
        Outcome::Done(opened) => Ok(HttpResponse::Ok().json(view::view(&opened, &state.settings.rating.calibration, now))),
        Outcome::Refused(refusal) => Err(refused(refusal)),
    }
}

/// Decides a task that waits for an expert. The first decision counts; sent again word for word it answers the same.
#[utoipa::path(post, path = "/v1/reviews/{task_id}", tag = "reviews", params(("task_id" = String, Path)), request_body = Decision, responses((status = 200, description = "{task_id, status, consensus, review, golden, golden_candidate}"), (status = 404, description = "Not there, or not yours"), (status = 409, description = "It waits for no expert: with {decision} (who, when, what) when another was first"), (status = 422, description = "Wrong fields")))]
pub async fn review_task(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<Decision>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, decision, now) = (caller.scope(), path.into_inner(), body.0, state.clock.now());
    let outcome: Outcome<Value> = state.storage.transaction(move |tx| deciding::decide(tx, &scope, &task_id, &decision, now)).await?;
    match outcome {
        Outcome::Done(body) => {
            state.after_commit();
            state.after_decision();
            Ok(HttpResponse::Ok().json(body))
        }
        Outcome::Refused(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> Problem {
    let problem = Problem::conflict("transition_not_allowed", refusal.detail);
    match refusal.decision {
        Some(decision) => problem.with_extra("decision", decision),
        None => problem,
    }
}
