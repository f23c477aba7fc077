//! The only place that knows how the three databases differ.

use diesel::backend::Backend;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::sql_types::Untyped;
use diesel::{MysqlConnection, PgConnection, QueryResult, SqliteConnection};

use crate::connection::Connection;

/// Runs one expression on the native connection: `on!(conn, c => query.load(c))`.
#[macro_export]
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::connection::Connection::Postgres($c) => $body,
            $crate::connection::Connection::Mysql($c) => $body,
            $crate::connection::Connection::Sqlite($c) => $body,
        }
    };
}

/// Inserts rows, leaving out those whose unique key exists; the number inserted: `insert_new!(conn, table, &rows)`.
#[macro_export]
macro_rules! insert_new {
    ($conn:expr, $table:expr, $rows:expr) => {
        match $conn {
            $crate::connection::Connection::Postgres(c) => diesel::insert_into($table).values($rows).on_conflict_do_nothing().execute(c),
            $crate::connection::Connection::Mysql(c) => diesel::insert_or_ignore_into($table).values($rows).execute(c),
            $crate::connection::Connection::Sqlite(c) => diesel::insert_into($table).values($rows).on_conflict_do_nothing().execute(c),
        }
    };
}

/// Inserts rows, adding to those whose unique key exists: `insert_adding!(conn, table, rows, key columns => counted columns)`. Rows that
/// writers at the same time share must come in the same order.
#[macro_export]
macro_rules! insert_adding {
    ($conn:expr, $table:ident, $rows:expr, ($($key:ident),+) => $($count:ident),+) => {
        match $conn {
            $crate::connection::Connection::Postgres(c) => diesel::insert_into($table::table)
                .values($rows).on_conflict(($($table::$key),+)).do_update()
                .set(($($table::$count.eq($table::$count + diesel::upsert::excluded($table::$count))),+)).execute(c),
            $crate::connection::Connection::Mysql(c) => diesel::insert_into($table::table)
                .values($rows).on_conflict(diesel::dsl::DuplicatedKeys).do_update()
                .set(($($table::$count.eq($table::$count + diesel::dsl::sql::<diesel::sql_types::Integer>(concat!("VALUES(", stringify!($count), ")")))),+)).execute(c),
            $crate::connection::Connection::Sqlite(c) => diesel::insert_into($table::table)
                .values($rows).on_conflict(($($table::$key),+)).do_update()
                .set(($($table::$count.eq($table::$count + diesel::upsert::excluded($table::$count))),+)).execute(c),
        }
    };
}

/// Loads rows and locks them, passing over those that others hold. SQLite has one writer, whose transaction is the lock:
/// `lease!(conn, query => load::<Row>)`.
#[macro_export]
macro_rules! lease {
    ($conn:expr, $query:expr => $row:ty) => {
        match $conn {
            $crate::connection::Connection::Postgres(c) => $query.for_update().skip_locked().load::<$row>(c),
            $crate::connection::Connection::Mysql(c) => $query.for_update().skip_locked().load::<$row>(c),
            $crate::connection::Connection::Sqlite(c) => $query.load::<$row>(c),
        }
    };
}

/// Loads rows and locks them, waiting for whoever holds them: `lock!(conn, query => Row)`.
#[macro_export]
macro_rules! lock {
    ($conn:expr, $query:expr => $row:ty) => {
        match $conn {
            $crate::connection::Connection::Postgres(c) => $query.for_update().load::<$row>(c),
            $crate::connection::Connection::Mysql(c) => $query.for_update().load::<$row>(c),
            $crate::connection::Connection::Sqlite(c) => $query.load::<$row>(c),
        }
    };
}

/// Rows per statement in bulk inserts: under every database's limit of bound values for our widest table.
pub const ROWS_PER_STATEMENT: usize = 500;

