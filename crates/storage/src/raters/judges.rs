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

/// Key, choice and escalation of a judgment.
type Said = (i64, String, bool);

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
    let query = t::table.left_join(j::table.on(own)).select((Rater::as_select(), said.nullable()));
    let rows: Vec<(Rater, Option<Said>)> = Judges { query, task_id, rater_id }.load(c)?;
    let mut given = Vec::new();
    let mut raters = Vec::with_capacity(rows.len());
    for (rater, said) in rows {
        if let Some((id, choice, is_escalated)) = said {
            given.push((id, Opinion { rater_id: rater.rater_id.clone(), choice, is_escalated }));
        }
        raters.push(rater);
    }
    given.sort_by_key(|(id, _)| *id);
    Ok((given.into_iter().map(|(_, opinion)| opinion).collect(), raters))
}

/// The query of [`lock_judges`] with the ids of the raters as a list that PostgreSQL makes first, so that it plans once.
struct Judges<'a, Q> {
    query: Q,
    task_id: &'a str,
    rater_id: &'a str,
}

impl<Q> QueryId for Judges<'_, Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Judges<'_, Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Judges<'_, Q> {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Judges<'_, Q> {
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
