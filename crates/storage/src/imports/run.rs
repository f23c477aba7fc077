//! Runs an import: reading, transactions, checkpoints, the word to those who watch.
//!
//! With `skip` the file is loaded in batches, each committed together with the row of the ledger that says how far it came, so that the same
//! content sent again goes on there, whatever ended the first attempt. With `abort` and in a dry run there is one transaction.

use std::any::Any;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::scope::Scope;

use super::campaign_skus::CampaignSkusWriter;
use super::catalog::CatalogWriter;
use super::hold::Hold;
use super::identity::content_hash;
use super::ledger::{self, Import};
use super::performance::PerformanceWriter;
use super::reading::{Batch, with_batches};
use super::{Job, OnError, Outcome, Parser, Request, Table, Writer};
use crate::connection::{Access, Connection};
use crate::error::StorageError;
use crate::store;
use crate::url::DatabaseUrl;

/// A batch that lost a race against another transaction is done again this often.
const ATTEMPTS: u32 = 4;
/// How often those who watch hear of an import in one transaction.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Who watches an import.
pub struct Watch<'a> {
    /// The time.
    pub clock: &'a dyn Fn() -> DateTime<Utc>,
    /// Hears the counts after each batch.
    pub progress: &'a dyn Fn(&Outcome),
    /// Whether to stop at the next checkpoint.
    pub is_stopped: &'a dyn Fn() -> bool,
    /// Waits for a turn at writing, which lasts as long as the value; see [`crate::store::Storage::turn`].
    pub turn: &'a dyn Fn() -> Result<Box<dyn Any>, StorageError>,
    /// Where a second connection is opened, on which progress is told while the one transaction is open; on SQLite it is not.
    pub url: Option<&'a DatabaseUrl>,
}

impl<'a> Watch<'a> {
    /// Nobody watches.
    #[must_use]
    pub fn quiet(clock: &'a dyn Fn() -> DateTime<Utc>) -> Self {
        Self { clock, progress: &|_| {}, is_stopped: &|| false, turn: &|| Ok(Box::new(())), url: None }
    }
}

/// An import that is noted in the ledger and that nobody else may run.
pub struct Prepared {
    row: Import,
    hold: Hold,
}

impl Prepared {
    /// Public id of the import.
    #[must_use]
    pub fn import_id(&self) -> &str {
        &self.row.import_id
    }

    /// Rows that an earlier attempt settled.
    #[must_use]
    pub fn resumes_after(&self) -> u64 {
        u64::try_from(self.row.received).unwrap_or(0)
    }

    /// Gives the import up before it ran.
    ///
    /// # Errors
    /// As any query.
    pub fn abandon(self, conn: &mut Connection, reason: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
        let noted = store::transaction(conn, |conn| ledger::fail(conn, &self.row, reason, now));
        self.hold.release(conn);
        noted
    }
}

/// Takes the right to run an import and notes it in the ledger, as `queued` or `running`. The same connection must run it.
///
/// # Errors
/// [`StorageError::Conflict`] (`import_running`) while the same content is being loaded.
pub fn prepare(conn: &mut Connection, scope: &Scope, request: &Request, state: &str, now: DateTime<Utc>) -> Result<Prepared, StorageError> {
    let content_hash = content_hash(request, scope)?;
    let Some(hold) = Hold::take(conn, &content_hash)? else {
        let running = ledger::find_unfinished(conn, request.table, &content_hash)?;
        let name = running.map_or_else(String::new, |row| format!(" as import {:?}", row.import_id));
        return Err(StorageError::conflict("import_running", format!("the same file is being loaded{name}; wait for its end")));
    };
    match store::transaction(conn, |conn| ledger::begin(conn, scope, request, &content_hash, state, now)) {
        Ok(row) => Ok(Prepared { row, hold }),
        Err(error) => {
            hold.release(conn);
            Err(error)
        }
    }
}

/// Runs a prepared import to its end.
///
/// # Errors
/// As [`super::load`]. The ledger then says `failed`; with `skip` what was committed stays, and the same content goes on from there.
pub fn run(
    conn: &mut Connection,
    scope: &Scope,
    request: &Request,
    prepared: Prepared,
    watch: &Watch<'_>,
) -> Result<Outcome, StorageError> {
    use crate::{brands::NewBrand, campaigns::NewCampaign, retailers::NewRetailer, segments::NewSegment, skus::NewSku};
    match request.table {
        Table::Retailers => run_with::<CatalogWriter<NewRetailer>>(conn, scope, request, prepared, watch),
        Table::Brands => run_with::<CatalogWriter<NewBrand>>(conn, scope, request, prepared, watch),
        Table::Skus => run_with::<CatalogWriter<NewSku>>(conn, scope, request, prepared, watch),
        Table::AudienceSegments => run_with::<CatalogWriter<NewSegment>>(conn, scope, request, prepared, watch),
        Table::Campaigns => run_with::<CatalogWriter<NewCampaign>>(conn, scope, request, prepared, watch),
        Table::CampaignSkus => run_with::<CampaignSkusWriter>(conn, scope, request, prepared, watch),
        Table::Performance => run_with::<PerformanceWriter>(conn, scope, request, prepared, watch),
    }
}

