//! `/campaigns/{id}`: one campaign with its figures, pacing, unusual days, experiments, plans and history.

mod experiments;
mod findings;
mod measured;
mod pacing;
mod sums;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use chrono::NaiveDate;
use domain::attribution::Attribution;
use domain::campaign::CampaignStatus;
use domain::scope::Scope;
use serde::Deserialize;
use serde_json::Value;
use storage::accounts;
use storage::campaigns::history::{self, HistoryEntry};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::experiments::{self as studied, Experiment, ExperimentFilter};
use storage::page::Page;
use storage::performance::spend::{self, Spend};
use storage::plans::{self as stored, Plan};
use storage::retailers;
use storage::workspace;
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::figures::{Breakdown, Course, Shown, Step, breakdown, course, headline};
use super::words::{brief, moment, money, period, tone, words};
use super::{Pick, file, picks};
use crate::analytics::anomalies;
use crate::life;
use crate::pacing::yesterday;
use crate::state::State;
use experiments::ShownExperiment;
use findings::Findings;
use measured::Measured;
use pacing::{ShownPacing, pacing};
use sums::Sums;

/// Changes shown.
const CHANGES: i64 = 20;
/// Experiments shown.
const EXPERIMENTS: i64 = 10;
/// Plan sets shown.
const SETS: i64 = 3;

/// Which days are shown, and how fine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignView {
    #[serde(default, deserialize_with = "domain::day::read")]
    from: Option<NaiveDate>,
    #[serde(default, deserialize_with = "domain::day::read")]
    to: Option<NaiveDate>,
    by: Option<Step>,
}

/// A move that is allowed from here.
struct Move {
    to: &'static str,
    title: &'static str,
    is_final: bool,
    is_quiet: bool,
}

struct ShownSet {
    plan_set_id: String,
    made: String,
    plans: usize,
    state: String,
}

struct ShownChange {
    version: i32,
    who: String,
    at: String,
    what: String,
    reason: Option<String>,
    fields: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    layout: Layout,
    styles: String,
    script: String,
    campaign: Campaign,
    may_plan: bool,
    retailer: String,
    brand: Option<String>,
    status: String,
    tone: &'static str,
    delivery: Option<String>,
    objective: String,
    dates: String,
    budget: String,
    moves: Vec<Move>,
    from: String,
    to: String,
    is_whole: bool,
    steps: Vec<Pick>,
    shown_period: String,
    figures: Vec<Shown>,
    course: Option<Course>,
    has_too_many_days: bool,
    placements: Breakdown,
    audiences: Breakdown,
    skus: Breakdown,
    has_money: bool,
    other_currencies: String,
    pacing: ShownPacing,
    measured: Measured,
    findings: Findings,
    experiments: Vec<ShownExperiment>,
    sets: Vec<ShownSet>,
    changes: Vec<ShownChange>,
    counted: String,
}

struct Found {
    campaign: Campaign,
    shown: Value,
    retailer: String,
    brand: Option<String>,
    sums: Sums,
    spend: Spend,
    /// Up to which day spend is looked at.
    as_of: NaiveDate,
    attribution: Option<Attribution>,
    findings: Option<Value>,
    experiments: Vec<Experiment>,
    parts: HashMap<String, String>,
    sets: Vec<Vec<Plan>>,
    history: Vec<HistoryEntry>,
    names: HashMap<String, String>,
}

/// Shows a campaign.
pub async fn show_campaign(
    state: Data<State>,
    caller: PageCaller,
    id: Path<String>,
    view: QueryOf<CampaignView>,
) -> Result<HttpResponse, PageRefusal> {
    let (caller, view, now) = (caller.0, view.0, state.clock.now());
    if let (Some(from), Some(to)) = (view.from, view.to)
        && to < from
    {
        return Err(Problem::invalid_field("to", "is before from").into());
    }
    let (scope, wanted) = (caller.scope(), view.clone());
    let found = state.storage.scoped(&scope).read(move |conn| find(conn, &scope, &id, &wanted, now)).await.map_err(Problem::from)?;
    let shown = experiments::read(&state, &caller.scope(), &found.experiments).await;
    let layout = Layout::new(found.campaign.name.clone(), "campaign-runtime/", Some(&caller), &state.settings);
    Ok(render(&page(layout, found, shown, &view, caller.role.may_plan()))?)
}

