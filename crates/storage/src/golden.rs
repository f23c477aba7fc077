//! Golden items: tasks whose answer an expert wrote down, by which raters are calibrated and weighed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::raters::Step;
use crate::schema::{golden_set_items as t, judgments, rater_profiles as raters, rating_tasks as tasks, task_assignments as assignments};
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// A stored golden item; its choice is in the stored order.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = t)]
pub struct GoldenItem {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The task.
    pub task_id: String,
    /// Account of the expert.
    pub expert_id: String,
    /// The right choice.
    pub expert_choice: String,
    /// Reason codes.
    pub expert_reasons: Json,
    /// Why, in words; shown in calibration.
    pub expert_rationale: String,
    /// How often raters answered it.
    pub times_used: i32,
    /// How often rightly.
    pub rater_correct: i32,
    /// `rater_correct / times_used`; null when unused.
    pub rater_accuracy_rate: Option<f64>,
    /// `easy`, `medium` or `hard`.
    pub difficulty_level: String,
    /// What makes it special.
    pub edge_case_type: Option<String>,
    /// Whether it is given out.
    pub is_active: bool,
    /// `candidate`, `active` or `retired`.
    pub state: String,
    /// When it was taken out of use.
    pub retired_at: Option<Timestamp>,
    /// Why.
    pub retire_reason: Option<String>,
    /// Raters to whom it is given at most; null is any number.
    pub max_exposures: Option<i32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Until when an expert has read what raters asked; null is never.
    pub questions_seen_at: Option<Timestamp>,
}

/// A golden item to store for an existing task.
#[derive(Debug, Clone)]
pub struct NewGoldenItem {
    /// The task.
    pub task_id: String,
    /// Account of the expert.
    pub expert_id: String,
    /// The right choice, in the stored order.
    pub expert_choice: String,
    /// Reason codes.
    pub expert_reasons: Value,
    /// Why, in words.
    pub expert_rationale: String,
    /// `easy`, `medium` or `hard`.
    pub difficulty_level: String,
    /// What makes it special.
    pub edge_case_type: Option<String>,
}

/// Stores a golden item and marks its task as golden. A candidate of the same task gives way to it.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`) when the task has one; [`StorageError::NotFound`] without the task.
pub fn insert(conn: &mut Connection, new: &NewGoldenItem, now: DateTime<Utc>) -> Result<GoldenItem, StorageError> {
    mark_task(conn, &new.task_id, &new.expert_choice, &new.expert_reasons, now)?;
    let candidate = t::table.filter(t::task_id.eq(&new.task_id).and(t::state.eq("candidate")));
    on!(conn, c => diesel::delete(candidate).execute(c))?;
    insert_as(conn, new, "active", now)
}

/// Proposes a golden item: an expert promotes or drops it, and until then it is given to nobody. A task that has an item keeps it.
///
/// # Errors
/// As any query.
pub fn propose(conn: &mut Connection, new: &NewGoldenItem, now: DateTime<Utc>) -> Result<GoldenItem, StorageError> {
    match find(conn, &new.task_id)? {
        Some(item) => Ok(item),
        None => insert_as(conn, new, "candidate", now),
    }
}

/// Gives out a candidate, or again an item that was retired, and marks its task as golden. The item must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn promote(
    conn: &mut Connection,
    item: &GoldenItem,
    difficulty: &str,
    max_exposures: Option<i32>,
    now: DateTime<Utc>,
) -> Result<GoldenItem, StorageError> {
    mark_task(conn, &item.task_id, &item.expert_choice, &item.expert_reasons, now)?;
    let changes = (
        t::state.eq("active"),
        t::is_active.eq(true),
        t::difficulty_level.eq(difficulty),
        t::max_exposures.eq(max_exposures),
        t::retired_at.eq(None::<Timestamp>),
        t::retire_reason.eq(None::<String>),
        // Whoever gives it out again has seen why it was asked about.
        t::questions_seen_at.eq(Some(Timestamp(now))),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(item.id)).set(changes).execute(c))?;
    find(conn, &item.task_id)?.ok_or_else(|| StorageError::not_found("golden item of task", &item.task_id))
}

/// Keeps an item in use: what raters asked until an instant is read. The item must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn note_questions_seen(
    conn: &mut Connection,
    item: &GoldenItem,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<GoldenItem, StorageError> {
    let changes = (t::questions_seen_at.eq(Some(Timestamp(until))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(item.id)).set(changes).execute(c))?;
    find(conn, &item.task_id)?.ok_or_else(|| StorageError::not_found("golden item of task", &item.task_id))
}

