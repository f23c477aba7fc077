//! Files into tables: CSV or newline-delimited JSON, plain or gzip, read as a stream and written by key, so that loading a file again
//! changes nothing.
//!
//! Columns may have our own names or those of the sample bundle. An empty field is null, never 0. Columns that are not known go to
//! `attributes` where the table has them, and are reported as ignored elsewhere. Of the sample bundle's files, `campaign_brands`,
//! `campaign_lift_inputs` and `sku_weekly_metrics` are not loaded: no table holds what they say.

pub mod ledger;

mod campaign_skus;
mod catalog;
mod catalog_rows;
mod cells;
mod columns;
mod performance;
mod rows;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::performance::Written;
use crate::store;

use rows::{Row, Rows};

/// Most errors that are kept; all are counted.
pub const MAX_ERRORS: usize = 100;

/// What can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Retailers.
    Retailers,
    /// Brands.
    Brands,
    /// Products.
    Skus,
    /// Audience segments.
    AudienceSegments,
    /// Campaigns.
    Campaigns,
    /// Pairs `campaign_id, sku_id`, added to the campaigns' `target_skus`.
    CampaignSkus,
    /// Daily performance.
    Performance,
}

impl Table {
    /// All tables in an order in which each finds what it refers to.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Retailers, "retailers"),
        (Self::Brands, "brands"),
        (Self::Skus, "skus"),
        (Self::AudienceSegments, "audience-segments"),
        (Self::Campaigns, "campaigns"),
        (Self::CampaignSkus, "campaign-skus"),
        (Self::Performance, "performance"),
    ];

    /// The name in paths and commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(table, _)| *table == self).map_or("", |(_, name)| name)
    }

    /// The table of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(table, _)| *table)
    }
}

/// How rows are written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// What happens when a row is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Nothing of the file is kept.
    Abort,
    /// The row is left out.
    Skip,
}

/// What is to be loaded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Into which table.
    pub table: Table,
    /// The file.
    pub path: PathBuf,
    /// How rows are written in it.
    pub format: Format,
    /// Whether it is compressed with gzip.
    pub is_gzip: bool,
    /// What happens when a row is wrong.
    pub on_error: OnError,
    /// Do all the work and keep nothing.
    pub is_dry_run: bool,
    /// Leave the file alone when the very same content was loaded before, without any rejected row.
    pub skips_known_files: bool,
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// Line of the file, from 1; the header of a CSV file is line 1.
    pub line: u64,
    /// The column, or empty when the whole row is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Rows read.
    pub received: u64,
    /// New rows.
    pub inserted: u64,
    /// Rows that were there and changed.
    pub updated: u64,
    /// Rows that were there, equal.
    pub unchanged: u64,
    /// Rows that were not taken.
    pub rejected: u64,
    /// The first [`MAX_ERRORS`] of them.
    pub errors: Vec<RowError>,
    /// Columns that no field and no `attributes` took.
    pub ignored_columns: Vec<String>,
    /// Whether the data were changed: not after a dry run or an abort.
    pub is_kept: bool,
    /// Whether the file was left alone because its content had been loaded before.
    pub is_known: bool,
}

impl Outcome {
    fn reject(&mut self, line: u64, problem: Problem) {
        self.rejected += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(RowError { line, field: problem.field, message: problem.message });
        }
    }

    fn count(&mut self, written: Written) {
        self.inserted += written.inserted;
        self.updated += written.updated;
        self.unchanged += written.unchanged;
    }
}

/// What is wrong with a row.
#[derive(Debug)]
struct Problem {
    field: String,
    message: String,
}

impl Problem {
    fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

/// Takes rows of one table: checks each, and writes them in batches.
trait Loader {
    /// Checks a row and keeps it for the next [`Loader::write`].
    fn take(&mut self, row: &Row, columns: &[String]) -> Result<(), Problem>;

    /// Writes the rows taken; those that contradict stored data are rejected.
    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, outcome: &mut Outcome) -> Result<(), StorageError>;

    /// After the last row.
    fn finish(&mut self, conn: &mut Connection, job: &Job<'_>, outcome: &mut Outcome) -> Result<(), StorageError>;

    /// Columns that nothing took.
    fn ignored(&self) -> Vec<String>;
}

/// In whose name and when.
struct Job<'a> {
    scope: &'a Scope,
    now: DateTime<Utc>,
}

