//! What a backup needs of a database beside the database's own tools: a consistent copy of a SQLite file, and what is there.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::connection::Connection;
use crate::dialect::TENANT_ROLE;
use crate::error::StorageError;
use crate::on;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Checked {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Names of the tables that are there, those of migrations included, partitions not; in order.
///
/// # Errors
/// As any query.
pub fn tables(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
    let query = match conn {
        Connection::Postgres(_) => {
            "SELECT CAST(c.relname AS TEXT) AS name FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace \
             WHERE s.nspname = CURRENT_SCHEMA() AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
        }
        Connection::Mysql(_) => {
            "SELECT CAST(table_name AS CHAR(64)) AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 1"
        }
        Connection::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
    };
    let rows: Vec<Named> = on!(conn, c => diesel::sql_query(query).load(c))?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Rows of each table, read one after the other.
///
/// # Errors
/// As any query.
pub fn count_rows(conn: &mut Connection) -> Result<Vec<(String, i64)>, StorageError> {
    let mut counts = Vec::new();
    for table in tables(conn)? {
        let quote = if matches!(conn, Connection::Mysql(_)) { '`' } else { '"' };
        let query = format!("SELECT COUNT(*) AS n FROM {quote}{table}{quote}");
        let counted: Counted = on!(conn, c => diesel::sql_query(query).get_result(c))?;
        counts.push((table, counted.n));
    }
    Ok(counts)
}

/// Stands in a MariaDB database while a backup is restored into it: its tool writes statement by statement, and what was cut off must show.
pub const UNFINISHED: &str = "endcap_restore_unfinished";

/// Marks a MariaDB database as half restored; without effect elsewhere, where restoring is one step.
///
/// # Errors
/// As any query.
pub fn begin_restore(conn: &mut Connection) -> Result<(), StorageError> {
    let Connection::Mysql(mysql) = conn else { return Ok(()) };
    diesel::sql_query(format!("CREATE TABLE {UNFINISHED} (id INT PRIMARY KEY)")).execute(mysql)?;
    Ok(())
}

/// Takes the mark away.
///
/// # Errors
/// As any query.
pub fn end_restore(conn: &mut Connection) -> Result<(), StorageError> {
    let Connection::Mysql(mysql) = conn else { return Ok(()) };
    diesel::sql_query(format!("DROP TABLE {UNFINISHED}")).execute(mysql)?;
    Ok(())
}

/// Whether half a backup is in the database.
///
/// # Errors
/// As any query.
pub fn is_half_restored(conn: &mut Connection) -> Result<bool, StorageError> {
    let Connection::Mysql(mysql) = conn else { return Ok(false) };
    let query = "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?";
    let found: Counted = diesel::sql_query(query).bind::<Text, _>(UNFINISHED).get_result(mysql)?;
    Ok(found.n > 0)
}

/// Drops every table of a MariaDB database that was empty before a restore into it failed, the mark last; how many.
///
/// # Errors
/// As any query.
pub fn undo_restore(conn: &mut Connection) -> Result<usize, StorageError> {
    let mut names = tables(conn)?;
    let Connection::Mysql(mysql) = conn else { return Ok(0) };
    names.sort_by_key(|name| name == UNFINISHED);
    diesel::sql_query("SET FOREIGN_KEY_CHECKS = 0").execute(mysql)?;
    for name in &names {
        diesel::sql_query(format!("DROP TABLE `{}`", name.replace('`', "``"))).execute(mysql)?;
    }
    diesel::sql_query("SET FOREIGN_KEY_CHECKS = 1").execute(mysql)?;
    Ok(names.len())
}

/// Writes a consistent copy of a SQLite database, while others read and write it, to a file that must not exist.
///
/// # Errors
/// As any query; [`StorageError::Conflict`] for another database.
pub fn copy_sqlite(conn: &mut Connection, to: &Path) -> Result<(), StorageError> {
    let Connection::Sqlite(sqlite) = conn else {
        return Err(StorageError::conflict("conflict", "only a SQLite database is copied as a file".to_owned()));
    };
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to.to_string_lossy()).execute(sqlite)?;
    Ok(())
}

/// Whether a SQLite file is whole: its own check of every page and index.
///
/// # Errors
/// As any query; [`StorageError::Corrupt`] with what the check says.
pub fn check_sqlite(conn: &mut Connection) -> Result<(), StorageError> {
    let Connection::Sqlite(sqlite) = conn else { return Ok(()) };
    let said: Vec<Checked> = diesel::sql_query("PRAGMA integrity_check(10)").load(sqlite)?;
    let said: Vec<String> = said.into_iter().map(|row| row.integrity_check).collect();
    if said == ["ok"] { Ok(()) } else { Err(StorageError::Corrupt(said.join("; "))) }
}

/// Makes the role that a PostgreSQL dump grants to, and joins it, unless that was done: roles belong to servers and stand in no dump.
///
/// # Errors
/// As any query: the user may have no right to make roles.
pub fn prepare_roles(conn: &mut Connection) -> Result<(), StorageError> {
    let Connection::Postgres(postgres) = conn else { return Ok(()) };
    let query = format!(
        "DO $$ BEGIN \
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{TENANT_ROLE}') THEN CREATE ROLE {TENANT_ROLE} NOLOGIN; END IF; \
           IF NOT pg_has_role(current_user, '{TENANT_ROLE}', 'MEMBER') THEN EXECUTE format('GRANT {TENANT_ROLE} TO %I', current_user); END IF; \
         END $$"
    );
    diesel::sql_query(query).execute(postgres)?;
    Ok(())
}
