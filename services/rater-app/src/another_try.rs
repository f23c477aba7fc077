//! Another try at calibration: whoever did not pass and may not try again by the rules asks, and an expert or administrator grants it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use serde_json::json;
use storage::error::StorageError;
use storage::qualifications::{self, Qualification};
use storage::types::Timestamp;
use storage::{audit, raters};
use web::caller::Caller;
use web::problem::Problem;

use crate::state::State;

/// Grants a rater another try at the calibration of a task type, from now on. Only after one that was not passed; the counts begin anew with the first answer.
#[utoipa::path(post, path = "/v1/raters/{rater_id}/qualifications/{task_type}/reset", tag = "raters", params(("rater_id" = String, Path), ("task_type" = String, Path)), responses((status = 200, description = "{rater_id, task_type, state, correct, total, attempt, reason, decided_at, retry_at}"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "No such rater, or the calibration was not begun"), (status = 409, description = "It is open or passed")))]
pub async fn reset_qualification(state: Data<State>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (rater_id, task_type) = path.into_inner();
    Ok(HttpResponse::Ok().json(grant(&state, &caller, rater_id, task_type).await?))
}

/// Grants another try, for the API and the page.
///
/// # Errors
/// 403 for others than experts and administrators; 404 for no such rater or test; 409 for one that is open or passed.
pub async fn grant(state: &State, caller: &Caller, rater_id: String, task_type: String) -> Result<Qualification, Problem> {
    caller.require(Role::may_review)?;
    if caller.rater_id.as_deref() == Some(rater_id.as_str()) {
        return Err(Problem::invalid_field("rater_id", "nobody grants oneself another try; ask somebody else"));
    }
    let (scope, now) = (caller.scope(), state.clock.now());
    let granted = state
        .storage
        .transaction(move |tx| {
            raters::lock_one(tx, &rater_id)?;
            let test = qualifications::find(tx, &rater_id, &task_type)?
                .ok_or_else(|| StorageError::not_found("calibration", format!("{rater_id}/{task_type}")))?;
            if test.state != "failed" {
                let why = format!("the calibration is {}: only one that was not passed can be tried again", test.state);
                return Err(StorageError::conflict("transition_not_allowed", why));
            }
            let granted = Qualification { retry_at: Some(Timestamp(now)), ..test };
            qualifications::save(tx, &granted, now)?;
            let detail = json!({"task_type": task_type, "attempt": granted.attempt});
            audit::append(tx, &scope, &audit::entry(None, "rater.another_try", format!("rater:{rater_id}"), detail), now)?;
            Ok(granted)
        })
        .await?;
    Ok(granted)
}
