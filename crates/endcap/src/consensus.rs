//! `endcap consensus`: judgments of many raters in, one answer a task out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use learning::agreement::{LabelCounts, fleiss_kappa, gwet_ac1, krippendorff};
use learning::consensus::{Consensus, Evidence, Method, estimate};
use learning::judgment::Judgment;
use serde_json::json;

/// Arguments of `consensus`.
#[derive(Args)]
pub struct Arguments {
    /// CSV with task_id,rater_id,label
    answers: PathBuf,
    /// CSV with task_id,label: known answers
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// auto, majority, gold-vote, one-coin or dawid-skene
    #[arg(long, default_value = "auto")]
    method: Method,
    /// Where the answers go (default: standard output)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the raters' reliabilities go
    #[arg(long, value_name = "FILE")]
    raters: Option<PathBuf>,
    /// Where the statistics go, JSON
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
}

/// Names in the order of their first appearance, and their numbers.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    index: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> Result<u32> {
        if let Some(number) = self.index.get(name) {
            return Ok(*number);
        }
        let number = u32::try_from(self.list.len()).context("more than four billion different names")?;
        self.list.push(name.to_owned());
        self.index.insert(name.to_owned(), number);
        Ok(number)
    }

    fn name(&self, number: usize) -> &str {
        self.list.get(number).map_or("", String::as_str)
    }
}

/// Reads, estimates, writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (mut tasks, mut raters, mut labels) = (Names::default(), Names::default(), Names::default());
    let mut judgments = Vec::new();
    each_row(&arguments.answers, ["task_id", "rater_id", "label"], |[task, rater, label]| {
        judgments.push(Judgment { task: tasks.number(task)?, rater: raters.number(rater)?, label: labels.number(label)? });
        Ok(())
    })?;
    if judgments.is_empty() {
        bail!("{} holds no judgments", arguments.answers.display());
    }
    let mut gold: Vec<Option<u32>> = Vec::new();
    if let Some(path) = &arguments.gold {
        gold = vec![None; tasks.list.len()];
        each_row(path, ["task_id", "label"], |[task, label]| {
            let label = labels.number(label)?;
            if let Some(place) = tasks.index.get(task).and_then(|task| gold.get_mut(*task as usize)) {
                *place = Some(label);
            }
            Ok(())
        })?;
    }
    let evidence = Evidence {
        n_tasks: tasks.list.len(),
        n_raters: raters.list.len(),
        n_labels: labels.list.len(),
        judgments: &judgments,
        gold: &gold,
        records: &[],
    };
    let consensus = estimate(&evidence, arguments.method)?;
    match write_answers(arguments.out.as_deref(), &consensus, &tasks, &labels) {
        // The reader has seen enough (`| head`).
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) => {}
        other => other?,
    }
    if let Some(path) = &arguments.raters {
        write_raters(path, &consensus, &raters)?;
    }
    if let Some(path) = &arguments.stats {
        let counts = LabelCounts::from_judgments(&judgments, evidence.n_tasks, evidence.n_labels)?;
        let (alpha, fleiss, ac1) = (krippendorff::alpha(&counts, krippendorff::Scale::Nominal), fleiss_kappa(&counts), gwet_ac1(&counts));
        let mut undefined = serde_json::Map::new();
        for (name, figure) in [("krippendorff_alpha", &alpha), ("fleiss_kappa", &fleiss), ("gwet_ac1", &ac1)] {
            if let Some(reason) = &figure.undefined_because {
                undefined.insert(name.to_owned(), json!(reason));
            }
        }
        let stats = json!({
            "krippendorff_alpha": alpha.value, "fleiss_kappa": fleiss.value, "gwet_ac1": ac1.value, "undefined_because": undefined,
            "n_tasks": evidence.n_tasks, "n_raters": evidence.n_raters, "n_judgments": judgments.len(),
            "method": consensus.method.to_string(), "reason": consensus.reason,
            "iterations": consensus.iterations, "log_likelihood": consensus.log_likelihood,
        });
        std::fs::write(path, serde_json::to_string_pretty(&stats)? + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprintln!(
        "{} tasks, {} raters, {} judgments: {} ({})",
        tasks.list.len(),
        raters.list.len(),
        judgments.len(),
        consensus.method,
        consensus.reason
    );
    Ok(())
}

/// Calls `each` with the named columns of every row; a wrong row is named by its line.
fn each_row<const N: usize>(path: &Path, columns: [&str; N], mut each: impl FnMut([&str; N]) -> Result<()>) -> Result<()> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let header = reader.headers().with_context(|| format!("{}: the header cannot be read", path.display()))?.clone();
    let mut places = [0_usize; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name == column)
            .with_context(|| format!("{}: the column {column} is missing; expected {}", path.display(), columns.join(",")))?;
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).with_context(|| format!("{}: a row cannot be read", path.display()))? {
        let line = record.position().map_or(0, csv::Position::line);
        let mut values = [""; N];
        for ((value, place), column) in values.iter_mut().zip(places).zip(columns) {
            *value = record
                .get(place)
                .filter(|v| !v.is_empty())
                .with_context(|| format!("{} line {line}: {column} is empty", path.display()))?;
        }
        each(values).with_context(|| format!("{} line {line}", path.display()))?;
    }
    Ok(())
}

fn write_answers(out: Option<&Path>, consensus: &Consensus, tasks: &Names, labels: &Names) -> Result<()> {
    let target: Box<dyn std::io::Write> = match out {
        Some(path) => Box::new(std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = csv::Writer::from_writer(target);
    writer.write_record(["task_id", "label", "probability", "method"])?;
    let method = consensus.method.to_string();
    for (number, task) in consensus.tasks.iter().enumerate() {
        // A perfect tie has no label; the row stays, so that nobody misses the task.
        let label = task.label.map_or("", |label| labels.name(label as usize));
        let best = task.posterior.iter().copied().fold(0.0_f64, f64::max);
        writer.write_record([tasks.name(number), label, &format!("{best:.6}"), &method]).map_err(std::io::Error::from)?;
    }
    writer.flush()?;
    Ok(())
}

fn write_raters(path: &Path, consensus: &Consensus, raters: &Names) -> Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    writer.write_record(["rater_id", "reliability", "judgments", "gold_correct", "gold_total"])?;
    for (number, rater) in consensus.raters.iter().enumerate() {
        let reliability = rater.reliability.map_or(String::new(), |value| format!("{value:.6}"));
        let (judgments, correct, total) = (rater.judgments.to_string(), rater.gold.correct.to_string(), rater.gold.total.to_string());
        writer.write_record([raters.name(number), &reliability, &judgments, &correct, &total])?;
    }
    writer.flush()?;
    Ok(())
}