/// Begins a transaction that will write. The outermost one on SQLite begins immediate, because a deferred one that
/// reads first loses its snapshot to another writer and fails.
pub(crate) fn begin_write(conn: &mut Connection) -> QueryResult<()> {
    match conn {
        Connection::Sqlite(c) => match depth(c) {
            0 => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
            _ => AnsiTransactionManager::begin_transaction(c),
        },
        other => begin(other),
    }
}

/// The role that owns nothing and sees only rows of the tenant that a transaction names.
pub(crate) const TENANT_ROLE: &str = "endcap_tenant";

/// Begins a transaction in which PostgreSQL enforces the tenant: role and tenant travel with `BEGIN`, so that it costs no further round
/// trip, and end with the transaction. The tenant is sent in hexadecimal, because a statement that begins a transaction takes no bound
/// values and a tenant's name must not be able to end a literal. The other databases begin as for any write.
pub(crate) fn begin_as(conn: &mut Connection, tenant: &str) -> QueryResult<()> {
    use std::fmt::Write as _;
    let Connection::Postgres(c) = conn else { return begin_write(conn) };
    let hex = tenant.bytes().fold(String::with_capacity(tenant.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let begin = format!(
        "BEGIN; SELECT set_config('endcap.tenant', convert_from(decode('{hex}', 'hex'), 'UTF8'), true); SET LOCAL ROLE {TENANT_ROLE}"
    );
    AnsiTransactionManager::begin_transaction_sql(c, &begin)
}

/// Begins a transaction that only reads: a consistent snapshot on SQLite and PostgreSQL.
pub(crate) fn begin(conn: &mut Connection) -> QueryResult<()> {
    on!(conn, c => AnsiTransactionManager::begin_transaction(c))
}

pub(crate) fn commit(conn: &mut Connection) -> QueryResult<()> {
    on!(conn, c => AnsiTransactionManager::commit_transaction(c))
}

pub(crate) fn rollback(conn: &mut Connection) -> QueryResult<()> {
    on!(conn, c => AnsiTransactionManager::rollback_transaction(c))
}

fn depth(c: &mut SqliteConnection) -> u32 {
    use diesel::connection::TransactionManagerStatus;
    match AnsiTransactionManager::transaction_manager_status_mut(c) {
        TransactionManagerStatus::Valid(status) => status.transaction_depth().map_or(0, std::num::NonZero::get),
        TransactionManagerStatus::InError => 0,
    }
}

/// Runs `migrate` while no other process does: an advisory lock on the servers; on SQLite, whose own locks last for one migration only, a lock
/// of the folder (never of the file itself: closing it would let go of SQLite's locks on it).
pub(crate) fn with_migration_lock<T>(conn: &mut Connection, migrate: impl FnOnce(&mut Connection) -> T) -> QueryResult<T> {
    use diesel::connection::SimpleConnection;
    const LOCK_ID: i64 = 7_021_990_071;
    let _folder = match conn {
        Connection::Postgres(c) => {
            c.batch_execute(&format!("SET lock_timeout = '120s'; SELECT pg_advisory_lock({LOCK_ID})")).map(|()| None)?
        }
        Connection::Mysql(c) => lock_mysql(c).map(|()| None)?,
        Connection::Sqlite(c) => lock_folder(c)?,
    };
    let result = migrate(conn);
    match conn {
        Connection::Postgres(c) => unlock_postgres(c, LOCK_ID)?,
        Connection::Mysql(c) => c.batch_execute("DO RELEASE_LOCK('endcap_migrate')")?,
        Connection::Sqlite(_) => {}
    }
    Ok(result)
}

/// Longest wait for another program that migrates a SQLite file.
const MIGRATION_WAIT: std::time::Duration = std::time::Duration::from_secs(120);

/// The locked folder of a SQLite file; the lock ends with the value. `None` for a file whose folder cannot be opened or locked (some network
/// shares know no locks): then whoever comes second fails and may repeat.
fn lock_folder(c: &mut SqliteConnection) -> QueryResult<Option<std::fs::File>> {
    #[derive(diesel::QueryableByName)]
    struct Place {
        #[diesel(sql_type = diesel::sql_types::Text)]
        file: String,
    }
    let place: Place = diesel::sql_query("PRAGMA database_list").get_result(c)?;
    let folder = std::path::Path::new(&place.file).parent().and_then(|folder| std::fs::File::open(folder).ok());
    let Some(folder) = folder else { return Ok(None) };
    let end = std::time::Instant::now() + MIGRATION_WAIT;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(std::fs::TryLockError::Error(_)) => return Ok(None),
            Err(std::fs::TryLockError::WouldBlock) if std::time::Instant::now() > end => {
                return Err(diesel::result::Error::QueryBuilderError("another program has migrated this file for two minutes".into()));
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}

fn unlock_postgres(c: &mut PgConnection, lock_id: i64) -> QueryResult<()> {
    use diesel::connection::SimpleConnection;
    c.batch_execute(&format!("SELECT pg_advisory_unlock({lock_id}); SET lock_timeout = '10s'"))
}

fn lock_mysql(c: &mut MysqlConnection) -> QueryResult<()> {
    use diesel::connection::SimpleConnection;
    c.batch_execute("DO GET_LOCK('endcap_migrate', 120)")
}

/// SQL text of the day in UTC, `YYYY-MM-DD`, of a column of instants.
pub(crate) fn day_of(conn: &Connection, column: &'static str) -> String {
    match conn {
        Connection::Postgres(_) => format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        Connection::Mysql(_) => format!("DATE_FORMAT({column}, '%Y-%m-%d')"),
        Connection::Sqlite(_) => format!("substr({column}, 1, 10)"),
    }
}

/// The words before a statement that ask how it would be run.
pub(crate) fn explain(conn: &Connection) -> &'static str {
    match conn {
        Connection::Sqlite(_) => "EXPLAIN QUERY PLAN",
        _ => "EXPLAIN",
    }
}

/// A query as the question how it would be run: `Explained { words: explain(conn), query }.load::<PlanLine>(c)`.
pub(crate) struct Explained<Q> {
    pub(crate) words: &'static str,
    pub(crate) query: Q,
}

impl<Q> QueryId for Explained<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explained<Q> {
    type SqlType = Untyped;
}

impl<Q, C> RunQueryDsl<C> for Explained<Q> {}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Explained<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(self.words);
        out.push_sql(" ");
        self.query.walk_ast(out)
    }
}

