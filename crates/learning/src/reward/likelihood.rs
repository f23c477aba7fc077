//! Davidson's model of a comparison (Davidson 1970, "On extending the Bradley-Terry model to accommodate
//! ties") and its regularised negative log-likelihood.
//!
//! Weights are fitted in units of their prior standard deviation: then the penalty is the same in all directions, and the fit needs fewer
//! steps than with weights of different strengths.

use std::ops::Range;

use super::Outcome;
use super::design::{Design, Row, SEGMENTS};
use super::lbfgs::minimise;
use super::parallel;
use super::setting::Setting;

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

/// Rows of a design, each with how much it counts.
pub(super) type Sample = Vec<(u32, f64)>;

/// Every row of a design with its own weight.
pub(super) fn every_row(design: &Design) -> Sample {
    design.rows.iter().zip(0..).map(|(row, index)| (index, row.weight)).collect()
}

/// Fitted parameters in natural units: one weight a column of the design (0 where its segment is not used), and the tie parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Fitted {
    pub(super) weights: Vec<f64>,
    pub(super) log_tie: f64,
}

impl Fitted {
    /// Score difference of a row.
    pub(super) fn difference(&self, design: &Design, row: &Row) -> f64 {
        let of = |segment| {
            design.entries(row, segment).iter().map(|&(column, value)| self.weights[column as usize] * f64::from(value)).sum::<f64>()
        };
        (0..SEGMENTS).map(of).sum()
    }
}

/// Fits weights and tie parameter to a sample, from earlier ones; `centre` (in prior standard deviations, empty for 0) is where the penalty
/// pulls to.
pub(super) fn fit(design: &Design, sample: &Sample, setting: &Setting, start: &Fitted, centre: &[f64], precision: Precision) -> Fitted {
    let used = used(design, setting);
    let mut scaled = Vec::new();
    let mut pull = Vec::new();
    for part in &used {
        let weight = |column: usize| start.weights.get(column).copied().unwrap_or(0.0) / part.deviation;
        scaled.extend(part.columns.clone().map(weight));
        pull.extend(part.columns.clone().map(|column| centre.get(column).copied().unwrap_or(0.0)));
    }
    scaled.push(start.log_tie);
    let total: f64 = sample.iter().map(|(_, weight)| weight).sum();
    let objective = Objective { design, sample, used, pull };
    let tolerance = precision.tolerance * total.max(1.0).sqrt();
    let mut fitted = minimise(scaled, tolerance, precision.steps, |point, gradient| objective.at(point, gradient));
    let log_tie = fitted.pop().unwrap_or(0.0);
    let mut weights = vec![0.0; design.width()];
    for part in &objective.used {
        let own = fitted.get(part.columns.start - part.shift..part.columns.end - part.shift).unwrap_or_default();
        if let Some(weights) = weights.get_mut(part.columns.clone()) {
            weights.iter_mut().zip(own).for_each(|(weight, scaled)| *weight = scaled * part.deviation);
        }
    }
    Fitted { weights, log_tie }
}

/// A segment that takes part in a fit.
#[derive(Debug, Clone)]
struct Used {
    segment: usize,
    /// Prior standard deviation of its weights.
    deviation: f64,
    columns: Range<usize>,
    /// How far its columns stand further on in the design than in the fit, which has no gaps.
    shift: usize,
}

fn used(design: &Design, setting: &Setting) -> Vec<Used> {
    let mut width = 0;
    let mut all = Vec::new();
    for (segment, deviation) in setting.deviations().into_iter().enumerate().filter(|(_, deviation)| *deviation > 0.0) {
        let columns = design.columns[segment].clone();
        let shift = columns.start - width;
        width += columns.len();
        all.push(Used { segment, deviation, columns, shift });
    }
    all
}

/// When a fit counts as finished.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    /// Largest entry of the gradient, in units of the prior, for a weight of 1 in all; it grows with the root of that, as chance does.
    tolerance: f64,
    /// Most steps.
    steps: usize,
}

