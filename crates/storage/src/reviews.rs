//! Expert reviews: what each expert thought of a task before seeing the raters' judgments, and what was decided. One row per task and
//! expert; opening one locks nobody out, so two experts may look at the same task and the first to decide is the one who decides.

mod answers;
mod queue;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::Value;

pub use answers::{Answered, answers_of_rater};
pub use queue::{
    Looking, QueueFilter, QueueState, Waiting, count_waiting, deadline_of, decided, give_deadlines, has_undated, judged_by, looking,
    set_deadline, waiting,
};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::schema::expert_reviews as t;
use crate::tasks::Task;
use crate::types::{Json, Timestamp};
use crate::{insert_new, on};

/// Decisions looked at for figures and views of one task, at most.
const MOST_PER_TASK: i64 = 100;

/// A stored review; choices are in the stored order.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Review {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub review_id: String,
    /// The task.
    pub task_id: String,
    /// Whose the task is.
    pub tenant_id: Option<String>,
    /// Task type word.
    pub task_type: String,
    /// Account of the expert.
    pub expert_id: String,
    /// `escalated` or `disputed`: why the task came to the experts.
    pub kind: String,
    /// `open` or `decided`.
    pub state: String,
    /// What the expert chose before seeing the judgments.
    pub blind_choice: Option<String>,
    /// With which reason codes.
    pub blind_reasons: Option<Json>,
    /// How sure, 0 to 1.
    pub blind_confidence: Option<f64>,
    /// When; null when the expert decided without a view of their own.
    pub blind_at: Option<Timestamp>,
    /// The decision.
    pub choice: Option<String>,
    /// What went wrong among the raters; null when the expert did not say.
    pub error_class: Option<String>,
    /// Reason codes of the decision.
    pub reasons: Option<Json>,
    /// Why, in words.
    pub rationale: Option<String>,
    /// A word to those who judged it.
    pub note_to_raters: Option<String>,
    /// What the raters' votes came to before the decision; null without a clear winner.
    pub majority_choice: Option<String>,
    /// Whether the decision differs from the blind view; null without one.
    pub changed_after_reveal: Option<bool>,
    /// Version of the rubric that the raters judged by.
    pub rubric_version: Option<i32>,
    /// From opening to decision, in seconds; null when it was decided without being opened.
    pub seconds: Option<f64>,
    /// Until when the decision was due.
    pub due_at: Option<Timestamp>,
    /// When the expert opened it.
    pub opened_at: Timestamp,
    /// When the expert last looked at it; null after turning to another task.
    pub seen_at: Option<Timestamp>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// What an expert thinks before seeing the judgments.
#[derive(Debug, Clone, PartialEq)]
pub struct BlindView {
    /// Choice word, in the stored order.
    pub choice: String,
    /// Reason codes, a list.
    pub reasons: Value,
    /// 0 to 1.
    pub confidence: f64,
}

/// A decision to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDecision {
    /// Choice word, in the stored order.
    pub choice: String,
    /// What went wrong among the raters.
    pub error_class: Option<String>,
    /// Reason codes, a list.
    pub reasons: Value,
    /// Why, in words.
    pub rationale: String,
    /// A word to the raters.
    pub note_to_raters: Option<String>,
    /// What the raters' votes came to.
    pub majority_choice: Option<String>,
    /// Version of the rubric that the raters judged by.
    pub rubric_version: i32,
}

/// Notes that an expert looks at a task, and at no other one any more. A look that ended before `stale` without a blind view begins anew.
///
/// # Errors
/// As any query.
pub fn open(conn: &mut Connection, task: &Task, expert_id: &str, stale: DateTime<Utc>, now: DateTime<Utc>) -> Result<Review, StorageError> {
    let at = Timestamp(now);
    let row = (
        t::review_id.eq(domain::id::new("rev")),
        t::task_id.eq(&task.task_id),
        t::tenant_id.eq(task.tenant_id.as_deref()),
        t::task_type.eq(&task.task_type),
        t::expert_id.eq(expert_id),
        t::kind.eq(kind_of(task)),
        t::state.eq("open"),
        t::opened_at.eq(at),
        t::seen_at.eq(Some(at)),
        t::created_at.eq(at),
        t::updated_at.eq(at),
    );
    let inserted = insert_new!(conn, t::table, &row)?;
    let others = t::expert_id.eq(expert_id).and(t::state.eq("open")).and(t::seen_at.is_not_null()).and(t::task_id.ne(&task.task_id));
    on!(conn, c => diesel::update(t::table.filter(others)).set(t::seen_at.eq(None::<Timestamp>)).execute(c))?;
    let review = find(conn, &task.task_id, expert_id)?.ok_or_else(|| StorageError::not_found("review of task", &task.task_id))?;
    if inserted > 0 {
        return Ok(review);
    }
    let was_left = review.seen_at.is_none_or(|seen| seen.0 < stale);
    // A task that came back after a decision is looked at as if for the first time.
    let is_new_round = review.state == "decided";
    let opened_at = if is_new_round || (was_left && review.blind_at.is_none()) { at } else { review.opened_at };
    let seen = (t::opened_at.eq(opened_at), t::seen_at.eq(Some(at)), t::kind.eq(kind_of(task)), t::updated_at.eq(at));
    on!(conn, c => diesel::update(t::table.find(review.id)).set(seen).execute(c))?;
    if is_new_round {
        let nothing = None::<Timestamp>;
        let blank =
            (t::state.eq("open"), t::blind_choice.eq(None::<String>), t::blind_at.eq(nothing), t::changed_after_reveal.eq(None::<bool>));
        on!(conn, c => diesel::update(t::table.find(review.id)).set(blank).execute(c))?;
    }
    find(conn, &task.task_id, expert_id)?.ok_or_else(|| StorageError::not_found("review of task", &task.task_id))
}

