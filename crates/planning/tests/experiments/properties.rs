//! Properties: assignment is stable and uniform, lift does not depend on the unit of measure, weights stay on the simplex.

use planning::experiments::ab::{Analysis, ArmSums, Metric, Question, analyse};
use planning::experiments::assignment::{Arm, BUCKETS, arm_of, bucket, check_arms};
use planning::experiments::finding::{Control, Finding, Interval, Sample};
use planning::experiments::simplex::{project, simplex_least_squares};
use planning::experiments::srm::check_ratio;
use proptest::prelude::*;

use crate::{control, near};

fn arms(shares: &[u32]) -> Vec<Arm> {
    shares.iter().enumerate().map(|(at, share)| Arm { name: format!("arm-{at}"), share: *share }).collect()
}

#[test]
fn a_known_unit_has_a_known_bucket() {
    // printf 'endcap-assignment-v1\nexp-1\nsalt\nhousehold-1' | sha256sum, first 16 digits, times 10,000 over 2^64.
    assert_eq!(bucket("exp-1", "salt", "household-1"), 4941);
}

#[test]
fn units_are_spread_as_the_shares_say() {
    let arms = arms(&[5_000, 3_000, 2_000]);
    check_arms(&arms).unwrap();
    for (experiment, salt) in [("exp-1", "a"), ("exp-1", "b"), ("exp-2", "a")] {
        let mut counts = [0_u64; 3];
        for unit in 0..60_000 {
            counts[arm_of(bucket(experiment, salt, &format!("unit-{unit}")), &arms)] += 1;
        }
        let check = check_ratio(&counts, &[5.0, 3.0, 2.0]).unwrap();
        assert!(!check.is_mismatch, "{counts:?} {}", check.p_value);
    }
}

#[test]
fn two_experiments_are_independent() {
    // Of 20,000 units the four combinations of two halves have 5,000 each, up to chance.
    let mut counts = [0_u64; 4];
    for unit in 0..20_000 {
        let half = |experiment| usize::from(bucket(experiment, "s", &unit.to_string()) < BUCKETS / 2);
        counts[2 * half("one") + half("two")] += 1;
    }
    assert!(!check_ratio(&counts, &[1.0; 4]).unwrap().is_mismatch, "{counts:?}");
}

#[test]
fn no_figure_without_n_and_control() {
    assert!(Control::new("  ").is_err());
    assert!(Sample::new(0, "units").is_err());
    let sample = Sample::new(1, "units").unwrap();
    assert!(Finding::new(f64::NAN, Interval::new(0.0, 1.0, 0.95), sample, &control(), "none").is_err());
}

proptest! {
    #[test]
    fn a_unit_stays_in_its_arm(unit in "\\PC{1,40}", first in 1_u32..9_999) {
        let arms = arms(&[first, BUCKETS - first]);
        let found = bucket("exp", "salt", &unit);
        prop_assert!(found < BUCKETS);
        prop_assert_eq!(found, bucket("exp", "salt", &unit));
        prop_assert_eq!(arm_of(found, &arms), usize::from(found >= first));
    }

    #[test]
    fn wrong_shares_are_refused(shares in prop::collection::vec(0_u32..8_000, 0..12)) {
        let is_right = (2..=10).contains(&shares.len()) && shares.iter().all(|share| *share > 0) && shares.iter().sum::<u32>() == BUCKETS;
        prop_assert_eq!(check_arms(&arms(&shares)).is_ok(), is_right);
    }

    #[test]
    fn lift_does_not_depend_on_the_unit_of_measure(
        (mean, lift, deviation, factor) in (1.0..100.0_f64, -0.5..0.5_f64, 0.1..20.0_f64, 0.001..1000.0_f64)
    ) {
        let control = control();
        let question = Question { metric: Metric::Mean, analysis: Analysis::Fixed, alpha: 0.05, weights: &[1.0, 1.0], control: &control };
        let arm = |name: &str, mean: f64, scale: f64| ArmSums {
            name: name.to_owned(),
            n: 500,
            sum: 500.0 * mean * scale,
            sum_squares: (499.0 * deviation * deviation + 500.0 * mean * mean) * scale * scale,
            ..ArmSums::default()
        };
        let read = |scale: f64| {
            let arms = [arm("control", mean, scale), arm("treated", mean * (1.0 + lift), scale)];
            analyse(&arms, &question).unwrap().comparisons.remove(0)
        };
        let (one, other) = (read(1.0), read(factor));
        let (lift_one, lift_other) = (one.relative_lift.unwrap(), other.relative_lift.unwrap());
        near(lift_one.value(), lift, 1e-9);
        near(lift_other.value(), lift_one.value(), 1e-7);
        near(other.difference.value() / factor, one.difference.value(), 1e-7);
        prop_assert!((other.p_value - one.p_value).abs() < 1e-6);
        prop_assert!(lift_one.interval().holds(lift_one.value()));
    }

    #[test]
    fn weights_are_on_the_simplex_and_best(
        columns in prop::collection::vec(prop::collection::vec(-10.0..10.0_f64, 12), 2..8),
        target in prop::collection::vec(-10.0..10.0_f64, 12),
    ) {
        let weights = simplex_least_squares(&columns, &target).unwrap();
        near(weights.iter().sum::<f64>(), 1.0, 1e-9);
        prop_assert!(weights.iter().all(|weight| *weight >= 0.0));
        let loss = |weights: &[f64]| -> f64 {
            (0..12).map(|at| (columns.iter().zip(weights).map(|(c, w)| c[at] * w).sum::<f64>() - target[at]).powi(2)).sum()
        };
        let best = loss(&weights);
        // No other point of the simplex is better, least of all one next to it.
        for at in 0..columns.len() {
            for step in [0.001, 0.1, 1.0] {
                let mut other: Vec<f64> = weights.iter().map(|weight| weight * (1.0 - step)).collect();
                other[at] += step;
                prop_assert!(loss(&other) >= best - 1e-7 * (1.0 + best));
            }
        }
    }

    #[test]
    fn projecting_gives_the_nearest_point(point in prop::collection::vec(-5.0..5.0_f64, 1..10)) {
        let projected = project(&point);
        near(projected.iter().sum::<f64>(), 1.0, 1e-9);
        prop_assert!(projected.iter().all(|value| *value >= 0.0));
        // What is on the simplex already stays.
        for (once, twice) in projected.iter().zip(project(&projected)) {
            near(*once, twice, 1e-12);
        }
    }
}
