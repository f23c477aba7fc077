//! From judgments over consensus to a reward model: more judged tasks make a better model, and raters who answer against the truth hardly
//! harm it, because golden items tell what their answers are worth.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::consensus::{Evidence, vote};
use learning::features::candidate_features;
use learning::judgment::{GoldRecord, Judgment};
use learning::reward::training::train;
use learning::reward::{Example, Outcome};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What people like about a plan, unknown to the model.
const LIKING: [(&str, f64); 5] = [("roas", 1.0), ("reach", 0.8), ("risk", -0.9), ("share", 0.5), ("delay", -0.6)];
const GOLDEN_ITEMS: u32 = 30;
const WORLDS: u64 = 8;

struct Task {
    a: Value,
    b: Value,
    prefers_a: bool,
}

fn tasks(seed: u64, n: usize) -> Vec<Task> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut plan = || {
        let mut liked = 0.0;
        let plan: serde_json::Map<String, Value> = LIKING
            .iter()
            .map(|(name, weight)| {
                let value: f64 = random.random_range(-2.0..2.0);
                liked += weight * value;
                ((*name).to_owned(), json!(value))
            })
            .collect();
        (Value::Object(plan), liked)
    };
    let mut task = || {
        let ((a, liked_a), (b, liked_b)) = (plan(), plan());
        Task { a, b, prefers_a: liked_a > liked_b }
    };
    (0..n).map(|_| task()).collect()
}

/// Everybody judges every task, rightly with the accuracy of each.
fn judge(seed: u64, tasks: &[Task], raters: &[f64]) -> (Vec<Judgment>, Vec<GoldRecord>) {
    let mut random = ChaCha8Rng::seed_from_u64(1_000 + seed);
    let mut judgments = Vec::new();
    for (task, asked) in (0..).zip(tasks) {
        for (rater, accuracy) in (0..).zip(raters) {
            let says_a = asked.prefers_a == random.random_bool(*accuracy);
            judgments.push(Judgment { task, rater, label: u32::from(!says_a) });
        }
    }
    let mut record = |accuracy: &f64| {
        let correct = (0..GOLDEN_ITEMS).filter(|_| random.random_bool(*accuracy)).count();
        GoldRecord { correct: correct as u32, total: GOLDEN_ITEMS }
    };
    (judgments, raters.iter().map(&mut record).collect())
}

/// Share of fresh pairs that a model trained on these posteriors gets right.
fn accuracy_of_model(tasks: &[Task], posteriors: &[Vec<f64>]) -> f64 {
    let example = |(n, task): (usize, &Task)| Example {
        prompt_key: n.to_string(),
        a: candidate_features(&task.a, &[], &Value::Null),
        b: candidate_features(&task.b, &[], &Value::Null),
        outcome: Outcome { a: posteriors[n][0], tie: 0.0, b: posteriors[n][1] },
        weight: 1.0,
        retailer: None,
    };
    let examples: Vec<Example> = tasks.iter().enumerate().map(example).collect();
    let model = train(&examples, 1).unwrap().model;
    let fresh = self::tasks(99, 1_000);
    let right = fresh.iter().filter(|task| {
        let score = |plan: &Value| model.score(&candidate_features(plan, &[], &Value::Null));
        (score(&task.a) > score(&task.b)) == task.prefers_a
    });
    right.count() as f64 / fresh.len() as f64
}

/// The mean over a few worlds, so that the luck of one does not decide.
fn learnt(n_tasks: usize, raters: &[f64], by_gold: bool) -> f64 {
    (0..WORLDS).map(|seed| learnt_in(seed, n_tasks, raters, by_gold)).sum::<f64>() / WORLDS as f64
}

fn learnt_in(seed: u64, n_tasks: usize, raters: &[f64], by_gold: bool) -> f64 {
    let tasks = tasks(seed, n_tasks);
    let (judgments, gold) = judge(seed, &tasks, raters);
    let evidence = Evidence { n_tasks, n_raters: raters.len(), n_labels: 2, judgments: &judgments, gold: &[], records: &gold };
    let consensus = if by_gold { vote::gold_weighted(&evidence) } else { vote::majority(&evidence) }.unwrap();
    let posteriors: Vec<Vec<f64>> = consensus.tasks.into_iter().map(|task| task.posterior).collect();
    accuracy_of_model(&tasks, &posteriors)
}

#[test]
fn more_judged_tasks_make_a_better_model() {
    let raters = [0.75, 0.75, 0.75];
    let accuracies: Vec<f64> = [20, 80, 640].iter().map(|n| learnt(*n, &raters, true)).collect();
    assert!(accuracies[0] < accuracies[1] && accuracies[1] < accuracies[2], "{accuracies:?}");
    assert!(accuracies[2] > 0.9, "{accuracies:?}");
}

#[test]
fn raters_who_answer_against_the_truth_are_held_off() {
    let (honest, poisoned) = ([0.8, 0.8, 0.8], [0.8, 0.8, 0.8, 0.05, 0.05]);
    let (without, held_off, believed) = (learnt(200, &honest, true), learnt(200, &poisoned, true), learnt(200, &poisoned, false));
    assert!(held_off > without - 0.02, "with them {held_off}, without {without}");
    assert!(held_off > believed + 0.05, "weighted {held_off}, one vote each {believed}");
}
