//! Pacing: is the money going out as fast as the days? Of one campaign, or of a page of them.

use std::collections::{BTreeMap, HashMap};

use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::scope::Scope;
use domain::time::day_at;
use planning::figure::{Figure, Reason};
use planning::pacing::{Flight, WeekShape, pace_by_weekday};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign, CampaignFilter};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::performance::spend::{self, Spend};
use storage::retailers;
use web::caller::Caller;
use web::json::QueryOf;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::money_or_null;
use crate::state::State;

/// What is expected of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// The same of every day.
    #[default]
    Linear,
    /// As much as the weekday's share of impressions in the last four weeks; without two weeks of them the same of every day.
    Traffic,
}

/// As of when.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PacingQuery {
    /// Last day whose spend is complete; the retailer's yesterday when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub as_of: Option<NaiveDate>,
    /// What is expected of a day: `linear` (default) or `traffic`.
    #[param(inline)]
    pub expectation: Option<Expectation>,
}

/// Which campaigns, as of when.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PacingListQuery {
    /// Last day whose spend is complete; each retailer's yesterday when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub as_of: Option<NaiveDate>,
    /// What is expected of a day: `linear` (default) or `traffic`.
    #[param(inline)]
    pub expectation: Option<Expectation>,
    /// Only those in a state.
    pub status: Option<String>,
    /// Only those at a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a brand.
    pub brand_id: Option<String>,
}

/// What pacing is computed from, of a campaign on a day.
#[must_use]
pub fn flight(campaign: &Campaign, as_of: NaiveDate, spend: &Spend) -> Flight {
    let last = campaign.end_date.map_or(as_of, |end| end.min(as_of));
    let week = last.checked_sub_days(Days::new(6));
    let recent = spend.by_day.iter().filter(|(day, _)| week.is_some_and(|week| *day >= week)).map(|(_, micros)| *micros);
    Flight {
        budget_micros: campaign.total_budget_micros,
        start: campaign.start_date,
        end: campaign.end_date,
        as_of,
        spend_micros: spend.flight_micros,
        trailing_week_micros: recent.reduce(i64::saturating_add),
    }
}

/// The pacing of a campaign as shown.
fn show(campaign: &Campaign, as_of: NaiveDate, expectation: Expectation, spend: &Spend) -> Value {
    let flight = flight(campaign, as_of, spend);
    let shape = WeekShape::of(&spend.by_day);
    let traffic = match expectation {
        Expectation::Traffic => WeekShape::of(&spend.impressions_by_day),
        Expectation::Linear => None,
    };
    let pacing = pace_by_weekday(&flight, shape.as_ref(), traffic.as_ref());
    let currency = campaign.currency.as_deref();
    let money = |figure: Figure<i64>| json!({"value": money_or_null(figure.value, currency), "reason": figure.reason});
    let is_shaped = traffic.is_some();
    json!({
        "campaign_id": campaign.campaign_id,
        "name": campaign.name,
        "status": campaign.status,
        "as_of": as_of,
        "start_date": campaign.start_date,
        "end_date": campaign.end_date,
        "budget": money_or_null(campaign.total_budget_micros, currency),
        "spend": money_or_null(flight.spend_micros, currency),
        "expectation": if is_shaped { "traffic" } else { "linear" },
        "expectation_reason": (expectation == Expectation::Traffic && !is_shaped).then_some(Reason::TooFewDays),
        "is_projection_weekday_adjusted": shape.is_some(),
        "expected_share": pacing.expected_share,
        "actual_share": pacing.actual_share,
        "expected_spend": money(pacing.expected_spend_micros),
        "pacing_index": pacing.pacing_index,
        "projected_end_spend": money(pacing.projected_end_spend_micros),
    })
}

/// The last day that is over in a time zone.
#[must_use]
pub fn yesterday(now: DateTime<Utc>, zone_name: &str) -> NaiveDate {
    let today = day_at(now, zone_name);
    today.pred_opt().unwrap_or(today)
}

