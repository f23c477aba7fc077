//! Which transaction wrote a row last, on PostgreSQL (its system column `xmin`): whoever read a row without a lock writes it only when nobody
//! else has written it since.

use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
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
pub(crate) fn of(table: &str) -> SqlLiteral<Text> {
    diesel::dsl::sql(&format!("{table}.xmin::text"))
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
