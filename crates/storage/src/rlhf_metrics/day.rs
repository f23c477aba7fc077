//! The raw counts of one day from which the key figures are computed. A day is a day in UTC.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::{avg, count_star};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{
    campaigns, experiments as x, expert_reviews as e, judgments as j, rater_profiles as p, rating_tasks as t, response_calibrations as y,
    retailers, reward_models as m, task_consensus as k,
};
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

/// A query's rows from the day on which a column lies: `on_day!(query, column, day)`.
macro_rules! on_day {
    ($query:expr, $at:expr, $day:expr) => {
        $query.filter($at.ge(Timestamp($day.from))).filter($at.lt(Timestamp($day.to)))
    };
}

/// A query's rows of the day's retailer, all without one: `at_retailer!(query, column, day)`.
macro_rules! at_retailer {
    ($query:expr, $retailer:expr, $day:expr) => {
        match &$day.retailer_id {
            Some(retailer) => $query.into_boxed().filter($retailer.eq(retailer)),
            None => $query.into_boxed(),
        }
    };
}

/// Judgments of the day that count, at most [`MAX_ROWS`].
///
/// # Errors
/// As any query.
pub fn judgments(conn: &mut Connection, day: &Day) -> Result<Vec<DayJudgment>, StorageError> {
    Ok(on!(conn, c => {
        let judged = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .filter(j::voided_at.is_null())
            .select((j::task_id, j::rater_id, j::choice, j::matches_golden, t::is_golden, t::status, j::is_escalated))
            .order(j::id)
            .limit(MAX_ROWS);
        at_retailer!(on_day!(judged, j::created_at, day), t::retailer_id, day).load(c)
    })?)
}

/// Tasks completed on the day, golden items left out.
///
/// # Errors
/// As any query.
pub fn count_completed(conn: &mut Connection, day: &Day) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let completed = t::table.filter(t::is_golden.eq(false));
        at_retailer!(on_day!(completed, t::completed_at, day).count(), t::retailer_id, day).get_result(c)
    })?)
}

/// Automatic checks of the tasks of one type that were created on the day.
///
/// # Errors
/// As any query.
pub fn auto_checks(conn: &mut Connection, day: &Day, task_type: &str) -> Result<Vec<Json>, StorageError> {
    Ok(on!(conn, c => {
        let checked = t::table.filter(t::task_type.eq(task_type).and(t::is_golden.eq(false))).select(t::auto_checks).limit(MAX_ROWS);
        at_retailer!(on_day!(checked, t::created_at, day), t::retailer_id, day).load(c)
    })?)
}

/// For each model first put to work on the day that has a parent: when, and when the parent first was. A roll back changes neither.
///
/// # Errors
/// As any query.
pub fn deployments(conn: &mut Connection, day: &Day) -> Result<Vec<(Timestamp, Timestamp)>, StorageError> {
    let models: Vec<(Option<Timestamp>, Option<String>)> = on!(conn, c => {
        let deployed = m::table.select((m::first_deployed_at, m::parent_model_id)).order(m::id).limit(500);
        at_retailer!(on_day!(deployed, m::first_deployed_at, day), m::retailer_id, day).load(c)
    })?;
    let parents: Vec<&String> = models.iter().filter_map(|(_, parent)| parent.as_ref()).collect();
    let deployed: Vec<(String, Option<Timestamp>)> =
        on!(conn, c => m::table.filter(m::model_id.eq_any(&parents)).select((m::model_id, m::first_deployed_at)).load(c))?;
    let parent_at = |id: &str| deployed.iter().find(|(model_id, _)| model_id == id).and_then(|(_, at)| *at);
    Ok(models.iter().filter_map(|(at, parent)| Some(((*at)?, parent_at(parent.as_deref()?)?))).collect())
}

/// What one judgment of the day cost, whether it was kept or not; those of simulated raters are left out.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct PaidJudgment {
    /// Whether the task is a golden item.
    pub is_golden: bool,
    /// Whether it was taken out of the count.
    pub is_voided: bool,
    /// Seconds in which the rater was active, where the client measured them.
    pub active_ms: Option<i64>,
    /// Seconds from start to end.
    pub seconds: f64,
}

