//! Sums of 200 campaigns over 1,000,000 rows, from kept sums and from the rows: `scripts/bench analytics`.
//!
//! Figures are CPU of this process and of its PostgreSQL backend together, a mean over many repetitions, because the kernel counts in
//! hundredths of a second.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use domain::role::Role;
use domain::scope::Scope;
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, NewCampaign};
use storage::connection::Connection;
use storage::performance::NewMetric;
use storage::performance::bulk::Bulk;
use storage::performance::summary::{Dimension, SummaryQuery, summarise};
use storage::retailers::{self, NewRetailer};
use storage::store;
use testkit::bench::{Report, cpu};
use testkit::database::TestDatabase;

const CAMPAIGNS: usize = 200;
const DAYS: u64 = 250;
const ROWS_A_DAY: usize = 20;

fn main() {
    let mut report = Report::new("analytics");
    for database in testkit::database::all().into_iter().filter(|database| database.kind() != "mysql") {
        run(&database, &mut report);
    }
    report.finish().unwrap();
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// CPU of this process and of the connection's server process.
fn spent(backend: Option<u32>) -> Duration {
    cpu::of_self() + backend.map_or(Duration::ZERO, cpu::of_tree)
}

fn run(database: &TestDatabase, report: &mut Report) {
    let mut conn = database.connect();
    load(&mut conn);
    let backend = match &mut conn {
        Connection::Postgres(c) => {
            let found: Backend = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(c).unwrap();
            diesel::sql_query("VACUUM ANALYZE").execute(c).unwrap();
            Some(u32::try_from(found.pid).unwrap())
        }
        Connection::Sqlite(c) => {
            diesel::sql_query("ANALYZE").execute(c).unwrap();
            None
        }
        Connection::Mysql(_) => None,
    };
    let scope = Scope::for_caller("bench", Role::Analyst, Some("tnt-bench"));
    let mut milliseconds = |query: &SummaryQuery, times: u32| {
        let groups = summarise(&mut conn, &scope, query).unwrap().len();
        assert!(groups > 0);
        let before = spent(backend);
        for _ in 0..times {
            assert_eq!(summarise(&mut conn, &scope, query).unwrap().len(), groups);
        }
        (spent(backend) - before).as_secs_f64() * 1_000.0 / f64::from(times)
    };
    let base = SummaryQuery { limit: 10_000, ..SummaryQuery::default() };
    let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
    let questions = [
        ("200 campaigns, lifetime", SummaryQuery { group_by: vec![Dimension::Campaign], ..base.clone() }, Some(5.0)),
        (
            "200 campaigns, four whole months",
            SummaryQuery { group_by: vec![Dimension::Campaign], from: day("2025-02-01"), to: day("2025-05-31"), ..base.clone() },
            Some(5.0),
        ),
        (
            "month by placement, all campaigns",
            SummaryQuery { group_by: vec![Dimension::Month, Dimension::PlacementType], ..base.clone() },
            None,
        ),
        ("products, all campaigns", SummaryQuery { group_by: vec![Dimension::SkuId], ..base.clone() }, None),
        ("days of one campaign", SummaryQuery { group_by: vec![Dimension::Day], campaign_id: Some("cmp-17".into()), ..base.clone() }, None),
    ];
    for (what, query, goal) in questions {
        let kept = milliseconds(&query, 100);
        let summed = milliseconds(&SummaryQuery { only_rows: true, ..query }, 3);
        let row = report.figure(&format!("{}: {what}", database.kind()), kept, "ms of CPU a query");
        row.against("GROUP BY over the rows", summed);
        if let Some(goal) = goal {
            row.wanted("at most 5 ms", kept <= goal);
        }
    }
}

fn load(conn: &mut Connection) {
    let now: DateTime<Utc> = "2026-01-15T12:00:00Z".parse().unwrap();
    let system = Scope::system("bench");
    retailers::insert(conn, &NewRetailer { retailer_id: "rtl-bench".into(), name: "Bench".into(), ..NewRetailer::default() }, now).unwrap();
    let first: NaiveDate = "2025-01-01".parse().unwrap();
    let mut bulk_rows = Vec::new();
    for at in 0..CAMPAIGNS {
        let new = NewCampaign {
            campaign_id: format!("cmp-{at}"),
            tenant_id: "tnt-bench".into(),
            retailer_id: "rtl-bench".into(),
            name: format!("Campaign {at}"),
            currency: Some("USD".into()),
            ..NewCampaign::default()
        };
        let campaign = campaigns::insert(conn, &system, &new, &Change::of(Action::Create), now).unwrap();
        for day in 0..DAYS {
            for row in 0..ROWS_A_DAY {
                let size = (at + row) as i64 + day as i64;
                bulk_rows.push(NewMetric {
                    campaign: campaign.id,
                    tenant_id: campaign.tenant_id.clone(),
                    date: first + Days::new(day),
                    placement_type: ["search", "display", "video", "in-store"][row % 4].into(),
                    audience_segment: String::new(),
                    category: String::new(),
                    sku_id: format!("sku-{}", row / 4),
                    impression_kind: String::new(),
                    impressions: Some(100 + size),
                    clicks: (row % 4 != 3).then_some(size % 17),
                    conversions: Some(size % 5),
                    spend_micros: Some(1_000_000 + size),
                    revenue_micros: Some(4_000_000 + size),
                    units_sold: Some(size % 7),
                    new_to_brand_conversions: None,
                    currency: None,
                    source: "bench".into(),
                });
            }
        }
        if (at + 1) % 10 == 0 {
            let rows = std::mem::take(&mut bulk_rows);
            store::transaction(conn, |conn| {
                let mut bulk = Bulk::default();
                bulk.write(conn, &rows, now)?;
                bulk.finish(conn, now)
            })
            .unwrap();
        }
    }
}