/// Takes an item out of use, or drops a candidate. Its task stays what it is: a golden one never becomes work again. The item must be
/// locked by this transaction.
///
/// # Errors
/// As any query.
pub fn retire(conn: &mut Connection, item: &GoldenItem, reason: &str, now: DateTime<Utc>) -> Result<GoldenItem, StorageError> {
    let changes = (
        t::state.eq("retired"),
        t::is_active.eq(false),
        t::retired_at.eq(Some(Timestamp(now))),
        t::retire_reason.eq(Some(reason)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(item.id)).set(changes).execute(c))?;
    find(conn, &item.task_id)?.ok_or_else(|| StorageError::not_found("golden item of task", &item.task_id))
}

/// The golden item of a task, locked until the transaction ends.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock(conn: &mut Connection, task_id: &str) -> Result<GoldenItem, StorageError> {
    let found: Vec<GoldenItem> = lock!(conn, t::table.filter(t::task_id.eq(task_id)).select(GoldenItem::as_select()) => GoldenItem)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("golden item of task", task_id))
}

fn mark_task(conn: &mut Connection, task_id: &str, choice: &str, reasons: &Value, now: DateTime<Utc>) -> Result<(), StorageError> {
    let marks = (
        tasks::is_golden.eq(true),
        tasks::golden_choice.eq(Some(choice)),
        tasks::golden_reasons.eq(Some(Json(reasons.clone()))),
        tasks::updated_at.eq(Timestamp(now)),
    );
    let marked = on!(conn, c => diesel::update(tasks::table.filter(tasks::task_id.eq(task_id))).set(marks).execute(c))?;
    if marked == 0 {
        return Err(StorageError::not_found("task", task_id));
    }
    crate::queue::remove(conn, task_id)
}

fn insert_as(conn: &mut Connection, new: &NewGoldenItem, state: &str, now: DateTime<Utc>) -> Result<GoldenItem, StorageError> {
    let row = (
        t::task_id.eq(&new.task_id),
        t::expert_id.eq(&new.expert_id),
        t::expert_choice.eq(&new.expert_choice),
        t::expert_reasons.eq(Json(new.expert_reasons.clone())),
        t::expert_rationale.eq(&new.expert_rationale),
        t::difficulty_level.eq(&new.difficulty_level),
        t::edge_case_type.eq(new.edge_case_type.as_deref()),
        t::is_active.eq(state == "active"),
        t::state.eq(state),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("already_exists", || format!("task {:?} is a golden item already", new.task_id))?;
    find(conn, &new.task_id)?.ok_or_else(|| StorageError::not_found("golden item of task", &new.task_id))
}

/// The golden item of a task.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, task_id: &str) -> Result<Option<GoldenItem>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::task_id.eq(task_id)).select(GoldenItem::as_select()).first(c).optional())?)
}

/// Golden items in a state, newest first; without one all but candidates.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, state: Option<&str>, page: &Page) -> Result<Slice<GoldenItem>, StorageError> {
    let rows: Vec<GoldenItem> = on!(conn, c => {
        let mut query = t::table.select(GoldenItem::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        query = match state {
            Some(state) => query.filter(t::state.eq(state)),
            None => query.filter(t::state.ne("candidate")),
        };
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// What raters say who asked for an expert on a golden item.
#[derive(Debug, Clone, PartialEq, Queryable, serde::Serialize)]
pub struct Question {
    /// The item's task.
    #[serde(skip)]
    pub task_id: String,
    /// Why an expert was asked for.
    pub reason: Option<String>,
    /// When.
    pub asked_at: Timestamp,
}

/// Items in use on which raters have asked for an expert since an expert last read their questions, newest first.
///
/// # Errors
/// As any query.
pub fn questioned(conn: &mut Connection, page: &Page) -> Result<Slice<GoldenItem>, StorageError> {
    let rows: Vec<GoldenItem> = on!(conn, c => {
        let is_new = t::questions_seen_at.is_null().or(judgments::created_at.nullable().gt(t::questions_seen_at));
        let asked = judgments::table
            .filter(judgments::task_id.eq(t::task_id).and(judgments::is_escalated.eq(true)))
            .filter(is_new.assume_not_null());
        let mut query = t::table
            .select(GoldenItem::as_select())
            .filter(t::is_active.eq(true).and(diesel::dsl::exists(asked)))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// The newest questions on some items, newest first.
///
/// # Errors
/// As any query.
pub fn questions(conn: &mut Connection, task_ids: &[String], limit: i64) -> Result<Vec<Question>, StorageError> {
    Ok(on!(conn, c => judgments::table
        .filter(judgments::task_id.eq_any(task_ids).and(judgments::is_escalated.eq(true)))
        .order(judgments::id.desc())
        .limit(limit.clamp(1, 1_000))
        .select((judgments::task_id, judgments::escalation_reason, judgments::created_at))
        .load(c))?)
}

/// How many golden items are given out.
///
/// # Errors
/// As any query.
pub fn count_active(conn: &mut Connection) -> Result<i64, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::is_active.eq(true)).count().get_result(c))?)
}

/// An answer to a golden item: whether it equals the expert's, and its time divided by what this rater usually spends.
pub type GoldenAnswer = (bool, f64);

/// Items in use with at least `least` answers, by primary key after `after`: the key, the task and how often it was answered.
///
/// # Errors
/// As any query.
pub fn in_use(conn: &mut Connection, least: i32, after: i64, limit: i64) -> Result<Vec<(i64, String, i32)>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::is_active.eq(true).and(t::times_used.ge(least)).and(t::id.gt(after)))
        .order(t::id)
        .limit(limit.clamp(1, 500))
        .select((t::id, t::task_id, t::times_used))
        .load(c))?)
}

