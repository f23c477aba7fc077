//! Pacing of a campaign: is the money going out as fast as the days?

use actix_web::web::{Data, Json, Path};
use chrono::{Days, NaiveDate};
use planning::figure::Figure;
use planning::pacing::{Flight, pace};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign};
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, SummaryRow, summarise};
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::input::money_or_null;
use crate::state::State;

/// As of when.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PacingQuery {
    /// Last day whose spend is complete; yesterday when absent.
    pub as_of: Option<NaiveDate>,
}

fn flight(campaign: &Campaign, as_of: NaiveDate, days: &[SummaryRow]) -> Flight {
    let spend_of = |from: Option<NaiveDate>| {
        let from = from.map(|day| day.to_string());
        let spends = days.iter().filter(|row| row.currency.is_none() || row.currency == campaign.currency);
        let spends = spends.filter(|row| from.as_ref().is_none_or(|from| row.group.first().is_some_and(|day| day >= from)));
        spends.filter_map(|row| row.spend_micros).reduce(i64::saturating_add)
    };
    let last = campaign.end_date.map_or(as_of, |end| end.min(as_of));
    Flight {
        budget_micros: campaign.total_budget_micros,
        start: campaign.start_date,
        end: campaign.end_date,
        as_of,
        spend_micros: spend_of(None),
        trailing_week_micros: last.checked_sub_days(Days::new(6)).and_then(|week| spend_of(Some(week))),
    }
}

/// Expected and actual spend, pacing index and projection; a figure that cannot be known is null with its reason.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/pacing", tag = "performance", params(("campaign_id" = String, Path), PacingQuery), responses((status = 200, body = Object, description = "The figures")))]
pub async fn get_pacing(state: Data<State>, caller: Caller, id: Path<String>, query: QueryOf<PacingQuery>) -> Result<Json<Value>, Problem> {
    let today = state.clock.now().date_naive();
    let as_of = query.0.as_of.or_else(|| today.pred_opt()).unwrap_or(today);
    let scope = caller.scope();
    let (campaign, days) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            let query = SummaryQuery {
                campaign: Some(campaign.id),
                from: campaign.start_date,
                to: Some(campaign.end_date.map_or(as_of, |end| end.min(as_of))),
                group_by: vec![Dimension::Day],
                limit: MAX_GROUPS,
                ..SummaryQuery::default()
            };
            let days = summarise(conn, &scope, &query)?;
            Ok((campaign, days))
        })
        .await?;
    if days.len() > MAX_GROUPS {
        return Err(Problem::invalid_field("as_of", format!("the campaign has over {MAX_GROUPS} days of spend")));
    }
    let flight = flight(&campaign, as_of, &days);
    let pacing = pace(&flight);
    let currency = campaign.currency.as_deref();
    let money = |figure: Figure<i64>| json!({"value": money_or_null(figure.value, currency).take(), "reason": figure.reason});
    Ok(Json(json!({
        "campaign_id": campaign.campaign_id,
        "as_of": as_of,
        "start_date": campaign.start_date,
        "end_date": campaign.end_date,
        "budget": money_or_null(campaign.total_budget_micros, currency),
        "spend": money_or_null(flight.spend_micros, currency),
        "expected_share": pacing.expected_share,
        "actual_share": pacing.actual_share,
        "expected_spend": money(pacing.expected_spend_micros),
        "pacing_index": pacing.pacing_index,
        "projected_end_spend": money(pacing.projected_end_spend_micros),
    })))
}
