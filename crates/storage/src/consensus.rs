//! What the judgments of a task say together; one row per task, rewritten with each judgment until it is final.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::batch::{Batch, Followed, Must};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::prepared::change;
use crate::schema::{judgments, rating_tasks as tasks, task_consensus as t};
use crate::types::{Json, Timestamp};

/// A stored consensus; choices are in the stored order.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = t)]
pub struct Consensus {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The task.
    pub task_id: String,
    /// The most probable choice; null on a tie.
    pub choice: Option<String>,
    /// Its probability.
    pub posterior: Option<f64>,
    /// Probability by choice.
    pub posteriors: Json,
    /// How it was computed; figures of different methods are not compared.
    pub method: String,
    /// Judgments that entered.
    pub judgments_count: i32,
    /// Share of judgments that equal the choice.
    pub agreement: Option<f64>,
    /// Whether the task is decided.
    pub is_final: bool,
    /// `raters`, or the expert's id; null while open.
    pub decided_by: Option<String>,
    /// The expert's reason.
    pub rationale: Option<String>,
    /// First computed.
    pub created_at: Timestamp,
    /// Last computed.
    pub updated_at: Timestamp,
}

/// A consensus to store in place of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConsensus {
    /// The task.
    pub task_id: String,
    /// The most probable choice.
    pub choice: Option<String>,
    /// Its probability.
    pub posterior: Option<f64>,
    /// Probability by choice.
    pub posteriors: Value,
    /// How it was computed.
    pub method: String,
    /// Judgments that entered.
    pub judgments_count: i32,
    /// Share of judgments that equal the choice.
    pub agreement: Option<f64>,
    /// Whether the task is decided.
    pub is_final: bool,
    /// Who decided.
    pub decided_by: Option<String>,
    /// The expert's reason.
    pub rationale: Option<String>,
}

/// PostgreSQL's words for taking the place of the row before.
const IN_PLACE: &str = " ON CONFLICT (task_id) DO UPDATE SET choice = excluded.choice, posterior = excluded.posterior, \
    posteriors = excluded.posteriors, method = excluded.method, judgments_count = excluded.judgments_count, agreement = excluded.agreement, \
    is_final = excluded.is_final, decided_by = excluded.decided_by, rationale = excluded.rationale, updated_at = excluded.updated_at";

/// Stores a consensus, in place of the one before. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn save(conn: &mut Connection, new: &NewConsensus, now: DateTime<Utc>) -> Result<(), StorageError> {
    let mut batch = Batch::default();
    enter(conn, &mut batch, new, now)?;
    batch.finish(conn).map(drop)
}

/// [`save`] with other changes.
///
/// # Errors
/// As any query.
pub fn enter<'a>(conn: &mut Connection, batch: &mut Batch<'a>, new: &'a NewConsensus, now: DateTime<Utc>) -> Result<(), StorageError> {
    let values = (
        t::choice.eq(new.choice.as_deref()),
        t::posterior.eq(new.posterior),
        t::posteriors.eq(Json(new.posteriors.clone())),
        t::method.eq(&new.method),
        t::judgments_count.eq(new.judgments_count),
        t::agreement.eq(new.agreement),
        t::is_final.eq(new.is_final),
        t::decided_by.eq(new.decided_by.as_deref()),
        t::rationale.eq(new.rationale.as_deref()),
        t::updated_at.eq(Timestamp(now)),
    );
    let key = (t::task_id.eq(&new.task_id), t::created_at.eq(Timestamp(now)));
    if let Connection::Postgres(_) = conn {
        let insert = diesel::insert_into(t::table).values((key, values));
        batch.wait(Box::new(Followed { query: insert, by: IN_PLACE }), Must::ChangeOne);
    } else if on!(conn, c => change(t::table, t::task_id.eq(&new.task_id), values.clone()).execute(c))? == 0 {
        on!(conn, c => diesel::insert_into(t::table).values((key, values)).execute(c))?;
    }
    Ok(())
}

/// The consensus of a task, once there is a judgment.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, task_id: &str) -> Result<Option<Consensus>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::task_id.eq(task_id)).select(Consensus::as_select()).first(c).optional())?)
}

/// One judgment of a task that raters or an expert have decided.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct DecidedVote {
    /// The task.
    pub task_id: String,
    /// Task type word.
    pub task_type: String,
    /// Whether the task has a third candidate.
    pub has_third: bool,
    /// Who judged.
    pub rater_id: String,
    /// What the rater chose, in the stored order.
    pub given: String,
    /// What was decided.
    pub decided: Option<String>,
}

/// The newest judgments of decided tasks, newest first, golden items left out: what is known about raters from work.
///
/// # Errors
/// As any query.
pub fn decided_votes(conn: &mut Connection, limit: i64) -> Result<Vec<DecidedVote>, StorageError> {
    Ok(on!(conn, c => judgments::table
        .inner_join(tasks::table.on(tasks::task_id.eq(judgments::task_id)))
        .inner_join(t::table.on(t::task_id.eq(judgments::task_id)))
        .filter(tasks::is_golden.eq(false).and(t::is_final.eq(true)).and(judgments::voided_at.is_null()))
        .order(judgments::id.desc())
        .limit(limit.clamp(1, 100_000))
        .select((t::task_id, tasks::task_type, tasks::candidate_c.is_not_null(), judgments::rater_id, judgments::choice, t::choice))
        .load(c))?)
}

/// Forgets the consensus of a task whose last judgment was taken back.
///
/// # Errors
/// As any query.
pub fn delete(conn: &mut Connection, task_id: &str) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.filter(t::task_id.eq(task_id))).execute(c))?;
    Ok(())
}
