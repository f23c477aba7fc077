//! What an import of campaigns may not do to money and names, and where the wrong rows of a file begin.

use std::io::Write;

use storage::campaigns;
use storage::imports::{Format, OnError, Request, Table};
use storage::performance::summary::{SummaryQuery, summarise};

use crate::{import, request, system, with_sample};

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

fn skipping(table: Table, file: &tempfile::NamedTempFile) -> Request {
    Request { on_error: OnError::Skip, ..request(table, file.path().to_owned()) }
}

#[test]
fn the_currency_of_a_campaign_stays_once_anything_is_counted_in_it() {
    let header = "campaign_id,tenant_id,retailer_id,name,status,total_budget,currency\n";
    let all = |currency: &str, status: &str| {
        let row = |id: &str| format!("{id},rtl-grocer-cj,rtl-grocer-cj,{id},{status},9,{currency}\n");
        file(format!("{header}{}{}{}", row("drafted"), row("running"), row("measured")).as_bytes())
    };
    for database in with_sample() {
        let mut conn = database.connect();
        let made = import(&mut conn, &skipping(Table::Campaigns, &all("EUR", "draft")));
        assert_eq!((made.inserted, made.rejected), (3, 0), "{:?}", made.errors);
        let started = file(b"campaign_id,tenant_id,status\nrunning,rtl-grocer-cj,active\n");
        assert_eq!(import(&mut conn, &skipping(Table::Campaigns, &started)).updated, 1);
        let rows = file(b"campaign_id,date,impressions\nmeasured,2033-01-01,5\n");
        assert_eq!(import(&mut conn, &skipping(Table::Performance, &rows)).inserted, 1);

        let changed = import(&mut conn, &skipping(Table::Campaigns, &all("USD", "draft")));
        let found: Vec<(u64, &str, &str)> =
            changed.errors.iter().map(|error| (error.line, error.field.as_str(), error.column.as_str())).collect();
        assert_eq!(found, [(3, "currency", "currency"), (4, "currency", "currency")], "{}", database.kind());
        assert_eq!(changed.updated, 1, "a draft without rows may change");
        for (error, why) in changed.errors.iter().zip(["is active", "has performance rows"]) {
            assert!(error.message.contains("is EUR") && error.message.contains(why), "{}", error.message);
        }
        for (id, currency) in [("drafted", "USD"), ("running", "EUR"), ("measured", "EUR")] {
            assert_eq!(campaigns::find(&mut conn, &system(), id).unwrap().currency.as_deref(), Some(currency), "{id}");
        }
    }
}

#[test]
fn a_budget_needs_a_currency_and_words_of_addresses_are_no_ids() {
    let text = "campaign_id,tenant_id,retailer_id,name,total_budget,currency\n\
        poor,rtl-grocer-cj,rtl-grocer-cj,Poor,9,\n\
        bulk,rtl-grocer-cj,rtl-grocer-cj,Bulk,9,EUR\n\
        free,rtl-grocer-cj,rtl-grocer-cj,Free,,\n";
    let later = file(b"campaign_id,tenant_id,total_budget\nfree,rtl-grocer-cj,5\ncmp-instore-display,rtl-grocer-cj,5\n");
    for database in with_sample() {
        let mut conn = database.connect();
        let made = import(&mut conn, &skipping(Table::Campaigns, &file(text.as_bytes())));
        let found: Vec<(u64, &str)> = made.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
        assert_eq!((made.inserted, found), (1, vec![(2, "currency"), (3, "campaign_id")]), "{:?}", made.errors);
        let changed = import(&mut conn, &skipping(Table::Campaigns, &later));
        assert_eq!((changed.updated, changed.errors[0].line, changed.errors[0].field.as_str()), (1, 2, "currency"), "{:?}", changed.errors);
    }
}

#[test]
fn a_wrong_row_is_named_by_the_line_on_which_it_begins() {
    // Each file with the lines of its rows, all of which are wrong.
    let cases: [(&str, &[u64]); 11] = [
        ("campaign_id,date\na,x\nb,x\n", &[2, 3]),
        ("campaign_id,date\r\na,x\r\nb,x\r\n", &[2, 3]),
        ("campaign_id,date\n\n\na,x\n\nb,x\n\n", &[4, 6]),
        ("campaign_id,date\r\n\r\n\r\na,x\r\n\r\nb,x\r\n", &[4, 6]),
        ("campaign_id,date\na,x\nb,x", &[2, 3]),
        ("campaign_id,date\r\na,x\r\n\r\nb,x", &[2, 4]),
        ("\u{feff}campaign_id,date\r\n\na,x\r\nb,x\n", &[3, 4]),
        ("campaign_id,date\n\"a\nb\",x\nb,\"x\n\ny\"\nc,x\n", &[2, 4, 7]),
        ("campaign_id,date\r\n\"a\r\nb\",x\r\n\r\nb,\"x\r\n\r\ny\"\r\nc,x", &[2, 5, 8]),
        ("\n\r\ncampaign_id,date,\"da\nte\"\na,x\n\"b\n\",x,\nc,x", &[5, 6, 8]),
        ("campaign_id,date\n\na,\"x\n", &[3]),
    ];
    let database = testkit::database::sqlite();
    let mut conn = database.connect();
    for (text, wanted) in cases {
        let outcome = import(&mut conn, &skipping(Table::Performance, &file(text.as_bytes())));
        let lines: Vec<u64> = outcome.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, wanted, "{text:?}: {:?}", outcome.errors);
    }
}

#[test]
fn of_two_rows_of_one_key_the_last_counts_and_the_same_file_again_changes_nothing() {
    let days = file(
        b"campaign_id,date,placement_type,spend\ncmp-instore-display,2033-01-01,a,1\ncmp-instore-display,2033-01-02,a,5\n\
          cmp-instore-display,2033-01-01,a,x\ncmp-instore-display,2033-01-01,a,2\n",
    );
    let brands = file(b"{\"brand_id\":\"brd-x\",\"name\":\"One\",\"tier\":\"gold\"}\n{\"brand_id\":\"brd-x\",\"name\":\"Two\"}\n");
    let brands = Request { format: Format::Ndjson, ..skipping(Table::Brands, &brands) };
    for database in with_sample() {
        let mut conn = database.connect();
        for (request, wrong, rows) in [(skipping(Table::Performance, &days), 1, 2), (brands.clone(), 0, 1)] {
            let first = import(&mut conn, &request);
            assert_eq!((first.inserted, first.superseded, first.rejected), (rows, 1, wrong), "{} {:?}", database.kind(), first.errors);
            let again = import(&mut conn, &request);
            let counts = (again.inserted, again.updated, again.unchanged, again.superseded, again.rejected);
            assert_eq!(counts, (0, 0, rows, 1, wrong), "{}", database.kind());
        }
        let brand = storage::brands::find(&mut conn, &system(), "brd-x").unwrap();
        assert_eq!(brand.name, "Two");
        let filter = SummaryQuery { campaign_id: Some("cmp-instore-display".into()), limit: 10, ..Default::default() };
        let spent: i64 = summarise(&mut conn, &system(), &filter).unwrap().iter().filter_map(|row| row.spend_micros).sum();
        assert_eq!(spent, 7_000_000);
    }
}