/// The last day that is over at each of these retailers.
///
/// # Errors
/// As any query.
pub fn yesterdays<'a>(
    conn: &mut Connection,
    retailer_ids: impl Iterator<Item = &'a str>,
    now: DateTime<Utc>,
) -> Result<HashMap<String, NaiveDate>, StorageError> {
    let mut ids: Vec<&str> = retailer_ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let found = retailers::find_many(conn, &ids)?;
    Ok(found.into_iter().map(|retailer| (retailer.retailer_id, yesterday(now, &retailer.timezone))).collect())
}

/// A campaign with the day up to which it is looked at, and its spend.
type Paced = (Campaign, NaiveDate, Spend);

/// Spend up to the day asked for, or each campaign up to its retailer's yesterday: one query for each of these days, of which the whole
/// world has three at most.
fn paced(
    conn: &mut Connection,
    scope: &Scope,
    campaigns: Vec<Campaign>,
    asked: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<Vec<Paced>, StorageError> {
    let days = match asked {
        Some(_) => HashMap::new(),
        None => yesterdays(conn, campaigns.iter().map(|campaign| campaign.retailer_id.as_str()), now)?,
    };
    let day = |campaign: &Campaign| asked.or_else(|| days.get(&campaign.retailer_id).copied()).unwrap_or_else(|| yesterday(now, "UTC"));
    let mut by_day: BTreeMap<NaiveDate, Vec<Campaign>> = BTreeMap::new();
    for campaign in &campaigns {
        by_day.entry(day(campaign)).or_default().push(campaign.clone());
    }
    let mut spends = HashMap::new();
    for (as_of, group) in &by_day {
        spends.extend(spend::of_campaigns(conn, scope, group, *as_of)?);
    }
    let with_spend = |campaign: Campaign| (day(&campaign), spends.remove(&campaign.id).unwrap_or_default(), campaign);
    Ok(campaigns.into_iter().map(with_spend).map(|(as_of, spend, campaign)| (campaign, as_of, spend)).collect())
}

/// Expected and actual spend, pacing index and projection; a figure that cannot be known is null with its reason.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/pacing", tag = "performance", params(("campaign_id" = String, Path), PacingQuery), responses((status = 200, body = Object, description = "The figures")))]
pub async fn get_pacing(state: Data<State>, caller: Caller, id: Path<String>, query: QueryOf<PacingQuery>) -> Result<Json<Value>, Problem> {
    let (asked, now) = (query.0.as_of, state.clock.now());
    let scope = caller.scope();
    let found = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            paced(conn, &scope, vec![campaign], asked, now)
        })
        .await?;
    let expectation = query.0.expectation.unwrap_or_default();
    let shown = found.first().map(|(campaign, as_of, spend)| show(campaign, *as_of, expectation, spend));
    Ok(Json(shown.unwrap_or_default()))
}

/// Pacing of campaigns, newest first: their spend is read in one query a page for each of the days that it is at their retailers.
#[utoipa::path(get, path = "/v1/analytics/pacing", tag = "performance", params(PacingListQuery, web::paging::Page), responses((status = 200, body = Object, description = "`{data, next_cursor}`")))]
pub async fn list_pacing(state: Data<State>, caller: Caller, query: ListQuery<PacingListQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let PacingListQuery { as_of, expectation, status, retailer_id, brand_id } = query.filter;
    let (now, expectation) = (state.clock.now(), expectation.unwrap_or_default());
    let filter = CampaignFilter { status, retailer_id, brand_id, ..CampaignFilter::default() };
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let slice = campaigns::list(conn, &scope, &filter, &page)?;
            let rows = paced(conn, &scope, slice.rows, as_of, now)?;
            Ok(storage::page::Slice { rows, next: slice.next })
        })
        .await?;
    Ok(Json(Slice::from(slice).map(|(campaign, as_of, spend)| show(&campaign, as_of, expectation, &spend))))
}
