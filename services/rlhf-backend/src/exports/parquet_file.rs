//! A dataset as Parquet, in row groups that leave as soon as they are full. Types are those that `datasets` gives the same rows read from
//! JSON lines: chats are lists of `{role, content}`, labels booleans, margins doubles. Where a group ends depends on the rows alone, so that the same rows give the same bytes.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::Value;

use super::profile::Profile;
use super::record::{JudgmentLine, Record, dialogue};

/// Rows of a group at most.
const GROUP_ROWS: usize = 10_000;

/// Bytes of texts in a group, about.
const GROUP_BYTES: usize = 4 << 20;

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

/// Texts one behind the other, with where each ends.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part.as_bytes()));
        self.ends.push(self.bytes.len());
    }

    fn take(&mut self) -> Vec<ByteArray> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let mut start = 0;
        let ends = std::mem::take(&mut self.ends);
        ends.into_iter().map(|end| ByteArray::from(bytes.slice(std::mem::replace(&mut start, end)..end))).collect()
    }
}

/// One column of the group that is being filled.
enum Column {
    Text(Texts),
    Real(Vec<f64>),
    Whole(Vec<i64>),
    Flag(Vec<bool>),
    /// Roles, contents, and whether a message goes on with the chat before it (1) or begins one (0).
    Chat(Texts, Texts, Vec<i16>),
    /// Values, definition and repetition levels: an empty list has a level and no value.
    TextList(Texts, Vec<i16>, Vec<i16>),
    WholeList(Vec<i64>, Vec<i16>, Vec<i16>),
}

use Column::{Chat, Flag, Real, Text, TextList, Whole, WholeList};

/// A chat's levels: the chat, its messages, a message, its field.
const FIELD_LEVEL: i16 = 4;
/// A list's levels: the list, its items, an item.
const ITEM_LEVEL: i16 = 3;

fn text() -> Column {
    Text(Texts::default())
}

fn chat() -> Column {
    Chat(Texts::default(), Texts::default(), Vec::new())
}

/// Names and kinds of a profile's columns, in the order of its JSON lines.
fn columns(profile: Profile) -> Vec<(&'static str, Column)> {
    match profile {
        Profile::TrlPreference => vec![("prompt", text()), ("chosen", text()), ("rejected", text())],
        Profile::TrlPreferenceChat => vec![("prompt", chat()), ("chosen", chat()), ("rejected", chat())],
        Profile::Kto => vec![("prompt", chat()), ("completion", chat()), ("label", Flag(Vec::new()))],
        Profile::Reward => vec![("chosen", chat()), ("rejected", chat()), ("margin", Real(Vec::new()))],
        Profile::HhRlhf => vec![("chosen", text()), ("rejected", text())],
        Profile::Sft => vec![("prompt", chat()), ("completion", chat())],
        Profile::Judgments => vec![
            ("task", text()),
            ("worker", text()),
            ("label", text()),
            ("task_type", text()),
            ("display_order", WholeList(Vec::new(), Vec::new(), Vec::new())),
            ("reasons", TextList(Texts::default(), Vec::new(), Vec::new())),
            ("confidence", Real(Vec::new())),
            ("time_spent_seconds", Real(Vec::new())),
            ("weight", Real(Vec::new())),
            ("rubric_version", Whole(Vec::new())),
            ("is_simulated", Flag(Vec::new())),
            ("judged_at", text()),
        ],
    }
}

