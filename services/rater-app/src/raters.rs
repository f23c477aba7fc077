//! Raters: one's own profile, and a rater's figures with intervals.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::task::TaskType;
use learning::calibration::Decision;
use learning::intervals::{Z_95, wilson};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use storage::qualifications::Qualification;
use storage::raters::Rater;
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::assignments::rules;
use crate::dispatch::{self, Rules};
use crate::qualification;
use crate::state::State;

const MAX_NAME_CHARS: usize = 100;

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
    let rater_id = caller.rater_id.clone().ok_or_else(|| Problem::not_found("rater profile", &caller.account_id))?;
    let (rater, tests, notices) = state
        .storage
        .read(move |conn| {
            let tests = storage::qualifications::of_rater(conn, &rater_id)?;
            let mut notices: Vec<Value> = tests.iter().filter_map(notice_of_retest).collect();
            notices.extend(crate::integrity::notices(conn, &rater_id)?);
            Ok((storage::raters::find(conn, &rater_id)?, tests, notices))
        })
        .await?;
    let mut body = profile(&rater, &tests, dispatch::is_exempt(&rater, caller.role), &rules(&state.settings));
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
    Ok(HttpResponse::Ok().json(stats(&rater, caller.role.may_review())))
}

/// What a rater changes about the own profile.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    /// The name that others see, when they see it.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether others see the name on the leaderboard; else they see an alias.
    #[serde(default)]
    pub shows_name: Option<bool>,
}

/// Changes the caller's name, and whether others see it on the leaderboard.
#[utoipa::path(patch, path = "/v1/raters/me", tag = "raters", request_body = ProfileChange, responses((status = 200, description = "The profile"), (status = 404, description = "The account has no rater profile"), (status = 422, description = "Wrong fields")))]
pub async fn update_own_rater(state: Data<State>, caller: Caller, body: JsonBody<ProfileChange>) -> Result<HttpResponse, Problem> {
    let rater_id = caller.rater_id.clone().ok_or_else(|| Problem::not_found("rater profile", &caller.account_id))?;
    let change = body.0;
    let name = change.name.as_deref().map(str::trim).map(str::to_owned);
    if name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > MAX_NAME_CHARS) {
        return Err(Problem::invalid_field("name", format!("must be 1 to {MAX_NAME_CHARS} characters")));
    }
    if name.as_ref().is_some_and(|name| name.chars().any(cannot_be_seen)) {
        return Err(Problem::invalid_field("name", "must not hold characters that cannot be seen"));
    }
    let now = state.clock.now();
    state
        .storage
        .transaction(move |tx| {
            if let Some(name) = &name {
                storage::raters::rename(tx, &rater_id, name, now)?;
            }
            if let Some(shows_name) = change.shows_name {
                storage::raters::show_name(tx, &rater_id, shows_name, now)?;
            }
            Ok(())
        })
        .await?;
    get_own_rater(state, caller).await
}

/// A profile as its owner sees it. `calibration` is that of the task type that was begun, or of all.
#[must_use]
pub fn profile(rater: &Rater, tests: &[Qualification], is_exempt: bool, rules: &Rules) -> Value {
    let begun = tests.iter().filter(|test| test.state == "open").max_by_key(|test| test.total);
    let test = begun.or_else(|| tests.iter().find(|test| test.is_passed())).or_else(|| tests.first());
    let (state, at_most_more) = match test {
        _ if is_exempt => ("exempt", 0),
        Some(test) => state_of(test, rules),
        None => ("continue", rules.calibration.cap()),
    };
    json!({
        "rater_id": rater.rater_id,
        "name": rater.name,
        "alias": alias(&rater.rater_id),
        "shows_name": rater.shows_name,
        "is_active": rater.is_active,
        "is_calibrated": rater.is_calibrated,
        "is_simulated": rater.is_simulated,
        "calibration_date": rater.calibration_date,
        "total_judgments": rater.total_judgments,
        "preferred_task_types": rater.preferred_task_types,
        "calibration": {
            "task_type": test.map(|test| &test.task_type),
            "state": state,
            "correct": test.map_or(0, |test| test.correct),
            "total": test.map_or(0, |test| test.total),
            "at_most_more": at_most_more,
        },
        "qualifications": tests.iter().map(|test| qualification_view(test, rules)).collect::<Vec<_>>(),
        "created_at": rater.created_at,
    })
}

