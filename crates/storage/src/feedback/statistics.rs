//! Feedback in numbers: from counters that are kept with each row, so that a million rows cost little more than ten.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use diesel::dsl::{count_star, sql, sum};
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::feedback::FeedbackType;
use domain::scope::Scope;
use serde::Serialize;

use super::counters::{self, Span};
use super::{FeedbackFilter, narrowed};
use crate::connection::Connection;
use crate::dialect::day_of;
use crate::error::StorageError;
use crate::on;
use crate::schema::feedback as t;
use crate::types::Timestamp;

/// Most rows of a trend: 400 days with all five kinds of feedback.
const MAX_ROWS: i64 = 2000;

/// Days of a trend that nobody gave a beginning, up to the newest day with feedback: the cost of statistics must not grow with all that was
/// ever said.
pub const TREND_DAYS: u64 = 30;

/// Totals, mean rating and trend of the feedback that a filter selects.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FeedbackStatistics {
    /// All feedback.
    pub total: i64,
    /// Count by kind of feedback.
    pub by_type: BTreeMap<String, i64>,
    /// Count by task type, and by kind within.
    pub by_task_type: BTreeMap<String, TaskTypeCounts>,
    /// Mean of the ratings; `None` when nobody rated.
    pub mean_rating: Option<f64>,
    /// How many ratings the mean rests on.
    pub ratings: i64,
    /// Count by day in UTC, oldest first; days without feedback are absent. The newest [`TREND_DAYS`] days where the filter has no beginning.
    pub daily: Vec<DayCounts>,
}

/// Counts of one task type.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TaskTypeCounts {
    /// All feedback on it.
    pub total: i64,
    /// Count by kind of feedback.
    pub by_type: BTreeMap<String, i64>,
    /// Mean of its ratings.
    pub mean_rating: Option<f64>,
    /// How many ratings the mean rests on.
    pub ratings: i64,
}

/// Counts of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCounts {
    /// The day in UTC.
    pub date: NaiveDate,
    /// All feedback of the day.
    pub total: i64,
    /// Count by kind of feedback.
    pub by_type: BTreeMap<String, i64>,
}

