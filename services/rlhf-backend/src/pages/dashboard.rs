//! `/dashboard`: is quality held, what is blocked, what was said, which models score.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::scope::Scope;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::FeedbackFilter;
use storage::feedback::statistics::{self, FeedbackStatistics};
use storage::jobs::{self, Job, JobFilter};
use storage::page::Page;
use storage::reward_models::{self, RewardModel, RewardModelFilter};
use storage::training_data::judged;
use web::caller::{PageCaller, PageRefusal};
use web::chart;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::{count, decimal, file, percent, require_reader, topics, words};
use crate::key_figures::computing::alpha_of;
use crate::state::State;
use crate::worker::TRAIN;

/// Judgments that enter the agreement shown, the newest.
const JUDGMENTS: i64 = 5_000;

/// Figures that rest on fewer than this are shown faint.
const FEW: u64 = 20;

/// Days in the chart.
const DAYS: usize = 30;

struct Counted {
    name: String,
    count: String,
}

pub(super) struct JobView {
    pub(super) job_id: String,
    pub(super) title: String,
    pub(super) state: String,
    pub(super) tone: &'static str,
    pub(super) progress: f64,
    pub(super) text: String,
    pub(super) at: String,
    pub(super) is_open: bool,
}

struct ActiveModel {
    task_type: String,
    retailer: String,
    version: i32,
    accuracy: String,
    model_id: String,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    layout: Layout,
    styles: String,
    script: String,
    topics: String,
    agreement: String,
    agreement_note: String,
    is_agreement_faint: bool,
    decided: String,
    open: String,
    blocked: i64,
    total: String,
    mean_rating: String,
    ratings: i64,
    is_rating_faint: bool,
    by_type: Vec<Counted>,
    by_task: Vec<Counted>,
    chart: String,
    has_trend: bool,
    models: Vec<ActiveModel>,
    jobs: Vec<JobView>,
    counted_at: String,
}

struct Figures {
    statistics: FeedbackStatistics,
    tasks: std::collections::BTreeMap<String, i64>,
    choices: Vec<(String, String, String)>,
    models: Vec<RewardModel>,
    jobs: Vec<Job>,
}

/// Shows the dashboard.
pub async fn show_dashboard(state: Data<State>, caller: PageCaller) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    let figures = state.storage.scoped(&scope).read(move |conn| read(conn, &scope)).await.map_err(Problem::from)?;
    let alpha = alpha_of(figures.choices.iter().map(|(task, rater, choice)| (task.as_str(), rater.as_str(), choice.as_str())));
    let tasks = |names: &[&str]| names.iter().filter_map(|name| figures.tasks.get(*name)).sum();
    let statistics = &figures.statistics;
    let trend: Vec<chart::Point> = last_days(statistics);
    let page = DashboardPage {
        layout: Layout::new("Dashboard", "rlhf-backend/dashboard", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        topics: topics(&caller, &["feedback", "tasks", "jobs"]),
        agreement: decimal(alpha.alpha.value, 2),
        agreement_note: match (&alpha.interval, &alpha.alpha.undefined_because) {
            (Some(interval), _) => {
                format!("95 % interval {:.2} to {:.2}, n = {} judgments", interval.low, interval.high, alpha.alpha.n_judgments)
            }
            (None, Some(because)) => format!("Not defined: {because}."),
            (None, None) => format!("n = {} judgments", alpha.alpha.n_judgments),
        },
        is_agreement_faint: alpha.alpha.n_judgments < FEW,
        decided: count(tasks(&["completed", "validated"])),
        open: count(tasks(&["pending", "in_progress"])),
        blocked: tasks(&["escalated", "expert_review"]),
        total: count(statistics.total),
        mean_rating: decimal(statistics.mean_rating, 2),
        ratings: statistics.ratings,
        is_rating_faint: statistics.ratings.unsigned_abs() < FEW,
        by_type: statistics.by_type.iter().map(|(kind, count)| Counted { name: words(kind), count: super::count(*count) }).collect(),
        by_task: statistics.by_task_type.iter().map(|(word, counts)| Counted { name: words(word), count: count(counts.total) }).collect(),
        has_trend: !trend.is_empty(),
        chart: chart::bar("Feedback per day", &trend),
        models: figures.models.iter().map(to_active).collect(),
        jobs: figures.jobs.iter().map(to_job).collect(),
        counted_at: state.clock.now().format("%H:%M:%S UTC").to_string(),
    };
    Ok(render(&page)?)
}

fn read(conn: &mut Connection, scope: &Scope) -> Result<Figures, StorageError> {
    Ok(Figures {
        statistics: statistics::statistics(conn, scope, &FeedbackFilter::default())?,
        tasks: judged::count_by_status(conn, scope)?,
        choices: judged::newest_choices(conn, scope, JUDGMENTS)?,
        models: reward_models::list(conn, &RewardModelFilter { is_active: Some(true), ..RewardModelFilter::default() }, &Page::first(50))?
            .rows,
        jobs: jobs::list(conn, scope, &trainings(), &Page::first(5))?.rows,
    })
}

/// The last days up to the newest one with feedback; a day without any is a true zero.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn last_days(statistics: &FeedbackStatistics) -> Vec<chart::Point> {
    let Some(newest) = statistics.daily.last().map(|day| day.date) else { return Vec::new() };
    let days: Vec<chrono::NaiveDate> = newest.iter_days().rev().take(DAYS).collect();
    let total = |date: &chrono::NaiveDate| statistics.daily.iter().find(|day| day.date == *date).map_or(0, |day| day.total);
    days.iter().rev().map(|date| chart::Point::new(date.format("%-d %b").to_string(), Some(total(date) as f64))).collect()
}

fn to_active(model: &RewardModel) -> ActiveModel {
    ActiveModel {
        task_type: words(&model.task_type),
        retailer: model.retailer_id.clone().unwrap_or_else(|| "all retailers".to_owned()),
        version: model.version,
        accuracy: percent(model.validation_accuracy),
        model_id: model.model_id.clone(),
    }
}

/// Jobs that people ask for and wait for; rounds of choosing come by the clock and have a page of their own.
pub(super) fn trainings() -> JobFilter {
    JobFilter { kind: Some(TRAIN.to_owned()), state: None }
}

/// What a job is about: `Plan quality for rtl-1`.
fn title(job: &Job) -> String {
    let given = |field: &str| job.input.0.get(field).and_then(serde_json::Value::as_str);
    let about = given("task_type").map_or_else(|| words(&job.kind), words);
    given("retailer_id").map_or_else(|| about.clone(), |retailer| format!("{about} for {retailer}"))
}

pub(super) fn to_job(job: &Job) -> JobView {
    JobView {
        job_id: job.job_id.clone(),
        title: title(job),
        tone: match job.state.as_str() {
            "succeeded" => "badge-good",
            "failed" => "badge-bad",
            _ => "badge-note",
        },
        is_open: matches!(job.state.as_str(), "queued" | "running"),
        state: words(&job.state),
        progress: job.progress,
        text: job.error.clone().unwrap_or_else(|| job.message.clone()),
        at: job.created_at.format("%e %b, %H:%M UTC").to_string(),
    }
}
