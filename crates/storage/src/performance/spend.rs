//! Spend of campaigns for pacing, of many campaigns in one statement: the whole flight in one sum, the last four weeks by day.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Nullable};
use domain::scope::Scope;

use super::raw::{Bind, Statement, Words};
use crate::campaigns::Campaign;
use crate::connection::Connection;
use crate::error::StorageError;

/// Days by day.
pub const RECENT_DAYS: i64 = 28;

/// What a campaign spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spend {
    /// In the flight, up to and including the day asked for; absent when no row of its days has spend.
    pub flight_micros: Option<i64>,
    /// By day, the last four weeks of the flight up to the day asked for.
    pub by_day: Vec<(NaiveDate, i64)>,
    /// Impressions of the same days.
    pub impressions_by_day: Vec<(NaiveDate, i64)>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = BigInt)]
    campaign: i64,
    #[diesel(sql_type = Nullable<Date>)]
    day: Option<NaiveDate>,
    #[diesel(sql_type = BigInt)]
    has_spend: i64,
    #[diesel(sql_type = BigInt)]
    has_impressions: i64,
    #[diesel(sql_type = BigInt)]
    spend_micros: i64,
    #[diesel(sql_type = BigInt)]
    impressions: i64,
}

/// Spend of campaigns of this scope, in their own currency, by primary key. Answered from the rollups by day.
///
/// # Errors
/// As any query.
pub fn of_campaigns(
    conn: &mut Connection,
    scope: &Scope,
    campaigns: &[Campaign],
    as_of: NaiveDate,
) -> Result<HashMap<i64, Spend>, StorageError> {
    let mut spends: HashMap<i64, Spend> = HashMap::new();
    if campaigns.is_empty() {
        return Ok(spends);
    }
    for line in statement(conn, scope, campaigns, as_of).load::<Line>(conn)? {
        let spend = spends.entry(line.campaign).or_default();
        match line.day {
            None if line.has_spend > 0 => spend.flight_micros = Some(line.spend_micros),
            None => {}
            Some(day) => {
                if line.has_spend > 0 {
                    spend.by_day.push((day, line.spend_micros));
                }
                if line.has_impressions > 0 {
                    spend.impressions_by_day.push((day, line.impressions));
                }
            }
        }
    }
    for spend in spends.values_mut() {
        spend.by_day.sort_unstable();
        spend.impressions_by_day.sort_unstable();
    }
    Ok(spends)
}

/// How the database answers [`of_campaigns`].
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, scope: &Scope, campaigns: &[Campaign], as_of: NaiveDate) -> Result<Vec<String>, StorageError> {
    statement(conn, scope, campaigns, as_of).explain(conn)
}

fn statement(conn: &Connection, scope: &Scope, campaigns: &[Campaign], as_of: NaiveDate) -> Statement {
    let mut sql = Statement::new(conn);
    let recent = as_of - chrono::Duration::days(RECENT_DAYS - 1);
    let (words, whole) = (sql.words, sql.words.whole());
    let nothing = "CAST(NULL AS DATE)";
    let columns = |day: &str| {
        format!(
            "SELECT p.campaign AS campaign, {day} AS day, CAST(SUM(CASE WHEN (p.measured & 8) > 0 THEN 1 ELSE 0 END) AS {whole}) AS has_spend, \
             CAST(SUM(p.measured & 1) AS {whole}) AS has_impressions, CAST(SUM(p.spend_micros) AS {whole}) AS spend_micros, \
             CAST(SUM(p.impressions) AS {whole}) AS impressions FROM performance_rollups p JOIN campaigns c ON c.id = p.campaign"
        )
    };
    let conditions = |sql: &mut Statement| {
        sql.push(" WHERE p.campaign IN ").bind_all(campaigns.iter().map(|campaign| Bind::Key(campaign.id)));
        sql.push(" AND p.grain = 'day' AND p.dimension = ''");
        if let Some(tenant) = scope.tenant() {
            sql.push(" AND p.tenant_id = ").bind(Bind::Text(tenant.to_owned()));
        }
        sql.push(" AND p.period_start <= ").bind(Bind::Date(as_of));
        sql.push(" AND (c.end_date IS NULL OR p.period_start <= c.end_date) AND (c.start_date IS NULL OR p.period_start >= c.start_date)");
        // Money of another currency is not this budget's.
        sql.push(" AND (p.currency = '' OR c.currency IS NULL OR p.currency = c.currency)");
    };
    let no_day = if words == Words::Sqlite { "NULL" } else { nothing };
    sql.push(&columns(no_day));
    conditions(&mut sql);
    sql.push(" GROUP BY p.campaign UNION ALL ");
    sql.push(&columns("p.period_start"));
    conditions(&mut sql);
    sql.push(" AND p.period_start >= ").bind(Bind::Date(recent));
    sql.push(" GROUP BY p.campaign, p.period_start");
    sql
}