/// Counts the feedback of this scope that the filter selects; a trend of a long period holds at least the newest 399 days that have any.
/// Whole days come from kept counters; rows are read only for parts of days at the ends, and for one user or session.
///
/// # Errors
/// As any query.
pub fn statistics(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<FeedbackStatistics, StorageError> {
    let is_counted = filter.user_id.is_none() && filter.session_id.is_none();
    let Some(split) = is_counted.then(|| split(filter)).flatten() else {
        return statistics_of_rows(conn, scope, filter);
    };
    let mut groups = counters::groups(conn, scope, filter, split.days)?;
    let mut shown = split.days;
    if shown.from.is_none() {
        shown.from = counters::newest_day(conn, scope, filter, split.days)?.and_then(first_of_trend);
    }
    let counted = counters::daily(conn, scope, filter, shown, MAX_ROWS)?;
    let (mut days, is_cut) = whole_days(counted);
    for (from, to) in split.edges.into_iter().flatten() {
        let edge = FeedbackFilter { from: Some(from), to: Some(to), ..filter.clone() };
        groups.extend(groups_of_rows(conn, scope, &edge)?);
        // A trend that was cut begins later than the first edge.
        if !is_cut || days.first().is_some_and(|(newest, ..)| from.date_naive() > *newest) {
            days.extend(days_of_rows(conn, scope, &edge)?);
        }
    }
    Ok(assemble(groups, days, filter))
}

/// The same, counted from the rows: for one user or session, and for whoever wants to check the counters.
///
/// # Errors
/// As any query.
pub fn statistics_of_rows(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<FeedbackStatistics, StorageError> {
    let groups = groups_of_rows(conn, scope, filter)?;
    let days = days_of_rows(conn, scope, filter)?;
    Ok(assemble(groups, days, filter))
}

/// The first day of a trend that ends with this day.
fn first_of_trend(newest: NaiveDate) -> Option<NaiveDate> {
    newest.checked_sub_days(Days::new(TREND_DAYS - 1))
}

type Group = (String, String, i64, i64);
type Day = (NaiveDate, String, i64);

/// A period as whole days in the middle and parts of days at its ends.
struct Split {
    days: Span,
    edges: [Option<(DateTime<Utc>, DateTime<Utc>)>; 2],
}

/// `None` when there is no whole day in it.
fn split(filter: &FeedbackFilter) -> Option<Split> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let first =
        filter.from.map(|from| if midnight(from.date_naive()) == from { Some(from.date_naive()) } else { from.date_naive().succ_opt() });
    let first = match first {
        Some(None) => return None,
        Some(Some(day)) => Some(day),
        None => None,
    };
    let last = filter.to.map(|to| to.date_naive());
    if let (Some(first), Some(last)) = (first, last)
        && first >= last
    {
        return None;
    }
    let before = filter.from.zip(first.map(midnight)).filter(|(from, first)| from < first);
    let after = last.map(midnight).zip(filter.to).filter(|(last, to)| last < to);
    Some(Split { days: Span { from: first, before: last }, edges: [before, after] })
}

fn assemble(groups: Vec<Group>, days: Vec<Day>, filter: &FeedbackFilter) -> FeedbackStatistics {
    let mut statistics = FeedbackStatistics::default();
    let mut stars = 0;
    let mut stars_by_task: BTreeMap<String, i64> = BTreeMap::new();
    for (task_type, kind, count, sum) in groups {
        let task = statistics.by_task_type.entry(task_type.clone()).or_default();
        task.total += count;
        *task.by_type.entry(kind.clone()).or_default() += count;
        if kind == FeedbackType::Rating.as_ref() {
            task.ratings += count;
            *stars_by_task.entry(task_type).or_default() += sum;
            statistics.ratings += count;
            stars += sum;
        }
        statistics.total += count;
        *statistics.by_type.entry(kind).or_default() += count;
    }
    statistics.mean_rating = mean(stars, statistics.ratings);
    for (task_type, counts) in &mut statistics.by_task_type {
        counts.mean_rating = mean(stars_by_task.get(task_type).copied().unwrap_or(0), counts.ratings);
    }
    statistics.daily = trend(days);
    let first = statistics.daily.last().filter(|_| filter.from.is_none()).and_then(|newest| first_of_trend(newest.date));
    if let Some(first) = first {
        statistics.daily.retain(|day| day.date >= first);
    }
    statistics
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn mean(sum: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

/// Rows of days, newest first, without the oldest day when there were more: half a day's count would be a wrong figure.
fn whole_days(mut rows: Vec<Day>) -> (Vec<Day>, bool) {
    let is_cut = rows.len() >= usize::try_from(MAX_ROWS).unwrap_or(usize::MAX);
    if let Some(oldest) = rows.last().map(|row| row.0).filter(|_| is_cut) {
        rows.retain(|row| row.0 > oldest);
    }
    (rows, is_cut)
}

fn trend(rows: Vec<Day>) -> Vec<DayCounts> {
    let mut days: BTreeMap<NaiveDate, DayCounts> = BTreeMap::new();
    for (date, kind, count) in rows {
        let counts = days.entry(date).or_insert_with(|| DayCounts { date, total: 0, by_type: BTreeMap::new() });
        counts.total += count;
        *counts.by_type.entry(kind).or_default() += count;
    }
    days.into_values().collect()
}

fn groups_of_rows(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<Vec<Group>, StorageError> {
    let groups: Vec<(String, String, i64, Option<i64>)> = on!(conn, c => {
        let all = t::table
            .group_by((t::task_type, t::feedback_type))
            .select((t::task_type, t::feedback_type, count_star(), sum(t::rating)))
            .into_boxed();
        narrowed!(all, scope, filter).load(c)
    })?;
    Ok(groups.into_iter().map(|(task_type, kind, count, stars)| (task_type, kind, count, stars.unwrap_or(0))).collect())
}

fn days_of_rows(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<Vec<Day>, StorageError> {
    let day = day_of(conn, "created_at");
    let rows: Vec<(String, String, i64)> = on!(conn, c => {
        let all = t::table
            .group_by(sql::<Text>(&format!("{day}, feedback_type")))
            .select((sql::<Text>(&day), sql::<Text>("feedback_type"), count_star()))
            .order(sql::<Text>(&day).desc())
            .limit(MAX_ROWS)
            .into_boxed();
        narrowed!(all, scope, filter).load(c)
    })?;
    let read = |(text, kind, count): (String, String, i64)| {
        let date = text.parse().map_err(|_| StorageError::Corrupt(format!("{text:?} is not a date")))?;
        Ok((date, kind, count))
    };
    Ok(whole_days(rows.into_iter().map(read).collect::<Result<_, StorageError>>()?).0)
}
