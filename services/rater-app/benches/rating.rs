//! The rater app under load, on PostgreSQL with durable settings: what it costs to give out a task and to take a judgment, what a thousand
//! raters at a human pace see, and how many judgments a second there are, beside Label Studio.
//!
//! Label Studio's costs are quoted from an earlier run of ours; with `ENDCAP_PEER_LABEL_STUDIO` (the folder of a Python environment with
//! `label-studio`, `gunicorn` and `psycopg2-binary`) it runs in the same run, on the same PostgreSQL, for the throughput.
//! `ENDCAP_BENCH_SECONDS` sets another length of the phase at a human pace; with 0 only costs are measured.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "rating/load.rs"]
mod load;
#[path = "rating/peer.rs"]
mod peer;
#[path = "rating/stage.rs"]
mod stage;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::bench::{Report, quantile};

use load::{CONNECTIONS, Steps};
use stage::{Seen, Stage, Used};

const RATERS: usize = 1_000;
const TASKS: usize = 20_000;
/// Rounds in which all raters take a task and judge it.
const ROUNDS: usize = 5;
/// Share of the machine that raters at a human pace are to use.
const USE_WANTED: f64 = 0.25;
/// How long raters work without thinking; the peer too.
const SATURATED: Duration = Duration::from_secs(20);
/// Connections that a peer and we get where throughput is compared.
const PEER_CONNECTIONS: usize = 8;

/// Earlier figures of ours for others on PostgreSQL, in CPU milliseconds per operation, application and database: Label Studio behind gunicorn
/// with 2,000 tasks, and the Python program that this one replaces, whose next task is not held for anybody.
const LABEL_STUDIO_NEXT: f64 = 106.0;
const LABEL_STUDIO_SUBMIT: f64 = 113.0;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<()> {
    let begun = Instant::now();
    let Some(stage) = Stage::set(RATERS, TASKS).await? else {
        println!("rating: skipped, because TEST_POSTGRES_URL names no server (scripts/bench starts one)");
        return Ok(());
    };
    println!("{RATERS} raters and {TASKS} tasks after {:.0} s", begun.elapsed().as_secs_f64());
    let mut report = Report::new("rating");
    // First a round that is not counted: plans that were made while the tables of leases and judgments were empty read them from end to end,
    // which no deployment does for longer than its first minute.
    let mut judged = load::in_steps(&stage, 1).await?.seen.submit.len();
    stage.analyze()?;
    let steps = load::in_steps(&stage, ROUNDS).await?;
    costs(&mut report, &stage, &steps);
    judged += steps.seen.submit.len();
    ensure!(steps.seen.errors.is_empty(), "while costs were measured: {:?}", first(&steps.seen));

    let seconds = std::env::var("ENDCAP_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    if seconds > 0 {
        judged += at_a_human_pace(&mut report, &stage, &steps, seconds).await?;
        judged += as_fast_as_they_can(&mut report, &stage).await?;
    }
    slots(&mut report, &stage, judged)?;
    report.finish()
}

fn first(seen: &Seen) -> Option<&String> {
    seen.errors.first()
}

fn costs(report: &mut Report, stage: &Stage, steps: &Steps) {
    let operations = [
        ("next task, with a claim", steps.next, steps.seen.next.len(), 0.7, LABEL_STUDIO_NEXT),
        ("submit a judgment", steps.submit, steps.seen.submit.len(), 1.0, LABEL_STUDIO_SUBMIT),
    ];
    for (what, used, count, goal, peer) in operations {
        let per = |seconds: f64| seconds * 1e3 / count.max(1) as f64;
        let all = per(used.app + used.database);
        let row = report.figure(&format!("{what}: CPU"), all, "ms, application + database");
        row.against("Label Studio, quoted", peer).wanted(&format!("at most {goal}"), all <= goal);
        report.figure(&format!("{what}: CPU of the application"), per(used.app), "ms");
        report.figure(&format!("{what}: CPU of the database"), per(used.database), "ms");
    }
    report.figure("idle system, taken off above", stage.idle() * 1e3, "ms of CPU per second");
}