fn find(
    conn: &mut Connection,
    scope: &Scope,
    id: &str,
    view: &CampaignView,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Found, StorageError> {
    let campaign = campaigns::find(conn, scope, id)?;
    let sums = sums::find(conn, scope, &campaign, view)?;
    let retailer = retailers::find(conn, &campaign.retailer_id)?;
    let as_of = yesterday(now, &retailer.timezone);
    let spend = spend::of_campaigns(conn, scope, std::slice::from_ref(&campaign), as_of)?.remove(&campaign.id).unwrap_or_default();
    let about = ExperimentFilter { campaign: Some(campaign.id), ..ExperimentFilter::default() };
    let history = history::list(conn, scope, &campaign, &Page::first(CHANGES))?.rows;
    let sets = stored::list_sets(conn, scope, campaign.id, &Page::first(SETS))?.rows;
    let deciders = sets.iter().flatten().filter_map(|plan| plan.decided_by.as_deref());
    let actors: Vec<&str> = history.iter().map(|entry| entry.actor.as_str()).chain(deciders).collect();
    let who = accounts::display_names(conn, &actors)?;
    Ok(Found {
        shown: life::shown_one(conn, &campaign, now)?,
        parts: measured::names(conn, &campaign.retailer_id, &sums)?,
        findings: anomalies::look(conn, scope, &campaign, view.from, view.to)?,
        experiments: studied::list(conn, scope, &about, &Page::first(EXPERIMENTS))?.rows,
        attribution: retailer.attribution.as_ref().and_then(|value| Attribution::read(value).ok()),
        retailer: retailer.name,
        brand: workspace::brand_names(conn, campaign.brand_id.as_slice())?.into_values().next(),
        sets,
        names: who,
        history,
        sums,
        spend,
        as_of,
        campaign,
    })
}

fn page(layout: Layout, found: Found, experiments: Vec<ShownExperiment>, view: &CampaignView, may_plan: bool) -> CampaignPage {
    let (campaign, sums) = (found.campaign, found.sums);
    let currency = sums.currency.as_deref();
    let step = sums.step;
    let course = sums.course.as_deref().and_then(|groups| course(groups, step, currency));
    let has_money = course.as_ref().is_none_or(|course| course.has_money);
    let status: Option<CampaignStatus> = campaign.status.parse().ok();
    let step_word = Step::ALL.iter().find(|(one, ..)| *one == step).map(|(_, word, _)| *word);
    let total = sums.total.as_ref();
    let named = |code: &str| found.parts.get(code).cloned().unwrap_or_else(|| code.to_owned());
    let list_length = |value: &Value| value.as_array().map_or(0, Vec::len);
    CampaignPage {
        styles: file("campaigns.css"),
        script: file("campaigns.js"),
        may_plan,
        retailer: found.retailer,
        brand: found.brand,
        status: words(&campaign.status),
        tone: tone(&campaign.status),
        delivery: found.shown.pointer("/delivery/reason").and_then(Value::as_str).map(str::to_owned),
        objective: campaign.objective.as_deref().map_or_else(|| "No objective stated".to_owned(), words),
        dates: period(campaign.start_date, campaign.end_date),
        budget: campaign.total_budget_micros.map_or_else(|| "No budget stated".to_owned(), |micros| money(micros, currency)),
        moves: status.map(moves).unwrap_or_default(),
        from: view.from.map(|day| day.to_string()).unwrap_or_default(),
        to: view.to.map(|day| day.to_string()).unwrap_or_default(),
        is_whole: view.from.is_none() && view.to.is_none(),
        steps: picks(Step::ALL.map(|(_, word, title)| (word.to_owned(), title.to_owned())), step_word),
        shown_period: period(sums.span.map(|(first, _)| first), sums.span.map(|(_, last)| last)),
        figures: headline(total, currency),
        has_too_many_days: sums.course.is_none(),
        measured: Measured::of(total, &sums.kinds, found.attribution, view, campaign.id, currency),
        placements: breakdown(sums.placements, has_money, currency, words),
        audiences: breakdown(sums.audiences, has_money, currency, named),
        skus: breakdown(sums.skus, has_money, currency, named),
        findings: Findings::of(found.findings.as_ref(), &named, currency),
        experiments,
        course,
        has_money,
        other_currencies: sums.others.join(", "),
        pacing: pacing(&campaign, &found.spend, found.as_of, currency),
        sets: found.sets.iter().filter_map(|plans| shown_set(plans, &found.names)).collect(),
        changes: found.history.iter().map(|entry| change(entry, &found.names)).collect(),
        counted: [
            counted(list_length(&campaign.target_skus), "product"),
            counted(list_length(&campaign.placement_types), "placement"),
            counted(list_length(&campaign.target_audiences), "audience"),
        ]
        .join(", "),
        layout,
        campaign,
    }
}

fn moves(from: CampaignStatus) -> Vec<Move> {
    from.next()
        .iter()
        .map(|to| {
            let title = match (from, to) {
                (CampaignStatus::Scheduled, CampaignStatus::Draft) => "Back to draft",
                (_, CampaignStatus::Draft) => "Make a draft",
                (_, CampaignStatus::Scheduled) => "Schedule",
                (CampaignStatus::Paused, CampaignStatus::Active) => "Resume",
                (_, CampaignStatus::Active) => "Start",
                (_, CampaignStatus::Paused) => "Pause",
                (_, CampaignStatus::Completed) => "Complete",
                (_, CampaignStatus::Archived) => "Archive",
            };
            let to: &'static str = match to {
                CampaignStatus::Draft => "draft",
                CampaignStatus::Scheduled => "scheduled",
                CampaignStatus::Active => "active",
                CampaignStatus::Paused => "paused",
                CampaignStatus::Completed => "completed",
                CampaignStatus::Archived => "archived",
            };
            // From these there is no way back.
            let is_final = matches!(to, "completed" | "archived");
            Move { to, title, is_final, is_quiet: is_final || to == "draft" }
        })
        .collect()
}

