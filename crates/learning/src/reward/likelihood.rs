//! Davidson's model of a comparison (Davidson 1970, "On extending the Bradley-Terry model to accommodate
//! ties") and its regularised negative log-likelihood.

use super::Outcome;
use super::design::Row;

/// A pseudo-comparison of equals keeps the tie parameter finite: weight and outcome.
const PRIOR_WEIGHT: f64 = 1.0;
const PRIOR: Outcome = Outcome { a: 0.45, tie: 0.1, b: 0.45 };

/// Probabilities of a win of a, a tie and a win of b for a score `difference` (a - b): proportional to
/// `exp(difference / 2)`, `nu = exp(log_tie)` and `exp(-difference / 2)`.
pub(super) fn davidson(difference: f64, log_tie: f64) -> Outcome {
    let [a, tie, b] = log_davidson(difference, log_tie).map(f64::exp);
    Outcome { a, tie, b }
}

fn log_davidson(difference: f64, log_tie: f64) -> [f64; 3] {
    let half = difference / 2.0;
    let top = half.abs().max(log_tie);
    let win_a = (half - top).exp();
    let win_b = (-half - top).exp();
    // Adding the two wins first keeps the sum the same when a and b are exchanged.
    let log_sum = top + ((win_a + win_b) + (log_tie - top).exp()).ln();
    [half - log_sum, log_tie - log_sum, -half - log_sum]
}

/// Cross entropy in nats between an outcome and the model's probabilities.
pub(super) fn log_loss(outcome: Outcome, difference: f64, log_tie: f64) -> f64 {
    let [a, tie, b] = log_davidson(difference, log_tie);
    -((outcome.a * a + outcome.b * b) + outcome.tie * tie)
}

/// Score difference of a row under `weights`.
pub(super) fn difference(row: &Row, with_words: bool, weights: &[f64]) -> f64 {
    row.entries(with_words).iter().map(|&(column, value)| weights[column as usize] * value).sum()
}

/// What holds the weights back: `l2 / 2` times their squared distance from a centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Penalty<'a> {
    /// Strength; the inverse of the variance that is expected of a weight before any pair was seen.
    pub(super) l2: f64,
    /// One number a weight; missing ones are 0.
    pub(super) centre: &'a [f64],
}

/// Loss and gradient at `parameters` (weights, then the log of the tie parameter):
/// weighted cross entropy + the penalty + the pseudo-comparison.
pub(super) fn objective(rows: &[&Row], with_words: bool, penalty: Penalty<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
    let Some((&log_tie, weights)) = parameters.split_last() else {
        return 0.0;
    };
    let last = weights.len();
    let predicted = davidson(0.0, log_tie);
    let mut loss = PRIOR_WEIGHT * log_loss(PRIOR, 0.0, log_tie);
    let mut tie_gradient = PRIOR_WEIGHT * (predicted.tie - PRIOR.tie);
    let Penalty { l2, centre } = penalty;
    for ((slope, weight), centre) in gradient.iter_mut().zip(weights).zip(centre.iter().chain(std::iter::repeat(&0.0))) {
        let distance = weight - centre;
        *slope = l2 * distance;
        loss += 0.5 * l2 * distance * distance;
    }
    for row in rows {
        let difference = difference(row, with_words, weights);
        let predicted = davidson(difference, log_tie);
        loss += row.weight * log_loss(row.outcome, difference, log_tie);
        tie_gradient += row.weight * (predicted.tie - row.outcome.tie);
        let surprise = (predicted.a - predicted.b) - (row.outcome.a - row.outcome.b);
        let step = 0.5 * row.weight * surprise;
        row.entries(with_words).iter().for_each(|&(column, value)| gradient[column as usize] += step * value);
    }
    gradient[last] = tie_gradient;
    loss
}
