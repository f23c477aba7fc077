//! What active and shadow models said of tasks that people decided later, beside what people said: the ground on which a model is watched.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine, ROWS_PER_STATEMENT};
use crate::error::StorageError;
use crate::on;
use crate::schema::{model_predictions as t, rating_tasks as tasks, task_consensus as consensus};
use crate::types::Timestamp;

/// One pair of candidates of a task as a model saw it, and as people did.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct ModelPrediction {
    /// The model.
    pub model_id: String,
    /// The task.
    pub task_id: String,
    /// Which pair of the task's candidates: 0 is the first with the second.
    pub pair: i32,
    /// Whose task it is.
    pub retailer_id: Option<String>,
    /// Pairs of one prompt are not independent.
    pub prompt_key: String,
    /// Score of the first less that of the second.
    pub difference: f64,
    /// Predicted probability that the first is preferred.
    pub predicted_a: f64,
    /// Of a tie.
    pub predicted_tie: f64,
    /// That the second is preferred.
    pub predicted_b: f64,
    /// What people said, as probabilities too.
    pub said_a: f64,
    /// Of a tie.
    pub said_tie: f64,
    /// Of the second.
    pub said_b: f64,
    /// Characters of the first less those of the second.
    pub longer: f64,
    /// When people decided.
    pub decided_at: Timestamp,
}

/// A task that people have decided.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Decided {
    /// Primary key.
    pub id: i64,
    /// Kind of task.
    pub task_type: String,
    /// Retailer.
    pub retailer_id: Option<String>,
    /// When its first consensus was stored: a model that was trained before has not seen it.
    pub known_since: Timestamp,
    /// When it was decided last.
    pub decided_at: Timestamp,
}

/// Finds a task that is no golden item and whose consensus is final.
///
/// # Errors
/// As any query.
pub fn find_decided(conn: &mut Connection, task_id: &str) -> Result<Option<Decided>, StorageError> {
    Ok(on!(conn, c => tasks::table
        .inner_join(consensus::table.on(consensus::task_id.eq(tasks::task_id)))
        .filter(tasks::task_id.eq(task_id).and(tasks::is_golden.eq(false)).and(consensus::is_final.eq(true)))
        .select((tasks::id, tasks::task_type, tasks::retailer_id, consensus::created_at, consensus::updated_at))
        .first(c)
        .optional())?)
}

/// Writes what models said of one task, in place of what they said of it before. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn record(conn: &mut Connection, task_id: &str, rows: &[ModelPrediction], now: DateTime<Utc>) -> Result<(), StorageError> {
    let mut models: Vec<&str> = rows.iter().map(|row| row.model_id.as_str()).collect();
    models.dedup();
    on!(conn, c => diesel::delete(t::table.filter(t::task_id.eq(task_id).and(t::model_id.eq_any(&models)))).execute(c))?;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                (
                    t::model_id.eq(&row.model_id),
                    t::task_id.eq(task_id),
                    t::pair.eq(row.pair),
                    t::retailer_id.eq(row.retailer_id.as_deref()),
                ),
                (t::prompt_key.eq(&row.prompt_key), t::difference.eq(row.difference), t::longer.eq(row.longer)),
                (t::predicted_a.eq(row.predicted_a), t::predicted_tie.eq(row.predicted_tie), t::predicted_b.eq(row.predicted_b)),
                (t::said_a.eq(row.said_a), t::said_tie.eq(row.said_tie), t::said_b.eq(row.said_b)),
                (t::decided_at.eq(row.decided_at), t::created_at.eq(Timestamp(now))),
            )
        })
        .collect();
    on!(conn, c => diesel::insert_into(t::table).values(&rows).execute(c))?;
    Ok(())
}

macro_rules! newest {
    ($model_id:expr, $since:expr, $limit:expr) => {
        t::table
            .filter(t::model_id.eq($model_id).and(t::decided_at.ge(Timestamp($since))))
            .order((t::decided_at.desc(), t::id.desc()))
            .limit($limit)
            .select(ModelPrediction::as_select())
    };
}

