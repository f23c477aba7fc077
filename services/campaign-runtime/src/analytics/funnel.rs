//! From impressions to units: how many take each step, over the rows that measure both sides of it.

use actix_web::web::{Data, Json};
use domain::attribution::Attribution;
use planning::figure::Reason;
use serde_json::{Value, json};
use storage::performance::summary::{MAX_GROUPS, SummaryRow};
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use super::query::AnalyticsQuery;
use super::table::{Group, gather};
use crate::state::State;

/// The steps with the place of their rate among the ratios of a row.
const STEPS: [(&str, Option<usize>); 4] = [("impressions", None), ("clicks", Some(0)), ("conversions", Some(1)), ("units_sold", Some(8))];

/// The funnel of what the filters choose: impressions, clicks, conversions, units, each with the rate of its step; one funnel for each declared
/// attribution and each value of `group_by`. Currencies do not matter to counts.
#[utoipa::path(get, path = "/v1/analytics/funnel", tag = "performance", params(AnalyticsQuery), responses((status = 200, body = Object, description = "`{data: [{steps}]}`"), (status = 404, description = "No such campaign"), (status = 422, description = "A parameter that is wrong")))]
pub async fn show_funnel(state: Data<State>, caller: Caller, query: QueryOf<AnalyticsQuery>) -> Result<Json<Value>, Problem> {
    let question = query.0.check()?;
    if question.then.is_some() || question.order.is_some() {
        return Err(Problem::invalid_field("order_by", "a funnel has steps in their own order and one period"));
    }
    let (scope, asked) = (caller.scope(), question.clone());
    let groups = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let mut asked = asked;
            asked.resolve(conn, &scope)?;
            let Some(groups) = gather(conn, &scope, &asked.query)? else { return Ok(None) };
            Ok(Some(without_currency(groups)?))
        })
        .await?;
    let Some(groups) = groups else {
        return Err(Problem::invalid_field("group_by", format!("makes over {MAX_GROUPS} groups; group by less")));
    };
    let data: Vec<Value> = groups
        .iter()
        .map(|group| {
            let mut shown: serde_json::Map<String, Value> =
                question.query.group_by.iter().zip(&group.row.group).map(|(by, value)| (by.name().to_owned(), json!(value))).collect();
            shown.insert("attribution".to_owned(), json!(group.attribution));
            shown.insert("steps".to_owned(), json!(steps(&group.row, group.is_hidden)));
            Value::Object(shown)
        })
        .collect();
    Ok(Json(json!({"source": question.query.source(), "data": data})))
}

/// Adds up groups that differ in their currency only. A part that is hidden hides the whole.
fn without_currency(groups: Vec<Group>) -> Result<Vec<Group>, storage::error::StorageError> {
    let mut merged: Vec<Group> = Vec::new();
    let mut places: std::collections::HashMap<(Vec<String>, Option<Attribution>), usize> = std::collections::HashMap::new();
    for group in groups {
        let key = (group.row.group.clone(), group.attribution);
        match places.get(&key).and_then(|at| merged.get_mut(*at)) {
            Some(known) => {
                known.row.absorb(&group.row)?;
                known.is_hidden |= group.is_hidden;
            }
            None => {
                places.insert(key, merged.len());
                merged.push(group);
            }
        }
    }
    Ok(merged)
}

fn steps(row: &SummaryRow, is_hidden: bool) -> Vec<Value> {
    let counts = [row.impressions, row.clicks, row.conversions, row.units_sold];
    let steps = STEPS.iter().zip(counts).map(|((name, ratio), count)| {
        if is_hidden {
            return json!({"step": name, "count": null, "rate": null, "reason": Reason::BelowMinimumCellSize});
        }
        let pair = ratio.and_then(|at| row.pairs.get(at).copied());
        let (rate, reason) = match (count, pair) {
            (None, _) => (None, Some(Reason::NotMeasured)),
            (_, None) => (None, None),
            (_, Some((Some(numerator), Some(denominator)))) if denominator != 0 => (Some(numerator as f64 / denominator as f64), None),
            (_, Some((Some(_), Some(_)))) => (None, Some(Reason::ZeroDenominator)),
            _ => (None, Some(Reason::NotMeasured)),
        };
        let of = pair.map(|(numerator, denominator)| json!({"numerator": numerator, "denominator": denominator}));
        json!({"step": name, "count": count, "rate": rate, "over_rows_with_both": of, "reason": reason})
    });
    steps.collect()
}
