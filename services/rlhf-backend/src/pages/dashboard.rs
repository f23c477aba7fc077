//! `/dashboard`: is quality held, what does it cost, what is blocked; then the key figures, what was said, and which models score.

mod trend;

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use chrono::{Days, NaiveDate, NaiveTime};
use domain::scope::Scope;
use learning::agreement::suite::{Estimate, Settings, suite};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::FeedbackFilter;
use storage::feedback::statistics::{self, FeedbackStatistics};
use storage::jobs::{self, Job, JobFilter};
use storage::page::Page;
use storage::reward_models::{self, RewardModel, RewardModelFilter};
use storage::rlhf_metrics::{self, DayFigures};
use storage::training_data::{TrainingFilter, judged};
use web::caller::{PageCaller, PageRefusal};
use web::chart;
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::tabular::Kind;

use super::key_figures::{self, Drawing, FigureView};
use super::{count, csv_address, decimal, file, percent, require_data, topics, words};
use crate::key_figures::computing::judgments_of;
use crate::key_figures::view::for_role;
use crate::state::State;
use crate::training::CardFigures;
use crate::training::material::LABELS;
use crate::worker::TRAIN;

/// Judgments that enter the agreement shown, the newest.
const JUDGMENTS: i64 = 5_000;

/// Figures that rest on fewer than this are shown faint.
pub(super) const FEW: u64 = 20;

/// Days in the charts when no span is given.
const DAYS: usize = 30;

/// Most days in the charts.
const MAX_DAYS: i64 = 366;

/// What the figures are of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardQuery {
    retailer_id: Option<String>,
    #[serde(default, deserialize_with = "domain::day::read")]
    from: Option<NaiveDate>,
    #[serde(default, deserialize_with = "domain::day::read")]
    to: Option<NaiveDate>,
}

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
    /// The model that a training made.
    pub(super) model: Option<String>,
}

struct ActiveModel {
    task_type: String,
    retailer: String,
    version: i32,
    accuracy: String,
    calibration: String,
    longer: String,
    alpha: String,
    model_id: String,
}

/// One of the three numbers that say how far raters agree.
struct Agreement {
    name: &'static str,
    value: String,
    note: String,
    is_faint: bool,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    layout: Layout,
    styles: String,
    script: String,
    topics: String,
    agreements: Vec<Agreement>,
    agreement_says: &'static str,
    quality: FigureView,
    cost: FigureView,
    figures: Vec<FigureView>,
    drawings: Vec<Drawing>,
    retailers: Vec<String>,
    retailer: String,
    from: NaiveDate,
    to: NaiveDate,
    sees_rows: bool,
    /// Whether the caller sees the platform's jobs.
    sees_jobs: bool,
    /// The caller's tenant, of which tasks, judgments and feedback are; key figures and models are of the whole platform.
    tenant: Option<String>,
    /// When the newest of the figures shown was computed.
    computed_at: Option<String>,
    /// How often they are computed by the clock.
    computed_again: String,
    decided: String,
    open: String,
    blocked: i64,
    total: String,
    mean_rating: String,
    ratings: i64,
    is_rating_faint: bool,
    by_type: Vec<Counted>,
    by_type_csv: String,
    by_task: Vec<Counted>,
    by_task_csv: String,
    trend_title: &'static str,
    trend_span: String,
    chart: String,
    has_trend: bool,
    models: Vec<ActiveModel>,
    models_csv: String,
    jobs: Vec<JobView>,
    counted_at: String,
}

struct Figures {
    statistics: FeedbackStatistics,
    tasks: std::collections::BTreeMap<String, i64>,
    choices: Vec<(String, String, String)>,
    models: Vec<RewardModel>,
    jobs: Vec<Job>,
    days: Vec<DayFigures>,
    retailers: Vec<String>,
}

