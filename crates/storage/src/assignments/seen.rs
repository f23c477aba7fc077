//! What a judgment is made from, read with one statement and without a lock; for PostgreSQL, whose rows tell who wrote them last.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::{Bool, Text};

use super::Assignment;
use crate::batch::Batch;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::Opinion;
use crate::raters::Rater;
use crate::schema::{judgments as j, rater_profiles as r, rating_tasks as tasks, task_assignments as t, task_queue as q};
use crate::tasks::TaskState;
use crate::version::{self, Version};

/// An assignment with its task and all who judged it, as they were at one moment. What is written from them must be written as seen
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

/// Key, choice and escalation of a judgment.
type Said = (i64, String, bool);
type Row = (Assignment, TaskState, String, Option<i32>, Rater, String, Option<Said>);

/// Reads what a judgment of an assignment of this rater is made from; `None` on a database whose rows have no versions, and when there is no
/// such assignment.
///
/// # Errors
/// As any query.
pub fn see(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<Option<Seen>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(None) };
    let everybody = diesel::dsl::sql::<Bool>("TRUE");
    let own = j::rater_id.eq(r::rater_id).and(j::task_id.eq(t::task_id)).and(j::voided_at.is_null());
    let said = (j::id, j::choice, j::is_escalated);
    let query = t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .left_join(q::table.on(q::task_id.eq(t::task_id)))
        .inner_join(r::table.on(everybody))
        .left_join(j::table.on(own))
        .select((
            Assignment::as_select(),
            TaskState::as_select(),
            version::of("rating_tasks"),
            q::max_judgments.nullable(),
            Rater::as_select(),
            version::of("rater_profiles"),
            said.nullable(),
        ));
    let rows: Vec<Row> = Together { query, assignment_id, rater_id }.load(c)?;
    let mut seen: Option<Seen> = None;
    let mut given = Vec::new();
    for (assignment, task, task_version, max_judgments, rater, rater_version, said) in rows {
        let seen = seen.get_or_insert_with(|| Seen {
            assignment,
            task,
            task_version: Version::read(task_version),
            max_judgments,
            given: Vec::new(),
            raters: Vec::new(),
            rater_versions: Vec::new(),
        });
        if let Some((id, choice, is_escalated)) = said {
            given.push((id, Opinion { rater_id: rater.rater_id.clone(), choice, is_escalated }));
        }
        seen.raters.push(rater);
        seen.rater_versions.push(Version::read(rater_version));
    }
    given.sort_by_key(|(id, _)| *id);
    Ok(seen.map(|seen| Seen { given: given.into_iter().map(|(_, opinion)| opinion).collect(), ..seen }))
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

/// The query of [`see`] with the ids of the raters as a list that PostgreSQL makes first, so that it plans once.
struct Together<'a, Q> {
    query: Q,
    assignment_id: &'a str,
    rater_id: &'a str,
}

impl<Q> QueryId for Together<'_, Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Together<'_, Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Together<'_, Q> {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Together<'_, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE task_assignments.assignment_id = ");
        out.push_bind_param::<Text, _>(&self.assignment_id)?;
        out.push_sql(" AND task_assignments.rater_id = ");
        out.push_bind_param::<Text, _>(&self.rater_id)?;
        out.push_sql(
            " AND rater_profiles.rater_id = ANY(ARRAY(SELECT rater_id FROM judgments WHERE voided_at IS NULL AND task_id = \
             (SELECT task_id FROM task_assignments WHERE assignment_id = ",
        );
        out.push_bind_param::<Text, _>(&self.assignment_id)?;
        out.push_sql(") UNION ALL SELECT ");
        out.push_bind_param::<Text, _>(&self.rater_id)?;
        out.push_sql(")) ORDER BY rater_profiles.rater_id");
        Ok(())
    }
}
