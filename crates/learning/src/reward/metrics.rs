//! How good predictions of comparisons are, and what they must beat. Undefined figures are `None`.

use serde::{Deserialize, Serialize};

use super::{Example, Outcome};
use crate::intervals::{Interval, Z_95, wilson};

/// Number of equal-width bins of the calibration error.
pub const CALIBRATION_BINS: usize = 10;

/// One predicted comparison with what really happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Score of a minus score of b.
    pub difference: f64,
    /// Predicted probabilities.
    pub probability: Outcome,
    /// What people said.
    pub outcome: Outcome,
}

impl Prediction {
    /// P(a beats b | no tie).
    pub(super) fn decided_probability(&self) -> f64 {
        let wins = self.probability.a + self.probability.b;
        if wins > 0.0 { self.probability.a / wins } else { 0.5 }
    }

    /// Cross entropy with the (soft) outcome, ties included, in nats.
    pub(super) fn log_loss_with_ties(&self) -> f64 {
        let (said, thought) = (self.outcome, self.probability);
        let part = |said: f64, p: f64| if said > 0.0 { -said * p.max(f64::MIN_POSITIVE).ln() } else { 0.0 };
        (part(said.a, thought.a) + part(said.b, thought.b)) + part(said.tie, thought.tie)
    }
}

/// Quality of predictions. "Decided" pairs are those in which people preferred one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// All pairs.
    pub n_pairs: usize,
    /// Decided pairs.
    pub n_decided: usize,
    /// Share of decided pairs in which the preferred candidate has the strictly higher score.
    pub accuracy: Option<f64>,
    /// 95 % Wilson interval of `accuracy`.
    pub accuracy_interval: Option<Interval>,
    /// The same, equal scores counting half.
    pub accuracy_ties_half: Option<f64>,
    /// Mean -ln P(preferred | no tie) over decided pairs, in nats.
    pub log_loss: Option<f64>,
    /// Mean squared error of P(preferred | no tie) over decided pairs.
    pub brier: Option<f64>,
    /// Expected calibration error of P(a | no tie) over decided pairs, each entered in both orders.
    pub calibration_error: Option<f64>,
    /// Mean cross entropy with the (soft) outcome, ties included, over all pairs, in nats.
    pub log_loss_with_ties: Option<f64>,
}

/// Something simple that a model must beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// `coin` or `longer_text_wins`.
    pub name: String,
    /// Share of decided pairs that it gets right.
    pub accuracy: Option<f64>,
    /// The same, undecided guesses counting half.
    pub accuracy_ties_half: Option<f64>,
    /// Its log loss on decided pairs; `None` when it gives no probability.
    pub log_loss: Option<f64>,
}

/// Computes all metrics.
pub fn measure(predictions: &[Prediction]) -> Metrics {
    let decided: Vec<(&Prediction, bool)> =
        predictions.iter().filter_map(|prediction| Some((prediction, prediction.outcome.winner_is_a()?))).collect();
    let (accuracy, accuracy_ties_half) = accuracies(decided.iter().map(|(prediction, is_a)| (prediction.difference, *is_a)));
    let preferred: Vec<f64> = decided
        .iter()
        .map(|(prediction, is_a)| {
            let p = prediction.decided_probability();
            if *is_a { p } else { 1.0 - p }
        })
        .collect();
    let both_orders: Vec<(f64, bool)> = preferred.iter().flat_map(|p| [(*p, true), (1.0 - p, false)]).collect();
    let right = accuracy.map_or(0.0, |share| share * decided.len() as f64).round() as u64;
    Metrics {
        n_pairs: predictions.len(),
        n_decided: decided.len(),
        accuracy,
        accuracy_interval: wilson(right, decided.len() as u64, Z_95),
        accuracy_ties_half,
        log_loss: mean(preferred.iter().map(|p| -p.max(f64::MIN_POSITIVE).ln())),
        brier: mean(preferred.iter().map(|p| (1.0 - p).powi(2))),
        calibration_error: expected_calibration_error(&both_orders, CALIBRATION_BINS),
        log_loss_with_ties: mean(predictions.iter().map(Prediction::log_loss_with_ties)),
    }
}

/// A fair coin, and "the longer text wins" (pairs without text count as equally long).
pub fn baselines(examples: &[&Example]) -> Vec<Baseline> {
    let longer = |example: &&Example| (example.longer(), example.outcome.winner_is_a());
    baselines_of(&examples.iter().map(longer).collect::<Vec<_>>())
}

/// The same from how much longer a's text is and whether a won.
pub(super) fn baselines_of(pairs: &[(f64, Option<bool>)]) -> Vec<Baseline> {
    let decided = || pairs.iter().filter_map(|(longer, is_a)| Some((*longer, (*is_a)?)));
    let (accuracy, accuracy_ties_half) = accuracies(decided());
    let any = decided().next().map(|_| ());
    vec![
        Baseline {
            name: "coin".to_owned(),
            accuracy: any.map(|()| 0.5),
            accuracy_ties_half: any.map(|()| 0.5),
            log_loss: any.map(|()| std::f64::consts::LN_2),
        },
        Baseline { name: "longer_text_wins".to_owned(), accuracy, accuracy_ties_half, log_loss: None },
    ]
}

/// Expected calibration error: over `bins` equal-width, right-closed bins of predicted probability, the
/// mean distance between predicted and observed share, weighted by bin size. `None` without predictions.
pub fn expected_calibration_error(predictions: &[(f64, bool)], bins: usize) -> Option<f64> {
    if predictions.is_empty() || bins == 0 {
        return None;
    }
    let mut sums = vec![0.0; bins];
    for &(probability, happened) in predictions {
        sums[bin_of(probability, bins)] += f64::from(u8::from(happened)) - probability;
    }
    Some(sums.iter().map(|sum: &f64| sum.abs()).sum::<f64>() / predictions.len() as f64)
}

/// The right-closed bin of a probability among `bins`, which is above 0.
pub(super) fn bin_of(probability: f64, bins: usize) -> usize {
    ((probability * bins as f64).ceil() as usize).clamp(1, bins) - 1
}

/// Strict accuracy and accuracy with undecided scores as half, from `(difference, winner is a)`.
fn accuracies(pairs: impl Iterator<Item = (f64, bool)> + Clone) -> (Option<f64>, Option<f64>) {
    let lead = |(difference, is_a): (f64, bool)| if is_a { difference } else { -difference };
    let strict = |pair| f64::from(u8::from(lead(pair) > 0.0));
    let half = move |pair| strict(pair) + 0.5 * f64::from(u8::from(lead(pair) == 0.0));
    (mean(pairs.clone().map(strict)), mean(pairs.map(half)))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
