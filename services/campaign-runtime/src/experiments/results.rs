//! The result of an experiment: what was stored when it was concluded, or computed now where the plan allows a look.

use actix_web::web::{Data, Json, Path};
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::experiments::{self as stored, Experiment, observations};
use web::caller::Caller;
use web::problem::Problem;

use super::readout::{self, Readout};
use super::transitions::{ExperimentStatus, status_of};
use super::{definition_of, refuse};
use crate::state::State;

/// Computes the result of a running experiment.
///
/// # Errors
/// 409 `readout_too_early` with `not_before`; 409 `not_enough_data`; 422 for observations that contradict each other.
pub async fn compute(state: &State, scope: &Scope, row: &Experiment) -> Result<Readout, Problem> {
    let (definition, now) = (definition_of(row)?, state.clock.now());
    if let Some(from) = definition.design.readable_from().filter(|from| now < *from) {
        let why = format!(
            "This experiment is read once, at its planned end, from {} on: an earlier look would find effects that are not there more often than \
             alpha says. Plan a sequential analysis to look at any time.",
            from.format("%Y-%m-%dT%H:%M:%SZ")
        );
        return Err(Problem::conflict("readout_too_early", why).with_extra("not_before", from));
    }
    let (reader, wanted) = (scope.clone(), row.clone());
    let seen = state.storage.scoped(&reader).read(move |conn| observations::all(conn, &reader, &wanted)).await?;
    let row = row.clone();
    state.solve(scope, move || readout::read(&row, &definition, &seen, now)).await?.map_err(refuse)
}

/// The result, always with n and the control's definition. Of a running experiment it is computed when its plan allows a look (409
/// `readout_too_early` with `not_before` else); of a concluded one it is what was stored.
#[utoipa::path(get, path = "/v1/experiments/{experiment_id}/results", tag = "experiments", params(("experiment_id" = String, Path)), responses((status = 200, body = Object, description = "The readout; `is_stored` tells whether it is final"), (status = 409, description = "Too early, or too few observations")))]
pub async fn get_results(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<Value>, Problem> {
    let (scope, reader) = (caller.scope(), caller.scope());
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &id)).await?;
    let (mut document, is_stored) = match (status_of(&row)?, &row.result) {
        (_, Some(result)) => (result.0.clone(), true),
        (ExperimentStatus::Running, None) => (compute(&state, &scope, &row).await?.document, false),
        (ExperimentStatus::Draft, None) => {
            return Err(Problem::conflict("not_enough_data", "The experiment has not started: there is nothing to read."));
        }
        (_, None) => {
            let why = row.status_reason.as_deref().unwrap_or("no reason was given");
            return Err(Problem::conflict("not_enough_data", format!("The experiment ended without a result: {why}.")));
        }
    };
    document["is_stored"] = json!(is_stored);
    Ok(Json(document))
}
