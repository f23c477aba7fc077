//! Runs imports beside the request threads: a bounded number at once, shared fairly among tenants ([`super::places`] bounds how many more may
//! be received and wait), each on a connection of its own, which is
//! the owner's: `COPY` into tables under row-level security is refused for others. Rows are checked against the caller's scope in code.

use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use domain::scope::Scope;
use storage::connection::{Access, Connection};
use storage::error::StorageError;
use storage::imports::ledger::{self, Import};
use storage::imports::run::{self, Prepared, Watch};
use storage::imports::{Outcome, Request};
use storage::share::{FairShare, Place as Worker};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use web::problem::Problem;
use web::settings::Imports;

use super::places::{Place, Places};
use super::spool;
use crate::state::State;

/// Imports that may wait for a worker or be received in one process, besides those that run; each holds a connection and a file.
pub const MAX_WAITING: usize = 16;
/// How long a request waits for a worker when it does not ask to be told later.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks for imports whose process ended.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// How long the rows that were not taken are kept for the full report.
const KEEP_ERRORS: TimeDelta = TimeDelta::days(30);

/// What imports of one process share.
pub struct Importer {
    workers: FairShare,
    /// For imports that are received, wait or run.
    pub places: Places,
    running: Mutex<HashMap<String, Counts>>,
    is_stopped: AtomicBool,
    folder: PathBuf,
}

/// How far a running import is, fresher than the ledger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    received: u64,
    inserted: u64,
    updated: u64,
    unchanged: u64,
    rejected: u64,
}

impl Counts {
    fn of(outcome: &Outcome) -> Self {
        let Outcome { received, inserted, updated, unchanged, rejected, .. } = *outcome;
        Self { received, inserted, updated, unchanged, rejected }
    }
}

/// An import ready to run, with all that it holds.
pub struct Ready {
    scope: Scope,
    request: Request,
    spooled: spool::Spooled,
    prepared: Prepared,
    conn: Connection,
    place: Place,
}

impl Ready {
    /// Public id of the import.
    #[must_use]
    pub fn import_id(&self) -> &str {
        self.prepared.import_id()
    }
}

impl Importer {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Imports) -> Self {
        Self {
            workers: FairShare::new(settings.workers),
            places: Places::new(settings.workers + MAX_WAITING),
            running: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            folder: settings.directory.as_ref().map_or_else(std::env::temp_dir, PathBuf::from),
        }
    }

    /// Where files wait.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lays fresher counts over what the ledger says.
    pub fn freshen(&self, row: &mut Import) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = running.get(&row.import_id) {
            let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            (row.received, row.inserted, row.updated) = (whole(counts.received), whole(counts.inserted), whole(counts.updated));
            (row.unchanged, row.rejected) = (whole(counts.unchanged), whole(counts.rejected));
        }
    }
}

/// Opens a connection, takes the right to run the import and notes it.
///
/// # Errors
/// 409 `import_running`; 503 without a database.
pub async fn prepare(
    state: &State,
    scope: Scope,
    request: Request,
    spooled: spool::Spooled,
    place: Place,
    ledger_state: &'static str,
) -> Result<Ready, Problem> {
    let state = state.clone();
    let handle = Handle::current();
    let prepared = tokio::task::spawn_blocking(move || {
        let opened = Connection::open(state.storage.url(), Access::Write);
        let mut conn = opened.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let _turn = handle.block_on(state.storage.turn())?;
        let prepared = run::prepare(&mut conn, &scope, &request, ledger_state, state.clock.now())?;
        Ok(Ready { scope, request, spooled, prepared, conn, place })
    });
    prepared.await.map_err(Problem::internal)?.map_err(|error: StorageError| error.into())
}

