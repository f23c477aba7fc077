//! How sure it is that one plan is expected to bring more than another: the close-call rule when
//! no reward model is active. Errors of different arms are independent; on the same arm both
//! plans share the curve and so its error, which therefore mostly cancels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Reason};
use crate::proposal::plan::{AllocationLine, CandidatePlan};

/// Comparison of two plans by expected revenue net of spend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Expected (revenue - spend) of the first minus that of the second, in micros.
    pub difference_micros: i64,
    /// Standard error of the difference, in micros.
    pub standard_error_micros: Figure<i64>,
    /// Probability that the first plan's expected outcome is the higher one (normal errors).
    pub probability_first: Figure<f64>,
}

/// Compares two plans of one campaign, currency and horizon.
#[must_use]
pub fn compare(first: &CandidatePlan, second: &CandidatePlan) -> Comparison {
    let net = |plan: &CandidatePlan| i128::from(plan.expected.revenue_micros) - i128::from(plan.expected.spend_micros);
    let difference = net(first) - net(second);
    let mut arms: BTreeMap<&str, (Option<f64>, Option<f64>)> = BTreeMap::new();
    let error = |line: &AllocationLine| line.standard_error_micros.map(|micros| micros as f64);
    for line in &first.allocation {
        arms.entry(&line.arm_id).or_insert((Some(0.0), Some(0.0))).0 = error(line);
    }
    for line in &second.allocation {
        arms.entry(&line.arm_id).or_insert((Some(0.0), Some(0.0))).1 = error(line);
    }
    let variance: Option<f64> = arms.values().map(|(a, b)| Some((a.as_ref()? - b.as_ref()?).powi(2))).sum();
    let (standard_error, probability) = match variance.map(f64::sqrt) {
        Some(error) => (Figure::of(error.round() as i64), Figure::of(probability_positive(difference as f64, error))),
        None => (Figure::missing(Reason::UncertaintyUnknown), Figure::missing(Reason::UncertaintyUnknown)),
    };
    Comparison {
        difference_micros: difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
        standard_error_micros: standard_error,
        probability_first: probability,
    }
}

/// Whether the choice is close: neither plan is the better one with at least `confidence`
/// (0.5 to 1). Unknown uncertainty is close, because nothing speaks for either plan.
#[must_use]
pub fn is_close_call(comparison: &Comparison, confidence: f64) -> bool {
    comparison.probability_first.value.is_none_or(|first| first.max(1.0 - first) < confidence)
}

/// `P(d > 0)` for `d` normal with this mean and standard deviation; without deviation 1, 0, or
/// one half for equal plans.
#[must_use]
pub fn probability_positive(mean: f64, deviation: f64) -> f64 {
    if deviation > 0.0 {
        return normal_cdf(mean / deviation);
    }
    match mean.total_cmp(&0.0) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
    }
}

/// Standard normal distribution function by Hart's rational approximation in the double-precision
/// form of G. West, "Better approximations to cumulative normal functions" (2005), error below 1e-14.
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    const TOP: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const BOTTOM: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    let size = z.abs();
    let upper = if size > 37.0 {
        0.0
    } else {
        let density = (-size * size / 2.0).exp();
        if size < 7.071_067_811_865_47 {
            let horner = |terms: &[f64]| terms.iter().fold(0.0, |sum, term| sum * size + term);
            density * horner(&TOP) / horner(&BOTTOM)
        } else {
            let tail = [4.0, 3.0, 2.0, 1.0].iter().fold(size + 0.65, |sum, term| size + term / sum);
            density / tail / 2.506_628_274_631
        }
    };
    if z > 0.0 { 1.0 - upper } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_distribution_matches_tables() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_543),
            (-1.959_963_984_540_054, 0.025),
            (3.0, 0.998_650_101_968_370),
            (-8.0, 6.220_960_574_271_78e-16),
        ] {
            assert!((normal_cdf(z) - p).abs() < 1e-12, "{z}");
        }
    }

    #[test]
    fn certain_and_equal_plans() {
        assert!((probability_positive(1.0, 0.0) - 1.0).abs() < f64::EPSILON);
        assert!((probability_positive(0.0, 0.0) - 0.5).abs() < f64::EPSILON);
        assert!(probability_positive(1.0, 10.0) < 0.55);
    }
}
