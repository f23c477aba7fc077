//! Rows have a natural key; sums are sums, by group, and money is never mixed.

use chrono::NaiveDate;
use storage::campaigns;
use storage::error::StorageError;
use storage::performance::bulk::Bulk;
use storage::performance::summary::{Dimension, SummaryQuery, summarise};
use storage::performance::{NewMetric, WriteMode, Written, count, record};
use storage::store;

use crate::{now, system, with_sample};

fn metric(campaign: &campaigns::Campaign, date: &str, clicks: Option<i64>) -> NewMetric {
    NewMetric {
        campaign: campaign.id,
        tenant_id: campaign.tenant_id.clone(),
        date: date.parse::<NaiveDate>().unwrap(),
        placement_type: "search".into(),
        audience_segment: String::new(),
        category: String::new(),
        sku_id: String::new(),
        impression_kind: String::new(),
        impressions: Some(100),
        clicks,
        conversions: None,
        spend_micros: Some(1_000_000),
        revenue_micros: None,
        units_sold: None,
        new_to_brand_conversions: None,
        currency: None,
        source: "api".into(),
    }
}

#[test]
fn a_row_is_written_once_by_its_natural_key() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let rows = [metric(&campaign, "2017-06-01", Some(3)), metric(&campaign, "2017-06-02", None)];
        let mut write = |rows: &[NewMetric], mode| record(&mut conn, rows, mode, now()).unwrap();
        assert_eq!(write(&rows, WriteMode::Replace), Written { inserted: 2, updated: 0, unchanged: 0 });
        assert_eq!(write(&rows, WriteMode::Replace), Written { inserted: 0, updated: 0, unchanged: 2 });
        let changed = [metric(&campaign, "2017-06-01", Some(4)), rows[1].clone()];
        assert_eq!(write(&changed, WriteMode::Replace), Written { inserted: 0, updated: 1, unchanged: 1 });
        let twice = [metric(&campaign, "2017-06-03", Some(1)), metric(&campaign, "2017-06-03", Some(2))];
        assert_eq!(write(&twice, WriteMode::Replace), Written { inserted: 1, updated: 1, unchanged: 0 }, "the later row stands");
        assert_eq!(write(&twice[..1], WriteMode::Add), Written { inserted: 0, updated: 1, unchanged: 0 });
        let query =
            SummaryQuery { placement_type: Some("search".into()), group_by: vec![Dimension::Day], limit: 10, ..SummaryQuery::default() };
        let days = summarise(&mut conn, &system(), &query).unwrap();
        let clicks: Vec<Option<i64>> = days.iter().map(|day| day.clicks).collect();
        assert_eq!(clicks, [Some(4), None, Some(3)], "{}: absent is not zero", database.kind());
    }
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        // 2017-06-04 is a Sunday, 2017-06-05 a Monday.
        let rows = ["2017-05-31", "2017-06-04", "2017-06-05"].map(|day| metric(&campaign, day, Some(1)));
        record(&mut conn, &rows, WriteMode::Replace, now()).unwrap();
        let mut groups = |by| {
            let query = SummaryQuery { placement_type: Some("search".into()), group_by: vec![by], limit: 10, ..SummaryQuery::default() };
            summarise(&mut conn, &system(), &query).unwrap().into_iter().map(|row| (row.group[0].clone(), row.rows)).collect::<Vec<_>>()
        };
        assert_eq!(groups(Dimension::Week), [("2017-05-29".to_owned(), 2), ("2017-06-05".to_owned(), 1)], "{}", database.kind());
        assert_eq!(groups(Dimension::Month), [("2017-05-01".to_owned(), 1), ("2017-06-01".to_owned(), 2)]);
    }
}

#[test]
fn ratios_have_both_sides_from_the_rows_that_measure_both() {
    for database in with_sample() {
        let mut conn = database.connect();
        let query = SummaryQuery { group_by: vec![Dimension::Retailer], limit: 10, ..SummaryQuery::default() };
        let rows = summarise(&mut conn, &system(), &query).unwrap();
        // By hand from the file: onsite 131 + 44 + 7 + 20 impressions, 3 + 3 + 1 + 3 clicks, no currency.
        let onsite = rows.iter().find(|row| row.group[0] == "rtl-fashion-zz").unwrap();
        assert_eq!((onsite.clicks, onsite.impressions, onsite.currency.as_deref()), (Some(10), Some(202), None), "{}", database.kind());
        assert_eq!(onsite.pairs[0], (onsite.clicks, onsite.impressions));
        let grocer = rows.iter().find(|row| row.group[0] == "rtl-grocer-cj").unwrap();
        assert_eq!(grocer.pairs[0], (None, None), "no row of the grocer has clicks");
        assert_eq!((grocer.spend_micros, grocer.revenue_micros), (Some(65_480_000), Some(159_780_000)));
    }
}

