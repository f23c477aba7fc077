//! The reference budget problems in CPU time, beside Python solvers in the same run: `scripts/bench optimize`.
//!
//! The peers (scripts/peers/optimizer_peer.py) run when `ENDCAP_PEER_PYTHON` or `python3` has scipy, cvxpy and HiGHS; else the rows
//! say that they are missing. A peer's quality is its objective over the proven upper bound, 0 when it breaks a constraint.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use planning::optimizer::problem::Problem;
use planning::optimizer::{Solution, Status, solve};
use serde_json::Value;
use testkit::bench::{Report, cpu};

const CASES: [&str; 6] =
    ["d1-concave-10", "d2-groups-30", "d3-sshape-tight-30", "d4-mixed-groups-roas-300", "d5-mixed-groups-10000", "d6-infeasible-floors-30"];
/// The kernel counts CPU in hundredths of a second, so small problems are solved until this much is spent.
const ENOUGH: Duration = Duration::from_millis(400);
/// What 10,000 lines may take.
const LARGE_SECONDS: f64 = 0.3;
/// How many times as long the Python solver must take there.
const LARGE_RATIO: f64 = 20.0;

fn main() {
    let folder = tempfile();
    let mut report = Report::new("optimize");
    for case in CASES {
        let text = read(case);
        let file = folder.join(format!("{case}.json"));
        std::fs::write(&file, &text).unwrap();
        let problem = Problem::from_json(&text).unwrap();
        let (seconds, solution) = measure(&problem);
        let reference = problem.reference.as_ref().and_then(|reference| reference["objective"].as_f64());
        let row = report.figure(&format!("{case}: solve"), seconds * 1_000.0, "ms of CPU");
        let mut peer_seconds = None;
        match peer(&file) {
            Ok(peer) => {
                let spent = peer["cpu_seconds"].as_f64().unwrap();
                peer_seconds = Some(spent);
                row.against(&format!("{}, quality {}", peer["solver"].as_str().unwrap(), quality(&peer["quality"])), spent * 1_000.0);
            }
            Err(why) => row.peer = Some(format!("not run: {why}")),
        }
        if case.starts_with("d5") {
            match peer_seconds {
                Some(spent) => row.wanted("under 300 ms and 20 times the peer", seconds < LARGE_SECONDS && spent >= LARGE_RATIO * seconds),
                None => row.wanted("under 300 ms (the peer was not run)", seconds < LARGE_SECONDS),
            };
        }
        let Some(reference) = reference else {
            let row = report.figure(&format!("{case}: constraints in the conflict"), solution.conflict.len() as f64, "constraints");
            row.wanted("infeasible, explained", solution.status == Status::Infeasible && !solution.conflict.is_empty());
            continue;
        };
        let found = solution.objective.unwrap();
        report
            .figure(&format!("{case}: objective"), found, "money")
            .against("reference objective", reference)
            .wanted("within 1e-6 or better", found >= reference * (1.0 - 1e-6));
        let gap = solution.gap.unwrap();
        report.figure(&format!("{case}: proven gap"), gap * 1e6, "millionths").wanted("at most 1", gap <= 1e-6);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    report.finish().unwrap();
}

fn tempfile() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("endcap-optimize-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn read(case: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(format!("{case}.json"));
    if path.exists() {
        return std::fs::read_to_string(path).unwrap();
    }
    let mut text = String::new();
    let packed = std::fs::File::open(path.with_extension("json.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

/// Mean CPU seconds of a solution, and the solution.
fn measure(problem: &Problem) -> (f64, Solution) {
    let (start, mut count) = (cpu::of_self(), 0);
    loop {
        let solution = solve(problem).unwrap();
        count += 1;
        let spent = cpu::of_self().saturating_sub(start);
        if spent >= ENOUGH {
            return (spent.as_secs_f64() / f64::from(count), solution);
        }
    }
}

fn peer(file: &std::path::Path) -> Result<Value, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/peers/optimizer_peer.py");
    let python = std::env::var("ENDCAP_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).arg(script).arg(file).output().map_err(|error| format!("{python}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("the peer failed").to_owned());
    }
    // Solvers may print a greeting first.
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).map_err(|error| error.to_string())
}

fn quality(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.as_str().unwrap_or("unknown").to_owned(), |number| format!("{number:.4}"))
}
