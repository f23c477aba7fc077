//! Files become rows once, wrong rows are named, and nothing is half-written.

use std::cell::RefCell;
use std::io::Write;

use flate2::write::GzEncoder;
use storage::error::StorageError;
use storage::imports::{Compression, Format, OnError, Request, Table, load};
use storage::page::Page;
use storage::performance::summary::{SummaryQuery, summarise};
use storage::{brands, campaigns, performance, retailers, skus};

use crate::{SAMPLE, import, now, request, sample, system, tenant, with_sample};

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

#[test]
fn the_sample_is_loaded_and_loading_it_again_changes_nothing() {
    for database in with_sample() {
        let mut conn = database.connect();
        for (table, name) in SAMPLE {
            let again = import(&mut conn, &request(table, sample(name)));
            assert!(again.received > 0);
            assert_eq!((again.unchanged, again.inserted, again.updated), (again.received, 0, 0), "{} {name}", database.kind());
            let known = import(&mut conn, &Request { skips_known_files: true, ..request(table, sample(name)) });
            assert!(known.is_known && known.unchanged == again.received);
        }
        assert_eq!(performance::count(&mut conn, &system()).unwrap(), 161);
        assert_eq!(skus::count(&mut conn, &system()).unwrap(), 77);
    }
}

#[test]
fn the_samples_columns_reach_the_fields_they_mean() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        assert_eq!(campaign.tenant_id, "tnt-m69-private", "the tenant of the lead brand");
        assert_eq!(campaign.target_audiences.0, serde_json::json!(["aud-mailing-09"]));
        assert_eq!(campaign.attributes["households_targeted"], 176);
        assert!(campaign.target_skus.as_array().unwrap().iter().any(|sku| sku == "cj-9677466"));
        assert_eq!((campaign.objective, campaign.total_budget_micros), (None, None), "empty is null");
        let instore = campaigns::find(&mut conn, &system(), "cmp-instore-display").unwrap();
        assert_eq!((instore.tenant_id.as_str(), instore.brand_id), ("rtl-grocer-cj", None), "without a brand it is the retailer's");
        let sku = skus::find(&mut conn, &system(), None, "cj-831628").unwrap();
        assert_eq!((sku.price_micros, sku.currency.as_deref(), sku.is_in_stock), (Some(4_275_000), Some("USD"), None));
        assert_eq!(sku.attributes["department"], "MEAT");
        let rows =
            summarise(&mut conn, &system(), &SummaryQuery { campaign_id: Some("cmp-dm-09".into()), limit: 10, ..Default::default() });
        // Summed by hand from the file: 23.50 spend, 58.79 revenue, 43 redemptions, 176 deliveries, no clicks.
        let [row] = rows.unwrap().try_into().unwrap();
        assert_eq!((row.spend_micros, row.revenue_micros), (Some(23_500_000), Some(58_790_000)));
        assert_eq!((row.conversions, row.impressions, row.clicks, row.rows), (Some(43), Some(176), None, 41));
    }
}

#[test]
fn wrong_rows_are_named_and_abort_or_are_skipped() {
    let text = "retailer_id,name,country,colour\nrtl-a,A,US,red\nrtl b,B,US,\n,C,US,\nrtl-d,D,USA,\nrtl-e,E\nrtl-f,F,FR,\n";
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let file = file(text.as_bytes());
        let aborted = import(&mut conn, &request(Table::Retailers, file.path().to_owned()));
        let found: Vec<(u64, &str)> = aborted.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
        assert_eq!(found, [(3, "retailer_id"), (4, "retailer_id"), (5, "country"), (6, "")]);
        assert_eq!((aborted.received, aborted.rejected, aborted.inserted, aborted.is_kept), (6, 4, 0, false));
        assert_eq!(aborted.ignored_columns, ["colour"]);
        assert_eq!(retailers::count(&mut conn).unwrap(), 0);

        let dry = Request { is_dry_run: true, on_error: OnError::Skip, ..request(Table::Retailers, file.path().to_owned()) };
        let dry = import(&mut conn, &dry);
        assert_eq!((dry.inserted, dry.is_kept, retailers::count(&mut conn).unwrap()), (2, false, 0));

        let skipped = import(&mut conn, &Request { on_error: OnError::Skip, ..request(Table::Retailers, file.path().to_owned()) });
        assert_eq!((skipped.inserted, skipped.rejected, skipped.is_kept), (2, 4, true));
        assert_eq!(retailers::count(&mut conn).unwrap(), 2);
    }
}

