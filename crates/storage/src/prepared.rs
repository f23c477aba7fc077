//! Statements that change rows, prepared once a connection. Diesel prepares an `UPDATE`, an upsert and an insert of several rows anew at each
//! call, because their text may differ from one to the next: two round trips, and parsing and planning that cost the database more than
//! carrying the statement out. Where the text is always the same, [`Prepared`] says so.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

/// A statement that a connection prepares once and keeps by its text: `Prepared(diesel::update(row).set(changes)).execute(c)`. Not for
/// statements whose text depends on the values (optional changes, lists of any length): each text would be kept for as long as the connection.
#[derive(Debug, Clone, Copy)]
pub struct Prepared<Q>(pub Q);

impl<Q: QueryId> QueryId for Prepared<Q> {
    type QueryId = ();
    // The type does not tell the text; the text itself is the key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q, C> RunQueryDsl<C> for Prepared<Q> {}
