//! One confusion matrix per rater, by expectation maximisation (Dawid and Skene 1979, "Maximum likelihood
//! estimation of observer error-rates using the EM algorithm"), smoothed so that raters with few
//! judgments do not get probabilities of 0 or 1.

use super::indexed::{FLOOR, Fitted, Indexed, has_settled, normalise_log};
use super::{Consensus, EmSettings, Evidence, Method};
use crate::judgment::{InvalidJudgments, check_cells};

/// Default settings: Dirichlet pseudo-counts of 1 on the diagonal and 0.5 beside it. The heavier diagonal
/// also keeps labels from being switched.
pub const SETTINGS: EmSettings = EmSettings { max_iterations: 300, tolerance: 1e-9, right: 1.0, wrong: 0.5, class: 0.0 };

/// Fits the Dawid-Skene model. Gold labels stay fixed; golden records are spread over the diagonal (right)
/// and the other cells (wrong). Starts at the vote shares; each round computes posteriors, then class
/// prior and matrices. Unsmoothed matrices are clipped at 1e-10 and normalised over the labels that the
/// rater has used, as crowd-kit does.
///
/// # Errors
/// As for [`super::estimate`], also when raters x labels x labels is too large.
pub fn fit(evidence: &Evidence<'_>, settings: &EmSettings) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    let k = evidence.n_labels;
    check_cells(evidence.n_raters.saturating_mul(k).saturating_mul(k))?;
    let indexed = Indexed::new(evidence);
    let pseudo = pseudo_counts(evidence, settings);
    let mut posterior = indexed.soft_votes(evidence);
    let mut prior = indexed.class_prior(evidence, &posterior, settings.class);
    let mut matrices = matrices(evidence, settings, &pseudo, &posterior);
    let mut log_likelihood = f64::NEG_INFINITY;
    let (mut iterations, mut converged) = (0, false);
    while iterations < settings.max_iterations && !converged {
        iterations += 1;
        let log_prior: Vec<f64> = prior.iter().map(|p| p.ln()).collect();
        matrices.iter_mut().for_each(|cell| *cell = cell.ln());
        let before = log_likelihood;
        log_likelihood = 0.0;
        for (task, row) in posterior.chunks_exact_mut(k).enumerate() {
            row.copy_from_slice(&log_prior);
            for &(rater, label) in indexed.task(task) {
                let start = (rater as usize * k + label as usize) * k;
                row.iter_mut().zip(&matrices[start..start + k]).for_each(|(value, cell)| *value += cell);
            }
            let log_probability = normalise_log(row, evidence.gold_label(task));
            if indexed.is_known(evidence, task) {
                log_likelihood += log_probability;
            }
        }
        prior = indexed.class_prior(evidence, &posterior, settings.class);
        matrices = self::matrices(evidence, settings, &pseudo, &posterior);
        converged = has_settled(before, log_likelihood, settings.tolerance);
    }
    let cell = |rater: usize, truth: usize, given: usize| matrices[(rater * k + given) * k + truth];
    let reliability = (0..evidence.n_raters).map(|rater| prior.iter().enumerate().map(|(truth, p)| p * cell(rater, truth, truth)).sum());
    let confusions =
        (0..evidence.n_raters).map(|rater| (0..k).map(|truth| (0..k).map(|given| cell(rater, truth, given)).collect()).collect());
    let fitted = Fitted {
        method: Method::DawidSkene,
        reliability: reliability.collect(),
        confusions: Some(confusions.collect()),
        posterior,
        class_prior: prior,
        iterations,
        converged,
        log_likelihood: Some(log_likelihood).filter(|value| value.is_finite()),
    };
    Ok(indexed.finish(evidence, fitted))
}

/// Smoothing and golden records as counts, laid out like [`matrices`].
fn pseudo_counts(evidence: &Evidence<'_>, settings: &EmSettings) -> Vec<f64> {
    let k = evidence.n_labels;
    let mut counts = vec![settings.wrong; evidence.n_raters * k * k];
    for (rater, table) in counts.chunks_exact_mut(k * k).enumerate() {
        let record = evidence.records.get(rater).copied().unwrap_or_default();
        let right = settings.right + f64::from(record.correct) / k as f64;
        let wrong = f64::from(record.total - record.correct) / (k * k.saturating_sub(1)).max(1) as f64;
        for (given, cells) in table.chunks_exact_mut(k).enumerate() {
            for (truth, cell) in cells.iter_mut().enumerate() {
                *cell = if truth == given { right } else { *cell + wrong };
            }
        }
    }
    counts
}

/// P(given | true) per rater at `(rater * K + given) * K + true`: for each judgment the K numbers that the
/// posterior needs lie side by side.
fn matrices(evidence: &Evidence<'_>, settings: &EmSettings, pseudo: &[f64], posterior: &[f64]) -> Vec<f64> {
    let k = evidence.n_labels;
    let mut counts = pseudo.to_vec();
    let mut is_used = vec![!settings.is_unsmoothed(); evidence.n_raters * k];
    for judgment in evidence.judgments {
        let cell = judgment.rater as usize * k + judgment.label as usize;
        is_used[cell] = true;
        let task = judgment.task as usize * k;
        let row = &posterior[task..task + k];
        counts[cell * k..(cell + 1) * k].iter_mut().zip(row).for_each(|(count, p)| *count += p);
    }
    let mut totals = vec![0.0; k];
    for (table, used) in counts.chunks_exact_mut(k * k).zip(is_used.chunks_exact(k)) {
        totals.fill(0.0);
        for (cells, is_used) in table.chunks_exact_mut(k).zip(used) {
            for (cell, total) in cells.iter_mut().zip(&mut totals) {
                *cell = cell.max(FLOOR);
                *total += if *is_used { *cell } else { 0.0 };
            }
        }
        for cells in table.chunks_exact_mut(k) {
            cells.iter_mut().zip(&totals).filter(|(_, total)| **total > 0.0).for_each(|(c, t)| *c /= t);
        }
    }
    counts
}
