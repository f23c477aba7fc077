//! A file as a stream of rows, with the line of each; memory stays bounded however long file and lines are.

use std::cell::Cell as Counter;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::ByteRecord;
use domain::invalid::Invalid;
use serde_json::{Map, Value};

use super::cells::Cell;
use super::parquet_rows::ParquetRows;
use super::{Compression, Format, Limits, Problem, Request, formats};
use crate::error::StorageError;

/// Longest row, in bytes: an unclosed quote must not read a whole file into memory.
pub(super) const MAX_ROW_BYTES: u64 = 1 << 20;
/// Most different columns of one file.
pub(super) const MAX_COLUMNS: usize = 500;

/// One row: its cells in the order of the columns; cells beyond its end are missing.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) line: u64,
    pub(super) columns: &'a [String],
    pub(super) cells: Vec<Cell<'a>>,
}

/// The rows of a file.
pub(super) struct Rows {
    source: Source,
    columns: Vec<String>,
    line: u64,
}

enum Source {
    Csv { reader: csv::Reader<Guard>, record: ByteRecord, since_row: Rc<Counter<u64>> },
    Ndjson(NdjsonRows),
    Parquet(Box<ParquetRows>),
}

struct NdjsonRows {
    reader: BufReader<Box<dyn Read>>,
    byte: u64,
    text: Vec<u8>,
    object: Map<String, Value>,
    places: HashMap<String, usize>,
}

impl Rows {
    /// Opens a file; reads the header of a CSV file.
    pub(super) fn open(request: &Request) -> Result<Self, StorageError> {
        let mut file = open(&request.path)?;
        formats::check(&mut file, request.format, request.compression)?;
        match request.format {
            Format::Csv => Self::csv(formats::unpack(file, request.compression, request.limits)?),
            Format::Ndjson => Self::ndjson(file, request.compression, request.limits),
            Format::Parquet => {
                let (rows, columns) = ParquetRows::open(file, request.limits)?;
                check_header(&columns)?;
                Ok(Self { source: Source::Parquet(Box::new(rows)), columns, line: 0 })
            }
        }
    }

    fn csv(plain: Box<dyn Read>) -> Result<Self, StorageError> {
        let since_row = Rc::new(Counter::new(0));
        let guard = Guard { inner: plain, since_row: Rc::clone(&since_row), piece: Vec::new(), starts_at: 0, before: None };
        let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(guard);
        let header = reader.headers().map_err(|error| broken_csv(&error, 1, 0))?;
        let columns: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        check_header(&columns)?;
        Ok(Self { source: Source::Csv { reader, record: ByteRecord::new(), since_row }, columns, line: 1 })
    }

    fn ndjson(file: File, compression: Compression, limits: Limits) -> Result<Self, StorageError> {
        let reader = BufReader::with_capacity(1 << 16, formats::unpack(file, compression, limits)?);
        let rows = NdjsonRows { reader, byte: 0, text: Vec::new(), object: Map::new(), places: HashMap::new() };
        Ok(Self { source: Source::Ndjson(rows), columns: Vec::new(), line: 0 })
    }

    /// The names of all columns, where the file tells them before its first row.
    pub(super) fn header(&self) -> Option<&[String]> {
        match self.source {
            Source::Ndjson(_) => None,
            _ => Some(&self.columns),
        }
    }

