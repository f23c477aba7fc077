//! Golden items: tasks whose answer an expert wrote down, by which raters are calibrated and weighed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::raters::Step;
use crate::schema::{golden_set_items as t, rating_tasks as tasks};
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
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
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

/// Stores a golden item and marks its task as golden.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`) when the task has one; [`StorageError::NotFound`] without the task.
pub fn insert(conn: &mut Connection, new: &NewGoldenItem, now: DateTime<Utc>) -> Result<GoldenItem, StorageError> {
    let marks = (
        tasks::is_golden.eq(true),
        tasks::golden_choice.eq(Some(&new.expert_choice)),
        tasks::golden_reasons.eq(Some(Json(new.expert_reasons.clone()))),
        tasks::updated_at.eq(Timestamp(now)),
    );
    let marked = on!(conn, c => diesel::update(tasks::table.filter(tasks::task_id.eq(&new.task_id))).set(marks).execute(c))?;
    if marked == 0 {
        return Err(StorageError::not_found("task", &new.task_id));
    }
    crate::queue::remove(conn, &new.task_id)?;
    let row = (
        t::task_id.eq(&new.task_id),
        t::expert_id.eq(&new.expert_id),
        t::expert_choice.eq(&new.expert_choice),
        t::expert_reasons.eq(Json(new.expert_reasons.clone())),
        t::expert_rationale.eq(&new.expert_rationale),
        t::difficulty_level.eq(&new.difficulty_level),
        t::edge_case_type.eq(new.edge_case_type.as_deref()),
        t::is_active.eq(true),
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

/// Golden items, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, page: &Page) -> Result<Slice<GoldenItem>, StorageError> {
    let rows: Vec<GoldenItem> = on!(conn, c => {
        let mut query = t::table.select(GoldenItem::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// How many golden items are given out.
///
/// # Errors
/// As any query.
pub fn count_active(conn: &mut Connection) -> Result<i64, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::is_active.eq(true)).count().get_result(c))?)
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
