//! Assignments: the next task, and holding, giving back, passing over or saving it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::TimeDelta;
use domain::task::TaskType;
use learning::calibration::SequentialTest;
use learning::drift::DriftTest;
use learning::golden::ExposureCaps;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::assignments as stored;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::queue::Weights;
use web::caller::Caller;
use web::json::{JsonBody, QueryOf};
use web::problem::Problem;
use web::settings::{QueueWeights, Settings};

use crate::dispatch::{self, Next, Request, Rules, Wanted};
use crate::presentation;
use crate::state::State;

/// Header that says why nothing is there.
pub const REASON_HEADER: &str = "Endcap-Reason";

/// Largest draft, as JSON text, in bytes.
const MAX_DRAFT_BYTES: usize = 32_768;
const MAX_SKIP_REASON_CHARS: usize = 500;

/// What to be given.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NextRequest {
    /// Task types wanted; empty or absent is any.
    #[serde(default)]
    pub task_types: Vec<TaskType>,
    /// `work` or `calibration`; absent is whatever is right for this rater.
    #[serde(default)]
    pub purpose: Option<WantedPurpose>,
}

/// What a rater asks for.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedPurpose {
    /// Tasks that count.
    Work,
    /// Golden items with the expert's answer afterwards.
    Calibration,
}

/// Why a task is passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipRequest {
    /// In a few words.
    pub reason: String,
}

/// The rules of this installation, with what is known about raters now.
#[must_use]
pub fn rules_now(state: &State) -> Rules {
    Rules { evidence: state.known.now(), ..rules(&state.settings) }
}

/// The rules of this installation.
#[must_use]
pub fn rules(settings: &Settings) -> Rules {
    let rating = &settings.rating;
    let calibration = &rating.calibration;
    Rules {
        lease: lease(settings),
        golden_rate: rating.golden_rate,
        calibration: SequentialTest::new(calibration.p0, calibration.p1, calibration.alpha, calibration.beta, calibration.cap)
            .unwrap_or_default(),
        calibration_retry: TimeDelta::from_std(calibration.retry).unwrap_or(TimeDelta::hours(24)),
        calibration_attempts: i32::try_from(calibration.attempts).unwrap_or(i32::MAX),
        drift: DriftTest::new(calibration.p1, calibration.p0, DriftTest::default().threshold()).unwrap_or_default(),
        exposure: ExposureCaps::default(),
        weights: weights(settings),
        daily_judgments: rating.daily_judgments.into(),
        threshold: rating.consensus_posterior,
        enough: rating.overlap.posterior,
        max_skips: rating.max_skips.into(),
        evidence: std::sync::Arc::default(),
        review_sla: crate::reviews::deadline::sla(settings),
        lot: dispatch::Lot::new(settings.service_secret.expose_secret()),
    }
}

/// The order of the queue as this installation is set.
#[must_use]
pub fn weights(settings: &Settings) -> Weights {
    let QueueWeights { priority, age, uncertainty, selection, skill, quota } = settings.rating.queue;
    Weights { priority, age, uncertainty, selection, skill, quota }
}

/// How long an assignment is held without a heartbeat.
#[must_use]
pub fn lease(settings: &Settings) -> TimeDelta {
    TimeDelta::from_std(settings.rating.lease).unwrap_or(TimeDelta::minutes(5))
}

/// Gives the next task in this rater's blind order; 204 with `Endcap-Reason` when there is none. A rater who holds one gets that one.
#[utoipa::path(post, path = "/v1/assignments/next", tag = "assignments", request_body = NextRequest, responses((status = 200, description = "{assignment_id, purpose, lease_expires_at, draft, why, task: {candidate_a, candidate_b, ...}}"), (status = 204, description = "Endcap-Reason: no_tasks, all_done_by_you, all_held, needs_calibration, not_qualified, no_golden_items, calibration_failed, already_calibrated, quota_reached, paused")))]
pub async fn next_assignment(state: Data<State>, caller: Caller, body: JsonBody<NextRequest>) -> Result<HttpResponse, Problem> {
    let next = give_next(&state, &caller, body.0).await?;
    Ok(match next {
        Next::Given(given) => HttpResponse::Ok().json(presentation::assignment(&given)),
        Next::Nothing(reason) => HttpResponse::NoContent().insert_header((REASON_HEADER, reason.word())).finish(),
    })
}

/// The next task, for pages too.
///
/// # Errors
/// 403 when the caller is no rater.
pub async fn give_next(state: &State, caller: &Caller, request: NextRequest) -> Result<Next, Problem> {
    let request = request_of(state, caller, request)?;
    let next = match state.gather.next(&request).await? {
        Some(next) => next,
        None => {
            let (rules, now) = (rules(&state.settings), state.clock.now());
            state.storage.transaction(move |tx| dispatch::next(tx, &request, &rules, now)).await?
        }
    };
    if let Next::Given(given) = &next {
        state.served.note(given.task.retailer_id.as_deref());
    }
    Ok(next)
}

