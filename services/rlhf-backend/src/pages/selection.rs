//! `/active-learning`: what people are asked next for the reward models, and what choosing it brings.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::role::Role;
use learning::selection::lift::{Figure, Lift};
use serde_json::json;
use storage::jobs::{self, JobFilter};
use storage::page::Page;
use web::caller::{PageCaller, PageRefusal};
use web::chart;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::tabular::Kind as Cell;

use super::dashboard::{JobView, to_job};
use super::{csv_address, decimal, file, percent, topics, words};
use crate::selection::{CHOOSE, Overview, overviews};
use crate::state::State;

/// Half the width of a lift's scale: nats, or share of pairs.
const SCALE: (f64, f64) = (-0.1, 0.1);

struct Row {
    task_id: String,
    title: String,
    retailer: String,
    how: &'static str,
    information: String,
    uncertainty: String,
}

struct Compared {
    name: &'static str,
    chosen: String,
    drawn: String,
    lift: String,
    mark: String,
}

struct Kind {
    title: &'static str,
    unjudged: String,
    chosen: String,
    times: String,
    reason: Option<String>,
    verdict: String,
    tone: &'static str,
    figures: Vec<Compared>,
    figures_csv: String,
    judged: String,
    next: Vec<Row>,
    id: String,
}

#[derive(Template)]
#[template(path = "selection.html")]
struct SelectionPage {
    layout: Layout,
    styles: String,
    script: String,
    topics: String,
    chosen_at: String,
    kinds: Vec<Kind>,
    jobs: Vec<JobView>,
    random_share: String,
    batch: usize,
    has_idle: bool,
    has_next: bool,
    /// Kinds that no round looked at, because no model of theirs is active.
    without_model: String,
}

/// Shows every kind of task of which something is known.
pub async fn show_active_learning(state: Data<State>, caller: PageCaller) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    caller.require(Role::sees_all_tenants)?;
    let scope = caller.scope();
    let (all, jobs) = state
        .storage
        .read(move |conn| {
            let rounds = JobFilter { kind: Some(CHOOSE.to_owned()), state: None };
            Ok((overviews(conn, &scope)?, jobs::list(conn, &scope, &rounds, &Page::first(1))?.rows))
        })
        .await
        .map_err(Problem::from)?;
    let settings = state.settings.rating.selection;
    let without_model: Vec<&str> = all.data.iter().filter(|one| one.last_round.is_none()).map(|one| one.task_type.title()).collect();
    let kinds: Vec<Kind> = all.data.into_iter().filter(|one| one.last_round.is_some()).map(to_kind).collect();
    let page = SelectionPage {
        layout: Layout::new("What to judge next", "rlhf-backend/models", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        topics: topics(&caller, &["jobs"]),
        chosen_at: all.chosen_at.map_or_else(|| "not yet".to_owned(), |at| at.format("%e %b %Y, %H:%M UTC").to_string()),
        has_idle: kinds.iter().any(|kind| kind.reason.is_some()),
        has_next: kinds.iter().any(|kind| !kind.next.is_empty()),
        without_model: without_model.join(", "),
        kinds,
        jobs: jobs.iter().map(to_job).collect(),
        random_share: format!("{:.0}\u{a0}%", settings.random_share * 100.0),
        batch: settings.batch,
    };
    Ok(render(&page)?)
}

fn to_kind(overview: Overview) -> Kind {
    let report = overview.last_round;
    let report = report.as_ref();
    let times = report.and_then(|report| Some(report.mean_information_chosen? / report.mean_information.filter(|mean| *mean > 0.0)?));
    let lift = report.and_then(|report| report.lift.as_ref());
    let no_lift = || words(report.and_then(|report| report.no_lift.as_deref()).unwrap_or_default());
    let (verdict, tone) = lift.map_or_else(|| (no_lift(), "badge-note"), verdict);
    let n = |count: usize| super::count(i64::try_from(count).unwrap_or(i64::MAX));
    Kind {
        title: overview.task_type.title(),
        id: overview.task_type.to_string(),
        unjudged: report.map_or_else(|| "–".to_owned(), |report| n(report.unjudged)),
        chosen: report.map_or_else(|| "–".to_owned(), |report| format!("{} chosen, {} drawn", n(report.informative), n(report.random))),
        times: times.map_or_else(|| "–".to_owned(), |times| format!("{times:.1} ×")),
        reason: report.and_then(|report| report.reason.clone()),
        verdict,
        tone,
        figures: lift.map(compared).unwrap_or_default(),
        figures_csv: lift.map(as_file).unwrap_or_default(),
        judged: lift.map_or_else(String::new, |lift| {
            format!("From {} chosen and {} drawn judged prompts, with {} earlier pairs.", lift.n_informative, lift.n_random, lift.n_earlier)
        }),
        next: overview
            .next
            .into_iter()
            .map(|next| Row {
                how: if next.arm == "random" { "drawn" } else { "chosen" },
                task_id: next.task_id,
                title: next.title,
                retailer: next.retailer_id.unwrap_or_else(|| "–".to_owned()),
                information: decimal(Some(next.information), 3),
                uncertainty: percent(Some(next.uncertainty)),
            })
            .collect(),
    }
}

/// What the figures say, in a sentence.
fn verdict(lift: &Lift) -> (String, &'static str) {
    match lift.log_loss_lift {
        Figure { low, .. } if low > 0.0 => ("Choosing teaches the model more than drawing.".to_owned(), "badge-good"),
        Figure { high, .. } if high < 0.0 => {
            ("Choosing teaches the model less than drawing: raise the random share, or look at what is chosen.".to_owned(), "badge-bad")
        }
        _ => ("No difference between choosing and drawing can be shown yet.".to_owned(), "badge-note"),
    }
}

/// The table of a lift as a file; log loss as what choosing saves.
fn as_file(lift: &Lift) -> String {
    let real = ["chosen", "drawn", "lift", "lift_low", "lift_high"].map(|name| (name, Cell::Real));
    let row = |name: &str, chosen: f64, drawn: f64, figure: &Figure| {
        vec![json!(name), json!(chosen), json!(drawn), json!(figure.value), json!(figure.low), json!(figure.high)]
    };
    let rows = [
        row("accuracy", lift.accuracy_informative, lift.accuracy_random, &lift.accuracy_lift),
        row("log_loss", lift.log_loss_informative, lift.log_loss_random, &lift.log_loss_lift),
    ];
    csv_address(&[&[("figure", Cell::Text)][..], &real].concat(), &rows)
}

fn compared(lift: &Lift) -> Vec<Compared> {
    let signed = |figure: &Figure, scale: f64, decimals: usize, unit: &str| {
        let Figure { value, low, high } = *figure;
        format!("{:+.decimals$}{unit} ({:+.decimals$} to {:+.decimals$})", value * scale, low * scale, high * scale)
    };
    let mark = |figure: &Figure| chart::interval(Some(figure.value), Some((figure.low, figure.high)), SCALE);
    vec![
        Compared {
            name: "Held-out accuracy",
            chosen: percent(Some(lift.accuracy_informative)),
            drawn: percent(Some(lift.accuracy_random)),
            lift: signed(&lift.accuracy_lift, 100.0, 1, " points"),
            mark: mark(&lift.accuracy_lift),
        },
        Compared {
            name: "Held-out log loss",
            chosen: decimal(Some(lift.log_loss_informative), 3),
            drawn: decimal(Some(lift.log_loss_random), 3),
            lift: signed(&lift.log_loss_lift, 1.0, 3, " nats saved"),
            mark: mark(&lift.log_loss_lift),
        },
    ]
}
