//! The experts' queue: what waits, until when, and who looks at it; and what was decided.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use domain::scope::Scope;

use super::Review;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{expert_reviews as t, judgments, rating_tasks as tasks};
use crate::tasks::visible_tenant;
use crate::types::Timestamp;

/// Statuses in which a task waits for an expert.
const WAITING: [&str; 2] = ["escalated", "expert_review"];

/// A task that waits, without its texts.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = tasks)]
pub struct Waiting {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub task_id: String,
    /// Task type word.
    pub task_type: String,
    /// `escalated` or `expert_review`.
    pub status: String,
    /// One line.
    pub title: String,
    /// Whose policies apply.
    pub retailer_id: Option<String>,
    /// Judgments given.
    pub judgments_count: i32,
    /// When it came to the experts.
    pub escalated_at: Option<Timestamp>,
    /// Until when an expert should have answered.
    pub review_due_at: Option<Timestamp>,
}

/// Which tasks of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// All that wait.
    Waiting,
    /// Those that were due before this instant.
    OverdueAt(DateTime<Utc>),
}

/// Filter of the queue.
#[derive(Debug, Clone)]
pub struct QueueFilter {
    /// All, or those overdue.
    pub state: QueueState,
    /// One task type.
    pub task_type: Option<String>,
}

/// Somebody who looks at a task.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Looking {
    /// The task.
    pub task_id: String,
    /// Account of the expert.
    pub expert_id: String,
    /// Since when.
    pub opened_at: Timestamp,
}

/// Tasks that wait for an expert, the one due first at the front, after the sort keys of the last one seen. Call [`give_deadlines`]
/// before, since a task without a due time is not in the queue.
///
/// # Errors
/// As any query.
pub fn waiting(
    conn: &mut Connection,
    scope: &Scope,
    filter: &QueueFilter,
    after: Option<(DateTime<Utc>, i64)>,
    limit: i64,
) -> Result<Vec<Waiting>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = tasks::table
            .select(Waiting::as_select())
            .filter(tasks::status.eq_any(WAITING))
            .filter(tasks::review_due_at.is_not_null())
            .order((tasks::review_due_at, tasks::id))
            .limit(limit)
            .into_boxed();
        if let Some(tenant) = visible_tenant(scope) {
            query = query.filter(tasks::tenant_id.eq(tenant));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(tasks::task_type.eq(word));
        }
        if let QueueState::OverdueAt(now) = filter.state {
            query = query.filter(tasks::review_due_at.lt(Timestamp(now)));
        }
        if let Some((due, id)) = after {
            let due = Timestamp(due);
            query = query.filter(tasks::review_due_at.gt(due).or(tasks::review_due_at.eq(due).and(tasks::id.gt(id))));
        }
        query.load(c)
    })?)
}

/// How many tasks of all tenants wait for an expert, and how many of them are overdue.
///
/// # Errors
/// As any query.
pub fn count_waiting(conn: &mut Connection, now: DateTime<Utc>) -> Result<(i64, i64), StorageError> {
    let all = on!(conn, c => tasks::table.filter(tasks::status.eq_any(WAITING)).count().get_result(c))?;
    let late = tasks::status.eq_any(WAITING).and(tasks::review_due_at.lt(Timestamp(now)));
    Ok((all, on!(conn, c => tasks::table.filter(late).count().get_result(c))?))
}

/// Whether a task came to the experts by a way that set no due time; [`give_deadlines`] gives it one.
///
/// # Errors
/// As any query.
pub fn has_undated(conn: &mut Connection) -> Result<bool, StorageError> {
    let undated = tasks::table.filter(tasks::status.eq_any(WAITING).and(tasks::review_due_at.is_null())).select(tasks::id);
    let first: Option<i64> = on!(conn, c => undated.first(c).optional())?;
    Ok(first.is_some())
}

/// Gives a due time to tasks that came to the experts by a way that set none; how many.
///
/// # Errors
/// As any query.
pub fn give_deadlines(conn: &mut Connection, sla: TimeDelta, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let undated = tasks::table.filter(tasks::status.eq_any(WAITING).and(tasks::review_due_at.is_null()));
    let dates = (tasks::escalated_at.eq(Some(Timestamp(now))), tasks::review_due_at.eq(Some(Timestamp(now + sla))));
    Ok(on!(conn, c => diesel::update(undated).set(dates).execute(c))?)
}

/// When a task came to the experts, and until when one should have answered.
///
/// # Errors
/// As any query.
pub fn deadline_of(conn: &mut Connection, task_id: &str) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, StorageError> {
    let dates = tasks::table.filter(tasks::task_id.eq(task_id)).select((tasks::escalated_at, tasks::review_due_at));
    let found: Option<(Option<Timestamp>, Option<Timestamp>)> = on!(conn, c => dates.first(c).optional())?;
    Ok(found.and_then(|(from, until)| Some((from?.0, until?.0))))
}

/// Sets or takes away when a task came to the experts and is due. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn set_deadline(conn: &mut Connection, task_id: &str, dates: Option<(DateTime<Utc>, DateTime<Utc>)>) -> Result<(), StorageError> {
    let (from, until) = dates.map_or((None, None), |(from, until)| (Some(Timestamp(from)), Some(Timestamp(until))));
    let changes = (tasks::escalated_at.eq(from), tasks::review_due_at.eq(until));
    on!(conn, c => diesel::update(tasks::table.filter(tasks::task_id.eq(task_id))).set(changes).execute(c))?;
    Ok(())
}

/// Who looked at one of these tasks since `since` and has not decided.
///
/// # Errors
/// As any query.
pub fn looking(conn: &mut Connection, task_ids: &[String], since: DateTime<Utc>) -> Result<Vec<Looking>, StorageError> {
    let open = t::task_id.eq_any(task_ids).and(t::state.eq("open")).and(t::seen_at.ge(Timestamp(since)));
    Ok(on!(conn, c => t::table.filter(open).order(t::id).select((t::task_id, t::expert_id, t::opened_at)).load(c))?)
}

/// Which of these tasks a rater has judged.
///
/// # Errors
/// As any query.
pub fn judged_by(conn: &mut Connection, task_ids: &[String], rater_id: &str) -> Result<Vec<String>, StorageError> {
    let own = judgments::rater_id.eq(rater_id).and(judgments::task_id.eq_any(task_ids));
    Ok(on!(conn, c => judgments::table.filter(own).select(judgments::task_id).load(c))?)
}

/// Decisions with the titles of their tasks, newest first, after the sort keys of the last one seen.
///
/// # Errors
/// As any query.
pub fn decided(
    conn: &mut Connection,
    scope: &Scope,
    task_type: Option<&str>,
    after: Option<(DateTime<Utc>, i64)>,
    limit: i64,
) -> Result<Vec<(Review, String)>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table
            .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
            .select((Review::as_select(), tasks::title))
            .filter(t::state.eq("decided"))
            .order((t::decided_at.desc(), t::id.desc()))
            .limit(limit)
            .into_boxed();
        if let Some(tenant) = visible_tenant(scope) {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(word) = task_type {
            query = query.filter(t::task_type.eq(word));
        }
        if let Some((at, id)) = after {
            let at = Timestamp(at);
            query = query.filter(t::decided_at.lt(at).or(t::decided_at.eq(at).and(t::id.lt(id))));
        }
        query.load(c)
    })?)
}