/// Stores what the expert thinks before seeing the judgments.
///
/// # Errors
/// As any query.
pub fn save_blind(conn: &mut Connection, review: &Review, view: &BlindView, now: DateTime<Utc>) -> Result<Review, StorageError> {
    let changes = (
        t::blind_choice.eq(Some(&view.choice)),
        t::blind_reasons.eq(Some(Json(view.reasons.clone()))),
        t::blind_confidence.eq(Some(view.confidence)),
        t::blind_at.eq(Some(Timestamp(now))),
        t::seen_at.eq(Some(Timestamp(now))),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(review.id)).set(changes).execute(c))?;
    find(conn, &review.task_id, &review.expert_id)?.ok_or_else(|| StorageError::not_found("review of task", &review.task_id))
}

/// Stores a decision. The task must be locked by this transaction and wait for an expert.
///
/// # Errors
/// As any query.
pub fn decide(conn: &mut Connection, task: &Task, review: &Review, new: &NewDecision, now: DateTime<Utc>) -> Result<Review, StorageError> {
    // Who decides without opening the task has spent no time that could be measured.
    let seconds = Some(now - review.opened_at.0).filter(|spent| *spent > TimeDelta::zero()).map(|spent| spent.as_seconds_f64());
    let changed = review.blind_choice.as_ref().map(|blind| *blind != new.choice);
    let changes = (
        (
            t::state.eq("decided"),
            t::kind.eq(kind_of(task)),
            t::choice.eq(Some(&new.choice)),
            t::error_class.eq(new.error_class.as_deref()),
            t::reasons.eq(Some(Json(new.reasons.clone()))),
            t::rationale.eq(Some(&new.rationale)),
            t::note_to_raters.eq(new.note_to_raters.as_deref()),
        ),
        (
            t::majority_choice.eq(new.majority_choice.as_deref()),
            t::changed_after_reveal.eq(changed),
            t::rubric_version.eq(Some(new.rubric_version)),
            t::seconds.eq(seconds),
            t::due_at.eq(task.review_due_at),
            t::seen_at.eq(None::<Timestamp>),
            t::decided_at.eq(Some(Timestamp(now))),
            t::updated_at.eq(Timestamp(now)),
        ),
    );
    on!(conn, c => diesel::update(t::table.find(review.id)).set(changes).execute(c))?;
    find(conn, &review.task_id, &review.expert_id)?.ok_or_else(|| StorageError::not_found("review of task", &review.task_id))
}

/// The review of a task by this expert.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, task_id: &str, expert_id: &str) -> Result<Option<Review>, StorageError> {
    let own = t::task_id.eq(task_id).and(t::expert_id.eq(expert_id));
    Ok(on!(conn, c => t::table.filter(own).select(Review::as_select()).first(c).optional())?)
}

/// All reviews of a task, newest decision first, open ones last.
///
/// # Errors
/// As any query.
pub fn of_task(conn: &mut Connection, task_id: &str) -> Result<Vec<Review>, StorageError> {
    let mut reviews: Vec<Review> =
        on!(conn, c => t::table.filter(t::task_id.eq(task_id)).order(t::id).limit(MOST_PER_TASK).select(Review::as_select()).load(c))?;
    reviews.sort_by_key(|review| std::cmp::Reverse(review.decided_at.filter(|_| review.state == "decided")));
    Ok(reviews)
}

/// The decision that holds for a task, once there is one.
///
/// # Errors
/// As any query.
pub fn decision_of(conn: &mut Connection, task_id: &str) -> Result<Option<Review>, StorageError> {
    Ok(of_task(conn, task_id)?.into_iter().find(|review| review.state == "decided"))
}

/// Why a task that waits came to the experts.
#[must_use]
pub fn kind_of(task: &Task) -> &'static str {
    if task.status == "escalated" { "escalated" } else { "disputed" }
}
