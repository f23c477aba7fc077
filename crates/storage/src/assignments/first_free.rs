//! The first free task of a list, locked with one statement. For PostgreSQL, which alone tries one after the other in one statement.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::{Array, Text};

use crate::error::StorageError;
use crate::tasks::Task;

/// Locks the first of these tasks that nobody else has the lock of and that has a free place, with its row in the queue, so that the place
/// stays free until it is taken.
///
/// # Errors
/// As any query.
pub(super) fn lock_first_free(c: &mut PgConnection, task_ids: &[&str]) -> Result<Option<Task>, StorageError> {
    Ok(FirstFree { columns: Task::as_select(), task_ids }.get_result(c).optional()?)
}

/// For each of the list in turn the database looks whether it can lock the task, and stops at the first: a query that locks is never merged
/// with the one around it, so the order is the list's. With the list as a filter, all of them are fetched and sorted first.
struct FirstFree<'a, Columns> {
    columns: Columns,
    task_ids: &'a [&'a str],
}

impl<Columns> QueryId for FirstFree<'_, Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns: Expression> Query for FirstFree<'_, Columns> {
    type SqlType = Columns::SqlType;
}

impl<Columns, C> RunQueryDsl<C> for FirstFree<'_, Columns> {}

impl<Columns: QueryFragment<Pg>> QueryFragment<Pg> for FirstFree<'_, Columns> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT first.* FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.task_ids)?;
        out.push_sql(") AS wanted (task_id) CROSS JOIN LATERAL (SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(
            " FROM rating_tasks INNER JOIN task_queue ON task_queue.task_id = rating_tasks.task_id \
             WHERE rating_tasks.task_id = wanted.task_id AND NOT rating_tasks.is_golden AND task_queue.is_open \
             FOR UPDATE SKIP LOCKED) AS first LIMIT 1",
        );
        Ok(())
    }
}
