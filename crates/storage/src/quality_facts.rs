//! Judgments as the quality figures need them: one narrow row each, of a bounded number of the newest.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine};
use crate::error::StorageError;
use crate::on;
use crate::schema::{judgments as t, rating_tasks as tasks, task_assignments as assignments, task_consensus as consensus};
use crate::types::{Json, Timestamp};

/// One judgment with what is known of its task. The choice is in the stored order.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Primary key.
    pub id: i64,
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
    /// Whether it was given in calibration, where golden items teach and are answered before work begins.
    pub in_calibration: bool,
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

impl Fact {
    /// Where a list goes on after this one.
    #[must_use]
    pub fn place(&self) -> FactPlace {
        (self.created_at, self.id)
    }
}

/// A place in the order of judgments: when one was given, and its primary key.
pub type FactPlace = (Timestamp, i64);

/// Which judgments; all parts must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct FactFilter {
    /// Given since.
    pub since: DateTime<Utc>,
    /// Task type word.
    pub task_type: Option<String>,
    /// Of one rater.
    pub rater_id: Option<String>,
}

impl FactFilter {
    /// All judgments since an instant.
    #[must_use]
    pub fn since(since: DateTime<Utc>) -> Self {
        Self { since, task_type: None, rater_id: None }
    }
}

/// The query of [`newest`].
macro_rules! wanted {
    ($filter:expr, $after:expr, $limit:expr) => {{
        let mut query = t::table
            .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
            .inner_join(assignments::table.on(assignments::assignment_id.eq(t::assignment_id)))
            .left_join(consensus::table.on(consensus::task_id.eq(t::task_id).and(consensus::is_final.eq(true))))
            .filter(t::created_at.ge(Timestamp($filter.since)).and(t::voided_at.is_null()))
            .order((t::created_at.desc(), t::id.desc()))
            .limit($limit)
            .select((
                (t::id, t::judgment_id, t::task_id, t::rater_id, t::choice, t::display_order, t::active_ms, t::is_escalated),
                (t::matches_golden, t::expert_reviewed, t::expert_agrees, t::rubric_version, t::created_at, assignments::purpose),
                (tasks::task_type, tasks::retailer_id, tasks::is_golden, tasks::title, consensus::choice.nullable()),
            ))
            .into_boxed();
        if let Some(word) = &$filter.task_type {
            query = query.filter(tasks::task_type.eq(word));
        }
        if let Some(rater_id) = &$filter.rater_id {
            query = query.filter(t::rater_id.eq(rater_id));
        }
        if let Some((at, id)) = $after {
            // The first bound alone is what an index can begin at.
            query = query.filter(t::created_at.le(at)).filter(t::created_at.lt(at).or(t::id.lt(id)));
        }
        query
    }};
}

/// The newest judgments that count, newest first, at most `limit`: from the beginning, or after a place.
///
/// # Errors
/// As any query.
pub fn newest(conn: &mut Connection, filter: &FactFilter, after: Option<FactPlace>, limit: i64) -> Result<Vec<Fact>, StorageError> {
    let rows: Vec<Row> = on!(conn, c => wanted!(filter, after, limit).load(c))?;
    Ok(rows.into_iter().map(Fact::from).collect())
}

/// How the judgments would be read: the steps of the plan.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, filter: &FactFilter, after: Option<FactPlace>, limit: i64) -> Result<Vec<String>, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = on!(conn, c => Explained { words, query: wanted!(filter, after, limit) }.load(c))?;
    Ok(lines.into_iter().map(|line| line.0).collect())
}

type Row = (
    (i64, String, String, String, String, Json, Option<i64>, bool),
    (Option<bool>, bool, Option<bool>, i32, Timestamp, String),
    (String, Option<String>, bool, String, Option<String>),
);

impl From<Row> for Fact {
    fn from((judged, reviewed, task): Row) -> Self {
        let (id, judgment_id, task_id, rater_id, choice, display_order, active_ms, is_escalated) = judged;
        let (matches_golden, expert_reviewed, expert_agrees, rubric_version, created_at, purpose) = reviewed;
        let (task_type, retailer_id, is_golden, title, decision) = task;
        Self {
            id,
            judgment_id,
            task_id,
            rater_id,
            choice,
            display_order,
            active_ms,
            is_escalated,
            matches_golden,
            in_calibration: purpose == "calibration",
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
