//! Judged tasks with their consensus, and the judgments behind it. Golden items are left out: they test raters, they teach nobody.

use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::scope::Scope;

use super::TrainingFilter;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{judgments as j, rater_profiles as r, rating_tasks as t, task_consensus as k};
use crate::types::{Json, Timestamp};

/// A judged task with what its judgments say together.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct JudgedTask {
    /// Primary key, the order of reading.
    pub id: i64,
    /// Public id.
    pub task_id: String,
    /// Kind of task.
    pub task_type: String,
    /// Whose it is; `None` for tasks of no retailer.
    pub retailer_id: Option<String>,
    /// Where it stands.
    pub status: String,
    /// The question.
    pub prompt: String,
    /// What raters were shown beside it.
    pub context_snippets: Json,
    /// First candidate.
    pub candidate_a: Json,
    /// Second candidate.
    pub candidate_b: Json,
    /// Third candidate, if any.
    pub candidate_c: Option<Json>,
    /// Results of the automatic checks.
    pub auto_checks: Json,
    /// The decision, a word of `domain::task::Choice`.
    pub choice: Option<String>,
    /// Probability that the decision is right.
    pub posterior: Option<f64>,
    /// Probability of each choice.
    pub posteriors: Json,
    /// How it was found.
    pub method: String,
    /// Judgments behind it.
    pub judgments_count: i32,
    /// The expert who decided, if one did.
    pub decided_by: Option<String>,
    /// When the task was created.
    pub created_at: Timestamp,
}

/// One judgment on a task that is no golden item.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct JudgmentRow {
    /// Primary key, the order of reading.
    pub id: i64,
    /// Public id.
    pub judgment_id: String,
    /// The task.
    pub task_id: String,
    /// Kind of task.
    pub task_type: String,
    /// The task's question.
    pub prompt: String,
    /// What raters were shown beside it.
    pub context_snippets: Json,
    /// Who judged.
    pub rater_id: String,
    /// The decision in stored order.
    pub choice: String,
    /// Which candidate was shown in which place.
    pub display_order: Json,
    /// Reason codes.
    pub reasons: Json,
    /// 0 to 1.
    pub confidence: f64,
    /// Time between first sight and submission.
    pub time_spent_seconds: f64,
    /// Version of the rubric shown.
    pub rubric_version: i32,
    /// When.
    pub created_at: Timestamp,
    /// Golden items the rater answered correctly.
    pub golden_correct: i32,
    /// Golden items the rater answered.
    pub golden_total: i32,
    /// Whether the rater is a simulation.
    pub is_simulated: bool,
}

/// Narrows a boxed query on `rating_tasks` to a scope and a filter, without golden items.
macro_rules! narrowed_tasks {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let (mut query, filter): (_, &TrainingFilter) = ($query, $filter);
        query = query.filter(t::is_golden.eq(false));
        if let Some(tenant) = $scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant.to_owned()));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(t::task_type.eq(word));
        }
        if let Some(retailer) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer));
        }
        if let Some(from) = filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        query
    }};
}

/// Tasks with a consensus after a primary key, in its order.
///
/// # Errors
/// As any query.
pub fn tasks(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<JudgedTask>, StorageError> {
    let rows = on!(conn, c => {
        let all = t::table
            .inner_join(k::table.on(k::task_id.eq(t::task_id)))
            .select((
                (t::id, t::task_id, t::task_type, t::retailer_id, t::status, t::prompt, t::context_snippets),
                (t::candidate_a, t::candidate_b, t::candidate_c, t::auto_checks, t::created_at),
                (k::choice, k::posterior, k::posteriors, k::method, k::judgments_count, k::decided_by),
            ))
            .filter(t::id.gt(after))
            .order(t::id)
            .limit(limit.clamp(1, 1000))
            .into_boxed();
        narrowed_tasks!(all, scope, filter).load::<TaskParts>(c)
    })?;
    Ok(rows.into_iter().map(from_parts).collect())
}

type TaskParts = (
    (i64, String, String, Option<String>, String, String, Json),
    (Json, Json, Option<Json>, Json, Timestamp),
    (Option<String>, Option<f64>, Json, String, i32, Option<String>),
);

fn from_parts((task, candidates, consensus): TaskParts) -> JudgedTask {
    let (id, task_id, task_type, retailer_id, status, prompt, context_snippets) = task;
    let (candidate_a, candidate_b, candidate_c, auto_checks, created_at) = candidates;
    let (choice, posterior, posteriors, method, judgments_count, decided_by) = consensus;
    JudgedTask {
        id,
        task_id,
        task_type,
        retailer_id,
        status,
        prompt,
        context_snippets,
        candidate_a,
        candidate_b,
        candidate_c,
        auto_checks,
        choice,
        posterior,
        posteriors,
        method,
        judgments_count,
        decided_by,
        created_at,
    }
}

/// Judged golden items under the same filter: how many an export leaves out.
///
/// # Errors
/// As any query.
pub fn count_golden(conn: &mut Connection, scope: &Scope, filter: &TrainingFilter) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table.filter(t::is_golden.eq(true)).filter(t::judgments_count.gt(0)).count().into_boxed();
        if let Some(tenant) = scope.tenant() { query = query.filter(t::tenant_id.eq(tenant.to_owned())); }
        if let Some(word) = &filter.task_type { query = query.filter(t::task_type.eq(word)); }
        if let Some(retailer) = &filter.retailer_id { query = query.filter(t::retailer_id.eq(retailer)); }
        if let Some(from) = filter.from { query = query.filter(t::created_at.ge(Timestamp(from))); }
        if let Some(to) = filter.to { query = query.filter(t::created_at.lt(Timestamp(to))); }
        query.get_result(c)
    })?)
}

