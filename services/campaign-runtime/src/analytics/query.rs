//! What can be asked of analytics, checked.

use chrono::{DateTime, NaiveDate, Utc};
use domain::scope::Scope;
use serde::Deserialize;
use storage::campaigns;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, SummaryRow};
use web::problem::Problem;

use super::figures::figures;
use super::table::Order;

/// Most groups of a ranking.
const MAX_TOP: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AnalyticsQuery {
    /// First day.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// Last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
    /// Names out of `day`, `week`, `month`, `campaign`, `placement_type`, `audience_segment`, `category`, `sku_id`, `retailer`,
    /// `impression_kind`, `brand`, with commas between; nothing sums all rows. Currency and declared attribution always separate groups.
    pub group_by: Option<String>,
    /// Only a campaign; 404 when there is none of this name that the caller may see.
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
    /// The first so many groups of each currency and attribution, 1 to 1,000, and the rest as one group with `is_rest`.
    pub top: Option<usize>,
    /// A figure by which groups are ordered, with `-` before it from the greatest down; `-spend` with `top`.
    pub order_by: Option<String>,
    /// First day of a period to compare with, which has no day in common with the other.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub compare_from: Option<NaiveDate>,
    /// Its last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub compare_to: Option<NaiveDate>,
    /// The data as they were at this time, before later corrections; needs `campaign_id`.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub as_of: Option<DateTime<Utc>>,
}

/// A checked question.
#[derive(Debug, Clone)]
pub struct Question {
    /// The sums wanted.
    pub query: SummaryQuery,
    /// The same over the period compared with.
    pub then: Option<SummaryQuery>,
    /// How groups are ranked.
    pub order: Option<Order>,
    /// How many groups stand alone.
    pub top: Option<usize>,
}

impl AnalyticsQuery {
    /// Checks what is asked.
    ///
    /// # Errors
    /// 422 naming the parameter.
    pub fn check(self) -> Result<Question, Problem> {
        let is_backwards = |from: Option<NaiveDate>, to: Option<NaiveDate>| from.zip(to).is_some_and(|(from, to)| to < from);
        if is_backwards(self.from, self.to) {
            return Err(Problem::invalid_field("to", "is before from"));
        }
        if is_backwards(self.compare_from, self.compare_to) {
            return Err(Problem::invalid_field("compare_to", "is before compare_from"));
        }
        let group_by = read_group_by(self.group_by.as_deref())?;
        let compares = self.compare_from.is_some() || self.compare_to.is_some();
        if compares && (self.compare_from.is_none() || self.compare_to.is_none() || self.from.is_none() || self.to.is_none()) {
            return Err(Problem::invalid_field("compare_from", "a comparison needs from, to, compare_from and compare_to"));
        }
        if compares && self.compare_from <= self.to && self.from <= self.compare_to {
            let why = "the two periods must have no day in common: what they do not share would be told by their difference, however few people \
                       it is about; end one before the other begins";
            return Err(Problem::invalid_field("compare_from", why));
        }
        if compares && group_by.iter().any(|by| matches!(by, Dimension::Day | Dimension::Week | Dimension::Month)) {
            return Err(Problem::invalid_field("group_by", "two periods have no days in common; leave out day, week and month"));
        }
        if self.as_of.is_some() && self.campaign_id.is_none() {
            return Err(Problem::invalid_field("as_of", "needs campaign_id: earlier states are kept by campaign"));
        }
        if self.top.is_some_and(|top| !(1..=MAX_TOP).contains(&top)) {
            return Err(Problem::invalid_field("top", format!("must be 1 to {MAX_TOP}")));
        }
        let order = match self.order_by.as_deref() {
            Some(text) => Some(read_order(text)?),
            None => self.top.map(|_| Order { by: "spend", is_descending: true }),
        };
        let query = SummaryQuery {
            from: self.from,
            to: self.to,
            campaign_id: self.campaign_id,
            retailer_id: self.retailer_id,
            brand_id: self.brand_id,
            placement_type: self.placement_type,
            audience_segment: self.audience_segment,
            category: self.category,
            sku_id: self.sku_id,
            impression_kind: self.impression_kind,
            group_by,
            limit: MAX_GROUPS,
            as_of: self.as_of,
            ..SummaryQuery::default()
        };
        let then = compares.then(|| SummaryQuery { from: self.compare_from, to: self.compare_to, ..query.clone() });
        Ok(Question { query, then, order, top: self.top })
    }
}

impl Question {
    /// Looks whether the campaign asked about is there, and names that of an earlier state by its primary key, whose rows an index holds
    /// together.
    ///
    /// # Errors
    /// 404 when the caller may see no such campaign.
    pub fn resolve(&mut self, conn: &mut Connection, scope: &Scope) -> Result<(), StorageError> {
        let Some(campaign_id) = &self.query.campaign_id else { return Ok(()) };
        // Several tenants may have a campaign of this name: whoever sees them all may ask for the sums of all.
        if self.query.as_of.is_none() {
            return match campaigns::find_many(conn, scope, &[campaign_id])?.is_empty() {
                true => Err(StorageError::not_found("campaign", campaign_id)),
                false => Ok(()),
            };
        }
        let id = campaigns::find(conn, scope, campaign_id)?.id;
        self.query.campaign = Some(id);
        if let Some(then) = &mut self.then {
            then.campaign = Some(id);
        }
        Ok(())
    }
}

fn read_group_by(text: Option<&str>) -> Result<Vec<Dimension>, Problem> {
    let mut group_by = Vec::new();
    for name in text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let names = Dimension::ALL.map(|(_, name)| name).join(", ");
        let known = Dimension::ALL.iter().find(|(_, known)| *known == name);
        let (dimension, _) = known.ok_or_else(|| Problem::invalid_field("group_by", format!("{name:?} is not one of {names}")))?;
        if group_by.contains(dimension) {
            return Err(Problem::invalid_field("group_by", format!("{name:?} is given twice")));
        }
        group_by.push(*dimension);
    }
    Ok(group_by)
}

fn read_order(text: &str) -> Result<Order, Problem> {
    let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let known = figures(&SummaryRow::default());
    let Some(found) = known.iter().find(|shown| shown.name == name) else {
        let names: Vec<&str> = known.iter().map(|shown| shown.name).collect();
        return Err(Problem::invalid_field("order_by", format!("{name:?} is not one of {}", names.join(", "))));
    };
    Ok(Order { by: found.name, is_descending })
}
