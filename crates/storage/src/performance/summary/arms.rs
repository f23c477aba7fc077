//! From where a query is answered: kept sums where they cover it, else rows of the base table.
//!
//! Kept sums exist by day, by month and for the whole life of a campaign; those by month also for each value of each one part of the
//! natural key. A query over whole months is answered from months; the days before and after whole months come from days, or, where
//! a part of the key is asked for, from the base table.

use chrono::{Datelike, Days, Months, NaiveDate};

use super::{Dimension, SummaryQuery};
use crate::performance::partitions::month_of;

/// A part of an answer: all arms of a query are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arm {
    pub(crate) table: Table,
    pub(crate) from: Option<NaiveDate>,
    pub(crate) to: Option<NaiveDate>,
}

/// What an arm reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Rows as they are now; of an earlier state only those that were not corrected since.
    Rows,
    /// What corrected rows said at the time asked for.
    Revisions,
    /// Kept sums of a grain and a part of the key (empty: of all rows).
    Rollup { grain: &'static str, dimension: &'static str },
}

/// The word by which an answer says what it was made from: `rollup`, `rows`, `mixed` or `as_of`.
pub(crate) fn source_word(arms: &[Arm]) -> &'static str {
    let rollups = arms.iter().filter(|arm| matches!(arm.table, Table::Rollup { .. })).count();
    match rollups {
        _ if arms.iter().any(|arm| arm.table == Table::Revisions) => "as_of",
        0 => "rows",
        all if all == arms.len() => "rollup",
        _ => "mixed",
    }
}

/// The arms that answer a query.
pub(crate) fn arms(query: &SummaryQuery) -> Vec<Arm> {
    let whole = |table| vec![Arm { table, from: query.from, to: query.to }];
    if query.as_of.is_some() {
        return [Table::Rows, Table::Revisions].map(|table| Arm { table, from: query.from, to: query.to }).into();
    }
    let parts = query.key_parts();
    let by_day = query.group_by.iter().any(|by| matches!(by, Dimension::Day | Dimension::Week));
    match parts.as_slice() {
        _ if query.only_rows => whole(Table::Rows),
        [] if by_day => whole(Table::Rollup { grain: "day", dimension: "" }),
        [] if query.from.is_none() && query.to.is_none() && !query.group_by.contains(&Dimension::Month) => {
            whole(Table::Rollup { grain: "total", dimension: "" })
        }
        [] => in_months(query, "", Table::Rollup { grain: "day", dimension: "" }),
        [part] if !by_day => in_months(query, part.name(), Table::Rows),
        _ => whole(Table::Rows),
    }
}

/// Whole months from kept sums, the days at both ends from `edges`.
fn in_months(query: &SummaryQuery, dimension: &'static str, edges: Table) -> Vec<Arm> {
    let (from, to) = (query.from, query.to);
    let first_month = from.map(|from| if from.day() == 1 { Some(from) } else { month_of(from).checked_add_months(Months::new(1)) });
    let after_last = to.map(|to| match to.checked_add_days(Days::new(1)) {
        Some(next) if next.day() == 1 => Some(next),
        _ => Some(month_of(to)),
    });
    let edge = |from, to| Arm { table: edges, from, to };
    let (Some(first_month), Some(after_last)) = (transpose(first_month), transpose(after_last)) else {
        return vec![edge(from, to)];
    };
    if let (Some(first), Some(after)) = (first_month, after_last)
        && first >= after
    {
        return vec![edge(from, to)];
    }
    let last = after_last.and_then(|after| after.pred_opt());
    let mut arms = vec![Arm { table: Table::Rollup { grain: "month", dimension }, from: first_month, to: last }];
    if from != first_month {
        arms.push(edge(from, first_month.and_then(|first| first.pred_opt())));
    }
    if to != last {
        arms.push(edge(after_last, to));
    }
    arms
}

/// `None` when a bound is beyond the calendar.
fn transpose(bound: Option<Option<NaiveDate>>) -> Option<Option<NaiveDate>> {
    match bound {
        None => Some(None),
        Some(Some(day)) => Some(Some(day)),
        Some(None) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn day(text: &str) -> Option<NaiveDate> {
        Some(text.parse().unwrap())
    }

    fn spans(query: &SummaryQuery) -> Vec<String> {
        let text = |day: Option<NaiveDate>| day.map_or("..".to_owned(), |day| day.to_string());
        arms(query).iter().map(|arm| format!("{:?} {} {}", arm.table, text(arm.from), text(arm.to))).collect()
    }

    #[test]
    fn whole_months_and_the_days_around_them() {
        let query = SummaryQuery { from: day("2025-01-15"), to: day("2025-04-10"), ..SummaryQuery::default() };
        let (month, days) = ("Rollup { grain: \"month\", dimension: \"\" }", "Rollup { grain: \"day\", dimension: \"\" }");
        let expected =
            [format!("{month} 2025-02-01 2025-03-31"), format!("{days} 2025-01-15 2025-01-31"), format!("{days} 2025-04-01 2025-04-10")];
        assert_eq!(spans(&query), expected);
        let query = SummaryQuery { from: day("2025-02-01"), to: day("2025-02-28"), ..SummaryQuery::default() };
        assert_eq!(spans(&query), [format!("{month} 2025-02-01 2025-02-28")]);
        let query = SummaryQuery { from: day("2025-02-02"), to: day("2025-03-30"), ..SummaryQuery::default() };
        assert_eq!(spans(&query), [format!("{days} 2025-02-02 2025-03-30")], "no whole month");
        let query = SummaryQuery { to: day("2025-03-30"), ..SummaryQuery::default() };
        assert_eq!(spans(&query), [format!("{month} .. 2025-02-28"), format!("{days} 2025-03-01 2025-03-30")]);
        assert_eq!(spans(&SummaryQuery::default()), ["Rollup { grain: \"total\", dimension: \"\" } .. .."]);
    }

    #[test]
    fn one_part_of_the_key_has_months_and_two_have_rows() {
        let one = SummaryQuery { from: day("2025-01-15"), group_by: vec![Dimension::SkuId], ..SummaryQuery::default() };
        let month = "Rollup { grain: \"month\", dimension: \"sku_id\" }";
        assert_eq!(spans(&one), [format!("{month} 2025-02-01 .."), "Rows 2025-01-15 2025-01-31".to_owned()]);
        let two = SummaryQuery { category: Some("x".into()), ..one.clone() };
        assert_eq!(spans(&two), ["Rows 2025-01-15 .."]);
        let by_day = SummaryQuery { group_by: vec![Dimension::SkuId, Dimension::Day], ..one };
        assert_eq!(spans(&by_day), ["Rows 2025-01-15 .."]);
    }
}
