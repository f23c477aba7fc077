//! Voting: plain majority, and votes weighted by what golden items showed about each rater. These need no
//! fitting, so they also serve live, after every single judgment.

use super::indexed::{FLOOR, Fitted, Indexed, normalise_log};
use super::{Consensus, Evidence, Method};
use crate::judgment::{GoldRecord, InvalidJudgments};

/// Majority vote: the posterior is the vote share of each label.
///
/// # Errors
/// As for [`super::estimate`].
pub fn majority(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let indexed = Indexed::new(evidence);
    let posterior = indexed.soft_votes(evidence);
    let mut agreement = vec![(0.0, 0u32); evidence.n_raters];
    for judgment in evidence.judgments {
        let (sum, count) = &mut agreement[judgment.rater as usize];
        *sum += posterior[judgment.task as usize * evidence.n_labels + judgment.label as usize];
        *count += 1;
    }
    let fitted = Fitted {
        method: Method::Majority,
        class_prior: indexed.class_prior(evidence, &posterior, 0.0),
        posterior,
        reliability: agreement.iter().map(|&(sum, count)| sum / f64::from(count.max(1))).collect(),
        confusions: None,
        iterations: 0,
        converged: true,
        log_likelihood: None,
    };
    Ok(indexed.finish(evidence, fitted))
}

/// Votes weighted by the log-odds of each rater's smoothed golden accuracy, with a uniform class prior.
/// A rater who is worse than chance on golden items counts against the label given. Without any golden
/// record all weights are equal and the winner is that of [`majority`].
///
/// # Errors
/// As for [`super::estimate`].
pub fn gold_weighted(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let indexed = Indexed::new(evidence);
    let k = evidence.n_labels;
    let records = evidence.complete_records();
    let accuracy: Vec<f64> = records.iter().map(|record| record.smoothed_accuracy()).collect();
    let mut posterior = vec![0.0; evidence.n_tasks * k];
    let mut log_likelihood = 0.0;
    for (task, row) in posterior.chunks_exact_mut(k).enumerate() {
        row.fill(-(k as f64).ln());
        for (rater, label) in indexed.votes(task) {
            add_vote(row, accuracy[rater as usize], label);
        }
        log_likelihood += normalise_log(row, evidence.gold_label(task));
    }
    let fitted = Fitted {
        method: Method::GoldVote,
        class_prior: indexed.class_prior(evidence, &posterior, 0.0),
        posterior,
        reliability: accuracy,
        confusions: None,
        iterations: 0,
        converged: true,
        log_likelihood: Some(log_likelihood),
    };
    Ok(indexed.finish(evidence, fitted))
}

/// Posterior over `n_labels` labels of one task from votes `(golden correct, golden total, label)`, by the
/// same model as [`gold_weighted`]. Meant to be called live after each judgment. Votes for labels out of
/// range are ignored; `n_labels` of 0 gives an empty posterior.
pub fn task_posterior(votes: &[(u32, u32, u32)], n_labels: usize) -> Vec<f64> {
    let votes: Vec<(f64, u32)> =
        votes.iter().map(|&(correct, total, label)| (GoldRecord { correct, total }.smoothed_accuracy(), label)).collect();
    posterior_from_accuracies(&votes, n_labels)
}

/// Posterior over `n_labels` labels of one task from votes `(accuracy, label)`: P(z = k) is proportional
/// to the product over votes of `q` where the label is `k`, else `(1 - q) / (K - 1)`. Uniform without
/// votes. Votes for labels out of range are ignored; `n_labels` of 0 gives an empty posterior.
pub fn posterior_from_accuracies(votes: &[(f64, u32)], n_labels: usize) -> Vec<f64> {
    let mut row = vec![0.0; n_labels];
    if n_labels == 0 {
        return row;
    }
    for &(accuracy, label) in votes.iter().filter(|(_, label)| (*label as usize) < n_labels) {
        add_vote(&mut row, accuracy, label);
    }
    normalise_log(&mut row, None);
    row
}

/// Adds one vote of a rater with this accuracy to joint log probabilities; errors fall evenly on the
/// other labels. The label must be in range.
pub(crate) fn add_vote(row: &mut [f64], accuracy: f64, label: u32) {
    let accuracy = if accuracy.is_nan() { 0.5 } else { accuracy.clamp(FLOOR, 1.0 - FLOOR) };
    let error = ((1.0 - accuracy) / row.len().saturating_sub(1).max(1) as f64).ln();
    row.iter_mut().for_each(|value| *value += error);
    row[label as usize] += accuracy.ln() - error;
}
