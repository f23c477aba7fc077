//! The ratio of two uncertain differences, such as incremental revenue over incremental spend, by Fieller's theorem (1954).

use super::finding::{Finding, Interval};
use super::{ExperimentError, z};

/// Two differences and how uncertain they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoDifferences {
    /// Numerator.
    pub top: f64,
    /// Its variance.
    pub top_variance: f64,
    /// Denominator.
    pub bottom: f64,
    /// Its variance; 0 when it is known exactly.
    pub bottom_variance: f64,
    /// Their covariance.
    pub covariance: f64,
}

/// Interval of `top / bottom`, with `quantile` of the normal or t distribution. Unbounded on both sides when the denominator cannot be told
/// from 0: then every ratio is possible.
#[must_use]
pub fn fieller(given: &TwoDifferences, quantile: f64, level: f64) -> Interval {
    let square = quantile * quantile;
    let a = given.bottom * given.bottom - square * given.bottom_variance;
    if a <= 0.0 {
        return Interval { low: None, high: None, level };
    }
    let b = given.top * given.bottom - square * given.covariance;
    let c = given.top * given.top - square * given.top_variance;
    let root = (b * b - a * c).max(0.0).sqrt();
    Interval::new((b - root) / a, (b + root) / a, level)
}

/// Standard error of `top / bottom` by the delta method.
#[must_use]
pub fn delta_standard_error(given: &TwoDifferences) -> f64 {
    let ratio = given.top / given.bottom;
    let variance = given.top_variance - 2.0 * ratio * given.covariance + ratio * ratio * given.bottom_variance;
    variance.max(0.0).sqrt() / given.bottom.abs()
}

/// Incremental metric over a spend that is known exactly: figure and standard error, taken from the half-width of the interval as if it
/// were that of a normal distribution. No standard error without both bounds.
///
/// # Errors
/// [`ExperimentError`] unless the spend is above 0.
pub fn over_known_spend(incremental: &Finding, spend: f64) -> Result<(Finding, Option<f64>), ExperimentError> {
    if !(spend.is_finite() && spend > 0.0) {
        return Err(ExperimentError::invalid("spend", "must be above 0"));
    }
    let interval = incremental.interval().times(1.0 / spend);
    let quantile = z(0.5 * (1.0 + interval.level));
    let standard_error = interval.low.zip(interval.high).map(|(low, high)| (high - low) / (2.0 * quantile)).filter(|error| *error > 0.0);
    let value = incremental.value() / spend;
    Ok((Finding::new(value, interval, incremental.sample().clone(), incremental.control(), "interval over known spend")?, standard_error))
}