/// Judgments of the day by people, at most [`MAX_ROWS`].
///
/// # Errors
/// As any query.
pub fn paid(conn: &mut Connection, day: &Day) -> Result<Vec<PaidJudgment>, StorageError> {
    Ok(on!(conn, c => {
        let paid = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .inner_join(p::table.on(p::rater_id.eq(j::rater_id)))
            .filter(p::is_simulated.eq(false))
            .select((t::is_golden, j::voided_at.is_not_null(), j::active_ms, j::time_spent_seconds))
            .order(j::id)
            .limit(MAX_ROWS);
        at_retailer!(on_day!(paid, j::created_at, day), t::retailer_id, day).load(c)
    })?)
}

/// Seconds of each expert's decision of the day; absent where the task was decided without being opened.
///
/// # Errors
/// As any query.
pub fn reviews(conn: &mut Connection, day: &Day) -> Result<Vec<Option<f64>>, StorageError> {
    Ok(on!(conn, c => {
        let decided = e::table
            .inner_join(t::table.on(t::task_id.eq(e::task_id)))
            .filter(e::state.eq("decided"))
            .select(e::seconds)
            .order(e::id)
            .limit(MAX_ROWS);
        at_retailer!(on_day!(decided, e::decided_at, day), t::retailer_id, day).load(c)
    })?)
}

/// Days over which an expert's pace is taken.
pub const PACE_DAYS: i64 = 90;

/// Mean seconds of an expert's decision in the [`PACE_DAYS`] up to the end of the day, all retailers together, and over how many.
///
/// # Errors
/// As any query.
pub fn expert_pace(conn: &mut Connection, day: &Day) -> Result<(Option<f64>, i64), StorageError> {
    let since = Timestamp(day.to - TimeDelta::days(PACE_DAYS));
    Ok(on!(conn, c => e::table
        .filter(e::state.eq("decided").and(e::seconds.is_not_null()))
        .filter(e::decided_at.ge(since).and(e::decided_at.lt(Timestamp(day.to))))
        .select((avg(e::seconds), count_star()))
        .first(c))?)
}

/// Tasks completed on the day by raters alone, golden items left out.
///
/// # Errors
/// As any query.
pub fn count_without_expert(conn: &mut Connection, day: &Day) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let completed = t::table.filter(t::is_golden.eq(false).and(t::status.eq("completed")));
        at_retailer!(on_day!(completed, t::completed_at, day).count(), t::retailer_id, day).get_result(c)
    })?)
}

/// A retailer whose first field mapping was approved.
#[derive(Debug, Clone, PartialEq)]
pub struct Onboarded {
    /// The retailer.
    pub retailer_id: String,
    /// Primary key of the task that approved it.
    pub id: i64,
    /// The task.
    pub task_id: String,
    /// When the task was completed.
    pub at: Timestamp,
    /// Days since the retailer was entered.
    pub days: f64,
}

/// Each retailer whose first field mapping was approved by people on the day.
///
/// # Errors
/// As any query.
pub fn onboarded(conn: &mut Connection, day: &Day) -> Result<Vec<Onboarded>, StorageError> {
    let approved: Vec<(i64, String, Option<String>, Option<Timestamp>)> = on!(conn, c => {
        let mapped = t::table
            .inner_join(k::table.on(k::task_id.eq(t::task_id)))
            .filter(t::task_type.eq("schema_mapping").and(t::is_golden.eq(false)))
            .filter(t::retailer_id.is_not_null().and(k::is_final.eq(true)).and(k::choice.like("candidate%")))
            .select((t::id, t::task_id, t::retailer_id, t::completed_at))
            .order((t::completed_at, t::id))
            .limit(MAX_ROWS);
        at_retailer!(on_day!(mapped, t::completed_at, day), t::retailer_id, day).load(c)
    })?;
    let mut first: BTreeMap<String, (i64, String, Timestamp)> = BTreeMap::new();
    for (id, task_id, retailer, at) in approved {
        if let (Some(retailer), Some(at)) = (retailer, at) {
            first.entry(retailer).or_insert((id, task_id, at));
        }
    }
    let mut found = Vec::new();
    for (retailer, (id, task_id, at)) in first {
        let earlier: Option<i64> = on!(conn, c => t::table
            .inner_join(k::table.on(k::task_id.eq(t::task_id)))
            .filter(t::task_type.eq("schema_mapping").and(t::is_golden.eq(false)).and(t::retailer_id.eq(&retailer)))
            .filter(k::is_final.eq(true).and(k::choice.like("candidate%")).and(t::completed_at.lt(Timestamp(day.from))))
            .select(t::id)
            .first(c)
            .optional())?;
        if earlier.is_some() {
            continue;
        }
        let entered: Option<Timestamp> = on!(conn, c => retailers::table.filter(retailers::retailer_id.eq(&retailer)).select(retailers::created_at).first(c).optional())?;
        found.extend(entered.map(|entered| Onboarded {
            retailer_id: retailer,
            id,
            task_id,
            at,
            days: (at.0 - entered.0).as_seconds_f64() / 86_400.0,
        }));
    }
    Ok(found)
}

