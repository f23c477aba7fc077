//! The raw counts of one day from which the key figures are computed. A day is a day in UTC.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{judgments as j, rating_tasks as t, reward_models as m};
use crate::types::{Json, Timestamp};

/// Most rows that enter the figures of one day.
pub const MAX_ROWS: i64 = 200_000;

/// One judgment of the day.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct DayJudgment {
    /// The task.
    pub task_id: String,
    /// Who judged.
    pub rater_id: String,
    /// The decision.
    pub choice: String,
    /// Whether it agrees with the expert, for golden items.
    pub matches_golden: Option<bool>,
    /// Whether the task is a golden item.
    pub is_golden: bool,
    /// Where the task stands now.
    pub task_status: String,
    /// Whether the rater asked for an expert.
    pub is_escalated: bool,
}

/// A span of time and a retailer.
#[derive(Debug, Clone)]
pub struct Day {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// Only tasks of this retailer.
    pub retailer_id: Option<String>,
}

/// Judgments of the day that count, at most [`MAX_ROWS`].
///
/// # Errors
/// As any query.
pub fn judgments(conn: &mut Connection, day: &Day) -> Result<Vec<DayJudgment>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .filter(j::created_at.ge(Timestamp(day.from)))
            .filter(j::created_at.lt(Timestamp(day.to)).and(j::voided_at.is_null()))
            .select((j::task_id, j::rater_id, j::choice, j::matches_golden, t::is_golden, t::status, j::is_escalated))
            .order(j::id)
            .limit(MAX_ROWS)
            .into_boxed();
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        query.load(c)
    })?)
}

/// Tasks completed on the day, golden items left out.
///
/// # Errors
/// As any query.
pub fn count_completed(conn: &mut Connection, day: &Day) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table
            .filter(t::is_golden.eq(false))
            .filter(t::completed_at.ge(Timestamp(day.from)))
            .filter(t::completed_at.lt(Timestamp(day.to)))
            .count()
            .into_boxed();
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        query.get_result(c)
    })?)
}

/// Automatic checks of the tasks of one type that were created on the day.
///
/// # Errors
/// As any query.
pub fn auto_checks(conn: &mut Connection, day: &Day, task_type: &str) -> Result<Vec<Json>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table
            .filter(t::task_type.eq(task_type))
            .filter(t::is_golden.eq(false))
            .filter(t::created_at.ge(Timestamp(day.from)))
            .filter(t::created_at.lt(Timestamp(day.to)))
            .select(t::auto_checks)
            .limit(MAX_ROWS)
            .into_boxed();
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        query.load(c)
    })?)
}

/// For each model put to work on the day that has a parent: when, and when the parent was.
///
/// # Errors
/// As any query.
pub fn deployments(conn: &mut Connection, day: &Day) -> Result<Vec<(Timestamp, Timestamp)>, StorageError> {
    let models: Vec<(Option<Timestamp>, Option<String>)> = on!(conn, c => {
        let mut query = m::table
            .filter(m::deployed_at.ge(Timestamp(day.from)))
            .filter(m::deployed_at.lt(Timestamp(day.to)))
            .select((m::deployed_at, m::parent_model_id))
            .order(m::id)
            .limit(500)
            .into_boxed();
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(m::retailer_id.eq(retailer));
        }
        query.load(c)
    })?;
    let parents: Vec<&String> = models.iter().filter_map(|(_, parent)| parent.as_ref()).collect();
    let deployed: Vec<(String, Option<Timestamp>)> =
        on!(conn, c => m::table.filter(m::model_id.eq_any(&parents)).select((m::model_id, m::deployed_at)).load(c))?;
    let parent_at = |id: &str| deployed.iter().find(|(model_id, _)| model_id == id).and_then(|(_, at)| *at);
    Ok(models.iter().filter_map(|(at, parent)| Some(((*at)?, parent_at(parent.as_deref()?)?))).collect())
}
