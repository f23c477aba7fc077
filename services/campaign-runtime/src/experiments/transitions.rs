//! The life of an experiment: draft, running, concluded, archived. Concluding computes and stores the result.

use std::fmt;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use domain::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::experiments::{self as stored, Experiment, NewExperiment};
use storage::types::Timestamp;
use web::access::sha256_hex;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use super::conclusion;
use super::readout::Readout;
use super::{check_version, definition_of, results, shown, with_etag};
use crate::input::check_text;
use crate::state::State;

/// Where an experiment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentStatus {
    /// Being written.
    Draft,
    /// Collecting; its definition is frozen.
    Running,
    /// Read, or abandoned.
    Concluded,
    /// Put away, read-only.
    Archived,
}

impl ExperimentStatus {
    /// The moves allowed from here.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Running, Self::Archived],
            Self::Running => &[Self::Concluded],
            Self::Concluded => &[Self::Archived],
            Self::Archived => &[],
        }
    }
}

impl AsRef<str> for ExperimentStatus {
    fn as_ref(&self) -> &str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Concluded => "concluded",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for ExperimentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_ref())
    }
}

/// Where a stored experiment stands.
///
/// # Errors
/// 500 for a word that is none of ours.
pub fn status_of(row: &Experiment) -> Result<ExperimentStatus, Problem> {
    serde_json::from_value(json!(row.status)).map_err(Problem::internal)
}

/// Whether there is such a move.
///
/// # Errors
/// 409 `transition_not_allowed` with the allowed moves.
pub fn check_move(row: &Experiment, to: ExperimentStatus) -> Result<(), Problem> {
    let from = status_of(row)?;
    if from.next().contains(&to) {
        return Ok(());
    }
    let allowed: Vec<&str> = from.next().iter().map(AsRef::as_ref).collect();
    let moves = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let why = format!("From {from} an experiment cannot become {to}; allowed: {moves}.");
    Err(Problem::conflict("transition_not_allowed", why).with_extra("allowed", allowed))
}

/// A wished move.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentTransitionBody {
    /// The state to move to.
    pub to: ExperimentStatus,
    /// Why; required to abandon.
    pub reason: Option<String>,
    /// Conclude without a result.
    #[serde(default)]
    pub abandon: bool,
}

/// Moves an experiment. Starting freezes and hashes its definition; an A/B test whose `planned_end` is over is 422. Concluding computes the
/// result (or takes what was read before, where the design is read once), stores it with the hash of what it was computed from, and
/// calibrates the campaign when there is an incremental return; before the plan allows it is 409 `readout_too_early`, unless `abandon` says
/// that no result is wanted.
#[utoipa::path(post, path = "/v1/experiments/{experiment_id}/transitions", tag = "experiments", params(("experiment_id" = String, Path)), request_body = ExperimentTransitionBody, responses((status = 200, body = crate::rows::ExperimentRow, description = "The experiment"), (status = 409, description = "`allowed` lists the moves, or `not_before` says when"), (status = 422, description = "`planned_end` is over, or the definition is wrong")))]
pub async fn transition_experiment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    body: JsonBody<ExperimentTransitionBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now, body) = (caller.scope(), state.clock.now(), body.0);
    let reader = scope.clone();
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &id)).await?;
    check_version(&request, &row)?;
    check_move(&row, body.to)?;
    check_reason(&body)?;
    let readout = match body.to == ExperimentStatus::Concluded && !body.abandon {
        true => Some(results::conclusive(&state, &scope, &row).await?),
        false => None,
    };
    let new = moved(&row, &body, readout.as_ref(), now)?;
    let (version, shown) = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let locked = stored::find_locked(conn, &scope, &row.experiment_id)?;
            if let Some(readout) = &readout {
                conclusion::check_unchanged(conn, &scope, &locked, readout)?;
            }
            let updated = stored::update(conn, &scope, &row, &new, now)?;
            if updated.status == ExperimentStatus::Concluded.as_ref() {
                conclusion::record(conn, &scope, &updated, readout.as_ref(), now)?;
            }
            Ok((updated.version, shown(conn, &scope, &updated)?))
        })
        .await?;
    Ok(with_etag(version, shown))
}

fn check_reason(body: &ExperimentTransitionBody) -> Result<(), Problem> {
    let mut invalid = domain::invalid::Invalid::default();
    if let Some(reason) = &body.reason {
        check_text(&mut invalid, "reason", reason, 2_000);
    }
    if body.abandon && body.to != ExperimentStatus::Concluded {
        invalid.add("abandon", "goes with \"to\": \"concluded\" only");
    }
    if body.abandon && body.reason.is_none() {
        invalid.add("reason", "is required to abandon an experiment");
    }
    Ok(invalid.into_result()?)
}

fn moved(
    row: &Experiment,
    body: &ExperimentTransitionBody,
    readout: Option<&Readout>,
    now: DateTime<Utc>,
) -> Result<NewExperiment, Problem> {
    let mut new = NewExperiment { status: body.to.to_string(), ..row.clone().into() };
    if body.reason.is_some() {
        new.status_reason.clone_from(&body.reason);
    }
    match body.to {
        ExperimentStatus::Running => {
            let definition = definition_of(row)?;
            definition.check()?;
            definition.design.check_start(now.date_naive())?;
            new.definition_hash = Some(sha256_hex(&serde_json::to_vec(&definition).map_err(Problem::internal)?));
            new.started_at = Some(Timestamp(now));
        }
        ExperimentStatus::Concluded => {
            new.concluded_at = Some(Timestamp(now));
            // What was read before an experiment is abandoned stays: it cannot be unread.
            if let Some(readout) = readout {
                new.result = Some(readout.document.clone().into());
                new.inputs_hash = Some(readout.inputs_hash.clone());
            }
        }
        ExperimentStatus::Draft | ExperimentStatus::Archived => {}
    }
    Ok(new)
}