/// The request of a caller who may judge.
///
/// # Errors
/// 403 when the caller is no rater.
pub fn request_of(state: &State, caller: &Caller, request: NextRequest) -> Result<Request, Problem> {
    caller.require(domain::role::Role::may_judge)?;
    Ok(Request {
        rater_id: caller.require_rater()?.to_owned(),
        role: caller.role,
        wanted: match request.purpose {
            None => Wanted::Anything,
            Some(WantedPurpose::Work) => Wanted::Work,
            Some(WantedPurpose::Calibration) => Wanted::Calibration,
        },
        task_types: request.task_types.iter().map(|word| word.as_ref().to_owned()).collect(),
        shares: state.served.shares(),
    })
}

/// Whether the answer is to hold the next task too, so that no second request is needed between two tasks.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AndNext {
    /// `true` adds `next`, an assignment or null, and `next_reason` when it is null.
    #[serde(default)]
    pub next: bool,
}

/// Adds the next task to an answer, when that was asked for. What was asked for first is done: a failure here is told as a reason.
pub async fn add_next(state: &State, caller: &Caller, wanted: &AndNext, answer: &mut Value) {
    if !wanted.next {
        return;
    }
    (answer["next"], answer["next_reason"]) = match give_next(state, caller, NextRequest::default()).await {
        Ok(Next::Given(given)) => (presentation::assignment(&given), Value::Null),
        Ok(Next::Nothing(reason)) => (Value::Null, json!(reason.word())),
        Err(problem) => {
            tracing::warn!(code = problem.code(), "the next task could not be given with an answer");
            (Value::Null, json!("ask_again"))
        }
    };
}

/// Extends the lease.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/heartbeat", tag = "assignments", params(("assignment_id" = String, Path)), responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "lease_expired")))]
pub async fn extend_assignment(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let (rater_id, id, lease, now) = (caller.require_rater()?.to_owned(), path.into_inner(), lease(&state.settings), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::extend(tx, &rater_id, &id, lease, now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
}

/// Gives the task back; it may come again.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/release", tag = "assignments", params(("assignment_id" = String, Path)), responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "judgment_exists")))]
pub async fn release_assignment(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let (rater_id, id, now) = (caller.require_rater()?.to_owned(), path.into_inner(), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::release(tx, &rater_id, &id, now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
}

/// Passes over the task for good.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/skip", tag = "assignments", params(("assignment_id" = String, Path), AndNext), request_body = SkipRequest, responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "lease_expired")))]
pub async fn skip_assignment(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    and_next: QueryOf<AndNext>,
    body: JsonBody<SkipRequest>,
) -> Result<HttpResponse, Problem> {
    let reason = body.0.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > MAX_SKIP_REASON_CHARS {
        return Err(Problem::invalid_field("reason", format!("must be 1 to {MAX_SKIP_REASON_CHARS} characters")));
    }
    let (rater_id, id, now) = (caller.require_rater()?.to_owned(), path.into_inner(), state.clock.now());
    let rules = rules(&state.settings);
    let assignment = state.storage.transaction(move |tx| pass_over(tx, &rater_id, &id, &reason, &rules, now)).await?;
    state.after_commit();
    let mut answer = standing(&assignment);
    add_next(&state, &caller, &and_next.0, &mut answer).await;
    Ok(HttpResponse::Ok().json(answer))
}

/// Passes over a task; when enough raters have done so, an expert is asked what is wrong with it.
fn pass_over(
    tx: &mut Connection,
    rater_id: &str,
    assignment_id: &str,
    reason: &str,
    rules: &Rules,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<stored::Assignment, StorageError> {
    let assignment = stored::skip(tx, rater_id, assignment_id, reason, now)?;
    if assignment.purpose == "work" && stored::count_skips(tx, &assignment.task_id)? >= rules.max_skips {
        let task = storage::tasks::lock(tx, &assignment.task_id)?;
        if storage::queue::is_open_status(&task.status) {
            let before = task.status.clone();
            let task = storage::tasks::set_progress(tx, &task, "expert_review", task.judgments_count, None, now)?;
            crate::reviews::deadline::keep(tx, &task.task_id, &before, &task.status, rules.review_sla, now)?;
            crate::tasks::announce(tx, &task.task_type, now)?;
        }
    }
    Ok(assignment)
}

/// Keeps what the rater has entered so far: any JSON object, also after the lease has ended.
#[utoipa::path(put, path = "/v1/assignments/{assignment_id}/draft", tag = "assignments", params(("assignment_id" = String, Path)), request_body = Object, responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "judgment_exists")))]
pub async fn save_draft(state: Data<State>, caller: Caller, path: Path<String>, body: JsonBody<Value>) -> Result<HttpResponse, Problem> {
    let draft = body.0;
    if !draft.is_object() || draft.to_string().len() > MAX_DRAFT_BYTES {
        return Err(Problem::invalid_field("", format!("a draft is a JSON object of at most {MAX_DRAFT_BYTES} bytes")));
    }
    let (rater_id, id, now) = (caller.require_rater()?.to_owned(), path.into_inner(), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::save_draft(tx, &rater_id, &id, draft.clone(), now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
}

fn standing(assignment: &stored::Assignment) -> Value {
    json!({"assignment_id": assignment.assignment_id, "state": assignment.state, "lease_expires_at": assignment.expires_at})
}
