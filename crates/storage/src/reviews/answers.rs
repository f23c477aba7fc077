//! What came back to a rater: the own judgments that an expert has answered since.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::Review;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::Judgment;
use crate::on;
use crate::schema::{expert_reviews as reviews, judgments as t, rating_tasks as tasks};
use crate::types::Timestamp;

/// A judgment with the expert's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Primary key of the judgment: the second sort key.
    pub id: i64,
    /// The rater's judgment.
    pub judgment: Judgment,
    /// Task type word.
    pub task_type: String,
    /// The task's line.
    pub title: String,
    /// The decision; none for one that is older than reviews are kept.
    pub decision: Option<Review>,
}

/// Judgments of a rater that experts answered, the newest answer first, after the sort keys of the last one seen.
///
/// # Errors
/// As any query.
pub fn answers_of_rater(
    conn: &mut Connection,
    rater_id: &str,
    after: Option<(DateTime<Utc>, i64)>,
    limit: i64,
) -> Result<Vec<Answered>, StorageError> {
    let rows: Vec<(i64, Judgment, String, String)> = on!(conn, c => {
        let mut query = t::table
            .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
            .select((t::id, Judgment::as_select(), tasks::task_type, tasks::title))
            .filter(t::rater_id.eq(rater_id).and(t::answered_at.is_not_null()))
            .order((t::answered_at.desc(), t::id.desc()))
            .limit(limit)
            .into_boxed();
        if let Some((at, id)) = after {
            let at = Timestamp(at);
            query = query.filter(t::answered_at.lt(at).or(t::answered_at.eq(at).and(t::id.lt(id))));
        }
        query.load(c)
    })?;
    let task_ids: Vec<&str> = rows.iter().map(|(_, judgment, ..)| judgment.task_id.as_str()).collect();
    let decided = reviews::task_id.eq_any(&task_ids).and(reviews::state.eq("decided"));
    let mut decisions: Vec<Review> =
        on!(conn, c => reviews::table.filter(decided).order(reviews::decided_at.desc()).select(Review::as_select()).load(c))?;
    // One page; a task is on it once, because a rater judges a task once.
    Ok(rows
        .into_iter()
        .map(|(id, judgment, task_type, title)| {
            let place = decisions.iter().position(|review| review.task_id == judgment.task_id);
            Answered { id, decision: place.map(|place| decisions.remove(place)), judgment, task_type, title }
        })
        .collect())
}