/// Shows the dashboard.
pub async fn show_dashboard(state: Data<State>, caller: PageCaller, query: QueryOf<DashboardQuery>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_data(&caller)?;
    let scope = caller.scope();
    let to = query.0.to.unwrap_or_else(|| state.clock.now().date_naive());
    let from = query.0.from.unwrap_or_else(|| to - Days::new(DAYS as u64 - 1));
    if from > to {
        return Err(Problem::invalid_field("from", "is after to").into());
    }
    if (to - from).num_days() > MAX_DAYS {
        return Err(
            Problem::invalid_field("from", format!("lies more than {MAX_DAYS} days before to; take the CSV for longer spans")).into()
        );
    }
    let retailer = query.0.retailer_id.filter(|retailer| !retailer.is_empty());
    let of = retailer.clone();
    let mut figures = state.storage.scoped(&scope).read(move |conn| read(conn, &scope, of, from, to)).await.map_err(Problem::from)?;
    figures.days = figures.days.into_iter().map(|row| for_role(row, caller.role)).collect();
    let (agreements, agreement_says) = agreements(&figures.choices);
    let mut views = key_figures::views(&figures.days);
    let mut headline = |name: &str| views.iter().position(|view| view.name == name).map(|at| views.remove(at));
    let nothing = || Problem::internal("a key figure is missing from its table".to_owned());
    let quality = headline("golden_set_accuracy").ok_or_else(nothing)?;
    let cost = headline("cost_per_accepted_judgment").ok_or_else(nothing)?;
    let tasks = |names: &[&str]| names.iter().filter_map(|name| figures.tasks.get(*name)).sum();
    let statistics = &figures.statistics;
    let drawn = trend::trend(&statistics.daily, from, to, state.clock.now().date_naive());
    let page = DashboardPage {
        layout: Layout::new("Dashboard", "rlhf-backend/dashboard", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        topics: topics(&caller, &["feedback", "tasks", "jobs"]),
        agreements,
        agreement_says,
        quality,
        cost,
        figures: views,
        drawings: key_figures::drawings(&figures.days),
        retailers: figures.retailers,
        retailer: retailer.unwrap_or_default(),
        from,
        to,
        sees_rows: caller.role.sees_all_tenants(),
        sees_jobs: caller.role.sees_all_tenants(),
        tenant: caller.tenant.clone(),
        computed_at: figures.days.iter().map(|day| day.updated_at.0).max().map(|at| at.format("%e %b, %H:%M:%S UTC").to_string()),
        computed_again: computed_again(state.settings.key_figures.every),
        decided: count(tasks(&["completed", "validated"])),
        open: count(tasks(&["pending", "in_progress"])),
        blocked: tasks(&["escalated", "expert_review"]),
        total: count(statistics.total),
        mean_rating: decimal(statistics.mean_rating, 2),
        ratings: statistics.ratings,
        is_rating_faint: statistics.ratings.unsigned_abs() < FEW,
        by_type: statistics.by_type.iter().map(|(kind, count)| Counted { name: words(kind), count: super::count(*count) }).collect(),
        by_task: statistics.by_task_type.iter().map(|(word, counts)| Counted { name: words(word), count: count(counts.total) }).collect(),
        by_type_csv: counts_csv("feedback_type", statistics.by_type.iter().map(|(kind, count)| (kind, *count))),
        by_task_csv: counts_csv("task_type", statistics.by_task_type.iter().map(|(word, counts)| (word, counts.total))),
        has_trend: !statistics.daily.is_empty(),
        chart: chart::bar(&format!("{}, {}", drawn.title, drawn.span), &drawn.points),
        trend_title: drawn.title,
        trend_span: drawn.span,
        models_csv: models_csv(&figures.models),
        models: figures.models.iter().map(to_active).collect(),
        jobs: figures.jobs.iter().map(to_job).collect(),
        counted_at: state.clock.now().format("%H:%M:%S UTC").to_string(),
    };
    Ok(render(&page)?)
}

/// When figures are computed again without anybody asking.
fn computed_again(every: Option<Duration>) -> String {
    match every.map(|every| every.as_secs() / 60) {
        None => "again only when somebody asks".to_owned(),
        Some(60) => "again every hour".to_owned(),
        Some(1) => "again every minute".to_owned(),
        Some(minutes) => format!("again every {minutes} minutes"),
    }
}

/// Percent agreement, alpha and AC1 of the newest judgments, and what they say together.
fn agreements(choices: &[(String, String, String)]) -> (Vec<Agreement>, &'static str) {
    let (judgments, tasks) = judgments_of(choices.iter().map(|(task, rater, choice)| (task.as_str(), rater.as_str(), choice.as_str())));
    let settings = Settings { replicates: 200, seed: 1, is_ordered: false };
    let Ok(all) = suite(&judgments, tasks, LABELS.len(), &settings) else {
        return (Vec::new(), "Not defined: the judgments cannot be compared.");
    };
    let one = |name: &'static str, estimate: &Estimate, scale: f64, unit: &str| {
        let coefficient = &estimate.coefficient;
        let decimals = if scale > 1.0 { 1 } else { 2 };
        let write = |value: f64| format!("{:.decimals$}{unit}", value * scale);
        Agreement {
            name,
            value: coefficient.value.map_or_else(|| "\u{2013}".to_owned(), write),
            note: match (&estimate.interval, &coefficient.undefined_because) {
                (Some(ends), _) => {
                    format!(
                        "95 % interval {} to {}, n = {} judgments of {} tasks",
                        write(ends.low),
                        write(ends.high),
                        coefficient.n_judgments,
                        coefficient.n_tasks
                    )
                }
                (None, Some(because)) => format!("Not defined: {because}."),
                (None, None) => format!("n = {} judgments of {} tasks", coefficient.n_judgments, coefficient.n_tasks),
            },
            is_faint: coefficient.n_judgments < FEW,
        }
    };
    let says = match (all.krippendorff_alpha.coefficient.value, all.gwet_ac1.coefficient.value) {
        (Some(alpha), _) if alpha >= 0.8 => "Raters agree well beyond chance.",
        (Some(alpha), Some(ac1)) if alpha < 0.67 && ac1 >= 0.67 => {
            "Raters agree, but nearly always on the same answer: alpha is low because chance would agree as well. Look at a more mixed set of tasks."
        }
        (Some(alpha), _) if alpha >= 0.67 => "Raters agree well enough for tentative conclusions.",
        (Some(_), _) => "Raters agree too little: look at the guidelines and at disputed tasks before training on this.",
        (None, _) => "Too little was judged twice to say how far raters agree.",
    };
    let list = vec![
        one("Percent agreement", &all.percent, 100.0, " %"),
        one("Krippendorff’s alpha", &all.krippendorff_alpha, 1.0, ""),
        one("Gwet’s AC1", &all.gwet_ac1, 1.0, ""),
    ];
    (list, says)
}

