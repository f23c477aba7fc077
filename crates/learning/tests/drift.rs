//! The drift test: long silence while a rater is good, quick alarm when not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::drift::{Drift, DriftTest, InvalidDrift};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{assert_close, quality_reference};

/// Mean number of golden answers until the alarm.
fn run_length(test: &DriftTest, accuracy: f64, runs: u32, seed: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut answers = 0_u64;
    for _ in 0..runs {
        let mut sum = 0.0;
        while test.verdict(sum) != Drift::Retest {
            sum = test.step(sum, random.random_bool(accuracy));
            answers += 1;
        }
    }
    answers as f64 / f64::from(runs)
}

#[test]
fn run_lengths_are_those_of_the_exact_chain() {
    let reference = quality_reference();
    let reference = &reference["drift_run_lengths"];
    assert_close(DriftTest::default().threshold(), reference["threshold"].as_f64().unwrap(), 0.0);
    for row in reference["by_accuracy"].as_array().unwrap() {
        let (accuracy, want) = (row[0].as_f64().unwrap(), row[1].as_f64().unwrap());
        // The run length is nearly exponential: its standard error is 1/sqrt(2000) = 2.2 %; the grid of the reference adds 1 to 2 %.
        assert_close(run_length(&DriftTest::default(), accuracy, 2000, 5), want, want * 0.12);
    }
}

#[test]
fn an_alarm_stays() {
    let test = DriftTest::default();
    assert_eq!(test.of_series([]), (Drift::Steady, 0.0));
    assert_eq!(test.of_series(std::iter::repeat_n(true, 500)).0, Drift::Steady);
    // ln(.4/.15) = .981 a wrong answer: three are over half of 4.5, five over it.
    assert_eq!(test.of_series([false, false, false]).0, Drift::Watch);
    assert_eq!(test.of_series([false; 5]).0, Drift::Retest);
    assert_eq!(test.of_series(std::iter::repeat_n(false, 5).chain(std::iter::repeat_n(true, 99))).0, Drift::Retest);
    // A long good past does not excuse a bad present.
    assert_eq!(test.of_series(std::iter::repeat_n(true, 300).chain([false; 5])).0, Drift::Retest);
}

#[test]
fn settings_that_make_no_test_are_refused() {
    assert_eq!(DriftTest::new(0.6, 0.85, 4.0), Err(InvalidDrift::Accuracies(0.85, 0.6)));
    assert_eq!(DriftTest::new(0.85, 0.6, 0.0), Err(InvalidDrift::Threshold(0.0)));
    assert!(matches!(DriftTest::new(0.85, 0.6, f64::NAN), Err(InvalidDrift::Threshold(_))));
}

proptest! {
    #[test]
    fn a_sum_never_falls_below_zero_and_one_more_wrong_answer_never_helps(answers in proptest::collection::vec(any::<bool>(), 0..100)) {
        let test = DriftTest::default();
        let mut sum = 0.0;
        for is_right in answers {
            let next = test.step(sum, is_right);
            prop_assert!(next >= 0.0 && test.step(sum, false) > sum && test.step(sum, true) <= sum);
            sum = next;
        }
    }
}
