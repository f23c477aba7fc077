//! Reading rows: as they are, as they were, and what was corrected.

use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign};
use storage::performance::rows::{self, Metric, Part, RowFilter, RowKey};
use web::caller::Caller;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::show_money;
use crate::state::State;

/// Filters of the rows.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RowQuery {
    /// First day.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// Last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
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
    /// The rows as they were at this time, before later corrections.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub as_of: Option<DateTime<Utc>>,
}

impl RowQuery {
    /// As storage wants it.
    ///
    /// # Errors
    /// 422 when the period is backwards.
    pub fn check(self) -> Result<RowFilter, Problem> {
        if self.from.zip(self.to).is_some_and(|(from, to)| to < from) {
            return Err(Problem::invalid_field("to", "is before from"));
        }
        let parts = [
            (Part::PlacementType, self.placement_type),
            (Part::AudienceSegment, self.audience_segment),
            (Part::Category, self.category),
            (Part::SkuId, self.sku_id),
            (Part::ImpressionKind, self.impression_kind),
        ];
        let parts = parts.into_iter().filter_map(|(part, value)| Some((part, value?))).collect();
        Ok(RowFilter { from: self.from, to: self.to, parts, as_of: self.as_of })
    }
}

fn show(metric: &Metric, campaign: &Campaign) -> Result<Value, Problem> {
    let mut row = serde_json::to_value(metric).map_err(Problem::internal)?;
    // Money without a currency of its own is in the campaign's.
    let currency = metric.currency.as_deref().or(campaign.currency.as_deref());
    show_money(&mut row, "spend_micros", "spend", currency);
    show_money(&mut row, "revenue_micros", "revenue", currency);
    if let Value::Object(fields) = &mut row {
        fields.insert("campaign_id".to_owned(), json!(campaign.campaign_id));
    }
    Ok(row)
}

/// The rows of a campaign in the order of their natural key; with `as_of` as they were then.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/performance", tag = "performance", params(("campaign_id" = String, Path), RowQuery, web::paging::Page), responses((status = 200, body = Object, description = "`{data, next_cursor}`"), (status = 404, description = "No such campaign")))]
pub async fn list_performance(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: ListQuery<RowQuery>,
) -> Result<Json<Slice<Value>>, Problem> {
    read(&state, &caller, id.into_inner(), query, false).await
}

/// What rows of a campaign said before they were corrected, each with the time it stood.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/performance/revisions", tag = "performance", params(("campaign_id" = String, Path), RowQuery, web::paging::Page), responses((status = 200, body = Object, description = "`{data, next_cursor}`"), (status = 404, description = "No such campaign")))]
pub async fn list_performance_revisions(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: ListQuery<RowQuery>,
) -> Result<Json<Slice<Value>>, Problem> {
    if query.filter.as_of.is_some() {
        return Err(Problem::invalid_field("as_of", "revisions are all former states; ask for the rows as of a time instead"));
    }
    read(&state, &caller, id.into_inner(), query, true).await
}

async fn read(state: &State, caller: &Caller, id: String, query: ListQuery<RowQuery>, former: bool) -> Result<Json<Slice<Value>>, Problem> {
    let ListQuery { filter, page } = query;
    let filter = filter.check()?;
    let after: Option<RowKey> = page.after()?;
    let (scope, limit) = (caller.scope(), page.limit_and_one());
    let (campaign, found) = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            let list = if former { rows::revisions } else { rows::list };
            let found = list(conn, &scope, campaign.id, &filter, after.as_ref(), limit)?;
            Ok((campaign, found))
        })
        .await?;
    let slice = Slice::of_rows(found, &page, Metric::key);
    let data = slice.data.iter().map(|metric| show(metric, &campaign)).collect::<Result<Vec<Value>, Problem>>()?;
    Ok(Json(Slice { data, next_cursor: slice.next_cursor }))
}
