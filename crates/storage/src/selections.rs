//! What the RLHF backend would have judged next. It writes a row for each task it looked at; the rater app brings its queue in order by the
//! rows that are new to it. A row stands still from the first judgment on, so that what choosing brings can be measured.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::{avg, count_star};
use diesel::prelude::*;
use domain::scope::Scope;

use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine, ROWS_PER_STATEMENT};
use crate::error::StorageError;
use crate::on;
use crate::queue::{Waiting, Weights};
use crate::schema::{rating_tasks as tasks, task_consensus as consensus, task_queue as queue, task_selections as t};
use crate::tasks as task_rows;
use crate::types::{Json, Timestamp};

/// A task that nobody has judged, as a model needs to see it.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Unjudged {
    /// Public id.
    pub task_id: String,
    /// Retailer.
    pub retailer_id: Option<String>,
    /// What raters are shown beside the question.
    pub context_snippets: Json,
    /// First candidate.
    pub candidate_a: Json,
    /// Second candidate.
    pub candidate_b: Json,
    /// Third candidate, if any.
    pub candidate_c: Option<Json>,
    /// Results of the automatic checks.
    pub auto_checks: Json,
}

/// How a task was seen in a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// The task.
    pub task_id: String,
    /// The model that saw it.
    pub model_id: String,
    /// `informative`, `random`, or `none` when it was not chosen.
    pub arm: &'static str,
    /// What it is worth to ask it now, 0 to 1; 0 when it was not chosen.
    pub worth: f64,
    /// What the answer is expected to tell about the model, in nats.
    pub information: f64,
    /// How open the outcome is, 0 to 1.
    pub uncertainty: f64,
}

/// A task that was chosen and waits.
#[derive(Debug, Clone, PartialEq, Queryable, serde::Serialize)]
pub struct Next {
    /// The task.
    pub task_id: String,
    /// What it is called.
    pub title: String,
    /// Retailer.
    pub retailer_id: Option<String>,
    /// `informative` or `random`.
    pub arm: String,
    /// What the answer is expected to tell about the model, in nats.
    pub information: f64,
    /// How open the outcome is, 0 to 1.
    pub uncertainty: f64,
}

/// One arm of a task type.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct ArmCount {
    /// Tasks that wait for their first judgment.
    pub waiting: i64,
    /// Tasks with a consensus.
    pub judged: i64,
    /// Mean information of those that wait, in nats.
    pub mean_information: Option<f64>,
}

/// Ids of all tasks of a type that nobody has judged or holds, at most `limit`, in the order of the queue.
///
/// # Errors
/// As any query.
pub fn unjudged(conn: &mut Connection, task_type: &str, limit: i64) -> Result<Vec<String>, StorageError> {
    Ok(on!(conn, c => queue::table
        .filter(queue::is_open.eq(true).and(queue::task_type.eq(task_type)))
        .filter(queue::judgments.eq(0).and(queue::open_leases.eq(0)))
        .order((queue::position, queue::id))
        .limit(limit)
        .select(queue::task_id)
        .load(c))?)
}

/// What these tasks ask. Those that are gone are left out.
///
/// # Errors
/// As any query.
pub fn read(conn: &mut Connection, task_ids: &[String]) -> Result<Vec<Unjudged>, StorageError> {
    let mut found = Vec::with_capacity(task_ids.len());
    for some in task_ids.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<Unjudged> = on!(conn, c => tasks::table
            .filter(tasks::task_id.eq_any(some))
            .order(tasks::id)
            .select((
                tasks::task_id,
                tasks::retailer_id,
                tasks::context_snippets,
                tasks::candidate_a,
                tasks::candidate_b,
                tasks::candidate_c,
                tasks::auto_checks,
            ))
            .load(c))?;
        found.extend(rows);
    }
    Ok(found)
}

