//! The agreement suite: the values of the single coefficients, intervals that cover the truth, reasons.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::agreement::cohen::{Weighting, kappa, shared_pairs};
use learning::agreement::krippendorff::{Scale, alpha};
use learning::agreement::pairwise::kappa_of_pair;
use learning::agreement::suite::{Estimate, Settings, Suite, suite};
use learning::agreement::{LabelCounts, fleiss_kappa, gwet_ac1, percent};
use learning::judgment::Judgment;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{assert_close, numbers, reference};

fn all(suite: &Suite) -> [(&'static str, &Estimate); 6] {
    [
        ("percent", &suite.percent),
        ("cohen", &suite.cohen_kappa.estimate),
        ("fleiss", &suite.fleiss_kappa),
        ("alpha", &suite.krippendorff_alpha),
        ("ordinal", &suite.krippendorff_alpha_ordinal),
        ("ac1", &suite.gwet_ac1),
    ]
}

/// Raters who are right with this probability on two labels.
fn crowd(seed: u64, n_tasks: u32, n_raters: u32, accuracy: f64) -> Vec<Judgment> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut judgments = Vec::new();
    for task in 0..n_tasks {
        let truth = u32::from(random.random_bool(0.5));
        for rater in 0..n_raters {
            let label = if random.random_bool(accuracy) { truth } else { 1 - truth };
            judgments.push(Judgment { task, rater, label });
        }
    }
    judgments
}

#[test]
fn the_canonical_example_has_all_its_coefficients_and_the_published_interval() {
    let reference = reference();
    let known = &reference["vectors"]["krippendorff_alpha"];
    let mut judgments = Vec::new();
    for (rater, row) in (0u32..).zip(known["data_rows_are_raters_null_is_missing"].as_array().unwrap()) {
        for (task, label) in (0u32..).zip(row.as_array().unwrap()) {
            judgments.extend(label.as_u64().map(|label| Judgment { task, rater, label: label as u32 - 1 }));
        }
    }
    let settings = Settings { replicates: 2000, seed: 7, is_ordered: true };
    let found = suite(&judgments, 12, 5, &settings).unwrap();
    assert_close(found.krippendorff_alpha.coefficient.value.unwrap(), known["nominal"].as_f64().unwrap(), 1e-6);
    assert_close(found.krippendorff_alpha_ordinal.coefficient.value.unwrap(), known["ordinal"].as_f64().unwrap(), 1e-6);
    // Another random generator drew the reference, and it left the task with one judgment out.
    let interval = found.krippendorff_alpha.interval.unwrap();
    let bounds = numbers(&known["bootstrap_over_units_nominal_2.5_97.5"]);
    assert_close(interval.low, bounds[0], 0.06);
    assert_close(interval.high, bounds[1], 1e-9);
    let reason = found.fleiss_kappa.coefficient.undefined_because.as_deref().unwrap();
    assert!(reason.contains("different numbers of judgments"), "{reason}");
    assert_eq!((found.n_tasks, found.n_raters, found.n_judgments), (12, 4, 41));
    assert_eq!(found, suite(&judgments, 12, 5, &settings).unwrap(), "the same seed gives the same intervals");
}

#[test]
fn intervals_cover_the_value_of_a_large_sample_about_as_often_as_they_say() {
    // Two judgments agree when both are right or both wrong; with even labels kappa and alpha are 2p - 1.
    let accuracy = 0.8_f64;
    let agreement = accuracy * accuracy + (1.0 - accuracy) * (1.0 - accuracy);
    for n_tasks in [80, 1100] {
        let mut covered = [0; 6];
        for seed in 0..25 {
            let settings = Settings { replicates: 200, seed, is_ordered: true };
            let found = suite(&crowd(seed, n_tasks, 3, accuracy), n_tasks as usize, 2, &settings).unwrap();
            for (count, (name, estimate)) in covered.iter_mut().zip(all(&found)) {
                let truth = if name == "percent" { agreement } else { 2.0 * agreement - 1.0 };
                let interval = estimate.interval.unwrap();
                *count += u32::from(interval.low <= truth && truth <= interval.high);
            }
        }
        // 95 % of 25 is 24; below 19 has a probability of one in ten thousand.
        assert!(covered.iter().all(|count| *count >= 19), "{n_tasks} tasks: {covered:?}");
    }
}