fn run_with<W: Writer>(
    conn: &mut Connection,
    scope: &Scope,
    request: &Request,
    prepared: Prepared,
    watch: &Watch<'_>,
) -> Result<Outcome, StorageError> {
    let Prepared { row, hold } = prepared;
    let mut run = Run { scope, request, watch, import: &row, outcome: resumed(&row), told: None, second: None };
    let done = match request.on_error {
        OnError::Skip if !request.is_dry_run => run.in_batches::<W>(conn),
        _ => run.at_once::<W>(conn),
    };
    if let Err(error) = &done {
        let reason = match error {
            StorageError::Query(cause) => format!("{error}: {cause}"),
            other => other.to_string(),
        };
        let noted = (watch.turn)().and_then(|_turn| store::transaction(conn, |conn| ledger::fail(conn, &row, &reason, (watch.clock)())));
        if let Err(second) = noted {
            tracing::warn!(error = %second, import_id = %row.import_id, "the failure of an import could not be noted");
        }
    }
    let outcome = std::mem::take(&mut run.outcome);
    hold.release(conn);
    done.map(|()| outcome)
}

/// What earlier attempts settled.
fn resumed(row: &Import) -> Outcome {
    let whole = |count: i64| u64::try_from(count).unwrap_or(0);
    let settled = [row.inserted, row.updated, row.unchanged, row.rejected].map(whole).iter().sum();
    Outcome {
        import_id: row.import_id.clone(),
        superseded: whole(row.received).saturating_sub(settled),
        resumed_after: whole(row.received),
        received: whole(row.received),
        inserted: whole(row.inserted),
        updated: whole(row.updated),
        unchanged: whole(row.unchanged),
        rejected: whole(row.rejected),
        errors: serde_json::from_value(row.errors.0.clone()).unwrap_or_default(),
        ignored_columns: serde_json::from_value(row.ignored_columns.0.clone()).unwrap_or_default(),
        ..Outcome::default()
    }
}

struct Run<'a> {
    scope: &'a Scope,
    request: &'a Request,
    watch: &'a Watch<'a>,
    import: &'a Import,
    outcome: Outcome,
    told: Option<Instant>,
    second: Option<Connection>,
}

