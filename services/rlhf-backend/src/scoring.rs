//! Scores of candidates by the active reward model, for people through the API and for the other services through the private listener.
//!
//! Which model is active is asked at most once a second per slot, so that every replica follows a switch within two; a loaded model is
//! kept by its id, because a model never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::{Data, Json};
use domain::role::Role;
use domain::task::TaskType;
use learning::features::{self, candidate_features};
use learning::reward::model::RewardModel;
use peers::score::{Contribution, ScoreRequest, ScoreResponse};
use peers::tasks::CheckResult;
use serde::Deserialize;
use serde_json::Value;
use storage::error::StorageError;
use storage::reward_models as stored;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::state::State;

/// How long the answer to "which model is active" is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// Loaded models kept; the one unused for longest goes first.
const MAX_LOADED: usize = 16;

/// Remembered slots; beyond it all are asked anew.
const MAX_SLOTS: usize = 1024;

/// Features named in an explanation, per candidate.
const EXPLAINED_FEATURES: usize = 8;

/// Candidates to be compared.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBody {
    /// Chooses the model.
    pub task_type: TaskType,
    /// The retailer's own model is preferred to the general one.
    pub retailer_id: Option<String>,
    /// What the candidates answer: objective, constraints, intent.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Value,
    /// 2 to 20 candidates.
    #[schema(value_type = Vec<Object>)]
    pub candidates: Vec<Value>,
    /// Results of automatic checks, one list per candidate; may be left out.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<Object>>)]
    pub checks: Vec<Vec<CheckResult>>,
}

/// A model that can score.
pub(crate) struct Loaded {
    pub(crate) model_id: String,
    version: i32,
    pub(crate) model: RewardModel,
}

/// What stands in a slot, and when that was asked.
struct Believed {
    asked: Instant,
    active: Option<(String, i32)>,
}

/// The active models as this process knows them.
#[derive(Default)]
pub struct ActiveModels {
    slots: Mutex<HashMap<String, Believed>>,
    loaded: Mutex<Vec<Arc<Loaded>>>,
}

/// Compares candidates with the active reward model of their task type.
#[utoipa::path(post, path = "/v1/score", tag = "reward models", request_body = ScoreBody,
    responses((status = 200, description = "Scores, table of win probabilities, explanation, model id; `fallback` is true when no model is active", body = Object), (status = 422, description = "Fields that are wrong")))]
pub async fn score_candidates(state: Data<State>, caller: Caller, body: JsonBody<ScoreBody>) -> Result<Json<ScoreResponse>, Problem> {
    caller.require(Role::may_plan)?;
    let ScoreBody { task_type, retailer_id, context, candidates, checks } = body.0;
    let request = ScoreRequest { task_type, retailer_id, tenant_id: caller.tenant, context, candidates, checks };
    Ok(Json(score(&state, &request).await?))
}

/// Scores candidates; with no usable model nobody is preferred to anybody, and the answer says so.
///
/// # Errors
/// 422 for a wrong number of candidates or checks, 503 when the database does not answer.
pub async fn score(state: &State, request: &ScoreRequest) -> Result<ScoreResponse, Problem> {
    request.check()?;
    let n_candidates = request.candidates.len();
    match find_model(state, request.task_type, request.retailer_id.as_deref()).await? {
        Ok(loaded) => Ok(compare(&loaded, request)),
        Err(reason) => Ok(ScoreResponse::without_model(n_candidates, reason)),
    }
}

fn compare(loaded: &Loaded, request: &ScoreRequest) -> ScoreResponse {
    let described: Vec<features::Features> = request
        .candidates
        .iter()
        .enumerate()
        .map(|(i, candidate)| {
            let checks = request.checks.get(i).map(Vec::as_slice).unwrap_or_default();
            candidate_features(candidate, &to_feature_checks(checks.iter()), &request.context)
        })
        .collect();
    let model = &loaded.model;
    let scorer = model.for_retailer(request.retailer_id.as_deref());
    let scores: Vec<f64> = described.iter().map(|features| scorer.score(features)).collect();
    let win = |i: usize, j: usize, own: f64, other: f64| {
        if i == j {
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
    ScoreResponse {
        model_id: Some(loaded.model_id.clone()),
        model_version: Some(loaded.version),
        win_probabilities,
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

/// The retailer's active model, else the general one, else why there is none.
pub(crate) async fn find_model(
    state: &State,
    task_type: TaskType,
    retailer_id: Option<&str>,
) -> Result<Result<Arc<Loaded>, String>, StorageError> {
    let slots = retailer_id.map(Some).into_iter().chain([None]);
    let mut reason = format!("no reward model is active for {task_type}");
    for retailer in slots {
        let Some((model_id, version)) = find_active(state, task_type, retailer).await? else { continue };
        match load(state, &model_id, version).await? {
            Ok(loaded) => return Ok(Ok(loaded)),
            Err(unusable) => reason = unusable,
        }
    }
    Ok(Err(reason))
}

async fn find_active(state: &State, task_type: TaskType, retailer: Option<&str>) -> Result<Option<(String, i32)>, StorageError> {
    let slot = stored::slot(task_type.as_ref(), retailer);
    {
        let slots = state.models.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(believed) = slots.get(&slot).filter(|believed| believed.asked.elapsed() < BELIEVED_FOR) {
            return Ok(believed.active.clone());
        }
    }
    let asked = Instant::now();
    let retailer = retailer.map(str::to_owned);
    let found = state.storage.read(move |conn| stored::find_active(conn, task_type.as_ref(), retailer.as_deref())).await?;
    let active = found.map(|model| (model.model_id, model.version));
    let mut slots = state.models.slots.lock().unwrap_or_else(PoisonError::into_inner);
    if slots.len() >= MAX_SLOTS {
        slots.clear();
    }
    slots.insert(slot, Believed { asked, active: active.clone() });
    Ok(active)
}

async fn load(state: &State, model_id: &str, version: i32) -> Result<Result<Arc<Loaded>, String>, StorageError> {
    {
        let mut loaded = state.models.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = loaded.iter().position(|model| model.model_id == model_id) {
            let model = loaded.remove(place);
            loaded.push(Arc::clone(&model));
            return Ok(Ok(model));
        }
    }
    let id = model_id.to_owned();
    let parameters = state.storage.read(move |conn| stored::find_parameters(conn, &id)).await?;
    match RewardModel::from_json(&parameters.0.to_string()) {
        Ok(model) => {
            let entry = Arc::new(Loaded { model_id: model_id.to_owned(), version, model });
            let mut loaded = state.models.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if loaded.len() >= MAX_LOADED {
                loaded.remove(0);
            }
            loaded.push(Arc::clone(&entry));
            Ok(Ok(entry))
        }
        Err(error) => {
            tracing::error!(model_id, %error, "the active reward model cannot be used");
            Ok(Err(format!("the active model {model_id} cannot be used: {error}")))
        }
    }
}