impl Precision {
    /// For the model that is kept.
    pub(super) const FINAL: Self = Self { tolerance: 1e-5, steps: 200 };
    /// For many fits that only need to be ranked, or to be near.
    pub(super) const RANKING: Self = Self { tolerance: 2e-3, steps: 60 };
    /// For members of an ensemble of many pairs, which start close to their end.
    pub(super) const MEMBER: Self = Self { tolerance: 5e-3, steps: 8 };
}

/// From so many rows on, sums are made in [`PARTS`] parts on several cores.
const LARGE: usize = 20_000;
const PARTS: usize = 4;

/// Sums over a part of a sample.
struct Part {
    loss: f64,
    tie_gradient: f64,
    gradient: Vec<f64>,
}

struct Objective<'a> {
    design: &'a Design,
    sample: &'a Sample,
    used: Vec<Used>,
    /// Where the penalty pulls to.
    pull: Vec<f64>,
}

impl Objective<'_> {
    /// Loss and gradient at weights in units of their prior, then the log of the tie parameter:
    /// weighted cross entropy + half the squared distance from the centre + the pseudo-comparison.
    fn at(&self, point: &[f64], gradient: &mut [f64]) -> f64 {
        let (Some((&log_tie, weights)), Some((last, slopes))) = (point.split_last(), gradient.split_last_mut()) else {
            return 0.0;
        };
        let predicted = davidson(0.0, log_tie);
        let mut loss = PRIOR_WEIGHT * log_loss(PRIOR, 0.0, log_tie);
        *last = PRIOR_WEIGHT * (predicted.tie - PRIOR.tie);
        for ((slope, weight), pull) in slopes.iter_mut().zip(weights).zip(&self.pull) {
            *slope = weight - pull;
            loss += 0.5 * *slope * *slope;
        }
        for part in self.parts(weights, log_tie) {
            loss += part.loss;
            *last += part.tie_gradient;
            slopes.iter_mut().zip(&part.gradient).for_each(|(slope, part)| *slope += part);
        }
        loss
    }

    /// Sums over the sample: in fixed parts when it is large, so that the result does not depend on the number of cores.
    fn parts(&self, weights: &[f64], log_tie: f64) -> Vec<Part> {
        let size = if self.sample.len() < LARGE { self.sample.len().max(1) } else { self.sample.len().div_ceil(PARTS) };
        let sum = |sample: &[(u32, f64)]| self.part(sample, weights, log_tie);
        parallel::map(self.sample.chunks(size).collect(), sum)
    }

    fn part(&self, sample: &[(u32, f64)], weights: &[f64], log_tie: f64) -> Part {
        let mut sums = Part { loss: 0.0, tie_gradient: 0.0, gradient: vec![0.0; weights.len()] };
        for &(index, weight) in sample {
            let row = &self.design.rows[index as usize];
            let mut difference = 0.0;
            for part in &self.used {
                let entries = self.design.entries(row, part.segment).iter();
                let sum: f64 = entries.map(|&(column, value)| weights[column as usize - part.shift] * f64::from(value)).sum();
                difference += part.deviation * sum;
            }
            let [log_a, log_t, log_b] = log_davidson(difference, log_tie);
            let (a, tie, b) = (log_a.exp(), log_t.exp(), log_b.exp());
            sums.loss -= weight * ((row.outcome.a * log_a + row.outcome.b * log_b) + row.outcome.tie * log_t);
            sums.tie_gradient += weight * (tie - row.outcome.tie);
            let surprise = (a - b) - (row.outcome.a - row.outcome.b);
            for part in &self.used {
                let step = 0.5 * weight * surprise * part.deviation;
                for &(column, value) in self.design.entries(row, part.segment) {
                    sums.gradient[column as usize - part.shift] += step * f64::from(value);
                }
            }
        }
        sums
    }
}

/// Fisher information of a sample about each weight by itself, in units of the prior, at a prediction of one half: what the data say beside
/// the prior's 1.
pub(super) fn information(design: &Design, setting: &Setting) -> Vec<f64> {
    let mut information = vec![0.0; design.width()];
    for (segment, deviation) in setting.deviations().into_iter().enumerate().filter(|(_, deviation)| *deviation > 0.0) {
        for row in &design.rows {
            for &(column, value) in design.entries(row, segment) {
                information[column as usize] += row.weight * (deviation * f64::from(value)).powi(2) / 4.0;
            }
        }
    }
    information
}
