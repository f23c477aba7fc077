//! What a judgment is made from, read without a lock; for PostgreSQL, whose rows tell who wrote them last.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use super::Assignment;
use crate::batch::Batch;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::Opinion;
use crate::raters::{Rater, Said, in_order};
use crate::tasks::TaskState;
use crate::version::Version;

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

/// Reads what a judgment of an assignment of this rater is made from, as it is at one moment; `None` on a database whose rows have no
/// versions, and when there is no such assignment.
///
/// # Errors
/// As any query.
pub fn see(conn: &mut Connection, rater_id: &str, assignment_id: &str) -> Result<Option<Seen>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(None) };
    let (assignment, task, rater) = (Assignment::as_select(), TaskState::as_select(), Rater::as_select());
    let rows: Vec<Row> = See { assignment, task, rater, rater_id, assignment_id }.load(c)?;
    let (mut ground, mut judges) = (None, Vec::with_capacity(rows.len()));
    for (assignment, task, rater, task_version, version, max_judgments, said) in rows {
        ground.get_or_insert((assignment, task, task_version, max_judgments));
        judges.push((rater, version, said));
    }
    let Some((assignment, task, task_version, max_judgments)) = ground else { return Ok(None) };
    let (given, raters) = in_order(judges);
    let (raters, rater_versions) = raters.into_iter().unzip();
    let task_version = Version::read(task_version);
    Ok(Some(Seen { assignment, task, task_version, max_judgments, given, raters, rater_versions }))
}

/// A row of [`see`]: assignment and task, the same in all, and a rater; the versions of task and rater; the judgments that the task may get; what
/// the rater said.
type Row = (Assignment, TaskState, Rater, String, String, Option<i32>, Option<Said>);

/// The query of [`see`]. From the assignment PostgreSQL can only go by keys: joins that it may turn around end, while the tables are small or
/// a rater is new, in plans that read all that a rater has judged, and those are kept. So the rater stands in expressions, what was said is
/// looked up for each rater, and who they are is a list that is made first.
struct See<'a, A, T, R> {
    assignment: A,
    task: T,
    rater: R,
    rater_id: &'a str,
    assignment_id: &'a str,
}

impl<A, T, R> QueryId for See<'_, A, T, R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<A: Expression, T: Expression, R: Expression> Query for See<'_, A, T, R> {
    type SqlType = (A::SqlType, T::SqlType, R::SqlType, Text, Text, Nullable<Integer>, Nullable<(BigInt, Text, Bool)>);
}

impl<A, T, R, C> RunQueryDsl<C> for See<'_, A, T, R> {}

impl<A: QueryFragment<Pg>, T: QueryFragment<Pg>, R: QueryFragment<Pg>> QueryFragment<Pg> for See<'_, A, T, R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.assignment.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.task.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.rater.walk_ast(out.reborrow())?;
        out.push_sql(
            ", rating_tasks.xmin::text, rater_profiles.xmin::text, task_queue.max_judgments, said.id, said.choice, said.is_escalated \
             FROM task_assignments \
             INNER JOIN rating_tasks ON rating_tasks.task_id = task_assignments.task_id \
             LEFT JOIN task_queue ON task_queue.task_id = task_assignments.task_id \
             CROSS JOIN rater_profiles LEFT JOIN LATERAL (\
             SELECT id, choice, is_escalated FROM judgments WHERE judgments.task_id = task_assignments.task_id \
             AND judgments.rater_id || '' = rater_profiles.rater_id AND voided_at IS NULL LIMIT 1) AS said ON TRUE \
             WHERE task_assignments.assignment_id = ",
        );
        out.push_bind_param::<Text, _>(&self.assignment_id)?;
        out.push_sql(" AND task_assignments.rater_id || '' = ");
        out.push_bind_param::<Text, _>(&self.rater_id)?;
        out.push_sql(
            " AND rater_profiles.rater_id = ANY(ARRAY(SELECT given.rater_id FROM judgments AS given WHERE given.voided_at IS NULL \
             AND given.task_id = (SELECT own.task_id FROM task_assignments AS own WHERE own.assignment_id = ",
        );
        out.push_bind_param::<Text, _>(&self.assignment_id)?;
        out.push_sql(") UNION ALL SELECT ");
        out.push_bind_param::<Text, _>(&self.rater_id)?;
        out.push_sql(")) ORDER BY rater_profiles.rater_id");
        Ok(())
    }
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
