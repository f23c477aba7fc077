//! Consensus against crowd-kit's figures, on real and generated sets, and at the edges.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use std::collections::HashMap;

use learning::consensus::vote::{posterior_from_accuracies, task_posterior};
use learning::consensus::{Consensus, EmSettings, Evidence, Method, clear_winner, dawid_skene, estimate, one_coin};
use learning::judgment::{GoldRecord, InvalidJudgments, Judgment};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{Set, assert_close, numbers, reference};

fn evidence(set: &Set, n_labels: usize) -> Evidence<'_> {
    let Set { n_tasks, n_raters, ref judgments, .. } = *set;
    Evidence { n_tasks, n_raters, n_labels, judgments, gold: &[], records: &[] }
}

/// Share of right labels; a tie counts nothing.
fn accuracy(consensus: &Consensus, truth: &[Option<u32>]) -> f64 {
    let right = consensus.tasks.iter().zip(truth).filter(|(task, truth)| task.label == **truth).count();
    right as f64 / truth.len() as f64
}

/// The small set of the reference vectors: tasks and raters in order of first appearance.
fn small_set() -> Set {
    let reference = reference();
    let (mut tasks, mut raters) = (HashMap::new(), HashMap::new());
    let known = &reference["vectors"]["dawid_skene"];
    let judgments = known["judgments"].as_array().unwrap().iter().map(|row| {
        let next = tasks.len() as u32;
        let task = *tasks.entry(row[0].as_str().unwrap().to_owned()).or_insert(next);
        let next = raters.len() as u32;
        let rater = *raters.entry(row[1].as_str().unwrap().to_owned()).or_insert(next);
        Judgment { task, rater, label: row[2].as_u64().unwrap() as u32 }
    });
    let judgments: Vec<Judgment> = judgments.collect();
    let mut truth = vec![None; tasks.len()];
    for (task, label) in known["true"].as_object().unwrap() {
        truth[tasks[task] as usize] = Some(label.as_u64().unwrap() as u32);
    }
    Set { n_tasks: tasks.len(), n_raters: raters.len(), judgments, tasks, truth }
}

#[test]
fn dawid_skene_matches_crowd_kit_round_by_round() {
    let set = small_set();
    let reference = reference();
    let known = &reference["vectors"]["dawid_skene"];
    let rounds = known["n_iter_run"].as_u64().unwrap() as u32;
    let fitted = dawid_skene::fit(&evidence(&set, 3), &EmSettings::unsmoothed(rounds)).unwrap();
    assert_eq!(fitted.iterations, rounds);
    for label in 0..3 {
        assert_close(fitted.class_prior[label], known["priors"][label.to_string()].as_f64().unwrap(), 1e-6);
    }
    // The reference lists the labels in the order 0, 2, 1.
    for (task, want) in known["posteriors_first8"].as_object().unwrap() {
        let have = &fitted.tasks[set.tasks[task] as usize].posterior;
        for (label, want) in [0, 2, 1].into_iter().zip(numbers(want)) {
            assert_close(have[label], want, 1e-6);
        }
    }
    assert_close(accuracy(&fitted, &set.truth), known["accuracy"]["dawid_skene"].as_f64().unwrap(), 1e-9);
}

#[test]
fn dawid_skene_matches_the_paper_s_data_after_twenty_rounds() {
    let set = reference::anaesthesia();
    let reference = reference();
    let known = &reference["anaesthesia"];
    let fitted = dawid_skene::fit(&evidence(&set, 4), &EmSettings::unsmoothed(20)).unwrap();
    for (have, want) in fitted.class_prior.iter().zip(numbers(&known["iterations_20"]["priors"])) {
        assert_close(*have, want, 1e-9);
    }
    let settings = EmSettings { tolerance: 1e-13, ..EmSettings::unsmoothed(1000) };
    let fitted = dawid_skene::fit(&evidence(&set, 4), &settings).unwrap();
    let known = &known["converged"];
    assert!(fitted.converged);
    assert_close(fitted.log_likelihood.unwrap(), known["log_likelihood"].as_f64().unwrap(), 1e-6);
    for (task, label) in known["consensus"].as_object().unwrap() {
        let want: u32 = label.as_str().unwrap().parse().unwrap();
        assert_eq!(fitted.tasks[set.tasks[task] as usize].label, Some(want - 1), "{task}");
    }
    let confusion = fitted.raters[0].confusion.as_ref().unwrap();
    for (row, want) in confusion.iter().zip(known["observer_1_confusion_rows_true_cols_label"].as_array().unwrap()) {
        row.iter().zip(numbers(want)).for_each(|(have, want)| assert_close(*have, want, 1e-5));
    }
}

