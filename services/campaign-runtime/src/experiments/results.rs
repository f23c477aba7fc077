//! The result of an experiment: what was stored when it was read or concluded, or computed now where the plan allows a look.

use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::error::StorageError;
use storage::experiments::{self as stored, Experiment, NewExperiment, observations};
use web::caller::Caller;
use web::problem::Problem;
use web::scopes::include;

use super::definition::Definition;
use super::readout::{self, Readout};
use super::transitions::{ExperimentStatus, status_of};
use super::{conclusion, definition_of, refuse};
use crate::state::State;

/// What a narrowed key needs for the one reading.
const CLOSING_SCOPE: &str = "experiments:write";

fn check_time(definition: &Definition, now: DateTime<Utc>) -> Result<(), Problem> {
    let Some(from) = definition.design.readable_from().filter(|from| now < *from) else { return Ok(()) };
    let why = format!(
        "This experiment is read once, at its planned end, from {} on: an earlier look would find effects that are not there more often than \
         alpha says. Plan a sequential analysis to look at any time.",
        from.format("%Y-%m-%dT%H:%M:%SZ")
    );
    Err(Problem::conflict("readout_too_early", why).with_extra("not_before", from))
}

/// Computes the result of a running experiment.
async fn compute(state: &State, scope: &Scope, row: &Experiment) -> Result<Readout, Problem> {
    let (definition, now) = (definition_of(row)?, state.clock.now());
    check_time(&definition, now)?;
    let (reader, wanted) = (scope.clone(), row.clone());
    let seen = state.storage.scoped(&reader).read(move |conn| observations::all(conn, &reader, &wanted)).await?;
    let row = row.clone();
    state.solve(scope, move || readout::read(&row, &definition, &seen, now)).await?.map_err(refuse)
}

/// The result that concludes a running experiment: what was read before, if it was, else computed now.
///
/// # Errors
/// 409 `readout_too_early` with `not_before`; 409 `not_enough_data`; 422 for observations that contradict each other.
pub async fn conclusive(state: &State, scope: &Scope, row: &Experiment) -> Result<Readout, Problem> {
    let readout = compute(state, scope, row).await?;
    // No observation was taken since, so that only the time of the reading differs.
    Ok(match &row.result {
        Some(read) => Readout { document: read.0.clone(), ..readout },
        None => readout,
    })
}

/// What may be seen in passing, as on a page: a sequential analysis at any time, but never the one reading of another design.
///
/// # Errors
/// As [`conclusive`]; 409 `not_enough_data` where a reading would be the only one.
pub async fn glance(state: &State, scope: &Scope, row: &Experiment) -> Result<Value, Problem> {
    let definition = definition_of(row)?;
    check_time(&definition, state.clock.now())?;
    if definition.design.is_read_once() {
        let why = format!(
            "It can be read now, and is read once: GET /v1/experiments/{}/results, or conclude it. Until then it takes late observations.",
            row.experiment_id
        );
        return Err(Problem::conflict("not_enough_data", why));
    }
    Ok(compute(state, scope, row).await?.document)
}

/// Reads a design that is read once, and keeps what was read: whoever asks later gets the same, and no more observations are taken.
async fn read_once(state: &State, scope: &Scope, row: &Experiment) -> Result<Value, Problem> {
    let readout = compute(state, scope, row).await?;
    let (owner, id, now) = (scope.clone(), row.experiment_id.clone(), state.clock.now());
    let storage = state.storage.scoped(scope);
    let kept = storage.transaction(move |conn| {
        let row = stored::find_locked(conn, &owner, &id)?;
        if let Some(read) = &row.result {
            return Ok(read.0.clone());
        }
        if row.status != ExperimentStatus::Running.as_ref() {
            return Err(StorageError::conflict("stale", "the experiment was concluded meanwhile; ask again"));
        }
        conclusion::check_unchanged(conn, &owner, &row, &readout)?;
        let (result, hash) = (readout.document.clone(), readout.inputs_hash.clone());
        let new = NewExperiment { result: Some(result.into()), inputs_hash: Some(hash), ..row.clone().into() };
        // As it comes back from the database, so that the first answer is that of every later one.
        Ok(stored::update(conn, &owner, &row, &new, now)?.result.map(|read| read.0).unwrap_or_default())
    });
    Ok(kept.await?)
}

/// Whoever reads first closes the experiment to observations: a program that only looks must not do it in passing.
fn check_may_close(caller: &Caller) -> Result<(), Problem> {
    caller.require(Role::may_plan)?;
    match include(&caller.scopes, CLOSING_SCOPE) {
        true => Ok(()),
        false => {
            let why = format!(
                "Nobody has read this experiment yet. The first reading closes it to observations and needs the scope {CLOSING_SCOPE}."
            );
            Err(Problem::new("scope_missing", why).with_extra("scope", CLOSING_SCOPE))
        }
    }
}

/// When a stored result was read, and on how many rows.
#[must_use]
pub fn reading_of(row: &Experiment) -> Option<(String, i64)> {
    let read = &row.result.as_ref()?.0;
    let at = read.get("computed_at")?.as_str()?.to_owned();
    Some((at, read.get("observations").and_then(Value::as_i64).unwrap_or_default()))
}

/// The result, always with n and the control's definition. A sequential analysis is computed at any time. Every other design is read once,
/// when its plan allows (409 `readout_too_early` with `not_before` else): the first request stores what it read (which takes the right to
/// plan, and of a narrowed key the scope `experiments:write`), every later one gets the same with `read_at`, and observations are refused from then on. Of a concluded experiment it is what
/// was stored.
#[utoipa::path(get, path = "/v1/experiments/{experiment_id}/results", tag = "experiments", params(("experiment_id" = String, Path)), responses((status = 200, body = Object, description = "The readout; `is_stored` tells whether it is final, `read_at` when it was read, `observations` on how many rows"), (status = 409, description = "Too early, or too few observations")))]
pub async fn get_results(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<Value>, Problem> {
    let (scope, reader) = (caller.scope(), caller.scope());
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &id)).await?;
    let (mut document, is_stored) = match (status_of(&row)?, &row.result) {
        (_, Some(result)) => (result.0.clone(), true),
        (ExperimentStatus::Running, None) => {
            let definition = definition_of(&row)?;
            check_time(&definition, state.clock.now())?;
            if definition.design.is_read_once() {
                check_may_close(&caller)?;
                (read_once(&state, &scope, &row).await?, true)
            } else {
                (compute(&state, &scope, &row).await?.document, false)
            }
        }
        (ExperimentStatus::Draft, None) => {
            return Err(Problem::conflict("not_enough_data", "The experiment has not started: there is nothing to read."));
        }
        (_, None) => {
            let why = row.status_reason.as_deref().unwrap_or("no reason was given");
            return Err(Problem::conflict("not_enough_data", format!("The experiment ended without a result: {why}.")));
        }
    };
    document["is_stored"] = json!(is_stored);
    document["read_at"] = if is_stored { document["computed_at"].clone() } else { Value::Null };
    Ok(Json(document))
}
