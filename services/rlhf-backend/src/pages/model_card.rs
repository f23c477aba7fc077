//! `/models/{model_id}`: one model's card. How good it is on pairs it had not seen, for whom, how far it can be believed, and what is behind it.

mod tables;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::artifact::{Bucket, PLATFORM};
use domain::scope::Scope;
use learning::drift::Drift;
use learning::intervals::Interval;
use learning::reward::card::{Card, Comparison, Difference, Figures};
use storage::accounts;
use storage::artifacts;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::reward_models;
use web::caller::{PageCaller, PageRefusal};
use web::chart::{self, Series, Shape};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::{decimal, file, percent, require_reader, words};
use crate::artifacts::models;
use crate::reward_models::{Card as Verdict, judged};
use crate::state::State;
use crate::training::CardFigures;
use crate::training::gate::RULES;
use crate::watch::report::{Doing, Watch};

/// Fewer decided pairs than this make a figure faint.
const FEW: usize = 20;

struct Figure {
    label: &'static str,
    value: String,
    note: String,
}

struct Slice {
    name: String,
    pairs: usize,
    accuracy: String,
    log_loss: String,
    mark: String,
    is_faint: bool,
}

struct Against {
    what: String,
    accuracy: String,
    log_loss: String,
    n: usize,
}

/// What a model is doing, and what may be done with it.
struct Standing {
    is_active: bool,
    in_shadow: bool,
    has_drifted: bool,
    has_former: bool,
    may_switch: bool,
}

/// How it does on what people decided since.
struct Watched {
    title: &'static str,
    since: String,
    tone: &'static str,
    says: String,
    figures: Vec<Figure>,
    course: String,
    course_narrow: String,
    against: Option<Against>,
    against_csv: String,
    same_choice: String,
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage {
    layout: Layout,
    styles: String,
    script: String,
    title: String,
    model_id: String,
    model: Standing,
    watched: Option<Watched>,
    retailer: String,
    trained_at: String,
    learnt_from: String,
    simulated: i64,
    note: Option<String>,
    overrides: Vec<String>,
    files: Vec<(String, String)>,
    failed_gates: Vec<String>,
    unusable: Option<String>,
    rules: &'static [&'static str],
    figures: Vec<Figure>,
    missing: Option<&'static str>,
    reliability: String,
    reliability_narrow: String,
    bins: Vec<[String; 4]>,
    bins_csv: String,
    slices: Vec<Slice>,
    slices_csv: String,
    against: Vec<Against>,
    against_csv: String,
    length: Option<String>,
    agreement: String,
}

/// Shows a card; cards of earlier programs without what they lack.
pub async fn show_model_card(state: Data<State>, caller: PageCaller, model_id: Path<String>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    let id = model_id.into_inner();
    let reader = scope.clone();
    let storage = state.storage.scoped(&scope);
    let found = storage.read(move |conn| {
        let model = reward_models::find(conn, &id)?;
        let who: Vec<&str> = entries(&model.config.0).filter_map(|entry| entry.get("by")?.as_str()).collect();
        Ok((accounts::display_names(conn, &who)?, files(conn, &reader, &id)?, model))
    });
    let (names, files, model) = found.await.map_err(Problem::from)?;
    let overrides = overrides(&model.config.0, &names);
    let figures: Option<CardFigures> = serde_json::from_value(model.metrics.0.clone()).ok();
    let (verdict, watch) = judged(&state, model).await?;
    let model = &verdict.model;
    let title = format!("{} v{}", words(&model.task_type), model.version);
    let layout = Layout::new(&title, "rlhf-backend/models", Some(&caller), &state.settings);
    let may_switch = caller.role.sees_all_tenants();
    Ok(render(&ModelPage { files, overrides, ..page(layout, title, verdict, &watch, figures, may_switch) })?)
}

/// The model's files, by their addresses. They are the platform's own: a model has learnt from all tenants' judgments.
fn files(conn: &mut Connection, scope: &Scope, model_id: &str) -> Result<Vec<(String, String)>, StorageError> {
    if scope.tenant().is_some() {
        return Ok(Vec::new());
    }
    let prefix = format!("{}/", models::folder(model_id));
    let found = artifacts::list(conn, scope, PLATFORM, Bucket::ModelArtifacts, &prefix, &Page::first(10))?;
    let address = |path: String| (format!("/v1/artifacts/{}/{path}", Bucket::ModelArtifacts), path.replacen(&prefix, "", 1));
    Ok(found.rows.into_iter().map(|file| address(file.path)).collect())
}

/// What is written of those who activated it over the gate, newest first.
fn entries(config: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    config.get("overrides").and_then(serde_json::Value::as_array).into_iter().flatten().rev()
}

/// Who activated it over the gate, when and why; an account that is gone by its id.
fn overrides(config: &serde_json::Value, names: &HashMap<String, String>) -> Vec<String> {
    let word = |entry: &serde_json::Value, key: &str| entry.get(key).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    let day = |at: String| at.get(..16).map_or(at.clone(), |day| day.replace('T', " "));
    let name = |id: String| names.get(&id).cloned().unwrap_or(id);
    entries(config)
        .map(|entry| format!("{} on {} UTC: {}", name(word(entry, "by")), day(word(entry, "at")), word(entry, "reason")))
        .collect()
}

