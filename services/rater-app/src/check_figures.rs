//! Which automatic check predicts the raters' verdict.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::checks::VERSION;
use domain::checks::catalogue::{CHECKS, find};
use domain::task::{Choice, TaskType};
use learning::checks_agreement::{CheckAgreement, CheckFinding, CheckedTask, checks_agreement};
use peers::tasks::CheckResult;
use serde_json::{Value, json};
use storage::check_evidence;
use web::caller::Caller;
use web::problem::Problem;

use crate::state::State;

/// Decided tasks looked at: the newest.
pub const NEWEST_TASKS: i64 = 2_000;

/// For each automatic check the decided tasks in which exactly one of two candidates fails it: how often the raters prefer the one that passes, with its
/// 95% interval and the p of the sign test; null with the reason where there is none. Best predictors first within a task type.
#[utoipa::path(get, path = "/v1/quality/checks", tag = "quality", responses((status = 200, description = "{version, checks: [{task_type, check, rule, n, agreeing, share, interval_95, p, undecided, undefined_because}], window}"), (status = 403, description = "Not for raters")))]
pub async fn get_checks(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(|role| role.may_review() || role.sees_all_tenants())?;
    // Computed on the thread that waits for the database anyway, and not on one that answers requests.
    let body = state.storage.read(|conn| Ok(describe(&check_evidence::newest_decided(conn, NEWEST_TASKS)?))).await?;
    Ok(HttpResponse::Ok().json(body))
}

fn describe(decided: &[check_evidence::CheckedTask]) -> Value {
    let tasks: Vec<CheckedTask> = decided.iter().map(checked).collect();
    let known = CHECKS.iter().filter(|one| one.check != "size").map(|one| (type_name(one.task_type), one.check));
    let known: Vec<(String, &str)> = known.collect();
    let mut figures = checks_agreement(&tasks, known.iter().map(|(task_type, check)| (task_type.as_str(), *check)));
    let lower = |one: &CheckAgreement| one.interval_95.map_or(-1.0, |interval| interval.low);
    figures.sort_by(|a, b| a.task_type.cmp(&b.task_type).then(lower(b).total_cmp(&lower(a))).then(a.check.cmp(&b.check)));
    let checks: Vec<Value> = figures.iter().map(with_rule).collect();
    json!({
        "version": VERSION,
        "checks": checks,
        "window": {
            "tasks": decided.len(),
            "at_most": NEWEST_TASKS,
            "note": "the newest tasks of two candidates that raters decided, golden items left out, by findings of this version of the checks; raters see the findings",
        },
    })
}

fn type_name(task_type: TaskType) -> String {
    task_type.as_ref().to_owned()
}

fn checked(task: &check_evidence::CheckedTask) -> CheckedTask {
    let found: Vec<CheckResult> = serde_json::from_value(task.auto_checks.0.clone()).unwrap_or_default();
    let findings = found.into_iter().filter(|finding| finding.version == VERSION);
    CheckedTask {
        task_type: task.task_type.clone(),
        preferred: task.choice.as_deref().and_then(|choice| choice.parse::<Choice>().ok()).and_then(Choice::candidate),
        findings: findings.map(|f| CheckFinding { check: f.check, candidate: f.candidate, passed: f.passed }).collect(),
    }
}

fn with_rule(figures: &CheckAgreement) -> Value {
    let mut shown = json!(figures);
    let rule = figures.task_type.parse::<TaskType>().ok().and_then(|task_type| find(task_type, &figures.check)).map(|one| one.rule);
    if let Some(members) = shown.as_object_mut() {
        members.insert("rule".to_owned(), json!(rule));
    }
    shown
}
