//! One accuracy per rater, by expectation maximisation: the right model when raters differ in care and
//! not in habits, or have too few judgments for a confusion matrix each.

use super::engine::{BETWEEN_RESCALES, Likelihood};
use super::indexed::{FLOOR, Fitted, Indexed, has_settled};
use super::{Consensus, EmSettings, Evidence, Method};
use crate::judgment::InvalidJudgments;

/// Smoothed settings, used where models are averaged: each rater starts with 4 right and 1 wrong
/// pseudo-judgments.
pub const SMOOTHED: EmSettings = EmSettings { max_iterations: 300, tolerance: 1e-8, right: 4.0, wrong: 1.0, class: 1.0 };

/// Fits the one-coin model: a rater is right with one probability, errors fall evenly on the other
/// labels. Gold labels stay fixed, golden records count as further judgments of known tasks. Starts at
/// the vote shares; each round computes posteriors, then class prior and accuracies.
///
/// # Errors
/// As for [`super::estimate`].
pub fn fit(evidence: &Evidence<'_>, settings: &EmSettings) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let indexed = Indexed::new(evidence);
    let fitted = fit_indexed(evidence, &indexed, settings);
    Ok(indexed.finish(evidence, fitted))
}

/// [`fit`] on checked and grouped judgments.
pub(super) fn fit_indexed(evidence: &Evidence<'_>, indexed: &Indexed, settings: &EmSettings) -> Fitted {
    let mut posterior = indexed.soft_votes(evidence);
    let mut prior = indexed.class_prior(evidence, &posterior, settings.class);
    let mut accuracy = accuracies(evidence, indexed, settings, &posterior);
    let mut log_likelihood = f64::NEG_INFINITY;
    let (mut iterations, mut converged) = (0, false);
    while iterations < settings.max_iterations && !converged {
        iterations += 1;
        let model = Model::new(&prior, &accuracy);
        let before = log_likelihood;
        let mut likelihood = Likelihood::default();
        log_likelihood = 0.0;
        for (task, row) in posterior.chunks_exact_mut(evidence.n_labels).enumerate() {
            log_likelihood += model.posterior(row, indexed.rows(task), evidence.gold_label(task), &mut likelihood);
        }
        log_likelihood += likelihood.finish();
        converged = has_settled(before, log_likelihood, settings.tolerance);
        // Reported are the parameters that gave the posteriors.
        if iterations < settings.max_iterations && !converged {
            prior = indexed.class_prior(evidence, &posterior, settings.class);
            accuracy = accuracies(evidence, indexed, settings, &posterior);
        }
    }
    Fitted {
        method: Method::OneCoin,
        posterior,
        reliability: accuracy,
        confusions: None,
        class_prior: prior,
        iterations,
        converged,
        log_likelihood: Some(log_likelihood).filter(|value| value.is_finite()),
    }
}

/// Log probability of each task's judgments under a class prior and accuracies, for tasks that did not
/// help to find them.
pub(super) fn task_log_likelihoods(evidence: &Evidence<'_>, indexed: &Indexed, prior: &[f64], accuracy: &[f64]) -> Vec<f64> {
    let model = Model::new(prior, accuracy);
    let mut row = vec![0.0; evidence.n_labels];
    let of_task = |task| {
        let mut likelihood = Likelihood::default();
        model.posterior(&mut row, indexed.rows(task), None, &mut likelihood) + likelihood.finish()
    };
    (0..evidence.n_tasks).map(of_task).collect()
}

/// The parameters as the posterior needs them, once a round.
struct Model<'a> {
    prior: &'a [f64],
    votes: Vec<Vote>,
}

/// What a judgment says, by rater and label.
struct Vote {
    /// Log probability of one given wrong label.
    error: f64,
    /// How many times as probable the right one is.
    ratio: f64,
    label: usize,
}

impl<'a> Model<'a> {
    fn new(prior: &'a [f64], accuracy: &[f64]) -> Self {
        let others = prior.len().saturating_sub(1).max(1) as f64;
        let of_rater = |accuracy: &f64| {
            let error = (1.0 - accuracy) / others;
            let (log_error, ratio) = (error.ln(), accuracy / error);
            (0..prior.len()).map(move |label| Vote { error: log_error, ratio, label })
        };
        Self { prior, votes: accuracy.iter().flat_map(of_rater).collect() }
    }

    /// Fills in the posterior of one task. The log probability of its judgments is the number returned plus
    /// what `likelihood` takes in.
    fn posterior(&self, row: &mut [f64], votes: &[u32], gold: Option<u32>, likelihood: &mut Likelihood) -> f64 {
        row.copy_from_slice(self.prior);
        let mut errors = 0.0;
        for votes in votes.chunks(BETWEEN_RESCALES) {
            for &vote in votes {
                let vote = &self.votes[vote as usize];
                errors += vote.error;
                row[vote.label] *= vote.ratio;
            }
            if votes.len() == BETWEEN_RESCALES {
                let top = row.iter().copied().fold(0.0, f64::max);
                row.iter_mut().for_each(|value| *value /= top);
                errors += top.ln();
            }
        }
        // Sums above 1 would let the product of the probabilities grow without bound.
        let scale = row.iter().sum::<f64>().max(1.0);
        if scale > 1.0 {
            row.iter_mut().for_each(|value| *value /= scale);
            errors += scale.ln();
        }
        likelihood.normalise(row, gold, !votes.is_empty() || gold.is_some());
        errors
    }
}

/// Posterior mass on the labels given, with pseudo-judgments and golden records.
fn accuracies(evidence: &Evidence<'_>, indexed: &Indexed, settings: &EmSettings, posterior: &[f64]) -> Vec<f64> {
    let k = evidence.n_labels;
    let labels: Vec<usize> = (0..evidence.n_raters).flat_map(|_| 0..k).collect();
    let mut masses = vec![(0.0, 0_u32); labels.len()];
    for (task, row) in posterior.chunks_exact(k).enumerate() {
        for &vote in indexed.rows(task) {
            let (mass, count) = &mut masses[vote as usize];
            *mass += row[labels[vote as usize]];
            *count += 1;
        }
    }
    let mut counts = vec![(settings.right, settings.right + settings.wrong); evidence.n_raters];
    for (count, record) in counts.iter_mut().zip(evidence.records) {
        count.0 += f64::from(record.correct);
        count.1 += f64::from(record.total);
    }
    for (count, masses) in counts.iter_mut().zip(masses.chunks_exact(k)) {
        count.0 += masses.iter().map(|(mass, _)| mass).sum::<f64>();
        count.1 += masses.iter().map(|(_, count)| f64::from(*count)).sum::<f64>();
    }
    let ratio = |&(right, all): &(f64, f64)| if all > 0.0 { right / all } else { 0.5 };
    counts.iter().map(|count| ratio(count).clamp(FLOOR, 1.0 - FLOOR)).collect()
}
