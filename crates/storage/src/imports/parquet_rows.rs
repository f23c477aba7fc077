//! Rows of a Parquet file with flat columns. Values become the texts that a CSV file would hold, so that everything after this file is the same.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

use super::cells::Cell;
use super::rows::unreadable;
use super::{Limits, Problem};
use crate::error::StorageError;

/// Rows decoded at once.
const ROWS_AT_ONCE: usize = 512;
/// Largest column of one row group, unpacked: one page of it is held in memory.
const MAX_COLUMN_BYTES: u64 = 1 << 30;

/// The rows of one file.
pub(super) struct ParquetRows {
    rows: RowIter<'static>,
    row: Option<Row>,
    texts: Vec<Option<String>>,
}

impl ParquetRows {
    /// Opens a file; its columns come with it.
    pub(super) fn open(file: File, limits: Limits) -> Result<(Self, Vec<String>), StorageError> {
        let broken = |error: parquet::errors::ParquetError| unreadable(&error.to_string(), 0, 0);
        let reader = SerializedFileReader::new(file).map_err(broken)?;
        let schema = reader.metadata().file_metadata().schema_descr();
        if let Some(nested) = schema.root_schema().get_fields().iter().find(|field| field.is_group()) {
            return Err(unreadable(&format!("the column {:?} is nested; write lists and objects as JSON texts", nested.name()), 0, 0));
        }
        let columns = schema.columns().iter().map(|column| column.name().to_owned()).collect();
        let sizes = || reader.metadata().row_groups().iter().flat_map(|group| group.columns());
        let unpacked = |size: i64| u64::try_from(size).unwrap_or(u64::MAX);
        let total = sizes().fold(0_u64, |sum, column| sum.saturating_add(unpacked(column.uncompressed_size())));
        if total > limits.max_unpacked_bytes || sizes().any(|column| unpacked(column.uncompressed_size()) > MAX_COLUMN_BYTES) {
            let most = limits.max_unpacked_bytes;
            return Err(unreadable(&format!("it unpacks to over {most} bytes, or one column of a row group to over 1 GiB"), 0, 0));
        }
        let rows = RowIter::from_file_into(Box::new(reader)).with_batch_size(ROWS_AT_ONCE);
        Ok((Self { rows, row: None, texts: Vec::new() }, columns))
    }

    /// Reads the next row.
    pub(super) fn advance(&mut self) -> Result<bool, String> {
        // The decoder trusts counts in the file; a damaged one must not end the process.
        let next = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.rows.next()));
        match next {
            Ok(Some(Ok(row))) => self.row = Some(row),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(None) => self.row = None,
            Err(_) => return Err("the file is damaged".to_owned()),
        }
        Ok(self.row.is_some())
    }

    /// The cells of the row read last.
    pub(super) fn cells(&mut self) -> Result<Vec<Cell<'_>>, Problem> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        self.texts.clear();
        for (name, field) in row.get_column_iter() {
            self.texts.push(text_of(name, field)?);
        }
        let cells = row.get_column_iter().zip(&self.texts).map(|((_, field), text)| match (field, text) {
            (Field::Str(text), _) => Cell::of_text(text),
            (_, Some(text)) => Cell::of_text(text),
            (_, None) => Cell::Empty,
        });
        Ok(cells.collect())
    }
}

/// The text of a value that is none yet.
fn text_of(name: &str, field: &Field) -> Result<Option<String>, Problem> {
    Ok(match field {
        Field::Null | Field::Str(_) => None,
        Field::Bool(flag) => Some(flag.to_string()),
        Field::Byte(number) => Some(number.to_string()),
        Field::Short(number) => Some(number.to_string()),
        Field::Int(number) => Some(number.to_string()),
        Field::Long(number) => Some(number.to_string()),
        Field::UByte(number) => Some(number.to_string()),
        Field::UShort(number) => Some(number.to_string()),
        Field::UInt(number) => Some(number.to_string()),
        Field::ULong(number) => Some(number.to_string()),
        Field::Float16(number) => Some(f32::from(*number).to_string()),
        Field::Float(number) => Some(number.to_string()),
        Field::Double(number) => Some(number.to_string()),
        Field::Decimal(_) | Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => Some(field.to_string()),
        Field::TimestampMillis(_) | Field::TimestampMicros(_) => {
            let text = field.to_string();
            // Midnight is how a day is written in a column of instants.
            Some(text.split_once(" 00:00:00").map_or_else(|| text.clone(), |(day, _)| day.to_owned()))
        }
        Field::Bytes(bytes) => {
            Some(std::str::from_utf8(bytes.data()).map_err(|_| Problem::new(name, "holds bytes that are no UTF-8 text"))?.to_owned())
        }
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err(Problem::new(name, "is nested; write lists and objects as JSON texts"));
        }
    })
}
