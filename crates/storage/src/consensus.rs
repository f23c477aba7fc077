//! What the judgments of a task say together; one row per task, rewritten with each judgment until it is final.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::task_consensus as t;
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

/// Stores a consensus, in place of the one before. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn save(conn: &mut Connection, new: &NewConsensus, now: DateTime<Utc>) -> Result<(), StorageError> {
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
    let own = t::table.filter(t::task_id.eq(&new.task_id));
    if on!(conn, c => diesel::update(own).set(values.clone()).execute(c))? == 0 {
        let key = (t::task_id.eq(&new.task_id), t::created_at.eq(Timestamp(now)));
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

/// Forgets the consensus of a task whose last judgment was taken back.
///
/// # Errors
/// As any query.
pub fn delete(conn: &mut Connection, task_id: &str) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.filter(t::task_id.eq(task_id))).execute(c))?;
    Ok(())
}
