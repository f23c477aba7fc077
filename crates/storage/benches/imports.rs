//! Importing a million performance rows beside a raw `COPY` of the same rows into a table with the same indexes, on the same server in the
//! same run. `ENDCAP_BENCH_ROWS` sets another number of rows.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::{Datelike, NaiveDate};
use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use domain::scope::Scope;
use storage::connection::{Connection, execute};
use storage::imports::run::{self, Watch};
use storage::imports::{Compression, Format, OnError, Outcome, Request, Table, load};
use storage::performance::partitions;
use testkit::bench::{Report, cpu};
use testkit::database::TestDatabase;

const CAMPAIGNS: usize = 200;
const DAYS: usize = 365;
const PLACEMENTS: [&str; 4] = ["sponsored_product", "sponsored_brand", "onsite_display", "offsite_video"];
const AUDIENCES: [&str; 4] = ["new", "loyal", "lapsed", ""];

fn rows_wanted() -> usize {
    std::env::var("ENDCAP_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}

/// Deterministic and without a pattern that helps the database: campaign by campaign, day by day, as retailers deliver.
struct Line {
    campaign: usize,
    date: NaiveDate,
    placement: &'static str,
    audience: &'static str,
    impressions: u64,
    clicks: u64,
    spend_cents: u64,
    revenue_cents: u64,
}

fn lines(rows: usize, corrected: bool) -> impl Iterator<Item = Line> {
    let first = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..rows).map(move |at| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let per_day = PLACEMENTS.len() * AUDIENCES.len();
        let slot = at % (CAMPAIGNS * DAYS * per_day);
        let (campaign, day) = (slot / (DAYS * per_day), slot / per_day % DAYS);
        let impressions = 1_000 + state % 90_000 + u64::from(corrected && at % 10 == 0);
        Line {
            campaign,
            date: first + chrono::Days::new(day as u64),
            placement: PLACEMENTS[slot % 4],
            audience: AUDIENCES[slot / 4 % 4],
            impressions,
            clicks: impressions / 97,
            spend_cents: impressions / 3,
            revenue_cents: impressions,
        }
    })
}

fn ours(folder: &Path, rows: usize, corrected: bool) -> PathBuf {
    let path = folder.join(format!("ours-{corrected}.csv"));
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(file, "campaign_id,date,placement_type,audience_segment,impressions,clicks,spend,revenue,currency").unwrap();
    for l in lines(rows, corrected) {
        let (spend, revenue) = (l.spend_cents, l.revenue_cents);
        writeln!(
            file,
            "bench-{:03},{},{},{},{},{},{}.{:02},{}.{:02},USD",
            l.campaign,
            l.date,
            l.placement,
            l.audience,
            l.impressions,
            l.clicks,
            spend / 100,
            spend % 100,
            revenue / 100,
            revenue % 100
        )
        .unwrap();
    }
    file.flush().unwrap();
    path
}

fn raw(folder: &Path, rows: usize) -> PathBuf {
    let path = folder.join("raw.csv");
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    for l in lines(rows, false) {
        let (spend, revenue) = (l.spend_cents * 10_000, l.revenue_cents * 10_000);
        writeln!(
            file,
            "{},{},{},\"{}\",{},{},{spend},{revenue},USD",
            l.campaign + 1,
            l.date,
            l.placement,
            l.audience,
            l.impressions,
            l.clicks
        )
        .unwrap();
    }
    file.flush().unwrap();
    path
}

fn with_campaigns(conn: &mut Connection, folder: &Path) {
    let catalog = [
        (Table::Retailers, "retailer_id,name,currency\nrtl-bench,Bench,USD\n".to_owned()),
        (
            Table::Campaigns,
            (0..CAMPAIGNS)
                .fold("campaign_id,retailer_id,name,currency\n".to_owned(), |text, at| text + &format!("bench-{at:03},rtl-bench,B,USD\n")),
        ),
    ];
    for (table, text) in catalog {
        let path = folder.join(format!("{}.csv", table.name()));
        std::fs::write(&path, text).unwrap();
        let request = Request::new(table, path, Format::Csv, Compression::None);
        let outcome = load(conn, &Scope::system("bench"), &request, domain::time::now(), &|_| {}).unwrap();
        assert!(outcome.is_kept, "{:?}", outcome.errors);
    }
}

