//! Adaptive overlap: fewer judgments than a fixed number, at no less accuracy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::consensus::vote::posterior_from_accuracies;
use learning::overlap::{InvalidOverlap, Next, Overlap, information_gain, most_informative, updated};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{assert_close, numbers, quality_reference};

#[test]
fn a_task_is_resolved_asked_again_or_escalated() {
    let rule = Overlap::default();
    assert_eq!(rule.decide(&[0.99, 0.01], 1), Next::AskAnother { at_most: 4 }, "one judgment is never enough");
    assert_eq!(rule.decide(&[0.05, 0.95], 2), Next::Resolved { label: 1, posterior: 0.95 });
    assert_eq!(rule.decide(&[0.5, 0.5], 4), Next::AskAnother { at_most: 1 });
    assert_eq!(rule.decide(&[0.89, 0.11], 5), Next::Escalate);
    assert_eq!(rule.decide(&[0.91, 0.09], 7), Next::Resolved { label: 0, posterior: 0.91 }, "a lowered cap does not undo a sure answer");
    assert_eq!(rule.decide(&[], 5), Next::Escalate);
    assert_eq!(rule.decide(&[f64::NAN, f64::NAN], 5), Next::Escalate);
    let json = serde_json::to_value(rule.decide(&[0.5, 0.5], 4)).unwrap();
    assert_eq!(json, serde_json::json!({"next": "ask_another", "at_most": 1}));
    assert_eq!(Overlap::new(0.4, 2, 5), Err(InvalidOverlap::Target(0.4)));
    assert_eq!(Overlap::new(0.9, 4, 3), Err(InvalidOverlap::Judgments(4, 3)));
    assert_eq!(Overlap::new(0.9, 0, 3), Err(InvalidOverlap::Judgments(0, 3)));
}

#[test]
fn the_gain_is_the_expected_fall_of_entropy() {
    for row in quality_reference()["information_gain"].as_array().unwrap() {
        assert_close(information_gain(&numbers(&row[0]), row[1].as_f64().unwrap()), row[2].as_f64().unwrap(), 1e-12);
    }
    assert_close(information_gain(&[0.5, 0.5], 0.5), 0.0, 1e-12);
    assert_eq!(information_gain(&[1.0], 0.9), 0.0);
    assert_eq!(information_gain(&[0.5, 0.5], f64::NAN), 0.0);
}

#[test]
fn the_best_rater_and_the_most_open_task_come_first() {
    assert_eq!(most_informative(&[0.5, 0.5], &[0.6, 0.9, 0.7]), Some(1));
    // A rater who is nearly always wrong tells more than one at chance.
    assert_eq!(most_informative(&[0.5, 0.5], &[0.5, 0.1]), Some(1));
    assert_eq!(most_informative(&[0.5, 0.5], &[]), None);
    assert!(information_gain(&[0.5, 0.5], 0.8) > information_gain(&[0.9, 0.1], 0.8));
}

