//! Parquet as a stream: a row group is written as soon as enough rows are there, and its bytes are handed on.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::Value;

use super::{Column, Kind, text};
use crate::problem::Problem;

/// Rows of one group.
const GROUP_ROWS: usize = 10_000;

/// Where the writer writes and the stream takes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A Parquet file being written.
pub(super) struct Pages {
    sink: Sink,
    writer: SerializedFileWriter<Sink>,
    waiting: Vec<Vec<Value>>,
}

impl Pages {
    pub(super) fn new(columns: &[Column]) -> Result<Self, Problem> {
        let sink = Sink::default();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let schema = schema(columns).map_err(Problem::internal)?;
        let mut writer = SerializedFileWriter::new(sink.clone(), Arc::new(schema), Arc::new(properties)).map_err(Problem::internal)?;
        // The first bytes leave before there is a row.
        writer.flush().map_err(Problem::internal)?;
        Ok(Self { sink, writer, waiting: Vec::new() })
    }

    /// The bytes written since they were last taken.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.sink.take()
    }

    pub(super) fn write(&mut self, columns: &[Column], rows: &[Vec<Value>]) -> Result<Vec<u8>, Problem> {
        self.waiting.extend_from_slice(rows);
        if self.waiting.len() >= GROUP_ROWS {
            self.flush(columns).map_err(Problem::internal)?;
        }
        Ok(self.sink.take())
    }

    pub(super) fn finish(mut self, columns: &[Column]) -> Result<Vec<u8>, Problem> {
        if !self.waiting.is_empty() {
            self.flush(columns).map_err(Problem::internal)?;
        }
        self.writer.close().map_err(Problem::internal)?;
        Ok(self.sink.take())
    }

    fn flush(&mut self, columns: &[Column]) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        let mut group = self.writer.next_row_group()?;
        for (at, column) in columns.iter().enumerate() {
            let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
            match column.kind {
                Kind::Whole => put::<Int64Type>(&mut group, cells.map(Value::as_i64))?,
                Kind::Real => put::<DoubleType>(&mut group, cells.map(Value::as_f64))?,
                Kind::Flag => put::<BoolType>(&mut group, cells.map(Value::as_bool))?,
                Kind::Text | Kind::Money => {
                    let texts = cells.map(|cell| (!cell.is_null()).then(|| ByteArray::from(text(cell).into_bytes())));
                    put::<ByteArrayType>(&mut group, texts)?;
                }
            }
        }
        group.close()?;
        self.writer.flush()?;
        Ok(())
    }
}

/// One column of a row group; absent values are null.
fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Sink>, cells: impl Iterator<Item = Option<T::T>>) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let Some(mut column) = group.next_column()? else { return Err(ParquetError::General("a column is missing".to_owned())) };
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

fn schema(columns: &[Column]) -> Result<Type, ParquetError> {
    let fields: Result<Vec<_>, ParquetError> = columns
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                Kind::Text | Kind::Money => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Kind::Whole => (Physical::INT64, None),
                Kind::Real => (Physical::DOUBLE, None),
                Kind::Flag => (Physical::BOOLEAN, None),
            };
            let field = Type::primitive_type_builder(&column.name, physical).with_logical_type(logical);
            Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
        })
        .collect();
    Type::group_type_builder("rows").with_fields(fields?).build()
}