impl Run<'_> {
    /// In batches, each with its checkpoint.
    fn in_batches<W: Writer>(&mut self, conn: &mut Connection) -> Result<(), StorageError> {
        let mut lost = 0;
        let mut settled = self.outcome.clone();
        loop {
            match self.batches::<W>(conn, &mut settled) {
                Err(error) if error.is_transient() && lost + 1 < ATTEMPTS => {
                    tracing::debug!(%error, "a batch of an import lost a race and is done again");
                    lost += 1;
                    self.outcome = settled.clone();
                }
                done => return done,
            }
        }
    }

    fn batches<W: Writer>(&mut self, conn: &mut Connection, settled: &mut Outcome) -> Result<(), StorageError> {
        let mut writer = W::default();
        with_batches::<W::Parser, _>(self.request, self.outcome.received, |batches| {
            loop {
                let batch = batches.next()?;
                let goes_on = batch.goes_on;
                writer.prepare(self.watch.url, &batch.rows)?;
                let _turn = (self.watch.turn)()?;
                let job = Job { scope: self.scope, now: (self.watch.clock)() };
                store::transaction(conn, |conn| {
                    self.settle(batch, |rows, outcome| {
                        writer.write(conn, &job, rows, outcome)?;
                        writer.finish(conn, &job)
                    })?;
                    let (import, outcome) = (self.import, &mut self.outcome);
                    ledger::report(conn, import, &std::mem::take(&mut outcome.unreported))?;
                    match goes_on {
                        true => ledger::progress(conn, import, outcome, job.now),
                        false => ledger::finish(conn, import, outcome, "finished", None, job.now),
                    }
                })?;
                self.outcome.is_kept = true;
                settled.clone_from(&self.outcome);
                (self.watch.progress)(&self.outcome);
                if !goes_on {
                    return Ok(());
                }
                if (self.watch.is_stopped)() {
                    let stopped = "the service was stopped; send the same file again and it goes on";
                    return Err(StorageError::Unavailable(format!("{stopped} after row {}", self.outcome.received)));
                }
            }
        })
    }

    /// Counts a batch and does its rows' work.
    fn settle<P: Parser>(
        &mut self,
        batch: Batch<P>,
        work: impl FnOnce(P::Rows, &mut Outcome) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let outcome = &mut self.outcome;
        outcome.received += batch.received;
        for (line, problem) in batch.rejected {
            outcome.reject(line, problem);
        }
        work(batch.rows, outcome)?;
        batch.sources.name_columns::<P>(outcome);
        for column in batch.ignored {
            if !outcome.ignored_columns.contains(&column) {
                outcome.ignored_columns.push(column);
            }
        }
        Ok(())
    }

    /// In one transaction: all of the file or nothing.
    fn at_once<W: Writer>(&mut self, conn: &mut Connection) -> Result<(), StorageError> {
        let mut lost = 0;
        loop {
            self.outcome = Outcome { import_id: self.import.import_id.clone(), ..Outcome::default() };
            match self.attempt::<W>(conn) {
                Err(error) if error.is_transient() && lost + 1 < ATTEMPTS => lost += 1,
                done => return done,
            }
        }
    }

    fn attempt<W: Writer>(&mut self, conn: &mut Connection) -> Result<(), StorageError> {
        let _turn = (self.watch.turn)()?;
        let now = (self.watch.clock)();
        let request = self.request;
        let done = store::transaction(conn, |conn| {
            self.write_all::<W>(conn, now)?;
            if request.is_dry_run || self.aborts() {
                return Err(undo());
            }
            ledger::report(conn, self.import, &std::mem::take(&mut self.outcome.unreported))?;
            ledger::finish(conn, self.import, &self.outcome, "finished", None, (self.watch.clock)())
        });
        match done {
            Ok(()) => {
                self.outcome.is_kept = true;
                return Ok(());
            }
            Err(StorageError::Conflict { code: UNDO, .. }) => {}
            Err(error) => return Err(error),
        }
        let (state, message) = if self.aborts() {
            (self.outcome.inserted, self.outcome.updated, self.outcome.unchanged, self.outcome.superseded) = (0, 0, 0, 0);
            let state = if request.is_dry_run { "finished" } else { "failed" };
            (state, Some(format!("{} of {} rows are wrong; nothing was kept", self.outcome.rejected, self.outcome.received)))
        } else {
            ("finished", None)
        };
        store::transaction(conn, |conn| {
            ledger::report(conn, self.import, &std::mem::take(&mut self.outcome.unreported))?;
            ledger::finish(conn, self.import, &self.outcome, state, message.as_deref(), (self.watch.clock)())
        })
    }

    fn aborts(&self) -> bool {
        self.request.on_error == OnError::Abort && self.outcome.rejected > 0
    }

    fn write_all<W: Writer>(&mut self, conn: &mut Connection, now: DateTime<Utc>) -> Result<(), StorageError> {
        let mut writer = W::default();
        let job = Job { scope: self.scope, now };
        with_batches::<W::Parser, _>(self.request, 0, |batches| {
            loop {
                let batch = batches.next()?;
                let goes_on = batch.goes_on;
                let may_abort = self.request.on_error == OnError::Abort;
                self.settle(batch, |rows, outcome| {
                    // After an error that undoes all of it the rest is only checked.
                    if may_abort && outcome.rejected > 0 {
                        return writer.check(conn, &job, rows, outcome);
                    }
                    writer.prepare(self.watch.url, &rows)?;
                    writer.write(conn, &job, rows, outcome)
                })?;
                (self.watch.progress)(&self.outcome);
                if !goes_on {
                    break;
                }
                self.tell();
                if (self.watch.is_stopped)() {
                    return Err(StorageError::Unavailable("the service was stopped and nothing was kept; send the file again".to_owned()));
                }
            }
            if !self.aborts() {
                writer.finish(conn, &job)?;
            }
            Ok(())
        })
    }

    /// Tells how far it came, on a connection of its own. SQLite has one writer, which is busy: there only start and end are told.
    fn tell(&mut self) {
        let Some(url) = self.watch.url.filter(|url| !matches!(url, DatabaseUrl::Sqlite(_))) else { return };
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let opened = match self.second.take() {
            Some(conn) => Ok(conn),
            None => Connection::open(url, Access::Write).map_err(|error| StorageError::Unavailable(error.to_string())),
        };
        let told = opened.and_then(|mut conn| {
            store::transaction(&mut conn, |conn| ledger::progress(conn, self.import, &self.outcome, (self.watch.clock)()))?;
            self.second = Some(conn);
            Ok(())
        });
        if let Err(error) = told {
            tracing::warn!(%error, import_id = %self.import.import_id, "the progress of an import could not be told");
        }
    }
}

const UNDO: &str = "import_undone";

/// Makes the transaction roll back although nothing failed.
fn undo() -> StorageError {
    StorageError::conflict(UNDO, "nothing is kept")
}
