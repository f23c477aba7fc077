//! One connection type over the three databases, and how it is opened.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use diesel::{Connection as _, MysqlConnection, PgConnection, SqliteConnection};

use crate::url::DatabaseUrl;

/// An open connection. Queries run on the native one inside [`on!`](crate::on).
pub enum Connection {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// MariaDB or MySQL.
    Mysql(MysqlConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Why a connection could not be opened, with what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// Whether a SQLite connection will write (and so create the file) or only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    Write,
    /// Reads only; on SQLite the connection refuses to write.
    Read,
}

impl Connection {
    /// Opens a connection and sets what every session needs: UTC, bounded lock waits, and per database
    /// READ COMMITTED with strict mode (MariaDB), WAL with foreign keys (SQLite).
    ///
    /// # Errors
    /// [`ConnectError`] with the database's own reason and advice.
    pub fn open(url: &DatabaseUrl, access: Access) -> Result<Self, ConnectError> {
        let explain = |error: &dyn std::fmt::Display| ConnectError(advice(url, &error.to_string()));
        match url {
            DatabaseUrl::Postgres(text) => {
                let mut connection = PgConnection::establish(text).map_err(|e| explain(&e))?;
                connection
                    .batch_execute(
                        "SET TIME ZONE 'UTC'; SET lock_timeout = '10s'; SET statement_timeout = '120s'; \
                         SET default_transaction_isolation = 'read committed'",
                    )
                    .map_err(|e| explain(&e))?;
                Ok(Self::Postgres(connection))
            }
            DatabaseUrl::Mysql(text) => {
                let mut connection = MysqlConnection::establish(text).map_err(|e| explain(&e))?;
                for statement in [
                    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                    "SET SESSION time_zone = '+00:00'",
                    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
                    "SET SESSION innodb_lock_wait_timeout = 10",
                ] {
                    connection.batch_execute(statement).map_err(|e| explain(&e))?;
                }
                Ok(Self::Mysql(connection))
            }
            DatabaseUrl::Sqlite(path) => {
                if access == Access::Write {
                    check_folder(path)?;
                }
                let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| explain(&e))?;
                let query_only = if access == Access::Read { "ON" } else { "OFF" };
                connection
                    .batch_execute(&format!(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
                         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000; PRAGMA query_only = {query_only};"
                    ))
                    .map_err(|e| explain(&e))?;
                crate::matching::teach(&mut connection).map_err(|e| explain(&e))?;
                Ok(Self::Sqlite(connection))
            }
        }
    }

    /// `postgres`, `mysql` or `sqlite`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Mysql(_) => "mysql",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

fn check_folder(path: &Path) -> Result<(), ConnectError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .map_err(|e| ConnectError(format!("cannot create the folder {} for the SQLite database: {e}", folder.display())))
}

fn advice(url: &DatabaseUrl, reason: &str) -> String {
    let reason = reason.trim().replace('\n', "; ");
    let known: [(&str, &str); 9] = [
        ("Connection refused", "is the server running, and are host and port right?"),
        ("No such file or directory", "is the server running, and is the socket's folder right?"),
        ("Can't connect to", "is the server running, and are host, port or socket right?"),
        ("could not translate host name", "check the host name"),
        ("Unknown MySQL server host", "check the host name"),
        ("password authentication failed", "check user and password"),
        ("Access denied", "check user and password, and that the user may use this database"),
        ("Unknown database", "create it first: CREATE DATABASE name CHARACTER SET utf8mb4"),
        ("file is not a database", "the file exists but is no SQLite database; name another file"),
    ];
    let hint = known.iter().find(|(part, _)| reason.contains(part)).map(|(_, hint)| *hint);
    let hint = hint.or_else(|| reason.contains("does not exist").then_some("create it first: CREATE DATABASE name"));
    let hint = hint.or_else(|| reason.contains("unable to open database file").then_some("may this user write there?"));
    match hint {
        Some(hint) => format!("cannot open {url}: {reason} ({hint})"),
        None => format!("cannot open {url}: {reason}"),
    }
}

/// Opens connections for r2d2.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    pub(crate) url: DatabaseUrl,
    pub(crate) access: Access,
}

/// A connection of a pool, with when it last answered.
pub(crate) struct Pooled {
    pub(crate) connection: Connection,
    pub(crate) answered: Instant,
}

/// A connection that answered so recently is not asked again whether it is there: the question costs a round trip, and a connection
/// that broke in between says so itself and is dropped.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectError;

    fn connect(&self) -> Result<Pooled, ConnectError> {
        Ok(Pooled { connection: Connection::open(&self.url, self.access)?, answered: Instant::now() })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectError> {
        if pooled.answered.elapsed() < TRUSTED_FOR {
            return Ok(());
        }
        let result = match &mut pooled.connection {
            Connection::Postgres(c) => c.ping(),
            Connection::Mysql(c) => c.ping(),
            Connection::Sqlite(c) => c.ping(),
        };
        result.map_err(|e| ConnectError(e.to_string()))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking()
            || match &mut pooled.connection {
                Connection::Postgres(c) => c.is_broken(),
                Connection::Mysql(c) => c.is_broken(),
                Connection::Sqlite(c) => c.is_broken(),
            }
    }
}

/// Runs one statement that is not about our tables, such as `CREATE DATABASE`.
///
/// # Errors
/// The database's refusal.
pub fn execute(conn: &mut Connection, statement: &str) -> Result<(), crate::error::StorageError> {
    use diesel::connection::SimpleConnection;
    Ok(crate::on!(conn, c => c.batch_execute(statement))?)
}
