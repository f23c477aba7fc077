//! Figures about quality: one's own, and for experts how far all raters agree. Every share with its interval and its n.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::task::Choice;
use serde_json::Value;
use storage::judgments::{self, Judgment};
use storage::raters::{self, Rater};
use web::caller::{PageCaller, PageRefusal};
use web::chart::{Point, bar};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::figures::{ShareView, duration, title_of};
use crate::quality;
use crate::state::State;

/// Judgments that side preference and trend look at.
const NEWEST: i64 = 1_000;

/// Days in the trend.
const DAYS: i64 = 14;

/// Left-or-right choices before a side preference is named.
const MIN_SIDES: u64 = 50;

#[derive(Template)]
#[template(path = "stats.html")]
struct StatsPage {
    layout: Layout,
    own: Option<Own>,
    agreement: Option<Vec<AgreementRow>>,
    window: String,
}

struct Own {
    rater: Rater,
    golden: Option<ShareView>,
    consensus: Option<ShareView>,
    confidence: Option<String>,
    time: Option<String>,
    by_type: Vec<TypeRow>,
    left: Option<ShareView>,
    left_says: &'static str,
    trend: Option<String>,
}

struct TypeRow {
    title: String,
    judgments: i64,
    golden: Option<ShareView>,
}

struct AgreementRow {
    title: String,
    figures: Vec<String>,
    n: String,
}

/// The figures.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 503 when the database does not answer.
pub async fn stats(state: Data<State>, PageCaller(caller): PageCaller) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Quality", "rater-app/stats", Some(&caller), &state.settings);
    let now = state.clock.now();
    let own = match caller.rater_id.clone() {
        Some(id) => {
            let read = state.storage.read(move |conn| Ok((raters::find(conn, &id)?, judgments::newest_of_rater(conn, &id, NEWEST)?)));
            let (rater, newest) = read.await.map_err(Problem::from)?;
            Some(own_figures(rater, &newest, now))
        }
        None => None,
    };
    let may_see_all = |role: Role| role.may_review() || role.sees_all_tenants();
    let suite = if may_see_all(caller.role) { Some(quality::agreement(&state).await?) } else { None };
    let window = suite.as_ref().and_then(|suite| suite.pointer("/window/judgments")).map_or_else(String::new, ToString::to_string);
    Ok(render(&StatsPage { layout, own, agreement: suite.as_ref().map(agreement_rows), window })?)
}

fn own_figures(rater: Rater, newest: &[Judgment], now: DateTime<Utc>) -> Own {
    let left = left_share(newest);
    let by_type = rater.reliability_by_task_type.as_object().into_iter().flatten().map(|(task_type, figures)| {
        let figure = |name: &str| figures.get(name).and_then(Value::as_i64).unwrap_or(0);
        TypeRow {
            title: title_of(task_type),
            judgments: figure("judgments"),
            golden: ShareView::new(figure("golden_correct"), figure("golden_total")),
        }
    });
    Own {
        golden: ShareView::new(rater.golden_correct.into(), rater.golden_total.into()),
        consensus: ShareView::new(rater.consensus_agreed.into(), rater.consensus_total.into()),
        confidence: rater.avg_confidence.map(|mean| format!("{:.0} %", mean * 100.0)),
        time: rater.avg_time_per_task_seconds.map(duration),
        by_type: by_type.collect(),
        left_says: side_says(left),
        left: left.and_then(|(left, n)| ShareView::new(left, n)),
        trend: Some(by_day(newest, now))
            .filter(|days| days.iter().any(|day| day.value > Some(0.0)))
            .map(|days| bar("Judgments by day", &days)),
        rater,
    }
}

/// How often the left of two candidates was chosen, and out of how many choices for one of two.
fn left_share(newest: &[Judgment]) -> Option<(i64, i64)> {
    let sides = newest.iter().filter_map(|judgment| {
        let order: Vec<usize> = serde_json::from_value(judgment.display_order.0.clone()).ok()?;
        let stored = judgment.choice.parse::<Choice>().ok()?.candidate()?;
        (order.len() == 2).then(|| order.first() == Some(&stored))
    });
    let (left, n) = sides.fold((0, 0), |(left, n), is_left| (left + i64::from(is_left), n + 1));
    (n > 0).then_some((left, n))
}

fn side_says(left: Option<(i64, i64)>) -> &'static str {
    let Some(view) = left.map(|(left, n)| crate::raters::share(left, n)) else {
        return "Nothing to see yet: no choice between two candidates.";
    };
    let is_off = view.low.is_some_and(|low| low > 0.5) || view.high.is_some_and(|high| high < 0.5);
    match (view.n < MIN_SIDES, is_off) {
        (true, _) => "Too few choices to tell whether you prefer a side.",
        (false, true) => {
            "The interval leaves out 50 %: you may prefer a side. The order is drawn at random, so read both before you choose."
        }
        (false, false) => "The interval holds 50 %: no sign that you prefer a side.",
    }
}

fn by_day(newest: &[Judgment], now: DateTime<Utc>) -> Vec<Point> {
    let mut counts: BTreeMap<chrono::NaiveDate, f64> = (0..DAYS).map(|back| ((now - TimeDelta::days(back)).date_naive(), 0.0)).collect();
    for judgment in newest {
        if let Some(count) = counts.get_mut(&judgment.created_at.0.date_naive()) {
            *count += 1.0;
        }
    }
    counts.into_iter().map(|(day, count)| Point::new(day.format("%-d %b").to_string(), Some(count))).collect()
}

fn agreement_rows(suite: &Value) -> Vec<AgreementRow> {
    let row = |title: String, figures: &Value| AgreementRow {
        title,
        figures: ["percent", "krippendorff_alpha", "gwet_ac1"].iter().map(|name| coefficient(name, figures.get(*name))).collect(),
        n: figures.pointer("/percent/n_tasks").map_or_else(String::new, |tasks| {
            format!("{tasks} tasks, {} judgments", figures.pointer("/percent/n_judgments").unwrap_or(&Value::Null))
        }),
    };
    let overall = suite.get("overall").map(|figures| row("All task types".to_owned(), figures));
    let by_type =
        suite.get("by_task_type").and_then(Value::as_object).into_iter().flatten().map(|(word, figures)| row(title_of(word), figures));
    overall.into_iter().chain(by_type).collect()
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
