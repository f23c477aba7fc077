//! `/feedback/{brand_id}`: an output to judge, the five kinds of feedback, and what was said last.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::feedback::FeedbackType;
use domain::task::TaskType;
use peers::feedback::{plan_output, plan_prompt};
use serde::Deserialize;
use serde_json::Value;
use storage::accounts;
use storage::feedback::brands::{self, BrandWithFeedback};
use storage::feedback::outputs::{self, ProposedPlan};
use storage::feedback::statistics::{self, FeedbackStatistics};
use storage::feedback::{Feedback, FeedbackFilter};
use storage::page::Page;
use strum::VariantArray as _;
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::{decimal, file, require_data, topics, words};
use crate::feedback::reading::{found, words as words_of};
use crate::feedback::rules::{self, RuleBody, RuleState};
use crate::state::State;

/// Feedback shown under the forms.
const SHOWN: i64 = 20;

/// Longest text shown of a piece of feedback, in characters.
const SHOWN_CHARACTERS: usize = 240;

struct Output {
    label: String,
    prompt: String,
    text: String,
}

struct Said {
    kind: String,
    tone: &'static str,
    stars: String,
    task_type: String,
    text: String,
    who: String,
    user_id: String,
    at: String,
}

struct Count {
    kind: String,
    count: i64,
}

#[derive(Template)]
#[template(path = "feedback.html")]
struct FeedbackPage {
    layout: Layout,
    styles: String,
    script: String,
    topics: String,
    brand: BrandWithFeedback,
    outputs: Vec<Output>,
    task_types: Vec<(String, &'static str)>,
    counts: Vec<Count>,
    mean_rating: String,
    ratings: i64,
    said: Vec<Said>,
    kinds: Vec<(&'static str, String, bool)>,
    kind: String,
    is_narrowed: bool,
    search: String,
    next: Option<i64>,
    rule: RuleBody,
    may_set: bool,
    asked: Vec<String>,
}

/// Which feedback is shown below the forms.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedbackView {
    kind: Option<FeedbackType>,
    search: Option<String>,
    after: Option<i64>,
}

/// Shows the forms of one brand.
pub async fn show_feedback(
    state: Data<State>,
    caller: PageCaller,
    brand_id: Path<String>,
    view: QueryOf<FeedbackView>,
) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_data(&caller)?;
    let scope = caller.scope();
    let FeedbackView { kind, search, after } = view.0;
    let search = words_of(search.as_deref()).map_err(Problem::from)?;
    let text = search.clone();
    let filter = FeedbackFilter { brand_id: Some(brand_id.into_inner()), ..FeedbackFilter::default() };
    let narrowed = FeedbackFilter { feedback_type: kind.map(|kind| kind.to_string()), ..filter.clone() };
    let (brand, plans, statistics, newest, names, rule) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let brand = brands::find(conn, &scope, filter.brand_id.as_deref().unwrap_or_default())?;
            let plans = outputs::newest_plans(conn, &brand.tenant_id, &brand.brand_id, 12)?;
            let statistics = statistics::statistics(conn, &scope, &filter)?;
            let newest = found(conn, &scope, &narrowed, text.as_deref(), &Page { after, limit: SHOWN })?;
            let authors: Vec<&str> = newest.rows.iter().map(|row| row.user_id.as_str()).collect();
            let names = accounts::display_names(conn, &authors)?;
            let rule = rules::rule_of(conn, &scope, &brand.brand_id)?;
            Ok((brand, plans, statistics, newest, names, rule))
        })
        .await
        .map_err(Problem::from)?;
    let page = FeedbackPage {
        layout: Layout::new(format!("Feedback on {}", brand.name), "rlhf-backend/", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        topics: topics(&caller, &["feedback"]),
        outputs: plans.iter().map(to_output).collect(),
        task_types: TaskType::VARIANTS.iter().map(|task_type| (task_type.to_string(), task_type.title())).collect(),
        counts: counts(&statistics),
        mean_rating: decimal(statistics.mean_rating, 2),
        ratings: statistics.ratings,
        said: newest.rows.iter().map(|row| to_said(row, &names)).collect(),
        kinds: KINDS.map(|word| (word, words(word), kind.is_some_and(|kind| kind.as_ref() == word))).into(),
        kind: kind.map(|kind| kind.to_string()).unwrap_or_default(),
        is_narrowed: kind.is_some() || after.is_some() || search.is_some(),
        search: search.unwrap_or_default(),
        next: newest.next,
        asked: asked(&rule),
        rule: rule.rule,
        may_set: caller.role.may_plan(),
        brand,
    };
    Ok(render(&page)?)
}

