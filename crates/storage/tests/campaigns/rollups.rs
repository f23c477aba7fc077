//! Rollups are the sums of the rows, however the rows came; a corrected row keeps what it said before.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::on;
use storage::performance::bulk::Bulk;
use storage::performance::{MAX_MEASURE, NewMetric, WriteMode, Written, record};
use storage::store;

use crate::{now, system, with_sample};

#[derive(QueryableByName, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    #[diesel(sql_type = BigInt)]
    campaign: i64,
    #[diesel(sql_type = Text)]
    place: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = BigInt)]
    spend: i64,
}

fn load(conn: &mut Connection, sql: &str) -> Vec<Cell> {
    let mut cells: Vec<Cell> = on!(conn, c => diesel::sql_query(sql).load(c)).unwrap();
    cells.sort();
    cells
}

/// The kept cells of a grain and dimension.
fn kept(conn: &mut Connection, grain: &str, dimension: &str) -> Vec<Cell> {
    let place = match conn {
        Connection::Mysql(_) => "CONCAT(CAST(period_start AS CHAR), '/', value, '/', currency, '/', measured)",
        _ => "CAST(period_start AS TEXT) || '/' || value || '/' || currency || '/' || measured",
    };
    let sql = format!(
        "SELECT campaign, {place} AS place, n, clicks, spend_micros AS spend FROM performance_rollups WHERE grain = '{grain}' AND dimension = '{dimension}'"
    );
    load(conn, &sql)
}

/// The same from the rows, by the database.
fn summed(conn: &mut Connection, grain: &str, dimension: &str) -> Vec<Cell> {
    let mask = "(CASE WHEN impressions IS NULL THEN 0 ELSE 1 END) + (CASE WHEN clicks IS NULL THEN 0 ELSE 2 END) + (CASE WHEN conversions IS NULL THEN 0 ELSE 4 END) + \
                (CASE WHEN spend_micros IS NULL THEN 0 ELSE 8 END) + (CASE WHEN revenue_micros IS NULL THEN 0 ELSE 16 END) + (CASE WHEN units_sold IS NULL THEN 0 ELSE 32 END) + \
                (CASE WHEN new_to_brand_conversions IS NULL THEN 0 ELSE 64 END)";
    let value = if dimension.is_empty() { "''" } else { dimension };
    let (day, month, whole) = match conn {
        Connection::Postgres(_) => ("to_char(date, 'YYYY-MM-DD')", "to_char(date, 'YYYY-MM-01')", "BIGINT"),
        Connection::Mysql(_) => ("DATE_FORMAT(date, '%Y-%m-%d')", "DATE_FORMAT(date, '%Y-%m-01')", "SIGNED"),
        Connection::Sqlite(_) => ("date", "strftime('%Y-%m-01', date)", "BIGINT"),
    };
    let period = match grain {
        "day" => day,
        "month" => month,
        _ => "'1970-01-01'",
    };
    let place = match conn {
        Connection::Mysql(_) => format!("CONCAT({period}, '/', {value}, '/', COALESCE(currency, ''), '/', {mask})"),
        _ => format!("{period} || '/' || {value} || '/' || COALESCE(currency, '') || '/' || ({mask})"),
    };
    let sql = format!(
        "SELECT campaign, {place} AS place, COUNT(*) AS n, CAST(COALESCE(SUM(clicks), 0) AS {whole}) AS clicks, CAST(COALESCE(SUM(spend_micros), 0) AS {whole}) AS spend \
         FROM performance_metrics GROUP BY campaign, {place}"
    );
    load(conn, &sql)
}

const GRAINS: [(&str, &str); 8] = [
    ("day", ""),
    ("month", ""),
    ("total", ""),
    ("month", "placement_type"),
    ("month", "audience_segment"),
    ("month", "category"),
    ("month", "sku_id"),
    ("month", "impression_kind"),
];

fn assert_kept_is_summed(conn: &mut Connection) {
    for (grain, dimension) in GRAINS {
        let (kept, summed) = (kept(conn, grain, dimension), summed(conn, grain, dimension));
        assert!(!kept.is_empty());
        let difference = kept.iter().zip(&summed).find(|(one, other)| one != other);
        assert!(kept == summed, "{} {grain} {dimension}: {} and {} cells, {difference:?}", conn.kind(), kept.len(), summed.len());
    }
}

