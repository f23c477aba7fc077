//! A million judgments read, consolidated to convergence and written by `endcap consensus`, in CPU time beside crowd-kit's Dawid-Skene in
//! the same run: `scripts/bench consensus`.
//!
//! The peer (scripts/peers/consensus_peer.py) runs when `ENDCAP_PEER_PYTHON` or `python3` has crowd-kit; else the rows say that it is
//! missing. Its figure is the fit alone, without reading or writing.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::bench::{Report, cpu};

const N_TASKS: u64 = 100_000;
const N_RATERS: u64 = 1_000;
const PER_TASK: u64 = 10;
/// Sum over rows of label x (row mod 1009), published with the set.
const CHECKSUM: u64 = 622_637_011;
/// The kernel counts CPU in hundredths of a second.
const RUNS: u32 = 5;
/// What reading, estimating and writing may take.
const SECONDS: f64 = 0.5;
/// How many times as long the Python peer must take.
const RATIO: f64 = 20.0;

fn main() {
    let folder = std::env::temp_dir().join(format!("endcap-consensus-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let answers = folder.join("answers.csv");
    let (text, truth) = synthetic();
    std::fs::write(&answers, text).unwrap();
    let mut report = Report::new("consensus");
    let peer = peer(&answers);
    for method in ["dawid-skene", "auto"] {
        let seconds = measure(&answers, &folder, method);
        let row = report.figure(&format!("1,000,000 judgments, {method}: read, settle, write"), seconds, "s of CPU");
        match &peer {
            Ok(peer) => {
                let spent = peer["cpu_seconds"].as_f64().unwrap();
                row.against(&format!("{}, {} iterations", peer["peer"].as_str().unwrap(), peer["iterations"]), spent);
                row.wanted("under 0.5 s and 20 times the peer", seconds < SECONDS && spent >= RATIO * seconds);
            }
            Err(why) => {
                row.peer = Some(format!("not run: {why}"));
                row.wanted("under 0.5 s (the peer was not run)", seconds < SECONDS);
            }
        }
        let row =
            report.figure(&format!("1,000,000 judgments, {method}: right"), accuracy(&folder.join("out.csv"), &truth), "share of tasks");
        if let Some(right) = peer.as_ref().ok().and_then(|peer| accuracy_of_peer(peer, &truth)) {
            row.against("crowd-kit", right);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    report.finish().unwrap();
}

/// Mean CPU seconds of the whole command.
fn measure(answers: &Path, folder: &Path, method: &str) -> f64 {
    let start = cpu::of_tree(std::process::id());
    for _ in 0..RUNS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
        command.arg("consensus").arg(answers).args(["--method", method]).arg("--out").arg(folder.join("out.csv"));
        assert!(command.output().unwrap().status.success());
    }
    cpu::of_tree(std::process::id()).saturating_sub(start).as_secs_f64() / f64::from(RUNS)
}

fn accuracy(out: &Path, truth: &[u64]) -> f64 {
    let mut right = 0_u32;
    for row in csv::Reader::from_path(out).unwrap().records() {
        let row = row.unwrap();
        let task: usize = row[0].parse().unwrap();
        right += u32::from(row[1] == *truth[task].to_string());
    }
    f64::from(right) / truth.len() as f64
}

/// The peer lists its labels by task number.
fn accuracy_of_peer(peer: &Value, truth: &[u64]) -> Option<f64> {
    let labels = peer["labels"].as_array()?;
    let right = labels.iter().zip(truth).filter(|(label, truth)| label.as_u64() == Some(**truth)).count();
    Some(right as f64 / truth.len() as f64)
}

fn peer(answers: &Path) -> Result<Value, String> {
    let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/peers/consensus_peer.py"));
    let python = std::env::var("ENDCAP_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).arg(script).arg(answers).output().map_err(|error| format!("{python}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("the peer failed").to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).map_err(|error| error.to_string())
}

/// Hash number `index` of `stream`: the finaliser of splitmix64 over a linear mix, seed 42.
fn hash(stream: u64, index: u64) -> u64 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = 42_u64.wrapping_add(stream.wrapping_mul(STEP)).wrapping_add(index.wrapping_mul(0xD1B5_4A32_D192_ED03)).wrapping_add(STEP);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

fn uniform(stream: u64, index: u64) -> f64 {
    (hash(stream, index) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// The judgments as CSV, and the truth: 4 labels, 15 % of the raters answer by habit, the others are right in 45 to 95 % of cases.
fn synthetic() -> (String, Vec<u64>) {
    const STRIDES: [u64; 10] = [1, 3, 7, 9, 11, 13, 17, 19, 21, 23];
    let mut text = String::from("task_id,rater_id,label\n");
    let mut truths = Vec::new();
    let mut checksum = 0;
    for task in 0..N_TASKS {
        let (base, stride) = (hash(1, task) % N_RATERS, STRIDES[(hash(2, task) % 10) as usize]);
        let share = uniform(3, task);
        let truth = [0.4, 0.7, 0.9].iter().filter(|cut| share >= **cut).count() as u64;
        truths.push(truth);
        for place in 0..PER_TASK {
            let (rater, row) = ((base + place * stride) % N_RATERS, PER_TASK * task + place);
            let (a, b) = (uniform(6, row), uniform(7, row));
            let label = match uniform(4, rater) < 0.15 {
                true if a < 0.7 => rater % 4,
                true => (4.0 * b) as u64,
                false if a < 0.45 + 0.5 * uniform(5, rater) => truth,
                false => (truth + 1 + (3.0 * b) as u64) % 4,
            };
            checksum += label * (row % 1009);
            writeln!(text, "{task},{rater},{label}").unwrap();
        }
    }
    assert_eq!(checksum, CHECKSUM, "this is not the published set");
    (text, truths)
}
