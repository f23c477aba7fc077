//! The statistics page: the programme's figures for experts and managers, one's own for raters. Every share with its interval and its n,
//! filters in the address, each table as CSV, each number with the judgments behind it.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use askama::Template;
use chrono::TimeDelta;
use domain::role::Role;
use domain::task::TaskType;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::judgments::{self, Vote};
use storage::quality_facts::{self, Fact};
use storage::{raters, tasks};
use web::caller::{Caller, PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::tabular::{Column, Encoder, Format, Kind};

use super::board::{self, Headline, PlaceRow, RaterRow, Waiting};
use super::figures::{choice_words, duration, title_of, word_of};
use super::own::{NEWEST, Own, own_figures};
use super::rate::TASK_TYPES;
use crate::quality;
use crate::state::State;

/// Judgments that the programme's figures look at: the newest of the window.
const MOST_FACTS: i64 = 10_000;

/// Judgments listed behind a number.
const MOST_BEHIND: usize = 100;

/// Windows offered, in days.
const WINDOWS: [i64; 4] = [1, 7, 28, 90];

/// Window without a wish, in days.
const WINDOW: i64 = 28;

/// Filters in the address.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsQuery {
    days: Option<i64>,
    task_type: Option<TaskType>,
    rater: Option<String>,
    show: Option<Show>,
}

/// Which judgments to list behind a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Show {
    All,
    Golden,
    GoldenWrong,
    Decided,
    Differs,
    Escalated,
}

#[derive(Template)]
#[template(path = "stats.html")]
struct StatsPage {
    layout: Layout,
    own: Option<Own>,
    programme: Option<Programme>,
}

struct Programme {
    headlines: [Headline; 3],
    agreement: Vec<AgreementRow>,
    raters: Vec<RaterRow>,
    places: Vec<PlaceRow>,
    behind: Option<Behind>,
    versions: Option<String>,
    n_facts: usize,
    is_cut: bool,
    days: i64,
    windows: [i64; 4],
    types: Vec<(&'static str, &'static str, bool)>,
    rater_id: Option<String>,
    filters: String,
}

struct Behind {
    words: &'static str,
    n: usize,
    rows: Vec<BehindRow>,
}

struct BehindRow {
    judgment_id: String,
    when: String,
    rater: String,
    task_type: String,
    title: String,
    choice: String,
    came_to: String,
    time: String,
}

struct AgreementRow {
    title: String,
    figures: Vec<String>,
    says: &'static str,
    n: String,
    is_thin: bool,
    /// Why none of the three is defined.
    undefined: Option<String>,
}

/// The figures.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 422 for a filter that is not known; 503 when the database does not answer.
pub async fn stats(state: Data<State>, PageCaller(caller): PageCaller, query: QueryOf<StatsQuery>) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Quality", "rater-app/stats", Some(&caller), &state.settings);
    let own = match caller.rater_id.clone() {
        Some(id) => {
            let read = state.storage.read(move |conn| Ok((raters::find(conn, &id)?, judgments::newest_of_rater(conn, &id, NEWEST)?)));
            let (rater, newest) = read.await.map_err(Problem::from)?;
            Some(own_figures(rater, &newest, state.clock.now()))
        }
        None => None,
    };
    let programme = if may_see_all(&caller) { Some(programme(&state, &query.0).await?) } else { None };
    Ok(render(&StatsPage { layout, own, programme })?)
}

/// A table of the page as CSV, with the same filters: `agreement`, `raters`, `disagreement` or `judgments`.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 404 for another table or for raters.
pub async fn table_as_csv(
    state: Data<State>,
    PageCaller(caller): PageCaller,
    path: Path<String>,
    query: QueryOf<StatsQuery>,
) -> Result<HttpResponse, PageRefusal> {
    let name = path.into_inner();
    if !may_see_all(&caller) {
        return Err(Problem::not_found("table", &name).into());
    }
    let query = StatsQuery { show: query.0.show.or(Some(Show::All)), ..query.0 };
    let made = programme(&state, &query).await?;
    let Some((columns, rows)) = table(&name, &made) else { return Err(Problem::not_found("table", &name).into()) };
    let columns = columns.iter().map(|column| Column::new(*column, Kind::Text)).collect();
    let bytes = Encoder::new(Format::Csv, columns, true)?.whole(&rows)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Format::Csv.media_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .body(bytes))
}

fn may_see_all(caller: &Caller) -> bool {
    let may = |role: Role| role.may_review() || role.sees_all_tenants();
    may(caller.role)
}

