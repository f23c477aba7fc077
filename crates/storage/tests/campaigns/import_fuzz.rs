//! Files that are broken in every way a seeded chance finds, in each format and packing, and mappings of columns likewise: nothing of ours may
//! panic, every row that was read is counted once, and memory does not grow.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Map, Value, json};
use storage::error::StorageError;
use storage::imports::mapping::Mapping;
use storage::imports::{Compression, Format, OnError, Request, Table, load};
use testkit::fuzz::{self, Chance};

use crate::{SAMPLE, import, now, request, sample, system};

/// What may be held at the end beyond what was held after the first tenth: allocators keep some.
const GROWTH_BYTES: usize = 96 * 1024 * 1024;

/// The header and the first rows of a sample file.
fn head(name: &str) -> String {
    let text = std::fs::read_to_string(sample(name)).unwrap();
    text.lines().take(6).map(|line| format!("{line}\n")).collect()
}

fn ndjson(csv: &str) -> String {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let members: Map<String, Value> = header.iter().zip(&row).map(|(name, value)| (name.to_owned(), json!(value))).collect();
        Value::Object(members).to_string() + "\n"
    });
    rows.collect()
}

fn parquet(csv: &str, codec: Codec) -> Vec<u8> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let columns: String = header.iter().map(|name| format!("required binary {name} (UTF8); ")).collect();
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {columns} }}")).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for at in 0..header.len() {
        let texts: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(&row[at])).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Counts panics in our own code: those of the Parquet library on what is no Parquet are caught where they come from.
fn our_panics() -> Arc<AtomicUsize> {
    let (count, kept) = (Arc::new(AtomicUsize::new(0)), std::panic::take_hook());
    let counted = count.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", std::panic::Location::file);
        if !file.contains("/parquet-") && !file.contains("/bytes-") && !file.starts_with("/rustc/") {
            counted.fetch_add(1, Ordering::SeqCst);
            kept(panic);
        }
    }));
    count
}

/// Loads broken files of a format and packing into every table.
fn break_files(name: &str, inputs: u64, format: Format, compression: Compression, made: impl Fn(&str) -> Vec<Vec<u8>>) {
    let database = testkit::database::sqlite();
    let mut conn = database.connect();
    for (table, name) in SAMPLE {
        import(&mut conn, &request(table, sample(name)));
    }
    let panics = our_panics();
    let corpora: Vec<(Table, Vec<Vec<u8>>)> = SAMPLE.iter().map(|(table, name)| (*table, made(&head(name)))).collect();
    let all: Vec<Vec<u8>> = corpora.iter().flat_map(|(_, files)| files.clone()).collect();
    let (mut read, mut kept, mut rejected, mut refused, mut held, mut given) = (0, 0, 0, 0, 0, 0_u64);
    let looked = fuzz::run(name, inputs, &all, |chance, input| {
        given += 1;
        if given == inputs / 10 {
            held = fuzz::resident();
        }
        let table = chance.one_of(&corpora).0;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(input).unwrap();
        let asked = Request {
            on_error: *chance.one_of(&[OnError::Abort, OnError::Skip]),
            is_dry_run: chance.below(3) == 0,
            batch_rows: 1 + chance.below(4),
            ..Request::new(table, file.path(), format, compression)
        };
        match load(&mut conn, &system(), &asked, now(), &|_| {}) {
            Ok(outcome) => {
                let settled = outcome.inserted + outcome.updated + outcome.unchanged + outcome.superseded + outcome.rejected;
                let is_whole = outcome.is_known || !outcome.is_kept || asked.is_dry_run || settled == outcome.received;
                assert!(is_whole, "{table:?} {outcome:?}: {:?}", String::from_utf8_lossy(input));
                read += outcome.received;
                kept += outcome.inserted + outcome.updated;
                rejected += outcome.rejected;
            }
            // The file is refused with the reason; anything else would be a fault of ours.
            Err(StorageError::Invalid(invalid)) => {
                assert!(!invalid.fields.is_empty() && invalid.fields.iter().all(|field| !field.message.is_empty()));
                refused += 1;
            }
            Err(error) => panic!("{table:?} {error}: {:?}", String::from_utf8_lossy(input)),
        }
        assert_eq!(panics.load(Ordering::SeqCst), 0, "{table:?}: {:?}", String::from_utf8_lossy(input));
    });
    println!("{name}: {looked} files, {read} rows read, {kept} kept, {rejected} rejected, {refused} files refused");
    // A line of JSON that is wrong is a wrong row; the others refuse the file.
    assert!(read > looked / 10 && rejected + refused > looked / 10, "the fuzz reaches nothing");
    if held > 0 {
        let grown = fuzz::resident().saturating_sub(held);
        assert!(grown < GROWTH_BYTES, "{grown} bytes more than after the first tenth");
    }
}

