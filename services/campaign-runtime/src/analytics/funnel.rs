//! From impressions to units: how many take each step, over the rows that measure both sides of it.

use actix_web::web::{Data, Json};
use chrono::{DateTime, NaiveDate, Utc};
use domain::attribution::Attribution;
use planning::figure::Reason;
use planning::metrics::Definition;
use serde::Deserialize;
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

/// What the rates mean, in the form of the definitions of analytics.
const RATES: [Definition; 3] = [
    Definition { name: "clicks", formula: "clicks / impressions", basis: "impression", unit: "ratio", is_attributed: false },
    Definition { name: "conversions", formula: "conversions / clicks", basis: "click", unit: "ratio", is_attributed: true },
    Definition { name: "units_sold", formula: "units_sold / conversions", basis: "attributed order", unit: "number", is_attributed: true },
];

/// What is asked: rows as for analytics, in one period.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FunnelQuery {
    /// First day.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// Last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
    /// Names as for analytics, with commas between; nothing makes one funnel. Declared attribution always separates funnels.
    pub group_by: Option<String>,
    /// Only a campaign.
    pub campaign_id: Option<String>,
    /// Only campaigns at a retailer.
    pub retailer_id: Option<String>,
    /// Only campaigns of a brand.
    pub brand_id: Option<String>,
    /// Only a placement type.
    pub placement_type: Option<String>,
    /// Only an audience segment.
    pub audience_segment: Option<String>,
    /// Only a category.
    pub category: Option<String>,
    /// Only a product.
    pub sku_id: Option<String>,
    /// Only one kind of impression.
    pub impression_kind: Option<String>,
    /// The data as they were at this time, before later corrections; needs `campaign_id`.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub as_of: Option<DateTime<Utc>>,
}

impl From<FunnelQuery> for AnalyticsQuery {
    fn from(asked: FunnelQuery) -> Self {
        Self {
            from: asked.from,
            to: asked.to,
            group_by: asked.group_by,
            campaign_id: asked.campaign_id,
            retailer_id: asked.retailer_id,
            brand_id: asked.brand_id,
            placement_type: asked.placement_type,
            audience_segment: asked.audience_segment,
            category: asked.category,
            sku_id: asked.sku_id,
            impression_kind: asked.impression_kind,
            as_of: asked.as_of,
            ..Self::default()
        }
    }
}

/// The funnel of what the filters choose: impressions, clicks, conversions, units, each with the rate of its step; one funnel for each declared
/// attribution and each value of `group_by`. Currencies do not matter to counts.
#[utoipa::path(get, path = "/v1/analytics/funnel", tag = "performance", params(FunnelQuery), responses((status = 200, body = Object, description = "`{group_by, from, to, as_of, source, metrics, data: [{attribution, steps}]}`"), (status = 404, description = "No such campaign"), (status = 422, description = "A parameter that is wrong")))]
pub async fn show_funnel(state: Data<State>, caller: Caller, query: QueryOf<FunnelQuery>) -> Result<Json<Value>, Problem> {
    let question = AnalyticsQuery::from(query.0).check()?;
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
    let names: Vec<&str> = question.query.group_by.iter().map(|by| by.name()).collect();
    Ok(Json(json!({
        "group_by": names,
        "from": question.query.from,
        "to": question.query.to,
        "as_of": question.query.as_of,
        "source": question.query.source(),
        "metrics": RATES,
        "data": data,
    })))
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
