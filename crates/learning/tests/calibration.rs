//! The calibration test's error rates, intervals and uncertainty against published figures.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::calibration::{Decision, InvalidTest, SequentialTest};
use learning::intervals::{Z_95, percentile_interval, wilson};
use learning::uncertainty::{disagreement, least_confidence, margin, mutual_information, normalised_entropy};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{assert_close, numbers, reference};

/// Share of raters of this accuracy who pass, and how many items they see on average.
fn simulate(test: &SequentialTest, accuracy: f64) -> (f64, f64) {
    const RATERS: u32 = 20_000;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut passed, mut items) = (0u32, 0u32);
    for _ in 0..RATERS {
        let (mut correct, mut total) = (0, 0);
        let decision = loop {
            total += 1;
            correct += u32::from(random.random_bool(accuracy));
            match test.decide(correct, total) {
                Decision::Continue { at_most } => assert_eq!(at_most, 40 - total),
                decided => break decided,
            }
        };
        passed += u32::from(decision == Decision::Pass);
        items += total;
    }
    (f64::from(passed) / f64::from(RATERS), f64::from(items) / f64::from(RATERS))
}

#[test]
fn the_sequential_test_has_the_stated_pass_rates() {
    let test = SequentialTest::default();
    // Published simulation (0.60 against 0.85, 5 % / 5 %, cap 40); its sampling error is about a point.
    for (accuracy, pass) in [(0.60, 0.038), (0.70, 0.228), (0.80, 0.698), (0.90, 0.988)] {
        assert_close(simulate(&test, accuracy).0, pass, 0.02);
    }
    for (accuracy, items) in [(0.60, 16.4), (0.90, 14.4), (0.95, 11.2)] {
        assert_close(simulate(&test, accuracy).1, items, 0.3);
    }
}

#[test]
fn the_sequential_test_decides_at_its_boundaries() {
    let test = SequentialTest::default();
    assert_eq!(test.decide(0, 0), Decision::Continue { at_most: 40 });
    // ln 19 = 2.944; each right answer adds ln(.85/.6) = .348, each wrong one ln(.15/.4) = -.981.
    assert_eq!(test.decide(8, 8), Decision::Continue { at_most: 32 });
    assert_eq!(test.decide(9, 9), Decision::Pass);
    assert_eq!(test.decide(0, 3), Decision::Continue { at_most: 37 });
    assert_eq!(test.decide(0, 4), Decision::Fail);
    assert_eq!(test.decide(30, 40), Decision::Fail, "undecided at the cap is not a pass");
    let json = serde_json::to_value(test.decide(8, 8)).unwrap();
    assert_eq!(json, serde_json::json!({ "decision": "continue", "at_most": 32 }));
}

#[test]
fn settings_that_make_no_test_are_refused() {
    assert_eq!(SequentialTest::new(0.6, 0.85, 0.05, 0.05, 40).unwrap(), SequentialTest::default());
    assert!(matches!(SequentialTest::new(0.9, 0.6, 0.05, 0.05, 40), Err(InvalidTest::Accuracies(..))));
    assert!(matches!(SequentialTest::new(0.6, 1.0, 0.05, 0.05, 40), Err(InvalidTest::Accuracies(..))));
    assert!(matches!(SequentialTest::new(f64::NAN, 0.8, 0.05, 0.05, 40), Err(InvalidTest::Accuracies(..))));
    assert!(matches!(SequentialTest::new(0.6, 0.8, 0.0, 0.05, 40), Err(InvalidTest::ErrorRates(..))));
    assert_eq!(SequentialTest::new(0.6, 0.8, 0.05, 0.05, 0), Err(InvalidTest::Cap));
}

#[test]
fn wilson_intervals_match() {
    let reference = reference();
    let known = numbers(&reference["vectors"]["golden_accuracy"]["wilson95"]);
    let interval = wilson(9, 10, Z_95).unwrap();
    assert_close(interval.low, known[0], 1e-9);
    assert_close(interval.high, known[1], 1e-9);
    assert_eq!(wilson(0, 0, Z_95), None);
    assert_eq!(wilson(0, 5, Z_95).unwrap().low, 0.0);
    assert_eq!(wilson(5, 5, Z_95).unwrap().high, 1.0);
}

#[test]
fn percentile_intervals_interpolate() {
    let interval = percentile_interval((0..=100).rev().map(f64::from).collect(), 0.95).unwrap();
    assert_close(interval.low, 2.5, 1e-12);
    assert_close(interval.high, 97.5, 1e-12);
    assert_eq!(percentile_interval(Vec::new(), 0.95), None);
}

#[test]
fn uncertainty_matches_and_is_not_inverted() {
    let reference = reference();
    let known = &reference["vectors"]["uncertainty"];
    let entropy = numbers(&known["normalised_entropy"]);
    let margins = numbers(&known["margin_1-(p1-p2)"]);
    let least = numbers(&known["least_confidence"]);
    for (index, p) in known["p"].as_array().unwrap().iter().map(numbers).enumerate() {
        assert_close(normalised_entropy(&p), entropy[index], 1e-12);
        assert_close(margin(&p), margins[index], 1e-12);
        assert_close(least_confidence(&p), least[index], 1e-12);
    }
    let ensemble = &known["bald_ensemble"];
    let members: Vec<Vec<f64>> = ensemble["p"].as_array().unwrap().iter().map(numbers).collect();
    assert_close(mutual_information(&members), ensemble["mutual_information"].as_f64().unwrap(), 1e-9);
    assert_eq!(mutual_information(&[]), 0.0);
    assert_eq!(normalised_entropy(&[1.0]), 0.0);
}

#[test]
fn disagreement_is_the_share_of_disagreeing_pairs() {
    assert_eq!(disagreement(&[3, 0]), Some(0.0));
    assert_eq!(disagreement(&[1, 1]), Some(1.0));
    assert_close(disagreement(&[2, 1]).unwrap(), 2.0 / 3.0, 1e-12);
    assert_eq!(disagreement(&[1, 0]), None);
}
