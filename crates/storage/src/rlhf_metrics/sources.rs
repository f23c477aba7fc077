//! The rows behind a key figure, so that whoever doubts it can look at each.

use chrono::TimeDelta;
use diesel::prelude::*;
use serde::Serialize;

use super::day::{Day, PACE_DAYS};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::{
    experiments as x, expert_reviews as e, judgments as j, rater_profiles as p, rating_tasks as t, response_calibrations as y,
    reward_models as m,
};
use crate::types::Timestamp;

/// Which rows a figure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Judgments that count, golden items included.
    Judgments,
    /// Judgments that count, golden items left out.
    Work,
    /// Judgments of golden items that count and were compared with the expert's.
    Golden,
    /// What a day's judgments cost: those by people, also those taken out of the count, then the experts' decisions.
    Paid,
    /// Hours of experts saved: tasks that raters completed alone, then the timed decisions that an expert's pace is taken from.
    Saved,
    /// Tasks of a type by the time at which they were created.
    Created(&'static str),
    /// Tasks by the time at which they were completed.
    Completed,
    /// Tasks by which the first field mapping of a retailer was approved.
    Onboarded,
    /// Reward models put to work that follow another.
    Deployed,
    /// Experiments that were concluded and proved a return on spend.
    Experiments,
}

/// One row behind a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceRow {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The table it stands in.
    pub table: &'static str,
    /// Its public id.
    pub row_id: String,
    /// The task, task type, retailer or tenant that it is about.
    pub about: String,
    /// What it says: the choice, the status, the version.
    pub value: String,
    /// The time by which it belongs to the day.
    pub at: Option<Timestamp>,
}

type Found = (i64, String, String, String, Option<Timestamp>);

/// Keys of the second table of a figure that is made of two begin here, so that one cursor goes through both.
const SECOND: i64 = 1 << 62;

/// Rows behind a figure of the day, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, day: &Day, rows: Rows, page: &Page) -> Result<Slice<SourceRow>, StorageError> {
    let (table, found) = match rows {
        Rows::Paid => return followed(conn, day, "judgments", judgments, rows, page),
        Rows::Saved => return followed(conn, day, "rating_tasks", tasks, rows, page),
        Rows::Judgments | Rows::Work | Rows::Golden => ("judgments", judgments(conn, day, rows, page)?),
        Rows::Onboarded => ("rating_tasks", onboarded(conn, day, page)?),
        Rows::Created(_) | Rows::Completed => ("rating_tasks", tasks(conn, day, rows, page)?),
        Rows::Deployed => ("reward_models", models(conn, day, page)?),
        Rows::Experiments => ("experiments", experiments(conn, day, page)?),
    };
    Ok(Slice::cut(found.into_iter().map(|row| named(table, 0, row)).collect(), page, |row: &SourceRow| row.id))
}

fn named(table: &'static str, first: i64, (id, row_id, about, value, at): Found) -> SourceRow {
    SourceRow { id: first + id, table, row_id, about, value, at }
}

type Reader = fn(&mut Connection, &Day, Rows, &Page) -> Result<Vec<Found>, StorageError>;

/// The rows of one table, then decisions of experts.
fn followed(
    conn: &mut Connection,
    day: &Day,
    table: &'static str,
    read: Reader,
    rows: Rows,
    page: &Page,
) -> Result<Slice<SourceRow>, StorageError> {
    let after = page.after.unwrap_or(0);
    let mut all: Vec<SourceRow> =
        if after < SECOND { read(conn, day, rows, page)?.into_iter().map(|row| named(table, 0, row)).collect() } else { Vec::new() };
    let missing = page.fetch() - i64::try_from(all.len()).unwrap_or(i64::MAX);
    if missing > 0 {
        let decided = decisions(conn, day, rows, (after - SECOND).max(0), missing)?;
        all.extend(decided.into_iter().map(|row| named("expert_reviews", SECOND, row)));
    }
    Ok(Slice::cut(all, page, |row: &SourceRow| row.id))
}

/// Decisions of experts: of the day, or all that an expert's pace is taken from.
fn decisions(conn: &mut Connection, day: &Day, rows: Rows, after: i64, limit: i64) -> Result<Vec<Found>, StorageError> {
    type Row = (i64, String, String, Option<f64>, Option<Timestamp>);
    let from = if rows == Rows::Saved { day.to - TimeDelta::days(PACE_DAYS) } else { day.from };
    let found: Vec<Row> = on!(conn, c => {
        let mut query = e::table
            .inner_join(t::table.on(t::task_id.eq(e::task_id)))
            .filter(e::state.eq("decided").and(e::id.gt(after)))
            .filter(e::decided_at.ge(Timestamp(from)).and(e::decided_at.lt(Timestamp(day.to))))
            .select((e::id, e::review_id, e::task_id, e::seconds, e::decided_at))
            .order(e::id)
            .limit(limit)
            .into_boxed();
        // The pace is that of all retailers together.
        query = match &day.retailer_id {
            _ if rows == Rows::Saved => query.filter(e::seconds.is_not_null()),
            Some(retailer) => query.filter(t::retailer_id.eq(retailer)),
            None => query,
        };
        query.load(c)
    })?;
    let says = |seconds: Option<f64>| seconds.map_or_else(|| "not timed".to_owned(), |seconds| format!("{seconds} s"));
    Ok(found.into_iter().map(|(id, review, task, seconds, at)| (id, review, task, says(seconds), at)).collect())
}

