//! One accuracy per rater, by expectation maximisation: the right model when raters have too few
//! judgments for a confusion matrix each.

use super::indexed::{FLOOR, Fitted, Indexed, has_settled, normalise_log};
use super::vote::add_vote;
use super::{Consensus, EmSettings, Evidence, Method};
use crate::judgment::InvalidJudgments;

/// Default settings: each rater starts with 4 right and 1 wrong pseudo-judgments.
pub const SETTINGS: EmSettings = EmSettings { max_iterations: 300, tolerance: 1e-9, right: 4.0, wrong: 1.0, class: 1.0 };

/// Fits the one-coin model: a rater is right with one probability, errors fall evenly on the other
/// labels. Gold labels stay fixed, golden records count as further judgments of known tasks. Starts at
/// the vote shares; each round computes posteriors, then class prior and accuracies.
///
/// # Errors
/// As for [`super::estimate`].
pub fn fit(evidence: &Evidence<'_>, settings: &EmSettings) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let indexed = Indexed::new(evidence);
    let k = evidence.n_labels;
    let mut posterior = indexed.soft_votes(evidence);
    let mut prior = indexed.class_prior(evidence, &posterior, settings.class);
    let mut accuracy = accuracies(evidence, settings, &posterior);
    let mut log_likelihood = f64::NEG_INFINITY;
    let (mut iterations, mut converged) = (0, false);
    while iterations < settings.max_iterations && !converged {
        iterations += 1;
        let log_prior: Vec<f64> = prior.iter().map(|p| p.ln()).collect();
        let before = log_likelihood;
        log_likelihood = 0.0;
        for (task, row) in posterior.chunks_exact_mut(k).enumerate() {
            row.copy_from_slice(&log_prior);
            for &(rater, label) in indexed.task(task) {
                add_vote(row, accuracy[rater as usize], label);
            }
            let log_probability = normalise_log(row, evidence.gold_label(task));
            if indexed.is_known(evidence, task) {
                log_likelihood += log_probability;
            }
        }
        prior = indexed.class_prior(evidence, &posterior, settings.class);
        accuracy = accuracies(evidence, settings, &posterior);
        converged = has_settled(before, log_likelihood, settings.tolerance);
    }
    let fitted = Fitted {
        method: Method::OneCoin,
        posterior,
        reliability: accuracy,
        confusions: None,
        class_prior: prior,
        iterations,
        converged,
        log_likelihood: Some(log_likelihood).filter(|value| value.is_finite()),
    };
    Ok(indexed.finish(evidence, fitted))
}

/// Posterior mass on the labels given, with pseudo-judgments and golden records.
fn accuracies(evidence: &Evidence<'_>, settings: &EmSettings, posterior: &[f64]) -> Vec<f64> {
    let mut counts = vec![(settings.right, settings.right + settings.wrong); evidence.n_raters];
    for (count, record) in counts.iter_mut().zip(evidence.records) {
        count.0 += f64::from(record.correct);
        count.1 += f64::from(record.total);
    }
    for judgment in evidence.judgments {
        let (right, all) = &mut counts[judgment.rater as usize];
        *right += posterior[judgment.task as usize * evidence.n_labels + judgment.label as usize];
        *all += 1.0;
    }
    let ratio = |&(right, all): &(f64, f64)| if all > 0.0 { right / all } else { 0.5 };
    counts.iter().map(|count| ratio(count).clamp(FLOOR, 1.0 - FLOOR)).collect()
}