/// Writes how a round saw the tasks of a type: at most [`ROWS_PER_STATEMENT`] in one call; how many. Tasks that were judged in the meantime
/// keep the row they had.
///
/// # Errors
/// As any query.
pub fn record(
    conn: &mut Connection,
    round_id: &str,
    task_type: &str,
    selected: &[Selected],
    now: DateTime<Utc>,
) -> Result<usize, StorageError> {
    let ids: Vec<&str> = selected.iter().take(ROWS_PER_STATEMENT).map(|one| one.task_id.as_str()).collect();
    let untouched: Vec<String> = on!(conn, c => queue::table
        .filter(queue::task_id.eq_any(&ids).and(queue::judgments.eq(0)))
        .select(queue::task_id)
        .load(c))?;
    on!(conn, c => diesel::delete(t::table.filter(t::task_id.eq_any(&untouched))).execute(c))?;
    let rows: Vec<_> = selected
        .iter()
        .filter(|one| untouched.contains(&one.task_id))
        .map(|one| {
            (
                (t::task_id.eq(&one.task_id), t::task_type.eq(task_type), t::round_id.eq(round_id), t::model_id.eq(&one.model_id)),
                (t::arm.eq(one.arm), t::worth.eq(one.worth), t::information.eq(one.information), t::uncertainty.eq(one.uncertainty)),
                (t::is_applied.eq(false), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
            )
        })
        .collect();
    Ok(on!(conn, c => diesel::insert_into(t::table).values(&rows).execute(c))?)
}

/// Takes back what earlier rounds chose of a type and nobody has judged yet; how many.
///
/// # Errors
/// As any query.
pub fn withdraw_others(conn: &mut Connection, round_id: &str, task_type: &str, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let chosen = t::task_type.eq(task_type).and(t::arm.eq_any(["informative", "random"])).and(t::round_id.ne(round_id));
    let stale: Vec<i64> = on!(conn, c => t::table
        .inner_join(queue::table.on(queue::task_id.eq(t::task_id)))
        .filter(chosen)
        .filter(queue::judgments.eq(0))
        .select(t::id)
        .load(c))?;
    for some in stale.chunks(ROWS_PER_STATEMENT) {
        let changes = (t::arm.eq("none"), t::worth.eq(0.0), t::is_applied.eq(false), t::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(t::table.filter(t::id.eq_any(some))).set(changes).execute(c))?;
    }
    Ok(stale.len())
}

/// Rows that are new to the rater app, oldest first.
macro_rules! not_applied {
    ($limit:expr) => {
        t::table.filter(t::is_applied.eq(false)).order(t::id).limit($limit).select((t::id, t::task_id, t::worth, t::uncertainty))
    };
}

/// Brings the queue in order by rows that are new to it, at most `limit`; how many there were. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn apply(conn: &mut Connection, weights: &Weights, limit: i64, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let news: Vec<(i64, String, f64, f64)> = on!(conn, c => not_applied!(limit).load(c))?;
    // Tasks are locked in the order of their ids, as everywhere.
    let mut in_order: Vec<&(i64, String, f64, f64)> = news.iter().collect();
    in_order.sort_by(|one, other| one.1.cmp(&other.1));
    for (_, task_id, worth, uncertainty) in in_order {
        task_rows::lock_state(conn, task_id)?;
        let Some(waiting) = crate::queue::find(conn, task_id)?.filter(|waiting| waiting.judgments == 0) else { continue };
        let waiting = Waiting { uncertainty_score: Some(*uncertainty), selection: *worth, ..waiting };
        let own = queue::table.filter(queue::task_id.eq(task_id));
        let changes = (
            queue::uncertainty_score.eq(waiting.uncertainty_score),
            queue::selection.eq(waiting.selection),
            queue::position.eq(waiting.place(weights)),
            queue::updated_at.eq(Timestamp(now)),
        );
        on!(conn, c => diesel::update(own).set(changes).execute(c))?;
        let own = tasks::table.filter(tasks::task_id.eq(task_id));
        on!(conn, c => diesel::update(own).set(tasks::uncertainty_score.eq(waiting.uncertainty_score)).execute(c))?;
    }
    let ids: Vec<i64> = news.iter().map(|row| row.0).collect();
    for some in ids.chunks(ROWS_PER_STATEMENT) {
        on!(conn, c => diesel::update(t::table.filter(t::id.eq_any(some))).set(t::is_applied.eq(true)).execute(c))?;
    }
    Ok(news.len())
}

