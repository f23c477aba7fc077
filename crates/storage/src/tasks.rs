//! Rating tasks: what raters compare, where each task stands, and how many judgments it still needs.

mod state;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::queue::{self, Weights};
use crate::schema::{rating_tasks as t, retailers};
use crate::types::{Json, Timestamp};
use crate::{insert_new, lock, on};

pub use state::{TaskState, enter_state, lock_state};

/// A stored task; candidates are in the stored order, which raters never see as such.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Task {
    /// Primary key.
    pub id: i64,
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
    /// The adapter that wrote the candidates.
    pub adapter_id: Option<String>,
    /// One line.
    pub title: String,
    /// The question to raters.
    pub prompt: String,
    /// What raters need to know, a list.
    pub context_snippets: Json,
    /// First candidate.
    pub candidate_a: Json,
    /// Second candidate.
    pub candidate_b: Json,
    /// Third candidate, if any.
    pub candidate_c: Option<Json>,
    /// What the machine checks found, a list.
    pub auto_checks: Json,
    /// Criteria at creation.
    pub rubric_checklist: Json,
    /// Reason codes at creation.
    pub reason_codes: Json,
    /// Whether an expert's answer is known.
    pub is_golden: bool,
    /// The expert's choice.
    pub golden_choice: Option<String>,
    /// The expert's reason codes.
    pub golden_reasons: Option<Json>,
    /// 0 to 100, higher is judged sooner.
    pub priority: i32,
    /// How unsure the model was, 0 to 1.
    pub uncertainty_score: Option<f64>,
    /// Judgments wanted.
    pub required_judgments: i32,
    /// Judgments given.
    pub judgments_count: i32,
    /// What the task came from.
    pub source: Option<String>,
    /// SHA-256 of what the creator sent.
    pub content_hash: String,
    /// First lease.
    pub assigned_at: Option<Timestamp>,
    /// When it was decided.
    pub completed_at: Option<Timestamp>,
    /// When it came to the experts.
    pub escalated_at: Option<Timestamp>,
    /// Until when an expert should have answered.
    pub review_due_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Task {
    /// The candidates in the stored order: two or three.
    #[must_use]
    pub fn candidates(&self) -> Vec<Value> {
        let both = [self.candidate_a.0.clone(), self.candidate_b.0.clone()];
        both.into_iter().chain(self.candidate_c.clone().map(|c| c.0)).collect()
    }

    /// How many candidates there are.
    #[must_use]
    pub fn candidate_count(&self) -> usize {
        2 + usize::from(self.candidate_c.is_some())
    }
}

/// A task to store.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The caller's id; `None` makes one.
    pub task_id: Option<String>,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Task type word.
    pub task_type: String,
    /// `pending`, or `validated` for a task that is made as a golden item.
    pub status: String,
    /// Whose policies apply.
    pub retailer_id: Option<String>,
    /// The adapter that wrote the candidates.
    pub adapter_id: Option<String>,
    /// One line.
    pub title: String,
    /// The question.
    pub prompt: String,
    /// What raters need to know, a list.
    pub context_snippets: Value,
    /// Two or three candidates.
    pub candidates: Vec<Value>,
    /// What the machine checks found, a list.
    pub auto_checks: Value,
    /// Criteria.
    pub rubric_checklist: Value,
    /// Reason codes.
    pub reason_codes: Value,
    /// 0 to 100.
    pub priority: i32,
    /// 0 to 1.
    pub uncertainty_score: Option<f64>,
    /// Judgments wanted, at least 1.
    pub required_judgments: i32,
    /// Judgments wanted at most, when those before leave the answer open; as many as wanted, or more.
    pub max_judgments: i32,
    /// What the task came from.
    pub source: Option<String>,
    /// How the queue weighs it.
    pub weights: Weights,
}

