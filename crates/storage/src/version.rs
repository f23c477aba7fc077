//! Which transaction wrote a row last, on PostgreSQL (its system column `xmin`): whoever read a row without a lock writes it only when nobody
//! else has written it since.

use diesel::expression::{ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Text;

/// The version of a row as it was read. Each write changes it, and no lock does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// As [`of`] has selected it.
    pub(crate) fn read(text: String) -> Self {
        Self(text)
    }

    /// As the database writes it.
    pub(crate) fn as_text(&self) -> &str {
        &self.0
    }
}

/// Selects the version of a row of `table`.
pub(crate) fn of(table: &'static str) -> VersionOf {
    VersionOf(table)
}

/// The selection of [`of`]. With a literal of Diesel's in its place a statement would be prepared and planned anew at each call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionOf(&'static str);

impl Expression for VersionOf {
    type SqlType = Text;
}

impl QueryId for VersionOf {
    type QueryId = ();
    // The type does not tell the table; the text itself is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Source> SelectableExpression<Source> for VersionOf {}

impl<Source> AppearsOnTable<Source> for VersionOf {}

impl<GroupBy> ValidGrouping<GroupBy> for VersionOf {
    type IsAggregate = is_aggregate::No;
}

impl QueryFragment<Pg> for VersionOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        out.push_sql(".xmin::text");
        Ok(())
    }
}

/// A filter for one row of `table` that finds nothing when the row was written since its version was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsSeen<'a, Filter> {
    pub(crate) filter: Filter,
    pub(crate) table: &'static str,
    pub(crate) version: &'a Version,
}

impl<Filter: QueryFragment<Pg>> QueryFragment<Pg> for AsSeen<'_, Filter> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.filter.walk_ast(out.reborrow())?;
        out.push_sql(" AND ");
        out.push_sql(self.table);
        out.push_sql(".xmin::text = ");
        out.push_bind_param::<Text, _>(&self.version.0)
    }
}
