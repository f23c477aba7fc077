//! `/campaigns/new` and `/campaigns/{id}/edit`: a campaign is written in a form whose errors stand at the fields.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::campaign::Objective;
use domain::role::Role;
use serde_json::Value;
use storage::campaigns::{self, Campaign};
use storage::page::Page;
use storage::retailers::{self, RetailerFilter};
use storage::workspace;
use strum::VariantArray as _;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::plans::trimmed;
use super::words::words;
use super::{Pick, file, picks};
use crate::state::State;

#[derive(Template)]
#[template(path = "campaign_form.html")]
struct FormPage {
    layout: Layout,
    styles: String,
    script: String,
    title: String,
    /// The campaign that is changed; none for a new one.
    campaign: Option<Campaign>,
    name: String,
    retailers: Vec<Pick>,
    brands: Vec<Pick>,
    objectives: Vec<Pick>,
    start: String,
    end: String,
    budget: String,
    currency: String,
    placements: String,
    audiences: String,
    skus: String,
    /// Products when there are too many to edit by hand.
    many_skus: Option<usize>,
}

/// More products than this are not edited by hand.
const SKUS_BY_HAND: usize = 500;

/// Shows the empty form.
pub async fn show_new_campaign(state: Data<State>, caller: PageCaller) -> Result<HttpResponse, PageRefusal> {
    show(state, caller, None).await
}

/// Shows the form of a campaign.
pub async fn show_campaign_form(state: Data<State>, caller: PageCaller, id: Path<String>) -> Result<HttpResponse, PageRefusal> {
    show(state, caller, Some(id.into_inner())).await
}

async fn show(state: Data<State>, caller: PageCaller, id: Option<String>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    caller.require(Role::may_plan)?;
    let scope = caller.scope();
    let (campaign, all_retailers, choices) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = id.map(|id| campaigns::find(conn, &scope, &id)).transpose()?;
            let filter = RetailerFilter { is_active: Some(true), ..RetailerFilter::default() };
            let all = retailers::list(conn, &filter, &Page::first(500))?.rows;
            Ok((campaign, all, workspace::choices(conn, &scope)?))
        })
        .await
        .map_err(Problem::from)?;
    let row = campaign.as_ref();
    let skus = texts(row.map(|row| &row.target_skus.0));
    let many_skus = Some(skus.len()).filter(|n| *n > SKUS_BY_HAND);
    let title = row.map_or_else(|| "New campaign".to_owned(), |row| format!("Change {}", row.name));
    let mut brands = choices.brands;
    if let Some(own) = row.and_then(|row| row.brand_id.clone())
        && !brands.iter().any(|(id, _)| *id == own)
    {
        brands.push((own.clone(), own));
    }
    let only = all_retailers.first().filter(|_| all_retailers.len() == 1).map(|one| one.retailer_id.clone());
    let chosen = row.map(|row| row.retailer_id.clone()).or(only);
    let page = FormPage {
        layout: Layout::new(title.clone(), "campaign-runtime/", Some(&caller), &state.settings),
        styles: file("campaigns.css"),
        script: file("campaign-form.js"),
        title,
        name: row.map(|row| row.name.clone()).unwrap_or_default(),
        retailers: picks(all_retailers.into_iter().map(|one| (one.retailer_id, one.name)), chosen.as_deref()),
        brands: picks(brands, row.and_then(|row| row.brand_id.as_deref())),
        objectives: picks(
            Objective::VARIANTS.iter().map(|one| (one.to_string(), words(one.as_ref()))),
            row.and_then(|row| row.objective.as_deref()),
        ),
        start: row.and_then(|row| row.start_date).map(|day| day.to_string()).unwrap_or_default(),
        end: row.and_then(|row| row.end_date).map(|day| day.to_string()).unwrap_or_default(),
        budget: row.and_then(|row| row.total_budget_micros).map(domain::money::format_micros).map(trimmed).unwrap_or_default(),
        currency: row.and_then(|row| row.currency.clone()).unwrap_or_default(),
        placements: texts(row.map(|row| &row.placement_types.0)).join("\n"),
        audiences: texts(row.map(|row| &row.target_audiences.0)).join("\n"),
        skus: if many_skus.is_some() { String::new() } else { skus.join("\n") },
        many_skus,
        campaign,
    };
    Ok(render(&page)?)
}

/// The texts of a stored list.
fn texts(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A number of entries.
fn amount(n: &usize) -> String {
    super::words::count(i64::try_from(*n).unwrap_or(i64::MAX))
}
