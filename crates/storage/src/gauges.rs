//! How much waits, and for how long: figures for whoever is on call. Each is read from an index and is of all tenants.

use chrono::{DateTime, Utc};
use diesel::dsl::{count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{jobs as j, outbox_events as o, rating_tasks as t, task_assignments as a};
use crate::types::{Instant, Timestamp};

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// What kind: a task type, a destination, a kind of job.
    pub kind: String,
    /// How many.
    pub count: i64,
    /// The one that waits longest, since when.
    pub oldest: Option<Timestamp>,
}

impl Backlog {
    /// Seconds that the oldest has waited; 0 when nothing waits.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> f64 {
        let waited = self.oldest.map(|since| (now - since.0).num_milliseconds().max(0));
        waited.map_or(0.0, |milliseconds| milliseconds as f64 / 1e3)
    }
}

type Counted = (String, i64, Option<Timestamp>);

fn backlogs(rows: Vec<Counted>) -> Vec<Backlog> {
    rows.into_iter().map(|(kind, count, oldest)| Backlog { kind, count, oldest }).collect()
}

/// The type of an instant has no order of its own in the query builder.
fn oldest(column: &str) -> SqlLiteral<Nullable<Instant>> {
    sql(&format!("MIN({column})"))
}

/// Tasks that still want judgments, by type; golden items always do and are left out.
///
/// # Errors
/// As any query.
pub fn tasks_to_judge(conn: &mut Connection) -> Result<Vec<Backlog>, StorageError> {
    let rows: Vec<Counted> = on!(conn, c => t::table
        .filter(t::status.eq_any(["pending", "in_progress"]).and(t::is_golden.eq(false)))
        .group_by(t::task_type)
        .select((t::task_type, count_star(), oldest("created_at")))
        .load(c))?;
    Ok(backlogs(rows))
}

/// Tasks that raters hold, since the oldest was given out.
///
/// # Errors
/// As any query.
pub fn leases(conn: &mut Connection) -> Result<Backlog, StorageError> {
    // The condition in the text, so that the index of leases may be used; as below for that of the outbox.
    let (count, oldest): (i64, Option<Timestamp>) =
        on!(conn, c => a::table.filter(sql::<Bool>("state = 'leased'")).select((count_star(), oldest("leased_at"))).first(c))?;
    Ok(Backlog { kind: "lease".to_owned(), count, oldest })
}

/// Events that other services have not taken yet, by destination.
///
/// # Errors
/// As any query.
pub fn undelivered(conn: &mut Connection) -> Result<Vec<Backlog>, StorageError> {
    let rows: Vec<Counted> = on!(conn, c => o::table
        .filter(sql::<Bool>("destination <> 'realtime'").and(o::delivered_at.is_null()))
        .group_by(o::destination)
        .select((o::destination, count_star(), oldest("created_at")))
        .load(c))?;
    Ok(backlogs(rows))
}

/// Jobs that wait or run, by kind.
///
/// # Errors
/// As any query.
pub fn unfinished_jobs(conn: &mut Connection) -> Result<Vec<Backlog>, StorageError> {
    let rows: Vec<Counted> = on!(conn, c => j::table
        .filter(j::state.eq_any(["queued", "running"]))
        .group_by(j::kind)
        .select((j::kind, count_star(), oldest("created_at")))
        .load(c))?;
    Ok(backlogs(rows))
}