/// Judgments that count, after a primary key, in its order, on tasks that the filter selects.
///
/// # Errors
/// As any query.
pub fn judgments(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<JudgmentRow>, StorageError> {
    Ok(on!(conn, c => {
        let all = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .inner_join(r::table.on(r::rater_id.eq(j::rater_id)))
            .select((
                j::id, j::judgment_id, j::task_id, t::task_type, t::prompt, t::context_snippets, j::rater_id, j::choice, j::display_order, j::reasons,
                j::confidence, j::time_spent_seconds, j::rubric_version, j::created_at,
                r::golden_correct, r::golden_total, r::is_simulated,
            ))
            .filter(j::id.gt(after).and(j::voided_at.is_null()))
            .order(j::id)
            .limit(limit.clamp(1, 1000))
            .into_boxed();
        narrowed_tasks!(all, scope, filter).load::<JudgmentRow>(c)
    })?)
}

/// The newest judgments that count, on tasks of this scope that are no golden items, given in the span of the filter: `(task, rater, choice)`,
/// newest first.
///
/// # Errors
/// As any query.
pub fn newest_choices(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    limit: i64,
) -> Result<Vec<(String, String, String)>, StorageError> {
    // Of a judgment its own time counts, not that of its task.
    let of_tasks = TrainingFilter { from: None, to: None, ..filter.clone() };
    Ok(on!(conn, c => {
        let mut all = j::table
            .inner_join(t::table.on(t::task_id.eq(j::task_id)))
            .select((j::task_id, j::rater_id, j::choice))
            .filter(j::voided_at.is_null())
            .order(j::id.desc())
            .limit(limit.clamp(1, 50_000))
            .into_boxed();
        if let Some(from) = filter.from {
            all = all.filter(j::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            all = all.filter(j::created_at.lt(Timestamp(to)));
        }
        narrowed_tasks!(all, scope, &of_tasks).load(c)
    })?)
}

/// How many tasks of this scope and filter stand where, golden items left out.
///
/// # Errors
/// As any query.
pub fn count_by_status(conn: &mut Connection, scope: &Scope, filter: &TrainingFilter) -> Result<BTreeMap<String, i64>, StorageError> {
    let rows: Vec<(String, i64)> = on!(conn, c => {
        let all = t::table.group_by(t::status).select((t::status, count_star())).into_boxed();
        narrowed_tasks!(all, scope, filter).load(c)
    })?;
    Ok(rows.into_iter().collect())
}

/// Tasks of a type on which people agreed on a candidate.
///
/// # Errors
/// As any query.
pub fn count_decided(conn: &mut Connection, scope: &Scope, task_type: &str) -> Result<i64, StorageError> {
    let filter = TrainingFilter { task_type: Some(task_type.to_owned()), ..TrainingFilter::default() };
    Ok(on!(conn, c => {
        let all = t::table
            .inner_join(k::table.on(k::task_id.eq(t::task_id)))
            .filter(k::choice.eq_any(["candidate_a", "candidate_b", "candidate_c"]))
            .count()
            .into_boxed();
        narrowed_tasks!(all, scope, &filter).get_result(c)
    })?)
}
