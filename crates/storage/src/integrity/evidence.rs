//! The judgments of raters as the integrity signals need them: what was chosen in which order, how fast, over how much text.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{golden_set_items as g, judgments as j, rating_tasks as tasks, task_assignments as a};
use crate::types::{Json, Timestamp};

/// The edge case of golden items whose answer is obvious.
pub const ATTENTION_CASE: &str = "attention";

/// One judgment.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Given {
    /// Who judged.
    pub rater_id: String,
    /// Task type word.
    pub task_type: String,
    /// Choice word, in the stored order.
    pub choice: String,
    /// Which candidate was shown in which place.
    pub display_order: Json,
    /// From lease to submission, in seconds.
    pub time_spent_seconds: f64,
    /// Time in which the rater was active, in milliseconds, when the page measured it.
    pub active_ms: Option<i64>,
    /// In the rater's words.
    pub free_text_feedback: Option<String>,
    /// On a golden item: whether it equals the expert's choice.
    pub matches_golden: Option<bool>,
    /// What makes the golden item special.
    pub edge_case_type: Option<String>,
    /// Characters of what had to be read, in the stored form.
    pub chars: i64,
}

/// Length of what has to be read for a task, in characters of the stored form.
fn length(conn: &Connection) -> &'static str {
    match conn {
        Connection::Postgres(_) => {
            "CAST(length(rating_tasks.prompt) + length(rating_tasks.candidate_a::text) + length(rating_tasks.candidate_b::text) \
             + coalesce(length(rating_tasks.candidate_c::text), 0) AS BIGINT)"
        }
        Connection::Mysql(_) => {
            "CAST(CHAR_LENGTH(rating_tasks.prompt) + CHAR_LENGTH(rating_tasks.candidate_a) + CHAR_LENGTH(rating_tasks.candidate_b) \
             + COALESCE(CHAR_LENGTH(rating_tasks.candidate_c), 0) AS SIGNED)"
        }
        Connection::Sqlite(_) => {
            "length(rating_tasks.prompt) + length(rating_tasks.candidate_a) + length(rating_tasks.candidate_b) \
             + coalesce(length(rating_tasks.candidate_c), 0)"
        }
    }
}

/// Judgments in the flow of work (calibration left out), newest first: of one rater since an instant, or with `None` the newest of all.
macro_rules! given {
    ($c:expr, $length:expr, $rater:expr, $since:expr, $limit:expr) => {{
        let mut query = j::table
            .inner_join(tasks::table.on(tasks::task_id.eq(j::task_id)))
            .inner_join(a::table.on(a::assignment_id.eq(j::assignment_id)))
            .left_join(g::table.on(g::task_id.eq(j::task_id)))
            .filter(a::purpose.ne("calibration"))
            .order(j::id.desc())
            .limit($limit)
            .select((
                j::rater_id,
                tasks::task_type,
                j::choice,
                j::display_order,
                j::time_spent_seconds,
                j::active_ms,
                j::free_text_feedback,
                j::matches_golden,
                g::edge_case_type.nullable(),
                diesel::dsl::sql::<BigInt>($length),
            ))
            .into_boxed();
        if let Some(rater_id) = $rater {
            query = query.filter(j::rater_id.eq(rater_id));
        }
        if let Some(since) = $since {
            query = query.filter(j::created_at.gt(Timestamp(since)));
        }
        query.load($c)
    }};
}

/// The newest judgments of a rater after an instant, newest first, voided ones too: they are evidence.
///
/// # Errors
/// As any query.
pub fn of_rater(conn: &mut Connection, rater_id: &str, since: Option<DateTime<Utc>>, limit: i64) -> Result<Vec<Given>, StorageError> {
    let length = length(conn);
    Ok(on!(conn, c => given!(c, length, Some(rater_id), since, limit))?)
}

/// The newest judgments of all raters, newest first.
///
/// # Errors
/// As any query.
pub fn newest(conn: &mut Connection, limit: i64) -> Result<Vec<Given>, StorageError> {
    let length = length(conn);
    Ok(on!(conn, c => given!(c, length, None::<&str>, None::<DateTime<Utc>>, limit))?)
}
