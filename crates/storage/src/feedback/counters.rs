//! Feedback counted as it comes in: a row a brand, task type, kind and day, and one for ever. Statistics over whole days are sums of these
//! rows; a million pieces of feedback are a few thousand of them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use domain::scope::Scope;

use super::{FeedbackFilter, NewFeedback};
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::schema::feedback_counters as t;
use crate::{insert_adding, on};

/// Stands for all days together.
pub(super) const EVER: NaiveDate = NaiveDate::from_ymd_opt(1000, 1, 1).expect("a date of the calendar");

#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub(super) struct Row<'a> {
    tenant_id: &'a str,
    brand_id: &'a str,
    task_type: &'a str,
    feedback_type: &'a str,
    day: NaiveDate,
    n: i32,
    stars: i32,
}

/// Brand, day, tenant, task type and kind.
type Key<'a> = (&'a str, NaiveDate, &'a str, &'a str, &'a str);

/// Counts feedback that is stored by the same transaction; call it late, for others wait for these rows until the transaction ends.
///
/// # Errors
/// As any query.
pub(super) fn count(conn: &mut Connection, new: &[NewFeedback], now: DateTime<Utc>) -> Result<(), StorageError> {
    let rows = rows_of(new, now);
    // One piece is the common case; its statement has the same text each time and is prepared once.
    if let [ever, today] = rows.as_slice() {
        insert_adding!(conn, t, [ever, today], (brand_id, day, tenant_id, task_type, feedback_type) => n, stars)?;
        return Ok(());
    }
    for some in rows.chunks(ROWS_PER_STATEMENT) {
        insert_adding!(conn, t, some, (brand_id, day, tenant_id, task_type, feedback_type) => n, stars)?;
    }
    Ok(())
}

/// What is added to the counters for these pieces, in the order of the keys, which is the same for all writers: none waits for one who waits
/// for it.
pub(super) fn rows_of(new: &[NewFeedback], now: DateTime<Utc>) -> Vec<Row<'_>> {
    let mut counted: BTreeMap<Key<'_>, (i32, i32)> = BTreeMap::new();
    for row in new {
        for day in [EVER, now.date_naive()] {
            let key = (
                row.brand_id.as_deref().unwrap_or_default(),
                day,
                row.tenant_id.as_str(),
                row.task_type.as_str(),
                row.feedback_type.as_str(),
            );
            let (n, stars) = counted.entry(key).or_default();
            (*n, *stars) = (*n + 1, *stars + row.rating.unwrap_or(0));
        }
    }
    let row = |((brand_id, day, tenant_id, task_type, feedback_type), (n, stars))| Row {
        tenant_id,
        brand_id,
        task_type,
        feedback_type,
        day,
        n,
        stars,
    };
    counted.into_iter().map(row).collect()
}

/// Days, from the first to the one before the last; without an end for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) from: Option<NaiveDate>,
    pub(super) before: Option<NaiveDate>,
}

/// Narrows a boxed query on the counters to a scope and the parts of a filter that counters know.
macro_rules! narrowed {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let (mut query, filter): (_, &FeedbackFilter) = ($query, $filter);
        if let Some(tenant) = $scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant.to_owned()));
        }
        if let Some(brand) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand));
        }
        if let Some(retailer) = &filter.retailer_id {
            use crate::schema::brands;
            query = query.filter(t::brand_id.eq_any(brands::table.filter(brands::retailer_id.eq(retailer)).select(brands::brand_id)));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(t::task_type.eq(word));
        }
        if let Some(word) = &filter.feedback_type {
            query = query.filter(t::feedback_type.eq(word));
        }
        query
    }};
}

/// Counts by task type and kind, and the sum of stars.
pub(super) fn groups(
    conn: &mut Connection,
    scope: &Scope,
    filter: &FeedbackFilter,
    days: Span,
) -> Result<Vec<(String, String, i64, i64)>, StorageError> {
    use diesel::dsl::sum;
    let rows: Vec<(String, String, Option<i64>, Option<i64>)> = on!(conn, c => {
        let all = t::table.group_by((t::task_type, t::feedback_type)).select((t::task_type, t::feedback_type, sum(t::n), sum(t::stars))).into_boxed();
        let mut query = narrowed!(all, scope, filter);
        query = match days {
            Span { from: None, before: None } => query.filter(t::day.eq(EVER)),
            Span { from, before } => {
                // The row for ever is no day, however early a span begins.
                let first = EVER.succ_opt().unwrap_or(EVER);
                let query = query.filter(t::day.ge(from.map_or(first, |from| from.max(first))));
                match before {
                    Some(before) => query.filter(t::day.lt(before)),
                    None => query,
                }
            }
        };
        query.load(c)
    })?;
    Ok(rows.into_iter().map(|(task_type, kind, n, stars)| (task_type, kind, n.unwrap_or(0), stars.unwrap_or(0))).collect())
}

/// The newest day of a span with anything that the filter selects.
pub(super) fn newest_day(
    conn: &mut Connection,
    scope: &Scope,
    filter: &FeedbackFilter,
    days: Span,
) -> Result<Option<NaiveDate>, StorageError> {
    Ok(on!(conn, c => {
        let all = t::table.select(t::day).filter(t::day.gt(EVER)).order(t::day.desc()).limit(1).into_boxed();
        let mut query = narrowed!(all, scope, filter);
        if let Some(before) = days.before {
            query = query.filter(t::day.lt(before));
        }
        query.first(c).optional()
    })?)
}

/// Counts by day and kind of the newest days, newest first.
pub(super) fn daily(
    conn: &mut Connection,
    scope: &Scope,
    filter: &FeedbackFilter,
    days: Span,
    limit: i64,
) -> Result<Vec<(NaiveDate, String, i64)>, StorageError> {
    use diesel::dsl::sum;
    let rows: Vec<(NaiveDate, String, Option<i64>)> = on!(conn, c => {
        let all = t::table
            .group_by((t::day, t::feedback_type))
            .select((t::day, t::feedback_type, sum(t::n)))
            .filter(t::day.gt(EVER))
            .order(t::day.desc())
            .limit(limit)
            .into_boxed();
        let mut query = narrowed!(all, scope, filter);
        if let Some(from) = days.from {
            query = query.filter(t::day.ge(from));
        }
        if let Some(before) = days.before {
            query = query.filter(t::day.lt(before));
        }
        query.load(c)
    })?;
    Ok(rows.into_iter().map(|(day, kind, n)| (day, kind, n.unwrap_or(0))).collect())
}