proptest! {
    #[test]
    fn updating_one_by_one_is_the_posterior_of_all(
        votes in proptest::collection::vec((0.05_f64..0.95, 0_u32..4), 0..8),
    ) {
        let all = posterior_from_accuracies(&votes, 4);
        let mut one_by_one = vec![0.25; 4];
        for (accuracy, label) in &votes {
            one_by_one = updated(&one_by_one, *accuracy, *label);
        }
        for (a, b) in all.iter().zip(&one_by_one) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn a_gain_is_never_more_than_what_is_unknown(weights in proptest::collection::vec(0.0_f64..1.0, 2..6), accuracy in 0.0_f64..=1.0) {
        let sum: f64 = weights.iter().sum();
        prop_assume!(sum > 0.0);
        let posterior: Vec<f64> = weights.iter().map(|w| w / sum).collect();
        let gain = information_gain(&posterior, accuracy);
        prop_assert!(gain >= 0.0 && gain <= learning::overlap::entropy_bits(&posterior) + 1e-12);
    }
}

/// What became of the tasks of one simulation.
struct Run {
    judgments_a_task: f64,
    accuracy: f64,
    accuracy_without_expert: f64,
    escalated: f64,
}

const TASKS: usize = 2000;
const LABELS: usize = 4;
/// Eight raters, from nearly at chance to very good.
const ACCURACIES: [f64; 8] = [0.55, 0.65, 0.75, 0.80, 0.85, 0.88, 0.92, 0.95];

/// Judges tasks, a quarter of them hard (raters lose half of their lead over chance), until `rule` has enough; raters come in random
/// order and are weighed by 40 golden answers each. The expert to whom a task is escalated is right.
fn simulate(rule: &Overlap, seed: u64) -> Run {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let weights: Vec<f64> = ACCURACIES
        .iter()
        .map(|accuracy| (f64::from((0..40).filter(|_| random.random_bool(*accuracy)).count() as u32) + 2.0) / 43.0)
        .collect();
    let (mut asked, mut right, mut escalated) = (0, 0, 0);
    for _ in 0..TASKS {
        let truth = random.random_range(0..LABELS as u32);
        let is_hard = random.random_bool(0.25);
        let mut raters: Vec<usize> = (0..ACCURACIES.len()).collect();
        let mut posterior = vec![1.0 / LABELS as f64; LABELS];
        let mut judgments = 0;
        loop {
            match rule.decide(&posterior, judgments) {
                Next::Resolved { label, .. } => {
                    right += usize::from(label as u32 == truth);
                    break;
                }
                Next::Escalate => {
                    (escalated, right) = (escalated + 1, right + 1);
                    break;
                }
                Next::AskAnother { .. } => {}
            }
            let rater = raters.swap_remove(random.random_range(0..raters.len()));
            let accuracy = if is_hard { 0.25 + (ACCURACIES[rater] - 0.25) / 2.0 } else { ACCURACIES[rater] };
            let label = if random.random_bool(accuracy) { truth } else { (truth + random.random_range(1..LABELS as u32)) % LABELS as u32 };
            posterior = updated(&posterior, weights[rater], label);
            (judgments, asked) = (judgments + 1, asked + 1);
        }
    }
    let share = |count: usize| count as f64 / TASKS as f64;
    Run {
        judgments_a_task: share(asked),
        accuracy: share(right),
        accuracy_without_expert: (right - escalated) as f64 / (TASKS - escalated) as f64,
        escalated: share(escalated),
    }
}

/// The same with three judgments a task and no expert: the most probable label wins.
fn simulate_three(seed: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let weights: Vec<f64> = ACCURACIES
        .iter()
        .map(|accuracy| (f64::from((0..40).filter(|_| random.random_bool(*accuracy)).count() as u32) + 2.0) / 43.0)
        .collect();
    let mut right = 0;
    for _ in 0..TASKS {
        let truth = random.random_range(0..LABELS as u32);
        let is_hard = random.random_bool(0.25);
        let mut raters: Vec<usize> = (0..ACCURACIES.len()).collect();
        let mut posterior = vec![1.0 / LABELS as f64; LABELS];
        for _ in 0..3 {
            let rater = raters.swap_remove(random.random_range(0..raters.len()));
            let accuracy = if is_hard { 0.25 + (ACCURACIES[rater] - 0.25) / 2.0 } else { ACCURACIES[rater] };
            let label = if random.random_bool(accuracy) { truth } else { (truth + random.random_range(1..LABELS as u32)) % LABELS as u32 };
            posterior = updated(&posterior, weights[rater], label);
        }
        let best = (0..LABELS).max_by(|a, b| posterior[*a].total_cmp(&posterior[*b])).unwrap();
        right += usize::from(best as u32 == truth);
    }
    right as f64 / TASKS as f64
}

#[test]
fn fewer_judgments_than_three_at_no_less_accuracy() {
    for seed in 1..=6 {
        let adaptive = simulate(&Overlap::default(), seed);
        let fixed = simulate_three(seed);
        assert!(adaptive.judgments_a_task < 2.9, "{} judgments a task", adaptive.judgments_a_task);
        // The standard error of either is 0.008.
        assert!(adaptive.accuracy >= fixed + 0.02, "{} against {fixed}", adaptive.accuracy);
        assert!(adaptive.accuracy_without_expert >= fixed, "{} against {fixed}", adaptive.accuracy_without_expert);
        assert!(adaptive.escalated < 0.15, "{} escalated", adaptive.escalated);
    }
}

#[test]
fn a_stricter_target_buys_accuracy_with_judgments() {
    let (loose, strict) = (simulate(&Overlap::default(), 9), simulate(&Overlap::new(0.98, 2, 5).unwrap(), 9));
    assert!(strict.accuracy > loose.accuracy && strict.judgments_a_task > loose.judgments_a_task);
    assert!(strict.escalated > loose.escalated);
}
