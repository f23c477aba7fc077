//! Feedback in numbers: counted and averaged by the database, so that a million rows cost no more than ten.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use diesel::dsl::{count_star, sql, sum};
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::scope::Scope;
use serde::Serialize;

use super::{FeedbackFilter, narrowed};
use crate::connection::Connection;
use crate::dialect::day_of;
use crate::error::StorageError;
use crate::on;
use crate::schema::feedback as t;
use crate::types::Timestamp;

/// Most rows of a trend: 400 days with all five kinds of feedback.
const MAX_ROWS: i64 = 2000;

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
    /// Count by day in UTC, oldest first; days without feedback are absent.
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

/// Counts the feedback of this scope that the filter selects; the trend holds at least the newest 399 days that have any.
///
/// # Errors
/// As any query.
pub fn statistics(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<FeedbackStatistics, StorageError> {
    let groups: Vec<(String, String, i64, Option<i64>)> = on!(conn, c => {
        let all = t::table
            .group_by((t::task_type, t::feedback_type))
            .select((t::task_type, t::feedback_type, count_star(), sum(t::rating)))
            .into_boxed();
        narrowed!(all, scope, filter).load(c)
    })?;
    let mut statistics = FeedbackStatistics::default();
    let mut stars = 0;
    let mut stars_by_task: BTreeMap<String, i64> = BTreeMap::new();
    for (task_type, kind, count, sum) in groups {
        let task = statistics.by_task_type.entry(task_type.clone()).or_default();
        task.total += count;
        *task.by_type.entry(kind.clone()).or_default() += count;
        if let Some(sum) = sum {
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
    statistics.daily = daily(conn, scope, filter)?;
    Ok(statistics)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn mean(sum: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

fn daily(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter) -> Result<Vec<DayCounts>, StorageError> {
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
    let is_cut = rows.len() >= usize::try_from(MAX_ROWS).unwrap_or(usize::MAX);
    let mut days: BTreeMap<NaiveDate, DayCounts> = BTreeMap::new();
    for (text, kind, count) in rows {
        let date: NaiveDate = text.parse().map_err(|_| StorageError::Corrupt(format!("{text:?} is not a date")))?;
        let counts = days.entry(date).or_insert_with(|| DayCounts { date, total: 0, by_type: BTreeMap::new() });
        counts.total += count;
        counts.by_type.insert(kind, count);
    }
    if is_cut {
        // The oldest day may be incomplete; half a day's count would be a wrong figure.
        days.pop_first();
    }
    Ok(days.into_values().collect())
}