/// One step of a plan: PostgreSQL's line, SQLite's detail, or table, kind of access and index of MariaDB.
pub(crate) struct PlanLine(pub(crate) String);

impl diesel::QueryableByName<diesel::pg::Pg> for PlanLine {
    fn build<'a>(row: &impl diesel::row::NamedRow<'a, diesel::pg::Pg>) -> diesel::deserialize::Result<Self> {
        Ok(Self(diesel::row::NamedRow::get::<diesel::sql_types::Text, String>(row, "QUERY PLAN")?))
    }
}

impl diesel::QueryableByName<diesel::sqlite::Sqlite> for PlanLine {
    fn build<'a>(row: &impl diesel::row::NamedRow<'a, diesel::sqlite::Sqlite>) -> diesel::deserialize::Result<Self> {
        Ok(Self(diesel::row::NamedRow::get::<diesel::sql_types::Text, String>(row, "detail")?))
    }
}

impl diesel::QueryableByName<diesel::mysql::Mysql> for PlanLine {
    fn build<'a>(row: &impl diesel::row::NamedRow<'a, diesel::mysql::Mysql>) -> diesel::deserialize::Result<Self> {
        use diesel::row::NamedRow;
        use diesel::sql_types::{Nullable, Text};
        let part = |name: &str| NamedRow::get::<Nullable<Text>, Option<String>>(row, name).map(Option::unwrap_or_default);
        Ok(Self(format!("table {} type {} key {}", part("table")?, part("type")?, part("key")?)))
    }
}
