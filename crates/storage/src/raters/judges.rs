//! Who judged a task, locked together.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::Text;

use super::{Rater, lock_all};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::{self, Opinion};
use crate::schema::{judgments as j, rater_profiles as t};
use crate::version::{self, Version};

/// Key, choice and escalation of a judgment.
pub(crate) type Said = (i64, String, bool);
/// A rater, the version of the row, and what the rater said of the task.
pub(crate) type Judge = (Rater, String, Option<Said>);

/// What was said of a task and counts, with all who said it and one rater more, locked until the transaction ends. The task must be locked
/// by this transaction: then nobody else says anything.
///
/// # Errors
/// As any query.
pub fn lock_judges(conn: &mut Connection, task_id: &str, rater_id: &str) -> Result<(Vec<Opinion>, Vec<Rater>), StorageError> {
    let Connection::Postgres(c) = conn else {
        let given = judgments::opinions(conn, task_id)?;
        let mut ids: Vec<String> = given.iter().map(|one| one.rater_id.clone()).chain([rater_id.to_owned()]).collect();
        ids.sort_unstable();
        ids.dedup();
        let raters = lock_all(conn, &ids)?;
        return Ok((given, raters));
    };
    let own = j::rater_id.eq(t::rater_id).and(j::task_id.eq(task_id)).and(j::voided_at.is_null());
    let said = (j::id, j::choice, j::is_escalated);
    let query = t::table.left_join(j::table.on(own)).select((Rater::as_select(), version::of("rater_profiles"), said.nullable()));
    let (given, raters) = in_order(LockJudges { query, task_id, rater_id }.load(c)?);
    Ok((given, raters.into_iter().map(|(rater, _)| rater).collect()))
}

/// What was said, oldest first, and the raters with the versions of their rows in the order of the list.
pub(crate) fn in_order(judges: Vec<Judge>) -> (Vec<Opinion>, Vec<(Rater, Version)>) {
    let mut given = Vec::new();
    let mut raters = Vec::with_capacity(judges.len());
    for (rater, version, said) in judges {
        if let Some((id, choice, is_escalated)) = said {
            given.push((id, Opinion { rater_id: rater.rater_id.clone(), choice, is_escalated }));
        }
        raters.push((rater, Version::read(version)));
    }
    given.sort_by_key(|(id, _)| *id);
    (given.into_iter().map(|(_, opinion)| opinion).collect(), raters)
}

/// The query of [`lock_judges`] with the ids of the raters as a list that PostgreSQL makes first, so that it plans once.
struct LockJudges<'a, Q> {
    query: Q,
    task_id: &'a str,
    rater_id: &'a str,
}

impl<Q> QueryId for LockJudges<'_, Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for LockJudges<'_, Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for LockJudges<'_, Q> {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for LockJudges<'_, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE rater_profiles.rater_id = ANY(ARRAY(SELECT rater_id FROM judgments WHERE voided_at IS NULL AND task_id = ");
        out.push_bind_param::<Text, _>(&self.task_id)?;
        out.push_sql(" UNION ALL SELECT ");
        out.push_bind_param::<Text, _>(&self.rater_id)?;
        out.push_sql(")) ORDER BY rater_profiles.rater_id FOR UPDATE OF rater_profiles");
        Ok(())
    }
}