fn shown_set(plans: &[Plan], names: &HashMap<String, String>) -> Option<ShownSet> {
    let first = plans.first()?;
    let chosen = plans.iter().find(|plan| plan.status == "chosen");
    let state = match chosen {
        Some(plan) => format!(
            "{} chosen by {}",
            words(&plan.strategy),
            plan.decided_by.as_deref().map_or("nobody named".to_owned(), |by| decider(by, names))
        ),
        None if plans.iter().any(|plan| plan.status == "in_review") => "People are judging the two best".to_owned(),
        None if plans.iter().all(|plan| plan.status == "rejected") => "All rejected".to_owned(),
        None if plans.iter().all(|plan| plan.decided_at.is_some()) => "For study, nothing chosen".to_owned(),
        None => "Not decided".to_owned(),
    };
    Some(ShownSet { plan_set_id: first.plan_set_id.clone(), made: moment(&first.created_at), plans: plans.len(), state })
}

/// Who did something: a person by name, a program by its word.
fn decider(by: &str, names: &HashMap<String, String>) -> String {
    names.get(by).cloned().unwrap_or_else(|| by.trim_start_matches("system:").replace('_', " "))
}

fn change(entry: &HistoryEntry, names: &HashMap<String, String>) -> ShownChange {
    let fields = entry.changes.as_object().into_iter().flatten().filter(|_| entry.action != "create" && entry.action != "import");
    let amount = |name: &str, value: Option<&Value>| match value {
        Some(value) if name.ends_with("_micros") => value.as_i64().map_or_else(|| "nothing".to_owned(), |micros| money(micros, None)),
        Some(value) => brief(value),
        None => "nothing".to_owned(),
    };
    ShownChange {
        version: entry.version,
        who: decider(&entry.actor, names),
        at: moment(&entry.created_at),
        what: words(&entry.action),
        reason: entry.reason.clone(),
        fields: fields
            .map(|(name, change)| {
                (words(name.trim_end_matches("_micros")), amount(name, change.get("before")), amount(name, change.get("after")))
            })
            .collect(),
    }
}

/// A number of things in words: `1 placement`, `4,312 products`.
fn counted(n: usize, thing: &str) -> String {
    let shown = super::words::count(i64::try_from(n).unwrap_or(i64::MAX));
    if n == 1 { format!("{shown} {thing}") } else { format!("{shown} {thing}s") }
}