/// Loads a file in one transaction (call it inside `Storage::transaction`): all of it, or with [`OnError::Skip`] all good rows of it.
/// `progress` hears the number of rows read so far. With [`OnError::Abort`] the whole file is checked and nothing kept when a row is wrong.
///
/// # Errors
/// [`StorageError::Invalid`] on `file` with line and byte when the file cannot be read on (broken gzip, too long a row); nothing is kept then.
pub fn load(
    conn: &mut Connection,
    scope: &Scope,
    request: &Request,
    now: DateTime<Utc>,
    progress: &dyn Fn(u64),
) -> Result<Outcome, StorageError> {
    let content_hash = rows::hash(&request.path, scope)?;
    if request.skips_known_files
        && let Some(known) = ledger::find_finished(conn, request.table, &content_hash)?
    {
        let received = u64::try_from(known.received).unwrap_or(0);
        progress(received);
        return Ok(Outcome { received, unchanged: received, is_known: true, ..Outcome::default() });
    }
    let mut outcome = Outcome::default();
    let done = store::transaction(conn, |conn| {
        let job = Job { scope, now };
        run(conn, &job, request, progress, &mut outcome)?;
        if request.is_dry_run || (request.on_error == OnError::Abort && outcome.rejected > 0) {
            return Err(undo());
        }
        ledger::record(conn, request.table, &content_hash, &outcome, now)
    });
    match done {
        Ok(()) => outcome.is_kept = true,
        Err(StorageError::Conflict { code: UNDO, .. }) if outcome.rejected > 0 && request.on_error == OnError::Abort => {
            (outcome.inserted, outcome.updated, outcome.unchanged) = (0, 0, 0);
        }
        Err(StorageError::Conflict { code: UNDO, .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(outcome)
}

const UNDO: &str = "import_undone";

/// Makes the transaction roll back although nothing failed.
fn undo() -> StorageError {
    StorageError::conflict(UNDO, "nothing is kept")
}

fn run(conn: &mut Connection, job: &Job<'_>, request: &Request, progress: &dyn Fn(u64), outcome: &mut Outcome) -> Result<(), StorageError> {
    let mut rows = Rows::open(&request.path, request.format, request.is_gzip)?;
    let mut loader = loader(request.table);
    let mut waiting = 0;
    while let Some(next) = rows.next_row()? {
        outcome.received += 1;
        let taken = next.and_then(|row| loader.take(&row, rows.columns()));
        match taken {
            Ok(()) => waiting += 1,
            Err(problem) => outcome.reject(rows.line(), problem),
        }
        // After an error that undoes all of it the rest is only checked.
        if waiting == ROWS_PER_STATEMENT {
            waiting = 0;
            if request.on_error == OnError::Skip || outcome.rejected == 0 {
                loader.write(conn, job, outcome)?;
            }
            progress(outcome.received);
        }
    }
    if request.on_error == OnError::Skip || outcome.rejected == 0 {
        loader.write(conn, job, outcome)?;
        loader.finish(conn, job, outcome)?;
    }
    outcome.ignored_columns = loader.ignored();
    progress(outcome.received);
    Ok(())
}

fn loader(table: Table) -> Box<dyn Loader> {
    use crate::{brands::NewBrand, campaigns::NewCampaign, retailers::NewRetailer, segments::NewSegment, skus::NewSku};
    match table {
        Table::Retailers => Box::new(catalog::CatalogLoader::<NewRetailer>::new()),
        Table::Brands => Box::new(catalog::CatalogLoader::<NewBrand>::new()),
        Table::Skus => Box::new(catalog::CatalogLoader::<NewSku>::new()),
        Table::AudienceSegments => Box::new(catalog::CatalogLoader::<NewSegment>::new()),
        Table::Campaigns => Box::new(catalog::CatalogLoader::<NewCampaign>::new()),
        Table::CampaignSkus => Box::new(campaign_skus::CampaignSkusLoader::default()),
        Table::Performance => Box::new(performance::PerformanceLoader::default()),
    }
}
