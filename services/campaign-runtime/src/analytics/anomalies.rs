//! Days that are unusual and rows that cannot be right, each with the rule that says so.

use actix_web::web::{Data, Json};
use chrono::NaiveDate;
use domain::attribution::{Attribution, Basis};
use domain::scope::Scope;
use planning::anomalies::{self, Kind, MIN_DAYS, THRESHOLD, WINDOW_DAYS};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::faults;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery};
use storage::retailers;
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use super::figures::figures;
use super::table::{Group, gather};
use crate::state::State;

/// Most faulty rows shown, and most missing days.
const MAX_EXAMPLES: usize = 100;

/// What is searched.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AnomalyQuery {
    /// The campaign.
    pub campaign_id: String,
    /// First day that is looked at; earlier days still say what is usual.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// Last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
}

/// The series that are searched.
const SERIES: [(&str, Kind); 5] =
    [("impressions", Kind::Count), ("clicks", Kind::Count), ("conversions", Kind::Count), ("spend", Kind::Money), ("revenue", Kind::Money)];

/// Unusual days of a campaign (robust, adjusted for the day of the week, compared with the 28 days before) and faulty data: more clicks than
/// impressions, more conversions than clicks where orders follow clicks, spend without impressions, days without rows.
#[utoipa::path(get, path = "/v1/analytics/anomalies", tag = "performance", params(AnomalyQuery), responses((status = 200, body = Object, description = "`{rule, campaign_id, from, to, source, attributions, series, faults, missing_days}`"), (status = 404, description = "No such campaign"), (status = 422, description = "A parameter that is wrong")))]
pub async fn find_anomalies(state: Data<State>, caller: Caller, query: QueryOf<AnomalyQuery>) -> Result<Json<Value>, Problem> {
    let AnomalyQuery { campaign_id, from, to } = query.0;
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return Err(Problem::invalid_field("to", "is before from"));
    }
    let scope = caller.scope();
    let found = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &campaign_id)?;
            look(conn, &scope, &campaign, from, to)
        })
        .await?;
    found.map(Json).ok_or_else(|| Problem::invalid_field("from", format!("there are over {MAX_GROUPS} days; narrow from and to")))
}

