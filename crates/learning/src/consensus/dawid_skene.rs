//! One confusion matrix per rater, by expectation maximisation (Dawid and Skene 1979, "Maximum likelihood
//! estimation of observer error-rates using the EM algorithm"): the published method, without smoothing
//! unless the settings ask for it.

use super::engine::{MatrixFit, Rounds, maximise_expectation};
use super::indexed::{FLOOR, Fitted, Indexed};
use super::{Consensus, EmSettings, Evidence, Method};
use crate::judgment::{InvalidJudgments, check_cells};

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
    let pseudo = pseudo_counts(evidence, settings.right, settings.wrong);
    let is_used = used_labels(evidence, &pseudo);
    let rounds = Rounds {
        clusters: k,
        max_iterations: settings.max_iterations,
        tolerance: settings.tolerance,
        class_smoothing: settings.class,
        pseudo: &pseudo,
    };
    let start = indexed.soft_votes(evidence);
    let fitted = maximise_expectation(evidence, &indexed, &rounds, start, |counts| normalise(counts, k, &is_used));
    let raters = fitted_raters(evidence, &fitted);
    Ok(indexed.finish(evidence, into_result(Method::DawidSkene, fitted, raters)))
}

/// Accuracy and confusion matrix of every rater.
pub(super) type Raters = (Vec<f64>, Vec<Vec<Vec<f64>>>);

/// Reads accuracies (diagonal weighted by the class prior) and confusion matrices out of a fit.
pub(super) fn fitted_raters(evidence: &Evidence<'_>, fitted: &MatrixFit) -> Raters {
    let (k, parameters) = (evidence.n_labels, &fitted.parameters);
    let cell = |rater: usize, truth: usize, given: usize| parameters.matrices[(rater * k + given) * k + truth];
    let accuracy = |rater| parameters.prior.iter().enumerate().map(|(truth, p)| p * cell(rater, truth, truth)).sum();
    let matrix = |rater| (0..k).map(|truth| (0..k).map(|given| cell(rater, truth, given)).collect()).collect();
    ((0..evidence.n_raters).map(accuracy).collect(), (0..evidence.n_raters).map(matrix).collect())
}

pub(super) fn into_result(method: Method, fitted: MatrixFit, (reliability, confusions): Raters) -> Fitted {
    Fitted {
        method,
        reliability,
        confusions: Some(confusions),
        posterior: fitted.posterior,
        class_prior: fitted.parameters.prior,
        iterations: fitted.iterations,
        converged: fitted.converged,
        log_likelihood: Some(fitted.log_likelihood).filter(|value| value.is_finite()),
    }
}

/// Smoothing (`right` on the diagonal, `wrong` beside it) and golden records as counts, laid out like the
/// matrices of [`super::engine::Parameters`].
pub(super) fn pseudo_counts(evidence: &Evidence<'_>, right: f64, wrong: f64) -> Vec<f64> {
    let k = evidence.n_labels;
    let mut counts = vec![wrong; evidence.n_raters * k * k];
    for (rater, table) in counts.chunks_exact_mut(k * k).enumerate() {
        let record = evidence.records.get(rater).copied().unwrap_or_default();
        let right = right + f64::from(record.correct) / k as f64;
        let wrong = f64::from(record.total - record.correct) / (k * k.saturating_sub(1)).max(1) as f64;
        for (given, cells) in table.chunks_exact_mut(k).enumerate() {
            for (truth, cell) in cells.iter_mut().enumerate() {
                *cell = if truth == given { right } else { *cell + wrong };
            }
        }
    }
    counts
}

/// Which labels a rater has used, at `rater * K + label`; by pseudo-judgments too. All labels of a rater who
/// used none.
fn used_labels(evidence: &Evidence<'_>, pseudo: &[f64]) -> Vec<bool> {
    let k = evidence.n_labels;
    let mut is_used: Vec<bool> = pseudo.chunks_exact(k).map(|cells| cells.iter().any(|cell| *cell > 0.0)).collect();
    evidence.judgments.iter().for_each(|judgment| is_used[judgment.rater as usize * k + judgment.label as usize] = true);
    is_used.chunks_exact_mut(k).filter(|used| !used.contains(&true)).for_each(|used| used.fill(true));
    is_used
}

/// Counts to P(given | true), for each true label over the labels that the rater has used.
fn normalise(counts: &mut [f64], k: usize, is_used: &[bool]) {
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
}
