//! Confidence intervals: every share is shown with one, and with the number it rests on.

use serde::{Deserialize, Serialize};

/// Standard normal quantile of a two-sided 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// An interval around an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Wilson's score interval (1927) for `successes` out of `total`, with normal quantile `z`
/// (see [`Z_95`]). `None` when `total` is 0. Successes above `total` count as `total`.
pub fn wilson(successes: u64, total: u64, z: f64) -> Option<Interval> {
    if total == 0 {
        return None;
    }
    let n = total as f64;
    let share = successes.min(total) as f64 / n;
    let squared = z * z;
    let centre = share + squared / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + squared / (4.0 * n * n)).sqrt();
    let scale = 1.0 + squared / n;
    Some(Interval { low: ((centre - spread) / scale).max(0.0), high: ((centre + spread) / scale).min(1.0) })
}

/// The middle `level` (0 to 1) of `values` with linear interpolation between order statistics; `None`
/// without values.
pub fn percentile_interval(mut values: Vec<f64>, level: f64) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
    Some(Interval { low: quantile(&values, tail)?, high: quantile(&values, 1.0 - tail)? })
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    let below = position.floor();
    let low = sorted.get(below as usize)?;
    let high = sorted.get(position.ceil() as usize)?;
    Some(low + (high - low) * (position - below))
}
