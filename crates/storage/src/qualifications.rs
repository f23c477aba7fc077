//! Whether a rater may judge a task type: the state of the sequential test on golden items of that type.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::rater_qualifications as t;
use crate::types::Timestamp;

/// The test of one rater for one task type.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = t)]
pub struct Qualification {
    /// The rater.
    pub rater_id: String,
    /// Task type word.
    pub task_type: String,
    /// `open`, `passed` or `failed`.
    pub state: String,
    /// Items of this attempt answered as the expert did.
    pub correct: i32,
    /// Items of this attempt answered.
    pub total: i32,
    /// Attempts, from 1.
    pub attempt: i32,
    /// Evidence since the test was passed that the rater has become worse; 0 is none.
    #[serde(skip)]
    pub drift: f64,
    /// Why it is open again, or failed.
    pub reason: Option<String>,
    /// When it was passed or failed.
    pub decided_at: Option<Timestamp>,
    /// From when on it may be tried again.
    pub retry_at: Option<Timestamp>,
}

impl Qualification {
    /// The first attempt, with nothing answered.
    #[must_use]
    pub fn new(rater_id: &str, task_type: &str) -> Self {
        Self {
            rater_id: rater_id.to_owned(),
            task_type: task_type.to_owned(),
            state: "open".to_owned(),
            correct: 0,
            total: 0,
            attempt: 1,
            drift: 0.0,
            reason: None,
            decided_at: None,
            retry_at: None,
        }
    }

    /// Whether the rater may judge this type.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.state == "passed"
    }

    /// Whether the rater may go on with the test at `now`: it is open, or failed and may be tried again.
    #[must_use]
    pub fn may_be_tried(&self, now: DateTime<Utc>) -> bool {
        self.state == "open" || (self.state == "failed" && self.retry_at.is_some_and(|at| at.0 <= now))
    }
}

/// The tests of a rater, by task type: at most one each.
///
/// # Errors
/// As any query.
pub fn of_rater(conn: &mut Connection, rater_id: &str) -> Result<Vec<Qualification>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::rater_id.eq(rater_id))
        .order(t::task_type)
        .select(Qualification::as_select())
        .load(c))?)
}

/// The test of a rater for a task type.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, rater_id: &str, task_type: &str) -> Result<Option<Qualification>, StorageError> {
    let one = t::rater_id.eq(rater_id).and(t::task_type.eq(task_type));
    Ok(on!(conn, c => t::table.filter(one).select(Qualification::as_select()).first(c).optional())?)
}

/// Writes the state of a test, new or not. The rater must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn save(conn: &mut Connection, test: &Qualification, now: DateTime<Utc>) -> Result<(), StorageError> {
    let values = (
        t::state.eq(&test.state),
        t::correct.eq(test.correct),
        t::total.eq(test.total),
        t::attempt.eq(test.attempt),
        t::drift.eq(test.drift),
        t::reason.eq(test.reason.as_deref()),
        t::decided_at.eq(test.decided_at),
        t::retry_at.eq(test.retry_at),
        t::updated_at.eq(Timestamp(now)),
    );
    let one = t::rater_id.eq(&test.rater_id).and(t::task_type.eq(&test.task_type));
    if on!(conn, c => diesel::update(t::table.filter(one)).set(values).execute(c))? == 0 {
        let key = (t::rater_id.eq(&test.rater_id), t::task_type.eq(&test.task_type), t::created_at.eq(Timestamp(now)));
        on!(conn, c => diesel::insert_into(t::table).values((key, values)).execute(c))?;
    }
    Ok(())
}
