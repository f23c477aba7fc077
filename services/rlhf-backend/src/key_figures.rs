//! Key figures of the programme per day and retailer: computed from the tables, each with n and definition; what the tables cannot answer
//! is absent and says why.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web::{Data, Json};
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use domain::role::Role;
use domain::task::Choice;
use learning::agreement::LabelCounts;
use learning::agreement::krippendorff::{Scale, alpha_with_interval};
use learning::judgment::Judgment;
use peers::tasks::CheckResult;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::rlhf_metrics::day::{self, Day, DayJudgment};
use storage::rlhf_metrics::{self as stored, DayFigures, DayFiguresFilter, NewDayFigures};
use storage::types;
use web::caller::Caller;
use web::json::JsonBody;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::feedback::may_read;
use crate::state::State;
use crate::training::material::LABELS;

/// Which figures to compute.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeBody {
    /// The day in UTC; today when absent.
    pub date: Option<NaiveDate>,
    /// Only this retailer's tasks; all together when absent.
    pub retailer_id: Option<String>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FiguresQuery {
    /// Of this retailer; all together when absent.
    pub retailer_id: Option<String>,
    /// From this day.
    pub from: Option<NaiveDate>,
    /// To this day, inclusive.
    pub to: Option<NaiveDate>,
}

/// Stored key figures, the last computed first.
#[utoipa::path(get, path = "/v1/rlhf-metrics", tag = "key figures", params(FiguresQuery, web::paging::Page), responses((status = 200, description = "`{data, next_cursor}`; each row's `definitions` give n, definition, and why a figure is absent", body = Object)))]
pub async fn list_rlhf_metrics(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<FiguresQuery>,
) -> Result<Json<Slice<DayFigures>>, Problem> {
    caller.require(may_read)?;
    let FiguresQuery { retailer_id, from, to } = query.filter;
    let filter = DayFiguresFilter { retailer_id, from, to };
    let page = storage::page::Page::try_from(&query.page)?;
    Ok(Json(Slice::from(state.storage.scoped(&caller.scope()).read(move |conn| stored::list(conn, &filter, &page)).await?)))
}

/// Computes the figures of one day and stores them in place of earlier ones.
#[utoipa::path(post, path = "/v1/rlhf-metrics/compute", tag = "key figures", request_body = ComputeBody, responses((status = 200, description = "The row", body = Object), (status = 422, description = "Fields that are wrong")))]
pub async fn compute_rlhf_metrics(state: Data<State>, caller: Caller, body: JsonBody<ComputeBody>) -> Result<Json<DayFigures>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let now = state.clock.now();
    let date = body.0.date.unwrap_or_else(|| now.date_naive());
    if date > now.date_naive() {
        return Err(Problem::invalid_field("date", "lies in the future; nothing has happened then"));
    }
    if let Some(retailer) = &body.0.retailer_id {
        domain::id::check("retailer_id", retailer)?;
    }
    let from = date.and_time(NaiveTime::MIN).and_utc();
    let day = Day { from, to: from + TimeDelta::days(1), retailer_id: body.0.retailer_id };
    let figures = state.storage.read(move |conn| compute(conn, &day)).await?;
    Ok(Json(state.storage.transaction(move |conn| stored::store(conn, date, &figures, now)).await?))
}

fn compute(conn: &mut Connection, day: &Day) -> Result<NewDayFigures, StorageError> {
    let judgments = day::judgments(conn, day)?;
    let completed = day::count_completed(conn, day)?;
    let tool_calls = candidates_without_a_failure(&day::auto_checks(conn, day, "tool_call_qa")?);
    let policies = candidates_without_a_failure(&day::auto_checks(conn, day, "policy_compliance")?);
    let deployments = day::deployments(conn, day)?;
    let mut notes = Notes::default();
    let work: Vec<&DayJudgment> = judgments.iter().filter(|judgment| !judgment.is_golden).collect();
    let raters: BTreeSet<&str> = judgments.iter().map(|judgment| judgment.rater_id.as_str()).collect();
    notes.total("total_judgments", judgments.len(), "judgments of the day, golden items included");
    notes.total("active_raters", raters.len(), "raters with a judgment that day, simulated ones included");
    notes.total("tasks_completed", usize::try_from(completed).unwrap_or(0), "tasks completed that day, golden items left out");
    for (figure, definition, because) in ABSENT {
        notes.absent(figure, definition, because);
    }
    let whole = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    Ok(NewDayFigures {
        retailer_id: day.retailer_id.clone(),
        tool_call_compile_pass_rate: notes.share(
            "tool_call_compile_pass_rate",
            tool_calls,
            "candidates of the day's tool_call_qa tasks that pass every automatic check / candidates checked",
        ),
        policy_pass_rate_first_submit: notes.share(
            "policy_pass_rate_first_submit",
            policies,
            "candidates of the day's policy_compliance tasks that pass every automatic check as first submitted / candidates checked",
        ),
        inter_rater_reliability: reliability(&work, &mut notes),
        golden_set_accuracy: notes.share(
            "golden_set_accuracy",
            golden(&judgments),
            "judgments of golden items that equal the expert's / judgments of golden items",
        ),
        percent_tasks_escalated: notes
            .share(
                "percent_tasks_escalated",
                escalated(&work),
                "100 x tasks judged that day that a rater escalated or an expert had to decide / tasks judged that day",
            )
            .map(|share| share * 100.0),
        latency_per_rl_iteration_hours: latency(&deployments, &mut notes),
        total_judgments: whole(judgments.len()),
        active_raters: whole(raters.len()),
        tasks_completed: i32::try_from(completed).unwrap_or(i32::MAX),
        definitions: Value::Object(notes.0),
    })
}