/// What an experiment that was concluded on the day found about the return on spend.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    /// The experiment.
    pub experiment_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Incremental revenue over incremental spend.
    pub iroas: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Incremental spend, micros.
    pub spend_micros: i64,
    /// Currency of the spend.
    pub currency: String,
    /// Hash of what the result was computed from.
    pub inputs_hash: Option<String>,
}

/// Experiments concluded on the day that proved a return, oldest first; of one retailer those about its campaigns.
///
/// # Errors
/// As any query.
pub fn proven(conn: &mut Connection, day: &Day) -> Result<Vec<Proven>, StorageError> {
    type Row = (String, String, f64, f64, i64, String, Option<String>, i64);
    let rows: Vec<Row> = on!(conn, c => y::table
        .inner_join(x::table)
        .filter(x::concluded_at.ge(Timestamp(day.from)).and(x::concluded_at.lt(Timestamp(day.to))))
        .order(y::id)
        .limit(MAX_ROWS)
        .select((x::experiment_id, x::tenant_id, y::iroas, y::standard_error, y::spend_micros, y::currency, x::inputs_hash, y::campaign))
        .load(c))?;
    let keys: Vec<i64> = rows.iter().map(|row| row.7).collect();
    let at: BTreeMap<i64, String> = if keys.is_empty() || day.retailer_id.is_none() {
        BTreeMap::new()
    } else {
        let found: Vec<(i64, String)> =
            on!(conn, c => campaigns::table.filter(campaigns::id.eq_any(&keys)).select((campaigns::id, campaigns::retailer_id)).load(c))?;
        found.into_iter().collect()
    };
    Ok(rows
        .into_iter()
        .filter(|row| day.retailer_id.is_none() || at.get(&row.7) == day.retailer_id.as_ref())
        .map(|(experiment_id, tenant_id, iroas, standard_error, spend_micros, currency, inputs_hash, _)| Proven {
            experiment_id,
            tenant_id,
            iroas,
            standard_error,
            spend_micros,
            currency,
            inputs_hash,
        })
        .collect())
}

/// Retailers of whom anything happened on the day that enters a figure.
///
/// # Errors
/// As any query.
pub fn retailers_seen(conn: &mut Connection, day: &Day) -> Result<BTreeSet<String>, StorageError> {
    let (from, to) = (Timestamp(day.from), Timestamp(day.to));
    let judged: Vec<Option<String>> = on!(conn, c => j::table
        .inner_join(t::table.on(t::task_id.eq(j::task_id)))
        .filter(j::created_at.ge(from).and(j::created_at.lt(to)))
        .select(t::retailer_id).distinct().load(c))?;
    let made: Vec<Option<String>> = on!(conn, c => t::table
        .filter(t::created_at.ge(from).and(t::created_at.lt(to)).or(t::completed_at.ge(from).and(t::completed_at.lt(to)).assume_not_null()))
        .select(t::retailer_id).distinct().load(c))?;
    let deployed: Vec<Option<String>> = on!(conn, c => m::table
        .filter(m::first_deployed_at.ge(from).and(m::first_deployed_at.lt(to)))
        .select(m::retailer_id).distinct().load(c))?;
    let tested: Vec<i64> = on!(conn, c => y::table
        .inner_join(x::table)
        .filter(x::concluded_at.ge(from).and(x::concluded_at.lt(to)))
        .select(y::campaign).load(c))?;
    let sold: Vec<String> = if tested.is_empty() {
        Vec::new()
    } else {
        on!(conn, c => campaigns::table.filter(campaigns::id.eq_any(&tested)).select(campaigns::retailer_id).load(c))?
    };
    Ok([judged, made, deployed].into_iter().flatten().flatten().chain(sold).collect())
}
