//! Computes the key figures of one day from the tables, each with n, interval and where it comes from; what the tables cannot answer is
//! absent and says why. The same rows give the same figures, so that whoever doubts one computes it again.

use std::collections::{BTreeMap, BTreeSet};

use domain::task::Choice;
use learning::agreement::LabelCounts;
use learning::agreement::krippendorff::{Scale, alpha_with_interval};
use learning::intervals::{Interval, Z_95, wilson};
use learning::judgment::Judgment;
use peers::tasks::CheckResult;
use serde_json::Value;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::rlhf_metrics::NewDayFigures;
use storage::rlhf_metrics::day::{self, Day, DayJudgment};
use storage::types;
use web::settings::UnitCosts;

use super::money;
use super::notes::Notes;
use crate::training::material::LABELS;

/// The figures of one day and retailer.
///
/// # Errors
/// As any query.
pub fn compute(conn: &mut Connection, day: &Day, costs: Option<&UnitCosts>) -> Result<NewDayFigures, StorageError> {
    let mut notes = Notes::of(day);
    let judgments = day::judgments(conn, day)?;
    let completed = day::count_completed(conn, day)?;
    let tool_calls = candidates_without_a_failure(&day::auto_checks(conn, day, "tool_call_qa")?);
    let policies = candidates_without_a_failure(&day::auto_checks(conn, day, "policy_compliance")?);
    let work: Vec<&DayJudgment> = judgments.iter().filter(|judgment| !judgment.is_golden).collect();
    let raters: BTreeSet<&str> = judgments.iter().map(|judgment| judgment.rater_id.as_str()).collect();
    notes.counted("total_judgments", judgments.len() as u64);
    notes.counted("active_raters", raters.len() as u64);
    notes.counted("tasks_completed", completed.unsigned_abs());
    notes.absent("tool_call_exact_match_rate", "no expected calls are stored to compare with");
    notes.absent("schema_mapping_f1", "no reference mappings are stored to compare with");
    let cost = money::cost(conn, day, costs, &mut notes)?;
    let (incremental_roas, revenue) = money::proven(&day::proven(conn, day)?, &mut notes);
    let whole = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    Ok(NewDayFigures {
        retailer_id: day.retailer_id.clone(),
        tool_call_exact_match_rate: None,
        tool_call_compile_pass_rate: notes.share("tool_call_compile_pass_rate", tool_calls),
        schema_mapping_f1: None,
        policy_pass_rate_first_submit: notes.share("policy_pass_rate_first_submit", policies),
        time_to_onboard_days: onboarding(&day::onboarded(conn, day)?, &mut notes),
        inter_rater_reliability: reliability(&work, &mut notes),
        golden_set_accuracy: notes.share("golden_set_accuracy", golden(&judgments)),
        percent_tasks_escalated: notes.percent("percent_tasks_escalated", escalated(&work)),
        cost_per_accepted_judgment_micros: cost.as_ref().map(|(micros, _)| *micros),
        latency_per_rl_iteration_hours: latency(&day::deployments(conn, day)?, &mut notes),
        incremental_roas,
        incremental_revenue_micros: revenue.as_ref().map(|(micros, _)| *micros),
        expert_hours_saved: saved(conn, day, &mut notes)?,
        total_judgments: whole(judgments.len()),
        active_raters: whole(raters.len()),
        tasks_completed: i32::try_from(completed).unwrap_or(i32::MAX),
        cost_currency: cost.map(|(_, currency)| currency),
        revenue_currency: revenue.map(|(_, currency)| currency),
        definitions: Value::Object(notes.into_map()).into(),
    })
}

fn golden(judgments: &[DayJudgment]) -> (u64, u64) {
    let answers: Vec<bool> =
        judgments.iter().filter(|judgment| judgment.is_golden).filter_map(|judgment| judgment.matches_golden).collect();
    (answers.iter().filter(|is_right| **is_right).count() as u64, answers.len() as u64)
}

fn escalated(work: &[&DayJudgment]) -> (u64, u64) {
    let mut tasks: BTreeMap<&str, bool> = BTreeMap::new();
    for judgment in work {
        let needs_expert = judgment.is_escalated || matches!(judgment.task_status.as_str(), "escalated" | "expert_review" | "validated");
        *tasks.entry(&judgment.task_id).or_default() |= needs_expert;
    }
    (tasks.values().filter(|needs_expert| **needs_expert).count() as u64, tasks.len() as u64)
}

