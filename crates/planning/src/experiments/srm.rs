//! Sample ratio mismatch: Pearson's chi-square test of the counts per arm against the shares that were meant (Fabijan et al. 2019).
//! When it fails, units were lost or gained for a reason, and no comparison of the arms can be trusted.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::ExperimentError;

/// Below this p-value the counts are called a mismatch.
pub const ALARM: f64 = 0.01;

/// The test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RatioCheck {
    /// Units per arm, as counted.
    pub observed: Vec<u64>,
    /// Units per arm, as meant.
    pub expected: Vec<f64>,
    /// Chi-square.
    pub statistic: f64,
    /// Arms less one.
    pub degrees_of_freedom: u32,
    /// Probability of counts at least as far off, when nothing is wrong.
    pub p_value: f64,
    /// Whether `p_value` is below `alarm_below`.
    pub is_mismatch: bool,
    /// The threshold.
    pub alarm_below: f64,
}

/// Tests counts against weights (any positive numbers in the ratio that was meant).
///
/// # Errors
/// [`ExperimentError`] for fewer than two arms, a weight that is not above 0, or no units.
pub fn check_ratio(observed: &[u64], weights: &[f64]) -> Result<RatioCheck, ExperimentError> {
    if observed.len() < 2 || observed.len() != weights.len() || weights.iter().any(|weight| !(weight.is_finite() && *weight > 0.0)) {
        return Err(ExperimentError::invalid("arms", "a ratio needs at least two arms with weights above 0"));
    }
    let n: u64 = observed.iter().sum();
    if n == 0 {
        return Err(ExperimentError::NotEnough("no units were observed".to_owned()));
    }
    let total: f64 = weights.iter().sum();
    let expected: Vec<f64> = weights.iter().map(|weight| n as f64 * weight / total).collect();
    let statistic = observed.iter().zip(&expected).map(|(seen, meant)| (*seen as f64 - meant).powi(2) / meant).sum();
    let degrees_of_freedom = (observed.len() - 1) as u32;
    let law = ChiSquared::new(f64::from(degrees_of_freedom)).map_err(|error| ExperimentError::NotEnough(error.to_string()))?;
    let p_value = law.sf(statistic);
    let is_mismatch = p_value < ALARM;
    Ok(RatioCheck { observed: observed.to_vec(), expected, statistic, degrees_of_freedom, p_value, is_mismatch, alarm_below: ALARM })
}