#[test]
fn broken_csv_files_do_no_harm() {
    break_files("csv", 1_500, Format::Csv, Compression::None, |csv| vec![csv.as_bytes().to_vec(), csv.replace(',', ";").into_bytes()]);
}

#[test]
fn broken_ndjson_files_do_no_harm() {
    break_files("ndjson", 1_500, Format::Ndjson, Compression::None, |csv| vec![ndjson(csv).into_bytes()]);
}

#[test]
fn broken_packed_files_do_no_harm() {
    break_files("gzip", 700, Format::Csv, Compression::Gzip, |csv| vec![gzip(csv.as_bytes())]);
    break_files("zstd", 700, Format::Ndjson, Compression::Zstd, |csv| vec![zstd::encode_all(ndjson(csv).as_bytes(), 3).unwrap()]);
}

#[test]
fn broken_parquet_files_do_no_harm() {
    break_files("parquet", 1_000, Format::Parquet, Compression::None, |csv| {
        let codecs = [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::GZIP(GzipLevel::default()), Codec::ZSTD(ZstdLevel::default())];
        codecs.into_iter().map(|codec| parquet(csv, codec)).collect()
    });
}

/// A mapping with every kind of rule.
fn mapping() -> Value {
    json!({"performance": {"others": "ignore", "columns": {
        "campaign_id": {"from": "Campaign", "values": {"A": "cmp-instore-display"}, "otherwise": "keep"},
        "date": {"from": "Day", "format": "%d/%m/%Y"},
        "impressions": {"from": "Imps", "thousands": ".", "decimal": ","},
        "spend": {"from": "Cost", "unit": "cents"},
        "placement": {"constant": "onsite_display"},
    }}, "skus": {"columns": {"title": {"from": "Name"}}}})
}

#[test]
fn broken_mappings_are_refused_or_mean_the_same_when_written_down() {
    let corpus =
        [mapping().to_string().into_bytes(), json!({"performance": {"columns": {"date": {"from": "D"}}}}).to_string().into_bytes()];
    let panics = our_panics();
    let database = testkit::database::sqlite();
    let mut conn = database.connect();
    for (table, name) in SAMPLE {
        import(&mut conn, &request(table, sample(name)));
    }
    let (mut taken, mut refused) = (0_u64, 0_u64);
    let looked = fuzz::run("mappings", 4_000, &corpus, |chance: &mut Chance, input| {
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
        match Mapping::parse(&value) {
            Ok(mapping) => {
                taken += 1;
                assert_eq!(Mapping::parse(&serde_json::to_value(&mapping).unwrap()).unwrap(), mapping, "{value}");
                let Some(rules) = mapping.table(Table::Performance) else { return };
                let mut file = tempfile::NamedTempFile::new().unwrap();
                let cells =
                    [*chance.one_of(&["A", "B", "cmp-instore-display"]), *chance.one_of(&["31/12/2032", "2032-12-31", "31/02/2032"])];
                write!(file, "Campaign,Day,Imps,Cost,D\n{},{},\"1.234,5\",99,x\n", cells[0], cells[1]).unwrap();
                let asked = Request {
                    on_error: OnError::Skip,
                    is_dry_run: true,
                    mapping: Some(rules.clone()),
                    ..Request::new(Table::Performance, file.path(), Format::Csv, Compression::None)
                };
                if let Err(error) = load(&mut conn, &system(), &asked, now(), &|_| {}) {
                    assert!(matches!(error, StorageError::Invalid(_)), "{value}: {error}");
                }
            }
            Err(invalid) => {
                refused += 1;
                assert!(invalid.fields.iter().all(|field| !field.message.is_empty()), "{value}");
            }
        }
        assert_eq!(panics.load(Ordering::SeqCst), 0, "{value}");
    });
    println!("mappings: {taken} taken, {refused} refused");
    assert!(taken > looked / 50 && refused > looked / 50, "{taken} taken, {refused} refused: the fuzz reaches nothing");
}