fn page(layout: Layout, title: String, verdict: Verdict, watch: &Watch, stored: Option<CardFigures>, may_switch: bool) -> ModelPage {
    let Verdict { model, failed_gates, unusable, .. } = verdict;
    let card = stored.as_ref().and_then(|figures| figures.card.as_ref());
    let text = |field: &str| model.config.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
    let count = |field: &str| model.config.get(field).and_then(serde_json::Value::as_i64).unwrap_or(0);
    ModelPage {
        layout,
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        title,
        model: Standing {
            is_active: model.is_active,
            in_shadow: model.shadow_since.is_some(),
            has_drifted: model.drift_found_at.is_some(),
            has_former: model.former_model_id.is_some(),
            may_switch,
        },
        watched: watched(watch),
        rules: &RULES,
        retailer: model.retailer_id.clone().unwrap_or_else(|| "all retailers".to_owned()),
        trained_at: model.training_date.format("%e %b %Y, %H:%M UTC").to_string(),
        learnt_from: format!(
            "{} pairs of {} prompts: {} judgments, {} pieces of feedback{}",
            model.training_pairs_count,
            count("prompts"),
            model.training_judgments_count,
            model.training_feedback_count,
            older(&model.config.0)
        ),
        simulated: count("judgments_by_simulated_raters"),
        note: text("note"),
        overrides: Vec::new(),
        files: Vec::new(),
        failed_gates,
        unusable,
        figures: card.map(headline).unwrap_or_default(),
        missing: match (card, &stored) {
            (Some(_), _) => None,
            (None, Some(figures)) if figures.held_out.is_none() => Some("All pairs belong to one prompt, so nothing could be held out."),
            _ => Some("This model was trained by an earlier program, which kept no such figures; train it again to see them."),
        },
        reliability: card.map(|card| plot(card, Shape::WIDE)).unwrap_or_default(),
        reliability_narrow: card.map(|card| plot(card, Shape::NARROW)).unwrap_or_default(),
        bins: card.map(bins).unwrap_or_default(),
        bins_csv: card.map(tables::bins).unwrap_or_default(),
        slices: card.map(slices).unwrap_or_default(),
        slices_csv: card.map(tables::slices).unwrap_or_default(),
        against: card.map(|card| against(card, stored.as_ref())).unwrap_or_default(),
        against_csv: card.map(|card| tables::against(card, stored.as_ref())).unwrap_or_default(),
        length: card.and_then(length),
        agreement: decimal(model.inter_rater_agreement, 2),
        model_id: model.model_id,
    }
}

/// How many pairs were too old to be trained on, when there were more than are taken.
fn older(config: &serde_json::Value) -> String {
    let of = |reason: &str| config.pointer(&format!("/left_out/{reason}")).and_then(serde_json::Value::as_i64).unwrap_or(0);
    match of("pairs_of_older_tasks") + of("pairs_of_older_feedback") {
        0 => String::new(),
        older => format!("; {} older pairs were left out", super::count(older)),
    }
}

fn headline(card: &Card) -> Vec<Figure> {
    let Figures { metrics, accuracy, log_loss, brier, calibration_error, n_prompts, .. } = &card.all;
    let n = format!("n\u{a0}=\u{a0}{} decided pairs of {n_prompts} prompts", metrics.n_decided);
    vec![
        Figure { label: "Accuracy", value: percent(metrics.accuracy), note: format!("{}; {n}", range(*accuracy, 100.0, 0, " %")) },
        Figure {
            label: "Log loss",
            value: decimal(metrics.log_loss, 3),
            note: format!("{}; a coin has 0.693", range(*log_loss, 1.0, 3, "")),
        },
        Figure { label: "Brier score", value: decimal(metrics.brier, 3), note: format!("{}; a coin has 0.25", range(*brier, 1.0, 3, "")) },
        Figure {
            label: "Calibration error",
            value: decimal(metrics.calibration_error, 3),
            note: format!("{}; 0 is perfect, chance alone gives more", range(*calibration_error, 1.0, 3, "")),
        },
    ]
}