fn judgments(conn: &mut Connection, day: &Day, rows: Rows, page: &Page) -> Result<Vec<Found>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .inner_join(p::table.on(p::rater_id.eq(j::rater_id)))
            .filter(j::created_at.ge(Timestamp(day.from)).and(j::created_at.lt(Timestamp(day.to))))
            .filter(j::id.gt(page.after.unwrap_or(0)))
            .select((j::id, j::judgment_id, j::task_id, j::choice, j::created_at.nullable()))
            .order(j::id)
            .limit(page.fetch())
            .into_boxed();
        query = match rows {
            Rows::Work => query.filter(t::is_golden.eq(false)),
            Rows::Golden => query.filter(t::is_golden.eq(true).and(j::matches_golden.is_not_null())),
            Rows::Paid => query.filter(p::is_simulated.eq(false)),
            _ => query,
        };
        if rows != Rows::Paid {
            query = query.filter(j::voided_at.is_null());
        }
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        query.load(c)
    })?)
}

fn tasks(conn: &mut Connection, day: &Day, rows: Rows, page: &Page) -> Result<Vec<Found>, StorageError> {
    let (from, to) = (Timestamp(day.from), Timestamp(day.to));
    Ok(on!(conn, c => {
        let mut query = t::table.filter(t::is_golden.eq(false)).filter(t::id.gt(page.after.unwrap_or(0))).order(t::id).limit(page.fetch()).into_boxed();
        if let Rows::Created(task_type) = rows {
            query = query.filter(t::task_type.eq(task_type));
        }
        if rows == Rows::Saved {
            query = query.filter(t::status.eq("completed"));
        }
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        match rows {
            Rows::Created(_) => query
                .filter(t::created_at.ge(from).and(t::created_at.lt(to)))
                .select((t::id, t::task_id, t::task_type, t::status, t::created_at.nullable()))
                .load(c),
            _ => query
                .filter(t::completed_at.ge(from).and(t::completed_at.lt(to)))
                .select((t::id, t::task_id, t::task_type, t::status, t::completed_at))
                .load(c),
        }
    })?)
}

fn onboarded(conn: &mut Connection, day: &Day, page: &Page) -> Result<Vec<Found>, StorageError> {
    let mut found = super::day::onboarded(conn, day)?;
    found.sort_by_key(|one| one.id);
    let rest = found.into_iter().filter(|one| page.after.is_none_or(|after| one.id > after));
    let says = |days: f64| format!("{days:.2} days after the retailer was entered");
    let rows = rest.map(|one| (one.id, one.task_id, one.retailer_id, says(one.days), Some(one.at)));
    Ok(rows.take(usize::try_from(page.fetch()).unwrap_or(0)).collect())
}

fn models(conn: &mut Connection, day: &Day, page: &Page) -> Result<Vec<Found>, StorageError> {
    type Row = (i64, String, String, i32, Option<Timestamp>);
    let found: Vec<Row> = on!(conn, c => {
        let mut query = m::table
            .filter(m::first_deployed_at.ge(Timestamp(day.from)).and(m::first_deployed_at.lt(Timestamp(day.to))))
            .filter(m::id.gt(page.after.unwrap_or(0)).and(m::parent_model_id.is_not_null()))
            .select((m::id, m::model_id, m::task_type, m::version, m::first_deployed_at))
            .order(m::id)
            .limit(page.fetch())
            .into_boxed();
        if let Some(retailer) = &day.retailer_id {
            query = query.filter(m::retailer_id.eq(retailer));
        }
        query.load(c)
    })?;
    Ok(found.into_iter().map(|(id, model, task_type, version, at)| (id, model, task_type, format!("version {version}"), at)).collect())
}

fn experiments(conn: &mut Connection, day: &Day, page: &Page) -> Result<Vec<Found>, StorageError> {
    let kept: Vec<String> = super::day::proven(conn, day)?.into_iter().map(|one| one.experiment_id).collect();
    type Row = (i64, String, String, f64, Option<Timestamp>);
    let found: Vec<Row> = on!(conn, c => y::table
        .inner_join(x::table)
        .filter(x::concluded_at.ge(Timestamp(day.from)).and(x::concluded_at.lt(Timestamp(day.to))))
        .filter(x::experiment_id.eq_any(&kept))
        .filter(x::id.gt(page.after.unwrap_or(0)))
        .select((x::id, x::experiment_id, x::tenant_id, y::iroas, x::concluded_at))
        .order(x::id)
        .limit(page.fetch())
        .load(c))?;
    Ok(found.into_iter().map(|(id, experiment, tenant, iroas, at)| (id, experiment, tenant, format!("iROAS {iroas:.3}"), at)).collect())
}
