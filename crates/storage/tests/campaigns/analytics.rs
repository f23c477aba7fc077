//! Kept sums answer like the rows themselves, by an index or a rollup; rows can be read as they were; old months go.

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::scope::Scope;
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, Campaign, NewCampaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::retention;
use storage::performance::rows::{self, ExportPlace, RowFilter};
use storage::performance::summary::{Dimension, SummaryQuery, explain, summarise};
use storage::performance::{NewMetric, WriteMode, faults, record, spend};
use storage::retailers::{self, NewRetailer};

use crate::{now, system, tenant};

/// Small numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len() as u64) as usize]
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Campaigns of some tenants at two retailers, with some rows each.
fn fill(conn: &mut Connection, tenants: usize, campaign_count: usize, rows_each: usize) -> Vec<Campaign> {
    let mut dice = Dice(7);
    for id in ["rtl-a", "rtl-b"] {
        let new = NewRetailer { retailer_id: id.into(), name: id.into(), ..NewRetailer::default() };
        retailers::insert(conn, &new, now()).unwrap();
    }
    let mut stored = Vec::new();
    for at in 0..campaign_count {
        let new = NewCampaign {
            campaign_id: format!("cmp-{at}"),
            tenant_id: format!("tnt-{}", at % tenants),
            retailer_id: if at % 3 == 0 { "rtl-a" } else { "rtl-b" }.into(),
            name: format!("Campaign {at}"),
            start_date: Some(day("2025-01-01")),
            end_date: Some(day("2025-12-31")),
            total_budget_micros: Some(100_000_000),
            currency: (at % 4 != 0).then(|| "USD".into()),
            ..NewCampaign::default()
        };
        stored.push(campaigns::insert(conn, &system(), &new, &Change::of(Action::Create), now()).unwrap());
    }
    let mut metrics = Vec::new();
    for campaign in &stored {
        for _ in 0..rows_each {
            let mut count = |most: u64| (dice.roll(4) > 0).then(|| dice.roll(most) as i64);
            let (impressions, clicks, conversions, units) = (count(900), count(40), count(9), count(9));
            let (spend, revenue) = (count(5_000_000), count(9_000_000));
            metrics.push(NewMetric {
                campaign: campaign.id,
                tenant_id: campaign.tenant_id.clone(),
                date: day("2025-01-20") + Days::new(dice.roll(90)),
                placement_type: dice.pick(&["search", "display", ""]).into(),
                audience_segment: dice.pick(&["new", "loyal"]).into(),
                category: dice.pick(&["tea", "soap"]).into(),
                sku_id: dice.pick(&["s1", "s2", "s3"]).into(),
                impression_kind: String::new(),
                impressions,
                clicks,
                conversions,
                spend_micros: spend,
                revenue_micros: revenue,
                units_sold: units,
                new_to_brand_conversions: None,
                currency: (dice.roll(5) == 0).then(|| "EUR".into()),
                source: "api".into(),
            });
        }
    }
    record(conn, &metrics, WriteMode::Replace, now()).unwrap();
    stored
}

fn question(dice: &mut Dice, campaigns: &[Campaign]) -> SummaryQuery {
    let mut group_by = Vec::new();
    for _ in 0..dice.roll(3) {
        let (by, _) = Dimension::ALL[dice.roll(Dimension::ALL.len() as u64) as usize];
        if !group_by.contains(&by) {
            group_by.push(by);
        }
    }
    let from = (dice.roll(3) > 0).then(|| day("2025-01-10") + Days::new(dice.roll(60)));
    let to = (dice.roll(3) > 0).then(|| from.unwrap_or(day("2025-02-01")) + Days::new(dice.roll(70)));
    let mut some = |sides: u64, text: &str| (dice.roll(sides) == 0).then(|| text.to_owned());
    let (sku_id, category, retailer_id, campaign_id) = (some(5, "s2"), some(7, "tea"), some(4, "rtl-b"), some(6, "cmp-1"));
    let campaign = (dice.roll(4) == 0).then(|| campaigns[dice.roll(campaigns.len() as u64) as usize].id);
    let by_retailer = dice.roll(2) == 0;
    SummaryQuery {
        group_by,
        from,
        to,
        sku_id,
        category,
        retailer_id,
        campaign_id,
        campaign,
        by_retailer,
        limit: 10_000,
        ..SummaryQuery::default()
    }
}

