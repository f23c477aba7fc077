//! Judgments: what raters decided, stored in the order of the task and not in the order that was shown.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::batch::{Batch, Followed, Must, enter};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::schema::{judgments as t, outbox_events as outbox, rating_tasks as tasks};
use crate::types::{Json, Timestamp};

/// Undelivered events looked at when a decision is taken back.
const EVENTS_LOOKED_AT: i64 = 500;

/// A stored judgment.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Judgment {
    /// Public id.
    pub judgment_id: String,
    /// The assignment it answers.
    pub assignment_id: String,
    /// The task.
    pub task_id: String,
    /// Who judged.
    pub rater_id: String,
    /// Choice word, in the stored order.
    pub choice: String,
    /// The order that was shown.
    pub display_order: Json,
    /// Reason codes, a list.
    pub reasons: Json,
    /// In the rater's words.
    pub free_text_feedback: Option<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// Score by criterion.
    pub rubric_scores: Json,
    /// From lease to submission, in seconds.
    pub time_spent_seconds: f64,
    /// Time in which the rater was active, as the page measured it, in milliseconds.
    pub active_ms: Option<i64>,
    /// Whether the rater asked for an expert.
    pub is_escalated: bool,
    /// Why.
    pub escalation_reason: Option<String>,
    /// On a golden item: whether it equals the expert's choice.
    pub matches_golden: Option<bool>,
    /// Whether an expert has decided the task since.
    pub expert_reviewed: bool,
    /// Whether the expert chose the same.
    pub expert_agrees: Option<bool>,
    /// What the expert said.
    pub expert_feedback: Option<String>,
    /// When the expert's answer came back to the rater.
    pub answered_at: Option<Timestamp>,
    /// Version of the rubric.
    pub rubric_version: i32,
    /// When it was given.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A judgment to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJudgment {
    /// The assignment it answers.
    pub assignment_id: String,
    /// The task.
    pub task_id: String,
    /// Who judged.
    pub rater_id: String,
    /// Choice word, in the stored order.
    pub choice: String,
    /// The order that was shown.
    pub display_order: Value,
    /// Reason codes, a list.
    pub reasons: Value,
    /// In the rater's words.
    pub free_text_feedback: Option<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// Score by criterion.
    pub rubric_scores: Value,
    /// From lease to submission, in seconds.
    pub time_spent_seconds: f64,
    /// Active time, in milliseconds.
    pub active_ms: Option<i64>,
    /// Whether the rater asks for an expert.
    pub is_escalated: bool,
    /// Why.
    pub escalation_reason: Option<String>,
    /// On a golden item: whether it equals the expert's choice.
    pub matches_golden: Option<bool>,
    /// Version of the rubric.
    pub rubric_version: i32,
}

/// A judgment as agreement statistics need it.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Vote {
    /// The task.
    pub task_id: String,
    /// Its type.
    pub task_type: String,
    /// Who judged.
    pub rater_id: String,
    /// Choice word, in the stored order.
    pub choice: String,
}

impl Judgment {
    /// A judgment that is given now.
    #[must_use]
    pub fn new(new: NewJudgment, now: DateTime<Utc>) -> Self {
        Self {
            judgment_id: domain::id::new("jdg"),
            assignment_id: new.assignment_id,
            task_id: new.task_id,
            rater_id: new.rater_id,
            choice: new.choice,
            display_order: Json(new.display_order),
            reasons: Json(new.reasons),
            free_text_feedback: new.free_text_feedback,
            confidence: new.confidence,
            rubric_scores: Json(new.rubric_scores),
            time_spent_seconds: new.time_spent_seconds,
            active_ms: new.active_ms,
            is_escalated: new.is_escalated,
            escalation_reason: new.escalation_reason,
            matches_golden: new.matches_golden,
            expert_reviewed: false,
            expert_agrees: None,
            expert_feedback: None,
            answered_at: None,
            rubric_version: new.rubric_version,
            created_at: Timestamp(now),
            updated_at: Timestamp(now),
        }
    }
}

/// Stores a new judgment with other changes.
///
/// # Errors
/// [`StorageError::Conflict`] (`judgment_exists`) when this rater has judged this task; where the batch waits for its end, that is
/// [`StorageError::Raced`].
pub fn enter<'a>(conn: &mut Connection, batch: &mut Batch<'a>, judgment: &'a Judgment) -> Result<(), StorageError> {
    let row = (
        (
            t::judgment_id.eq(&judgment.judgment_id),
            t::assignment_id.eq(&judgment.assignment_id),
            t::task_id.eq(&judgment.task_id),
            t::rater_id.eq(&judgment.rater_id),
            t::choice.eq(&judgment.choice),
            t::display_order.eq(&judgment.display_order),
            t::reasons.eq(&judgment.reasons),
            t::free_text_feedback.eq(judgment.free_text_feedback.as_deref()),
            t::confidence.eq(judgment.confidence),
            t::rubric_scores.eq(&judgment.rubric_scores),
        ),
        (
            t::time_spent_seconds.eq(judgment.time_spent_seconds),
            t::active_ms.eq(judgment.active_ms),
            t::is_escalated.eq(judgment.is_escalated),
            t::escalation_reason.eq(judgment.escalation_reason.as_deref()),
            t::matches_golden.eq(judgment.matches_golden),
            t::expert_reviewed.eq(false),
            t::rubric_version.eq(judgment.rubric_version),
            t::created_at.eq(judgment.created_at),
            t::updated_at.eq(judgment.updated_at),
        ),
    );
    let mut insert = || enter!(conn, batch, Must::ChangeOne, diesel::insert_into(t::table).values(row));
    insert().map(drop).on_unique("judgment_exists", || "you have judged this task already".to_owned())
}