/// The newest answers to an item in the flow of work, oldest first.
///
/// # Errors
/// As any query.
pub fn answers(conn: &mut Connection, task_id: &str, limit: i64) -> Result<Vec<GoldenAnswer>, StorageError> {
    let mut rows: Vec<(Option<bool>, f64, Option<f64>)> = on!(conn, c => judgments::table
        .inner_join(raters::table.on(raters::rater_id.eq(judgments::rater_id)))
        .filter(judgments::task_id.eq(task_id).and(judgments::matches_golden.is_not_null()))
        .order(judgments::id.desc())
        .limit(limit.clamp(1, 1_000))
        .select((judgments::matches_golden, judgments::time_spent_seconds, raters::avg_time_per_task_seconds))
        .load(c))?;
    rows.reverse();
    let pace = |seconds: f64, usual: Option<f64>| usual.filter(|usual| *usual > 0.0).map_or(f64::NAN, |usual| seconds / usual);
    Ok(rows.into_iter().map(|(is_right, seconds, usual)| (is_right == Some(true), pace(seconds, usual))).collect())
}

/// Enters one answer into the record of a golden item, or takes it back.
///
/// # Errors
/// As any query.
pub fn note_answer(conn: &mut Connection, task_id: &str, is_right: bool, step: Step, now: DateTime<Utc>) -> Result<(), StorageError> {
    let found: Vec<GoldenItem> = lock!(conn, t::table.filter(t::task_id.eq(task_id)).select(GoldenItem::as_select()) => GoldenItem)?;
    let Some(item) = found.into_iter().next() else { return Ok(()) };
    let sign = if step == Step::Forward { 1 } else { -1 };
    let used = (item.times_used + sign).max(0);
    let right = (item.rater_correct + sign * i32::from(is_right)).max(0);
    let rate = (used > 0).then(|| f64::from(right) / f64::from(used));
    let changes = (t::times_used.eq(used), t::rater_correct.eq(right), t::rater_accuracy_rate.eq(rate), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(item.id)).set(changes).execute(c))?;
    Ok(())
}

/// What one rater's answer on an item counts for.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Mark {
    /// The judgment.
    pub judgment_id: String,
    /// Whose it is.
    pub rater_id: String,
    /// Whether it was as the expert's.
    pub is_right: Option<bool>,
    /// `golden` or `calibration`.
    pub purpose: String,
}

/// The answers on an item that count, the newest `limit`. Read them under the lock of the task.
///
/// # Errors
/// As any query.
pub fn marks(conn: &mut Connection, task_id: &str, limit: i64) -> Result<Vec<Mark>, StorageError> {
    Ok(on!(conn, c => judgments::table
        .inner_join(assignments::table.on(assignments::assignment_id.eq(judgments::assignment_id)))
        .filter(judgments::task_id.eq(task_id).and(judgments::matches_golden.is_not_null()))
        .order(judgments::id.desc())
        .limit(limit)
        .select((judgments::judgment_id, judgments::rater_id, judgments::matches_golden, assignments::purpose))
        .load(c))?)
}

/// From now on these answers are neither right nor wrong; the item's own record forgets them.
///
/// # Errors
/// As any query.
pub fn unmark(conn: &mut Connection, task_id: &str, marks: &[Mark], now: DateTime<Utc>) -> Result<(), StorageError> {
    let ids: Vec<&str> = marks.iter().map(|mark| mark.judgment_id.as_str()).collect();
    let counted = judgments::table.filter(judgments::judgment_id.eq_any(ids));
    on!(conn, c => diesel::update(counted).set(judgments::matches_golden.eq(None::<bool>)).execute(c))?;
    for mark in marks {
        note_answer(conn, task_id, mark.is_right == Some(true), Step::Back, now)?;
    }
    Ok(())
}
