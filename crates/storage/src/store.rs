//! The door to the database: a pool, a bounded wait for a connection, and transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::scope::Scope;
use tokio::sync::Notify;

use crate::announcements;
use crate::connection::{Access, ConnectError, Connection, Manager};
use crate::dialect;
use crate::error::StorageError;
use crate::row_security::RowSecurity;
use crate::share::{FairShare, Place};
use crate::url::DatabaseUrl;

/// Transactions that lost a race are run again this often before the caller is told.
const ATTEMPTS: u32 = 6;

/// How many connections, and how long to wait for one.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Connections kept open on a server database.
    pub min: u32,
    /// Connections at most on a server database.
    pub max: u32,
    /// Reading connections on SQLite; writing is done by one.
    pub sqlite_readers: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { min: 10, max: 20, sqlite_readers: 4, acquire_timeout: Duration::from_secs(5) }
    }
}

/// The database, shared by all handlers of a process; cheap to clone.
#[derive(Clone)]
pub struct Storage {
    url: DatabaseUrl,
    writers: Door,
    readers: Door,
    scope: Option<Arc<Scope>>,
    row_security: RowSecurity,
}

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// `all`; on SQLite `write` and `read`.
    pub name: &'static str,
    /// Connections at most.
    pub max: u32,
    /// Connections that are open.
    pub open: u32,
    /// Of these, at work.
    pub busy: u32,
    /// Requests that wait for one.
    pub waiting: u64,
    /// Requests since the start that waited in vain.
    pub timeouts: u64,
}

#[derive(Clone)]
struct Door {
    pool: r2d2::Pool<Manager>,
    places: FairShare,
    wait: Duration,
    waiting: Arc<AtomicU64>,
    timeouts: Arc<AtomicU64>,
    written: Arc<Notify>,
}

/// Counts a request for as long as it waits, also when whoever asked goes away meanwhile.
struct Waits<'a>(&'a AtomicU64);

impl<'a> Waits<'a> {
    fn begin(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Storage {
    /// Makes the pools. Connections are opened in the background, so that a service starts (and says what is missing)
    /// while its database is down.
    #[must_use]
    pub fn new(url: DatabaseUrl, options: PoolOptions) -> Self {
        let written = Arc::new(Notify::new());
        let door = |access: Access, min: u32, max: u32| {
            let max = max.max(1);
            let pool = r2d2::Pool::builder()
                .min_idle(Some(min.min(max)))
                .max_size(max)
                .connection_timeout(options.acquire_timeout)
                .error_handler(Box::new(LogError))
                .build_unchecked(Manager { url: url.clone(), access });
            let (waiting, timeouts) = Default::default();
            let written = Arc::clone(&written);
            Door { pool, places: FairShare::new(max as usize), wait: options.acquire_timeout, waiting, timeouts, written }
        };
        match url {
            DatabaseUrl::Sqlite(_) => {
                let writers = door(Access::Write, 1, 1);
                let readers = door(Access::Read, 1, options.sqlite_readers);
                Self { writers, readers, url, scope: None, row_security: RowSecurity::default() }
            }
            _ => {
                let both = door(Access::Write, options.min, options.max);
                Self { writers: both.clone(), readers: both, url, scope: None, row_security: RowSecurity::default() }
            }
        }
    }

    /// The same database, seen with the eyes of one caller: all requests of people and programs go through it. Work that nobody asked for
    /// (migrations, sweeps, jobs) uses the storage as it is.
    #[must_use]
    pub fn scoped(&self, scope: &Scope) -> Self {
        Self { scope: Some(Arc::new(scope.clone())), ..self.clone() }
    }

    /// With whose eyes the database is seen; absent for work that nobody asked for.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_deref()
    }

    fn tenant(&self) -> Option<String> {
        self.scope.as_ref().and_then(|scope| scope.tenant()).map(str::to_owned)
    }

    /// Where the data is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Told after work that wrote events for sockets.
    pub(crate) fn written(&self) -> &Notify {
        &self.writers.written
    }

    /// Reads: one or several queries on one connection, without a transaction (on PostgreSQL, for a tenant, in one, because the
    /// database is told the tenant per transaction).
    ///
    /// # Errors
    /// What `work` returns; [`StorageError::Busy`] when no connection was free in time, [`StorageError::Unavailable`] when none can be opened.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    {
        let (tenant, security) = (self.tenant(), self.row_security.clone());
        self.readers.run(self.tenant(), move |conn| security.read(conn, tenant.as_deref(), work)).await
    }