#[test]
fn pairwise_kappa_is_cohen_s_for_two_raters_and_the_weighted_mean_for_more() {
    let mut judgments = crowd(3, 60, 3, 0.8);
    // The third rater shares only ten tasks with the others.
    judgments.retain(|judgment| judgment.rater < 2 || judgment.task < 10);
    let of = |a, b| kappa(&shared_pairs(&judgments, a, b), Weighting::Unweighted).value.unwrap();
    let want = (60.0 * of(0, 1) + 10.0 * of(0, 2) + 10.0 * of(1, 2)) / 80.0;
    let found = suite(&judgments, 60, 2, &Settings::default()).unwrap().cohen_kappa;
    assert_close(found.estimate.coefficient.value.unwrap(), want, 1e-12);
    assert_eq!((found.n_pairs, found.estimate.coefficient.n_tasks, found.estimate.coefficient.n_judgments), (3, 60, 130));
    let pair = kappa_of_pair(&judgments, (0, 1), Weighting::Linear, 500, 2);
    assert_close(pair.coefficient.value.unwrap(), of(0, 1), 1e-12);
    let interval = pair.interval.unwrap();
    assert!(interval.low < of(0, 1) && of(0, 1) < interval.high);
}

#[test]
fn nothing_is_undefined_without_a_reason() {
    let same: Vec<Judgment> = (0..6).map(|n| Judgment { task: n / 2, rater: n % 2, label: 1 }).collect();
    let found = suite(&same, 3, 2, &Settings { is_ordered: true, ..Settings::default() }).unwrap();
    assert_eq!((found.percent.coefficient.value, found.gwet_ac1.coefficient.value), (Some(1.0), Some(1.0)));
    for estimate in [&found.cohen_kappa.estimate, &found.fleiss_kappa, &found.krippendorff_alpha, &found.krippendorff_alpha_ordinal] {
        assert!(estimate.coefficient.undefined_because.as_deref().unwrap().contains("same label"));
        assert_eq!((estimate.coefficient.value, estimate.interval, estimate.replicates), (None, None, 0));
    }
    let names = suite(&crowd(1, 30, 2, 0.9), 30, 2, &Settings::default()).unwrap();
    assert!(names.krippendorff_alpha_ordinal.coefficient.undefined_because.unwrap().contains("no order"));
    let single = suite(&[Judgment { task: 0, rater: 0, label: 0 }], 1, 2, &Settings::default()).unwrap();
    assert!(all(&single).iter().all(|(_, estimate)| estimate.coefficient.undefined_because.is_some()));
    assert!(all(&suite(&[], 0, 2, &Settings::default()).unwrap()).iter().all(|(_, estimate)| estimate.coefficient.value.is_none()));
    assert!(suite(&[], 0, 0, &Settings::default()).is_err());
}

#[test]
fn a_suite_comes_back_from_json_as_it_was() {
    let found = suite(&crowd(5, 40, 3, 0.8), 40, 2, &Settings::default()).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert!(json["cohen_kappa"]["value"].is_number() && json["cohen_kappa"]["interval"]["low"].is_number());
    assert_eq!(serde_json::from_value::<Suite>(json).unwrap(), found);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_suite_agrees_with_the_single_coefficients(cells in prop::collection::vec((0u32..15, 0u32..6, 0u32..4), 0..120), is_ordered: bool) {
        let judgments: Vec<Judgment> = cells.iter().map(|&(task, rater, label)| Judgment { task, rater, label }).collect();
        let counts = LabelCounts::from_judgments(&judgments, 15, 4).unwrap();
        let found = suite(&judgments, 15, 4, &Settings { replicates: 50, seed: 3, is_ordered }).unwrap();
        prop_assert_eq!(&found.percent.coefficient, &percent(&counts));
        prop_assert_eq!(&found.fleiss_kappa.coefficient, &fleiss_kappa(&counts));
        prop_assert_eq!(&found.krippendorff_alpha.coefficient, &alpha(&counts, Scale::Nominal));
        prop_assert_eq!(&found.gwet_ac1.coefficient, &gwet_ac1(&counts));
        for (name, estimate) in all(&found) {
            prop_assert_eq!(estimate.coefficient.value.is_none(), estimate.coefficient.undefined_because.is_some(), "{}", name);
            prop_assert!(estimate.coefficient.value.is_none_or(|value| value.is_finite() && value <= 1.0 + 1e-12));
            if let Some(interval) = estimate.interval {
                prop_assert!(interval.low.is_finite() && interval.low <= interval.high && interval.high <= 1.0 + 1e-12, "{}", name);
            }
        }
    }
}
