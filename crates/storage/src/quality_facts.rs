//! Judgments as the quality figures need them: one narrow row each, of a bounded number of the newest.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{judgments as t, rating_tasks as tasks, task_consensus as consensus};
use crate::types::{Json, Timestamp};

/// One judgment with what is known of its task. The choice is in the stored order.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Public id.
    pub judgment_id: String,
    /// The task.
    pub task_id: String,
    /// Who judged.
    pub rater_id: String,
    /// Choice word.
    pub choice: String,
    /// The order that was shown.
    pub display_order: Json,
    /// Time in which the rater was active, in milliseconds.
    pub active_ms: Option<i64>,
    /// Whether the rater asked for an expert.
    pub is_escalated: bool,
    /// On a golden item: whether it equals the expert's choice.
    pub matches_golden: Option<bool>,
    /// Whether an expert has decided the task since.
    pub expert_reviewed: bool,
    /// Whether the expert chose the same.
    pub expert_agrees: Option<bool>,
    /// Version of the rubric.
    pub rubric_version: i32,
    /// When it was given.
    pub created_at: Timestamp,
    /// Type of the task.
    pub task_type: String,
    /// Whose media it is about.
    pub retailer_id: Option<String>,
    /// Whether its answer was known.
    pub is_golden: bool,
    /// Title of the task.
    pub title: String,
    /// What the task came to, once it is decided.
    pub decision: Option<String>,
}

/// The newest judgments that count since an instant, newest first, at most `limit`.
///
/// # Errors
/// As any query.
pub fn newest(conn: &mut Connection, since: DateTime<Utc>, limit: i64) -> Result<Vec<Fact>, StorageError> {
    Ok(on!(conn, c => t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .left_join(consensus::table.on(consensus::task_id.eq(t::task_id).and(consensus::is_final.eq(true))))
        .filter(t::created_at.ge(Timestamp(since)).and(t::voided_at.is_null()))
        .order((t::created_at.desc(), t::id.desc()))
        .limit(limit)
        .select((
            (t::judgment_id, t::task_id, t::rater_id, t::choice, t::display_order, t::active_ms, t::is_escalated, t::matches_golden),
            (t::expert_reviewed, t::expert_agrees, t::rubric_version, t::created_at),
            (tasks::task_type, tasks::retailer_id, tasks::is_golden, tasks::title, consensus::choice.nullable()),
        ))
        .load::<Row>(c))?
    .into_iter()
    .map(Fact::from)
    .collect())
}

type Row = (
    (String, String, String, String, Json, Option<i64>, bool, Option<bool>),
    (bool, Option<bool>, i32, Timestamp),
    (String, Option<String>, bool, String, Option<String>),
);

impl From<Row> for Fact {
    fn from((judged, reviewed, task): Row) -> Self {
        let (judgment_id, task_id, rater_id, choice, display_order, active_ms, is_escalated, matches_golden) = judged;
        let (expert_reviewed, expert_agrees, rubric_version, created_at) = reviewed;
        let (task_type, retailer_id, is_golden, title, decision) = task;
        Self {
            judgment_id,
            task_id,
            rater_id,
            choice,
            display_order,
            active_ms,
            is_escalated,
            matches_golden,
            expert_reviewed,
            expert_agrees,
            rubric_version,
            created_at,
            task_type,
            retailer_id,
            is_golden,
            title,
            decision,
        }
    }
}
