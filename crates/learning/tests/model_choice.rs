//! The automatic choice on simulated crowds of many kinds: it must be near the best family on each, though
//! no family is good on all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::consensus::{Consensus, Evidence, Method, estimate};
use learning::judgment::Judgment;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Crowd {
    n_labels: usize,
    n_raters: usize,
    truth: Vec<u32>,
    judgments: Vec<Judgment>,
}

/// Which label a rater with these probabilities gives.
fn draw(random: &mut ChaCha8Rng, shares: &[f64]) -> u32 {
    let mut rest = random.random_range(0.0..shares.iter().sum());
    for (label, share) in (0..).zip(shares) {
        rest -= share;
        if rest < 0.0 {
            return label;
        }
    }
    shares.len() as u32 - 1
}

/// Tasks with labels drawn from `prior`, each judged by `per_task` different raters; `answer` gives the label
/// from the random numbers, the task, the rater and the truth.
fn crowd(
    seed: u64,
    (n_tasks, n_raters, per_task): (u32, usize, usize),
    prior: &[f64],
    mut answer: impl FnMut(&mut ChaCha8Rng, u32, usize, u32) -> u32,
) -> Crowd {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let truth: Vec<u32> = (0..n_tasks).map(|_| draw(&mut random, prior)).collect();
    let mut judgments = Vec::new();
    for (task, truth) in (0..).zip(&truth) {
        for rater in sample(&mut random, n_raters, per_task) {
            judgments.push(Judgment { task, rater: rater as u32, label: answer(&mut random, task, rater, *truth) });
        }
    }
    Crowd { n_labels: prior.len(), n_raters, truth, judgments }
}

/// Per rater and true label: the probabilities of the labels given.
fn matrices(seed: u64, n_raters: usize, k: usize, (low, high): (f64, f64), spammers: f64, adversaries: f64) -> Vec<Vec<Vec<f64>>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xC0FFEE);
    let mut rater = |_| {
        let habit: Vec<f64> = (0..k).map(|_| -random.random_range(1e-3_f64..1.0).ln()).collect();
        let is_spammer = random.random_bool(spammers);
        let is_adversary = random.random_bool(adversaries);
        let mut row = |truth: usize| {
            let right = random.random_range(low..high);
            let target = if is_adversary { (truth + 1) % k } else { truth };
            let others: f64 = habit.iter().enumerate().filter(|(label, _)| *label != target).map(|(_, share)| share).sum();
            let share = |(label, share): (usize, &f64)| if label == target { right } else { (1.0 - right) * share / others };
            if is_spammer { habit.clone() } else { habit.iter().enumerate().map(share).collect() }
        };
        (0..k).map(&mut row).collect()
    };
    (0..n_raters).map(&mut rater).collect()
}

fn accuracy(crowd: &Crowd, consensus: &Consensus) -> f64 {
    let right = consensus.tasks.iter().zip(&crowd.truth).filter(|(task, truth)| task.label == Some(**truth)).count();
    right as f64 / crowd.truth.len() as f64
}

/// Mean accuracy of auto over five seeds, and of the best other method.
fn compare(make: impl Fn(u64) -> Crowd) -> (f64, f64) {
    let methods = [Method::Auto, Method::Majority, Method::OneCoin, Method::DawidSkene, Method::Hierarchical, Method::Mace];
    let mut means = [0.0; 6];
    for seed in 0..5 {
        let crowd = make(seed);
        let evidence = Evidence {
            n_tasks: crowd.truth.len(),
            n_raters: crowd.n_raters,
            n_labels: crowd.n_labels,
            judgments: &crowd.judgments,
            gold: &[],
            records: &[],
        };
        for (mean, method) in means.iter_mut().zip(methods) {
            *mean += accuracy(&crowd, &estimate(&evidence, method).unwrap()) / 5.0;
        }
    }
    eprintln!("auto {:.4}; majority, one-coin, dawid-skene, hierarchical, mace {:.4?}", means[0], &means[1..]);
    (means[0], means[1..].iter().copied().fold(0.0, f64::max))
}

#[track_caller]
fn assert_near_best(margin: f64, make: impl Fn(u64) -> Crowd) {
    let (auto, best) = compare(make);
    assert!(auto >= best - margin, "auto {auto}, the best {best}");
}