fn reliability(work: &[&DayJudgment], notes: &mut Notes) -> Option<f64> {
    let alpha = alpha_of(work.iter().map(|judgment| (judgment.task_id.as_str(), judgment.rater_id.as_str(), judgment.choice.as_str())));
    match (alpha.alpha.value, &alpha.alpha.undefined_because) {
        (Some(value), _) => {
            notes.measured("inter_rater_reliability", alpha.alpha.n_judgments, alpha.interval);
            Some(value)
        }
        (None, because) => {
            notes.absent("inter_rater_reliability", because.as_deref().unwrap_or("it is not defined"));
            None
        }
    }
}

/// `(task, rater, choice)` as dense numbers, and how many tasks there are.
pub(crate) fn judgments_of<'a>(choices: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> (Vec<Judgment>, usize) {
    let (mut tasks, mut raters) = (BTreeMap::new(), BTreeMap::new());
    let judgments = choices
        .filter_map(|(task, rater, choice)| {
            let choice: Choice = choice.parse().ok()?;
            let label = LABELS.iter().position(|label| *label == choice)?;
            let (next_task, next_rater) = (tasks.len(), raters.len());
            let task = *tasks.entry(task).or_insert(next_task);
            let rater = *raters.entry(rater).or_insert(next_rater);
            Some(Judgment { task: u32::try_from(task).ok()?, rater: u32::try_from(rater).ok()?, label: u32::try_from(label).ok()? })
        })
        .collect();
    (judgments, tasks.len())
}

/// Krippendorff's alpha of `(task, rater, choice)`, with a bootstrap interval that the same judgments always give.
fn alpha_of<'a>(choices: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> learning::agreement::krippendorff::AlphaEstimate {
    let (judgments, tasks) = judgments_of(choices);
    let counts = LabelCounts::from_judgments(&judgments, tasks, LABELS.len()).or_else(|_| LabelCounts::from_rows(&[], LABELS.len()));
    match counts {
        Ok(counts) => alpha_with_interval(&counts, Scale::Nominal, 200, 0),
        Err(error) => unreachable_alpha(&error.to_string()),
    }
}

fn unreachable_alpha(reason: &str) -> learning::agreement::krippendorff::AlphaEstimate {
    let alpha = learning::agreement::Coefficient { value: None, n_tasks: 0, n_judgments: 0, undefined_because: Some(reason.to_owned()) };
    learning::agreement::krippendorff::AlphaEstimate { alpha, interval: None, replicates: 0 }
}

/// Candidates that pass every check, and candidates checked.
fn candidates_without_a_failure(tasks: &[types::Json]) -> (u64, u64) {
    let (mut passed, mut all) = (0, 0);
    for checks in tasks {
        let checks: Vec<CheckResult> = serde_json::from_value(checks.0.clone()).unwrap_or_default();
        let mut candidates: BTreeMap<usize, bool> = BTreeMap::new();
        for check in checks {
            *candidates.entry(check.candidate).or_insert(true) &= check.passed;
        }
        passed += candidates.values().filter(|is_good| **is_good).count() as u64;
        all += candidates.len() as u64;
    }
    (passed, all)
}

fn latency(deployments: &[(types::Timestamp, types::Timestamp)], notes: &mut Notes) -> Option<f64> {
    let hours: Vec<f64> =
        deployments.iter().map(|(at, before)| (at.0 - before.0).as_seconds_f64() / 3600.0).filter(|hours| *hours >= 0.0).collect();
    notes.mean("latency_per_rl_iteration_hours", &hours, "no model that follows another was put to work that day")
}

fn onboarding(retailers: &[day::Onboarded], notes: &mut Notes) -> Option<f64> {
    let days: Vec<f64> = retailers.iter().map(|one| one.days).collect();
    notes.mean("time_to_onboard_days", &days, "no retailer's first field mapping was approved that day")
}

fn saved(conn: &mut Connection, day: &Day, notes: &mut Notes) -> Result<Option<f64>, StorageError> {
    let tasks = day::count_without_expert(conn, day)?;
    let (pace, decisions) = day::expert_pace(conn, day)?;
    let Some(seconds) = pace.filter(|_| decisions > 0) else {
        notes.absent("expert_hours_saved", "no expert's decision was timed in the 90 days before");
        return Ok(None);
    };
    notes.counted("expert_hours_saved", tasks.unsigned_abs());
    notes.detail("expert_hours_saved", "seconds_per_decision", seconds.into());
    notes.detail("expert_hours_saved", "decisions_timed", decisions.into());
    Ok(Some(tasks as f64 * seconds / 3600.0))
}

/// Ends around a mean of several values; none for fewer than two.
pub(super) fn around_mean(values: &[f64]) -> Option<Interval> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = Z_95 * (variance / n).sqrt();
    Some(Interval { low: mean - half, high: mean + half })
}

/// A share's Wilson interval.
pub(super) fn around_share((part, all): (u64, u64)) -> Option<Interval> {
    wilson(part, all, Z_95)
}
