//! What benchmarks share: a table of figures beside their peers, and the CPU time of processes.
//!
//! Wall time lies on a busy machine, so figures are CPU per operation, and ratios to a peer or a raw limit that was measured in the same run.

pub mod cpu;

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

/// One figure beside its peer.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// How much.
    pub value: f64,
    /// Of what, such as `ms of CPU per row`.
    pub unit: String,
    /// What it is compared with.
    pub peer: Option<String>,
    /// The peer's figure, in the same unit.
    pub peer_value: Option<f64>,
    /// `value / peer_value`.
    pub ratio: Option<f64>,
    /// What we want, in words.
    pub goal: Option<String>,
    /// Whether the goal was met; absent without a goal.
    pub met: Option<bool>,
}

/// The figures of one benchmark.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The benchmark's name, as `scripts/bench` takes it.
    pub name: String,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rows: Vec::new() }
    }

    /// Adds a figure without a peer.
    pub fn figure(&mut self, figure: &str, value: f64, unit: &str) -> &mut Row {
        self.rows.push(Row {
            figure: figure.to_owned(),
            value,
            unit: unit.to_owned(),
            peer: None,
            peer_value: None,
            ratio: None,
            goal: None,
            met: None,
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// Prints the table and writes `target/bench/NAME.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self) -> anyhow::Result<()> {
        println!("{:<58} {:>14} {:<26} {:>14} {:>9}  goal", self.name, "figure", "unit", "peer", "ratio");
        for row in &self.rows {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
            let verdict = match (&row.goal, row.met) {
                (Some(goal), Some(true)) => format!("{goal}: met"),
                (Some(goal), Some(false)) => format!("{goal}: MISSED"),
                (goal, _) => goal.clone().unwrap_or_default(),
            };
            let peer = row.peer.as_ref().map_or_else(String::new, |peer| format!("  [peer: {peer}]"));
            println!(
                "{:<58} {:>14} {:<26} {:>14} {:>9}  {verdict}{peer}",
                row.figure,
                short(row.value),
                row.unit,
                number(row.peer_value),
                number(row.ratio)
            );
        }
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(format!("{}.json", self.name));
        std::fs::write(&file, serde_json::to_vec_pretty(self)?).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Row {
    /// Beside a peer's figure in the same unit.
    pub fn against(&mut self, peer: &str, value: f64) -> &mut Self {
        self.peer = Some(peer.to_owned());
        self.peer_value = Some(value);
        self.ratio = (value != 0.0).then(|| self.value / value);
        self
    }

    /// With what is wanted, and whether it was met.
    pub fn wanted(&mut self, goal: &str, met: bool) -> &mut Self {
        self.goal = Some(goal.to_owned());
        self.met = Some(met);
        self
    }
}

/// A quantile by nearest rank; 0 without values.
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank - 1).copied().unwrap_or(0.0)
}

fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}
