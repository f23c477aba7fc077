//! Imports that stop and go on, formats that mean the same, mappings, and what the ledger says of it all.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use domain::scope::Scope;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::imports::ledger::{self, ImportFilter};
use storage::imports::mapping::Mapping;
use storage::imports::run::{self, Watch};
use storage::imports::{Compression, Format, Limits, OnError, Outcome, Request, Table, load};
use storage::page::Page;
use storage::performance::summary::{SummaryQuery, summarise};
use storage::{outbox, performance, retailers};

use crate::{import, now, request, system, tenant, with_sample};

const CAMPAIGN: &str = "cmp-instore-display";
const TENANT: &str = "rtl-grocer-cj";

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Rows over several months, some wrong, some with the key of an earlier one.
fn rows(count: usize) -> String {
    let mut text = "campaign_id,date,placement_type,impressions,clicks,spend\n".to_owned();
    for at in 0..count {
        let (month, day) = (1 + at / 28 % 3, 1 + at % 28);
        let spend = if at % 17 == 3 { "much".to_owned() } else { format!("{}.{:02}", at % 90, at % 100) };
        writeln!(text, "{CAMPAIGN},2031-{month:02}-{day:02},p{},{},{},{spend}", at % 4, at * 10, at % 7).unwrap();
    }
    text
}

fn totals(conn: &mut Connection) -> String {
    let query = SummaryQuery { campaign_id: Some(CAMPAIGN.into()), limit: 10, ..Default::default() };
    format!("{:?} {}", summarise(conn, &system(), &query).unwrap(), performance::count(conn, &system()).unwrap())
}

