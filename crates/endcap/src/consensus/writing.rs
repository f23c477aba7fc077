//! Writing what the consensus found: answers, raters and statistics.

use std::path::Path;

use anyhow::{Context, Result};
use learning::agreement::suite::{Estimate, Settings, suite};
use learning::consensus::Consensus;
use learning::judgment::Judgment;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::reading::Answers;

/// Answers go to the file, or to standard output.
pub fn answers(out: Option<&Path>, consensus: &Consensus, answers: &Answers) -> Result<()> {
    let target: Box<dyn std::io::Write> = match out {
        Some(path) => Box::new(std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(target);
    writer.write_record(["task_id", "label", "probability", "method"])?;
    let method = consensus.method.to_string();
    for (number, task) in consensus.tasks.iter().enumerate() {
        // A perfect tie has no label; the row stays, so that nobody misses the task.
        let label = task.label.map_or("", |label| answers.labels.name(label as usize));
        let best = task.posterior.iter().copied().fold(0.0_f64, f64::max);
        let row = [answers.tasks.name(number).as_bytes(), label.as_bytes(), &nine_decimals(best), method.as_bytes()];
        writer.write_record(row).map_err(std::io::Error::from)?;
    }
    writer.flush()?;
    Ok(())
}

/// A probability as `0.123456789`; formatting a million numbers the general way takes longer than
/// finding them.
fn nine_decimals(probability: f64) -> [u8; 11] {
    let mut digits = *b"0.000000000";
    let mut rest = (probability.clamp(0.0, 1.0) * 1e9).round() as u64;
    for place in [10, 9, 8, 7, 6, 5, 4, 3, 2, 0] {
        digits[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

pub fn raters(path: &Path, consensus: &Consensus, raters: &Names) -> Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    writer.write_record(["rater_id", "reliability", "judgments", "gold_correct", "gold_total"])?;
    for (number, rater) in consensus.raters.iter().enumerate() {
        let reliability = rater.reliability.map_or(String::new(), |value| format!("{value:.9}"));
        let (judgments, correct, total) = (rater.judgments.to_string(), rater.gold.correct.to_string(), rater.gold.total.to_string());
        writer.write_record([raters.name(number), &reliability, &judgments, &correct, &total])?;
    }
    writer.flush()?;
    Ok(())
}

/// Agreement and how the consensus was found, as JSON. Each coefficient has its value under its own name,
/// its interval under `intervals` and, when it is not defined, the reason under `undefined_because`.
pub fn statistics(path: &Path, consensus: &Consensus, answers: &Answers) -> Result<()> {
    let ranks = ranks(&answers.labels);
    let is_ordered = ranks.is_some();
    let ranks = ranks.unwrap_or_else(|| (0u32..).take(answers.labels.len()).collect());
    let judgments: Vec<Judgment> = answers
        .judgments
        .iter()
        .map(|judgment| Judgment { label: ranks.get(judgment.label as usize).copied().unwrap_or(judgment.label), ..*judgment })
        .collect();
    let settings = Settings { is_ordered, ..Settings::default() };
    let suite = suite(&judgments, answers.tasks.len(), answers.labels.len().max(1), &settings)?;
    let estimates: [(&str, &Estimate); 6] = [
        ("percent_agreement", &suite.percent),
        ("cohen_kappa", &suite.cohen_kappa.estimate),
        ("fleiss_kappa", &suite.fleiss_kappa),
        ("krippendorff_alpha", &suite.krippendorff_alpha),
        ("krippendorff_alpha_ordinal", &suite.krippendorff_alpha_ordinal),
        ("gwet_ac1", &suite.gwet_ac1),
    ];
    let (mut stats, mut intervals, mut undefined, mut based_on) = (Map::new(), Map::new(), Map::new(), Map::new());
    for (name, estimate) in estimates {
        let figure = &estimate.coefficient;
        stats.insert(name.to_owned(), json!(figure.value));
        let interval =
            estimate.interval.map(|interval| json!({"low": interval.low, "high": interval.high, "replicates": estimate.replicates}));
        intervals.insert(name.to_owned(), interval.unwrap_or(Value::Null));
        based_on.insert(name.to_owned(), json!({"n_tasks": figure.n_tasks, "n_judgments": figure.n_judgments}));
        if let Some(reason) = &figure.undefined_because {
            undefined.insert(name.to_owned(), json!(reason));
        }
    }
    let rest = json!({
        "intervals": intervals, "undefined_because": undefined, "based_on": based_on, "cohen_pairs": suite.cohen_kappa.n_pairs,
        "n_tasks": answers.tasks.len(), "n_raters": answers.raters.len(), "n_judgments": answers.judgments.len(),
        "method": consensus.method.to_string(), "reason": consensus.reason,
        "iterations": consensus.iterations, "converged": consensus.converged, "log_likelihood": consensus.log_likelihood,
        "class_prior": class_prior(consensus, &answers.labels),
    });
    if let Value::Object(rest) = rest {
        stats.extend(rest);
    }
    std::fs::write(path, serde_json::to_string_pretty(&stats)? + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn class_prior(consensus: &Consensus, labels: &Names) -> Map<String, Value> {
    consensus.class_prior.iter().enumerate().map(|(label, share)| (labels.name(label).to_owned(), json!(share))).collect()
}

/// The rank of each label when all of them are numbers.
fn ranks(labels: &Names) -> Option<Vec<u32>> {
    let numbers = (0..labels.len()).map(|label| labels.name(label).parse::<f64>().ok().filter(|number| number.is_finite()));
    let numbers: Vec<f64> = numbers.collect::<Option<_>>()?;
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|x, y| numbers[*x].total_cmp(&numbers[*y]));
    let mut ranks = vec![0; order.len()];
    (0u32..).zip(order).for_each(|(rank, label)| ranks[label] = rank);
    Some(ranks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn probabilities_are_written_with_nine_decimals() {
        for value in [0.0, 1.0, 0.5, 0.123_456_789_4, 1.0 / 3.0, 0.999_999_999_9, 1e-9] {
            assert_eq!(String::from_utf8(nine_decimals(value).to_vec()).unwrap(), format!("{value:.9}"));
        }
    }

    #[test]
    fn labels_have_ranks_only_when_all_are_numbers() {
        let names = |list: &[&str]| {
            let mut names = Names::default();
            for name in list {
                names.number(name).unwrap();
            }
            names
        };
        assert_eq!(ranks(&names(&["10", "2", "-1"])), Some(vec![2, 1, 0]));
        assert_eq!(ranks(&names(&["10", "A"])), None);
    }
}
