//! The schema: embedded migrations for the three databases, applied under a lock.

use diesel::migration::{Migration, MigrationSource};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
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
/// [`StorageError::Unavailable`] with the migration's name and the database's reason.
pub fn up(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
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
            (names(MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(failed)?), c.applied_migrations().map_err(failed)?)
        }
    };
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    Ok(known.into_iter().map(|(name, version)| MigrationState { applied: applied.contains(&version), name }).collect())
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
/// [`StorageError::Unavailable`] saying what to do when it is behind.
pub fn require_current(conn: &mut Connection) -> Result<(), StorageError> {
    if crate::backup::is_half_restored(conn)? {
        return Err(StorageError::Unavailable(
            "half of a backup is in the database; empty it and restore again (docs/backup.md)".to_owned(),
        ));
    }
    let missing: Vec<String> = status(conn)?.into_iter().filter(|m| !m.applied).map(|m| m.name).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(StorageError::Unavailable(format!("the schema lacks {}; run: endcap migrate up", missing.join(", "))))
    }
}