/// Runs an import now, waiting a little for a worker. It runs to its end, also when whoever asked hangs up.
///
/// # Errors
/// 503 when no worker was free in time; what the import says.
pub async fn run_now(state: &State, ready: Ready) -> Result<Outcome, Problem> {
    let acquired = tokio::time::timeout(PATIENCE, state.imports.workers.acquire(ready.scope.tenant())).await;
    match acquired.map_err(|_| Problem::unavailable("importer", 30)).and_then(|worker| worker.map_err(Problem::from)) {
        Ok(worker) => Ok(execute(state.clone(), ready, worker).await.map_err(Problem::internal)??),
        Err(problem) => {
            give_up(state.clone(), ready, "no worker was free in time").await;
            Err(problem)
        }
    }
}

/// Runs an import when a worker is free; what becomes of it is in the ledger.
pub fn run_later(state: State, ready: Ready) {
    tokio::spawn(async move {
        let import_id = ready.import_id().to_owned();
        match state.imports.workers.acquire(ready.scope.tenant()).await {
            Ok(worker) => match execute(state, ready, worker).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::info!(%error, import_id, "an import failed"),
                Err(error) => tracing::warn!(%error, import_id, "an import stopped"),
            },
            Err(_) => give_up(state, ready, "too many imports of this tenant waited").await,
        }
    });
}

/// Runs an import on a thread that keeps its worker and its place until the end.
async fn execute(state: State, ready: Ready, worker: Worker) -> Result<Result<Outcome, StorageError>, tokio::task::JoinError> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let Ready { scope, request, spooled, prepared, mut conn, place } = ready;
        let import_id = prepared.import_id().to_owned();
        let running = |change: &dyn Fn(&mut HashMap<String, Counts>)| {
            change(&mut state.imports.running.lock().unwrap_or_else(PoisonError::into_inner));
        };
        let progress = |outcome: &Outcome| {
            running(&|all| {
                all.insert(import_id.clone(), Counts::of(outcome));
            });
        };
        let turn = || Ok(Box::new(handle.block_on(state.storage.turn())?) as Box<dyn Any>);
        let watch = Watch {
            clock: &|| state.clock.now(),
            progress: &progress,
            is_stopped: &|| state.imports.is_stopped.load(Ordering::Acquire),
            turn: &turn,
            url: Some(state.storage.url()),
        };
        let done = run::run(&mut conn, &scope, &request, prepared, &watch);
        running(&|all| {
            all.remove(&import_id);
        });
        drop((spooled, conn, worker, place));
        done
    })
    .await
}

async fn give_up(state: State, ready: Ready, reason: &'static str) {
    let handle = Handle::current();
    let given_up = tokio::task::spawn_blocking(move || {
        let _turn = handle.block_on(state.storage.turn())?;
        let Ready { prepared, mut conn, place: _place, spooled: _spooled, .. } = ready;
        prepared.abandon(&mut conn, reason, state.clock.now())
    });
    match given_up.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "an import could not be given up"),
        Err(error) => tracing::warn!(%error, "an import could not be given up"),
    }
}

/// Removes what dead processes left, and says at the end that imports are to stop at their next checkpoint.
pub async fn housekeeping(state: State, shutdown: CancellationToken) {
    if let Err(error) = std::fs::create_dir_all(state.imports.folder()) {
        tracing::warn!(%error, folder = %state.imports.folder().display(), "the folder for imports cannot be made");
    }
    loop {
        let cleared = spool::clear(state.imports.folder());
        let now = state.clock.now();
        let buried =
            state.storage.read_and_write(move |conn| Ok((ledger::bury(conn, now)?, ledger::sweep(conn, now - KEEP_ERRORS)?))).await;
        match buried {
            Ok((0, _)) if cleared == 0 => {}
            Ok((buried, _)) => tracing::info!(buried, cleared, "imports of processes that ended were closed"),
            Err(error) => tracing::warn!(%error, "imports of processes that ended could not be closed"),
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(HOUSEKEEPING) => {}
        }
    }
    state.imports.is_stopped.store(true, Ordering::Release);
}