/// How judged tasks of a type came to be judged: `informative` or `random` by task id, at most the newest `limit`. Tasks that were judged
/// without being chosen are not in it.
///
/// # Errors
/// As any query.
pub fn judged_arms(conn: &mut Connection, task_type: &str, limit: i64) -> Result<HashMap<String, String>, StorageError> {
    let rows: Vec<(String, String)> = on!(conn, c => t::table
        .inner_join(consensus::table.on(consensus::task_id.eq(t::task_id)))
        .filter(t::task_type.eq(task_type).and(t::arm.eq_any(["informative", "random"])))
        .order(t::id.desc())
        .limit(limit)
        .select((t::task_id, t::arm))
        .load(c))?;
    Ok(rows.into_iter().collect())
}

/// Chosen tasks of a type that nobody has judged, first to be asked first.
macro_rules! chosen {
    ($task_type:expr, $limit:expr) => {
        t::table
            .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
            .inner_join(queue::table.on(queue::task_id.eq(t::task_id)))
            .filter(t::task_type.eq($task_type).and(t::arm.eq_any(["informative", "random"])))
            .filter(queue::judgments.eq(0))
            .order((t::worth.desc(), t::id))
            .limit($limit)
            .select((t::task_id, tasks::title, tasks::retailer_id, t::arm, t::information, t::uncertainty))
            .into_boxed()
    };
}

/// What was chosen and waits for its first judgment, first to be asked first.
///
/// # Errors
/// As any query.
pub fn next(conn: &mut Connection, scope: &Scope, task_type: &str, limit: i64) -> Result<Vec<Next>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = chosen!(task_type, limit);
        if let Some(tenant) = scope.tenant() {
            query = query.filter(tasks::tenant_id.eq(tenant));
        }
        query.load(c)
    })?)
}

/// How the database would look for rows that are new to the rater app, and for chosen tasks: the steps of each plan.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection) -> Result<[Vec<String>; 2], StorageError> {
    let words = dialect::explain(conn);
    let fresh: Vec<PlanLine> = on!(conn, c => Explained { words, query: not_applied!(50) }.load(c))?;
    let chosen: Vec<PlanLine> = on!(conn, c => Explained { words, query: chosen!("plan_quality", 10) }.load(c))?;
    Ok([fresh, chosen].map(|lines| lines.into_iter().map(|line| line.0).collect()))
}

/// What there is of each arm of a type.
///
/// # Errors
/// As any query.
pub fn arms(conn: &mut Connection, task_type: &str) -> Result<HashMap<String, ArmCount>, StorageError> {
    let waiting: Vec<(String, i64, Option<f64>)> = on!(conn, c => t::table
        .inner_join(queue::table.on(queue::task_id.eq(t::task_id)))
        .filter(t::task_type.eq(task_type).and(queue::judgments.eq(0)))
        .group_by(t::arm)
        .select((t::arm, count_star(), avg(t::information)))
        .load(c))?;
    let judged: Vec<(String, i64)> = on!(conn, c => t::table
        .inner_join(consensus::table.on(consensus::task_id.eq(t::task_id)))
        .filter(t::task_type.eq(task_type))
        .group_by(t::arm)
        .select((t::arm, count_star()))
        .load(c))?;
    let mut arms: HashMap<String, ArmCount> = HashMap::new();
    for (arm, waiting, mean_information) in waiting {
        arms.insert(arm, ArmCount { waiting, judged: 0, mean_information });
    }
    for (arm, judged) in judged {
        arms.entry(arm).or_default().judged = judged;
    }
    Ok(arms)
}