    /// Writes: all of `work` or nothing. Run again (at most five times, after growing pauses) when another transaction won a race, so `work` must only touch
    /// the database.
    ///
    /// # Errors
    /// What `work` returns, after which nothing of it is kept; or as [`Storage::read`].
    pub async fn transaction<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Fn(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    {
        self.at_once_or_transaction(|_| Ok(None), work).await
    }

    /// [`Storage::transaction`], before which `at_once` may do the same on the connection without one, where that costs less: with statements
    /// that are each a transaction by themselves. `None` says that it has not, and nothing is written. For work that nobody's tenant bounds.
    ///
    /// # Errors
    /// As [`Storage::transaction`].
    pub async fn at_once_or_transaction<T, A, F>(&self, at_once: A, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        A: FnOnce(&mut Connection) -> Result<Option<T>, StorageError> + Send + 'static,
        F: Fn(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    {
        let (tenant, security) = (self.tenant(), self.row_security.clone());
        self.writers
            .run(self.tenant(), move |conn| {
                let tenant = security.enforced(conn, tenant.as_deref())?;
                if tenant.is_none()
                    && let Some(done) = at_once(conn)?
                {
                    return Ok(done);
                }
                for attempt in 1..ATTEMPTS {
                    match transaction_of(conn, tenant, &work) {
                        Err(error) if error.is_transient() => tracing::debug!(%error, "transaction lost a race and is run again"),
                        done => return done,
                    }
                    std::thread::sleep(pause(attempt));
                }
                transaction_of(conn, tenant, &work)
                    .map_err(|e| if e.is_transient() { StorageError::Busy("many writers at once") } else { e })
            })
            .await
    }

    /// Several transactions on one writing connection, none around them all.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub async fn read_and_write<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    {
        self.writers.run(self.tenant(), work).await
    }

    /// A turn at writing, for long work on a connection of its own: on SQLite, where one writes at a time, it stands in one line with all
    /// transactions of this process, so that neither side starves; on a server there is no line. It lasts as long as the value.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when no turn came within a minute.
    pub async fn turn(&self) -> Result<Option<Place>, StorageError> {
        if !matches!(self.url, DatabaseUrl::Sqlite(_)) {
            return Ok(None);
        }
        let place = tokio::time::timeout(Duration::from_secs(60), self.writers.places.acquire(None)).await;
        place.map_err(|_| StorageError::Busy("no turn at writing came within a minute"))?.map(Some)
    }

    /// How the pools stand: one, on SQLite one for writing and one for reading.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolState> {
        match self.url {
            DatabaseUrl::Sqlite(_) => vec![self.writers.state("write"), self.readers.state("read")],
            _ => vec![self.writers.state("all")],
        }
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.read(|conn| {
            use diesel::connection::SimpleConnection;
            crate::on!(conn, c => c.batch_execute("SELECT 1")).map_err(StorageError::from)
        })
        .await
    }
}

/// Pause after a lost race, longer each time and of a random part, so that those who lost together do not meet again.
fn pause(attempt: u32) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let most = 8_000_u64 << attempt.min(6);
    Duration::from_micros(RandomState::new().hash_one(attempt) % most)
}

impl Door {
    fn state(&self, name: &'static str) -> PoolState {
        let state = self.pool.state();
        PoolState {
            name,
            max: self.pool.max_size(),
            open: state.connections,
            busy: state.connections.saturating_sub(state.idle_connections),
            waiting: self.waiting.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
        }
    }

    async fn run<T, F>(&self, tenant: Option<String>, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    {
        let waits = Waits::begin(&self.waiting);
        let place = tokio::time::timeout(self.wait, self.places.acquire(tenant.as_deref())).await.map_err(|_| {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
            StorageError::Busy("no connection was free in time")
        })??;
        drop(waits);
        let (pool, written) = (self.pool.clone(), Arc::clone(&self.written));
        let (waiting, timeouts) = (Arc::clone(&self.waiting), Arc::clone(&self.timeouts));
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            let waits = Waits::begin(&waiting);
            let mut pooled = pool.get().map_err(|e| {
                timeouts.fetch_add(1, Ordering::Relaxed);
                StorageError::Unavailable(e.to_string())
            })?;
            drop(waits);
            let done = work(&mut pooled.connection);
            if announcements::take_written() {
                written.notify_one();
            }
            if !matches!(done, Err(StorageError::Unavailable(_))) {
                pooled.answered = std::time::Instant::now();
            }
            done
        });
        done.await.map_err(|e| StorageError::Corrupt(format!("the work on the database stopped: {e}")))?
    }
}

/// Runs `work` in one writing transaction (a savepoint when already inside one).
///
/// # Errors
/// What `work` returns, after a rollback; or the database's refusal to begin or commit.
pub fn transaction<T>(conn: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T, StorageError>) -> Result<T, StorageError> {
    dialect::begin_write(conn)?;
    finish(conn, work)
}

/// [`transaction`] in which PostgreSQL shows and takes only rows of this tenant; the other databases know no such thing.
///
/// # Errors
/// As [`transaction`].
pub fn transaction_of<T>(
    conn: &mut Connection,
    tenant: Option<&str>,
    work: impl FnOnce(&mut Connection) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    match tenant {
        Some(tenant) => dialect::begin_as(conn, tenant)?,
        None => dialect::begin_write(conn)?,
    }
    finish(conn, work)
}

/// Runs `work` in one reading transaction, so that several queries see the same state.
///
/// # Errors
/// As [`transaction`].
pub fn snapshot<T>(conn: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T, StorageError>) -> Result<T, StorageError> {
    dialect::begin(conn)?;
    finish(conn, work)
}

fn finish<T>(conn: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T, StorageError>) -> Result<T, StorageError> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(conn)));
    match caught {
        Ok(Ok(value)) => {
            dialect::commit(conn)?;
            Ok(value)
        }
        Ok(Err(error)) => {
            if let Err(rollback) = dialect::rollback(conn) {
                tracing::warn!(error = %rollback, "rollback failed; the connection will be dropped");
            }
            Err(error)
        }
        Err(panic) => {
            if let Err(rollback) = dialect::rollback(conn) {
                tracing::warn!(error = %rollback, "rollback failed; the connection will be dropped");
            }
            std::panic::resume_unwind(panic)
        }
    }
}

#[derive(Debug)]
struct LogError;

impl r2d2::HandleError<ConnectError> for LogError {
    fn handle_error(&self, error: ConnectError) {
        tracing::warn!(%error, "no database connection");
    }
}