#[test]
fn an_import_that_stops_anywhere_and_goes_on_gives_the_same_table() {
    let text = file(rows(200).as_bytes());
    let wanted = Request { on_error: OnError::Skip, batch_rows: 23, ..request(Table::Performance, text.path().to_owned()) };
    let whole = with_sample();
    for (database, reference) in with_sample().iter().zip(&whole) {
        let (mut conn, mut other) = (database.connect(), reference.connect());
        let once = import(&mut other, &wanted);
        assert_eq!((once.received, once.is_kept), (200, true));
        assert!(once.rejected > 5);
        let mut ids = Vec::new();
        let outcome = loop {
            let batches = Cell::new(0);
            let clock = now;
            let watch = Watch { progress: &|_| batches.set(batches.get() + 1), is_stopped: &|| batches.get() >= 2, ..Watch::quiet(&clock) };
            let prepared = run::prepare(&mut conn, &system(), &wanted, "running", now()).unwrap();
            ids.push(prepared.import_id().to_owned());
            match run::run(&mut conn, &system(), &wanted, prepared, &watch) {
                Ok(outcome) => break outcome,
                Err(StorageError::Unavailable(why)) => {
                    assert!(why.contains("goes on after row"), "{why}");
                    let row = ledger::find(&mut conn, &system(), ids.last().unwrap()).unwrap();
                    assert_eq!((row.state.as_str(), row.received), ("failed", 46 * ids.len() as i64));
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        ids.dedup();
        assert_eq!(ids.len(), 1, "one import, several attempts");
        let counts = |outcome: &Outcome| (outcome.received, outcome.inserted, outcome.updated, outcome.unchanged, outcome.rejected);
        assert_eq!(counts(&outcome), counts(&once), "{}", database.kind());
        assert_eq!(outcome.errors, once.errors);
        assert_eq!(totals(&mut conn), totals(&mut other), "{}", database.kind());
        let reported = ledger::errors(&mut conn, &system(), &ids[0], &Page::first(500)).unwrap();
        assert_eq!(reported.rows.len() as u64, once.rejected);
        assert_eq!((reported.rows[0].line, reported.rows[0].source_column.as_str()), (5, "spend"));
        let again = import(&mut conn, &wanted);
        assert_eq!((again.inserted, again.resumed_after, totals(&mut conn)), (0, 0, totals(&mut other)));
        let events: Vec<String> =
            outbox::after(&mut conn, 0, &[], 1000).unwrap().into_iter().filter(|e| e.topic == "imports").map(|e| e.event).collect();
        assert!(events.contains(&"import_progressed".to_owned()) && events.contains(&"import_finished".to_owned()));
    }
}

#[test]
fn the_same_file_is_loaded_by_one_at_a_time_and_a_dead_holder_is_buried() {
    let text = file(rows(20).as_bytes());
    let wanted = Request { on_error: OnError::Skip, ..request(Table::Performance, text.path().to_owned()) };
    for database in with_sample() {
        let (mut first, mut second) = (database.connect(), database.connect());
        let prepared = run::prepare(&mut first, &system(), &wanted, "running", now()).unwrap();
        let refused = run::prepare(&mut second, &system(), &wanted, "running", now()).err().unwrap();
        assert!(
            matches!(&refused, StorageError::Conflict { code: "import_running", why } if why.contains(prepared.import_id())),
            "{refused}"
        );
        let other_tenant = run::prepare(&mut second, &tenant(TENANT), &wanted, "running", now()).unwrap();
        other_tenant.abandon(&mut second, "not needed", now()).unwrap();
        assert_eq!(ledger::bury(&mut second, now()).unwrap(), 0, "somebody holds it");
        let id = prepared.import_id().to_owned();
        // As a killed process leaves it: nothing is said, the connection and its locks are gone.
        drop((prepared, first));
        let mut buried = 0;
        for _ in 0..100 {
            buried += ledger::bury(&mut second, now()).unwrap();
            if buried > 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let row = ledger::find(&mut second, &system(), &id).unwrap();
        assert_eq!((buried, row.state.as_str()), (1, "failed"), "{}", database.kind());
        assert!(row.message.unwrap().contains("send the same file again"));
        let outcome = import(&mut second, &wanted);
        assert_eq!((outcome.import_id, outcome.received), (id, 20), "the same import goes on");
    }
}

#[test]
fn the_ledger_belongs_to_tenants_and_dry_runs_keep_nothing() {
    let text = file(rows(30).as_bytes());
    for database in with_sample() {
        let mut conn = database.connect();
        let before = totals(&mut conn);
        let analyst = tenant(TENANT);
        let dry = Request { is_dry_run: true, ..request(Table::Performance, text.path().to_owned()) };
        let dry = load(&mut conn, &analyst, &dry, now(), &|_| {}).unwrap();
        let aborted = load(&mut conn, &analyst, &request(Table::Performance, text.path().to_owned()), now(), &|_| {}).unwrap();
        assert_eq!((dry.is_kept, aborted.is_kept, totals(&mut conn)), (false, false, before), "{}", database.kind());
        assert_eq!((dry.rejected, aborted.rejected, aborted.inserted), (2, 2, 0));
        let list =
            |conn: &mut Connection, scope: &Scope, filter: &ImportFilter| ledger::list(conn, scope, filter, &Page::first(10)).unwrap().rows;
        let ours = list(&mut conn, &analyst, &ImportFilter::default());
        let states: Vec<(&str, bool)> = ours.iter().map(|row| (row.state.as_str(), row.is_dry_run)).collect();
        assert_eq!(states, [("failed", false), ("finished", true)]);
        let failed = ImportFilter { state: Some("failed".into()), table: Some("performance".into()) };
        assert_eq!(list(&mut conn, &analyst, &failed).len(), 1);
        assert!(list(&mut conn, &tenant("tnt-m2-national"), &ImportFilter::default()).is_empty());
        let hidden = ledger::find(&mut conn, &tenant("tnt-m2-national"), &aborted.import_id);
        assert!(matches!(hidden, Err(StorageError::NotFound { .. })));
        assert_eq!(ledger::errors(&mut conn, &analyst, &aborted.import_id, &Page::first(10)).unwrap().rows.len(), 2);
    }
}

fn parquet_file() -> tempfile::NamedTempFile {
    let schema = "message rows { required binary campaign_id (UTF8); required binary date (UTF8); optional int64 impressions; optional binary spend (UTF8); }";
    let file = tempfile::NamedTempFile::new().unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file.reopen().unwrap(), schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let texts = |values: &[&str]| values.iter().map(|value| ByteArray::from(*value)).collect::<Vec<_>>();
    let mut group = writer.next_row_group().unwrap();
    for column in [texts(&[CAMPAIGN, CAMPAIGN]), texts(&["2032-02-01", "2032-02-02"])] {
        let mut one = group.next_column().unwrap().unwrap();
        one.typed::<ByteArrayType>().write_batch(&column, None, None).unwrap();
        one.close().unwrap();
    }
    let mut impressions = group.next_column().unwrap().unwrap();
    impressions.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None).unwrap();
    impressions.close().unwrap();
    let mut spend = group.next_column().unwrap().unwrap();
    spend.typed::<ByteArrayType>().write_batch(&texts(&["1.50", "x"]), Some(&[1, 1]), None).unwrap();
    spend.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

#[test]
fn all_formats_say_the_same_and_contradictions_are_refused() {
    let csv = format!("campaign_id,date,impressions,spend\n{CAMPAIGN},2032-02-01,7,1.50\n{CAMPAIGN},2032-02-02,,x\n");
    let ndjson = format!(
        "{{\"campaign_id\":\"{CAMPAIGN}\",\"date\":\"2032-02-01\",\"impressions\":7,\"spend\":\"1.50\"}}\n\
         {{\"campaign_id\":\"{CAMPAIGN}\",\"date\":\"2032-02-02\",\"impressions\":null,\"spend\":\"x\"}}\n"
    );
    let zstd = zstd::encode_all(csv.as_bytes(), 3).unwrap();
    let files = [
        (file(csv.as_bytes()), Format::Csv, Compression::None),
        (file(ndjson.as_bytes()), Format::Ndjson, Compression::None),
        (file(&zstd), Format::Csv, Compression::Zstd),
        (parquet_file(), Format::Parquet, Compression::None),
    ];
    for database in with_sample() {
        let mut conn = database.connect();
        for (at, (file, format, compression)) in files.iter().enumerate() {
            let wanted = Request { on_error: OnError::Skip, ..Request::new(Table::Performance, file.path(), *format, *compression) };
            let outcome = import(&mut conn, &wanted);
            let expected = if at == 0 { (1, 0) } else { (0, 1) };
            assert_eq!((outcome.inserted, outcome.unchanged), expected, "{} {format:?} {:?}", database.kind(), outcome.errors);
            assert_eq!((outcome.rejected, outcome.errors[0].field.as_str()), (1, "spend"));
        }
    }
    let database = testkit::database::sqlite();
    let mut conn = database.connect();
    for (place, format, compression, word) in [
        (0, Format::Csv, Compression::Gzip, "not packed by its first bytes"),
        (2, Format::Csv, Compression::None, "zstd by its first bytes"),
        (2, Format::Csv, Compression::Gzip, "zstd by its first bytes"),
        (3, Format::Csv, Compression::None, "Parquet by its first bytes"),
        (0, Format::Parquet, Compression::None, "is not Parquet"),
    ] {
        let wanted = Request::new(Table::Performance, files[place].0.path(), format, compression);
        let error = load(&mut conn, &system(), &wanted, now(), &|_| {}).unwrap_err();
        assert!(matches!(&error, StorageError::Invalid(_)) && error.to_string().contains(word), "{error}");
    }
    let long = format!("campaign_id,sku_id\n{}", format!("c,{}\n", "s".repeat(2_000)).repeat(40_000));
    let bomb = file(&zstd::encode_all(long.as_bytes(), 3).unwrap());
    let limits = Limits { max_unpacked_bytes: 50 << 20, ..Limits::default() };
    for limits in [limits, Limits { max_ratio: 10, ..Limits::default() }] {
        let wanted = Request { limits, is_dry_run: true, ..Request::new(Table::CampaignSkus, bomb.path(), Format::Csv, Compression::Zstd) };
        let error = load(&mut conn, &system(), &wanted, now(), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("unpacks to over"), "{error}");
    }
}

#[test]
fn a_retailers_mapping_reads_its_own_columns() {
    let config = json!({"performance": {"columns": {
        "campaign_id": "Kampagne",
        "date": {"from": "Tag", "format": "%d.%m.%Y"},
        "placement_type": {"from": "Platz", "values": {"SP": "sponsored_product"}},
        "impressions": {"from": "Einblendungen", "thousands": "."},
        "spend": {"from": "Kosten", "decimal": ",", "thousands": "."},
        "revenue": {"from": "Umsatz (Cent)", "unit": "cents"},
        "currency": {"constant": "EUR"}}}});
    let mapping = Mapping::parse(&config).unwrap().table(Table::Performance).cloned();
    let text = format!(
        "Kampagne,Tag,Platz,Einblendungen,Kosten,Umsatz (Cent)\n\
         {CAMPAIGN},31.01.2033,SP,12.345,\"1.234,56\",199\n\
         {CAMPAIGN},01.02.2033,XX,1,1,1\n"
    );
    let text = file(text.as_bytes());
    for database in with_sample() {
        let mut conn = database.connect();
        let wanted = Request {
            on_error: OnError::Skip,
            retailer_id: Some(TENANT.into()),
            mapping: mapping.clone(),
            ..request(Table::Performance, text.path().to_owned())
        };
        let outcome = import(&mut conn, &wanted);
        assert_eq!((outcome.inserted, outcome.rejected), (1, 1), "{:?}", outcome.errors);
        let error = &outcome.errors[0];
        assert_eq!((error.line, error.field.as_str(), error.column.as_str()), (3, "placement_type", "Platz"));
        let day = "2033-01-31".parse().unwrap();
        let query = SummaryQuery { campaign_id: Some(CAMPAIGN.into()), from: Some(day), to: Some(day), limit: 5, ..Default::default() };
        let rows = summarise(&mut conn, &system(), &query).unwrap();
        assert_eq!(
            (rows[0].spend_micros, rows[0].revenue_micros, rows[0].impressions),
            (Some(1_234_560_000), Some(1_990_000), Some(12_345))
        );
        let other = Request { retailer_id: Some("rtl-fashion-zz".into()), ..wanted };
        assert!(
            import(&mut conn, &other).errors.iter().any(|error| error.message.contains("no campaign")),
            "a campaign of another retailer"
        );
        assert!(retailers::find(&mut conn, TENANT).is_ok());
    }
    for (config, path) in [
        (json!([]), "mapping_config"),
        (json!({"planets": {}}), "mapping_config.planets"),
        (json!({"performance": {"rows": 1}}), "mapping_config.performance"),
        (json!({"performance": {"columns": {"colour": "c"}}}), "mapping_config.performance.columns.colour"),
        (json!({"performance": {"columns": {"date": {"from": "d", "format": "%H:%M"}}}}), "mapping_config.performance.columns.date.format"),
        (json!({"performance": {"columns": {"spend": {"from": "s", "unit": "pounds"}}}}), "mapping_config.performance.columns.spend"),
        (json!({"performance": {"columns": {"sku_id": {"from": "s", "unit": "cents"}}}}), "mapping_config.performance.columns.sku_id.unit"),
        (
            json!({"performance": {"columns": {"spend": {"from": "s", "decimal": ".", "thousands": "."}}}}),
            "mapping_config.performance.columns.spend.thousands",
        ),
        (json!({"performance": {"columns": {"currency": {"constant": "euro"}}}}), "mapping_config.performance.columns.currency.constant"),
        (
            json!({"campaigns": {"columns": {"status": {"from": "s", "values": {"on": "running"}}}}}),
            "mapping_config.campaigns.columns.status.values.on",
        ),
    ] {
        let invalid = Mapping::parse(&config).unwrap_err();
        assert_eq!(invalid.fields[0].field, path, "{invalid}");
    }
}
