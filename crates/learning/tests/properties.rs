//! What holds for any judgments: probabilities are probabilities, and names of labels do not matter.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::agreement::krippendorff::{Scale, alpha};
use learning::agreement::{LabelCounts, gwet_ac1, percent};
use learning::consensus::vote::task_posterior;
use learning::consensus::{Evidence, Method, estimate};
use learning::features::Features;
use learning::judgment::{GoldRecord, Judgment};
use learning::reward::training::train;
use learning::reward::{Example, Outcome};
use learning::uncertainty::{margin, normalised_entropy};
use proptest::prelude::*;

const TASKS: u32 = 12;
const RATERS: u32 = 5;

#[derive(Debug, Clone)]
struct Case {
    n_labels: u32,
    judgments: Vec<Judgment>,
    gold: Vec<Option<u32>>,
    records: Vec<GoldRecord>,
}

fn cases() -> impl Strategy<Value = Case> {
    (2u32..5).prop_flat_map(|n_labels| {
        let judgment = (0..TASKS, 0..RATERS, 0..n_labels).prop_map(|(task, rater, label)| Judgment { task, rater, label });
        let record = (0u32..10, 0u32..10).prop_map(|(x, y)| GoldRecord { correct: x.min(y), total: x.max(y) });
        (
            prop::collection::vec(judgment, 0..80),
            prop::collection::vec(prop::option::weighted(0.2, 0..n_labels), TASKS as usize),
            prop::collection::vec(record, RATERS as usize),
        )
            .prop_map(move |(judgments, gold, records)| Case { n_labels, judgments, gold, records })
    })
}

fn evidence(case: &Case) -> Evidence<'_> {
    Evidence {
        n_tasks: TASKS as usize,
        n_raters: RATERS as usize,
        n_labels: case.n_labels as usize,
        judgments: &case.judgments,
        gold: &case.gold,
        records: &case.records,
    }
}

fn features() -> impl Strategy<Value = Features> {
    prop::collection::btree_map("[a-d]", -100.0..100.0f64, 0..4).prop_map(|numbers| {
        let mut features = Features::default();
        numbers.into_iter().for_each(|(name, value)| features.set(name, value));
        features
    })
}

fn pairs() -> impl Strategy<Value = Vec<Example>> {
    let outcome = (0.0..1.0f64, 0.0..1.0f64, 0.01..1.0f64).prop_map(|(a, tie, b)| {
        let sum = a + tie + b;
        Outcome { a: a / sum, tie: tie / sum, b: b / sum }
    });
    let pair = (features(), features(), outcome, 0.1..2.0f64, "[p-s]");
    let pair = pair.prop_map(|(a, b, outcome, weight, prompt_key)| Example { prompt_key, a, b, outcome, weight, retailer: None });
    prop::collection::vec(pair, 5..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn posteriors_are_distributions(case in cases()) {
        for (method, _) in Method::NAMES {
            let consensus = estimate(&evidence(&case), method).unwrap();
            prop_assert!((consensus.class_prior.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            for task in &consensus.tasks {
                prop_assert!((task.posterior.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(task.posterior.iter().all(|p| (0.0..=1.0).contains(p)));
            }
            for rater in &consensus.raters {
                prop_assert!(rater.reliability.is_none_or(|p| (0.0..=1.0).contains(&p)));
            }
        }
    }

    #[test]
    fn renaming_labels_renames_the_result(case in cases()) {
        let rename = |label: u32| (label + 1) % case.n_labels;
        let mut renamed = case.clone();
        renamed.judgments.iter_mut().for_each(|judgment| judgment.label = rename(judgment.label));
        renamed.gold.iter_mut().flatten().for_each(|label| *label = rename(*label));
        for method in [Method::Majority, Method::GoldVote, Method::OneCoin, Method::DawidSkene, Method::Hierarchical, Method::Mace] {
            let first = estimate(&evidence(&case), method).unwrap();
            let second = estimate(&evidence(&renamed), method).unwrap();
            for (x, y) in first.tasks.iter().zip(&second.tasks) {
                for label in 0..case.n_labels {
                    let (p, q) = (x.posterior[label as usize], y.posterior[rename(label) as usize]);
                    prop_assert!((p - q).abs() < 1e-4, "{method}: {p} and {q}");
                }
            }
        }
    }

    #[test]
    fn a_live_posterior_equals_the_golden_weighted_vote(case in cases()) {
        let evidence = Evidence { gold: &[], ..evidence(&case) };
        let consensus = estimate(&evidence, Method::GoldVote).unwrap();
        for (task, result) in (0..).zip(&consensus.tasks) {
            let own = case.judgments.iter().filter(|judgment| judgment.task == task);
            let votes: Vec<(u32, u32, u32)> = own.map(|judgment| {
                let record = case.records[judgment.rater as usize];
                (record.correct, record.total, judgment.label)
            }).collect();
            let live = task_posterior(&votes, case.n_labels as usize);
            for (x, y) in live.iter().zip(&result.posterior) {
                prop_assert!((x - y).abs() < 1e-9);
            }
            prop_assert!((0.0..=1.0).contains(&normalised_entropy(&live)));
            prop_assert!((0.0..=1.0).contains(&margin(&live)));
        }
    }

    #[test]
    fn exchanging_the_candidates_leaves_the_reward_model_as_it_is(pairs in pairs(), probe in features()) {
        let swap = |example: &Example| Example {
            a: example.b.clone(),
            b: example.a.clone(),
            outcome: example.outcome.swapped(),
            ..example.clone()
        };
        let swapped: Vec<Example> = pairs.iter().map(swap).collect();
        let (first, second) = (train(&pairs, 1).unwrap().model, train(&swapped, 1).unwrap().model);
        prop_assert!((first.score(&probe) - second.score(&probe)).abs() < 1e-9);
        let chance = first.win_probability(first.score(&probe), 0.3);
        prop_assert!((chance.a + chance.tie + chance.b - 1.0).abs() < 1e-12);
        prop_assert_eq!(first.win_probability(0.3, first.score(&probe)), chance.swapped());
    }

    #[test]
    fn agreement_is_at_most_one_and_never_undefined_without_a_reason(case in cases()) {
        let counts = LabelCounts::from_judgments(&case.judgments, TASKS as usize, case.n_labels as usize).unwrap();
        for coefficient in [alpha(&counts, Scale::Nominal), alpha(&counts, Scale::Ordinal), gwet_ac1(&counts), percent(&counts)] {
            prop_assert!(coefficient.value.is_none_or(|value| value.is_finite() && value <= 1.0 + 1e-12));
            prop_assert_eq!(coefficient.value.is_none(), coefficient.undefined_because.is_some());
        }
    }
}