async fn programme(state: &State, query: &StatsQuery) -> Result<Programme, Problem> {
    let days = query.days.unwrap_or(WINDOW);
    if !WINDOWS.contains(&days) {
        return Err(Problem::invalid_field("days", format!("must be one of {WINDOWS:?}")));
    }
    let now = state.clock.now();
    let since = now - TimeDelta::days(days);
    let read = state.storage.read(move |conn| {
        let facts = quality_facts::newest(conn, since, MOST_FACTS)?;
        let mut ids: Vec<String> = facts.iter().map(|fact| fact.rater_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok((facts, raters::find_all(conn, &ids)?, tasks::count_by_status(conn)?))
    });
    let (facts, known, statuses) = read.await?;
    let is_cut = i64::try_from(facts.len()).is_ok_and(|n| n >= MOST_FACTS);
    let names: HashMap<String, (String, bool)> =
        known.into_iter().map(|rater| (rater.rater_id, (rater.name, rater.is_simulated))).collect();
    let wanted: Vec<Fact> = facts.into_iter().filter(|fact| fits(fact, query)).collect();
    let mut waiting = Waiting::default();
    for (status, n) in statuses {
        match status.as_str() {
            "escalated" | "expert_review" => waiting.for_experts += n,
            "pending" | "in_progress" => waiting.for_raters += n,
            _ => {}
        }
    }
    let votes: Vec<Vote> = wanted.iter().filter(|fact| !fact.is_golden).map(vote).collect();
    let suite = quality::describe(&votes).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Programme {
        headlines: board::headlines(&wanted, waiting, now, days),
        agreement: agreement_rows(&suite),
        raters: board::raters(&wanted, &names, state.settings.rating.calibration.p1),
        places: board::places(&wanted),
        behind: query.show.map(|show| behind(&wanted, show, &names)),
        versions: board::version_note(&wanted),
        n_facts: wanted.len(),
        is_cut,
        days,
        windows: WINDOWS,
        types: TASK_TYPES.iter().map(|kind| (word_of(*kind), kind.title(), query.task_type == Some(*kind))).collect(),
        rater_id: query.rater.clone().filter(|id| !id.is_empty()),
        filters: filters_of(query, days),
    })
}

fn fits(fact: &Fact, query: &StatsQuery) -> bool {
    query.task_type.is_none_or(|kind| fact.task_type == kind.as_ref())
        && query.rater.as_deref().filter(|id| !id.is_empty()).is_none_or(|id| fact.rater_id == id)
}

fn vote(fact: &Fact) -> Vote {
    Vote { task_id: fact.task_id.clone(), task_type: fact.task_type.clone(), rater_id: fact.rater_id.clone(), choice: fact.choice.clone() }
}

/// The filters as a query string, without what is listed behind a number.
fn filters_of(query: &StatsQuery, days: i64) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("days", &days.to_string());
    if let Some(kind) = query.task_type {
        pairs.append_pair("task_type", kind.as_ref());
    }
    if let Some(id) = query.rater.as_deref().filter(|id| !id.is_empty()) {
        pairs.append_pair("rater", id);
    }
    pairs.finish()
}

fn behind(facts: &[Fact], show: Show, names: &HashMap<String, (String, bool)>) -> Behind {
    let (words, is_wanted): (&'static str, fn(&Fact) -> bool) = match show {
        Show::All => ("All judgments", |_| true),
        Show::Golden => ("Answers to golden items", |fact| fact.matches_golden.is_some()),
        Show::GoldenWrong => ("Answers to golden items that differ from the expert's", |fact| fact.matches_golden == Some(false)),
        Show::Decided => ("Judgments of decided tasks", |fact| !fact.is_golden && fact.decision.is_some()),
        Show::Differs => ("Judgments that differ from the decision", |fact| board::differs(fact) == Some(true)),
        Show::Escalated => ("Judgments that ask for an expert", |fact| fact.is_escalated),
    };
    let found: Vec<&Fact> = facts.iter().filter(|fact| is_wanted(fact)).collect();
    let rows = found.iter().take(MOST_BEHIND).map(|fact| BehindRow {
        judgment_id: fact.judgment_id.clone(),
        when: fact.created_at.0.format("%Y-%m-%d %H:%M").to_string(),
        rater: names.get(&fact.rater_id).map_or_else(|| fact.rater_id.clone(), |(name, _)| name.clone()),
        task_type: title_of(&fact.task_type),
        title: fact.title.clone(),
        choice: stored_words(&fact.choice),
        came_to: match (fact.matches_golden, &fact.decision) {
            (Some(true), _) => "✓ as the expert".to_owned(),
            (Some(false), _) => "✗ not as the expert".to_owned(),
            (None, Some(decision)) if *decision == fact.choice => "✓ decided so".to_owned(),
            (None, Some(decision)) => format!("≠ decided: {}", stored_words(decision)),
            (None, None) => "… not decided yet".to_owned(),
        },
        time: fact.active_ms.map_or_else(|| "not measured".to_owned(), |ms| duration(ms as f64 / 1000.0)),
    });
    Behind { words, n: found.len(), rows: rows.collect() }
}

fn stored_words(word: &str) -> String {
    word.parse().map_or_else(|_| title_of(word), |choice| choice_words(choice).to_owned())
}

