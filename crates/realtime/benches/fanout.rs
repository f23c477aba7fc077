//! The realtime endpoint under many sockets: what an idle one costs in memory, and what a message costs on its way to a thousand subscribers,
//! beside peers in the same run. Servers are processes of their own, and only their CPU is counted; they take turns, because the machine
//! is never quiet.
//!
//! Peers run when they are there: `ENDCAP_PEER_UWS` (a Python environment with `socketify`, which is uWebSockets), `ENDCAP_PEER_WS` (a folder
//! whose `node_modules` has `ws`), `ENDCAP_PEER_NCHAN` (`NGINX:MODULE`, the server and the module's file), `ENDCAP_PEER_NATS` (the file of
//! `nats-server`), `ENDCAP_PEER_EARLIER` (this program of an earlier build: what a change brought). `ENDCAP_BENCH_SECONDS` is the length
//! of one turn (8), `ENDCAP_BENCH_SOCKETS` the number of idle sockets (10,000).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

// By its path: the crate would bring the databases into a build that needs none.
#[path = "../../testkit/src/bench/mod.rs"]
#[allow(dead_code, reason = "this benchmark needs a part of it")]
mod bench;
#[path = "fanout/client.rs"]
mod client;
#[path = "fanout/process.rs"]
mod process;
#[path = "fanout/server.rs"]
mod server;

use std::time::Duration;

use anyhow::{Result, ensure};
use bench::{Report, quantile};
use client::{Turn, turn};
use process::{Kind, Process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SUBSCRIBERS: usize = 1_000;
const TURNS: usize = 5;
/// What an idle socket may cost at most, in KiB.
const IDLE_GOAL: f64 = 16.0;

fn main() -> Result<()> {
    if let Ok(port) = std::env::var(process::SERVE) {
        return server::run(port.parse()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn run() -> Result<()> {
    let mut report = Report::new("fanout");
    let sockets = number("ENDCAP_BENCH_SOCKETS", 10_000);
    if sockets > 0 {
        idle(&mut report, sockets).await?;
    }
    let length = Duration::from_secs(u64::try_from(number("ENDCAP_BENCH_SECONDS", 8))?);
    let kinds = Kind::present();
    let mut turns: Vec<Vec<Turn>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..TURNS {
        for (kind, turns) in kinds.iter().zip(&mut turns) {
            let process = Process::start(kind).await?;
            let taken = turn(&process, SUBSCRIBERS, length).await?;
            println!(
                "{round} {:<14} {:>6.2} us  {:>6.0} /s  p99 {:>5.0} ms  lost {}",
                kind.name(),
                taken.cpu_us(),
                taken.per_second(),
                taken.p99_ms,
                taken.lost
            );
            turns.push(taken);
        }
    }
    tell(&mut report, &kinds, &turns)?;
    report.finish()
}

/// Opens sockets that join one room each and then say nothing.
async fn idle(report: &mut Report, sockets: usize) -> Result<()> {
    let process = Process::start(&Kind::Endcap).await?;
    let before = process.memory_kib();
    let held = client::hold(&process, sockets).await?;
    let each = (settled(&process).await - before) / sockets as f64;
    let row = report.figure(&format!("memory of an idle socket, {sockets} on one process"), each, "KiB");
    row.wanted("at most 16", each <= IDLE_GOAL);
    println!("{sockets} idle sockets: {each:.2} KiB each, {:.0} MiB in all", process.memory_kib() / 1024.0);
    drop(held);
    Ok(())
}

/// The server's memory in KiB, once it stays the same.
async fn settled(process: &Process) -> f64 {
    let (mut last, mut same) = (process.memory_kib(), 0);
    while same < 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = process.memory_kib();
        same = if (now - last).abs() < last / 1e3 { same + 1 } else { 0 };
        last = now;
    }
    last
}

fn median(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    quantile(&mut turns.iter().map(of).collect::<Vec<_>>(), 0.5)
}

fn tell(report: &mut Report, kinds: &[Kind], turns: &[Vec<Turn>]) -> Result<()> {
    let Some((own, peers)) = turns.split_first() else { return Ok(()) };
    ensure!(own.iter().all(|turn| turn.lost == 0), "messages were lost");
    let cpu = median(own, Turn::cpu_us);
    let figures = kinds.iter().skip(1).zip(peers).filter(|(kind, _)| !kind.is_endcap());
    let figures = figures.map(|(kind, turns)| (kind.name(), median(turns, Turn::cpu_us)));
    let best = figures.min_by(|left, right| left.1.total_cmp(&right.1));
    let row = report.figure("a message to one of 1,000 subscribers", cpu, "us of CPU per delivery");
    if let Some((name, peer)) = best {
        row.against(name, peer).wanted("at most the best peer", cpu <= peer);
    }
    for (kind, turns) in kinds.iter().zip(turns) {
        let name = kind.name();
        report.figure(&format!("{name}: CPU per delivery"), median(turns, Turn::cpu_us), "us");
        report.figure(&format!("{name}: deliveries"), median(turns, Turn::per_second), "per second");
        report.figure(&format!("{name}: p99 of a delivery"), median(turns, |turn| turn.p99_ms), "ms");
        report.figure(&format!("{name}: lost"), turns.iter().map(|turn| turn.lost as f64).sum(), "messages");
    }
    Ok(())
}