#[test]
fn both_fitted_models_match_crowd_kit_on_bluebird() {
    let set = reference::bluebird();
    let reference = reference();
    let known = &reference["bluebird"];
    let evidence = evidence(&set, 2);
    let fitted = dawid_skene::fit(&evidence, &EmSettings::unsmoothed(20)).unwrap();
    let twenty = &known["dawid_skene"]["iterations_20"];
    assert_close(accuracy(&fitted, &set.truth), twenty["accuracy"].as_f64().unwrap(), 1e-9);
    assert_close(fitted.class_prior[0], twenty["priors"][0].as_f64().unwrap(), 1e-9);
    let likelihood = twenty["log_likelihood_before_last_update"].as_f64().unwrap();
    assert_close(fitted.log_likelihood.unwrap(), likelihood, 1e-6);
    let fitted = one_coin::fit(&evidence, &EmSettings::unsmoothed(20)).unwrap();
    let twenty = &known["one_coin"]["iterations_20"];
    assert_close(accuracy(&fitted, &set.truth), twenty["accuracy_ties_shared"].as_f64().unwrap(), 1e-9);
    let likelihood = twenty["log_likelihood_before_last_update"].as_f64().unwrap();
    assert_close(fitted.log_likelihood.unwrap(), likelihood, 1e-5);
    let majority = estimate(&evidence, Method::Majority).unwrap();
    let want = known["majority_vote"]["accuracy_ties_shared"].as_f64().unwrap();
    assert_close(accuracy(&majority, &set.truth), want, 1e-9);
}

#[test]
fn auto_beats_majority_on_biased_real_raters() {
    let set = reference::bluebird();
    let auto = estimate(&evidence(&set, 2), Method::Auto).unwrap();
    assert_eq!(auto.method, Method::Hierarchical);
    assert!(accuracy(&auto, &set.truth) >= 0.88, "{}", accuracy(&auto, &set.truth));
    let majority = estimate(&evidence(&set, 2), Method::Majority).unwrap();
    assert!(accuracy(&auto, &set.truth) > accuracy(&majority, &set.truth) + 0.1);
}

/// 3 labels, 5 judgments a task by 12 raters, of whom 4 are hardly better than chance.
fn generated(seed: u64, n_tasks: u32, per_task: usize) -> Set {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut judgments = Vec::new();
    let mut truth = Vec::new();
    for task in 0..n_tasks {
        let right = random.random_range(0..3);
        truth.push(Some(right));
        let mut raters: Vec<u32> = (0..12).collect();
        for _ in 0..per_task {
            let rater = raters.swap_remove(random.random_range(0..raters.len()));
            let accuracy = if rater < 4 { 0.36 } else { 0.8 };
            let is_right = random.random_bool(accuracy);
            let label = if is_right { right } else { (right + random.random_range(1..3)) % 3 };
            judgments.push(Judgment { task, rater, label });
        }
    }
    Set { judgments, n_tasks: n_tasks as usize, n_raters: 12, tasks: HashMap::new(), truth }
}

