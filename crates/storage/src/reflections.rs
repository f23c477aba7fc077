//! Reflection logs: why the software decided as it did. Written once, never changed, and dropped when they are too old.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::matching::{contains, lower};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::reflection_logs as t;
use crate::types::{Json, Timestamp};

/// A stored reflection log.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct ReflectionLog {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub log_id: String,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Primary key of the campaign it is about.
    #[serde(skip)]
    pub campaign: Option<i64>,
    /// What belongs together, such as a plan set.
    pub session_id: String,
    /// What was decided, such as `plan_quality`.
    pub task_type: String,
    /// `reflection`, `decision` or `execution`.
    pub phase: String,
    /// What was looked at: ids of rows, models, earlier logs.
    pub memory_references: Json,
    /// The alternatives considered.
    pub alternate_frames: Json,
    /// What may go wrong.
    pub risk_factors: Json,
    /// What is done about it.
    pub mitigation_strategies: Json,
    /// How sure it was, 0 to 1; absent when not known.
    pub confidence_value: Option<f64>,
    /// Where that figure comes from.
    pub confidence_rationale: Option<String>,
    /// From which confidence the software decides alone.
    pub decision_threshold: Option<f64>,
    /// What was done against bias.
    pub bias_checkpoint: Json,
    /// What was decided.
    pub decision: Json,
    /// Why, in words.
    pub decision_rationale: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A log to write; the fields are those of [`ReflectionLog`].
#[derive(Debug, Clone, PartialEq, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewReflectionLog {
    pub log_id: String,
    pub tenant_id: Option<String>,
    pub campaign: Option<i64>,
    pub session_id: String,
    pub task_type: String,
    pub phase: String,
    pub memory_references: Json,
    pub alternate_frames: Json,
    pub risk_factors: Json,
    pub mitigation_strategies: Json,
    pub confidence_value: Option<f64>,
    pub confidence_rationale: Option<String>,
    pub decision_threshold: Option<f64>,
    pub bias_checkpoint: Json,
    pub decision: Json,
    pub decision_rationale: String,
}

/// Which logs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReflectionFilter {
    /// Only those of a session.
    pub session_id: Option<String>,
    /// Only those about a campaign (its primary key).
    pub campaign: Option<i64>,
    /// Only those about a kind of task.
    pub task_type: Option<String>,
    /// Only those of a phase.
    pub phase: Option<String>,
    /// Only those whose reasons hold this text; letter case does not matter.
    pub search: Option<String>,
    /// Only those written at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those written before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// Writes a log.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`).
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewReflectionLog, now: DateTime<Utc>) -> Result<ReflectionLog, StorageError> {
    let row = (new, t::created_at.eq(Timestamp(now)));
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("already_exists", || format!("reflection log {:?} exists already", new.log_id))?;
    find(conn, scope, &new.log_id)
}

/// One log of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, log_id: &str) -> Result<ReflectionLog, StorageError> {
    let found: Option<ReflectionLog> =
        on!(conn, c => t::table.filter(t::log_id.eq(log_id)).select(ReflectionLog::as_select()).first(c).optional())?;
    found.filter(|log| scope.may_see(log.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("reflection log", log_id))
}

/// Logs of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &ReflectionFilter, page: &Page) -> Result<Slice<ReflectionLog>, StorageError> {
    let rows: Vec<ReflectionLog> = on!(conn, c => {
        let mut query = t::table.select(ReflectionLog::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(session_id) = &filter.session_id {
            query = query.filter(t::session_id.eq(session_id));
        }
        if let Some(campaign) = filter.campaign {
            query = query.filter(t::campaign.eq(campaign));
        }
        if let Some(task_type) = &filter.task_type {
            query = query.filter(t::task_type.eq(task_type));
        }
        if let Some(phase) = &filter.phase {
            query = query.filter(t::phase.eq(phase));
        }
        if let Some(text) = filter.search.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            let pattern = contains(text);
            query = query.filter(
                lower(t::decision_rationale).like(pattern.clone()).escape('!').or(lower(t::session_id).like(pattern).escape('!')),
            );
        }
        if let Some(from) = filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Drops logs written before an instant, the oldest first and at most `limit`; how many. They are looked at in the order in which they were
/// stored, so that no table has to be read whole: one that was stored late stays until those before it are gone.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>, limit: i64) -> Result<usize, StorageError> {
    let oldest: Vec<(i64, Timestamp)> = on!(conn, c => t::table.order(t::id).select((t::id, t::created_at)).limit(limit).load(c))?;
    let old: Vec<i64> = oldest.into_iter().take_while(|(_, at)| at.0 < before).map(|(id, _)| id).collect();
    if old.is_empty() {
        return Ok(0);
    }
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::id.eq_any(&old))).execute(c))?)
}
