//! The list of campaigns as people work with it: searched, filtered, sorted and paged, with what was spent of each, in a handful of
//! queries whatever the length of the page.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};
use domain::scope::Scope;
use serde::{Deserialize, Serialize};

use crate::campaigns::CampaignFilter;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::matching::{contains, lower};
use crate::on;
use crate::schema::{brands as b, campaigns as t, performance_rollups as p, retailers as r, sku_catalog as s};
use crate::types::Timestamp;

/// Choices that a filter offers at most; more are found by their id in the address.
const CHOICES: i64 = 500;

/// Sums say by a bit for each measure which of them their rows had; the bit of spend is 8.
const SPEND_WAS_MEASURED: &str = "(performance_rollups.measured & 8) <> 0";

/// A campaign without its long lists.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct CampaignLine {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub campaign_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Where it runs.
    pub retailer_id: String,
    /// The (leading) brand.
    pub brand_id: Option<String>,
    /// Name.
    pub name: String,
    /// A word of `domain::campaign::Objective`.
    pub objective: Option<String>,
    /// First day.
    pub start_date: Option<NaiveDate>,
    /// Last day, included.
    pub end_date: Option<NaiveDate>,
    /// Budget in micros of `currency`.
    pub total_budget_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// A word of `domain::campaign::CampaignStatus`.
    pub status: String,
    /// Grows by one with each change.
    pub version: i32,
    /// Last change.
    pub updated_at: Timestamp,
}

/// The order of the list; the primary key decides between equals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Stored last first.
    #[default]
    Newest,
    /// Changed last first.
    Changed,
    /// By name.
    Name,
    /// By last day; those without one at the end.
    Ending,
}

/// The last row of the page before: its value of the order's column, and its primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// Of [`Order::Newest`].
    Newest(i64),
    /// Of [`Order::Changed`].
    Changed(Timestamp, i64),
    /// Of [`Order::Name`].
    Name(String, i64),
    /// Of [`Order::Ending`].
    Ending(#[serde(deserialize_with = "domain::day::read")] Option<NaiveDate>, i64),
}

impl CampaignLine {
    /// Where a list in this order goes on after this row.
    #[must_use]
    pub fn place(&self, order: Order) -> After {
        match order {
            Order::Newest => After::Newest(self.id),
            Order::Changed => After::Changed(self.updated_at, self.id),
            Order::Name => After::Name(self.name.clone(), self.id),
            Order::Ending => After::Ending(self.end_date, self.id),
        }
    }
}

/// What is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which campaigns.
    pub filter: CampaignFilter,
    /// Only those whose name or id holds this text; letter case does not matter.
    pub search: Option<String>,
    /// In which order.
    pub order: Order,
    /// Where to go on.
    pub after: Option<After>,
    /// Rows at most, 1 to 500.
    pub limit: i64,
}

/// Something to filter by: id and name.
pub type Choice = (String, String);

/// What the filters offer: retailers and brands that have a campaign, each by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Retailers.
    pub retailers: Vec<Choice>,
    /// Brands.
    pub brands: Vec<Choice>,
}

/// Campaigns of this scope, one row more than asked for when there is another page.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, wish: &Wish) -> Result<Vec<CampaignLine>, StorageError> {
    let limit = wish.limit.clamp(1, 500) + 1;
    if wish.order != Order::Ending {
        return part(conn, scope, wish, Dates::Any, limit);
    }
    // Where absent dates stand in an index differs between databases, so those with a day are read first and the others after them.
    let mut rows = match wish.after {
        Some(After::Ending(None, _)) => Vec::new(),
        _ => part(conn, scope, wish, Dates::Known, limit)?,
    };
    let left = limit - i64::try_from(rows.len()).unwrap_or(limit);
    if left > 0 {
        rows.extend(part(conn, scope, wish, Dates::Absent, left)?);
    }
    Ok(rows)
}

/// Which campaigns by their last day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dates {
    Any,
    Known,
    Absent,
}

fn part(conn: &mut Connection, scope: &Scope, wish: &Wish, dates: Dates, limit: i64) -> Result<Vec<CampaignLine>, StorageError> {
    let filter = &wish.filter;
    let pattern = wish.search.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(contains);
    Ok(on!(conn, c => {
        let mut query = t::table.select(CampaignLine::as_select()).limit(limit).into_boxed();
        for tenant in [scope.tenant(), filter.tenant_id.as_deref()].into_iter().flatten() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(retailer_id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        if let Some(brand_id) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand_id));
        }
        if let Some(status) = &filter.status {
            query = query.filter(t::status.eq(status));
        }
        if let Some(objective) = &filter.objective {
            query = query.filter(t::objective.eq(objective));
        }
        if let Some(pattern) = &pattern {
            query = query.filter(lower(t::name).like(pattern).escape('!').or(lower(t::campaign_id).like(pattern).escape('!')));
        }
        query = match dates {
            Dates::Any => query,
            Dates::Known => query.filter(t::end_date.is_not_null()),
            Dates::Absent => query.filter(t::end_date.is_null()),
        };
        query = match wish.order {
            Order::Newest => query.order(t::id.desc()),
            Order::Changed => query.order((t::updated_at.desc(), t::id.desc())),
            Order::Name => query.order((t::name, t::id)),
            Order::Ending => query.order((t::end_date, t::id)),
        };
        // The first condition of each pair is for databases that do not see a range of an index in the second.
        query = match &wish.after {
            None => query,
            Some(After::Newest(id)) => query.filter(t::id.lt(*id)),
            Some(After::Changed(at, id)) => {
                query.filter(t::updated_at.le(*at)).filter(t::updated_at.lt(*at).or(t::updated_at.eq(*at).and(t::id.lt(*id))))
            }
            Some(After::Name(name, id)) => {
                query.filter(t::name.ge(name)).filter(t::name.gt(name).or(t::name.eq(name).and(t::id.gt(*id))))
            }
            Some(After::Ending(Some(day), id)) if dates == Dates::Known => {
                query.filter(t::end_date.ge(*day)).filter(t::end_date.gt(*day).or(t::end_date.eq(*day).and(t::id.gt(*id))))
            }
            Some(After::Ending(None, id)) => query.filter(t::id.gt(*id)),
            Some(After::Ending(Some(_), _)) => query,
        };
        query.load(c)
    })?)
}