#[test]
fn kept_sums_answer_as_the_rows_do() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let campaigns = fill(&mut conn, 2, 6, 60);
        let mut dice = Dice(11);
        let mut sources = std::collections::BTreeMap::new();
        for at in 0..150 {
            let query = question(&mut dice, &campaigns);
            let scope = if dice.roll(2) == 0 { system() } else { tenant("tnt-1") };
            let kept = summarise(&mut conn, &scope, &query).unwrap();
            let summed = summarise(&mut conn, &scope, &SummaryQuery { only_rows: true, ..query.clone() }).unwrap();
            assert_eq!(kept, summed, "{} question {at}: {query:?}", database.kind());
            *sources.entry(query.source()).or_insert(0) += usize::from(!kept.is_empty());
        }
        for source in ["rollup", "rows", "mixed"] {
            assert!(sources.get(source).is_some_and(|count| *count > 5), "{}: {sources:?}", database.kind());
        }
    }
}

/// By which column the rows of a query are found.
#[derive(Clone, Copy)]
pub enum By {
    Campaign,
    /// Of all campaigns of a tenant: by tenant and day, or by one campaign after the other.
    Tenant,
}

/// Fails unless every step of a plan that reads `table` (an alias, or on PostgreSQL the beginning of a name) reads a range of an index.
pub fn assert_by_range(conn: &Connection, what: &str, plan: &[String], (alias, table): (&str, &str), by: By) {
    let steps = match conn {
        Connection::Postgres(_) => postgres_steps(plan, table),
        Connection::Sqlite(_) => plan.iter().filter(|line| is_sqlite_step(line, alias)).map(|line| sqlite_range(line)).collect(),
        Connection::Mysql(_) => {
            plan.iter().filter(|line| line.starts_with(&format!("table {alias} "))).map(|line| mysql_range(line)).collect()
        }
    };
    let text = plan.join("\n");
    assert!(!steps.is_empty(), "{} {what} does not read {table}:\n{text}", conn.kind());
    for step in steps {
        let range = step.unwrap_or_else(|step| panic!("{} {what} reads more than a range, {step}:\n{text}", conn.kind()));
        let is_led = match (conn, by) {
            // MariaDB names the index but not the columns used of it.
            (Connection::Mysql(_), _) => true,
            (_, By::Campaign) => range.contains("campaign"),
            (_, By::Tenant) => range.contains("tenant_id") || range.contains("campaign"),
        };
        assert!(is_led, "{} {what} is found by {range}:\n{text}", conn.kind());
    }
}

/// The condition of the index of each step that reads a table; the step itself when there is none.
fn postgres_steps(plan: &[String], table: &str) -> Vec<Result<String, String>> {
    let condition = |at: usize| {
        let own = plan.iter().skip(at + 1).take_while(|line| !line.contains("->"));
        let is_condition = |line: &&str| line.starts_with("Index Cond:") || line.starts_with("Recheck Cond:");
        own.map(|line| line.trim()).find(is_condition).map(str::to_owned)
    };
    let reads = |line: &str| line.contains("Scan") && line.contains(&format!(" on {table}")) && !line.contains("Bitmap Index Scan");
    let scans = plan.iter().enumerate().filter(|(_, line)| reads(line));
    scans.map(|(at, line)| condition(at).ok_or_else(|| line.trim().to_owned())).collect()
}

fn is_sqlite_step(line: &str, alias: &str) -> bool {
    ["SCAN", "SEARCH"].iter().any(|word| line == format!("{word} {alias}") || line.starts_with(&format!("{word} {alias} ")))
}

