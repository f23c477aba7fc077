//! The statement of a query: one grouped select per arm, joined by UNION ALL, so that all arms see the same state.

use domain::scope::Scope;

use super::arms::{Arm, Table};
use super::{Dimension, MAX_CELLS, MEASURES, SummaryQuery};
use crate::connection::Connection;
use crate::performance::raw::{Bind, Statement};
use crate::types::Timestamp;

/// Which measures a row has, as a bit mask; the rollups keep the same number.
const MEASURED: &str = "(CASE WHEN p.impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN p.clicks IS NULL THEN 0 ELSE 2 END) \
    + (CASE WHEN p.conversions IS NULL THEN 0 ELSE 4 END) + (CASE WHEN p.spend_micros IS NULL THEN 0 ELSE 8 END) \
    + (CASE WHEN p.revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN p.units_sold IS NULL THEN 0 ELSE 32 END) \
    + (CASE WHEN p.new_to_brand_conversions IS NULL THEN 0 ELSE 64 END)";

/// The statement that answers a query by these arms.
pub(crate) fn statement(conn: &Connection, scope: &Scope, query: &SummaryQuery, arms: &[Arm]) -> Statement {
    let mut sql = Statement::new(conn);
    for (at, arm) in arms.iter().enumerate() {
        if at > 0 {
            sql.push(" UNION ALL ");
        }
        select(&mut sql, scope, query, arm);
    }
    sql.push(&format!(" LIMIT {}", MAX_CELLS + 1));
    sql
}

fn select(sql: &mut Statement, scope: &Scope, query: &SummaryQuery, arm: &Arm) {
    let is_rollup = matches!(arm.table, Table::Rollup { .. });
    let (table, date) = match arm.table {
        Table::Rows => ("performance_metrics", "p.date"),
        Table::Revisions => ("performance_revisions", "p.date"),
        Table::Rollup { .. } => ("performance_rollups", "p.period_start"),
    };
    let (currency, measured, n) = match is_rollup {
        true => ("COALESCE(NULLIF(p.currency, ''), c.currency)", "p.measured".to_owned(), "SUM(p.n)"),
        false => ("COALESCE(p.currency, c.currency)", MEASURED.to_owned(), "COUNT(*)"),
    };
    let whole = sql.words.whole();
    let mut groups: Vec<String> = query.group_by.iter().map(|by| expression(sql, *by, date, is_rollup)).collect();
    let mut columns = groups.clone();
    // Campaigns of different tenants may share a public id.
    if query.group_by.contains(&Dimension::Campaign) {
        columns.push("c.id".to_owned());
        groups.push("c.id".to_owned());
    } else {
        columns.push(format!("CAST(0 AS {whole})"));
    }
    if query.by_retailer {
        columns.push("c.retailer_id".to_owned());
        groups.push("c.retailer_id".to_owned());
    } else {
        columns.push(sql.words.no_text().to_owned());
    }
    columns.push(currency.to_owned());
    columns.push(format!("CAST({measured} AS {whole})"));
    columns.push(format!("CAST({n} AS {whole})"));
    groups.extend([currency.to_owned(), measured]);
    columns.extend(MEASURES.iter().map(|measure| format!("CAST(COALESCE(SUM(p.{measure}), 0) AS {whole})")));
    groups.dedup();
    sql.push(&format!("SELECT {} FROM {table} p JOIN campaigns c ON c.id = p.campaign", columns.join(", ")));
    conditions(sql, scope, query, arm, date);
    sql.push(&format!(" GROUP BY {}", groups.join(", ")));
}

fn conditions(sql: &mut Statement, scope: &Scope, query: &SummaryQuery, arm: &Arm, date: &str) {
    let mut word = " WHERE ";
    let mut add = |sql: &mut Statement, condition: &str, value: Option<Bind>| {
        if let Some(value) = value {
            sql.push(word).push(condition).bind(value);
            word = " AND ";
        }
    };
    let text = |value: &Option<String>| value.clone().map(Bind::Text);
    let day = |value: Option<chrono::NaiveDate>| value.map(Bind::Date);
    if let Table::Rollup { grain, dimension } = arm.table {
        add(sql, "p.grain = ", Some(Bind::Text(grain.to_owned())));
        add(sql, "p.dimension = ", Some(Bind::Text(dimension.to_owned())));
    }
    add(sql, "p.tenant_id = ", scope.tenant().map(|tenant| Bind::Text(tenant.to_owned())));
    add(sql, &format!("{date} >= "), day(arm.from));
    add(sql, &format!("{date} <= "), day(arm.to));
    add(sql, "p.campaign = ", query.campaign.map(Bind::Key));
    add(sql, "c.campaign_id = ", text(&query.campaign_id));
    add(sql, "c.retailer_id = ", text(&query.retailer_id));
    add(sql, "c.brand_id = ", text(&query.brand_id));
    for (part, value) in query.part_filters() {
        let column = if matches!(arm.table, Table::Rollup { .. }) { "value" } else { part.name() };
        add(sql, &format!("p.{column} = "), Some(Bind::Text(value)));
    }
    let as_of = query.as_of.map(|at| Bind::Instant(Timestamp(at)));
    match arm.table {
        Table::Rows => add(sql, "p.updated_at <= ", as_of),
        Table::Revisions => {
            add(sql, "p.valid_from <= ", as_of.clone());
            add(sql, "p.replaced_at > ", as_of);
        }
        Table::Rollup { .. } => {}
    }
}

fn expression(sql: &Statement, by: Dimension, date: &str, is_rollup: bool) -> String {
    match by {
        Dimension::Day => sql.words.day(date),
        Dimension::Week => sql.words.week(date),
        Dimension::Month => sql.words.month(date),
        Dimension::Campaign => "c.campaign_id".to_owned(),
        Dimension::Retailer => "c.retailer_id".to_owned(),
        Dimension::Brand => "c.brand_id".to_owned(),
        part if is_rollup => {
            debug_assert!(part.is_key_part());
            "p.value".to_owned()
        }
        part => format!("p.{}", part.name()),
    }
}