/// A value of a row.
enum Cell<'a> {
    Text(&'a [&'a str]),
    Real(f64),
    Whole(i64),
    Flag(bool),
    Chat(&'a [(&'a str, &'a str)]),
    List(&'a Value),
}

impl Column {
    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Text(texts), Cell::Text(parts)) => texts.push(parts),
            (Real(values), Cell::Real(value)) => values.push(*value),
            (Whole(values), Cell::Whole(value)) => values.push(*value),
            (Flag(values), Cell::Flag(value)) => values.push(*value),
            (Chat(roles, contents, levels), Cell::Chat(messages)) => {
                for (at, (role, content)) in messages.iter().enumerate() {
                    roles.push(&[role]);
                    contents.push(&[content]);
                    levels.push(i16::from(at > 0));
                }
            }
            (TextList(texts, definitions, repetitions), Cell::List(list)) => {
                for item in items(list, definitions, repetitions) {
                    texts.push(&[item.as_str().unwrap_or_default()]);
                }
            }
            (WholeList(values, definitions, repetitions), Cell::List(list)) => {
                values.extend(items(list, definitions, repetitions).iter().map(|item| item.as_i64().unwrap_or_default()));
            }
            // Cells come in the order of `columns`.
            _ => {}
        }
    }

    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Sink>) -> Result<(), ParquetError> {
        match self {
            Text(texts) => put::<ByteArrayType>(group, &texts.take(), None, None),
            Real(values) => put::<DoubleType>(group, &std::mem::take(values), None, None),
            Whole(values) => put::<Int64Type>(group, &std::mem::take(values), None, None),
            Flag(values) => put::<BoolType>(group, &std::mem::take(values), None, None),
            Chat(roles, contents, levels) => {
                let repetitions = std::mem::take(levels);
                let definitions = vec![FIELD_LEVEL; repetitions.len()];
                put::<ByteArrayType>(group, &roles.take(), Some(&definitions), Some(&repetitions))?;
                put::<ByteArrayType>(group, &contents.take(), Some(&definitions), Some(&repetitions))
            }
            TextList(texts, definitions, repetitions) => {
                let (definitions, repetitions) = (std::mem::take(definitions), std::mem::take(repetitions));
                put::<ByteArrayType>(group, &texts.take(), Some(&definitions), Some(&repetitions))
            }
            WholeList(values, definitions, repetitions) => {
                let (definitions, repetitions) = (std::mem::take(definitions), std::mem::take(repetitions));
                put::<Int64Type>(group, &std::mem::take(values), Some(&definitions), Some(&repetitions))
            }
        }
    }

    fn schema(&self, name: &str) -> Result<Type, ParquetError> {
        match self {
            Text(_) => leaf(name, Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Real(_) => leaf(name, Physical::DOUBLE, None),
            Whole(_) => leaf(name, Physical::INT64, None),
            Flag(_) => leaf(name, Physical::BOOLEAN, None),
            Chat(..) => {
                let fields = ["role", "content"].map(|field| leaf(field, Physical::BYTE_ARRAY, Some(LogicalType::String)).map(Arc::new));
                let fields: Result<Vec<_>, _> = fields.into_iter().collect();
                let message = Type::group_type_builder("element").with_repetition(Repetition::OPTIONAL).with_fields(fields?).build()?;
                list(name, message)
            }
            TextList(..) => list(name, leaf("element", Physical::BYTE_ARRAY, Some(LogicalType::String))?),
            WholeList(..) => list(name, leaf("element", Physical::INT64, None)?),
        }
    }
}

/// The items of a list, whose levels are noted.
fn items<'a>(list: &'a Value, definitions: &mut Vec<i16>, repetitions: &mut Vec<i16>) -> &'a [Value] {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        // The list is there, and holds nothing.
        definitions.push(1);
        repetitions.push(0);
    }
    definitions.extend(items.iter().map(|_| ITEM_LEVEL));
    repetitions.extend((0..items.len()).map(|at| i16::from(at > 0)));
    items
}

/// Columns can hold nothing, as those that other writers make, although ours never do.
fn leaf(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<Type, ParquetError> {
    Type::primitive_type_builder(name, physical).with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build()
}

fn list(name: &str, element: Type) -> Result<Type, ParquetError> {
    let items = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![Arc::new(element)]).build()?;
    Type::group_type_builder(name)
        .with_logical_type(Some(LogicalType::List))
        .with_repetition(Repetition::OPTIONAL)
        .with_fields(vec![Arc::new(items)])
        .build()
}

