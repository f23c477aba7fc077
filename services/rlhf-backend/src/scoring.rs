//! Scores of candidates by the active reward model, else by automatic checks, for people through the API and for the other services through
//! the private listener.

pub mod active;
pub mod by_checks;
pub mod retailers;

use actix_web::web::{Data, Json};
use domain::role::Role;
use domain::task::TaskType;
use learning::features::{self, candidate_features};
use peers::score::{Contribution, ScoreRequest, ScoreResponse};
use peers::tasks::CheckResult;
use serde::Deserialize;
use serde_json::Value;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::state::State;
use active::{Loaded, find_model};

/// Features named in an explanation, per candidate.
const EXPLAINED_FEATURES: usize = 8;

/// Said where a standard error is missing.
const NOT_TOLD_APART: &str = "Where a standard error is null, nothing that the model could know of tells the two candidates apart: their probability of one half is no finding.";

/// Candidates to be compared.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBody {
    /// Chooses the model.
    pub task_type: TaskType,
    /// The retailer's own model is preferred to the general one; a retailer that exists.
    pub retailer_id: Option<String>,
    /// What the candidates answer: objective, constraints, intent.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Value,
    /// 2 to 20 candidates, each an object or a text.
    #[schema(value_type = Vec<Object>)]
    pub candidates: Vec<Value>,
    /// Results of automatic checks, one list of `{check, passed}` per candidate; may be left out.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<Object>>)]
    pub checks: Vec<Vec<CheckResult>>,
}

/// Compares candidates with the active reward model of their task type.
#[utoipa::path(post, path = "/v1/score", tag = "reward models", request_body = ScoreBody,
    responses((status = 200, description = "Scores, table of win probabilities, their bootstrap standard errors (null where nothing that the model could know of tells two candidates apart; `standard_errors_reason` says so), explanation, model id; `fallback` is true when no model is active and automatic checks scored", body = Object), (status = 422, description = "Fields that are wrong")))]
pub async fn score_candidates(state: Data<State>, caller: Caller, body: JsonBody<ScoreBody>) -> Result<Json<ScoreResponse>, Problem> {
    caller.require(Role::may_plan)?;
    let ScoreBody { task_type, retailer_id, context, candidates, checks } = body.0;
    let request = ScoreRequest { task_type, retailer_id, tenant_id: caller.tenant, context, candidates, checks };
    Ok(Json(score(&state, &request).await?))
}

/// Scores candidates; with no usable model by automatic checks, and the answer says so.
///
/// # Errors
/// 422 for candidates, checks or a retailer that are wrong, 503 when the database does not answer.
pub async fn score(state: &State, request: &ScoreRequest) -> Result<ScoreResponse, Problem> {
    request.check()?;
    if let Some(retailer) = &request.retailer_id {
        retailers::require(state, retailer).await?;
    }
    match find_model(state, request.task_type, request.retailer_id.as_deref()).await? {
        Ok(loaded) => Ok(compare(&loaded, request)),
        Err(reason) => Ok(by_checks::score(request, reason)),
    }
}

fn compare(loaded: &Loaded, request: &ScoreRequest) -> ScoreResponse {
    let checks_of = |place: usize| to_feature_checks(request.checks.get(place).into_iter().flatten());
    let described: Vec<features::Features> = request
        .candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| candidate_features(candidate, &checks_of(place), &request.context))
        .collect();
    let model = &loaded.model;
    let scorer = model.for_retailer(request.retailer_id.as_deref());
    let scores: Vec<f64> = described.iter().map(|features| scorer.score(features)).collect();
    let win = |i: usize, j: usize, own: f64, other: f64| {
        // Equal scores are one half to the last bit, as sums of rounded shares are not.
        if i == j || own == other {
            return 0.5;
        }
        // A tie prefers neither, so half of it counts for each.
        let outcome = model.win_probability(own, other);
        outcome.a + outcome.tie / 2.0
    };
    let win_probabilities =
        scores.iter().enumerate().map(|(i, own)| scores.iter().enumerate().map(|(j, other)| win(i, j, *own, *other)).collect()).collect();
    let explain = |features: &features::Features| {
        let parts = scorer.explain(features, EXPLAINED_FEATURES).into_iter();
        parts.map(|part| Contribution { feature: part.feature, value: part.value, contribution: part.contribution }).collect()
    };
    let mut standard_errors = model.standard_errors(&loaded.word_places, &described, request.retailer_id.as_deref());
    for (row, errors) in standard_errors.iter_mut().enumerate() {
        for (column, error) in errors.iter_mut().enumerate() {
            // The same candidate twice is one half, and that is sure.
            if error.is_none() && request.candidates.get(row) == request.candidates.get(column) && checks_of(row) == checks_of(column) {
                *error = Some(0.0);
            }
        }
    }
    let is_missing = standard_errors.iter().flatten().any(Option::is_none);
    ScoreResponse {
        model_id: Some(loaded.model_id.clone()),
        model_version: Some(loaded.version),
        win_probabilities,
        standard_errors,
        standard_errors_reason: is_missing.then(|| NOT_TOLD_APART.to_owned()),
        explanation: described.iter().map(explain).collect(),
        scores,
        fallback: false,
        fallback_reason: None,
    }
}

/// Results of auto-checks as features know them.
pub(crate) fn to_feature_checks<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> Vec<features::CheckResult> {
    checks.map(|check| features::CheckResult { check: check.check.clone(), passed: check.passed }).collect()
}
