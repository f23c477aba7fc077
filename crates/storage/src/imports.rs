//! Files into tables: CSV, newline-delimited JSON or Parquet, plain, gzip or zstd, read as a stream and written by key, so that loading a
//! file again changes nothing.
//!
//! ```text
//! reading: file -> rows (formats, cells) -> mapper (the retailer's mapping) -> parser (a table's rows)
//! run (transactions, checkpoints): writer (a table) -> ledger
//! ```
//!
//! Columns may have our own names, those of the sample bundle, or a retailer's own through its mapping. An empty field is null, never 0. Columns that are not known go to
//! `attributes` where the table has them, and are reported as ignored elsewhere. Of the sample bundle's files, `campaign_brands`,
//! `campaign_lift_inputs` and `sku_weekly_metrics` are not loaded: no table holds what they say.

pub mod formats;
pub mod identity;
pub mod ledger;
pub mod mapping;
pub mod run;

mod campaign_skus;
mod catalog;
mod catalog_rows;
mod cells;
mod columns;
mod hold;
mod mapper;
mod parquet_pages;
mod parquet_rows;
mod parquet_values;
mod performance;
mod reading;
mod rows;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use domain::scope::Scope;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::performance::Written;
use crate::url::DatabaseUrl;

pub use formats::{Compression, Format};
use mapping::TableMapping;
use rows::Row;
use run::Watch;

/// Most errors that an answer names; all are counted.
pub const MAX_ERRORS: usize = 100;
/// Most errors that are kept for the full report.
pub const MAX_REPORTED: u64 = 10_000;

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

/// What happens when a row is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Nothing of the file is kept.
    Abort,
    /// The row is left out.
    Skip,
}

/// How much a packed file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes after unpacking.
    pub max_unpacked_bytes: u64,
    /// Most unpacked bytes for each packed one, beyond the first 64 MiB.
    pub max_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_unpacked_bytes: 256 << 30, max_ratio: 500 }
    }
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
    /// How it is packed.
    pub compression: Compression,
    /// What happens when a row is wrong.
    pub on_error: OnError,
    /// Do all the work and keep nothing.
    pub is_dry_run: bool,
    /// Leave the file alone when the very same content was loaded before, without any rejected row.
    pub skips_known_files: bool,
    /// The retailer whose file it is: fills a column `retailer_id` that the file does not have.
    pub retailer_id: Option<String>,
    /// How the retailer's columns become ours.
    pub mapping: Option<TableMapping>,
    /// How much a packed file may hold.
    pub limits: Limits,
    /// SHA-256 of the file's bytes in hexadecimal digits, when somebody computed it already.
    pub content_sha256: Option<String>,
    /// Rows written together; with [`OnError::Skip`] also committed together.
    pub batch_rows: usize,
}

impl Request {
    /// A file without further wishes: nothing is kept when a row is wrong.
    #[must_use]
    pub fn new(table: Table, path: impl Into<PathBuf>, format: Format, compression: Compression) -> Self {
        Self {
            table,
            path: path.into(),
            format,
            compression,
            on_error: OnError::Abort,
            is_dry_run: false,
            skips_known_files: false,
            retailer_id: None,
            mapping: None,
            limits: Limits::default(),
            content_sha256: None,
            batch_rows: 12_000,
        }
    }
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// Line of the file, from 1; the header of a CSV file is line 1. In Parquet the number of the row.
    pub line: u64,
    /// Our field, or empty when the whole row is meant.
    pub field: String,
    /// The column of the file; empty when the whole row is meant or the file has no such column.
    pub column: String,
    /// What is wrong.
    pub message: String,
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Public id of the import; empty for a file that was left alone.
    pub import_id: String,
    /// Rows that an earlier attempt had settled.
    pub resumed_after: u64,
    /// Rows read.
    pub received: u64,
    /// New rows.
    pub inserted: u64,
    /// Rows that were there and changed.
    pub updated: u64,
    /// Rows that were there, equal.
    pub unchanged: u64,
    /// Rows after which another of the same key came in the same batch; that one counts.
    pub superseded: u64,
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
    /// Errors for the full report that were not written yet.
    #[serde(skip)]
    unreported: Vec<RowError>,
}

impl Outcome {
    fn reject(&mut self, line: u64, problem: Problem) {
        self.rejected += 1;
        let error = RowError { line, field: problem.field, column: String::new(), message: problem.message };
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error.clone());
        }
        if self.rejected <= MAX_REPORTED {
            self.unreported.push(error);
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

/// Reads rows of one table and checks each in itself. Works in a thread of its own, a batch ahead of its [`Writer`].
trait Parser: Default {
    /// Checked rows.
    type Rows: Send;

    /// Checks a row and keeps it for the next [`Parser::rows`].
    fn take(&mut self, row: &Row<'_>) -> Result<(), Problem>;

    /// The rows taken since the last call.
    fn rows(&mut self) -> Self::Rows;

    /// Columns that nothing took.
    fn ignored(&self) -> Vec<String>;

    /// The column of the file that fills a field under another name.
    fn alias_of(_field: &str, _columns: &[String]) -> Option<String> {
        None
    }
}

/// Writes the rows of one table.
trait Writer: Default {
    /// What reads them.
    type Parser: Parser;

    /// Makes room for rows, outside of any transaction that writes them.
    fn prepare(&mut self, _: Option<&DatabaseUrl>, _: &RowsOf<Self>) -> Result<(), StorageError> {
        Ok(())
    }

    /// Writes rows; those that contradict stored data are rejected.
    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, rows: RowsOf<Self>, outcome: &mut Outcome) -> Result<(), StorageError>;

    /// Checks rows against stored data, where nothing of the file will be kept; what was written is undone by the caller.
    fn check(&mut self, conn: &mut Connection, job: &Job<'_>, rows: RowsOf<Self>, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.write(conn, job, rows, outcome)
    }

    /// After the last row of a transaction.
    fn finish(&mut self, _: &mut Connection, _: &Job<'_>) -> Result<(), StorageError> {
        Ok(())
    }
}

type RowsOf<W> = <<W as Writer>::Parser as Parser>::Rows;

/// In whose name and when.
struct Job<'a> {
    scope: &'a Scope,
    now: DateTime<Utc>,
}

/// Loads a file on this connection: with [`OnError::Abort`] in one transaction, with [`OnError::Skip`] in batches, each with a checkpoint.
/// `progress` hears the number of rows read so far. See [`run`] for loading with more to watch.
///
/// # Errors
/// [`StorageError::Invalid`] on `file` with line and byte when the file cannot be read on (broken gzip, too long a row);
/// [`StorageError::Conflict`] (`import_running`) while the same content is being loaded.
pub fn load(
    conn: &mut Connection,
    scope: &Scope,
    request: &Request,
    now: DateTime<Utc>,
    progress: &dyn Fn(u64),
) -> Result<Outcome, StorageError> {
    let content_hash = identity::content_hash(request, scope)?;
    if request.skips_known_files
        && let Some(known) = ledger::find_finished(conn, request.table, &content_hash)?
    {
        let received = u64::try_from(known.received).unwrap_or(0);
        progress(received);
        return Ok(Outcome { received, unchanged: received, is_known: true, ..Outcome::default() });
    }
    let prepared = run::prepare(conn, scope, request, "running", now)?;
    let told = |outcome: &Outcome| progress(outcome.received);
    run::run(conn, scope, request, prepared, &Watch { progress: &told, ..Watch::quiet(&|| now) })
}