/// One judgment of this rater.
///
/// # Errors
/// [`StorageError::NotFound`], also for somebody else's.
pub fn find_of_rater(conn: &mut Connection, rater_id: &str, judgment_id: &str) -> Result<Judgment, StorageError> {
    let own = t::judgment_id.eq(judgment_id).and(t::rater_id.eq(rater_id));
    let found: Option<Judgment> = on!(conn, c => t::table.filter(own).select(Judgment::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("judgment", judgment_id))
}

/// The judgment that answers an assignment, once it is there.
///
/// # Errors
/// As any query.
pub fn find_of_assignment(conn: &mut Connection, assignment_id: &str) -> Result<Option<Judgment>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::assignment_id.eq(assignment_id)).select(Judgment::as_select()).first(c).optional())?)
}

/// The judgments of a task that count, oldest first: at most as many as it required, or all raters' on a golden item (the first 500).
///
/// # Errors
/// As any query.
pub fn of_task(conn: &mut Connection, task_id: &str) -> Result<Vec<Judgment>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::task_id.eq(task_id).and(t::voided_at.is_null()))
        .order(t::id)
        .limit(500)
        .select(Judgment::as_select())
        .load(c))?)
}

/// What one rater said of a task, as a decision needs it.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Opinion {
    /// Who judged.
    pub rater_id: String,
    /// Choice word, in the stored order.
    pub choice: String,
    /// Whether the rater asked for an expert.
    pub is_escalated: bool,
}

/// What was said of a task and counts, oldest first (the first 500).
///
/// # Errors
/// As any query.
pub fn opinions(conn: &mut Connection, task_id: &str) -> Result<Vec<Opinion>, StorageError> {
    // The bound is in the text: PostgreSQL plans a statement whose bound is a value anew at each call.
    Ok(on!(conn, c => Followed {
        query: t::table
            .filter(t::task_id.eq(task_id).and(t::voided_at.is_null()))
            .order(t::id)
            .select((t::rater_id, t::choice, t::is_escalated)),
        by: " LIMIT 500",
    }
    .load(c))?)
}

/// How many judgments a rater has given since an instant.
///
/// # Errors
/// As any query.
pub fn count_since(conn: &mut Connection, rater_id: &str, since: DateTime<Utc>) -> Result<i64, StorageError> {
    let own = t::rater_id.eq(rater_id).and(t::created_at.ge(Timestamp(since)));
    Ok(on!(conn, c => t::table.filter(own).count().get_result(c))?)
}

/// The newest judgments of a rater, newest first.
///
/// # Errors
/// As any query.
pub fn newest_of_rater(conn: &mut Connection, rater_id: &str, limit: i64) -> Result<Vec<Judgment>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::rater_id.eq(rater_id)).order(t::id.desc()).limit(limit).select(Judgment::as_select()).load(c))?)
}

/// Takes a judgment out.
///
/// # Errors
/// As any query.
pub fn delete(conn: &mut Connection, judgment: &Judgment) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.filter(t::judgment_id.eq(&judgment.judgment_id))).execute(c))?;
    Ok(())
}

/// Notes on all judgments of a task what an expert decided.
///
/// # Errors
/// As any query.
pub fn note_review(
    conn: &mut Connection,
    task_id: &str,
    expert_choice: &str,
    feedback: &str,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let shared = (
        t::expert_reviewed.eq(true),
        t::expert_feedback.eq(Some(feedback)),
        t::answered_at.eq(Some(Timestamp(now))),
        t::updated_at.eq(Timestamp(now)),
    );
    let same = t::table.filter(t::task_id.eq(task_id).and(t::choice.eq(expert_choice)));
    on!(conn, c => diesel::update(same).set((shared, t::expert_agrees.eq(Some(true)))).execute(c))?;
    let other = t::table.filter(t::task_id.eq(task_id).and(t::choice.ne(expert_choice)));
    on!(conn, c => diesel::update(other).set((shared, t::expert_agrees.eq(Some(false)))).execute(c))?;
    Ok(())
}

/// The newest judgments that count, newest first, golden items left out.
///
/// # Errors
/// As any query.
pub fn newest_votes(conn: &mut Connection, limit: i64) -> Result<Vec<Vote>, StorageError> {
    Ok(on!(conn, c => t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .filter(tasks::is_golden.eq(false).and(t::voided_at.is_null()))
        .order(t::id.desc())
        .limit(limit)
        .select((t::task_id, tasks::task_type, t::rater_id, t::choice))
        .load(c))?)
}

/// Takes back the news of a task's decision, when it has not been delivered; whether it could be. Delivery and this contend for
/// the row, so a decision is either told or taken back.
///
/// # Errors
/// As any query.
pub fn withdraw_decision(conn: &mut Connection, task_id: &str) -> Result<bool, StorageError> {
    let waiting: Vec<(i64, Json)> = on!(conn, c => outbox::table
        .filter(outbox::topic.eq("judgments_ready").and(outbox::delivered_at.is_null()))
        .order(outbox::id.desc())
        .limit(EVENTS_LOOKED_AT)
        .select((outbox::id, outbox::payload))
        .load(c))?;
    let mut withdrawn = false;
    for (id, payload) in waiting {
        if payload.get("task_id").and_then(Value::as_str) == Some(task_id) {
            let untold = outbox::table.filter(outbox::id.eq(id).and(outbox::delivered_at.is_null()));
            withdrawn |= on!(conn, c => diesel::delete(untold).execute(c))? > 0;
        }
    }
    Ok(withdrawn)
}
