//! A database of its own for each test: migrated once, then copied.
//!
//! SQLite always; PostgreSQL and MariaDB when `TEST_POSTGRES_URL` and `TEST_MYSQL_URL` name a server whose user may create databases
//! (`scripts/test` starts private ones and sets both).

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use storage::connection::{Access, Connection};
use storage::migrate;
use storage::store::{PoolOptions, Storage};
use storage::url::DatabaseUrl;
use tempfile::TempDir;

/// A migrated, empty database that nobody else uses; dropped with this value.
pub struct TestDatabase {
    /// The door to it.
    pub storage: Storage,
    /// Its URL, for a program that opens it itself.
    pub url: String,
    on_server: Option<OnServer>,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    /// `postgres`, `mysql` or `sqlite`: say it in failure messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.storage.url().kind()
    }

    /// A connection outside the pool, for plain (not async) tests.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.storage.url(), Access::Write).expect("a connection to the test's own database")
    }
}

/// A database on a server; dropped there with this value.
struct OnServer {
    server: String,
    name: String,
}

impl Drop for OnServer {
    fn drop(&mut self) {
        let Self { server, name } = self;
        let drop =
            if server.starts_with("postgres") { format!("DROP DATABASE {name} WITH (FORCE)") } else { format!("DROP DATABASE {name}") };
        // A server that is gone already took the database with it.
        if let Err(error) = run_on(server, &drop) {
            eprintln!("could not drop {name}: {error:#}");
        }
    }
}

/// A SQLite database.
#[must_use]
pub fn sqlite() -> TestDatabase {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("endcap.db");
    std::fs::copy(sqlite_template(), &file).expect("a copy of the migrated template");
    let url = format!("sqlite://{}", file.display());
    TestDatabase { storage: open(&url), url, on_server: None, _folder: Some(folder) }
}

/// The database that tests of a service run on: SQLite, or the server that `TEST_DATABASE_KIND` (`postgres`, `mysql`) names.
#[must_use]
pub fn of_choice() -> TestDatabase {
    let key = match std::env::var("TEST_DATABASE_KIND").as_deref() {
        Ok("postgres") => "TEST_POSTGRES_URL",
        Ok("mysql") => "TEST_MYSQL_URL",
        _ => return sqlite(),
    };
    on_server(&std::env::var(key).unwrap_or_else(|_| panic!("TEST_DATABASE_KIND asks for a server that {key} does not name")))
}

/// A database of this kind (`sqlite`, `postgres`, `mysql`); `None` when its server is not configured.
#[must_use]
pub fn of_kind(kind: &str) -> Option<TestDatabase> {
    let key = match kind {
        "postgres" => "TEST_POSTGRES_URL",
        "mysql" => "TEST_MYSQL_URL",
        _ => return Some(sqlite()),
    };
    std::env::var(key).ok().map(|server| on_server(&server))
}

/// One database of each kind that is configured.
#[must_use]
pub fn all() -> Vec<TestDatabase> {
    let mut databases = vec![sqlite()];
    databases
        .extend(["TEST_POSTGRES_URL", "TEST_MYSQL_URL"].into_iter().filter_map(|key| std::env::var(key).ok()).map(|url| on_server(&url)));
    databases
}

/// A database without any table; dropped with this value.
pub struct EmptyDatabase {
    /// Its URL; on SQLite the file does not exist yet.
    pub url: String,
    _on_server: Option<OnServer>,
    _folder: Option<TempDir>,
}

/// An empty database of the same kind, and on the same server, as another one.
#[must_use]
pub fn empty_beside(other: &TestDatabase) -> EmptyDatabase {
    let Some(OnServer { server, .. }) = &other.on_server else {
        let folder = TempDir::new().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("endcap.db").display());
        return EmptyDatabase { url, _on_server: None, _folder: Some(folder) };
    };
    let name = format!("endcap_test_{}", uuid::Uuid::new_v4().simple());
    let options = if server.starts_with("postgres") { "" } else { " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" };
    run_on(server, &format!("CREATE DATABASE {name}{options}")).expect("a new database");
    EmptyDatabase { url: with_database(server, &name), _on_server: Some(OnServer { server: server.clone(), name }), _folder: None }
}

fn open(url: &str) -> Storage {
    let options = PoolOptions { min: 1, max: 8, sqlite_readers: 4, acquire_timeout: Duration::from_secs(30) };
    Storage::new(DatabaseUrl::parse(url).expect("a database URL"), options)
}

fn on_server(server: &str) -> TestDatabase {
    let name = format!("endcap_test_{}", uuid::Uuid::new_v4().simple());
    let url = with_database(server, &name);
    if server.starts_with("postgres") {
        copy_postgres_template(server, &name).expect("a copy of the migrated template");
    } else {
        run_on(server, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")).expect("a new database");
        migrate_at(&url);
    }
    TestDatabase { storage: open(&url), url, on_server: Some(OnServer { server: server.to_owned(), name }), _folder: None }
}

/// The template's file; one per process, made under a temporary name so that nobody copies half of it.
fn sqlite_template() -> &'static PathBuf {
    static TEMPLATE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &TEMPLATE
        .get_or_init(|| {
            let folder = TempDir::new().expect("a temporary folder");
            let file = folder.path().join("template.db");
            migrate_at(&format!("sqlite://{}", file.display()));
            (folder, file)
        })
        .1
}

/// Copies the migrated template, which the first test that needs it makes under a lock. All tests on a server share it; its name holds the
/// hash of the migrations.
fn copy_postgres_template(server: &str, name: &str) -> anyhow::Result<()> {
    let template = format!("endcap_template_{:016x}", migrations_hash()?);
    let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
    if run_on(server, &copy).is_ok() {
        return Ok(());
    }
    let mut locked = Connection::open(&DatabaseUrl::parse(server)?, Access::Write)?;
    storage::connection::execute(&mut locked, "SET lock_timeout = 0; SELECT pg_advisory_lock(7021990073)")?;
    if run_on(server, &copy).is_ok() {
        return Ok(());
    }
    let unfinished = format!("{name}_template");
    run_on(server, &format!("CREATE DATABASE {unfinished}"))?;
    migrate_at(&with_database(server, &unfinished));
    run_on(server, &format!("ALTER DATABASE {unfinished} RENAME TO {template}"))?;
    run_on(server, &copy)
}

fn migrations_hash() -> anyhow::Result<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let mut folders = std::fs::read_dir(root)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    folders.sort();
    let mut hasher = DefaultHasher::new();
    for folder in folders {
        folder.file_name().hash(&mut hasher);
        std::fs::read(folder.join("up.sql"))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn migrate_at(url: &str) {
    let mut conn = Connection::open(&DatabaseUrl::parse(url).expect("a database URL"), Access::Write).expect("a connection");
    migrate::up(&mut conn).expect("migrations apply");
}

fn run_on(server: &str, statement: &str) -> anyhow::Result<()> {
    let mut conn = Connection::open(&DatabaseUrl::parse(server)?, Access::Write)?;
    storage::connection::execute(&mut conn, statement)?;
    Ok(())
}

/// The server's URL with another database name.
fn with_database(server: &str, name: &str) -> String {
    let (scheme, rest) = server.split_once("://").expect("a URL with a scheme");
    let (place, parameters) = rest.split_once('?').map_or((rest, String::new()), |(place, p)| (place, format!("?{p}")));
    let host = place.split_once('/').map_or(place, |(host, _)| host);
    format!("{scheme}://{host}/{name}{parameters}")
}
