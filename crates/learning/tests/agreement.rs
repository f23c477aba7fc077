//! Agreement coefficients against published and peer-computed values, and what happens when they are
//! not defined.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::agreement::cohen::{Weighting, kappa, shared_pairs};
use learning::agreement::krippendorff::{Scale, alpha, alpha_with_interval};
use learning::agreement::{Coefficient, LabelCounts, fleiss_kappa, gwet_ac1, percent};
use learning::judgment::{InvalidJudgments, Judgment};
use reference::{assert_close, numbers, reference, table};
use serde_json::Value;

const TOLERANCE: f64 = 1e-6;

#[track_caller]
fn assert_value(coefficient: &Coefficient, want: &Value) {
    assert_close(coefficient.value.unwrap(), want.as_f64().unwrap(), TOLERANCE);
    assert_eq!(coefficient.undefined_because, None);
}

#[track_caller]
fn assert_undefined(coefficient: &Coefficient, reason: &str) {
    assert_eq!(coefficient.value, None);
    let why = coefficient.undefined_because.as_deref().unwrap();
    assert!(why.contains(reason), "{why}");
}

/// Rows are raters, `null` is missing, labels start at 1.
fn counts_of_raters(rows: &Value, n_labels: usize) -> LabelCounts {
    let mut judgments = Vec::new();
    let mut n_tasks = 0;
    for (rater, row) in (0u32..).zip(rows.as_array().unwrap()) {
        for (task, label) in (0u32..).zip(row.as_array().unwrap()) {
            n_tasks = n_tasks.max(task as usize + 1);
            if let Some(label) = label.as_u64() {
                judgments.push(Judgment { task, rater, label: label as u32 - 1 });
            }
        }
    }
    LabelCounts::from_judgments(&judgments, n_tasks, n_labels).unwrap()
}

#[test]
fn krippendorff_alpha_matches_the_canonical_example() {
    let reference = reference();
    let known = &reference["vectors"]["krippendorff_alpha"];
    let counts = counts_of_raters(&known["data_rows_are_raters_null_is_missing"], 5);
    for (scale, name) in [(Scale::Nominal, "nominal"), (Scale::Ordinal, "ordinal"), (Scale::Interval, "interval")] {
        assert_value(&alpha(&counts, scale), &known[name]);
    }
    let nominal = alpha(&counts, Scale::Nominal);
    assert_eq!((nominal.n_tasks, nominal.n_judgments), (11, 40));
}

#[test]
fn krippendorff_alpha_leaves_missing_marks_out() {
    let reference = reference();
    let known = &reference["unit"]["krippendorff_missing_values"];
    let counts = counts_of_raters(&known["rows_are_raters"], 4);
    assert_value(&alpha(&counts, Scale::Nominal), &known["alpha"]["nominal"]);
    assert_value(&alpha(&counts, Scale::Ordinal), &known["alpha"]["ordinal"]);
    assert_value(&alpha(&counts, Scale::Interval), &known["alpha"]["interval"]);
    let trap = &reference["vectors"]["krippendorff_alpha"]["missing_not_a_category"];
    assert_value(&alpha(&counts_of_raters(&trap["data"], 2), Scale::Nominal), &trap["nominal"]);
}

#[test]
fn krippendorff_alpha_matches_peers_on_real_sets() {
    let reference = reference();
    let anaesthesia = reference::anaesthesia();
    let counts = LabelCounts::from_judgments(&anaesthesia.judgments, anaesthesia.n_tasks, 4).unwrap();
    let known = &reference["anaesthesia_alpha"];
    assert_value(&alpha(&counts, Scale::Nominal), &known["krippendorff_alpha_nominal_all_7_readings"]);
    assert_value(&alpha(&counts, Scale::Ordinal), &known["krippendorff_alpha_ordinal_all_7_readings"]);
    let bluebird = reference::bluebird();
    let counts = LabelCounts::from_judgments(&bluebird.judgments, bluebird.n_tasks, 2).unwrap();
    let known = &reference["bluebird"];
    assert_value(&alpha(&counts, Scale::Nominal), &known["krippendorff_alpha_nominal"]);
    assert_value(&fleiss_kappa(&counts), &known["fleiss_kappa"]);
    assert_value(&percent(&counts), &known["mean_pairwise_agreement"]);
}

#[test]
fn the_bootstrap_interval_of_alpha_is_the_published_one_and_repeatable() {
    let reference = reference();
    let known = &reference["vectors"]["krippendorff_alpha"];
    let counts = counts_of_raters(&known["data_rows_are_raters_null_is_missing"], 5);
    let estimate = alpha_with_interval(&counts, Scale::Nominal, 2000, 7);
    let interval = estimate.interval.unwrap();
    let bounds = numbers(&known["bootstrap_over_units_nominal_2.5_97.5"]);
    // Another random generator drew the reference: only sampling error may differ.
    assert_close(interval.low, bounds[0], 0.05);
    assert_close(interval.high, bounds[1], 1e-9);
    assert_eq!(estimate.alpha, alpha(&counts, Scale::Nominal));
    assert_eq!(estimate, alpha_with_interval(&counts, Scale::Nominal, 2000, 7));
    assert_ne!(estimate.interval, alpha_with_interval(&counts, Scale::Nominal, 2000, 8).interval);
}

