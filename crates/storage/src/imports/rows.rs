//! A file as a stream of rows, with the line of each; memory stays bounded however long file and lines are.

use std::cell::Cell as Counter;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::ByteRecord;
use domain::invalid::Invalid;
use domain::scope::Scope;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::cells::Cell;
use super::{Format, Problem};
use crate::error::StorageError;

/// Longest row, in bytes: an unclosed quote must not read a whole file into memory.
const MAX_ROW_BYTES: u64 = 1 << 20;
/// Most different columns of one file.
const MAX_COLUMNS: usize = 500;

/// One row: its cells in the order of [`Rows::columns`]; cells beyond its end are missing.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) cells: Vec<Cell>,
}

/// The rows of a file.
pub(super) struct Rows {
    source: Source,
    columns: Vec<String>,
    line: u64,
}

enum Source {
    Csv { reader: csv::Reader<Guard>, record: ByteRecord, since_row: Rc<Counter<u64>> },
    Ndjson { reader: BufReader<Box<dyn Read>>, byte: u64, places: HashMap<String, usize> },
}

/// SHA-256 of a file's bytes as they are on disk, together with the tenant in whose name they are loaded.
pub(super) fn hash(path: &Path, scope: &Scope) -> Result<String, StorageError> {
    let mut hasher = Sha256::new();
    hasher.update(scope.tenant().unwrap_or("*").as_bytes());
    hasher.update([0]);
    let mut file = open(path)?;
    io::copy(&mut file, &mut hasher).map_err(|error| unreadable(&error.to_string(), 0, 0))?;
    Ok(hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

impl Rows {
    /// Opens a file; reads the header of a CSV file.
    pub(super) fn open(path: &Path, format: Format, is_gzip: bool) -> Result<Self, StorageError> {
        let file = BufReader::with_capacity(1 << 16, open(path)?);
        let plain: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        if format == Format::Ndjson {
            let source = Source::Ndjson { reader: BufReader::with_capacity(1 << 16, plain), byte: 0, places: HashMap::new() };
            return Ok(Self { source, columns: Vec::new(), line: 0 });
        }
        let since_row = Rc::new(Counter::new(0));
        let guard = Guard { inner: plain, since_row: Rc::clone(&since_row) };
        let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(guard);
        let header = reader.headers().map_err(|error| broken_csv(&error, 1, 0))?;
        let columns: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        check_header(&columns)?;
        Ok(Self { source: Source::Csv { reader, record: ByteRecord::new(), since_row }, columns, line: 1 })
    }

    /// Names of the columns seen so far; only newline-delimited JSON adds some while it is read.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Line of the row read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next row; `None` at the end. A row that is wrong by itself is a [`Problem`], after which reading goes on.
    pub(super) fn next_row(&mut self) -> Result<Option<Result<Row, Problem>>, StorageError> {
        match &mut self.source {
            Source::Csv { reader, record, since_row } => {
                since_row.set(0);
                let (line, byte) = (reader.position().line(), reader.position().byte());
                let more = reader.read_byte_record(record).map_err(|error| broken_csv(&error, line, byte))?;
                if !more {
                    return Ok(None);
                }
                self.line = record.position().map_or(line, csv::Position::line);
                Ok(Some(csv_row(record, self.columns.len(), self.line)))
            }
            Source::Ndjson { reader, byte, places } => {
                let mut text = Vec::new();
                while text.iter().all(u8::is_ascii_whitespace) {
                    text.clear();
                    self.line += 1;
                    let read = reader.by_ref().take(MAX_ROW_BYTES + 1).read_until(b'\n', &mut text);
                    let read = read.map_err(|error| unreadable(&error.to_string(), self.line, *byte))?;
                    *byte += read as u64;
                    if read == 0 {
                        return Ok(None);
                    }
                    if read as u64 > MAX_ROW_BYTES {
                        return Err(unreadable(&format!("the row is longer than {MAX_ROW_BYTES} bytes"), self.line, *byte));
                    }
                }
                Ok(Some(json_row(&text, &mut self.columns, places, self.line)))
            }
        }
    }
}

fn csv_row(record: &ByteRecord, columns: usize, line: u64) -> Result<Row, Problem> {
    if record.len() != columns {
        return Err(Problem::new("", format!("has {} fields where the header has {columns}", record.len())));
    }
    let mut cells = Vec::with_capacity(columns);
    for field in record {
        let text = std::str::from_utf8(field).map_err(|_| Problem::new("", "is not valid UTF-8"))?;
        cells.push(if text.trim().is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) });
    }
    Ok(Row { line, cells })
}

fn json_row(text: &[u8], columns: &mut Vec<String>, places: &mut HashMap<String, usize>, line: u64) -> Result<Row, Problem> {
    let object: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| Problem::new("", format!("is not a JSON object (column {})", error.column())))?;
    let mut cells = Vec::new();
    for (name, value) in object {
        let place = match places.get(&name) {
            Some(place) => *place,
            None if columns.len() == MAX_COLUMNS => return Err(Problem::new(&name, format!("the file has over {MAX_COLUMNS} columns"))),
            None => {
                columns.push(name.clone());
                places.insert(name, columns.len() - 1);
                columns.len() - 1
            }
        };
        if cells.len() <= place {
            cells.resize_with(place + 1, || Cell::Missing);
        }
        if let Some(cell) = cells.get_mut(place) {
            *cell = match value {
                Value::Null => Cell::Empty,
                Value::String(text) if text.trim().is_empty() => Cell::Empty,
                Value::String(text) => Cell::Text(text),
                other => Cell::Json(other),
            };
        }
    }
    Ok(Row { line, cells })
}

fn check_header(columns: &[String]) -> Result<(), StorageError> {
    if columns.iter().all(String::is_empty) {
        return Err(unreadable("there is no header line", 1, 0));
    }
    if columns.len() > MAX_COLUMNS {
        return Err(unreadable(&format!("there are over {MAX_COLUMNS} columns"), 1, 0));
    }
    let mut seen = std::collections::HashSet::new();
    match columns.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(unreadable(&format!("the column {twice:?} occurs twice"), 1, 0)),
        None => Ok(()),
    }
}

fn open(path: &Path) -> Result<File, StorageError> {
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

fn unreadable(reason: &str, line: u64, byte: u64) -> StorageError {
    let message = format!("cannot be read on at line {line} (byte {byte} of the unpacked text): {reason}; nothing was kept");
    StorageError::Invalid(Invalid::one("file", message))
}

/// Refuses to read on when a single row grows beyond its bound.
struct Guard {
    inner: Box<dyn Read>,
    since_row: Rc<Counter<u64>>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > MAX_ROW_BYTES {
            return Err(io::Error::other(format!("a row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?")));
        }
        let read = self.inner.read(buffer)?;
        self.since_row.set(self.since_row.get() + read as u64);
        Ok(read)
    }
}
