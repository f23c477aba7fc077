//! Decided tasks with what the automatic checks found about their candidates: the material for asking which check predicts the verdict.

use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{rating_tasks as t, task_consensus as k};
use crate::types::Json;

/// A task of two candidates that raters decided.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct CheckedTask {
    /// Kind of task.
    pub task_type: String,
    /// What the automatic checks found, all candidates together.
    pub auto_checks: Json,
    /// The decision in the stored order, a word of `domain::task::Choice`; null on a tie of the posterior.
    pub choice: Option<String>,
}

/// The newest tasks of two candidates that raters (not an expert) decided, newest first; golden items are left out, because their raters are tested and
/// not asked.
///
/// # Errors
/// As any query.
pub fn newest_decided(conn: &mut Connection, limit: i64) -> Result<Vec<CheckedTask>, StorageError> {
    Ok(on!(conn, c => k::table
        .inner_join(t::table.on(t::task_id.eq(k::task_id)))
        .filter(k::is_final.eq(true).and(k::decided_by.eq("raters")))
        .filter(t::is_golden.eq(false).and(t::candidate_c.is_null()))
        .order(k::id.desc())
        .limit(limit)
        .select((t::task_type, t::auto_checks, k::choice))
        .load(c))?)
}