/// Raters with matrices of their own.
fn confused(seed: u64, size: (u32, usize, usize), prior: &[f64], accuracy: (f64, f64), spammers: f64, adversaries: f64) -> Crowd {
    let matrices = matrices(seed, size.1, prior.len(), accuracy, spammers, adversaries);
    crowd(seed, size, prior, |random, _, rater, truth| draw(random, &matrices[rater][truth as usize]))
}

#[test]
fn few_judgments() {
    assert_near_best(0.03, |seed| confused(seed, (150, 40, 4), &[0.5, 0.5], (0.5, 0.95), 0.0, 0.0));
}

#[test]
fn three_judgments_a_task() {
    assert_near_best(0.02, |seed| confused(seed, (1500, 60, 3), &[0.5, 0.5], (0.5, 0.95), 0.0, 0.0));
    assert_near_best(0.02, |seed| confused(seed, (1000, 30, 3), &[0.2; 5], (0.4, 0.95), 0.0, 0.0));
}

#[test]
fn skewed_classes() {
    assert_near_best(0.02, |seed| confused(seed, (1500, 40, 5), &[0.95, 0.05], (0.5, 0.95), 0.0, 0.0));
    assert_near_best(0.02, |seed| confused(seed, (1500, 40, 5), &[0.92, 0.05, 0.03], (0.5, 0.95), 0.0, 0.0));
}

#[test]
fn spammers_and_adversaries() {
    assert_near_best(0.02, |seed| confused(seed, (800, 40, 5), &[0.5, 0.5], (0.5, 0.95), 0.4, 0.0));
    assert_near_best(0.02, |seed| confused(seed, (800, 40, 7), &[0.5, 0.5], (0.6, 0.95), 0.0, 0.15));
}

#[test]
fn many_classes() {
    assert_near_best(0.02, |seed| confused(seed, (1500, 80, 5), &[0.1; 10], (0.3, 0.9), 0.0, 0.0));
}

#[test]
fn raters_without_habits() {
    let careful = |seed, size, prior: &[f64]| {
        let k = prior.len() as u32;
        let accuracies: Vec<f64> = {
            let mut random = ChaCha8Rng::seed_from_u64(seed + 100);
            (0..60).map(|_| random.random_range(0.5..0.95)).collect()
        };
        crowd(
            seed,
            size,
            prior,
            |random, _, rater, truth| {
                if random.random_bool(accuracies[rater]) { truth } else { (truth + random.random_range(1..k)) % k }
            },
        )
    };
    assert_near_best(0.02, |seed| careful(seed, (1000, 40, 3), &[0.25; 4]));
    assert_near_best(0.02, |seed| careful(seed, (1500, 40, 5), &[0.9, 0.1]));
}

/// Nearly all truth is one label, and on some tasks everybody is misled alike: matrices take the misleading
/// tasks for a class of their own, and are far behind. Auto must stay in the upper half of that gap.
#[test]
fn one_label_and_tasks_that_mislead() {
    let make = |seed: u64| {
        let misleading: Vec<Option<[f64; 3]>> = {
            let mut random = ChaCha8Rng::seed_from_u64(seed + 7);
            let shares = |random: &mut ChaCha8Rng| [(); 3].map(|()| -random.random_range(1e-3_f64..1.0).ln());
            (0..1000).map(|_| random.random_bool(0.4).then(|| shares(&mut random))).collect()
        };
        let matrices = matrices(seed, 30, 3, (0.7, 0.97), 0.0, 0.0);
        crowd(seed, (1000, 30, 5), &[0.96, 0.03, 0.01], |random, task, rater, truth| match misleading[task as usize] {
            Some(shares) if random.random_bool(0.6) => draw(random, &shares),
            _ => draw(random, &matrices[rater][truth as usize]),
        })
    };
    assert_near_best(0.06, make);
}

/// Where one-coin falls onto one label (raters lean to opposite sides), auto must not follow.
#[test]
fn raters_who_lean_to_opposite_sides() {
    let make = |seed: u64| {
        crowd(seed, (150, 30, 20), &[0.55, 0.45], |random, _, rater, truth| {
            let right = match (rater % 3, truth) {
                (0, 0) | (1, 1) => 0.95,
                (0, _) => 0.25,
                (1, _) => 0.45,
                _ => 0.7,
            };
            if random.random_bool(right) { truth } else { 1 - truth }
        })
    };
    assert_near_best(0.02, make);
}
