//! The landing page: what this service is, what is in it, and the latest decision about each campaign.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::scope::Scope;
use storage::campaigns::CampaignFilter;
use storage::page::Page;
use storage::{campaigns, performance, plans, retailers, skus};
use web::caller::MaybePageCaller;
use web::layout::{Layout, render};
use web::problem::Problem;

use crate::state::State;

/// Campaigns shown.
const CAMPAIGNS: i64 = 50;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
    is_signed_in: bool,
    counts: Vec<(&'static str, String)>,
    campaigns: Vec<CampaignLine>,
}

struct CampaignLine {
    campaign_id: String,
    name: String,
    status: String,
    dates: String,
    budget: String,
    decision: String,
    /// The brand on whose feedback page its plan can be judged.
    brand_to_ask: Option<String>,
}

/// The landing page. Whoever is not signed in sees what the service is, and no data.
pub async fn home(state: Data<State>, caller: MaybePageCaller) -> Result<HttpResponse, Problem> {
    let layout = Layout::new("Campaign runtime", "campaign-runtime/", caller.0.as_ref(), &state.settings);
    let Some(caller) = caller.0 else {
        return render(&HomePage { layout, is_signed_in: false, counts: Vec::new(), campaigns: Vec::new() });
    };
    let scope = caller.scope();
    let (counts, campaigns) = state.storage.scoped(&scope).read(move |conn| Ok((count(conn, &scope)?, lines(conn, &scope)?))).await?;
    render(&HomePage { layout, is_signed_in: true, counts, campaigns })
}

type Conn<'a> = &'a mut storage::connection::Connection;

fn count(conn: Conn<'_>, scope: &Scope) -> Result<Vec<(&'static str, String)>, storage::error::StorageError> {
    Ok(vec![
        ("Retailers", grouped(retailers::count(conn)?)),
        ("SKUs", grouped(skus::count(conn, scope)?)),
        ("Campaigns", grouped(campaigns::count(conn, scope)?)),
        ("Performance rows", grouped(performance::count(conn, scope)?)),
    ])
}

fn lines(conn: Conn<'_>, scope: &Scope) -> Result<Vec<CampaignLine>, storage::error::StorageError> {
    let rows = campaigns::list(conn, scope, &CampaignFilter::default(), &Page::first(CAMPAIGNS))?.rows;
    let keys: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let latest = plans::latest(conn, scope, &keys)?;
    let lines = rows.into_iter().map(|row| {
        let plan = latest.iter().find(|plan| plan.campaign == row.id);
        let decision = match plan {
            Some(plan) if plan.status == "chosen" => {
                format!("{}, chosen by {}", words(&plan.strategy), plan.decided_by.as_deref().unwrap_or("nobody named").replace('_', " "))
            }
            Some(_) => "People are judging".to_owned(),
            None => "No plan yet".to_owned(),
        };
        let day = |date: Option<chrono::NaiveDate>| date.map_or_else(|| "?".to_owned(), |date| date.to_string());
        let budget = match (row.total_budget_micros, row.currency.as_deref()) {
            (Some(micros), Some(currency)) => format!("{} {currency}", in_hundredths(micros)),
            _ => "not stated".to_owned(),
        };
        let dates = format!("{} to {}", day(row.start_date), day(row.end_date));
        let brand_to_ask = plan.and(row.brand_id);
        CampaignLine { brand_to_ask, campaign_id: row.campaign_id, name: row.name, status: row.status, dates, budget, decision }
    });
    Ok(lines.collect())
}

/// A count with its thousands apart.
fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let groups: Vec<String> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    format!("{}{}", if count < 0 { "-" } else { "" }, groups.join(","))
}

/// Money as people write it, rounded down to hundredths: `2,500.00`.
fn in_hundredths(micros: i64) -> String {
    format!("{}.{:02}", grouped(micros / 1_000_000), micros.rem_euclid(1_000_000) / 10_000)
}

/// `balanced_reach` as `Balanced reach`.
fn words(code: &str) -> String {
    let text = code.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
