//! Two proportions: difference by Newcombe's hybrid score interval, relative lift by the log (Katz) interval, test by pooled z.

use super::finding::Interval;
use super::{two_sided_p, z};

/// Wilson's score interval for `k` of `n`.
fn wilson(k: f64, n: f64, quantile: f64) -> (f64, f64) {
    let (p, square) = (k / n, quantile * quantile);
    let centre = (p + square / (2.0 * n)) / (1.0 + square / n);
    let reach = quantile / (1.0 + square / n) * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    (centre - reach, centre + reach)
}

/// Interval of `k1/n1 - k2/n2` (Newcombe 1998, method 10, without continuity correction).
#[must_use]
pub fn newcombe(k1: f64, n1: f64, k2: f64, n2: f64, alpha: f64) -> Interval {
    let quantile = z(1.0 - alpha / 2.0);
    let (p1, p2) = (k1 / n1, k2 / n2);
    let ((low1, high1), (low2, high2)) = (wilson(k1, n1, quantile), wilson(k2, n2, quantile));
    let difference = p1 - p2;
    let down = ((p1 - low1).powi(2) + (high2 - p2).powi(2)).sqrt();
    let up = ((high1 - p1).powi(2) + (p2 - low2).powi(2)).sqrt();
    Interval::new(difference - down, difference + up, 1.0 - alpha)
}

/// Interval of the ratio of proportions (Katz et al. 1978); unbounded when a count is 0.
#[must_use]
pub fn katz_ratio(k1: f64, n1: f64, k2: f64, n2: f64, alpha: f64) -> Interval {
    if k1 <= 0.0 || k2 <= 0.0 {
        return Interval { low: None, high: None, level: 1.0 - alpha };
    }
    let log = ((k1 / n1) / (k2 / n2)).ln();
    let reach = z(1.0 - alpha / 2.0) * (1.0 / k1 - 1.0 / n1 + 1.0 / k2 - 1.0 / n2).sqrt();
    Interval::new((log - reach).exp(), (log + reach).exp(), 1.0 - alpha)
}

/// Two-sided p-value of the pooled z test; 1 when nothing varies.
#[must_use]
pub fn pooled_p(k1: f64, n1: f64, k2: f64, n2: f64) -> f64 {
    let pooled = (k1 + k2) / (n1 + n2);
    let variance = pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2);
    if variance <= 0.0 { 1.0 } else { two_sided_p((k1 / n1 - k2 / n2) / variance.sqrt()) }
}
