//! A file being read into the loader of its table, a batch at a time.

use super::mapper::Mapper;
use super::rows::Rows;
use super::{Loader, Outcome, Request};
use crate::error::StorageError;

/// A batch ends when its rows have so many bytes, however few they are.
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// A file being read into a loader.
pub(super) struct Reading {
    pub(super) rows: Rows,
    mapper: Mapper,
    pub(super) loader: Box<dyn Loader>,
}

impl Reading {
    /// Opens the file of a request.
    pub(super) fn open(request: &Request) -> Result<Self, StorageError> {
        let rows = Rows::open(request)?;
        let mapper = Mapper::new(request, rows.header())?;
        Ok(Self { rows, mapper, loader: super::loader(request.table) })
    }

    /// Reads rows into the loader until a batch is full; `false` at the end of the file.
    pub(super) fn fill(&mut self, batch_rows: usize, outcome: &mut Outcome) -> Result<bool, StorageError> {
        let mut bytes = 0;
        for _ in 0..batch_rows {
            let before = outcome.unreported.len();
            let Some(row) = self.rows.next_row()? else { return Ok(false) };
            outcome.received += 1;
            let (mapper, loader) = (&mut self.mapper, &mut self.loader);
            let taken = row.and_then(|row| {
                bytes += row.cells.iter().map(super::cells::Cell::bytes).sum::<u64>();
                let row = mapper.map(row)?;
                loader.take(&row)
            });
            if let Err(problem) = taken {
                outcome.reject(self.rows.line(), problem);
            }
            bytes += if outcome.unreported.len() > before { 100 } else { 0 };
            if bytes > MAX_BATCH_BYTES {
                break;
            }
        }
        Ok(true)
    }

    fn ignored(&self) -> Vec<String> {
        let mut ignored = self.loader.ignored();
        ignored.extend(self.mapper.left_out().iter().cloned());
        ignored
    }
}

/// Fills what is known of a batch only here: the columns of the file from which wrong fields came, and the columns that nothing took.
pub(super) fn keep(outcome: &mut Outcome, reading: &Reading) {
    let columns = reading.rows.columns();
    let source = |field: &str| {
        let own = || columns.iter().any(|column| column == field).then(|| field.to_owned());
        let mapped = reading.mapper.source_of(field).map(str::to_owned);
        mapped.or_else(own).or_else(|| reading.loader.alias_of(field, columns)).unwrap_or_default()
    };
    for error in outcome.errors.iter_mut().chain(&mut outcome.unreported) {
        if error.column.is_empty() && !error.field.is_empty() {
            error.column = source(&error.field);
        }
    }
    // What contradicts stored data is found after what is wrong in itself.
    outcome.errors.sort_by_key(|error| error.line);
    outcome.unreported.sort_by_key(|error| error.line);
    for column in reading.ignored() {
        if !outcome.ignored_columns.contains(&column) {
            outcome.ignored_columns.push(column);
        }
    }
}