/// Process id of the PostgreSQL or MariaDB server; `None` for SQLite, which works in our own process.
fn server(conn: &mut Connection) -> Option<u32> {
    #[derive(diesel::QueryableByName)]
    struct One {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let file = match conn {
        Connection::Postgres(c) => {
            let folder: One = diesel::sql_query("SELECT current_setting('data_directory') AS value").get_result(c).ok()?;
            format!("{}/postmaster.pid", folder.value)
        }
        Connection::Mysql(c) => diesel::sql_query("SELECT @@pid_file AS value").get_result::<One>(c).ok()?.value,
        Connection::Sqlite(_) => return None,
    };
    std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

/// Wall time and CPU (ours and the server's) of some work.
fn measured<T>(server: Option<u32>, work: impl FnOnce() -> T) -> (Duration, Duration, T) {
    let cpu_now = || cpu::of_self() + server.map_or(Duration::ZERO, cpu::of_tree);
    let (before, begun) = (cpu_now(), Instant::now());
    let done = work();
    (begun.elapsed(), cpu_now().saturating_sub(before), done)
}

fn run_import(database: &TestDatabase, conn: &mut Connection, path: &Path, on_error: OnError) -> Outcome {
    let request = Request { on_error, ..Request::new(Table::Performance, path, Format::Csv, Compression::None) };
    let scope = Scope::system("bench");
    let prepared = run::prepare(conn, &scope, &request, "running", domain::time::now()).unwrap();
    let watch = Watch { url: Some(database.storage.url()), ..Watch::quiet(&domain::time::now) };
    let outcome = run::run(conn, &scope, &request, prepared, &watch).unwrap();
    assert!(outcome.is_kept && outcome.rejected == 0, "{:?}", outcome.errors);
    outcome
}

/// Rows per second and CPU per row of a raw `COPY` into the same partitioned table without the check that campaigns exist.
fn raw_copy(folder: &Path, rows: usize) -> Option<(f64, f64)> {
    let database = testkit::database::all().into_iter().find(|database| database.kind() == "postgres")?;
    let mut conn = database.connect();
    let first = NaiveDate::from_ymd_opt(2025, 1, 1).unwrap();
    let months = (0..DAYS as u64).map(|day| first + chrono::Days::new(day)).map(|day| day.with_day(1).unwrap()).collect();
    partitions::ensure(database.storage.url(), &months).unwrap();
    execute(
        &mut conn,
        "DROP TRIGGER performance_metrics_campaign_fkey ON performance_metrics; \
         ALTER TABLE performance_metrics ALTER tenant_id SET DEFAULT 'rtl-bench', ALTER source SET DEFAULT 'import', \
         ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now()",
    )
    .unwrap();
    for month in &months {
        let name = format!("performance_metrics_{:04}_{:02}", month.year(), month.month());
        let defaults = "ALTER tenant_id SET DEFAULT 'rtl-bench', ALTER source SET DEFAULT 'import', ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now()";
        execute(&mut conn, &format!("ALTER TABLE {name} {defaults}")).unwrap();
    }
    let columns = "campaign, date, placement_type, audience_segment, impressions, clicks, spend_micros, revenue_micros, currency";
    let command = format!("\\copy performance_metrics ({columns}) FROM '{}' WITH (FORMAT csv)", raw(folder, rows).display());
    let server = server(&mut conn);
    let (wall, cpu, status) = measured(server, || Command::new("psql").args([database.url.as_str(), "-q", "-c", &command]).status());
    assert!(status.ok()?.success());
    Some((rows as f64 / wall.as_secs_f64(), cpu.as_secs_f64() * 1e3 / rows as f64))
}

fn main() {
    let (rows, folder) = (rows_wanted(), tempfile::tempdir().unwrap());
    let mut report = Report::new("imports");
    let (first, corrected) = (ours(folder.path(), rows, false), ours(folder.path(), rows, true));
    let raw = raw_copy(folder.path(), rows);
    for database in testkit::database::all() {
        let kind = database.kind();
        let mut conn = database.connect();
        with_campaigns(&mut conn, folder.path());
        let server = server(&mut conn);
        for (what, path, on_error) in [
            ("new rows, one transaction", &first, OnError::Abort),
            ("the same again, in batches", &first, OnError::Skip),
            ("every tenth corrected, in batches", &corrected, OnError::Skip),
        ] {
            let (wall, cpu, outcome) = measured(server, || run_import(&database, &mut conn, path, on_error));
            println!("{kind}: {what}: {} new, {} changed, {} equal", outcome.inserted, outcome.updated, outcome.unchanged);
            let (speed, per_row) = (rows as f64 / wall.as_secs_f64(), cpu.as_secs_f64() * 1e3 / rows as f64);
            let row = report.figure(&format!("{kind}: {what}"), speed, "rows per second");
            if let (Some((raw_speed, _)), "postgres", OnError::Abort) = (raw, kind, on_error) {
                row.against("raw COPY", raw_speed).wanted("at least 0.4 of raw COPY", speed >= 0.4 * raw_speed);
            }
            let row = report.figure(&format!("{kind}: {what}: CPU"), per_row, "ms per row");
            if let (Some((_, raw_cpu)), "postgres") = (raw, kind) {
                row.against("raw COPY", raw_cpu).wanted("at most 0.03", per_row <= 0.03);
            }
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    if let Some(kib) = peak {
        report.figure("peak memory of this process (SQLite included)", kib / 1024.0, "MiB").wanted("under 100", kib / 1024.0 < 100.0);
    }
    report.finish().unwrap();
}