fn random_row(random: &mut StdRng, campaign: &Campaign) -> NewMetric {
    let mut measure = |most: i64| random.random_bool(0.8).then(|| random.random_range(0..most));
    let measures = [measure(1000), measure(50), measure(10), measure(5_000_000), measure(9_000_000), measure(20), measure(5)];
    let mut part = |prefix: &str| if random.random_bool(0.2) { String::new() } else { format!("{prefix}{}", random.random_range(0..3)) };
    let parts = [part("search"), part("aud"), part("cat"), part("sku"), part("kind")];
    let [placement_type, audience_segment, category, sku_id, impression_kind] = parts;
    let day = random.random_range(0..70);
    NewMetric {
        campaign: campaign.id,
        tenant_id: campaign.tenant_id.clone(),
        date: chrono::NaiveDate::from_ymd_opt(2026, 1, 15).unwrap() + chrono::Days::new(day),
        placement_type,
        audience_segment,
        category,
        sku_id,
        impression_kind,
        impressions: measures[0],
        clicks: measures[1],
        conversions: measures[2],
        spend_micros: measures[3],
        revenue_micros: measures[4],
        units_sold: measures[5],
        new_to_brand_conversions: measures[6],
        currency: random.random_bool(0.5).then(|| if random.random_bool(0.5) { "USD" } else { "EUR" }.to_owned()),
        source: "api".into(),
    }
}

#[test]
fn rollups_are_the_sums_of_the_rows_however_they_came() {
    for database in with_sample() {
        let mut conn = database.connect();
        let mut random = StdRng::seed_from_u64(7);
        let all = ["cmp-dm-09", "cmp-dm-16", "cmp-instore-display"].map(|id| campaigns::find(&mut conn, &system(), id));
        let all: Vec<Campaign> = all.into_iter().filter_map(Result::ok).collect();
        assert_eq!(all.len(), 3);
        assert_kept_is_summed(&mut conn);
        for round in 0..4 {
            let rows: Vec<NewMetric> = (0..400)
                .map(|_| {
                    let at = random.random_range(0..all.len());
                    random_row(&mut random, &all[at])
                })
                .collect();
            let bulk = |conn: &mut Connection| -> Result<Written, storage::error::StorageError> {
                let mut bulk = Bulk::default();
                let mut written = bulk.write(conn, &rows[..250], now())?;
                written += bulk.write(conn, &rows[250..], now())?;
                bulk.finish(conn, now())?;
                Ok(written)
            };
            let written = match round {
                0 | 3 => store::transaction(&mut conn, bulk).unwrap(),
                1 => record(&mut conn, &rows, WriteMode::Replace, now()).unwrap(),
                _ => record(&mut conn, &rows, WriteMode::Add, now()).unwrap(),
            };
            assert_eq!(written.inserted + written.updated + written.unchanged, 400, "{}", database.kind());
            assert_kept_is_summed(&mut conn);
        }
    }
}

#[test]
fn bulk_and_single_writes_leave_the_same_rows_and_revisions() {
    let state = |conn: &mut Connection| {
        let versions = "SELECT campaign, placement_type AS place, CAST(COUNT(*) AS BIGINT) AS n, CAST(COALESCE(SUM(clicks), 0) AS BIGINT) AS clicks, \
                        CAST(SUM(version) AS BIGINT) AS spend FROM performance_metrics GROUP BY campaign, placement_type";
        let revisions = versions.replace("performance_metrics", "performance_revisions");
        let spell = |sql: &str, conn: &Connection| {
            if matches!(conn, Connection::Mysql(_)) { sql.replace("AS BIGINT", "AS SIGNED") } else { sql.to_owned() }
        };
        let (versions, revisions) = (spell(versions, conn), spell(&revisions, conn));
        (load(conn, &versions), load(conn, &revisions))
    };
    let mut states = Vec::new();
    for by_bulk in [false, true] {
        for database in with_sample() {
            let mut conn = database.connect();
            let mut random = StdRng::seed_from_u64(11);
            let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
            for _ in 0..2 {
                let rows: Vec<NewMetric> = (0..300).map(|_| random_row(&mut random, &campaign)).collect();
                if by_bulk {
                    store::transaction(&mut conn, |conn| {
                        let mut bulk = Bulk::default();
                        bulk.write(conn, &rows, now())?;
                        bulk.finish(conn, now())
                    })
                    .unwrap();
                } else {
                    record(&mut conn, &rows, WriteMode::Replace, now()).unwrap();
                }
            }
            let state = state(&mut conn);
            assert!(!state.1.is_empty(), "some rows were corrected");
            states.push((database.kind(), by_bulk, state));
        }
    }
    for other in &states[1..] {
        assert!(other.2 == states[0].2, "{} by bulk {} differs from SQLite by single writes", other.0, other.1);
    }
}

#[test]
fn a_measure_beyond_what_can_be_summed_is_refused_and_nothing_is_written() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let mut rows: Vec<NewMetric> = (0..3).map(|seed| random_row(&mut StdRng::seed_from_u64(seed), &campaign)).collect();
        rows[1].spend_micros = Some(MAX_MEASURE + 1);
        let before = storage::performance::count(&mut conn, &system()).unwrap();
        let refused = record(&mut conn, &rows, WriteMode::Replace, now()).unwrap_err();
        assert!(format!("{refused:?}").contains("rows[1].spend"), "{refused:?}");
        assert_eq!(storage::performance::count(&mut conn, &system()).unwrap(), before);
    }
}
