//! Rows of a Parquet file with flat columns. Values become the texts that a CSV file would hold, so that everything after this file is the same.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row};
use parquet::schema::types::SchemaDescriptor;

use super::cells::Cell;
use super::parquet_pages::{Group, Pieces, is_taken};
use super::parquet_values::text_of;
use super::rows::{MAX_ROW_BYTES, unreadable};
use super::{Limits, Problem};
use crate::error::StorageError;

/// Values of a column decoded at once; each may hold a page of its own in memory.
const ROWS_AT_ONCE: usize = 128;
/// Longest description of the file at its end, which is read into memory.
const MAX_FOOTER_BYTES: u32 = 8 << 20;
/// Most digits of a decimal.
const MAX_DIGITS: i32 = 76;
/// Most characters of what the decoder says.
const MAX_REASON: usize = 300;

/// The rows of one file.
pub(super) struct ParquetRows {
    file: Arc<Pieces>,
    metadata: ParquetMetaData,
    /// Bytes of pages in memory.
    held: Arc<AtomicU64>,
    /// The next row group.
    group: usize,
    rows: Option<ReaderIter>,
    row: Option<Row>,
    texts: Vec<Option<String>>,
    /// Columns of nanoseconds, which the decoder gives as numbers.
    nanos: Vec<bool>,
    /// Bytes that may still be unpacked.
    left: u64,
    limits: Limits,
}

impl ParquetRows {
    /// Opens a file; its columns come with it.
    pub(super) fn open(mut file: File, limits: Limits) -> Result<(Self, Vec<String>), StorageError> {
        let refuse = |reason: &str| unreadable(reason, 0, 0);
        check_footer(&mut file).map_err(|reason| refuse(&reason))?;
        let most = limits.of_packed(file.metadata().map_err(|error| refuse(&error.to_string()))?.len());
        let file = Arc::new(Pieces(file));
        // The decoder trusts counts in the file; a damaged one must not end the process.
        let read = catch_unwind(AssertUnwindSafe(|| ParquetMetaDataReader::new().parse_and_finish(&*file)));
        let metadata = read.map_err(|_| refuse("the file is damaged"))?.map_err(|error| refuse(&reason_of(&error)))?;
        let schema = metadata.file_metadata().schema_descr();
        check_schema(schema).map_err(|reason| refuse(&reason))?;
        let columns: Vec<String> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
        let is_nanos = |kind: Option<&LogicalType>| matches!(kind, Some(LogicalType::Timestamp(kind)) if kind.unit == TimeUnit::NANOS);
        let nanos = schema.columns().iter().map(|column| is_nanos(column.logical_type_ref())).collect();
        let chunks = || metadata.row_groups().iter().flat_map(|group| group.columns());
        if let Some(chunk) = chunks().find(|chunk| !is_taken(chunk.compression())) {
            let (name, codec) = (chunk.column_descr().name(), chunk.compression().to_string());
            return Err(refuse(&format!("the column {name:?} is packed with {codec}; what is taken is snappy, gzip, zstd, or not packed")));
        }
        let unpacked = |size: i64| u64::try_from(size).unwrap_or(u64::MAX);
        if chunks().fold(0_u64, |sum, chunk| sum.saturating_add(unpacked(chunk.uncompressed_size()))) > most {
            return Err(refuse(&limits.exceeded()));
        }
        let held = Arc::default();
        let rows = Self { file, metadata, held, group: 0, rows: None, row: None, texts: Vec::new(), nanos, left: most, limits };
        Ok((rows, columns))
    }

    /// Reads the next row.
    pub(super) fn advance(&mut self) -> Result<bool, String> {
        self.row = None;
        let next = catch_unwind(AssertUnwindSafe(|| self.next_row()));
        self.row = next.map_err(|_| "the file is damaged".to_owned())?.map_err(|error| reason_of(&error))?;
        let Some(row) = &self.row else { return Ok(false) };
        let bytes: u64 = row.get_column_iter().map(|(_, field)| bytes_of(field)).sum();
        if bytes > MAX_ROW_BYTES {
            return Err(format!("the row is longer than {MAX_ROW_BYTES} bytes"));
        }
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.limits.exceeded())?;
        Ok(true)
    }

    fn next_row(&mut self) -> Result<Option<Row>, ParquetError> {
        loop {
            if let Some(row) = self.rows.as_mut().and_then(Iterator::next) {
                return row.map(Some);
            }
            // The pages of one group are let go before those of the next are read.
            self.rows = None;
            let Some(metadata) = self.metadata.row_groups().get(self.group).cloned() else { return Ok(None) };
            self.group += 1;
            if metadata.num_rows() > 0 {
                let group = Group { file: Arc::clone(&self.file), metadata, held: Arc::clone(&self.held) };
                let schema = self.metadata.file_metadata().schema_descr_ptr();
                self.rows = Some(TreeBuilder::new().with_batch_size(ROWS_AT_ONCE).as_iter(schema, &group)?);
            }
        }
    }

    /// The cells of the row read last.
    pub(super) fn cells(&mut self) -> Result<Vec<Cell<'_>>, Problem> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        self.texts.clear();
        for ((name, field), is_nanos) in row.get_column_iter().zip(&self.nanos) {
            self.texts.push(text_of(name, field, *is_nanos)?);
        }
        let cells = row.get_column_iter().zip(&self.texts).map(|((_, field), text)| match (field, text) {
            (Field::Str(text), _) => Cell::of_text(text),
            (_, Some(text)) => Cell::of_text(text),
            (_, None) => Cell::Empty,
        });
        Ok(cells.collect())
    }
}

/// Looks at the length of the description at the end, before it is read.
fn check_footer(file: &mut File) -> Result<(), String> {
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut end)).map_err(|_| "the file ends before it should".to_owned())?;
    let [a, b, c, d, ..] = end;
    match u32::from_le_bytes([a, b, c, d]) {
        length if length > MAX_FOOTER_BYTES => {
            Err(format!("its footer is longer than {} MiB; write fewer and larger row groups", MAX_FOOTER_BYTES >> 20))
        }
        _ => Ok(()),
    }
}

fn check_schema(schema: &SchemaDescriptor) -> Result<(), String> {
    if let Some(nested) = schema.root_schema().get_fields().iter().find(|field| field.is_group()) {
        return Err(format!("the column {:?} is nested; write lists and objects as JSON texts", nested.name()));
    }
    match schema.columns().iter().find(|column| column.converted_type() == ConvertedType::DECIMAL && column.type_precision() > MAX_DIGITS) {
        Some(column) => Err(format!("the column {:?} has decimals of over {MAX_DIGITS} digits", column.name())),
        None => Ok(()),
    }
}

/// What a value counts for; a number as much as in a narrow CSV column.
fn bytes_of(field: &Field) -> u64 {
    match field {
        Field::Null => 1,
        Field::Str(text) => text.len() as u64 + 1,
        Field::Bytes(bytes) => bytes.len() as u64 + 1,
        Field::Decimal(decimal) => decimal.data().len() as u64 + 1,
        _ => 8,
    }
}

fn reason_of(error: &ParquetError) -> String {
    let said = match error {
        ParquetError::General(said) if said.contains("as String. Bytes:") => "a text is not valid UTF-8",
        ParquetError::General(said) => said,
        other => &other.to_string(),
    };
    said.chars().take(MAX_REASON).collect()
}