#[test]
fn one_coin_beats_majority_when_some_raters_guess() {
    let (mut one_coin, mut majority) = (0.0, 0.0);
    for seed in 0..10 {
        let set = generated(seed, 300, 5);
        let fitted = estimate(&evidence(&set, 3), Method::OneCoin).unwrap();
        one_coin += accuracy(&fitted, &set.truth) / 10.0;
        majority += accuracy(&estimate(&evidence(&set, 3), Method::Majority).unwrap(), &set.truth) / 10.0;
        let reliability = |rater: usize| fitted.raters[rater].reliability.unwrap();
        assert!((0..4).all(|bad| (4..12).all(|good| reliability(bad) < reliability(good))));
    }
    assert!(one_coin > majority + 0.03, "one-coin {one_coin}, majority {majority}");
}

#[test]
fn golden_records_weigh_votes_where_fitting_is_too_early() {
    let set = generated(3, 40, 3);
    let records: Vec<GoldRecord> = (0..12).map(|rater| GoldRecord { correct: if rater < 4 { 7 } else { 16 }, total: 20 }).collect();
    let evidence = Evidence { records: &records, ..evidence(&set, 3) };
    let auto = estimate(&evidence, Method::Auto).unwrap();
    assert_eq!(auto.method, Method::GoldVote);
    assert!(auto.reason.contains("40 tasks"), "{}", auto.reason);
    let majority = estimate(&evidence, Method::Majority).unwrap();
    assert!(accuracy(&auto, &set.truth) > accuracy(&majority, &set.truth));
}

#[test]
fn too_little_overlap_is_left_to_the_vote() {
    let auto = |tasks, per_task| {
        let set = generated(1, tasks, per_task);
        estimate(&evidence(&set, 3), Method::Auto).unwrap()
    };
    assert_eq!(auto(99, 3).method, Method::GoldVote);
    assert_eq!(auto(2000, 1).method, Method::GoldVote);
    assert_ne!(auto(100, 2).method, Method::GoldVote);
    assert!(auto(2000, 1).reason.contains("0 tasks have two or more judgments"));
}

#[test]
fn gold_stays_fixed_and_helps_the_others() {
    let set = small_set();
    let gold: Vec<Option<u32>> = (0..set.n_tasks).map(|task| set.truth[task].filter(|_| task < 8)).collect();
    let evidence = Evidence { gold: &gold, ..evidence(&set, 3) };
    for (method, _) in Method::NAMES {
        let consensus = estimate(&evidence, method).unwrap();
        for (task, truth) in consensus.tasks.iter().zip(&gold).filter(|(_, truth)| truth.is_some()) {
            assert_eq!(task.label, *truth);
            assert!(task.is_gold);
            assert_close(task.posterior[truth.unwrap() as usize], 1.0, 0.0);
        }
        assert!(consensus.raters.iter().map(|rater| rater.gold.total).sum::<u32>() > 0);
    }
    let reference = reference();
    let known = &reference["vectors"]["dawid_skene"];
    // crowd-kit stopped after 5 rounds here.
    let fitted = dawid_skene::fit(&evidence, &EmSettings::unsmoothed(5)).unwrap();
    let want = known["accuracy"]["dawid_skene_with_8_gold"].as_f64().unwrap();
    assert_close(accuracy(&fitted, &set.truth), want, 1e-9);
    // The reference lists the labels in the order 0, 2, 1.
    for (task, want) in known["posteriors_with_gold_first10"].as_object().unwrap() {
        let have = &fitted.tasks[set.tasks[task] as usize].posterior;
        for (label, want) in [0, 2, 1].into_iter().zip(numbers(want)) {
            assert_close(have[label], want, 1e-6);
        }
    }
}

