//! `endcap consensus`: judgments of many raters in, one answer a task out.

mod names;
mod reading;
mod writing;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use learning::consensus::{Consensus, EmSettings, Evidence, Method, dawid_skene, estimate, one_coin};

/// Arguments of `consensus`.
#[derive(Args)]
pub struct Arguments {
    /// CSV with task_id,rater_id,label
    answers: PathBuf,
    /// CSV with task_id,label: known answers
    #[arg(long, value_name = "FILE")]
    gold: Option<PathBuf>,
    /// auto, majority, gold-vote, one-coin, dawid-skene, hierarchical, mace or model-average
    #[arg(long, default_value = "auto")]
    method: Method,
    /// Exactly this many rounds of one-coin or dawid-skene (default: to convergence)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    iterations: Option<u32>,
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

/// Reads, estimates, writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut answers = reading::answers(&arguments.answers)?;
    if answers.judgments.is_empty() {
        bail!("{} holds no judgments", arguments.answers.display());
    }
    let mut gold: Vec<Option<u32>> = Vec::new();
    if let Some(path) = &arguments.gold {
        gold = vec![None; answers.tasks.len()];
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        reading::each_row(path, &bytes, ["task_id", "label"], |[task, label]| {
            let label = answers.labels.number(label)?;
            if let Some(place) = answers.tasks.find(task).and_then(|task| gold.get_mut(task as usize)) {
                *place = Some(label);
            }
            Ok(())
        })?;
    }
    let evidence = Evidence {
        n_tasks: answers.tasks.len(),
        n_raters: answers.raters.len(),
        n_labels: answers.labels.len(),
        judgments: &answers.judgments,
        gold: &gold,
        records: &[],
    };
    let consensus = match (arguments.iterations, arguments.method) {
        (None, method) => estimate(&evidence, method)?,
        (Some(rounds), method) => rounds_of(&evidence, method, rounds)?,
    };
    match writing::answers(arguments.out.as_deref(), &consensus, &answers) {
        // The reader has seen enough (`| head`).
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) => {}
        other => other?,
    }
    if let Some(path) = &arguments.raters {
        writing::raters(path, &consensus, &answers.raters)?;
    }
    if let Some(path) = &arguments.stats {
        writing::statistics(path, &consensus, &answers)?;
    }
    eprintln!(
        "{} tasks, {} raters, {} judgments: {} ({})",
        answers.tasks.len(),
        answers.raters.len(),
        answers.judgments.len(),
        consensus.method,
        consensus.reason
    );
    Ok(())
}

/// Exactly `rounds` rounds of a published method.
fn rounds_of(evidence: &Evidence<'_>, method: Method, rounds: u32) -> Result<Consensus> {
    let settings = EmSettings::unsmoothed(rounds);
    Ok(match method {
        Method::OneCoin => one_coin::fit(evidence, &settings)?,
        Method::DawidSkene => dawid_skene::fit(evidence, &settings)?,
        other => bail!("--iterations goes with --method one-coin or dawid-skene, not with {other}"),
    })
}
