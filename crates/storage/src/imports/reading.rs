//! A file read in a thread of its own, a batch ahead of the database: while the server writes one batch, the next is read and checked.

use std::collections::HashMap;
use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use super::mapper::Mapper;
use super::rows::Rows;
use super::{Outcome, Parser, Problem, Request};
use crate::error::StorageError;

/// A batch ends when its rows have so many bytes, however few they are.
const MAX_BATCH_BYTES: u64 = 16 << 20;
/// Batches that wait between reading and writing, beside the one that is being read and the one that is being written: memory is bounded
/// by what two batches need.
const WAITING_BATCHES: usize = 0;

/// Rows that were read and checked together.
pub(super) struct Batch<P: Parser> {
    /// What is to be written.
    pub(super) rows: P::Rows,
    /// How many rows were read, the wrong ones too.
    pub(super) received: u64,
    /// The rows that are wrong in themselves, each with its line.
    pub(super) rejected: Vec<(u64, Problem)>,
    /// From which columns of the file our fields came.
    pub(super) sources: Arc<Sources>,
    /// Columns that nothing took, among those seen so far.
    pub(super) ignored: Vec<String>,
    /// Whether the file has more.
    pub(super) goes_on: bool,
}

/// From which columns of a file our fields come.
#[derive(Debug, Default)]
pub(super) struct Sources {
    columns: Vec<String>,
    mapped: HashMap<String, String>,
}

impl Sources {
    /// Says of the errors of an outcome which columns of the file are meant, and sorts them by line: what contradicts stored data is found
    /// after what is wrong in itself.
    pub(super) fn name_columns<P: Parser>(&self, outcome: &mut Outcome) {
        for error in outcome.errors.iter_mut().chain(&mut outcome.unreported) {
            if error.column.is_empty() && !error.field.is_empty() {
                error.column = self.of::<P>(&error.field);
            }
        }
        outcome.errors.sort_by_key(|error| error.line);
        outcome.unreported.sort_by_key(|error| error.line);
    }

    /// The column of the file that fills a field; empty when there is none.
    fn of<P: Parser>(&self, field: &str) -> String {
        let own = || self.columns.iter().find(|column| *column == field).cloned();
        let alias = || P::alias_of(field, &self.columns);
        self.mapped.get(field).cloned().or_else(own).or_else(alias).unwrap_or_default()
    }
}

/// Does `work` with the batches of a file, from after its first `passed` rows. The thread that reads ends with `work`.
///
/// # Errors
/// As `work`; what is wrong with the file arrives as its batches do.
pub(super) fn with_batches<P: Parser, T>(
    request: &Request,
    passed: u64,
    work: impl FnOnce(&mut Batches<'_, P>) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING_BATCHES);
        let reader =
            thread::Builder::new().name("import-reader".to_owned()).spawn_scoped(scope, move || read::<P>(request, passed, &sender));
        let reader = reader.map_err(|error| StorageError::Unavailable(format!("no thread could be started to read the file: {error}")))?;
        work(&mut Batches { receiver, reader: Some(reader) })
    })
}

type Read<P> = Result<Batch<P>, StorageError>;

/// The batches of a file, in its order.
pub(super) struct Batches<'scope, P: Parser> {
    receiver: Receiver<Read<P>>,
    reader: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<P: Parser> Batches<'_, P> {
    /// The next batch. The last one says that the file does not go on.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] on `file` when it cannot be read on.
    pub(super) fn next(&mut self) -> Read<P> {
        if let Ok(read) = self.receiver.recv() {
            return read;
        }
        if let Some(Err(panicked)) = self.reader.take().map(ScopedJoinHandle::join) {
            panic::resume_unwind(panicked);
        }
        Err(StorageError::Corrupt("the file was read beyond its end".to_owned()))
    }
}

fn read<P: Parser>(request: &Request, passed: u64, to: &SyncSender<Read<P>>) {
    let mut reading = match Reading::<P>::open(request, passed) {
        Ok(reading) => reading,
        Err(error) => return drop(to.send(Err(error))),
    };
    loop {
        let batch = reading.fill(request.batch_rows);
        let goes_on = batch.as_ref().is_ok_and(|batch| batch.goes_on);
        // Nobody listens any more when the work has failed.
        if to.send(batch).is_err() || !goes_on {
            return;
        }
    }
}

struct Reading<P> {
    rows: Rows,
    mapper: Mapper,
    parser: P,
    sources: Arc<Sources>,
}

impl<P: Parser> Reading<P> {
    fn open(request: &Request, passed: u64) -> Result<Self, StorageError> {
        let mut rows = Rows::open(request)?;
        let mapper = Mapper::new(request, rows.header())?;
        if !rows.skip(passed)? {
            return Err(StorageError::Corrupt("the file has fewer rows than an earlier attempt read".to_owned()));
        }
        Ok(Self { rows, mapper, parser: P::default(), sources: Arc::default() })
    }

    fn fill(&mut self, batch_rows: usize) -> Read<P> {
        let (mut received, mut bytes, mut rejected) = (0, 0, Vec::new());
        let mut goes_on = true;
        while goes_on && received < batch_rows as u64 && bytes <= MAX_BATCH_BYTES {
            let Some(row) = self.rows.next_row()? else {
                goes_on = false;
                break;
            };
            received += 1;
            let (mapper, parser) = (&mut self.mapper, &mut self.parser);
            let taken = row.and_then(|row| {
                bytes += row.cells.iter().map(super::cells::Cell::bytes).sum::<u64>();
                parser.take(&mapper.map(row)?)
            });
            if let Err(problem) = taken {
                bytes += 100;
                rejected.push((self.rows.line(), problem));
            }
        }
        let columns = self.rows.columns();
        if columns.len() != self.sources.columns.len() {
            self.sources = Arc::new(Sources { columns: columns.to_vec(), mapped: self.mapper.sources().clone() });
        }
        let mut ignored = self.parser.ignored();
        ignored.extend(self.mapper.left_out().iter().cloned());
        Ok(Batch { rows: self.parser.rows(), received, rejected, sources: Arc::clone(&self.sources), ignored, goes_on })
    }
}
