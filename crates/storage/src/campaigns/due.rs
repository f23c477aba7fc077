//! What the rules of a campaign's life ask the database: what was spent, which products can be advertised, and which campaigns are due to move.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use domain::scope::Scope;
use serde_json::Value;

use super::Campaign;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::row_security;
use crate::schema::{campaigns, performance_metrics, sku_catalog};

/// Products asked about in one statement.
const SKUS_PER_QUERY: usize = 500;
/// Of each campaign so many products are asked about together with those of the others, before it is asked about alone.
const FIRST_SKUS: usize = 20;

/// What the rows of a campaign say of its money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Spend in the campaign's currency; absent when none is measured.
    pub spent_micros: Option<i64>,
    /// Currencies that rows name, in order.
    pub currencies: Vec<String>,
}

/// What is measured of these campaigns, by primary key; a campaign without any row is absent.
///
/// # Errors
/// As any query.
pub fn measured(conn: &mut Connection, rows: &[&Campaign]) -> Result<HashMap<i64, Measured>, StorageError> {
    use performance_metrics as p;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let currencies: HashMap<i64, Option<&str>> = rows.iter().map(|row| (row.id, row.currency.as_deref())).collect();
    // The sum as BIGINT: PostgreSQL and MariaDB would widen it to a decimal.
    let sum = match conn {
        Connection::Mysql(_) => "CAST(SUM(spend_micros) AS SIGNED)",
        _ => "CAST(SUM(spend_micros) AS BIGINT)",
    };
    let sums: Vec<(i64, Option<String>, Option<i64>)> = on!(conn, c => p::table
        .filter(p::campaign.eq_any(&ids))
        .group_by((p::campaign, p::currency))
        .select((p::campaign, p::currency, diesel::dsl::sql::<Nullable<BigInt>>(sum)))
        .load(c))?;
    let mut found: HashMap<i64, Measured> = HashMap::new();
    for (campaign, currency, micros) in sums {
        let own = currencies.get(&campaign).copied().flatten();
        // Money without a currency is the campaign's; money in another one cannot be added.
        let counts = currency.is_none() || own.is_none() || currency.as_deref() == own;
        let measured = found.entry(campaign).or_default();
        if let Some(micros) = micros.filter(|_| counts) {
            measured.spent_micros = Some(measured.spent_micros.unwrap_or(0) + micros);
        }
        measured.currencies.extend(currency);
    }
    found.values_mut().for_each(|measured| measured.currencies.sort_unstable());
    Ok(found)
}

/// Those of these campaigns that name at least one product which is in the retailer's catalogue, not excluded by the campaign's
/// `excluded_skus` and not known to be out of stock. Catalogues are shared: whose product it is does not matter.
///
/// # Errors
/// As any query.
pub fn with_eligible_sku(conn: &mut Connection, rows: &[&Campaign]) -> Result<HashSet<i64>, StorageError> {
    let mut by_retailer: HashMap<&str, Vec<(i64, Vec<&str>)>> = HashMap::new();
    for row in rows {
        by_retailer.entry(row.retailer_id.as_str()).or_default().push((row.id, candidates(row)));
    }
    let mut found = HashSet::new();
    for (retailer_id, campaigns) in by_retailer {
        for batch in campaigns.chunks(SKUS_PER_QUERY / FIRST_SKUS) {
            let first: Vec<&str> = batch.iter().flat_map(|(_, skus)| skus.iter().take(FIRST_SKUS).copied()).collect();
            let eligible: HashSet<String> = eligible(conn, retailer_id, &first)?.into_iter().collect();
            for (id, skus) in batch {
                let (asked, rest) = skus.split_at(FIRST_SKUS.min(skus.len()));
                let mut has_one = asked.iter().any(|sku| eligible.contains(*sku));
                for chunk in rest.chunks(SKUS_PER_QUERY) {
                    has_one = has_one || !self::eligible(conn, retailer_id, chunk)?.is_empty();
                    if has_one {
                        break;
                    }
                }
                if has_one {
                    found.insert(*id);
                }
            }
        }
    }
    Ok(found)
}

fn candidates(row: &Campaign) -> Vec<&str> {
    let list = |value: Option<&'_ Value>| -> Vec<String> {
        value
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
            .unwrap_or_default()
    };
    let excluded: HashSet<String> = list(row.constraints.get("excluded_skus")).into_iter().collect();
    let named = row.target_skus.as_array().map(Vec::as_slice).unwrap_or_default();
    named.iter().filter_map(Value::as_str).filter(|sku| !excluded.contains(*sku)).collect()
}

fn eligible(conn: &mut Connection, retailer_id: &str, skus: &[&str]) -> Result<Vec<String>, StorageError> {
    use sku_catalog as s;
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    row_security::as_owner(conn, |conn| {
        Ok(on!(conn, c => s::table
        .filter(s::retailer_id.eq(retailer_id).and(s::sku_id.eq_any(skus)))
        .filter(s::is_in_stock.is_null().or(s::is_in_stock.eq(true)))
        .filter(s::stock_level.is_null().or(s::stock_level.gt(0)))
        .select(s::sku_id)
        .load(c))?)
    })
}

/// Scheduled campaigns whose first day is not after `day`, by primary key.
///
/// # Errors
/// As any query.
pub fn to_begin(conn: &mut Connection, scope: &Scope, day: NaiveDate, after: i64, limit: i64) -> Result<Vec<Campaign>, StorageError> {
    use campaigns as t;
    let rows: Vec<Campaign> = on!(conn, c => t::table
        .filter(t::status.eq("scheduled").and(t::start_date.le(day)).and(t::id.gt(after)))
        .select(Campaign::as_select())
        .order(t::id)
        .limit(limit)
        .load(c))?;
    Ok(rows.into_iter().filter(|row| scope.may_see(Some(&row.tenant_id))).collect())
}

/// Active campaigns whose last day is before `day`, by primary key.
///
/// # Errors
/// As any query.
pub fn to_end(conn: &mut Connection, scope: &Scope, day: NaiveDate, after: i64, limit: i64) -> Result<Vec<Campaign>, StorageError> {
    use campaigns as t;
    let rows: Vec<Campaign> = on!(conn, c => t::table
        .filter(t::status.eq("active").and(t::end_date.lt(day)).and(t::id.gt(after)))
        .select(Campaign::as_select())
        .order(t::id)
        .limit(limit)
        .load(c))?;
    Ok(rows.into_iter().filter(|row| scope.may_see(Some(&row.tenant_id))).collect())
}