/// Unusual days and faulty data of a campaign; none when there are too many days to be searched at once.
///
/// # Errors
/// As any query.
pub fn look(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Option<Value>, StorageError> {
    let retailer = retailers::find(conn, &campaign.retailer_id)?;
    let declared = retailer.attribution.as_ref().and_then(|value| Attribution::read(value).ok());
    let click_based: Vec<String> =
        declared.filter(|one| one.basis == Basis::Click).map(|_| retailer.retailer_id.clone()).into_iter().collect();
    let window = |day: NaiveDate| day.checked_sub_days(chrono::Days::new(WINDOW_DAYS)).unwrap_or(day);
    let query = SummaryQuery {
        campaign: Some(campaign.id),
        from: from.map(window),
        to,
        group_by: vec![Dimension::Day],
        limit: MAX_GROUPS,
        ..SummaryQuery::default()
    };
    let Some(days) = gather(conn, scope, &query)? else { return Ok(None) };
    let source = query.source();
    let rows = SummaryQuery { from, group_by: Vec::new(), ..query };
    let found = faults::find(conn, scope, &rows, &click_based, MAX_EXAMPLES as i64 + 1)?;
    let is_wanted = |day: NaiveDate| from.is_none_or(|from| day >= from);
    let mut series = Vec::new();
    let mut currencies: Vec<Option<String>> = days.iter().map(|day| day.row.currency.clone()).collect();
    currencies.sort();
    currencies.dedup();
    for currency in &currencies {
        let own: Vec<&Group> = days.iter().filter(|day| day.row.currency == *currency).collect();
        for (name, kind) in SERIES {
            series.push(search(&own, name, kind, currency.as_deref(), &is_wanted));
        }
    }
    let mut attributions: Vec<Option<Attribution>> = days.iter().map(|day| day.attribution).collect();
    attributions.sort();
    attributions.dedup();
    let missing = missing_days(&days, &is_wanted);
    let more = found.len() > MAX_EXAMPLES;
    let faults: Vec<Value> = found.iter().take(MAX_EXAMPLES).map(show_fault).collect();
    Ok(Some(json!({
        "rule": {
            "method": "median and MAD of the days before, adjusted for the day of the week",
            "window_days": WINDOW_DAYS, "least_days": MIN_DAYS, "threshold": THRESHOLD,
        },
        "campaign_id": campaign.campaign_id,
        "from": from,
        "to": to,
        "source": source,
        "attributions": attributions,
        "series": series,
        "faults": faults,
        "has_more_faults": more,
        "missing_days": missing.iter().take(MAX_EXAMPLES).collect::<Vec<_>>(),
        "missing_days_count": missing.len(),
    })))
}

fn day_of(group: &Group) -> Option<NaiveDate> {
    group.row.group.first()?.parse().ok()
}

fn search(days: &[&Group], name: &str, kind: Kind, currency: Option<&str>, is_wanted: &dyn Fn(NaiveDate) -> bool) -> Value {
    let value = |group: &Group| figures(&group.row).into_iter().find(|figure| figure.name == name)?.value;
    let known: Vec<(NaiveDate, f64)> =
        days.iter().filter(|day| !day.is_hidden).filter_map(|day| Some((day_of(day)?, value(day)?.as_f64()))).collect();
    let found = anomalies::search(&known, kind);
    // Money is kept in micros and shown in units.
    let unit = if kind == Kind::Money { 1e-6 } else { 1.0 };
    let flags = found.flags.iter().filter(|flag| is_wanted(flag.date)).map(|flag| {
        let (actual, expected) = (flag.actual * unit, flag.expected * unit);
        let why = format!("{name} {actual:.2} is {} than the {expected:.2} expected from {} days before", word(flag.direction), flag.n);
        json!({
            "date": flag.date, "actual": actual, "expected": expected, "score": flag.score, "n": flag.n, "direction": flag.direction,
            "is_weekday_adjusted": flag.is_weekday_adjusted, "why": why,
        })
    });
    json!({
        "measure": name,
        "currency": currency.filter(|_| kind == Kind::Money),
        "days": known.len(),
        "judged": found.judged,
        "too_few_days_before": found.too_few_days,
        "reason": reason(known.is_empty(), found.judged),
        "flags": flags.collect::<Vec<_>>(),
    })
}

fn reason(is_empty: bool, judged: usize) -> Option<planning::figure::Reason> {
    match (is_empty, judged) {
        (true, _) => Some(planning::figure::Reason::NotMeasured),
        (_, 0) => Some(planning::figure::Reason::TooFewDays),
        _ => None,
    }
}

fn word(direction: &str) -> &'static str {
    if direction == "high" { "more" } else { "less" }
}

/// Days without any row between the first and the last with one.
fn missing_days(days: &[Group], is_wanted: &dyn Fn(NaiveDate) -> bool) -> Vec<NaiveDate> {
    let known: std::collections::BTreeSet<NaiveDate> = days.iter().filter_map(day_of).collect();
    let (Some(first), Some(last)) = (known.first().copied(), known.last().copied()) else { return Vec::new() };
    first.iter_days().take_while(|day| *day <= last).filter(|day| !known.contains(day) && is_wanted(*day)).collect()
}

fn show_fault(fault: &faults::Fault) -> Value {
    let why = match fault.rule.as_str() {
        "clicks_above_impressions" => "more clicks than impressions",
        "spend_without_impressions" => "spend and no impression",
        _ => "more conversions than clicks, where the retailer counts orders after clicks",
    };
    json!({
        "rule": fault.rule, "why": why, "campaign_id": fault.campaign_id, "date": fault.date, "placement_type": fault.placement_type,
        "sku_id": fault.sku_id, "impressions": fault.impressions, "clicks": fault.clicks, "conversions": fault.conversions,
        "spend_micros": fault.spend_micros,
    })
}