/// What a model said of tasks decided since an instant, the newest `limit` at most, oldest first.
///
/// # Errors
/// As any query.
pub fn newest(conn: &mut Connection, model_id: &str, since: DateTime<Utc>, limit: i64) -> Result<Vec<ModelPrediction>, StorageError> {
    let mut rows: Vec<ModelPrediction> = on!(conn, c => newest!(model_id, since, limit).load(c))?;
    rows.reverse();
    Ok(rows)
}

/// What several models said of tasks, each since an instant of its own: the newest `limit` of each at most, oldest first. One query for all
/// of them; only where they have more than `limit` each on average, one for each.
///
/// # Errors
/// As any query.
pub fn newest_of_all(
    conn: &mut Connection,
    models: &[(&str, DateTime<Utc>)],
    limit: usize,
) -> Result<BTreeMap<String, Vec<ModelPrediction>>, StorageError> {
    let Some(first) = models.iter().map(|(_, since)| *since).min() else { return Ok(BTreeMap::new()) };
    let ids: Vec<&str> = models.iter().map(|(id, _)| *id).collect();
    let most = i64::try_from(limit.saturating_mul(models.len())).unwrap_or(i64::MAX);
    let rows: Vec<ModelPrediction> = on!(conn, c => t::table
        .filter(t::model_id.eq_any(&ids).and(t::decided_at.ge(Timestamp(first))))
        .order((t::decided_at.desc(), t::id.desc()))
        .limit(most)
        .select(ModelPrediction::as_select())
        .load(c))?;
    let mut found: BTreeMap<String, Vec<ModelPrediction>> = BTreeMap::new();
    if rows.len() >= limit.saturating_mul(models.len()) {
        for (id, since) in models {
            found.insert((*id).to_owned(), newest(conn, id, *since, i64::try_from(limit).unwrap_or(i64::MAX))?);
        }
        return Ok(found);
    }
    for row in rows {
        let is_since = models.iter().any(|(id, since)| *id == row.model_id && row.decided_at >= Timestamp(*since));
        let own = found.entry(row.model_id.clone()).or_default();
        if is_since && own.len() < limit {
            own.push(row);
        }
    }
    found.values_mut().for_each(|rows| rows.reverse());
    Ok(found)
}

/// What several models said of these tasks.
///
/// # Errors
/// As any query.
pub fn of_models_and_tasks(conn: &mut Connection, model_ids: &[&str], task_ids: &[&str]) -> Result<Vec<ModelPrediction>, StorageError> {
    let mut found = Vec::with_capacity(task_ids.len());
    for some in task_ids.chunks(ROWS_PER_STATEMENT) {
        let own = t::model_id.eq_any(model_ids).and(t::task_id.eq_any(some));
        found.extend(on!(conn, c => t::table.filter(own).select(ModelPrediction::as_select()).load::<ModelPrediction>(c))?);
    }
    Ok(found)
}

/// What a model said of these tasks.
///
/// # Errors
/// As any query.
pub fn of_tasks(conn: &mut Connection, model_id: &str, task_ids: &[String]) -> Result<Vec<ModelPrediction>, StorageError> {
    let mut found = Vec::with_capacity(task_ids.len());
    for some in task_ids.chunks(ROWS_PER_STATEMENT) {
        let own = t::model_id.eq(model_id).and(t::task_id.eq_any(some));
        found.extend(on!(conn, c => t::table.filter(own).select(ModelPrediction::as_select()).load::<ModelPrediction>(c))?);
    }
    Ok(found)
}

/// How the database would find what a model said lately.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, model_id: &str, since: DateTime<Utc>) -> Result<String, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = on!(conn, c => Explained { words, query: newest!(model_id, since, 10) }.load(c))?;
    Ok(lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n"))
}