#[test]
fn rows_need_their_campaign_and_go_with_it() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let orphan = NewMetric { campaign: i64::MAX, ..metric(&campaign, "2017-06-01", Some(1)) };
        let refused = |error: StorageError| {
            let is_named = matches!(&error, StorageError::Invalid(invalid) if invalid.fields[0].field == "campaign_id");
            assert!(is_named, "{}: {error:?}", database.kind());
        };
        let before = count(&mut conn, &system()).unwrap();
        let one_by_one = store::transaction(&mut conn, |conn| record(conn, std::slice::from_ref(&orphan), WriteMode::Replace, now()));
        refused(one_by_one.unwrap_err());
        let in_bulk = store::transaction(&mut conn, |conn| {
            let mut bulk = Bulk::default();
            bulk.write(conn, &[metric(&campaign, "2017-06-01", Some(1)), orphan.clone()], now())?;
            bulk.finish(conn, now())
        });
        refused(in_bulk.unwrap_err());
        assert_eq!(count(&mut conn, &system()).unwrap(), before, "{}: nothing is kept of either", database.kind());
        campaigns::delete(&mut conn, &campaign).unwrap();
        assert!(count(&mut conn, &system()).unwrap() < before, "{}: its rows went with it", database.kind());
    }
}

/// First writes of one day by many at once: each is told that its rows are stored, one of them stands, and the sums are those of the rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_all_succeed_and_sums_stay_right() {
    const WRITERS: i64 = 8;
    for database in with_sample() {
        let kind = database.kind();
        let campaign = campaigns::find(&mut database.connect(), &system(), "cmp-dm-09").unwrap();
        for (day, of_own) in [("2017-06-01", false), ("2017-06-02", true), ("2018-03-01", true), ("2018-03-02", false)] {
            let writers: Vec<_> = (0..WRITERS)
                .map(|n| {
                    let mut rows = vec![metric(&campaign, day, Some(n)), metric(&campaign, day, Some(n))];
                    // All the same row, or a row of each writer beside it.
                    rows[1].placement_type = if of_own { format!("own-{n}") } else { "display".to_owned() };
                    let storage = database.storage.clone();
                    // In another order each, which is how deadlocks come about.
                    if n % 2 == 1 {
                        rows.reverse();
                    }
                    tokio::spawn(async move { storage.transaction(move |conn| record(conn, &rows, WriteMode::Replace, now())).await })
                })
                .collect();
            for writer in writers {
                let written = writer.await.unwrap().unwrap_or_else(|error| panic!("{kind} {day}: {error:?}"));
                assert_eq!(written.inserted + written.updated + written.unchanged, 2, "{kind} {day}: {written:?}");
            }
            let mut conn = database.connect();
            let date = day.parse::<NaiveDate>().unwrap();
            let day = SummaryQuery {
                campaign_id: Some("cmp-dm-09".into()),
                from: Some(date),
                to: Some(date),
                limit: 100,
                ..SummaryQuery::default()
            };
            let by_placement = SummaryQuery { group_by: vec![Dimension::PlacementType], ..day.clone() };
            let sums = summarise(&mut conn, &system(), &day).unwrap();
            let groups = summarise(&mut conn, &system(), &by_placement).unwrap();
            let expected = if of_own { 1 + WRITERS } else { 2 };
            assert_eq!((sums[0].rows, groups.len() as i64), (expected, expected), "{kind} {date}");
            assert_eq!(sums[0].clicks, groups.iter().map(|group| group.clicks).sum::<Option<i64>>(), "{kind} {date}");
        }
        let all = SummaryQuery { campaign_id: Some("cmp-dm-09".into()), limit: 100, ..SummaryQuery::default() };
        let mut conn = database.connect();
        let (kept, counted) = (summarise(&mut conn, &system(), &all).unwrap(), count_of(&mut conn, campaign.id));
        assert_eq!(kept.iter().map(|row| row.rows).sum::<i64>(), counted, "{kind}: what is kept of all days is what the rows are");
    }
}

fn count_of(conn: &mut storage::connection::Connection, campaign: i64) -> i64 {
    use diesel::prelude::*;
    use storage::schema::performance_metrics as t;
    storage::on!(conn, c => t::table.filter(t::campaign.eq(campaign)).count().get_result(c)).unwrap()
}
