//! Which arm a unit is in: computed from the definition, never stored, so that anybody can compute it again.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::invalid::Invalid;
use planning::experiments::{assignment, switchback};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::experiments::{self as stored, Experiment};
use web::caller::Caller;
use web::json::{JsonBody, QueryOf};
use web::problem::Problem;

use super::definition::{Definition, Design, arms};
use super::definition_of;
use crate::state::State;

/// Most units of one request.
pub const MOST_UNITS: usize = 10_000;

/// Units to look up.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentsBody {
    /// 1 to 10,000 units.
    pub units: Vec<String>,
    /// When, for a switchback test; now when absent.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub at: Option<DateTime<Utc>>,
}

/// One unit to look up.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AssignmentQuery {
    /// The unit.
    pub unit: String,
    /// When, for a switchback test; now when absent.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub at: Option<DateTime<Utc>>,
}

fn assign(row: &Experiment, definition: &Definition, units: &[String], at: DateTime<Utc>) -> Result<Value, Problem> {
    if units.is_empty() || units.len() > MOST_UNITS {
        return Err(Problem::invalid_field("units", format!("must be 1 to {MOST_UNITS}, not {}", units.len())));
    }
    let mut invalid = Invalid::default();
    for (place, unit) in units.iter().enumerate() {
        if unit.is_empty() || unit.chars().count() > 100 {
            invalid.add(format!("units[{place}]"), "must be 1 to 100 characters");
        }
    }
    invalid.into_result()?;
    let (algorithm, found): (&str, Vec<Value>) = match &definition.design {
        Design::Ab(design) => {
            let arms = arms(design);
            let one = |unit: &String| {
                let bucket = assignment::bucket(&row.experiment_id, &row.salt, unit);
                let arm = arms.get(assignment::arm_of(bucket, &arms)).map(|arm| arm.name.as_str());
                json!({"unit": unit, "arm": arm, "bucket": bucket})
            };
            (assignment::VERSION, units.iter().map(one).collect())
        }
        Design::Geo(design) => {
            let one = |unit: &String| match (design.treatment.contains(unit), design.control.contains(unit)) {
                (true, _) => json!({"unit": unit, "arm": "treatment"}),
                (_, true) => json!({"unit": unit, "arm": "control"}),
                _ => json!({"unit": unit, "arm": null, "reason": "not_in_the_experiment"}),
            };
            ("list", units.iter().map(one).collect())
        }
        Design::Switchback(design) => {
            let block = design.block_at(at);
            let one = |unit: &String| match block {
                _ if !design.units.contains(unit) => json!({"unit": unit, "arm": null, "reason": "not_in_the_experiment"}),
                None => json!({"unit": unit, "arm": null, "reason": "outside_of_the_schedule"}),
                Some((block, hours)) => {
                    let is_treated = switchback::is_treated(&row.experiment_id, &row.salt, unit, block);
                    let arm = if is_treated { "treatment" } else { "control" };
                    json!({"unit": unit, "arm": arm, "block": block, "is_washout": hours < design.washout_hours})
                }
            };
            (switchback::VERSION, units.iter().map(one).collect())
        }
    };
    Ok(json!({
        "experiment_id": row.experiment_id,
        "status": row.status,
        "algorithm": algorithm,
        "salt": row.salt,
        "data": found,
    }))
}

async fn answer(state: &State, caller: &Caller, id: String, units: Vec<String>, at: Option<DateTime<Utc>>) -> Result<Value, Problem> {
    let scope = caller.scope();
    let row = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &id)).await?;
    assign(&row, &definition_of(&row)?, &units, at.unwrap_or_else(|| state.clock.now()))
}

/// Looks up the arms of many units. The rule is deterministic and documented (docs/measurement.md); nothing is stored.
#[utoipa::path(post, path = "/v1/experiments/{experiment_id}/assignments", tag = "experiments", params(("experiment_id" = String, Path)), request_body = AssignmentsBody, responses((status = 200, body = Object, description = "`{experiment_id, status, algorithm, salt, data:[{unit, arm, bucket}]}`")))]
pub async fn assign_units(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    body: JsonBody<AssignmentsBody>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(answer(&state, &caller, id.into_inner(), body.0.units, body.0.at).await?))
}

/// Looks up the arm of one unit.
#[utoipa::path(get, path = "/v1/experiments/{experiment_id}/assignments", tag = "experiments", params(("experiment_id" = String, Path), AssignmentQuery), responses((status = 200, body = Object, description = "As for many units, with one")))]
pub async fn get_assignment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: QueryOf<AssignmentQuery>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(answer(&state, &caller, id.into_inner(), vec![query.0.unit], query.0.at).await?))
}