/// That calibration is to be taken again, for whoever would otherwise only find no work.
fn notice_of_retest(test: &Qualification) -> Option<Value> {
    let reason = test.reason.as_deref().filter(|_| test.state == "open")?;
    let kind = test.task_type.parse().map_or("this kind", |kind: TaskType| kind.title());
    let words = format!("Calibration for {kind} is to be taken again before you get more of it: {reason}.");
    Some(json!({
        "action_id": null, "kind": "calibrate_again", "task_type": test.task_type, "reason": reason, "words": words, "created_at": null,
    }))
}

fn qualification_view(test: &Qualification, rules: &Rules) -> Value {
    let (state, at_most_more) = state_of(test, rules);
    let count = |n: i32| n.max(0).unsigned_abs();
    let (lower, upper) = rules.calibration.bounds();
    json!({
        "task_type": test.task_type, "state": state, "correct": test.correct, "total": test.total, "attempt": test.attempt,
        "at_most_more": at_most_more, "reason": test.reason, "decided_at": test.decided_at, "retry_at": test.retry_at,
        "log_likelihood_ratio": rules.calibration.log_likelihood_ratio(count(test.correct), count(test.total)),
        "fails_at": lower, "passes_at": upper,
    })
}

fn state_of(test: &Qualification, rules: &Rules) -> (&'static str, u32) {
    match qualification::standing(test, rules) {
        Decision::Pass => ("passed", 0),
        Decision::Fail => ("failed", 0),
        Decision::Continue { at_most } => ("continue", at_most),
    }
}

/// Control characters, zero widths, and marks that turn the direction of writing.
fn cannot_be_seen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What others see of a rater who does not show the name: the same every time, and telling nothing.
#[must_use]
pub fn alias(rater_id: &str) -> String {
    let digest = Sha256::digest(format!("alias {rater_id}"));
    format!("Rater {}", digest.iter().take(3).map(|byte| format!("{byte:02X}")).collect::<String>())
}

/// A rater's figures.
#[must_use]
pub fn stats(rater: &Rater, sees_golden: bool) -> Value {
    let figure = |figures: &Value, name: &str| figures.get(name).and_then(Value::as_i64).unwrap_or(0);
    let by_type: Map<String, Value> = rater
        .reliability_by_task_type
        .as_object()
        .into_iter()
        .flatten()
        .map(|(task_type, figures)| {
            let golden = sees_golden.then(|| share(figure(figures, "golden_correct"), figure(figures, "golden_total")));
            (task_type.clone(), json!({"judgments": figure(figures, "judgments"), "golden_accuracy": golden}))
        })
        .collect();
    let golden = if sees_golden {
        share(rater.golden_correct.into(), rater.golden_total.into())
    } else {
        share(rater.calibration_correct.into(), rater.calibration_total.into())
    };
    json!({
        "rater_id": rater.rater_id,
        "name": rater.name,
        "is_simulated": rater.is_simulated,
        "is_calibrated": rater.is_calibrated,
        "total_judgments": rater.total_judgments,
        "golden_accuracy": golden,
        "consensus_agreement": share(rater.consensus_agreed.into(), rater.consensus_total.into()),
        "avg_confidence": rater.avg_confidence,
        "avg_time_per_task_seconds": rater.avg_time_per_task_seconds,
        "by_task_type": by_type,
        "definitions": {
            "golden_accuracy": if sees_golden {
                "answers on golden items, calibration included, that equal the expert's; unsure counts as not correct in calibration, and is left out among the work"
            } else {
                "answers in calibration that equal the expert's; golden items among the work are left out, so that none can be told by its effect"
            },
            "consensus_agreement": "judgments of decided tasks that equal the decision; unsure is left out",
            "interval": "Wilson score interval, 95 %",
        },
    })
}
