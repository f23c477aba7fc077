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
type Said = (i64, String, bool);
/// A rater with the version of the row.
type Versioned = (Rater, Version);

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
    let rows: Vec<(Rater, Option<Said>)> = Judges { query, task_id, rater_id, lock: " FOR UPDATE OF rater_profiles" }.load(c)?;
    let (raters, said): (Vec<Rater>, Vec<Option<Said>>) = rows.into_iter().unzip();
    Ok((opinions(&raters, said), raters))
}

/// [`lock_judges`] without locks, with the versions of the raters' rows, in the same order. For PostgreSQL.
///
/// # Errors
/// As any query.
pub(crate) fn see_judges(c: &mut PgConnection, task_id: &str, rater_id: &str) -> Result<(Vec<Opinion>, Vec<Versioned>), StorageError> {
    let own = j::rater_id.eq(t::rater_id).and(j::task_id.eq(task_id)).and(j::voided_at.is_null());
    let said = (j::id, j::choice, j::is_escalated);
    let query = t::table.left_join(j::table.on(own)).select((Rater::as_select(), version::of("rater_profiles"), said.nullable()));
    let rows: Vec<(Rater, String, Option<Said>)> = Judges { query, task_id, rater_id, lock: "" }.load(c)?;
    let (mut raters, mut versions, mut all_said) = (Vec::new(), Vec::new(), Vec::new());
    for (rater, version, said) in rows {
        raters.push(rater);
        versions.push(Version::read(version));
        all_said.push(said);
    }
    Ok((opinions(&raters, all_said), raters.into_iter().zip(versions).collect()))
}

/// What each rater said, oldest first.
fn opinions(raters: &[Rater], said: Vec<Option<Said>>) -> Vec<Opinion> {
    let mut given: Vec<(i64, Opinion)> = raters
        .iter()
        .zip(said)
        .filter_map(|(rater, said)| {
            let (id, choice, is_escalated) = said?;
            Some((id, Opinion { rater_id: rater.rater_id.clone(), choice, is_escalated }))
        })
        .collect();
    given.sort_by_key(|(id, _)| *id);
    given.into_iter().map(|(_, opinion)| opinion).collect()
}

/// The query of [`lock_judges`] with the ids of the raters as a list that PostgreSQL makes first, so that it plans once.
struct Judges<'a, Q> {
    query: Q,
    task_id: &'a str,
    rater_id: &'a str,
    lock: &'static str,
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
        out.push_sql(")) ORDER BY rater_profiles.rater_id");
        out.push_sql(self.lock);
        Ok(())
    }
}