impl NewTask {
    /// SHA-256 over all that the creator chose; what we computed from it (checks, rubric) is left out, because our rules may change.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let content = json!([
            self.tenant_id,
            self.task_type,
            self.retailer_id,
            self.adapter_id,
            self.title,
            self.prompt,
            self.context_snippets,
            self.candidates,
            self.priority,
            self.uncertainty_score,
            self.required_judgments,
            self.source,
        ]);
        Sha256::digest(content.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Which tasks to list; all parts must hold.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Task type word.
    pub task_type: Option<String>,
    /// Status words, any of them; empty is all.
    pub statuses: Vec<String>,
    /// Retailer.
    pub retailer_id: Option<String>,
    /// What the task came from.
    pub source: Option<String>,
    /// Golden items only, or none.
    pub is_golden: Option<bool>,
}

/// The tenant whose tasks the scope sees; `None` sees all. Reviewers without a tenant work for everybody.
#[must_use]
pub fn visible_tenant(scope: &Scope) -> Option<&str> {
    match scope.tenant() {
        Some("") if scope.role().may_review() => None,
        other => other,
    }
}

/// Stores a task, or answers the stored one when the same was sent under the same id. The second part says whether it is new.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`) when the id has other content or belongs to another tenant;
/// [`StorageError::Invalid`] for an unknown retailer.
pub fn create(conn: &mut Connection, new: &NewTask, now: DateTime<Utc>) -> Result<(Task, bool), StorageError> {
    if let Some(retailer_id) = &new.retailer_id {
        let known: i64 = on!(conn, c => retailers::table.filter(retailers::retailer_id.eq(retailer_id)).count().get_result(c))?;
        if known == 0 {
            let invalid = domain::invalid::Invalid::one("retailer_id", format!("there is no retailer {retailer_id:?}; create it first"));
            return Err(invalid.into());
        }
    }
    let task_id = new.task_id.clone().unwrap_or_else(|| domain::id::new("tsk"));
    let content_hash = new.content_hash();
    let candidate = |place: usize| new.candidates.get(place).cloned().map(Json);
    let row = (
        (
            t::task_id.eq(&task_id),
            t::tenant_id.eq(new.tenant_id.as_deref()),
            t::task_type.eq(&new.task_type),
            t::status.eq(&new.status),
            t::retailer_id.eq(new.retailer_id.as_deref()),
            t::adapter_id.eq(new.adapter_id.as_deref()),
            t::title.eq(&new.title),
            t::prompt.eq(&new.prompt),
            t::context_snippets.eq(Json(new.context_snippets.clone())),
        ),
        (
            t::candidate_a.eq(candidate(0).unwrap_or_default()),
            t::candidate_b.eq(candidate(1).unwrap_or_default()),
            t::candidate_c.eq(candidate(2)),
            t::auto_checks.eq(Json(new.auto_checks.clone())),
            t::rubric_checklist.eq(Json(new.rubric_checklist.clone())),
            t::reason_codes.eq(Json(new.reason_codes.clone())),
        ),
        (
            t::is_golden.eq(false),
            t::priority.eq(new.priority),
            t::uncertainty_score.eq(new.uncertainty_score),
            t::required_judgments.eq(new.required_judgments),
            t::judgments_count.eq(0),
            t::source.eq(new.source.as_deref()),
            t::content_hash.eq(&content_hash),
            t::created_at.eq(Timestamp(now)),
            t::updated_at.eq(Timestamp(now)),
        ),
    );
    let inserted = insert_new!(conn, t::table, &row)?;
    let stored = match read(conn, &task_id) {
        // Not inserted and not there: it is another tenant's, which row-level security hides.
        Err(StorageError::NotFound { .. }) if inserted == 0 => return Err(taken(&task_id)),
        found => found?,
    };
    if inserted > 0 && stored.status == "pending" {
        queue::insert(conn, &stored, new.max_judgments, &new.weights, now)?;
    }
    if inserted == 0 && (stored.content_hash != content_hash || stored.tenant_id != new.tenant_id) {
        return Err(taken(&task_id));
    }
    Ok((stored, inserted > 0))
}