const KINDS: [&str; 5] = ["thumbs_up", "thumbs_down", "rating", "preference", "correction"];

/// What came of the rule, in sentences.
fn asked(state: &RuleState) -> Vec<String> {
    let n = |word: &str| state.states.get(word).copied().unwrap_or(0);
    let mut said =
        vec![format!("{} became rating tasks, {} on their way, {} left out.", n("created"), n("waiting") + n("asked"), n("left_out"))];
    said.extend(state.left_out.iter().map(|(reason, n)| {
        let because = match reason.as_str() {
            "no_second_text" => "no other text for the same request was liked well, so that there was nothing to compare with",
            "daily_limit" => "the day's limit was reached",
            "already_asked" => "the same two texts were asked about before",
            "unknown_task_type" => "raters do not judge this kind of output",
            "same_text" => "both texts are the same",
            "refused" => "the rater app refused the task",
            "rule_changed" => "the rule had changed meanwhile",
            other => other,
        };
        format!("{n} left out: {because}.")
    }));
    said
}

fn counts(statistics: &FeedbackStatistics) -> Vec<Count> {
    KINDS.map(|kind| Count { kind: words(kind), count: statistics.by_type.get(kind).copied().unwrap_or(0) }).into()
}

/// The prompt is JSON, so that training reads objective and budget as the context of the plan. The output is the form in which plans are
/// judged and scored, so that feedback and judgments teach about the same text.
fn to_output(plan: &ProposedPlan) -> Output {
    let budget = domain::money::format_micros(plan.budget_micros);
    let end = plan.plan_id.len().saturating_sub(6);
    let short_id = plan.plan_id.get(end..).unwrap_or(&plan.plan_id);
    let shown_budget = budget.strip_suffix("0000").unwrap_or(&budget);
    Output {
        label: format!("{} · {shown_budget} {} · plan …{short_id}", plan.campaign_name, plan.currency),
        prompt: plan_prompt(&plan.campaign_name, plan.objective.as_deref(), plan.budget_micros, &plan.currency, plan.horizon_days),
        text: plan_output(&plan.plan),
    }
}

fn to_said(row: &Feedback, names: &HashMap<String, String>) -> Said {
    let stars = row
        .rating
        .and_then(|rating| usize::try_from(rating).ok())
        .map_or_else(String::new, |rating| format!("{}{}", "★".repeat(rating.min(5)), "☆".repeat(5_usize.saturating_sub(rating))));
    Said {
        kind: words(&row.feedback_type),
        tone: match (row.feedback_type.as_str(), row.rating) {
            ("thumbs_up", _) | ("rating", Some(4..=5)) => "badge-good",
            ("thumbs_down", _) | ("rating", Some(1..=2)) => "badge-bad",
            ("correction", _) => "badge-warn",
            _ => "badge-note",
        },
        stars,
        task_type: words(&row.task_type),
        text: shorten(&gist(row.preferred_output.as_deref().unwrap_or(&row.model_output))),
        who: names.get(&row.user_id).cloned().unwrap_or_else(|| "not named".to_owned()),
        user_id: row.user_id.clone(),
        at: row.created_at.format("%e %b %Y, %H:%M UTC").to_string(),
    }
}

/// What a person reads of an output: a plan’s own summary, any other text on one line.
fn gist(text: &str) -> String {
    let plan: Option<Value> = serde_json::from_str(text).ok();
    plan.as_ref().and_then(|plan| plan.get("summary")?.as_str()).unwrap_or(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