fn watched(watch: &Watch) -> Option<Watched> {
    let since = watch.since?;
    let labels: Vec<String> = (1..=watch.course.len()).map(|part| format!("{part}0 %")).collect();
    let promised = watch.drift.promised.map(|promised| promised * 100.0);
    let series = [
        Series { name: "Right, %", values: watch.course.iter().map(|share| Some(share * 100.0)).collect() },
        Series { name: "Promised by its card, %", values: vec![promised; watch.course.len()] },
    ];
    let course = |shape| match watch.course.is_empty() {
        true => String::new(),
        false => chart::lines("Share right, oldest tenth of decisions first", &labels, &series, shape),
    };
    let is_shadow = watch.doing == Doing::Shadow;
    let shadow = watch.against_active.as_ref();
    Some(Watched {
        title: if is_shadow { "In the shadow of the active model" } else { "Since it was put to work" },
        since: since.format("%e %b %Y, %H:%M UTC").to_string(),
        tone: match watch.drift.verdict {
            Some(Drift::Steady) => "good",
            Some(Drift::Watch) => "warn",
            Some(Drift::Retest) => "bad",
            None => "plain",
        },
        says: watch.drift.says.clone(),
        figures: watch.card.as_ref().map(headline).unwrap_or_default(),
        course: course(Shape::WIDE),
        course_narrow: course(Shape::NARROW),
        against: shadow.map(|shadow| row_against(format!("The active model ({})", shadow.model_id), &shadow.difference, true)),
        against_csv: shadow.map(|shadow| tables::beside(&shadow.model_id, &shadow.difference, shadow.same_choice)).unwrap_or_default(),
        same_choice: shadow.map(|shadow| percent(Some(shadow.same_choice))).unwrap_or_default(),
    })
}

fn range(interval: Option<Interval>, scale: f64, decimals: usize, unit: &str) -> String {
    interval.map_or_else(
        || "no interval".to_owned(),
        |Interval { low, high }| format!("95 % interval {:.decimals$} to {:.decimals$}{unit}", low * scale, high * scale),
    )
}

fn plot(card: &Card, shape: Shape) -> String {
    let labels: Vec<String> = card.bins.iter().map(|bin| format!("{:.0}–{:.0} %", bin.above * 100.0, bin.to * 100.0)).collect();
    let predicted = card.bins.iter().map(|bin| bin.predicted.map(|p| p * 100.0)).collect();
    let observed = card.bins.iter().map(|bin| bin.observed.map(|p| p * 100.0)).collect();
    let series = [Series { name: "Came true, %", values: observed }, Series { name: "Predicted, %", values: predicted }];
    chart::lines("Share that came true, by predicted chance", &labels, &series, shape)
}

fn bins(card: &Card) -> Vec<[String; 4]> {
    let row = |bin: &learning::reward::card::Bin| {
        let name = format!("{:.0} to {:.0} %", bin.above * 100.0, bin.to * 100.0);
        [name, bin.n.to_string(), percent(bin.predicted), percent(bin.observed)]
    };
    card.bins.iter().filter(|bin| bin.n > 0).map(row).collect()
}

fn slices(card: &Card) -> Vec<Slice> {
    let row = |(name, figures): (&String, &Figures)| Slice {
        name: name.clone(),
        pairs: figures.metrics.n_decided,
        accuracy: format!("{} ({})", percent(figures.metrics.accuracy), range(figures.accuracy, 100.0, 0, " %")),
        log_loss: decimal(figures.metrics.log_loss, 3),
        mark: chart::interval(figures.metrics.accuracy, figures.accuracy.map(|interval| (interval.low, interval.high)), (0.0, 1.0)),
        is_faint: figures.metrics.n_decided < FEW,
    };
    card.by_retailer.iter().map(row).collect()
}

fn against(card: &Card, stored: Option<&CardFigures>) -> Vec<Against> {
    let longer = row_against("“The longer text wins”".to_owned(), &card.against_longer, false);
    let active = stored.and_then(|figures| figures.against_active.as_ref());
    let active = active.map(|active| {
        row_against(
            format!("The model then active ({}), which may have learnt from these pairs", active.model_id),
            &active.difference,
            true,
        )
    });
    let later = stored.and_then(|figures| figures.against_active_later.as_ref());
    let later = later.map(|active| {
        row_against(format!("The model then active ({}), on pairs decided after it was trained", active.model_id), &active.difference, true)
    });
    std::iter::once(longer).chain(active).chain(later).collect()
}

fn row_against(what: String, comparison: &Comparison, has_probabilities: bool) -> Against {
    Against {
        what,
        accuracy: difference(comparison.accuracy, 100.0, 1, " points"),
        log_loss: if has_probabilities { difference(comparison.log_loss, 1.0, 3, "") } else { "–".to_owned() },
        n: comparison.n_decided,
    }
}

fn difference(difference: Option<Difference>, scale: f64, decimals: usize, unit: &str) -> String {
    let Some(Difference { value, interval }) = difference else { return "–".to_owned() };
    let ends = interval
        .map_or_else(String::new, |Interval { low, high }| format!(" ({:+.decimals$} to {:+.decimals$})", low * scale, high * scale));
    format!("{:+.decimals$}{unit}{ends}", value * scale)
}

fn length(card: &Card) -> Option<String> {
    let bias = card.length_bias;
    let (model, people) = (bias.model_prefers_longer?, bias.people_prefer_longer?);
    Some(format!(
        "Of {} pairs of different length the model prefers the longer text in {:.0} %, people in {:.0} %; its score and the length correlate at {}.",
        bias.n,
        model * 100.0,
        people * 100.0,
        decimal(bias.correlation, 2)
    ))
}