fn taken(task_id: &str) -> StorageError {
    let why = format!("a task {task_id:?} exists with other content; choose another task_id, or leave it out");
    StorageError::conflict("already_exists", why)
}

/// One task that the scope may see.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, task_id: &str) -> Result<Task, StorageError> {
    let task = read(conn, task_id)?;
    let is_visible = visible_tenant(scope).is_none_or(|tenant| task.tenant_id.as_deref() == Some(tenant));
    if is_visible { Ok(task) } else { Err(StorageError::not_found("task", task_id)) }
}

/// One task for work that the caller was given (an assignment), whoever's it is.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn read(conn: &mut Connection, task_id: &str) -> Result<Task, StorageError> {
    let found: Option<Task> = on!(conn, c => t::table.filter(t::task_id.eq(task_id)).select(Task::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("task", task_id))
}

/// One task, locked until the transaction ends. Take this lock before those of raters.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock(conn: &mut Connection, task_id: &str) -> Result<Task, StorageError> {
    let found: Vec<Task> = lock!(conn, t::table.filter(t::task_id.eq(task_id)).select(Task::as_select()) => Task)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("task", task_id))
}

/// Tasks of the scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &TaskFilter, page: &Page) -> Result<Slice<Task>, StorageError> {
    let rows: Vec<Task> = on!(conn, c => {
        let mut query = t::table.select(Task::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = visible_tenant(scope) {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(t::task_type.eq(word));
        }
        if !filter.statuses.is_empty() {
            query = query.filter(t::status.eq_any(&filter.statuses));
        }
        if let Some(id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(id));
        }
        if let Some(source) = &filter.source {
            query = query.filter(t::source.eq(source));
        }
        if let Some(is_golden) = filter.is_golden {
            query = query.filter(t::is_golden.eq(is_golden));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Titles of some tasks by id.
///
/// # Errors
/// As any query.
pub fn titles(conn: &mut Connection, task_ids: &[String]) -> Result<HashMap<String, String>, StorageError> {
    let rows: Vec<(String, String)> = on!(conn, c => t::table.filter(t::task_id.eq_any(task_ids)).select((t::task_id, t::title)).load(c))?;
    Ok(rows.into_iter().collect())
}

/// How many tasks are in each status, golden items left out; statuses without tasks are absent.
///
/// # Errors
/// As any query.
pub fn count_by_status(conn: &mut Connection) -> Result<Vec<(String, i64)>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::is_golden.eq(false))
        .group_by(t::status)
        .select((t::status, diesel::dsl::count(t::id)))
        .load(c))?)
}

/// How many tasks of these types wait for judgments, golden items left out.
///
/// # Errors
/// As any query.
pub fn count_open(conn: &mut Connection, task_types: &[String]) -> Result<i64, StorageError> {
    let open = t::is_golden.eq(false).and(t::status.eq_any(["pending", "in_progress"])).and(t::task_type.eq_any(task_types));
    Ok(on!(conn, c => t::table.filter(open).count().get_result(c))?)
}

/// Moves a task on: its status and how many judgments it has, and its place in the queue. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn set_progress(
    conn: &mut Connection,
    task: &Task,
    status: &str,
    judgments_count: i32,
    completed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Task, StorageError> {
    let after = Task {
        status: status.to_owned(),
        judgments_count,
        completed_at: completed_at.map(Timestamp),
        updated_at: Timestamp(now),
        ..task.clone()
    };
    let changes = (
        t::status.eq(&after.status),
        t::judgments_count.eq(judgments_count),
        t::completed_at.eq(after.completed_at),
        t::updated_at.eq(after.updated_at),
    );
    on!(conn, c => diesel::update(t::table.find(task.id)).set(changes).execute(c))?;
    queue::sync(conn, &after, &Weights::default(), now)?;
    Ok(after)
}
