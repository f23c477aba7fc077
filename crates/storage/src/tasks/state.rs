//! Where a task stands, without what raters read: what the rules of judging lock, look at and write.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::batch::{Batch, Must, enter};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::lock;
use crate::prepared::change;
use crate::schema::rating_tasks as t;
use crate::types::Timestamp;
use crate::version::{AsSeen, Version};

/// What rules about a task need to know, without what raters read.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct TaskState {
    /// Public id.
    pub task_id: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Task type word.
    pub task_type: String,
    /// Status word.
    pub status: String,
    /// Whose policies apply.
    pub retailer_id: Option<String>,
    /// Whether there is a third candidate.
    #[diesel(select_expression = t::candidate_c.is_not_null())]
    pub has_third: bool,
    /// Whether an expert's answer is known.
    pub is_golden: bool,
    /// The expert's choice.
    pub golden_choice: Option<String>,
    /// 0 to 100.
    pub priority: i32,
    /// How unsure the model was, 0 to 1.
    pub uncertainty_score: Option<f64>,
    /// Judgments wanted.
    pub required_judgments: i32,
    /// Judgments given.
    pub judgments_count: i32,
    /// When it was decided.
    pub completed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl TaskState {
    /// How many candidates there are.
    #[must_use]
    pub fn candidate_count(&self) -> usize {
        2 + usize::from(self.has_third)
    }
}

/// What rules need to know of a task, locked until the transaction ends.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock_state(conn: &mut Connection, task_id: &str) -> Result<TaskState, StorageError> {
    let found: Vec<TaskState> = lock!(conn, t::table.filter(t::task_id.eq(task_id)).select(TaskState::as_select()) => TaskState)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("task", task_id))
}

/// Writes where a task stands after a judgment; the queue is the caller's. The task must be locked by this transaction, or its version
/// known: then nothing is changed when the task was written since.
///
/// # Errors
/// As any query.
pub fn enter_state<'a>(
    conn: &mut Connection,
    batch: &mut Batch<'a>,
    task: &'a TaskState,
    as_seen: Option<&'a Version>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let changes = (
        t::status.eq(&task.status),
        t::judgments_count.eq(task.judgments_count),
        t::required_judgments.eq(task.required_judgments),
        t::completed_at.eq(task.completed_at),
        t::updated_at.eq(Timestamp(now)),
    );
    let own = t::task_id.eq(&task.task_id);
    if let Some(version) = as_seen {
        let seen = AsSeen { filter: own, table: "rating_tasks", version };
        batch.wait(Box::new(change(t::table, seen, changes)), Must::ChangeOne);
        return Ok(());
    }
    enter!(conn, batch, Must::ChangeOne, change(t::table, own, changes)).map(drop)
}
