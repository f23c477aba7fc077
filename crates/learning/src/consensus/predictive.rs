//! Which model family do the judgments themselves speak for? Each candidate is fitted on some tasks and
//! asked for the probability of the judgments of the others; per-task differences give a gain and its
//! standard score. No truth is needed, and richer models get no credit for what they merely memorise.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::engine::{Parameters, shares, task_log_likelihoods};
use super::hierarchical::{self, Pooling};
use super::indexed::Indexed;
use super::{EmSettings, Evidence, one_coin};
use crate::judgment::Judgment;

/// Most judgments that enter the comparison. Up to this many every task is held out once; of larger sets so
/// many are drawn, and one part of them is held out.
const MOST: usize = 60_000;
const FOLDS: usize = 3;
/// Rounds and tolerance: enough for a comparison.
const LIMITS: (u32, f64) = (60, 1e-5);
const SEED: u64 = 5;

/// How much better one family predicts unseen judgments than another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gain {
    /// Difference of the log probabilities, summed over the held-out tasks.
    pub(super) total: f64,
    /// The same over its standard error.
    pub(super) z: f64,
}

/// The comparisons that the choice of a model rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Findings {
    /// Hierarchical Dawid-Skene over MACE: do raters need matrices of their own?
    pub(super) matrices_over_habits: Gain,
    /// Hierarchical Dawid-Skene over one-coin: do raters have habits at all?
    pub(super) matrices_over_one_coin: Gain,
    /// One-coin over raters who answer by habit whatever the task: does it explain anything?
    pub(super) one_coin_over_nothing: Gain,
    /// Two sub-types of task per label over one: does a label hide tasks of different kinds?
    pub(super) subtypes: Gain,
    /// Held-out judgments.
    pub(super) judgments: usize,
    /// Whether all tasks took part.
    pub(super) is_whole: bool,
}

/// Log probabilities of the held-out tasks, by family.
#[derive(Default)]
struct Scores {
    hierarchical: Vec<f64>,
    mace: Vec<f64>,
    one_coin: Vec<f64>,
    habit: Vec<f64>,
    subtypes: Vec<f64>,
}

/// Compares the families; gold is not looked at.
pub(super) fn compare(evidence: &Evidence<'_>) -> Findings {
    let indexed = Indexed::new(evidence);
    let mut tasks: Vec<u32> = (0u32..).take(evidence.n_tasks).filter(|task| !indexed.rows(*task as usize).is_empty()).collect();
    tasks.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let mut judgments = 0;
    let within = |task: &&u32| {
        judgments += indexed.rows(**task as usize).len();
        judgments <= MOST
    };
    let judged = tasks.len();
    let enough = tasks.iter().take_while(within).count();
    tasks.truncate(enough);
    let folds = if judgments <= MOST { FOLDS } else { 1 };
    let (mut scores, mut held_out) = (Scores::default(), 0);
    for fold in 0..folds {
        let part = |is_wanted: &dyn Fn(usize) -> bool| -> Vec<u32> {
            tasks.iter().enumerate().filter(|(place, _)| is_wanted(place % FOLDS)).map(|(_, task)| *task).collect()
        };
        let (train, test) = (part(&|place| place != fold), part(&|place| place == fold));
        let (train_judgments, test_judgments) = (take(&indexed, &train), take(&indexed, &test));
        held_out += test_judgments.len();
        let on = |tasks: &[u32], judgments| Evidence { n_tasks: tasks.len(), judgments, gold: &[], ..*evidence };
        scores.add(&on(&train, &train_judgments), &on(&test, &test_judgments));
    }
    Findings {
        matrices_over_habits: gain(&scores.hierarchical, &scores.mace),
        matrices_over_one_coin: gain(&scores.hierarchical, &scores.one_coin),
        one_coin_over_nothing: gain(&scores.one_coin, &scores.habit),
        subtypes: gain(&scores.subtypes, &scores.hierarchical),
        judgments: held_out,
        is_whole: tasks.len() == judged,
    }
}

/// The judgments of `tasks`, which are numbered anew.
fn take(indexed: &Indexed, tasks: &[u32]) -> Vec<Judgment> {
    let of_task =
        |(number, task): (u32, &u32)| indexed.votes(*task as usize).map(move |(rater, label)| Judgment { task: number, rater, label });
    (0u32..).zip(tasks).flat_map(of_task).collect()
}

impl Scores {
    fn add(&mut self, train: &Evidence<'_>, test: &Evidence<'_>) {
        let (train_indexed, test_indexed) = (Indexed::new(train), Indexed::new(test));
        let votes = train_indexed.soft_votes(train);
        let score = |parameters: &Parameters| task_log_likelihoods(test, &test_indexed, parameters);
        let fitted = hierarchical::fit_indexed(train, &train_indexed, Pooling::Partial, LIMITS);
        self.hierarchical.extend(score(&fitted.parameters));
        let fitted = hierarchical::fit_indexed(train, &train_indexed, Pooling::Complete, LIMITS);
        self.mace.extend(score(&fitted.parameters));
        let start = split_by_ease(&votes, train.n_labels);
        let fitted = hierarchical::fit_clusters(train, &train_indexed, Pooling::Partial, 2 * train.n_labels, start, LIMITS);
        self.subtypes.extend(score(&fitted.parameters));
        let settings = EmSettings { max_iterations: LIMITS.0, tolerance: LIMITS.1, ..one_coin::SMOOTHED };
        let fitted = one_coin::fit_indexed(train, &train_indexed, &settings);
        self.one_coin.extend(one_coin::task_log_likelihoods(test, &test_indexed, &fitted.class_prior, &fitted.reliability));
        let habits = habits(train);
        self.habit.extend((0..test.n_tasks).map(|task| test_indexed.rows(task).iter().map(|row| habits[*row as usize]).sum::<f64>()));
    }
}

/// Two sub-types per label to start from: tasks on which raters agree, and tasks on which they do not.
fn split_by_ease(votes: &[f64], n_labels: usize) -> Vec<f64> {
    let mut start = Vec::with_capacity(2 * votes.len());
    for row in votes.chunks_exact(n_labels) {
        let top = row.iter().copied().fold(0.0, f64::max);
        let sum = 1.0 + 1e-3 * n_labels as f64;
        start.extend(row.iter().map(|share| share * top / sum));
        start.extend(row.iter().map(|share| (share * (1.0 - top) + 1e-3) / sum));
    }
    start
}

/// Log share of each label among each rater's judgments, smoothed by two judgments.
fn habits(evidence: &Evidence<'_>) -> Vec<f64> {
    let k = evidence.n_labels;
    let mut counts = vec![0.0; evidence.n_raters * k];
    evidence.judgments.iter().for_each(|judgment| counts[judgment.rater as usize * k + judgment.label as usize] += 1.0);
    counts.chunks_exact(k).flat_map(|row| shares(row, 2.0 / k as f64)).map(f64::ln).collect()
}

fn gain(first: &[f64], second: &[f64]) -> Gain {
    let n = first.len() as f64;
    let differences = || first.iter().zip(second).map(|(x, y)| x - y);
    let total: f64 = differences().sum();
    let mean = total / n.max(1.0);
    let squares: f64 = differences().map(|difference| (difference - mean).powi(2)).sum();
    Gain { total, z: if squares > 0.0 { total / squares.sqrt() } else { 0.0 } }
}