fn sqlite_range(line: &str) -> Result<String, String> {
    match line.split_once('(') {
        Some((_, columns)) if line.starts_with("SEARCH") => Ok(columns.to_owned()),
        _ => Err(line.to_owned()),
    }
}

fn mysql_range(line: &str) -> Result<String, String> {
    // `ref|filter` is a range of one index, thinned out by that of another.
    let kind = line.split_once(" type ").and_then(|(_, rest)| rest.split([' ', '|']).next());
    if kind.is_some_and(|kind| ["ref", "range", "eq_ref", "const"].contains(&kind)) { Ok(line.to_owned()) } else { Err(line.to_owned()) }
}

/// Statistics of what is stored, so that planners choose by what they would know of a filled database.
fn analyse(conn: &mut Connection) {
    let statement = match conn {
        Connection::Mysql(_) => "ANALYZE TABLE campaigns, performance_metrics, performance_revisions, performance_rollups",
        _ => "ANALYZE",
    };
    storage::connection::execute(conn, statement).unwrap();
}

/// Rows of many tenants, some of them corrected: enough that no planner reads a table whole because it is small.
fn fill_for_planners(conn: &mut Connection) -> Vec<Campaign> {
    let campaigns = fill(conn, 12, 120, 100);
    let later = now() + chrono::TimeDelta::hours(1);
    for campaign in &campaigns {
        let days = (0..40).map(|at| (day("2025-01-20") + Days::new(at)).to_string());
        let rows: Vec<NewMetric> = days.map(|day| one(campaign, &day, 3)).collect();
        record(conn, &rows, WriteMode::Replace, now()).unwrap();
        let corrected: Vec<NewMetric> = rows.into_iter().map(|row| NewMetric { clicks: Some(4), ..row }).collect();
        record(conn, &corrected, WriteMode::Replace, later).unwrap();
    }
    analyse(conn);
    campaigns
}

#[test]
fn every_analytic_query_reads_a_range_of_an_index_or_a_rollup() {
    const KEPT: (&str, &str) = ("p", "performance_rollups");
    const ROWS: (&str, &str) = ("p", "performance_metrics");
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let campaigns = fill_for_planners(&mut conn);
        let (own, one) = (tenant("tnt-1"), &campaigns[1]);
        let (from, to) = (Some(day("2025-02-10")), Some(day("2025-02-14")));
        let base = || SummaryQuery { limit: 100, ..SummaryQuery::default() };
        // A whole month and days around it.
        let edges = || SummaryQuery { from: Some(day("2025-01-28")), to: Some(day("2025-03-02")), ..base() };
        let of_one = || SummaryQuery { campaign: Some(one.id), ..base() };
        let by = |group_by: &[Dimension], query: SummaryQuery| SummaryQuery { group_by: group_by.to_vec(), ..query };
        let queries = [
            ("lifetime by campaign", by(&[Dimension::Campaign], base()), KEPT, By::Tenant),
            ("months by placement", by(&[Dimension::Month, Dimension::PlacementType], base()), KEPT, By::Tenant),
            ("months by product", by(&[Dimension::SkuId], edges()), KEPT, By::Tenant),
            ("edges by product", by(&[Dimension::SkuId], edges()), ROWS, By::Tenant),
            ("days of a campaign", by(&[Dimension::Day], of_one()), KEPT, By::Campaign),
            ("weeks", by(&[Dimension::Week], SummaryQuery { from, to, ..base() }), KEPT, By::Tenant),
            ("two parts of a campaign", by(&[Dimension::SkuId, Dimension::PlacementType], of_one()), ROWS, By::Campaign),
            (
                "days of a product of a campaign",
                by(&[Dimension::Day], SummaryQuery { sku_id: Some("s1".into()), from, to, ..of_one() }),
                ROWS,
                By::Campaign,
            ),
            ("brands of a tenant", by(&[Dimension::Brand, Dimension::Retailer], SummaryQuery { from, to, ..base() }), KEPT, By::Tenant),
            (
                "two parts of a tenant",
                by(&[Dimension::Category, Dimension::AudienceSegment], SummaryQuery { from, to, ..base() }),
                ROWS,
                By::Tenant,
            ),
            ("as it was", SummaryQuery { as_of: Some(now()), ..of_one() }, ROWS, By::Campaign),
            ("what was corrected", SummaryQuery { as_of: Some(now()), ..of_one() }, ("p", "performance_revisions"), By::Campaign),
        ];
        for (what, query, table, by) in queries {
            let plan = explain(&mut conn, &own, &query).unwrap();
            assert_by_range(&conn, what, &plan, table, by);
        }
        let plan = spend::explain(&mut conn, &own, &campaigns[1..6], day("2025-03-01")).unwrap();
        assert_by_range(&conn, "pacing of a page", &plan, KEPT, By::Campaign);
        let plan = faults::explain(&mut conn, &own, &of_one()).unwrap();
        assert_by_range(&conn, "faults of a campaign", &plan, ROWS, By::Campaign);
        check_rows(&mut conn, &own, one);
    }
}

