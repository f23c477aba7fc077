//! Pacing: is the money going out as fast as the days? Of one campaign, or of a page of them.

use actix_web::web::{Data, Json, Path};
use chrono::{Days, NaiveDate};
use planning::figure::{Figure, Reason};
use planning::pacing::{Flight, WeekShape, pace_by_weekday};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign, CampaignFilter};
use storage::page::Page;
use storage::performance::spend::{self, Spend};
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
    /// Last day whose spend is complete; yesterday when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub as_of: Option<NaiveDate>,
    /// What is expected of a day: `linear` (default) or `traffic`.
    pub expectation: Option<Expectation>,
}

/// Which campaigns, as of when.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PacingListQuery {
    /// Last day whose spend is complete; yesterday when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub as_of: Option<NaiveDate>,
    /// What is expected of a day: `linear` (default) or `traffic`.
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

fn day(state: &State, asked: Option<NaiveDate>) -> NaiveDate {
    let today = state.clock.now().date_naive();
    asked.or_else(|| today.pred_opt()).unwrap_or(today)
}

/// Expected and actual spend, pacing index and projection; a figure that cannot be known is null with its reason.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/pacing", tag = "performance", params(("campaign_id" = String, Path), PacingQuery), responses((status = 200, body = Object, description = "The figures")))]
pub async fn get_pacing(state: Data<State>, caller: Caller, id: Path<String>, query: QueryOf<PacingQuery>) -> Result<Json<Value>, Problem> {
    let as_of = day(&state, query.0.as_of);
    let scope = caller.scope();
    let (campaign, spend) = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            let mut spends = spend::of_campaigns(conn, &scope, std::slice::from_ref(&campaign), as_of)?;
            let spend = spends.remove(&campaign.id).unwrap_or_default();
            Ok((campaign, spend))
        })
        .await?;
    Ok(Json(show(&campaign, as_of, query.0.expectation.unwrap_or_default(), &spend)))
}

/// Pacing of campaigns, newest first: their spend is read in one query a page.
#[utoipa::path(get, path = "/v1/analytics/pacing", tag = "performance", params(PacingListQuery, web::paging::Page), responses((status = 200, body = Object, description = "`{data, next_cursor}`")))]
pub async fn list_pacing(state: Data<State>, caller: Caller, query: ListQuery<PacingListQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let PacingListQuery { as_of, expectation, status, retailer_id, brand_id } = query.filter;
    let (as_of, expectation) = (day(&state, as_of), expectation.unwrap_or_default());
    let filter = CampaignFilter { status, retailer_id, brand_id, ..CampaignFilter::default() };
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let (slice, spends) = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let slice = campaigns::list(conn, &scope, &filter, &page)?;
            let spends = spend::of_campaigns(conn, &scope, &slice.rows, as_of)?;
            Ok((slice, spends))
        })
        .await?;
    let nothing = Spend::default();
    Ok(Json(Slice::from(slice).map(|campaign| show(&campaign, as_of, expectation, spends.get(&campaign.id).unwrap_or(&nothing)))))
}