/// Figures that the tables cannot answer, with definition and reason.
const ABSENT: [(&str, &str, &str); 7] = [
    ("tool_call_exact_match_rate", "tool calls equal to the expected call / tool calls", "no expected calls are stored to compare with"),
    ("schema_mapping_f1", "harmonic mean of precision and recall of mapped fields", "no reference mappings are stored to compare with"),
    ("time_to_onboard_days", "days from a retailer's entry to its first approved mapping", "the approval of a mapping is not recorded"),
    ("cost_per_accepted_judgment_micros", "(pay + platform + expert cost) / judgments kept", "no pay rates are recorded"),
    (
        "incremental_roas",
        "(revenue of treatment - scaled revenue of control) / spend",
        "no experiment with a control group has been decided that day",
    ),
    (
        "incremental_revenue_micros",
        "revenue of treatment - scaled revenue of control",
        "no experiment with a control group has been decided that day",
    ),
    (
        "expert_hours_saved",
        "tasks decided without an expert x mean time of an expert's decision",
        "the time of an expert's decision is not recorded",
    ),
];

/// What is said beside each figure.
#[derive(Default)]
struct Notes(Map<String, Value>);

impl Notes {
    fn total(&mut self, figure: &str, n: usize, definition: &str) {
        self.0.insert(figure.to_owned(), json!({ "n": n, "definition": definition }));
    }

    fn absent(&mut self, figure: &str, definition: &str, because: &str) {
        self.0.insert(figure.to_owned(), json!({ "n": 0, "definition": definition, "absent_because": because }));
    }

    /// A share with its Wilson interval; absent when there is nothing to divide by.
    fn share(&mut self, figure: &str, (part, all): (u64, u64), definition: &str) -> Option<f64> {
        let Some(interval) = learning::intervals::wilson(part, all, learning::intervals::Z_95) else {
            self.absent(figure, definition, "there was none that day to count");
            return None;
        };
        self.0.insert(figure.to_owned(), json!({ "n": all, "definition": definition, "interval_of_share": interval }));
        Some(part as f64 / all as f64)
    }
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
    const DEFINITION: &str = "Krippendorff's alpha (nominal) of the day's judgments, golden items left out; n is the number of judgments";
    let alpha = alpha_of(work.iter().map(|judgment| (judgment.task_id.as_str(), judgment.rater_id.as_str(), judgment.choice.as_str())));
    match (alpha.alpha.value, &alpha.alpha.undefined_because) {
        (Some(value), _) => {
            let note =
                json!({ "n": alpha.alpha.n_judgments, "tasks": alpha.alpha.n_tasks, "definition": DEFINITION, "interval": alpha.interval });
            notes.0.insert("inter_rater_reliability".to_owned(), note);
            Some(value)
        }
        (None, because) => {
            notes.absent("inter_rater_reliability", DEFINITION, because.as_deref().unwrap_or("it is not defined"));
            None
        }
    }
}

/// Krippendorff's alpha of `(task, rater, choice)`, with a bootstrap interval that the same judgments always give.
pub(crate) fn alpha_of<'a>(choices: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> learning::agreement::krippendorff::AlphaEstimate {
    let (mut tasks, mut raters) = (BTreeMap::new(), BTreeMap::new());
    let judgments: Vec<Judgment> = choices
        .filter_map(|(task, rater, choice)| {
            let choice: Choice = choice.parse().ok()?;
            let label = LABELS.iter().position(|label| *label == choice)?;
            let (next_task, next_rater) = (tasks.len(), raters.len());
            let task = *tasks.entry(task).or_insert(next_task);
            let rater = *raters.entry(rater).or_insert(next_rater);
            Some(Judgment { task: u32::try_from(task).ok()?, rater: u32::try_from(rater).ok()?, label: u32::try_from(label).ok()? })
        })
        .collect();
    let counts = LabelCounts::from_judgments(&judgments, tasks.len(), LABELS.len()).or_else(|_| LabelCounts::from_rows(&[], LABELS.len()));
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
    const DEFINITION: &str = "mean hours from the activation of the model before to the activation of a model put to work that day";
    let hours: Vec<f64> =
        deployments.iter().map(|(at, before)| (at.0 - before.0).as_seconds_f64() / 3600.0).filter(|hours| *hours >= 0.0).collect();
    if hours.is_empty() {
        notes.absent("latency_per_rl_iteration_hours", DEFINITION, "no model that follows another was put to work that day");
        return None;
    }
    notes.0.insert("latency_per_rl_iteration_hours".to_owned(), json!({ "n": hours.len(), "definition": DEFINITION }));
    Some(hours.iter().sum::<f64>() / hours.len() as f64)
}