/// Measured spend within its own dates up to `as_of` of each of these campaigns, in its own currency: one grouped query over the sums by
/// day. A campaign without any is absent.
///
/// # Errors
/// As any query.
pub fn spend(conn: &mut Connection, scope: &Scope, campaigns: &[i64], as_of: NaiveDate) -> Result<HashMap<i64, i64>, StorageError> {
    if campaigns.is_empty() {
        return Ok(HashMap::new());
    }
    // The sum as BIGINT: PostgreSQL and MariaDB would widen it to a decimal.
    let sum = match conn {
        Connection::Mysql(_) => "CAST(SUM(performance_rollups.spend_micros) AS SIGNED)",
        _ => "CAST(SUM(performance_rollups.spend_micros) AS BIGINT)",
    };
    let sums: Vec<(i64, Option<i64>)> = on!(conn, c => {
        let mut query = p::table
            .inner_join(t::table.on(t::id.eq(p::campaign)))
            .filter(p::campaign.eq_any(campaigns).and(p::grain.eq("day")).and(p::dimension.eq("")).and(p::period_start.le(as_of)))
            .filter(t::start_date.is_null().or(t::start_date.le(p::period_start.nullable())))
            .filter(t::end_date.is_null().or(t::end_date.ge(p::period_start.nullable())))
            // Money without a currency is the campaign's; money in another one cannot be added.
            .filter(p::currency.eq("").or(t::currency.eq(p::currency.nullable())))
            .filter(sql::<Bool>(SPEND_WAS_MEASURED))
            .group_by(p::campaign)
            .select((p::campaign, sql::<Nullable<BigInt>>(sum)))
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(p::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    Ok(sums.into_iter().filter_map(|(campaign, micros)| Some((campaign, micros?))).collect())
}

/// Retailers and brands that have a campaign of this scope.
///
/// # Errors
/// As any query.
pub fn choices(conn: &mut Connection, scope: &Scope) -> Result<Choices, StorageError> {
    let retailers: Vec<String> = on!(conn, c => {
        let mut query = t::table.select(t::retailer_id).distinct().order(t::retailer_id).limit(CHOICES).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    let brands: Vec<Option<String>> = on!(conn, c => {
        let mut query =
            t::table.filter(t::brand_id.is_not_null()).select(t::brand_id).distinct().order(t::brand_id).limit(CHOICES).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    let brands: Vec<String> = brands.into_iter().flatten().collect();
    let (retailer_names, brand_names) = (retailer_names(conn, &retailers)?, brand_names(conn, &brands)?);
    Ok(Choices { retailers: named(retailers, &retailer_names), brands: named(brands, &brand_names) })
}

/// Names of retailers by their public ids.
///
/// # Errors
/// As any query.
pub fn retailer_names(conn: &mut Connection, ids: &[String]) -> Result<BTreeMap<String, String>, StorageError> {
    let rows: Vec<Choice> = on!(conn, c => r::table.filter(r::retailer_id.eq_any(ids)).select((r::retailer_id, r::name)).load(c))?;
    Ok(rows.into_iter().collect())
}

/// Names of the brands of campaigns that were found in a scope: whoever sees the campaign sees its brand's name.
///
/// # Errors
/// As any query.
pub fn brand_names(conn: &mut Connection, ids: &[String]) -> Result<BTreeMap<String, String>, StorageError> {
    let rows: Vec<Choice> = on!(conn, c => b::table.filter(b::brand_id.eq_any(ids)).select((b::brand_id, b::name)).load(c))?;
    Ok(rows.into_iter().collect())
}

/// Names of a retailer's products in campaigns that were found in a scope: whoever sees the campaign sees what it advertises.
///
/// # Errors
/// As any query.
pub fn product_names(conn: &mut Connection, retailer_id: &str, ids: &[&str]) -> Result<BTreeMap<String, String>, StorageError> {
    let wanted = s::retailer_id.eq(retailer_id).and(s::sku_id.eq_any(ids));
    let rows: Vec<Choice> = on!(conn, c => s::table.filter(wanted).select((s::sku_id, s::name)).load(c))?;
    Ok(rows.into_iter().collect())
}

fn named(ids: Vec<String>, names: &BTreeMap<String, String>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = ids.into_iter().map(|id| (names.get(&id).cloned().unwrap_or_else(|| id.clone()), id)).collect();
    choices.sort();
    choices.into_iter().map(|(name, id)| (id, name)).collect()
}
