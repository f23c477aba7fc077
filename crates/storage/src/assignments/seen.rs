//! What a judgment is made from, read without a lock; for PostgreSQL, whose rows tell who wrote them last.

use diesel::prelude::*;

use super::Assignment;
use crate::batch::{Batch, Followed};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::Opinion;
use crate::raters::{Rater, see_judges};
use crate::schema::{rating_tasks as tasks, task_assignments as t, task_queue as q};
use crate::tasks::TaskState;
use crate::version::{self, Version};

/// An assignment with its task and all who judged it. What is written from them must be written as seen
/// ([`write_as_seen`]).
#[derive(Debug, Clone)]
pub struct Seen {
    /// The assignment.
    pub assignment: Assignment,
    /// Its task.
    pub task: TaskState,
    /// The version of the task.
    pub task_version: Version,
    /// Judgments that the task may get; absent when it is not in the queue.
    pub max_judgments: Option<i32>,
    /// What was said of the task and counts, oldest first.
    pub given: Vec<Opinion>,
    /// All who said it and the rater of the assignment, by id.
    pub raters: Vec<Rater>,
    /// Their versions, in the same order.
    pub rater_versions: Vec<Version>,
}

impl Seen {
    /// The version of a rater's row.
    #[must_use]
    pub fn version_of(&self, rater: &Rater) -> Option<&Version> {
        let place = self.raters.iter().position(|other| other.id == rater.id)?;
        self.rater_versions.get(place)
    }
}

/// Reads what a judgment of an assignment of this rater is made from; `None` on a database whose rows have no versions, and when there is no
/// such assignment. Whoever judges between the two statements writes the task, whose version is read first.
///
/// # Errors
/// As any query.
pub fn see(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<Option<Seen>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(None) };
    let own = t::assignment_id.eq(assignment_id).and(t::rater_id.eq(rater_id));
    let query = t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .left_join(q::table.on(q::task_id.eq(t::task_id)))
        .filter(own)
        .select((Assignment::as_select(), TaskState::as_select(), version::of("rating_tasks"), q::max_judgments.nullable()));
    let found: Option<(Assignment, TaskState, String, Option<i32>)> = Followed { query, by: "" }.get_result(c).optional()?;
    let Some((assignment, task, task_version, max_judgments)) = found else { return Ok(None) };
    let (given, raters) = see_judges(c, &task.task_id, rater_id)?;
    let (raters, rater_versions) = raters.into_iter().unzip();
    let task_version = Version::read(task_version);
    Ok(Some(Seen { assignment, task, task_version, max_judgments, given, raters, rater_versions }))
}

/// Writes changes that were made from [`Seen`] rows: all of them or none, in a transaction of their own.
///
/// # Errors
/// [`StorageError::Raced`] when somebody else was in between; or as any query.
pub fn write_as_seen(conn: &mut Connection, batch: Batch<'_>) -> Result<(), StorageError> {
    match conn {
        Connection::Postgres(c) => batch.finish_alone(c),
        _ => Err(StorageError::Raced("rows of this database have no versions")),
    }
}