    /// The names of the columns seen so far.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Line of the row read last (in Parquet its number).
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Passes over rows without looking into them; `false` when the file ends before.
    pub(super) fn skip(&mut self, rows: u64) -> Result<bool, StorageError> {
        for _ in 0..rows {
            if !self.advance()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next row; `None` at the end. A row that is wrong by itself is a [`Problem`], after which reading goes on.
    pub(super) fn next_row(&mut self) -> Result<Option<Result<Row<'_>, Problem>>, StorageError> {
        if !self.advance()? {
            return Ok(None);
        }
        let line = self.line;
        let cells = match &mut self.source {
            Source::Csv { record, .. } => csv_cells(record, self.columns.len()),
            Source::Ndjson(rows) => rows.parse().and_then(|()| {
                rows.name_columns(&mut self.columns)?;
                Ok(rows.cells(self.columns.len()))
            }),
            Source::Parquet(rows) => rows.cells(),
        };
        Ok(Some(cells.map(|cells| Row { line, columns: &self.columns, cells })))
    }

    /// Reads one row into the source's buffer.
    fn advance(&mut self) -> Result<bool, StorageError> {
        match &mut self.source {
            Source::Csv { reader, record, since_row } => {
                since_row.set(0);
                let (line, byte) = (reader.position().line(), reader.position().byte());
                let more = reader.read_byte_record(record).map_err(|error| broken_csv(&error, line, byte))?;
                if more {
                    self.line = first_line(reader, record).max(line);
                }
                Ok(more)
            }
            Source::Ndjson(rows) => rows.advance(&mut self.line),
            Source::Parquet(rows) => {
                let more = rows.advance().map_err(|reason| unreadable(&reason, self.line + 1, 0))?;
                self.line += u64::from(more);
                Ok(more)
            }
        }
    }
}

impl NdjsonRows {
    fn advance(&mut self, line: &mut u64) -> Result<bool, StorageError> {
        self.text.clear();
        while self.text.iter().all(u8::is_ascii_whitespace) {
            self.text.clear();
            *line += 1;
            let read = self.reader.by_ref().take(MAX_ROW_BYTES + 1).read_until(b'\n', &mut self.text);
            let read = read.map_err(|error| unreadable(&error.to_string(), *line, self.byte))?;
            self.byte += read as u64;
            if read == 0 {
                return Ok(false);
            }
            if read as u64 > MAX_ROW_BYTES {
                return Err(unreadable(&format!("the row is longer than {MAX_ROW_BYTES} bytes"), *line, self.byte));
            }
        }
        Ok(true)
    }

    fn parse(&mut self) -> Result<(), Problem> {
        let text = self.text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.text);
        self.object =
            serde_json::from_slice(text).map_err(|error| Problem::new("", format!("is not a JSON object (column {})", error.column())))?;
        Ok(())
    }

    fn name_columns(&mut self, columns: &mut Vec<String>) -> Result<(), Problem> {
        for name in self.object.keys() {
            if !self.places.contains_key(name) {
                if columns.len() == MAX_COLUMNS {
                    return Err(Problem::new(name, format!("the file has over {MAX_COLUMNS} columns")));
                }
                self.places.insert(name.clone(), columns.len());
                columns.push(name.clone());
            }
        }
        Ok(())
    }

    fn cells(&self, columns: usize) -> Vec<Cell<'_>> {
        let mut cells = vec![Cell::Missing; columns];
        for (name, value) in &self.object {
            if let Some(cell) = self.places.get(name).and_then(|place| cells.get_mut(*place)) {
                *cell = match value {
                    Value::Null => Cell::Empty,
                    Value::String(text) => Cell::of_text(text),
                    other => Cell::Json(other),
                };
            }
        }
        cells
    }
}

fn csv_cells(record: &ByteRecord, columns: usize) -> Result<Vec<Cell<'_>>, Problem> {
    if record.len() != columns {
        return Err(Problem::new("", format!("has {} fields where the header has {columns}", record.len())));
    }
    let cell = |field| std::str::from_utf8(field).map(Cell::of_text).map_err(|_| Problem::new("", "is not valid UTF-8"));
    record.iter().map(cell).collect()
}

/// The line on which a record begins that was just read. The reader's own count is taken before it passes over blank lines and over the rest
/// of the line end before, and it ends before the second half of CR LF.
fn first_line(reader: &csv::Reader<Guard>, record: &ByteRecord) -> u64 {
    let byte = |back: u64| reader.position().byte().checked_sub(back).and_then(|at| reader.get_ref().byte(at));
    let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    // A quote that is not closed takes the end of the last line into its field.
    let is_open = || record.iter().next_back().is_some_and(|field| field.ends_with(b"\n")) && byte(2) != Some(b'"');
    let ends_line = byte(1) == Some(b'\n') && !is_open();
    reader.position().line().saturating_sub(within + u64::from(ends_line))
}