/// What the filters of the page select: retailer and days, but for what stands as it is now (tasks, the models that score) and for the jobs of
/// the platform; each of these says so.
fn read(conn: &mut Connection, scope: &Scope, retailer: Option<String>, from: NaiveDate, to: NaiveDate) -> Result<Figures, StorageError> {
    if let Some(retailer) = &retailer {
        reward_models::require_retailer(conn, retailer)?;
    }
    let (begin, end) = (from.and_time(NaiveTime::MIN).and_utc(), (to + Days::new(1)).and_time(NaiveTime::MIN).and_utc());
    let said = FeedbackFilter { retailer_id: retailer.clone(), from: Some(begin), to: Some(end), ..FeedbackFilter::default() };
    let tasks = TrainingFilter { retailer_id: retailer.clone(), ..TrainingFilter::default() };
    let judgments = TrainingFilter { from: Some(begin), to: Some(end), ..tasks.clone() };
    let active = RewardModelFilter { is_active: Some(true), ..RewardModelFilter::default() };
    let mut models = reward_models::list(conn, &active, &Page::first(500))?.rows;
    models.retain(|model| retailer.is_none() || model.retailer_id.is_none() || model.retailer_id == retailer);
    Ok(Figures {
        days: rlhf_metrics::span(conn, retailer.as_deref(), from, to)?,
        retailers: rlhf_metrics::all_retailers(conn)?,
        statistics: statistics::statistics(conn, scope, &said)?,
        tasks: judged::count_by_status(conn, scope, &tasks)?,
        choices: judged::newest_choices(conn, scope, &judgments, JUDGMENTS)?,
        models,
        jobs: jobs::list(conn, scope, &trainings(), &Page::first(5))?.rows,
    })
}

/// Counts by a word as a file.
fn counts_csv<'a>(word: &str, counts: impl Iterator<Item = (&'a String, i64)>) -> String {
    let rows: Vec<Vec<Value>> = counts.map(|(word, count)| vec![json!(word), json!(count)]).collect();
    csv_address(&[(word, Kind::Text), ("count", Kind::Whole)], &rows)
}

/// The models of the page as a file: the list of the API has those of every retailer.
fn models_csv(models: &[RewardModel]) -> String {
    let text = ["model_id", "task_type", "retailer_id"].map(|name| (name, Kind::Text));
    let real = ["accuracy", "longer_text_wins", "calibration_error", "inter_rater_agreement"].map(|name| (name, Kind::Real));
    let row = |model: &RewardModel| {
        let figures = figures_of(model);
        let calibration = figures.as_ref().and_then(|figures| figures.held_out.as_ref()?.calibration_error);
        vec![
            json!(model.model_id),
            json!(model.task_type),
            json!(model.retailer_id),
            json!(model.version),
            json!(model.validation_accuracy),
            json!(figures.as_ref().and_then(longer_of)),
            json!(calibration),
            json!(model.inter_rater_agreement),
        ]
    };
    csv_address(&[&text[..], &[("version", Kind::Whole)], &real].concat(), &models.iter().map(row).collect::<Vec<_>>())
}

fn figures_of(model: &RewardModel) -> Option<CardFigures> {
    serde_json::from_value(model.metrics.0.clone()).ok()
}

fn longer_of(figures: &CardFigures) -> Option<f64> {
    figures.baselines.iter().find(|one| one.name == "longer_text_wins")?.accuracy
}

fn to_active(model: &RewardModel) -> ActiveModel {
    let figures = figures_of(model);
    let held_out = figures.as_ref().and_then(|figures| figures.held_out.as_ref());
    let longer = figures.as_ref().and_then(longer_of);
    ActiveModel {
        task_type: words(&model.task_type),
        retailer: model.retailer_id.clone().unwrap_or_else(|| "all retailers".to_owned()),
        version: model.version,
        accuracy: percent(model.validation_accuracy),
        calibration: decimal(held_out.and_then(|metrics| metrics.calibration_error), 3),
        longer: percent(longer),
        alpha: decimal(model.inter_rater_agreement, 2),
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
        model: job.result.as_ref().and_then(|result| result.get("model_id")?.as_str().map(str::to_owned)),
        state: words(&job.state),
        progress: job.progress,
        text: job.error.clone().unwrap_or_else(|| job.message.clone()),
        at: job.created_at.format("%e %b, %H:%M UTC").to_string(),
    }
}