/// All raters at once, thinking long enough that the machine is not simply full.
async fn at_a_human_pace(report: &mut Report, stage: &Stage, steps: &Steps, seconds: u64) -> Result<usize> {
    let each = |used: Used, count: usize| (used.app + used.database) / count.max(1) as f64;
    let pair = each(steps.next, steps.seen.next.len()) + each(steps.submit, steps.seen.submit.len());
    let cores = std::thread::available_parallelism()?.get() as f64;
    let mean = Duration::from_secs_f64((RATERS as f64 * pair / (USE_WANTED * cores)).clamp(8.0, 30.0));
    let (before, begun) = (stage.used(), Instant::now());
    let mut seen = load::thinking(stage, mean, Duration::from_secs(seconds)).await?;
    let (used, wall) = (stage.since(before, begun.elapsed()), begun.elapsed().as_secs_f64());
    let what = format!("{RATERS} raters for {seconds} s, thinking {:.1} s", mean.as_secs_f64());
    latencies(report, &what, &mut seen);
    report.figure(&format!("{what}: judgments"), seen.submit.len() as f64 / wall, "per second");
    let busy = (used.app + used.database) / seen.submit.len().max(1) as f64 * 1e3;
    report.figure(&format!("{what}: CPU of a task and its judgment"), busy, "ms, application + database");
    errors(report, &what, &seen);
    Ok(seen.submit.len())
}

async fn as_fast_as_they_can(report: &mut Report, stage: &Stage) -> Result<usize> {
    let mut judged = 0;
    let (mut rate, mut cost) = (0.0, 0.0);
    for connections in [CONNECTIONS, PEER_CONNECTIONS] {
        let (before, begun) = (stage.used(), Instant::now());
        let mut seen = load::without_thinking(stage, connections, SATURATED).await?;
        let (used, pairs) = (stage.since(before, begun.elapsed()), seen.submit.len().max(1) as f64);
        (rate, cost) = (pairs / begun.elapsed().as_secs_f64(), (used.app + used.database) * 1e3 / pairs);
        let what = format!("{connections} raters without thinking");
        latencies(report, &what, &mut seen);
        errors(report, &what, &seen);
        judged += seen.submit.len();
        if connections != PEER_CONNECTIONS {
            report.figure(&format!("{what}: judgments"), rate, "per second");
        }
    }
    let peer = peer::label_studio(stage, PEER_CONNECTIONS, SATURATED).await?;
    let row = report.figure(&format!("{PEER_CONNECTIONS} raters without thinking: judgments"), rate, "per second");
    if let Some(peer) = peer {
        row.against("Label Studio in the same run", peer.per_second);
        row.wanted("at least 50 times Label Studio", rate >= 50.0 * peer.per_second);
        let row = report.figure(&format!("{PEER_CONNECTIONS} raters without thinking: CPU of a task and its judgment"), cost, "ms");
        row.against("Label Studio in the same run", peer.cpu_ms);
    }
    Ok(judged)
}

fn latencies(report: &mut Report, what: &str, seen: &mut Seen) {
    for (name, values) in [("next", &mut seen.next), ("submit", &mut seen.submit)] {
        for (q, word) in [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")] {
            report.figure(&format!("{what}: {name} {word}"), quantile(values, q), "ms");
        }
    }
}

fn errors(report: &mut Report, what: &str, seen: &Seen) {
    if let Some(error) = first(seen) {
        println!("{what}: {} errors, such as {error}", seen.errors.len());
    }
    report.figure(&format!("{what}: errors"), seen.errors.len() as f64, "answers").wanted("none", seen.errors.is_empty());
    if seen.nothing > 0 {
        report.figure(&format!("{what}: nothing to give out"), seen.nothing as f64, "answers");
    }
}

/// What the database says afterwards.
fn slots(report: &mut Report, stage: &Stage, acknowledged: usize) -> Result<()> {
    let twice =
        "SELECT COUNT(*) AS value FROM (SELECT task_id, rater_id FROM task_assignments GROUP BY task_id, rater_id HAVING COUNT(*) > 1) x";
    let over = "SELECT COUNT(*) AS value FROM (SELECT t.task_id FROM rating_tasks t JOIN task_assignments a ON a.task_id = t.task_id \
         WHERE a.state = 'submitted' OR (a.state = 'leased' AND a.expires_at > now()) \
         GROUP BY t.task_id, t.required_judgments HAVING COUNT(*) > t.required_judgments) x";
    let wrong = "SELECT COUNT(*) AS value FROM rating_tasks t \
         WHERE t.judgments_count <> (SELECT COUNT(*) FROM judgments j WHERE j.task_id = t.task_id)";
    let stored = stage.number("SELECT COUNT(*) AS value FROM judgments")?;
    let lost = acknowledged as i64 - stored;
    for (what, count) in [
        ("tasks given to one rater twice", stage.number(twice)?),
        ("tasks with more judgments and leases than slots", stage.number(over)?),
        ("tasks with a wrong count", stage.number(wrong)?),
        ("acknowledged judgments that are not there", lost.max(0)),
    ] {
        report.figure(what, count as f64, "of all").wanted("none", count == 0);
    }
    report.figure("judgments stored", stored as f64, "in all");
    Ok(())
}