fn check_header(columns: &[String]) -> Result<(), StorageError> {
    if columns.iter().all(String::is_empty) {
        return Err(unreadable("there is no header line", 1, 0));
    }
    if columns.len() > MAX_COLUMNS {
        return Err(unreadable(&format!("there are over {MAX_COLUMNS} columns"), 1, 0));
    }
    let mut seen = HashSet::new();
    match columns.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(unreadable(&format!("the column {twice:?} occurs twice"), 1, 0)),
        None => Ok(()),
    }
}

pub(super) fn open(path: &Path) -> Result<File, StorageError> {
    File::open(path).map_err(|error| StorageError::Invalid(Invalid::one("file", format!("cannot be opened: {error}"))))
}

fn broken_csv(error: &csv::Error, line: u64, byte: u64) -> StorageError {
    let (line, byte) = error.position().map_or((line, byte), |position| (position.line(), position.byte()));
    let reason = match error.kind() {
        csv::ErrorKind::Io(cause) => cause.to_string(),
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        _ => error.to_string(),
    };
    unreadable(&reason, line, byte)
}

pub(super) fn unreadable(reason: &str, line: u64, byte: u64) -> StorageError {
    let message = match (line, byte) {
        (0, _) => format!("cannot be read: {reason}"),
        (_, 0) => format!("cannot be read on at line {line}: {reason}"),
        _ => format!("cannot be read on at line {line} (byte {byte} of the unpacked text): {reason}"),
    };
    StorageError::Invalid(Invalid::one("file", message))
}

/// Refuses to read on when a single row grows beyond its bound, and remembers what it gave last.
struct Guard {
    inner: Box<dyn Read>,
    since_row: Rc<Counter<u64>>,
    piece: Vec<u8>,
    starts_at: u64,
    /// The byte before the piece.
    before: Option<u8>,
}

impl Guard {
    /// A byte of the piece read last, or the one before it.
    fn byte(&self, at: u64) -> Option<u8> {
        if at.checked_add(1) == Some(self.starts_at) {
            return self.before;
        }
        let place = usize::try_from(at.checked_sub(self.starts_at)?).ok()?;
        self.piece.get(place).copied()
    }
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > MAX_ROW_BYTES {
            return Err(io::Error::other(format!("a row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?")));
        }
        let read = self.inner.read(buffer)?;
        self.since_row.set(self.since_row.get() + read as u64);
        if read > 0 {
            self.starts_at += self.piece.len() as u64;
            self.before = self.piece.last().copied().or(self.before);
            self.piece.clear();
            self.piece.extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Gives a few bytes at a time.
    struct Drops(Vec<u8>, usize, usize);

    impl Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(self.1..).unwrap_or_default();
            let some = rest.len().min(self.2).min(buffer.len());
            buffer[..some].copy_from_slice(&rest[..some]);
            self.1 += some;
            Ok(some)
        }
    }

    #[test]
    fn lines_are_right_wherever_the_pieces_of_a_file_end() {
        for (end, blank) in [("\n", ""), ("\r\n", ""), ("\n", "\n"), ("\r\n", "\r\n\r\n")] {
            let row = |at: usize| format!("{},\"x{end}\"{end}{blank}", "c".repeat(at % 13 + 1));
            let text = format!("id,name{end}{}last,row", (0..500).map(row).collect::<String>());
            let each = 2 + blank.matches('\n').count() as u64;
            for piece in [1, 2, 3, 7, 64, 100_000] {
                let mut rows = Rows::csv(Box::new(Drops(text.clone().into_bytes(), 0, piece))).unwrap();
                for at in 0..=500 {
                    assert_eq!(rows.next_row().unwrap().unwrap().unwrap().line, 2 + each * at, "{end:?} {blank:?} {piece}");
                }
                assert!(rows.next_row().unwrap().is_none());
            }
        }
    }
}
