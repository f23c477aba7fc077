//! Judgments: submitting one for an assignment, and taking it back.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::TimeDelta;
use learning::calibration::Decision;
use serde_json::{Value, json};
use storage::connection::Connection;
use web::caller::Caller;
use web::json::{JsonBody, QueryOf};
use web::problem::Problem;

use crate::assignments::{AndNext, NextRequest, add_next, request_of, rules_now};
use crate::dispatch::{self, Next};
use crate::presentation;
use crate::recording::{self, Outcome, Recorded};
use crate::state::State;
use crate::submission::{self, Submission};

/// Records a judgment, with the choice as shown to this rater. Repeating it answers the same judgment with 200. In calibration the answer also holds the expert's.
#[utoipa::path(post, path = "/v1/assignments/{assignment_id}/judgment", tag = "judgments", params(("assignment_id" = String, Path), AndNext), request_body = Submission, responses((status = 201, description = "The judgment"), (status = 200, description = "The same judgment, recorded before"), (status = 404, description = "Not your assignment"), (status = 409, description = "judgment_exists, lease_expired (the draft is kept)"), (status = 422, description = "Wrong fields")))]
pub async fn submit_judgment(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    and_next: QueryOf<AndNext>,
    body: JsonBody<Submission>,
) -> Result<HttpResponse, Problem> {
    let outcome = submit(&state, &caller, &path.into_inner(), body.0).await?;
    let (recorded, mut answer) = match &outcome {
        Outcome::Recorded(recorded) => (recorded, HttpResponse::Created()),
        Outcome::Repeated(recorded) => (recorded, HttpResponse::Ok()),
        Outcome::LeaseExpired => {
            return Err(Problem::conflict(
                "lease_expired",
                "The lease ended and others have taken the task's last place. What you entered is kept as the assignment's draft; ask for the next task.",
            ));
        }
    };
    let mut body = view(recorded, undo_time(&state));
    add_next(&state, &caller, &and_next.0, &mut body).await;
    Ok(answer.json(body))
}

/// Records a judgment, for pages too.
///
/// # Errors
/// 404 for somebody else's assignment, 409 when another judgment is recorded, 422 with the fields that are wrong.
pub async fn submit(state: &State, caller: &Caller, assignment_id: &str, submission: Submission) -> Result<Outcome, Problem> {
    let (rater_id, id) = (caller.require_rater()?.to_owned(), assignment_id.to_owned());
    let (rules, now) = (rules_now(state), state.clock.now());
    let given = std::sync::Arc::new((rater_id, id, submission, rules));
    let again = std::sync::Arc::clone(&given);
    let at_once = move |conn: &mut Connection| {
        let (rater_id, id, submission, rules) = &*given;
        recording::record_at_once(conn, rater_id, id, submission, rules, now)
    };
    let locked = move |tx: &mut Connection| {
        let (rater_id, id, submission, rules) = &*again;
        recording::record(tx, rater_id, id, submission, rules, now)
    };
    let outcome = state.storage.at_once_or_transaction(at_once, locked).await?;
    state.after_commit();
    if matches!(&outcome, Outcome::Recorded(recorded) if recorded.has_decided) {
        state.after_decision();
    }
    Ok(outcome)
}

/// Takes a judgment back within its time: the assignment is open again, with the judgment as its draft.
#[utoipa::path(post, path = "/v1/judgments/{judgment_id}/undo", tag = "judgments", params(("judgment_id" = String, Path)), responses((status = 200, description = "The assignment, as next answers it"), (status = 404, description = "Not your judgment"), (status = 409, description = "undo_expired, with the reason")))]
pub async fn undo_judgment(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let request = request_of(&state, &caller, NextRequest::default())?;
    let (id, within, rules, now) = (path.into_inner(), undo_time(&state), rules_now(&state), state.clock.now());
    let reopened = state
        .storage
        .transaction(move |tx| {
            let assignment = recording::undo(tx, &request.rater_id, &id, within, &rules, now)?;
            let rater = storage::raters::find(tx, &request.rater_id)?;
            dispatch::given(tx, &request, &rater, assignment, &rules, now)
        })
        .await?;
    state.after_commit();
    match reopened {
        Next::Given(given) => Ok(HttpResponse::Ok().json(presentation::assignment(&given))),
        Next::Nothing(_) => Err(Problem::internal("a judgment that was taken back has no assignment")),
    }
}

/// A recorded judgment as its rater sees it.
#[must_use]
pub fn view(recorded: &Recorded, undo: TimeDelta) -> Value {
    let judgment = &recorded.judgment;
    let mut body = submission::of_judgment(judgment).draft();
    let order: Vec<usize> = serde_json::from_value(judgment.display_order.0.clone()).unwrap_or_default();
    // A decision is passed on at once, and then cannot be taken back: no time is promised that may not be there.
    let undo_until = (recorded.calibration.is_none() && !recorded.has_decided).then(|| judgment.created_at.0 + undo);
    let mut more = json!({
        "judgment_id": judgment.judgment_id,
        "assignment_id": judgment.assignment_id,
        "time_spent_seconds": judgment.time_spent_seconds,
        "created_at": judgment.created_at,
        "undo_until": undo_until,
    });
    if let Some(calibration) = &recorded.calibration {
        let (state, at_most_more) = match calibration.decision {
            Decision::Pass => ("passed", 0),
            Decision::Fail => ("failed", 0),
            Decision::Continue { at_most } => ("continue", at_most),
        };
        more["correct"] = json!(calibration.correct);
        more["expert_choice"] = json!(presentation::as_shown(calibration.expert_choice, &order));
        more["rationale"] = json!(calibration.rationale);
        more["calibration"] = json!({"task_type": calibration.task_type, "state": state, "correct": calibration.n_correct, "total": calibration.n_total, "at_most_more": at_most_more});
    }
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

fn undo_time(state: &State) -> TimeDelta {
    TimeDelta::from_std(state.settings.rating.undo).unwrap_or(TimeDelta::minutes(1))
}