fn agreement_rows(suite: &Value) -> Vec<AgreementRow> {
    let row = |title: String, figures: &Value| {
        let at = |path: &str| figures.pointer(path).and_then(Value::as_f64);
        let tasks = figures.pointer("/percent/n_tasks").and_then(Value::as_u64);
        AgreementRow {
            title,
            figures: ["percent", "krippendorff_alpha", "gwet_ac1"].iter().map(|name| coefficient(name, figures.get(*name))).collect(),
            says: says(at("/percent/value"), at("/krippendorff_alpha/value"), at("/gwet_ac1/value"), tasks.unwrap_or(0)),
            n: tasks.map_or_else(String::new, |tasks| {
                format!("{tasks} tasks, {} judgments", figures.pointer("/percent/n_judgments").unwrap_or(&Value::Null))
            }),
            is_thin: tasks.unwrap_or(0) < super::figures::THIN,
            undefined: at("/percent/value").is_none().then(|| coefficient("percent", figures.get("percent"))),
        }
    };
    let overall = suite.get("overall").map(|figures| row("All task types".to_owned(), figures));
    let by_type =
        suite.get("by_task_type").and_then(Value::as_object).into_iter().flatten().map(|(word, figures)| row(title_of(word), figures));
    overall.into_iter().chain(by_type).collect()
}

/// What percent agreement, alpha and AC1 say together. The bounds of alpha are Krippendorff's (2004): 0.80 reliable, 0.667 tentative.
fn says(percent: Option<f64>, alpha: Option<f64>, ac1: Option<f64>, tasks: u64) -> &'static str {
    match (percent, alpha, ac1) {
        (None, ..) => "Nothing to compare yet.",
        _ if tasks < super::figures::THIN => "Too few tasks to lean on.",
        (Some(percent), Some(alpha), Some(ac1)) if percent >= 0.85 && alpha < 0.667 && ac1 >= 0.7 => {
            "People agree, but nearly all answers are alike, which pulls alpha down; AC1 reads better here."
        }
        (_, Some(alpha), _) if alpha >= 0.8 => "Reliable: draw conclusions.",
        (_, Some(alpha), _) if alpha >= 0.667 => "Tentative: enough for cautious conclusions.",
        (_, Some(_), _) => "Not reliable: look at the guideline and the disagreements.",
        (_, None, _) => "Alpha is not defined here; read the other two.",
    }
}

/// A coefficient with its interval, or why it is not defined.
fn coefficient(name: &str, figure: Option<&Value>) -> String {
    let at = |path: &str| figure.and_then(|figure| figure.pointer(path)).and_then(Value::as_f64);
    let show = |value: f64| if name == "percent" { format!("{:.0} %", value * 100.0) } else { format!("{value:.2}") };
    match (at("/value"), at("/interval_95/low"), at("/interval_95/high")) {
        (Some(value), Some(low), Some(high)) => format!("{} ({} to {})", show(value), show(low), show(high)),
        (Some(value), _, _) => show(value),
        (None, _, _) => {
            let why = figure.and_then(|figure| figure.get("undefined_because")).and_then(Value::as_str).unwrap_or("nothing was measured");
            format!("not defined: {why}")
        }
    }
}

/// Column names and rows of a table as people download it.
fn table(name: &str, made: &Programme) -> Option<(Vec<&'static str>, Vec<Vec<Value>>)> {
    let share = |view: &Option<super::figures::ShareView>| match view {
        Some(view) => [json!(view.percent), json!(view.range), json!(view.n)],
        None => [Value::Null, Value::Null, json!(0)],
    };
    Some(match name {
        "agreement" => (
            vec!["task_type", "percent", "krippendorff_alpha", "gwet_ac1", "says", "n"],
            made.agreement
                .iter()
                .map(|row| {
                    let figures = row.figures.iter().map(|figure| json!(figure));
                    std::iter::once(json!(row.title)).chain(figures).chain([json!(row.says), json!(row.n)]).collect()
                })
                .collect(),
        ),
        "raters" => (
            vec![
                "rater_id",
                "name",
                "is_simulated",
                "judgments",
                "attention",
                "experts",
                "experts_interval",
                "experts_n",
                "decisions",
                "decisions_interval",
                "decisions_n",
                "left",
                "left_interval",
                "left_n",
                "median_active_seconds",
            ],
            made.raters
                .iter()
                .map(|row| {
                    let mut cells = vec![
                        json!(row.rater_id),
                        json!(row.name),
                        json!(row.is_simulated),
                        json!(row.judgments),
                        json!(row.attention.join("; ")),
                    ];
                    cells.extend([&row.golden, &row.decided, &row.left].into_iter().flat_map(share));
                    cells.push(json!(row.seconds));
                    cells
                })
                .collect(),
        ),
        "disagreement" => (
            vec!["by", "part", "differs", "interval", "n"],
            made.places
                .iter()
                .map(|row| vec![json!(row.by), json!(row.part), json!(row.differs.percent), json!(row.differs.range), json!(row.differs.n)])
                .collect(),
        ),
        "judgments" => (
            vec!["judgment_id", "at", "rater", "task_type", "title", "choice", "came_to", "active_time"],
            made.behind
                .iter()
                .flat_map(|behind| &behind.rows)
                .map(|row| {
                    [&row.judgment_id, &row.when, &row.rater, &row.task_type, &row.title, &row.choice, &row.came_to, &row.time]
                        .map(|cell| json!(cell))
                        .to_vec()
                })
                .collect(),
        ),
        _ => return None,
    })
}
