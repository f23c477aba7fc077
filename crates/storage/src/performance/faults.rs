//! Rows that cannot be right: found by rule, with examples. Corrections are the retailer's; nothing is changed here.

use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::scope::Scope;

use super::raw::{Bind, Statement};
use super::summary::SummaryQuery;
use crate::connection::Connection;
use crate::error::StorageError;

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Fault {
    /// `clicks_above_impressions`, `conversions_above_clicks` or `spend_without_impressions`.
    #[diesel(sql_type = Text)]
    pub rule: String,
    /// Public id of the campaign.
    #[diesel(sql_type = Text)]
    pub campaign_id: String,
    /// Its retailer.
    #[diesel(sql_type = Text)]
    pub retailer_id: String,
    /// The day, as a text.
    #[diesel(sql_type = Text)]
    pub date: String,
    /// Placement type.
    #[diesel(sql_type = Text)]
    pub placement_type: String,
    /// Product.
    #[diesel(sql_type = Text)]
    pub sku_id: String,
    /// Ad impressions.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub impressions: Option<i64>,
    /// Clicks.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub clicks: Option<i64>,
    /// Attributed orders.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub conversions: Option<i64>,
    /// Spend in micros.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub spend_micros: Option<i64>,
}

/// Rows of this scope that break a rule, at most `limit`; filters as of a summary of rows, whose groups are not looked at. Conversions above clicks
/// are only wrong at the retailers named in `click_based`, which count orders after a click.
///
/// # Errors
/// As any query.
pub fn find(
    conn: &mut Connection,
    scope: &Scope,
    query: &SummaryQuery,
    click_based: &[String],
    limit: i64,
) -> Result<Vec<Fault>, StorageError> {
    statement(conn, scope, query, click_based, limit).load(conn)
}

/// How the database answers [`find`].
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Vec<String>, StorageError> {
    statement(conn, scope, query, &[], 10).explain(conn)
}

fn statement(conn: &Connection, scope: &Scope, query: &SummaryQuery, click_based: &[String], limit: i64) -> Statement {
    let mut sql = Statement::new(conn);
    let day = sql.words.day("p.date");
    sql.push(
        "SELECT CASE WHEN p.clicks > p.impressions THEN 'clicks_above_impressions' WHEN p.spend_micros > 0 AND p.impressions = 0 \
         THEN 'spend_without_impressions' ELSE 'conversions_above_clicks' END AS rule, c.campaign_id, c.retailer_id, ",
    );
    sql.push(&format!("{day} AS date, p.placement_type, p.sku_id, p.impressions, p.clicks, p.conversions, p.spend_micros "));
    sql.push("FROM performance_metrics p JOIN campaigns c ON c.id = p.campaign WHERE (p.clicks > p.impressions");
    sql.push(" OR (p.spend_micros > 0 AND p.impressions = 0)");
    if !click_based.is_empty() {
        sql.push(" OR (p.conversions > p.clicks AND c.retailer_id IN ").bind_all(click_based.iter().cloned().map(Bind::Text)).push(")");
    }
    sql.push(")");
    let day_bound = |bound: Option<NaiveDate>| bound.map(Bind::Date);
    let text = |value: &Option<String>| value.clone().map(Bind::Text);
    let conditions = [
        ("p.tenant_id =", scope.tenant().map(|tenant| Bind::Text(tenant.to_owned()))),
        ("p.campaign =", query.campaign.map(Bind::Key)),
        ("p.date >=", day_bound(query.from)),
        ("p.date <=", day_bound(query.to)),
        ("c.campaign_id =", text(&query.campaign_id)),
        ("c.retailer_id =", text(&query.retailer_id)),
        ("c.brand_id =", text(&query.brand_id)),
        ("p.placement_type =", text(&query.placement_type)),
        ("p.sku_id =", text(&query.sku_id)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push(&format!(" AND {condition} ")).bind(value);
        }
    }
    sql.push(&format!(" ORDER BY p.date, p.id LIMIT {}", limit.clamp(1, 1_000)));
    sql
}
