//! Experiments as evidence about a curve's level. Attributed history says how revenue moves with
//! spend, but its level may be wrong by a factor; an experiment measures that factor. The factor
//! has a normal prior around 1 and is updated by each experiment (conjugate normal update), which
//! weighs curves of the grid by how well they foresaw the experiment.

use serde::{Deserialize, Serialize};

use super::grid::{Alternative, Fit};

/// Standard deviation of the factor between attributed and incremental revenue before experiments.
pub const FACTOR_DEVIATION: f64 = 0.5;

/// The incremental return that an experiment found for one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Position of the arm in the request.
    pub arm: usize,
    /// Incremental revenue over spend.
    pub roas: f64,
    /// Standard error of `roas`, above 0.
    pub standard_error: f64,
    /// Spend of one period in the experiment, in currency units, above 0.
    pub spend_level: f64,
    /// What it rests on, such as the id of the experiment.
    pub source: String,
}

/// Updates a curve by experiments.
#[must_use]
pub fn update(fit: &Fit, found: &[&Calibration]) -> Option<Fit> {
    let updated = fit.all.iter().filter_map(|one| updated(one, found));
    Fit::of(updated.collect())
}

fn updated(one: &Alternative, found: &[&Calibration]) -> Option<Alternative> {
    let prior = FACTOR_DEVIATION * FACTOR_DEVIATION;
    let (mut precision, mut pulled, mut weight) = (1.0 / prior, 1.0 / prior, one.weight);
    for calibration in found {
        let foreseen = one.curve.response(calibration.spend_level) / calibration.spend_level;
        if foreseen <= 0.0 {
            return None;
        }
        let factor = calibration.roas / foreseen;
        let variance = (calibration.standard_error / foreseen).powi(2);
        // Marginal likelihood of this experiment given those before it.
        let spread = variance + 1.0 / precision;
        weight *= (-(factor - pulled / precision).powi(2) / (2.0 * spread)).exp() / spread.sqrt() / foreseen;
        precision += 1.0 / variance;
        pulled += factor / variance;
    }
    let factor = (pulled / precision).max(0.0);
    let beta = one.curve.beta;
    Some(Alternative {
        weight,
        curve: crate::optimizer::curve::Hill { beta: beta * factor, ..one.curve },
        beta_variance: one.beta_variance * factor * factor + beta * beta / precision,
        ..*one
    })
}