#[test]
fn a_file_with_some_columns_changes_only_those() {
    for database in with_sample() {
        let mut conn = database.connect();
        let before = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let file = file(b"campaign_id,tenant_id,total_budget\ncmp-dm-09,tnt-m69-private,500.5\n");
        let outcome = import(&mut conn, &request(Table::Campaigns, file.path().to_owned()));
        assert_eq!((outcome.updated, outcome.rejected), (1, 0), "{:?}", outcome.errors);
        let after = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        assert_eq!((after.total_budget_micros, after.version), (Some(500_500_000), before.version + 1));
        assert_eq!((after.name, after.target_skus), (before.name, before.target_skus));
    }
}

#[test]
fn a_broken_gzip_file_is_refused_with_its_place_and_leaves_nothing() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&std::fs::read(sample("brands")).unwrap()).unwrap();
    let whole = encoder.finish().unwrap();
    for database in testkit::database::all() {
        let mut conn = database.connect();
        import(&mut conn, &request(Table::Retailers, sample("retailers")));
        let cut = file(&whole[..whole.len() - 40]);
        let gzip = Request { compression: Compression::Gzip, ..request(Table::Brands, cut.path().to_owned()) };
        let error = load(&mut conn, &system(), &gzip, now(), &|_| {}).unwrap_err();
        assert!(
            matches!(&error, StorageError::Invalid(invalid) if invalid.fields[0].field == "file" && error.to_string().contains("line"))
        );
        let none = brands::list(&mut conn, &system(), &brands::BrandFilter::default(), &Page::first(10)).unwrap();
        assert!(none.rows.is_empty(), "{}", database.kind());
        let whole = file(&whole);
        assert_eq!(
            import(&mut conn, &Request { compression: Compression::Gzip, ..request(Table::Brands, whole.path().to_owned()) }).inserted,
            24
        );
    }
}

#[test]
fn newline_delimited_json_is_read_and_progress_is_told() {
    let text = "{\"retailer_id\":\"rtl-a\",\"name\":\"A\",\"policies\":{\"disallowed_terms\":[\"free\"]}}\n\n{\"name\":7}\n";
    let database = testkit::database::sqlite();
    let mut conn = database.connect();
    let file = file(text.as_bytes());
    let heard = RefCell::new(Vec::new());
    let wanted = Request { format: Format::Ndjson, on_error: OnError::Skip, ..request(Table::Retailers, file.path().to_owned()) };
    let outcome = load(&mut conn, &system(), &wanted, now(), &|rows| heard.borrow_mut().push(rows)).unwrap();
    assert_eq!((outcome.inserted, outcome.rejected, outcome.errors[0].line), (1, 1, 3));
    assert_eq!(heard.into_inner().last(), Some(&2));
    assert_eq!(retailers::find(&mut conn, "rtl-a").unwrap().policies["disallowed_terms"][0], "free");
}

#[test]
fn an_unclosed_quote_does_not_read_the_whole_file_into_memory() {
    let mut text = b"retailer_id,name\nrtl-a,\"A".to_vec();
    text.extend(std::iter::repeat_n(b'x', 4 << 20));
    let database = testkit::database::sqlite();
    let file = file(&text);
    let error = load(&mut database.connect(), &system(), &request(Table::Retailers, file.path().to_owned()), now(), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn a_tenant_loads_only_what_is_its_own() {
    for database in with_sample() {
        let mut conn = database.connect();
        let analyst = tenant("tnt-m2-national");
        let file = file(b"brand_id,tenant_id,name\nbrd-new,tnt-m2-national,New\nbrd-m69-private,tnt-m2-national,Mine now\n");
        let wanted = Request { on_error: OnError::Skip, ..request(Table::Brands, file.path().to_owned()) };
        let outcome = load(&mut conn, &analyst, &wanted, now(), &|_| {}).unwrap();
        assert_eq!((outcome.inserted, outcome.rejected, outcome.errors[0].line), (1, 1, 3), "{}", database.kind());
        let wanted = Request { on_error: OnError::Skip, ..request(Table::Performance, sample("performance_metrics")) };
        let outcome = load(&mut conn, &analyst, &wanted, now(), &|_| {}).unwrap();
        assert_eq!((outcome.rejected, outcome.received), (161, 161), "none of these campaigns is visible to this tenant");
    }
}
