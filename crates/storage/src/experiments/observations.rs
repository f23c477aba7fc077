//! What was seen in an experiment, written by natural key: sending the same rows again changes nothing.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::experiments::Experiment;
use crate::performance::Written;
use crate::schema::experiment_observations as t;
use crate::types::Timestamp;
use crate::{insert_new, on};

/// Most rows that one experiment may hold: what an analysis reads into memory.
pub const MAX_ROWS: i64 = 250_000;

/// `hour` of a row that is about the whole day.
pub const WHOLE_DAY: i32 = -1;

/// One row: sums over `n` units.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Observation {
    /// The unit or market; empty when the row is a sum over an arm.
    pub unit: String,
    /// The arm; empty where the design says it (geo, switchback).
    pub arm: String,
    /// The day.
    pub date: NaiveDate,
    /// The hour in UTC, 0 to 23, or [`WHOLE_DAY`].
    pub hour: i32,
    /// Units that the sums are over.
    pub n: i64,
    /// Sum of the metric.
    pub value_sum: f64,
    /// Sum of its squares.
    pub value_sum_squares: Option<f64>,
    /// Sum of what was measured of the same units before the experiment.
    pub covariate_sum: Option<f64>,
    /// Sum of its squares.
    pub covariate_sum_squares: Option<f64>,
    /// Sum of the products of metric and covariate.
    pub cross_sum: Option<f64>,
    /// Spend in micros of the experiment's currency.
    pub spend_micros: Option<i64>,
}

type Key<'a> = (&'a str, &'a str, NaiveDate, i32);

fn key(row: &Observation) -> Key<'_> {
    (&row.unit, &row.arm, row.date, row.hour)
}

/// Writes rows for an experiment that was found in the caller's scope; a row whose key is stored takes its place. No key may occur twice.
///
/// # Errors
/// [`StorageError::NotFound`] outside of the scope; [`StorageError::Conflict`] (`conflict`) above [`MAX_ROWS`].
pub fn record(
    conn: &mut Connection,
    scope: &Scope,
    experiment: &Experiment,
    rows: &[Observation],
    now: DateTime<Utc>,
) -> Result<Written, StorageError> {
    if !scope.may_see(Some(&experiment.tenant_id)) {
        return Err(StorageError::not_found("experiment", &experiment.experiment_id));
    }
    let mut written = Written::default();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let stored = find_stored(conn, experiment.id, chunk)?;
        written += write_against(conn, experiment, chunk, &stored, now)?;
    }
    let total = count(conn, scope, experiment)?;
    if total > MAX_ROWS {
        let why = format!("the experiment would hold {total} rows and may hold {MAX_ROWS}; send sums per arm and day instead");
        return Err(StorageError::conflict("conflict", why));
    }
    Ok(written)
}

fn find_stored(conn: &mut Connection, experiment: i64, chunk: &[Observation]) -> Result<Vec<(i64, Observation)>, StorageError> {
    let units: BTreeSet<&str> = chunk.iter().map(|row| row.unit.as_str()).collect();
    let dates: BTreeSet<NaiveDate> = chunk.iter().map(|row| row.date).collect();
    Ok(on!(conn, c => t::table
        .filter(t::experiment.eq(experiment).and(t::unit.eq_any(&units)).and(t::date.eq_any(&dates)))
        .select((t::id, Observation::as_select()))
        .load(c))?)
}

fn write_against(
    conn: &mut Connection,
    experiment: &Experiment,
    chunk: &[Observation],
    stored: &[(i64, Observation)],
    now: DateTime<Utc>,
) -> Result<Written, StorageError> {
    let by_key: HashMap<Key<'_>, &(i64, Observation)> = stored.iter().map(|row| (key(&row.1), row)).collect();
    let mut written = Written::default();
    let mut new = Vec::new();
    for row in chunk {
        match by_key.get(&key(row)) {
            None => new.push(row),
            Some((_, known)) if known == row => written.unchanged += 1,
            Some((id, _)) => {
                let changes = (row, t::updated_at.eq(Timestamp(now)));
                on!(conn, c => diesel::update(t::table.find(id)).set(changes).execute(c))?;
                written.updated += 1;
            }
        }
    }
    if !new.is_empty() {
        let owner = (t::experiment.eq(experiment.id), t::tenant_id.eq(&experiment.tenant_id));
        let times = (t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now)));
        let rows: Vec<_> = new.iter().map(|one| (*one, owner, times)).collect();
        written.inserted += insert_new!(conn, t::table, rows)? as u64;
    }
    Ok(written)
}

/// How many rows an experiment has.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection, scope: &Scope, experiment: &Experiment) -> Result<i64, StorageError> {
    if !scope.may_see(Some(&experiment.tenant_id)) {
        return Ok(0);
    }
    Ok(on!(conn, c => t::table.filter(t::experiment.eq(experiment.id)).count().get_result(c))?)
}

/// Of what kinds the rows of an experiment are: whether any is about a single unit, and whether any is a sum over an arm.
///
/// # Errors
/// As any query.
pub fn kinds(conn: &mut Connection, scope: &Scope, experiment: &Experiment) -> Result<(bool, bool), StorageError> {
    use diesel::dsl::exists;
    use diesel::select;
    if !scope.may_see(Some(&experiment.tenant_id)) {
        return Ok((false, false));
    }
    let units = t::table.filter(t::experiment.eq(experiment.id).and(t::unit.ne("")));
    let sums = t::table.filter(t::experiment.eq(experiment.id).and(t::unit.eq("")));
    Ok((on!(conn, c => select(exists(units)).get_result(c))?, on!(conn, c => select(exists(sums)).get_result(c))?))
}

/// All rows of an experiment (at most [`MAX_ROWS`]) in the order of their natural key, bytes compared, which is the same on every database.
///
/// # Errors
/// As any query.
pub fn all(conn: &mut Connection, scope: &Scope, experiment: &Experiment) -> Result<Vec<Observation>, StorageError> {
    if !scope.may_see(Some(&experiment.tenant_id)) {
        return Ok(Vec::new());
    }
    let mut rows: Vec<Observation> = on!(conn, c => t::table
        .filter(t::experiment.eq(experiment.id))
        .limit(MAX_ROWS)
        .select(Observation::as_select())
        .load(c))?;
    rows.sort_by(|a, b| key(a).cmp(&key(b)));
    Ok(rows)
}