/// Rows of a campaign come in the order of their key, from where the page before ended; an export reads so one campaign after the other.
fn check_rows(conn: &mut Connection, own: &Scope, one: &Campaign) {
    const ROWS: (&str, &str) = ("p", "performance_metrics");
    let page = rows::list(conn, own, one.id, &RowFilter::default(), None, 50).unwrap();
    let key = page.last().unwrap().key();
    for (what, filter) in [
        ("rows of a campaign", RowFilter::default()),
        ("rows of some days", RowFilter { from: Some(day("2025-01-25")), to: Some(day("2025-03-31")), ..RowFilter::default() }),
        ("rows as they were", RowFilter { as_of: Some(now()), ..RowFilter::default() }),
    ] {
        for after in [None, Some(&key)] {
            let plan = rows::explain_list(conn, own, one.id, &filter, after).unwrap();
            assert_by_range(conn, what, &plan, ROWS, By::Campaign);
        }
    }
}

fn one(campaign: &Campaign, date: &str, clicks: i64) -> NewMetric {
    NewMetric {
        campaign: campaign.id,
        tenant_id: campaign.tenant_id.clone(),
        date: day(date),
        placement_type: "late".into(),
        audience_segment: String::new(),
        category: String::new(),
        sku_id: String::new(),
        impression_kind: String::new(),
        impressions: Some(100),
        clicks: Some(clicks),
        conversions: None,
        spend_micros: Some(1),
        revenue_micros: None,
        units_sold: None,
        new_to_brand_conversions: None,
        currency: None,
        source: "api".into(),
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn rows_and_sums_are_as_they_were() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let campaign = fill(&mut conn, 1, 1, 0).remove(0);
        let times = ["2025-03-02T00:00:00Z", "2025-03-05T00:00:00Z", "2025-03-09T00:00:00Z"].map(at);
        for (clicks, time) in [3, 5, 8].into_iter().zip(times) {
            let rows = [one(&campaign, "2025-03-01", clicks), one(&campaign, "2025-03-02", 1)];
            record(&mut conn, &rows[..if clicks == 3 { 1 } else { 2 }], WriteMode::Replace, time).unwrap();
        }
        let clicks = |conn: &mut Connection, time: &str| {
            let query = SummaryQuery { campaign: Some(campaign.id), as_of: Some(at(time)), limit: 10, ..SummaryQuery::default() };
            let sums: Vec<_> = summarise(conn, &system(), &query).unwrap().iter().map(|row| (row.rows, row.clicks)).collect();
            let filter = RowFilter { as_of: Some(at(time)), ..RowFilter::default() };
            let rows = rows::list(conn, &system(), campaign.id, &filter, None, 10).unwrap();
            let of_rows: i64 = rows.iter().filter_map(|row| row.clicks).sum();
            assert_eq!(sums.first().and_then(|(_, clicks)| *clicks).unwrap_or(0), of_rows);
            sums
        };
        assert_eq!(clicks(&mut conn, "2025-03-01T12:00:00Z"), [], "{}: nothing was known", database.kind());
        assert_eq!(clicks(&mut conn, "2025-03-02T00:00:00Z"), [(1, Some(3))]);
        assert_eq!(clicks(&mut conn, "2025-03-08T23:59:59Z"), [(2, Some(6))]);
        assert_eq!(clicks(&mut conn, "2025-03-09T00:00:00Z"), [(2, Some(9))]);
        let former = rows::revisions(&mut conn, &system(), campaign.id, &RowFilter::default(), None, 1).unwrap();
        assert_eq!((former[0].clicks, former[0].version, former[0].replaced_at.unwrap().0), (Some(3), 1, times[1]));
        let next = rows::revisions(&mut conn, &system(), campaign.id, &RowFilter::default(), Some(&former[0].key()), 10).unwrap();
        assert_eq!(next.iter().map(|row| (row.clicks, row.version)).collect::<Vec<_>>(), [(Some(5), 2)], "{}", database.kind());
        let other = Scope::for_caller("acc", domain::role::Role::Analyst, Some("tnt-9"));
        assert!(rows::list(&mut conn, &other, campaign.id, &RowFilter::default(), None, 10).unwrap().is_empty());
    }
}

