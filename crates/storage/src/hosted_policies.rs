//! Whether a database that a Supabase project serves is guarded: the project hands every table to whoever asks over HTTP, so that a table without
//! row-level security, or one that visitors were granted, is public. `deploy/supabase/policies.sql` makes it right; this looks.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::connection::Connection;
use crate::error::StorageError;

/// How a database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody serves it over HTTP: no PostgreSQL, or one without the roles of Supabase.
    NotHosted,
    /// Every table is guarded.
    Guarded {
        /// How many tables there are.
        tables: usize,
    },
    /// Some are not.
    Open {
        /// Without row-level security.
        unguarded: Vec<String>,
        /// Granted to people who are not signed in.
        granted: Vec<String>,
    },
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_guarded: bool,
    #[diesel(sql_type = Bool)]
    is_granted: bool,
}

const ROLES: &str = "SELECT count(*) AS n FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')";

const TABLES: &str = "SELECT c.relname::text AS name, c.relrowsecurity AS is_guarded, \
     has_table_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE, DELETE') AS is_granted \
     FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1";

/// Looks at every table.
///
/// # Errors
/// As any query.
pub fn state(conn: &mut Connection) -> Result<State, StorageError> {
    let Connection::Postgres(conn) = conn else { return Ok(State::NotHosted) };
    if diesel::sql_query(ROLES).get_result::<Found>(conn)?.n < 3 {
        return Ok(State::NotHosted);
    }
    let tables: Vec<Table> = diesel::sql_query(TABLES).load(conn)?;
    let names =
        |is_wanted: fn(&Table) -> bool| tables.iter().filter(|table| is_wanted(table)).map(|table| table.name.clone()).collect::<Vec<_>>();
    let (unguarded, granted) = (names(|table| !table.is_guarded), names(|table| table.is_granted));
    if unguarded.is_empty() && granted.is_empty() {
        return Ok(State::Guarded { tables: tables.len() });
    }
    Ok(State::Open { unguarded, granted })
}
