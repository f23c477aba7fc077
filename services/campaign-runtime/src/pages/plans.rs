//! `/campaigns/{id}/plans`: ask for plans, see those of a set side by side, and choose one.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::Value;
use storage::accounts;
use storage::campaigns::{self, Campaign};
use storage::error::StorageError;
use storage::feedback::{self, FeedbackFilter};
use storage::page::Page;
use storage::plans as stored;
use storage::reflections::{self, ReflectionFilter};
use storage::segments;
use web::caller::{Caller, PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::comparison::{Comparison, Names, audiences, compare, plans_in_words};
use super::file;
use super::opinions::said_of;
use super::words::moment;
use crate::plans::study;
use crate::state::State;

/// Pieces of feedback on a set that are counted, the newest.
const OPINIONS: i64 = 500;

/// Sets listed.
const SETS: i64 = 12;

/// Which set is shown; the newest when absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlansView {
    set: Option<String>,
}

struct SetLink {
    plan_set_id: String,
    title: String,
    is_shown: bool,
}

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    layout: Layout,
    styles: String,
    script: String,
    topic: String,
    campaign: Campaign,
    may_plan: bool,
    /// Why nothing is chosen here, when the campaign is over.
    over: Option<String>,
    budget: String,
    currency: String,
    min_roas: String,
    max_cpa: String,
    max_share: String,
    excluded: String,
    sets: Vec<SetLink>,
    shown: Option<Comparison>,
}

/// Shows plans side by side.
pub async fn show_plans(
    state: Data<State>,
    caller: PageCaller,
    id: Path<String>,
    view: QueryOf<PlansView>,
) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    let (scope, wanted) = (caller.scope(), view.0.set);
    let (campaign, sets, plans, logs, names, opinions) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            let sets = stored::list_sets(conn, &scope, campaign.id, &Page::first(SETS))?.rows;
            let plans = match &wanted {
                Some(set) => stored::find_set(conn, &scope, set)?,
                None => sets.first().cloned().unwrap_or_default(),
            };
            if wanted.is_some() && plans.first().is_none_or(|plan| plan.campaign != campaign.id) {
                return Err(StorageError::not_found("plan set", wanted.as_deref().unwrap_or_default()));
            }
            let logs = match plans.first() {
                None => Vec::new(),
                Some(plan) => {
                    let filter = ReflectionFilter { session_id: Some(plan.plan_set_id.clone()), ..ReflectionFilter::default() };
                    reflections::list(conn, &scope, &filter, &Page::first(10))?.rows
                }
            };
            let segments = segments::find_many(conn, &campaign.retailer_id, &audiences(&plans))?;
            let mut names: Names = segments.into_iter().map(|one| (one.segment_id, one.name)).collect();
            let deciders: Vec<&str> = plans.iter().filter_map(|plan| plan.decided_by.as_deref()).collect();
            names.extend(accounts::display_names(conn, &deciders)?);
            let opinions = match plans.first() {
                None => Vec::new(),
                Some(plan) => {
                    let filter = FeedbackFilter { session_id: Some(plan.plan_set_id.clone()), ..FeedbackFilter::default() };
                    feedback::list(conn, &scope, &filter, &Page::first(OPINIONS))?.rows
                }
            };
            Ok((campaign, sets, plans, logs, names, opinions))
        })
        .await
        .map_err(Problem::from)?;
    let over = study::over(&campaign);
    let mut shown = compare(&plans, &logs, &names, over.is_some());
    for head in shown.iter_mut().flat_map(|set| set.heads.iter_mut()) {
        head.said = said_of(&opinions, &head.plan_id);
    }
    let limit = |name: &str| campaign.constraints.get(name).cloned().unwrap_or(Value::Null);
    let as_text = |value: Value| match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text,
        Value::Object(money) => money.get("amount").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    };
    let links = sets.iter().filter_map(|set| {
        let first = set.first()?;
        Some(SetLink {
            title: format!("{}, {}", moment(&first.created_at), plans_in_words(set.len())),
            is_shown: shown.as_ref().is_some_and(|shown| shown.plan_set_id == first.plan_set_id),
            plan_set_id: first.plan_set_id.clone(),
        })
    });
    let page = PlansPage {
        layout: Layout::new(format!("Plans for {}", campaign.name), "campaign-runtime/", Some(&caller), &state.settings),
        styles: file("campaigns.css"),
        script: file("plans.js"),
        topic: topic(&caller),
        may_plan: caller.role.may_plan(),
        over,
        budget: campaign.total_budget_micros.map(domain::money::format_micros).map(trimmed).unwrap_or_default(),
        currency: campaign.currency.clone().unwrap_or_default(),
        min_roas: as_text(limit("min_roas")),
        max_cpa: as_text(limit("max_cpa")),
        max_share: as_text(limit("max_share_per_arm")),
        excluded: as_text(limit("excluded_placements")),
        sets: links.collect(),
        shown,
        campaign,
    };
    Ok(render(&page)?)
}

/// `12.340000` as `12.34`, `12.000000` as `12`.
pub(super) fn trimmed(amount: String) -> String {
    amount.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The realtime room in which decisions are told: a tenant hears its own, the platform's people all.
fn topic(caller: &Caller) -> String {
    caller.tenant.as_ref().map_or_else(|| "realtime:campaigns".to_owned(), |tenant| format!("realtime:campaigns:{tenant}"))
}
