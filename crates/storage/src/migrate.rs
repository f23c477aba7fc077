//! The schema: embedded migrations for the three databases, applied under a lock.

use diesel::migration::{Migration, MigrationSource};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::Connection;
use crate::dialect::with_migration_lock;
use crate::error::StorageError;

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const MYSQL: EmbeddedMigrations = embed_migrations!("../../migrations/mysql");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// One migration and whether this database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// `2026-11-22-000001_catalog`.
    pub name: String,
    /// Applied here.
    pub applied: bool,
}

/// Applies what is missing; the names of what was applied.
///
/// # Errors
/// [`StorageError::Unavailable`] with the migration's name and the database's reason; [`StorageError::Unready`] when half of a backup is in
/// the database: what came later would be put on top of what is lost.
pub fn up(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
    require_whole(conn)?;
    if status(conn)?.iter().all(|m| m.applied) {
        return Ok(Vec::new());
    }
    with_migration_lock(conn, |conn| {
        let names = |versions: Vec<diesel::migration::MigrationVersion<'_>>| versions.iter().map(ToString::to_string).collect();
        let done = match conn {
            Connection::Postgres(c) => c.run_pending_migrations(POSTGRES).map(names),
            Connection::Mysql(c) => c.run_pending_migrations(MYSQL).map(names),
            Connection::Sqlite(c) => c.run_pending_migrations(SQLITE).map(names),
        }
        .map_err(|e| StorageError::Unavailable(format!("a migration failed: {e}")))?;
        crate::row_security::guard(conn)?;
        Ok(done)
    })?
}

/// Takes back the newest `steps` migrations; the names of what was taken back.
///
/// # Errors
/// As [`up`].
pub fn down(conn: &mut Connection, steps: usize) -> Result<Vec<String>, StorageError> {
    with_migration_lock(conn, |conn| {
        let mut names = Vec::new();
        let applied = status(conn)?.iter().filter(|m| m.applied).count();
        for _ in 0..steps.min(applied) {
            let reverted = match conn {
                Connection::Postgres(c) => c.revert_last_migration(POSTGRES),
                Connection::Mysql(c) => c.revert_last_migration(MYSQL),
                Connection::Sqlite(c) => c.revert_last_migration(SQLITE),
            };
            names.push(reverted.map_err(|e| StorageError::Unavailable(format!("taking back a migration failed: {e}")))?.to_string());
        }
        Ok(names)
    })?
}

/// Every migration that this program knows, in order, and whether the database has it.
///
/// # Errors
/// [`StorageError::Unavailable`] when the database does not answer.
pub fn status(conn: &mut Connection) -> Result<Vec<MigrationState>, StorageError> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| StorageError::Unavailable(e.to_string());
    let (known, applied) = match conn {
        Connection::Postgres(c) => {
            (names(MigrationSource::<Pg>::migrations(&POSTGRES).map_err(failed)?), c.applied_migrations().map_err(failed)?)
        }
        Connection::Mysql(c) => {
            (names(MigrationSource::<Mysql>::migrations(&MYSQL).map_err(failed)?), c.applied_migrations().map_err(failed)?)
        }
        Connection::Sqlite(c) => {
            // The list is made when it is asked for, which a connection that only reads may not do: in an empty file nothing is applied.
            let applied = if has_list(c)? { c.applied_migrations().map_err(failed)? } else { Vec::new() };
            (names(MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(failed)?), applied)
        }
    };
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    Ok(known.into_iter().map(|(name, version)| MigrationState { applied: applied.contains(&version), name }).collect())
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Whether a SQLite file has the list of applied migrations.
fn has_list(conn: &mut SqliteConnection) -> Result<bool, StorageError> {
    let query = "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '__diesel_schema_migrations'";
    let found: Counted = diesel::sql_query(query).get_result(conn)?;
    Ok(found.n > 0)
}

fn names<DB: diesel::backend::Backend>(migrations: Vec<Box<dyn Migration<DB>>>) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> =
        migrations.iter().map(|m| (m.name().to_string(), m.name().version().as_owned().to_string())).collect();
    names.sort();
    names
}

/// Whether the schema is the one this program was written for.
///
/// # Errors
/// [`StorageError::Unready`] saying what to do when it is missing, behind, or half of a backup.
pub fn require_current(conn: &mut Connection) -> Result<(), StorageError> {
    require_whole(conn)?;
    let all = status(conn)?;
    let missing: Vec<&str> = all.iter().filter(|m| !m.applied).map(|m| m.name.as_str()).collect();
    match missing.len() {
        0 => Ok(()),
        n if n == all.len() => {
            Err(StorageError::Unready("the database is empty: it has no schema of Endcap; run: endcap migrate up".to_owned()))
        }
        _ => Err(StorageError::Unready(format!("the schema lacks {}; run: endcap migrate up", missing.join(", ")))),
    }
}

/// Whether the database is more than half of a backup.
///
/// # Errors
/// [`StorageError::Unready`] saying what to do when a restore into it was cut off.
pub fn require_whole(conn: &mut Connection) -> Result<(), StorageError> {
    if crate::backup::is_half_restored(conn)? {
        return Err(StorageError::Unready(
            "half of a backup is in the database, because a restore was cut off; drop the database, make it anew and restore again (docs/backup.md)"
                .to_owned(),
        ));
    }
    Ok(())
}
