//! Changes of rows whose statement is prepared once a connection. Diesel prepares an `UPDATE` anew at each call, because its text may differ
//! from one to the next: two round trips, and parsing and planning that cost the database more than carrying the statement out. Where the
//! text is always the same, [`change`] says so.

use diesel::QuerySource;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, AstPass, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

/// An `UPDATE` that a connection prepares once and keeps by its text; see [`change`].
#[derive(Debug, Clone, Copy)]
pub struct Change<From, Changes, Filter> {
    from: From,
    changes: Changes,
    filter: Filter,
}

/// `UPDATE table SET changes WHERE filter`, prepared once: `change(t::table, t::id.eq(id), changes).execute(c)`. Not for changes whose text
/// depends on the values (optional changes, lists of any length): each text would be kept for as long as the connection.
pub fn change<Table, Filter, Changes>(
    table: Table,
    filter: Filter,
    changes: Changes,
) -> Change<Table::FromClause, Changes::Changeset, Filter>
where
    Table: QuerySource,
    Changes: AsChangeset<Target = Table>,
{
    Change { from: table.from_clause(), changes: changes.as_changeset(), filter }
}

impl<From, Changes, Filter> QueryId for Change<From, Changes, Filter> {
    type QueryId = ();
    // The type does not tell the text; the text itself is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB, From, Changes, Filter> QueryFragment<DB> for Change<From, Changes, Filter>
where
    DB: Backend,
    From: QueryFragment<DB>,
    Changes: QueryFragment<DB>,
    Filter: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE ");
        self.from.walk_ast(out.reborrow())?;
        out.push_sql(" SET ");
        self.changes.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        self.filter.walk_ast(out)
    }
}

impl<From, Changes, Filter, C> RunQueryDsl<C> for Change<From, Changes, Filter> {}