/// One leaf of a row group; without levels every row has a value.
fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Sink>,
    values: &[T::T],
    definitions: Option<&[i16]>,
    repetitions: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Err(ParquetError::General("a column is missing".to_owned())) };
    let all = vec![1_i16; if definitions.is_some() { 0 } else { values.len() }];
    column.typed::<T>().write_batch(values, Some(definitions.unwrap_or(&all)), repetitions)?;
    column.close()
}

/// A Parquet file being written.
pub struct ParquetFile {
    profile: Profile,
    sink: Sink,
    writer: SerializedFileWriter<Sink>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl ParquetFile {
    /// An empty file, whose first bytes wait to be taken.
    ///
    /// # Errors
    /// When the file cannot be begun.
    pub fn new(profile: Profile) -> Result<Self, ParquetError> {
        let (names, columns): (Vec<_>, Vec<_>) = columns(profile).into_iter().unzip();
        let fields: Result<Vec<_>, _> = names.iter().zip(&columns).map(|(name, column)| column.schema(name).map(Arc::new)).collect();
        let schema = Type::group_type_builder("schema").with_fields(fields?).build()?;
        // Nobody looks for a text by its range; and the name of the writer would change the bytes with every release of it.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_created_by("endcap".to_owned())
            .build();
        let sink = Sink::default();
        let mut writer = SerializedFileWriter::new(sink.clone(), Arc::new(schema), Arc::new(properties))?;
        writer.flush()?;
        Ok(Self { profile, sink, writer, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row; a group that is full is written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), ParquetError> {
        match *record {
            Record::Pair { prompt, chosen, rejected, margin } => {
                self.bytes += prompt.len() + chosen.len() + rejected.len();
                match self.profile {
                    Profile::TrlPreferenceChat => self.push(&[
                        Cell::Chat(&[("user", prompt)]),
                        Cell::Chat(&[("assistant", chosen)]),
                        Cell::Chat(&[("assistant", rejected)]),
                    ]),
                    Profile::Reward => self.push(&[
                        Cell::Chat(&[("user", prompt), ("assistant", chosen)]),
                        Cell::Chat(&[("user", prompt), ("assistant", rejected)]),
                        Cell::Real(margin),
                    ]),
                    Profile::HhRlhf => self.push(&[Cell::Text(&[&dialogue(prompt, chosen)]), Cell::Text(&[&dialogue(prompt, rejected)])]),
                    _ => self.push(&[Cell::Text(&[prompt]), Cell::Text(&[" ", chosen]), Cell::Text(&[" ", rejected])]),
                }
            }
            Record::Answer { prompt, text, label } => {
                self.bytes += prompt.len() + text.len();
                let (prompt, completion) = (Cell::Chat(&[("user", prompt)]), Cell::Chat(&[("assistant", text)]));
                match label {
                    Some(label) => self.push(&[prompt, completion, Cell::Flag(label)]),
                    None => self.push(&[prompt, completion]),
                }
            }
            Record::Judgment(row) => {
                let line = JudgmentLine::from(row);
                self.bytes += 200;
                self.push(&[
                    Cell::Text(&[line.task]),
                    Cell::Text(&[&line.worker]),
                    Cell::Text(&[line.label]),
                    Cell::Text(&[line.task_type]),
                    Cell::List(line.display_order),
                    Cell::List(line.reasons),
                    Cell::Real(line.confidence),
                    Cell::Real(line.time_spent_seconds),
                    Cell::Real(line.weight),
                    Cell::Whole(i64::from(line.rubric_version)),
                    Cell::Flag(line.is_simulated),
                    Cell::Text(&[&line.judged_at]),
                ]);
            }
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn push(&mut self, cells: &[Cell<'_>]) {
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        self.columns.iter_mut().try_for_each(|column| column.write(&mut group))?;
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(self.writer.flush()?)
    }

    /// Moves what is written behind other bytes.
    pub fn take_into(&mut self, bytes: &mut Vec<u8>) {
        bytes.append(&mut self.sink.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.close()?;
        Ok(self.sink.take())
    }
}
