//! Exact tests against SciPy and against counting.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::exact::{Tail, benjamini_hochberg, binomial, binomial_two_sided, fisher_greater, g_test, mann_whitney_less, runs};
use proptest::prelude::*;
use reference::{assert_close, numbers, quality_reference};
use serde_json::Value;

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Equal up to rounding, relative to the size of the number.
#[track_caller]
fn assert_same(have: Option<f64>, want: &Value) {
    let want = want.as_f64().unwrap();
    assert_close(have.unwrap(), want, 1e-9 * want.abs().max(1e-3));
}

#[test]
fn binomial_tests_are_those_of_scipy() {
    let reference = quality_reference();
    for row in reference["binomial_two_sided"].as_array().unwrap() {
        assert_same(binomial_two_sided(whole(&row[0]), whole(&row[1]), row[2].as_f64().unwrap()), &row[3]);
    }
    for (name, tail) in [("binomial_at_least", Tail::AtLeast), ("binomial_at_most", Tail::AtMost)] {
        for row in reference[name].as_array().unwrap() {
            assert_same(binomial(whole(&row[0]), whole(&row[1]), row[2].as_f64().unwrap(), tail), &row[3]);
        }
    }
    assert_eq!(binomial_two_sided(0, 0, 0.5), None);
    assert_eq!(binomial_two_sided(2, 1, 0.5), None);
    assert_eq!(binomial(1, 2, f64::NAN, Tail::AtLeast), None);
}

#[test]
fn fisher_and_mann_whitney_are_those_of_scipy() {
    let reference = quality_reference();
    for row in reference["fisher_greater"].as_array().unwrap() {
        assert_same(fisher_greater((whole(&row[0]), whole(&row[1])), (whole(&row[2]), whole(&row[3]))), &row[4]);
    }
    for row in reference["mann_whitney_less"].as_array().unwrap() {
        assert_same(mann_whitney_less(&numbers(&row[0]), &numbers(&row[1])), &row[2]);
    }
    assert_eq!(fisher_greater((0, 0), (1, 2)), None);
    assert_eq!(mann_whitney_less(&[1.0, 1.0], &[1.0]), None);
    assert_eq!(mann_whitney_less(&[], &[1.0]), None);
}

#[test]
fn the_runs_test_is_exact() {
    for row in quality_reference()["runs"].as_array().unwrap() {
        let sequence: Vec<bool> = row[0].as_str().unwrap().chars().map(|c| c == 'L').collect();
        let found = runs(&sequence).unwrap();
        assert_eq!(found.runs, whole(&row[1]));
        assert_same(Some(found.expected), &row[2]);
        assert_same(Some(found.z), &row[3]);
        assert_same(Some(found.p), &row[4]);
    }
    assert_eq!(runs(&[true, true]), None);
    assert_eq!(runs(&[]), None);
}

#[test]
fn the_g_test_is_that_of_scipy_and_merges_what_is_rare() {
    for row in quality_reference()["g_test"].as_array().unwrap() {
        let counts = |value: &Value| value.as_array().unwrap().iter().map(whole).collect::<Vec<u64>>();
        let found = g_test(&counts(&row[0]), &counts(&row[1])).unwrap();
        assert_close(found.g, row[2].as_f64().unwrap(), 1e-9);
        assert_eq!(u64::from(found.degrees), whole(&row[3]));
        assert_same(found.p(), &row[4]);
    }
    // The last two expect fewer than five in the first row: they are one category.
    assert_eq!(g_test(&[20, 20, 1, 2], &[100, 100, 15, 14]), g_test(&[20, 20, 3], &[100, 100, 29]));
    assert_eq!(g_test(&[1, 2], &[100, 100]), None);
    assert_eq!(g_test(&[0, 0], &[10, 10]), None);
    assert_eq!(g_test(&[], &[]), None);
}

#[test]
fn false_discoveries_are_controlled_as_in_scipy() {
    let reference = quality_reference();
    let p: Vec<Option<f64>> = numbers(&reference["benjamini_hochberg"]["p"]).into_iter().map(Some).collect();
    let want = numbers(&reference["benjamini_hochberg"]["adjusted"]);
    for (have, want) in benjamini_hochberg(&p).into_iter().zip(want) {
        assert_close(have.unwrap(), want, 1e-12);
    }
    assert_eq!(benjamini_hochberg(&[None, Some(0.04), None]), vec![None, Some(0.04), None], "what was not tested does not count");
}

proptest! {
    #[test]
    fn p_values_are_probabilities(successes in 0_u64..400, extra in 0_u64..400, share in 0.0_f64..=1.0) {
        let total = successes + extra;
        for p in [binomial_two_sided(successes, total, share), binomial(successes, total, share, Tail::AtLeast)] {
            prop_assert!(p.is_none_or(|p| (0.0..=1.0).contains(&p)));
            prop_assert_eq!(p.is_none(), total == 0);
        }
    }

    #[test]
    fn the_two_sides_of_a_fair_coin_are_alike(left in 0_u64..300, right in 0_u64..300) {
        prop_assume!(left + right > 0);
        let (a, b) = (binomial_two_sided(left, left + right, 0.5).unwrap(), binomial_two_sided(right, left + right, 0.5).unwrap());
        prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
    }

    #[test]
    fn runs_of_any_sequence_have_a_probability(sequence in proptest::collection::vec(any::<bool>(), 0..200)) {
        let both = sequence.iter().any(|v| *v) && sequence.iter().any(|v| !*v);
        let found = runs(&sequence);
        prop_assert_eq!(found.is_some(), both);
        prop_assert!(found.is_none_or(|runs| (0.0..=1.0).contains(&runs.p) && runs.z.is_finite()));
    }
}
