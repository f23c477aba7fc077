//! Cohen's kappa for more than two raters: the mean over all pairs who share tasks (Light 1971, "Measures
//! of response agreement for qualitative data"), each pair weighted by the tasks it shares, so that pairs
//! with hardly any do not drown the others.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::cohen::{self, Weighting, shared_pairs};
use super::suite::Estimate;
use super::{Coefficient, NO_OVERLAP};
use crate::judgment::Judgment;

/// Most pairs of judgments on the same task that are compared.
const MAX_PAIRS: usize = 2_000_000;
/// Most pairs of judgments over all resamples.
const MAX_RESAMPLED: usize = 50_000_000;
/// Fewer resamples than this give no interval.
const MIN_REPLICATES: usize = 100;

/// Mean kappa over pairs of raters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairwiseKappa {
    /// The mean with its interval; numbers are tasks and judgments that entered a pair.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Pairs of raters with a defined kappa.
    pub n_pairs: usize,
}

/// Two labels for the same task, by two raters.
struct Shared {
    task: u32,
    first: u32,
    second: u32,
}

/// Mean of Cohen's kappa over all pairs of raters, and its bootstrap interval over resampled tasks. When a
/// rater judged a task more than once the last label counts. Undefined without two raters who share a task,
/// when no pair has a defined kappa, and for more than two million pairs of judgments.
pub fn kappa(judgments: &[Judgment], n_labels: usize, replicates: usize, seed: u64) -> PairwiseKappa {
    let none = |coefficient| PairwiseKappa { estimate: Estimate::new(coefficient, Vec::new()), n_pairs: 0 };
    let mut sorted: Vec<(u32, u32, u32)> = judgments.iter().map(|judgment| (judgment.task, judgment.rater, judgment.label)).collect();
    sorted.sort_by_key(|(task, rater, _)| (*task, *rater));
    sorted.dedup_by(|next, kept| {
        let is_same = (next.0, next.1) == (kept.0, kept.1);
        if is_same {
            kept.2 = next.2;
        }
        is_same
    });
    let tasks = || sorted.chunk_by(|x, y| x.0 == y.0).filter(|task| task.len() >= 2);
    let n_pairs: usize = tasks().map(|task| task.len() * (task.len() - 1) / 2).sum();
    let (n_tasks, n_judgments) = (tasks().count(), tasks().map(|task| task.len() as u64).sum());
    if n_pairs == 0 {
        return none(Coefficient::undefined(NO_OVERLAP, 0, 0));
    }
    if n_pairs > MAX_PAIRS {
        let reason = format!("{n_pairs} pairs of judgments are more than the {MAX_PAIRS} that are compared; ask for two raters");
        return none(Coefficient::undefined(reason, n_tasks, n_judgments));
    }
    let mut pairs: BTreeMap<(u32, u32), Vec<Shared>> = BTreeMap::new();
    for (number, task) in (0u32..).zip(tasks()) {
        for (place, &(_, a, first)) in task.iter().enumerate() {
            for &(_, b, second) in &task[place + 1..] {
                pairs.entry((a, b)).or_default().push(Shared { task: number, first, second });
            }
        }
    }
    let mut scratch = Scratch::new(n_labels);
    let Some((value, defined)) = scratch.mean(&pairs, |_| 1.0) else {
        let reason = "no pair of raters has a defined kappa: each gave one and the same label to all shared tasks";
        return none(Coefficient::undefined(reason, n_tasks, n_judgments));
    };
    let replicates = replicates.min(MAX_RESAMPLED / n_pairs);
    let mut values = Vec::new();
    if replicates >= MIN_REPLICATES {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut times = vec![0.0; n_tasks];
        for _ in 0..replicates {
            times.fill(0.0);
            (0..n_tasks).for_each(|_| times[random.random_range(0..n_tasks)] += 1.0);
            values.extend(scratch.mean(&pairs, |task| times[task as usize]).map(|(value, _)| value));
        }
    }
    PairwiseKappa { estimate: Estimate::new(Coefficient::defined(value, n_tasks, n_judgments), values), n_pairs: defined }
}

/// Cohen's kappa of two raters with its bootstrap interval over their common tasks.
pub fn kappa_of_pair(judgments: &[Judgment], raters: (u32, u32), weighting: Weighting, replicates: usize, seed: u64) -> Estimate {
    let pairs = shared_pairs(judgments, raters.0, raters.1);
    let coefficient = cohen::kappa(&pairs, weighting);
    let mut values = Vec::new();
    if coefficient.value.is_some() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..replicates.min(MAX_RESAMPLED / pairs.len()) {
            let drawn: Vec<(u32, u32)> = pairs.iter().map(|_| pairs[random.random_range(0..pairs.len())]).collect();
            values.extend(cohen::kappa(&drawn, weighting).value);
        }
    }
    Estimate::new(coefficient, values)
}

/// Label shares of the two raters of a pair, used again for each pair.
struct Scratch {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Scratch {
    fn new(n_labels: usize) -> Self {
        Self { first: vec![0.0; n_labels], second: vec![0.0; n_labels] }
    }

    /// Mean of the defined kappas weighted by shared tasks, and how many there are.
    fn mean(&mut self, pairs: &BTreeMap<(u32, u32), Vec<Shared>>, times: impl Fn(u32) -> f64) -> Option<(f64, usize)> {
        let (mut sum, mut weights, mut defined) = (0.0, 0.0, 0);
        for shared in pairs.values() {
            self.first.fill(0.0);
            self.second.fill(0.0);
            let (mut n, mut agreeing) = (0.0, 0.0);
            for entry in shared {
                let times = times(entry.task);
                n += times;
                agreeing += if entry.first == entry.second { times } else { 0.0 };
                self.first[entry.first as usize] += times;
                self.second[entry.second as usize] += times;
            }
            if n <= 0.0 {
                continue;
            }
            let chance: f64 = self.first.iter().zip(&self.second).map(|(x, y)| x * y).sum::<f64>() / (n * n);
            if 1.0 - chance > 1e-12 {
                sum += n * (agreeing / n - chance) / (1.0 - chance);
                weights += n;
                defined += 1;
            }
        }
        (defined > 0).then(|| (sum / weights, defined))
    }
}
