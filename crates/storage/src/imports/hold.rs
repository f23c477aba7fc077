//! Who runs an import: a lock that the database (or for SQLite the system) lets go when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::connection::Connection;
use crate::error::StorageError;

/// The right to run the import of one content; on PostgreSQL and MariaDB it lives and dies with the connection.
pub(super) enum Hold {
    Postgres(i64),
    Mysql(String),
    Sqlite { _lock: File, path: PathBuf },
}

#[derive(QueryableByName)]
struct Granted {
    #[diesel(sql_type = Bool)]
    granted: bool,
}

#[derive(QueryableByName)]
struct GrantedNumber {
    #[diesel(sql_type = Nullable<BigInt>)]
    granted: Option<i64>,
}

#[derive(QueryableByName)]
struct DatabaseFile {
    #[diesel(sql_type = Text)]
    file: String,
}

impl Hold {
    /// Takes the right, or `None` when somebody has it.
    pub(super) fn take(conn: &mut Connection, content_hash: &str) -> Result<Option<Self>, StorageError> {
        let short: String = content_hash.chars().take(15).collect();
        match conn {
            Connection::Postgres(c) => {
                // 60 bits of the hash: a positive number of 64.
                let key = i64::from_str_radix(&short, 16).map_err(|error| StorageError::Corrupt(error.to_string()))?;
                let query = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS granted").bind::<BigInt, _>(key);
                Ok(query.get_result::<Granted>(c)?.granted.then_some(Self::Postgres(key)))
            }
            Connection::Mysql(c) => {
                // Names of locks belong to the whole server: that of the database is part of it.
                let name = format!("endcap_import_{short}");
                let query = diesel::sql_query("SELECT CAST(GET_LOCK(SHA1(CONCAT(DATABASE(), ?)), 0) AS SIGNED) AS granted");
                let granted = query.bind::<Text, _>(&name).get_result::<GrantedNumber>(c)?.granted;
                Ok((granted == Some(1)).then_some(Self::Mysql(name)))
            }
            Connection::Sqlite(c) => {
                let row: DatabaseFile = diesel::sql_query("SELECT file FROM pragma_database_list WHERE name = 'main'").get_result(c)?;
                Self::lock_file(PathBuf::from(format!("{}-import-{short}.lock", row.file)))
            }
        }
    }

    fn lock_file(path: PathBuf) -> Result<Option<Self>, StorageError> {
        let failed = |error: std::io::Error| StorageError::Unavailable(format!("{} cannot be locked: {error}", path.display()));
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_still(&file, &path) => return Ok(Some(Self::Sqlite { _lock: file, path })),
                // Whoever had it took the file away between our opening and locking it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Gives the right back. What cannot be given back goes with the connection or the process.
    pub(super) fn release(self, conn: &mut Connection) {
        let given_back = match (self, conn) {
            (Self::Postgres(key), Connection::Postgres(c)) => c.batch_execute(&format!("SELECT pg_advisory_unlock({key})")),
            (Self::Mysql(name), Connection::Mysql(c)) => c.batch_execute(&format!("DO RELEASE_LOCK(SHA1(CONCAT(DATABASE(), '{name}')))")),
            (Self::Sqlite { _lock, path }, _) => {
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::debug!(%error, "a lock file stays");
                }
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = given_back {
            tracing::warn!(%error, "the lock of an import could not be given back; it goes with the connection");
        }
    }
}

/// Whether the open file is the one that the path names now.
fn is_still(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
        matches!((file.metadata(), std::fs::metadata(path)), (Ok(a), Ok(b)) if same(&a, &b))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