#[test]
fn fleiss_kappa_and_gwet_ac1_match_the_fourteen_rater_table() {
    let reference = reference();
    let known = &reference["vectors"];
    let counts = LabelCounts::from_rows(&table(&known["fleiss_kappa"]["counts"]), 5).unwrap();
    assert_value(&fleiss_kappa(&counts), &known["fleiss_kappa"]["value"]);
    assert_value(&gwet_ac1(&counts), &known["gwet_ac1"]["value"]);
    assert_value(&percent(&counts), &known["gwet_ac1"]["pa"]);
    let rows = table(&reference["unit"]["fleiss_14_raters"]["rows_are_tasks_counts_per_class"]);
    let counts = LabelCounts::from_rows(&rows, 5).unwrap();
    assert_value(&fleiss_kappa(&counts), &reference["unit"]["fleiss_14_raters"]["kappa"]);
}

#[test]
fn kappa_collapses_under_skew_where_ac1_does_not() {
    let reference = reference();
    let known = &reference["vectors"]["kappa_paradox"];
    let counts = LabelCounts::from_rows(&table(&known["counts"]), 2).unwrap();
    assert_value(&fleiss_kappa(&counts), &known["fleiss"]);
    assert_value(&gwet_ac1(&counts), &known["ac1"]);
    assert_value(&percent(&counts), &known["percent"]);
}

#[test]
fn cohen_kappa_matches_in_all_weightings() {
    let reference = reference();
    let labels = |value: &Value| numbers(value).into_iter().map(|n| n as u32).collect::<Vec<_>>();
    for (known, a, b) in [(&reference["vectors"]["cohen_kappa"], "rater_a", "rater_b"), (&reference["unit"]["cohen_ordinal"], "a", "b")] {
        let pairs: Vec<(u32, u32)> = labels(&known[a]).into_iter().zip(labels(&known[b])).collect();
        assert_value(&kappa(&pairs, Weighting::Unweighted), &known["unweighted"]);
        assert_value(&kappa(&pairs, Weighting::Linear), &known["linear"]);
        assert_value(&kappa(&pairs, Weighting::Quadratic), &known["quadratic"]);
    }
    let cells = [((1, 1), 20), ((1, 0), 5), ((0, 1), 10), ((0, 0), 15)];
    let pairs: Vec<(u32, u32)> = cells.iter().flat_map(|(pair, n)| vec![*pair; *n]).collect();
    assert_value(&kappa(&pairs, Weighting::Unweighted), &reference["unit"]["cohen_2x2"]["kappa"]);
}

#[test]
fn cohen_kappa_uses_only_tasks_that_both_judged() {
    let judgment = |task, rater, label| Judgment { task, rater, label };
    let judgments = [judgment(2, 0, 1), judgment(0, 0, 0), judgment(0, 1, 1), judgment(1, 1, 1), judgment(2, 1, 1)];
    assert_eq!(shared_pairs(&judgments, 0, 1), [(0, 1), (1, 1)]);
    assert_undefined(&kappa(&shared_pairs(&judgments, 0, 7), Weighting::Unweighted), "no task in common");
}

#[test]
fn an_undefined_coefficient_says_why() {
    assert_undefined(&kappa(&[(1, 1), (1, 1), (1, 1)], Weighting::Unweighted), "same label");
    let same = LabelCounts::from_rows(&[vec![3, 0], vec![3, 0]], 2).unwrap();
    assert_undefined(&alpha(&same, Scale::Nominal), "same label");
    assert_undefined(&fleiss_kappa(&same), "same label");
    assert_eq!(gwet_ac1(&same).value, Some(1.0));
    assert_eq!(alpha_with_interval(&same, Scale::Nominal, 100, 1).interval, None);
    let single = LabelCounts::from_rows(&[vec![1, 0], vec![0, 1]], 2).unwrap();
    for coefficient in [alpha(&single, Scale::Ordinal), fleiss_kappa(&single), gwet_ac1(&single), percent(&single)] {
        assert_undefined(&coefficient, "nothing to compare");
    }
    let uneven = LabelCounts::from_rows(&[vec![2, 0], vec![1, 2]], 2).unwrap();
    assert_undefined(&fleiss_kappa(&uneven), "different numbers of judgments (2 and 3)");
    let empty = LabelCounts::from_rows(&[], 2).unwrap();
    assert_undefined(&fleiss_kappa(&empty), "no judgments");
    assert_undefined(&alpha(&empty, Scale::Nominal), "nothing to compare");
}

#[test]
fn impossible_counts_are_refused() {
    assert_eq!(LabelCounts::from_rows(&[], 0), Err(InvalidJudgments::NoLabels));
    assert!(LabelCounts::from_rows(&[vec![1, 2, 3]], 2).is_err());
    let error = LabelCounts::from_judgments(&[Judgment { task: 0, rater: 0, label: 2 }], 1, 2).unwrap_err();
    assert_eq!(error.to_string(), "judgment 0 names label 2, but there are only 2; indices start at 0");
}
