//! Raters: one's own profile, and a rater's figures with intervals.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use learning::calibration::Decision;
use learning::intervals::{Z_95, wilson};
use serde::Serialize;
use serde_json::{Map, Value, json};
use storage::raters::Rater;
use web::caller::Caller;
use web::problem::Problem;
use web::settings::Settings;

use crate::assignments::rules;
use crate::dispatch::calibration_of;
use crate::state::State;

/// A share with the number it rests on and its Wilson 95 % interval; without data all but `n` is null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Share {
    /// Successes.
    pub count: u64,
    /// Trials.
    pub n: u64,
    /// `count / n`.
    pub estimate: Option<f64>,
    /// Lower bound.
    pub low: Option<f64>,
    /// Upper bound.
    pub high: Option<f64>,
}

/// A share of counts as they are stored.
#[must_use]
pub fn share(count: i64, n: i64) -> Share {
    let n = n.max(0).unsigned_abs();
    let count = count.max(0).unsigned_abs().min(n);
    let interval = wilson(count, n, Z_95);
    Share {
        count,
        n,
        estimate: (n > 0).then(|| count as f64 / n as f64),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
    }
}

/// The caller's rater profile with its calibration, and what is held against it (`notices`). Creates nothing.
#[utoipa::path(get, path = "/v1/raters/me", tag = "raters", responses((status = 200, description = "Profile and calibration"), (status = 404, description = "The account has no rater profile")))]
pub async fn get_own_rater(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    let rater = find_own(&state, &caller).await?;
    let rater_id = rater.rater_id.clone();
    let notices = state.storage.read(move |conn| crate::integrity::notices(conn, &rater_id)).await?;
    let mut body = profile(&rater, caller.role.may_review(), &state.settings);
    if let Some(body) = body.as_object_mut() {
        body.insert("notices".to_owned(), json!(notices));
        body.insert("account_id".to_owned(), json!(caller.account_id));
        body.insert("role".to_owned(), json!(caller.role));
        body.insert("email".to_owned(), json!(caller.email));
    }
    Ok(HttpResponse::Ok().json(body))
}

/// The caller's profile, for pages too.
///
/// # Errors
/// 404 when the account has none.
pub async fn find_own(state: &State, caller: &Caller) -> Result<Rater, Problem> {
    let Some(rater_id) = caller.rater_id.clone() else { return Err(Problem::not_found("rater profile", &caller.account_id)) };
    Ok(state.storage.read(move |conn| storage::raters::find(conn, &rater_id)).await?)
}

/// A rater's figures: the rater's own, or any for reviewers.
#[utoipa::path(get, path = "/v1/raters/{rater_id}/stats", tag = "raters", params(("rater_id" = String, Path)), responses((status = 200, description = "Shares with n and interval"), (status = 404, description = "Not there, or not yours")))]
pub async fn get_rater_stats(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    let rater_id = path.into_inner();
    if caller.rater_id.as_deref() != Some(rater_id.as_str()) && !caller.role.may_review() {
        return Err(Problem::not_found("rater", &rater_id));
    }
    let rater = state.storage.read(move |conn| storage::raters::find(conn, &rater_id)).await?;
    Ok(HttpResponse::Ok().json(stats(&rater)))
}

/// A profile as its owner sees it.
#[must_use]
pub fn profile(rater: &Rater, is_exempt: bool, settings: &Settings) -> Value {
    let decision = calibration_of(rater, &rules(settings).calibration);
    let (calibration, at_most_more) = match decision {
        _ if is_exempt => ("exempt", 0),
        _ if rater.is_calibrated => ("passed", 0),
        Decision::Pass => ("passed", 0),
        Decision::Fail => ("failed", 0),
        Decision::Continue { at_most } => ("continue", at_most),
    };
    json!({
        "rater_id": rater.rater_id,
        "name": rater.name,
        "is_active": rater.is_active,
        "is_calibrated": rater.is_calibrated,
        "is_simulated": rater.is_simulated,
        "calibration_date": rater.calibration_date,
        "total_judgments": rater.total_judgments,
        "preferred_task_types": rater.preferred_task_types,
        "calibration": {
            "state": calibration, "correct": rater.calibration_correct, "total": rater.calibration_total, "at_most_more": at_most_more,
        },
        "created_at": rater.created_at,
    })
}

/// A rater's figures.
#[must_use]
pub fn stats(rater: &Rater) -> Value {
    let figure = |figures: &Value, name: &str| figures.get(name).and_then(Value::as_i64).unwrap_or(0);
    let by_type: Map<String, Value> = rater
        .reliability_by_task_type
        .as_object()
        .into_iter()
        .flatten()
        .map(|(task_type, figures)| {
            let golden = share(figure(figures, "golden_correct"), figure(figures, "golden_total"));
            (task_type.clone(), json!({"judgments": figure(figures, "judgments"), "golden_accuracy": golden}))
        })
        .collect();
    json!({
        "rater_id": rater.rater_id,
        "name": rater.name,
        "is_simulated": rater.is_simulated,
        "is_calibrated": rater.is_calibrated,
        "total_judgments": rater.total_judgments,
        "golden_accuracy": share(rater.golden_correct.into(), rater.golden_total.into()),
        "consensus_agreement": share(rater.consensus_agreed.into(), rater.consensus_total.into()),
        "avg_confidence": rater.avg_confidence,
        "avg_time_per_task_seconds": rater.avg_time_per_task_seconds,
        "by_task_type": by_type,
        "definitions": {
            "golden_accuracy": "answers on golden items, calibration included, that equal the expert's; unsure counts as not correct",
            "consensus_agreement": "judgments of decided tasks that equal the decision; unsure is left out",
            "interval": "Wilson score interval, 95 %",
        },
    })
}
