//! Parquet files: what they unpack to is bounded whatever they say of themselves, and days are read from every unit of time.

use std::sync::Arc;

use parquet::basic::{Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use storage::error::StorageError;
use storage::imports::{Compression, Format, OnError, Outcome, Request, Table, load};
use tempfile::NamedTempFile;

use crate::{import, now, system, with_sample};

const CAMPAIGN: &str = "cmp-instore-display";

enum Column {
    Texts(Vec<String>),
    Numbers(Vec<i64>),
}

fn file(message: &str, properties: WriterPropertiesBuilder, columns: &[Column]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(file.reopen().unwrap(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut one = group.next_column().unwrap().unwrap();
        match column {
            Column::Texts(texts) => {
                let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
                one.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap()
            }
            Column::Numbers(numbers) => one.typed::<Int64Type>().write_batch(numbers, None, None).unwrap(),
        };
        one.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    file
}

/// Rows of performance with a column that nothing reads.
fn with_note(properties: WriterPropertiesBuilder, notes: Vec<String>) -> NamedTempFile {
    let repeat = |text: &str| Column::Texts(vec![text.to_owned(); notes.len()]);
    let message = "message rows { required binary campaign_id (UTF8); required binary date (UTF8); required binary note (UTF8); }";
    file(message, properties, &[repeat(CAMPAIGN), repeat("2033-01-01"), Column::Texts(notes)])
}

fn asked(file: &NamedTempFile) -> Request {
    Request { on_error: OnError::Skip, ..Request::new(Table::Performance, file.path(), Format::Parquet, Compression::None) }
}

fn refusal(file: &NamedTempFile) -> String {
    let database = testkit::database::sqlite();
    let error = load(&mut database.connect(), &system(), &asked(file), now(), &|_| {}).unwrap_err();
    assert!(matches!(&error, StorageError::Invalid(invalid) if invalid.fields[0].field == "file"), "{error}");
    error.to_string()
}

fn packed(codec: Codec) -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(codec)
}

#[test]
fn a_large_value_is_refused_before_it_fills_the_memory_also_where_nothing_reads_it() {
    let zstd = || packed(Codec::ZSTD(ZstdLevel::default()));
    for codec in [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::GZIP(GzipLevel::default()), Codec::ZSTD(ZstdLevel::default())] {
        let said = refusal(&with_note(packed(codec), vec!["a".repeat(20 << 20)]));
        assert!(said.contains("unpacks to over 16 MiB"), "{codec}: {said}");
    }
    let said = refusal(&with_note(zstd(), vec!["a".repeat(2 << 20)]));
    assert!(said.contains("longer than 1048576 bytes") && said.contains("line 1"), "{said}");
    let said = refusal(&with_note(zstd(), vec!["a".repeat(70 << 20)]));
    assert!(said.contains("500 times"), "{said}");
}

#[test]
fn a_value_that_is_written_once_and_meant_often_is_counted_each_time() {
    let file = with_note(packed(Codec::ZSTD(ZstdLevel::default())), vec!["a".repeat(900 << 10); 100]);
    assert!(file.as_file().metadata().unwrap().len() < 100 << 10, "it is a dictionary of one value");
    let said = refusal(&file);
    assert!(said.contains("500 times"), "{said}");
}

#[test]
fn codecs_and_encodings_that_are_not_taken_are_refused_in_words() {
    let small = || with_note(WriterProperties::builder(), vec!["x".to_owned()]);
    for (number, name) in [(4_u8, "BROTLI"), (5, "LZ4"), (7, "LZ4_RAW")] {
        let file = small();
        let mut bytes = std::fs::read(file.path()).unwrap();
        let place = bytes.windows(14).rposition(|some| some == b"\x0bcampaign_id\x15\x00").unwrap();
        bytes[place + 13] = number * 2;
        std::fs::write(file.path(), bytes).unwrap();
        let said = refusal(&file);
        assert!(said.contains(name) && said.contains("snappy, gzip, zstd, or not packed") && said.contains("campaign_id"), "{said}");
    }
    let delta = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let said = refusal(&with_note(delta, vec!["x".to_owned()]));
    assert!(said.contains("DELTA_BYTE_ARRAY") && said.contains("version 1.0"), "{said}");
}

#[test]
fn midnight_of_any_unit_is_a_day_and_other_times_are_row_errors() {
    const DAY: i64 = 1_991_433_600;
    for database in with_sample() {
        let mut conn = database.connect();
        let mut all: Vec<Outcome> = Vec::new();
        for (unit, factor) in [("MILLIS", 1_000), ("MICROS", 1_000_000), ("NANOS", 1_000_000_000)] {
            for is_utc in [true, false] {
                let message =
                    format!("message rows {{ required binary campaign_id (UTF8); required int64 date (TIMESTAMP({unit},{is_utc})); }}");
                let columns = [
                    Column::Texts(vec![CAMPAIGN.to_owned(), CAMPAIGN.to_owned()]),
                    Column::Numbers(vec![DAY * factor, (DAY + 8 * 3_600) * factor]),
                ];
                all.push(import(&mut conn, &asked(&file(&message, WriterProperties::builder(), &columns))));
            }
        }
        for (at, outcome) in all.iter().enumerate() {
            let wanted = if at == 0 { (1, 0, 1) } else { (0, 1, 1) };
            assert_eq!((outcome.inserted, outcome.unchanged, outcome.rejected), wanted, "{at}: {:?}", outcome.errors);
            let error = &outcome.errors[0];
            assert_eq!((error.line, error.field.as_str()), (2, "date"));
            assert!(error.message.contains("2033-02-08 08:00:00 UTC") && error.message.contains("time of day"), "{}", error.message);
        }
    }
}