#[test]
fn pages_of_an_export_hold_each_row_once() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        fill(&mut conn, 2, 5, 30);
        let (mut keys, mut place) = (Vec::new(), Some(ExportPlace::START));
        while let Some(at) = place {
            let (found, next) = rows::export(&mut conn, &tenant("tnt-0"), None, &RowFilter::default(), &at, 7).unwrap();
            assert!(found.len() <= 7);
            keys.extend(found.iter().map(|row| (row.campaign_id.clone(), serde_json::to_string(&row.metric.key()).unwrap())));
            place = next;
        }
        let all = storage::performance::count(&mut conn, &tenant("tnt-0")).unwrap();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!((keys.len() as i64, distinct.len() as i64), (all, all), "{}", database.kind());
        assert!(keys.iter().all(|(campaign, _)| ["cmp-0", "cmp-2", "cmp-4"].contains(&campaign.as_str())));
    }
}

#[test]
fn old_months_are_dropped_and_cannot_come_back_and_their_sums_stay() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let campaign = fill(&mut conn, 1, 1, 50).remove(0);
        record(&mut conn, &[one(&campaign, "2025-01-25", 4)], WriteMode::Replace, now()).unwrap();
        let query = SummaryQuery { group_by: vec![Dimension::Month], limit: 100, ..SummaryQuery::default() };
        let before = summarise(&mut conn, &system(), &query).unwrap();
        assert_eq!(retention::kept_from(day("2025-03-20"), 1), Some(day("2025-02-01")));
        retention::advance(&mut conn, day("2025-02-01"), now()).unwrap();
        while retention::sweep(&mut conn).unwrap().has_more {}
        let rows = rows::list(&mut conn, &system(), campaign.id, &RowFilter::default(), None, 1).unwrap();
        assert!(rows[0].date >= day("2025-02-01"), "{}", database.kind());
        assert_eq!(summarise(&mut conn, &system(), &query).unwrap(), before, "sums stay");
        let refused = record(&mut conn, &[one(&campaign, "2025-01-31", 9)], WriteMode::Replace, now());
        let Err(StorageError::Invalid(invalid)) = refused else { panic!("{refused:?}") };
        assert_eq!(invalid.fields[0].field, "rows[0].date");
        record(&mut conn, &[one(&campaign, "2025-02-01", 9)], WriteMode::Replace, now()).unwrap();
        assert_eq!(retention::advance(&mut conn, day("2024-01-01"), now()).unwrap(), day("2025-02-01"), "never back");
        let total = SummaryQuery { limit: 10, ..SummaryQuery::default() };
        let lifetime: i64 = summarise(&mut conn, &system(), &total).unwrap().iter().map(|row| row.rows).sum();
        assert_eq!(lifetime, before.iter().map(|row| row.rows).sum::<i64>() + 1, "the lifetime holds what was dropped");
    }
}