#[test]
fn a_single_task_s_posterior_matches_the_worked_cases() {
    let reference = reference();
    let known = &reference["vectors"]["dynamic_overlap_posterior"];
    for case in known["cases"].as_array().unwrap() {
        let votes: Vec<(f64, u32)> =
            case["votes"].as_array().unwrap().iter().map(|vote| (vote[1].as_f64().unwrap(), vote[0].as_u64().unwrap() as u32)).collect();
        let have = posterior_from_accuracies(&votes, 3);
        have.iter().zip(numbers(&case["posterior"])).for_each(|(have, want)| assert_close(*have, want, 1e-9));
    }
    // (7 + 2) / (9 + 3) = 0.75 against a newcomer's 2/3: odds 3 x 2 to 1 when they agree.
    assert_close(task_posterior(&[(7, 9, 0), (0, 0, 0)], 2)[0], 6.0 / 7.0, 1e-12);
    assert_eq!(clear_winner(&task_posterior(&[(7, 9, 0), (7, 9, 1)], 2)), None);
    assert_eq!(task_posterior(&[], 4), vec![0.25; 4]);
    assert_eq!(task_posterior(&[(1, 1, 0)], 0), Vec::<f64>::new());
}

#[test]
fn a_perfect_tie_and_an_unjudged_task_have_no_label() {
    let judgments = [(0, 0, 0), (0, 1, 1)].map(|(task, rater, label)| Judgment { task, rater, label });
    let evidence = Evidence { n_tasks: 2, n_raters: 3, n_labels: 2, judgments: &judgments, gold: &[], records: &[] };
    for (method, _) in Method::NAMES {
        let consensus = estimate(&evidence, method).unwrap();
        assert!(consensus.tasks.iter().all(|task| task.label.is_none()), "{method}");
        assert_eq!(consensus.raters[2].reliability, None);
        let json = serde_json::to_string(&consensus).unwrap();
        assert_eq!(serde_json::from_str::<Consensus>(&json).unwrap(), consensus);
    }
}

#[test]
fn one_label_or_nothing_at_all_is_no_problem() {
    let judgments = [Judgment { task: 0, rater: 0, label: 0 }];
    let one = Evidence { n_tasks: 1, n_raters: 1, n_labels: 1, judgments: &judgments, gold: &[], records: &[] };
    let none = Evidence { n_tasks: 0, n_raters: 0, n_labels: 2, judgments: &[], gold: &[], records: &[] };
    for (method, _) in Method::NAMES {
        assert_eq!(estimate(&one, method).unwrap().tasks[0].posterior, [1.0], "{method}");
        assert!(estimate(&none, method).unwrap().tasks.is_empty());
    }
}

#[test]
fn impossible_evidence_is_named() {
    let judgments = [Judgment { task: 0, rater: 5, label: 0 }];
    let base = Evidence { n_tasks: 1, n_raters: 6, n_labels: 2, judgments: &judgments, gold: &[], records: &[] };
    assert!(estimate(&base, Method::Auto).is_ok());
    let error = |evidence| estimate(&evidence, Method::Auto).unwrap_err();
    assert_eq!(error(Evidence { n_labels: 0, ..base }), InvalidJudgments::NoLabels);
    assert!(matches!(
        error(Evidence { n_raters: 5, ..base }),
        InvalidJudgments::OutOfRange { position: 0, what: "rater", index: 5, count: 5 }
    ));
    assert!(matches!(error(Evidence { gold: &[Some(2)], ..base }), InvalidJudgments::Gold { task: 0, .. }));
    assert!(matches!(error(Evidence { gold: &[None, None], ..base }), InvalidJudgments::Length { .. }));
    let records = [GoldRecord { correct: 3, total: 2 }; 6];
    assert!(matches!(error(Evidence { records: &records, ..base }), InvalidJudgments::Record { rater: 0, .. }));
    let huge = Evidence { n_tasks: usize::MAX, ..base };
    assert!(matches!(error(huge), InvalidJudgments::TooLarge { .. }));
    let crowded = Evidence { n_raters: usize::MAX, ..base };
    assert!(matches!(error(crowded), InvalidJudgments::TooLarge { .. }));
}

#[test]
fn methods_have_the_names_of_the_command_line() {
    for (method, name) in Method::NAMES {
        assert_eq!(name.parse::<Method>().unwrap(), method);
        assert_eq!(method.to_string(), name);
        assert_eq!(serde_json::to_value(method).unwrap(), name);
    }
    let error = "median".parse::<Method>().unwrap_err();
    assert!(error.to_string().contains("one-coin"), "{error}");
}
