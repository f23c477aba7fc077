//! Assignments: the next task, and holding, giving back, passing over or saving it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::TimeDelta;
use domain::task::TaskType;
use learning::calibration::SequentialTest;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::assignments as stored;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;
use web::settings::Settings;

use crate::dispatch::{self, Next, Rules, Wanted};
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

/// The rules of this installation.
#[must_use]
pub fn rules(settings: &Settings) -> Rules {
    let calibration = &settings.rating.calibration;
    Rules {
        lease: lease(settings),
        golden_rate: settings.rating.golden_rate,
        calibration: SequentialTest::new(calibration.p0, calibration.p1, calibration.alpha, calibration.beta, calibration.cap)
            .unwrap_or_default(),
        review_sla: crate::reviews::deadline::sla(settings),
    }
}

/// How long an assignment is held without a heartbeat.
#[must_use]
pub fn lease(settings: &Settings) -> TimeDelta {
    TimeDelta::from_std(settings.rating.lease).unwrap_or(TimeDelta::minutes(5))
}

/// Gives the next task in this rater's blind order; 204 with `Endcap-Reason` when there is none. A rater who holds one gets that one.
#[utoipa::path(post, path = "/v1/assignments/next", tag = "assignments", request_body = NextRequest, responses((status = 200, description = "{assignment_id, purpose, lease_expires_at, draft, why, task: {candidate_a, candidate_b, ...}}"), (status = 204, description = "Endcap-Reason: no_tasks, all_done_by_you, all_held, needs_calibration, calibration_failed, already_calibrated, paused")))]
pub async fn next_assignment(state: Data<State>, caller: Caller, body: JsonBody<NextRequest>) -> Result<HttpResponse, Problem> {
    let next = give_next(&state, &caller, body.0).await?;
    Ok(match next {
        Next::Given(given) => HttpResponse::Ok().json(presentation::assignment(&given.0, &given.1)),
        Next::Nothing(reason) => HttpResponse::NoContent().insert_header((REASON_HEADER, reason.word())).finish(),
    })
}

/// The next task, for pages too.
///
/// # Errors
/// 403 when the caller is no rater.
pub async fn give_next(state: &State, caller: &Caller, request: NextRequest) -> Result<Next, Problem> {
    caller.require(domain::role::Role::may_judge)?;
    let rater_id = caller.require_rater()?.to_owned();
    let wanted = match request.purpose {
        None => Wanted::Anything,
        Some(WantedPurpose::Work) => Wanted::Work,
        Some(WantedPurpose::Calibration) => Wanted::Calibration,
    };
    let task_types: Vec<String> = request.task_types.iter().map(|word| word.as_ref().to_owned()).collect();
    let (rules, role, now) = (rules(&state.settings), caller.role, state.clock.now());
    Ok(state.storage.transaction(move |tx| dispatch::next(tx, &rater_id, role, wanted, &task_types, &rules, now)).await?)
}

/// Extends the lease.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/heartbeat", tag = "assignments", params(("assignment_id" = String, Path)), responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "lease_expired")))]
pub async fn extend_assignment(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let (rater_id, id, lease, now) = (caller.require_rater()?.to_owned(), path.into_inner(), lease(&state.settings), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::extend(tx, &rater_id, &id, lease, now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
}

/// Gives the task back; it may come again.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/release", tag = "assignments", params(("assignment_id" = String, Path)), responses((status = 200, description = "{assignment_id, state, lease_expires_at}")))]
pub async fn release_assignment(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let (rater_id, id, now) = (caller.require_rater()?.to_owned(), path.into_inner(), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::release(tx, &rater_id, &id, now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
}

/// Passes over the task for good.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/skip", tag = "assignments", params(("assignment_id" = String, Path)), request_body = SkipRequest, responses((status = 200, description = "{assignment_id, state, lease_expires_at}"), (status = 409, description = "lease_expired")))]
pub async fn skip_assignment(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<SkipRequest>,
) -> Result<HttpResponse, Problem> {
    let reason = body.0.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > MAX_SKIP_REASON_CHARS {
        return Err(Problem::invalid_field("reason", format!("must be 1 to {MAX_SKIP_REASON_CHARS} characters")));
    }
    let (rater_id, id, now) = (caller.require_rater()?.to_owned(), path.into_inner(), state.clock.now());
    let assignment = state.storage.transaction(move |tx| stored::skip(tx, &rater_id, &id, &reason, now)).await?;
    Ok(HttpResponse::Ok().json(standing(&assignment)))
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
