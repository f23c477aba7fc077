//! Judgments grouped by task in flat arrays, and the pieces that all estimators share: soft votes, the
//! normalisation in log space and the assembly of the result.

use super::{Consensus, Evidence, Method, RaterReliability, TaskConsensus, clear_winner};

/// Judgments grouped by task: those of task `t` are at `offsets[t]..offsets[t + 1]`. A judgment is kept as
/// `rater * n_labels + label`, the row of the tables that it needs: half the memory of a pair.
pub(super) struct Indexed {
    n_labels: u32,
    offsets: Vec<usize>,
    entries: Vec<u32>,
}

impl Indexed {
    /// Groups in one counting pass. The evidence must have been checked.
    pub(super) fn new(evidence: &Evidence<'_>) -> Self {
        let mut offsets = vec![0usize; evidence.n_tasks + 1];
        for judgment in evidence.judgments {
            offsets[judgment.task as usize + 1] += 1;
        }
        for task in 0..evidence.n_tasks {
            offsets[task + 1] += offsets[task];
        }
        let mut next = offsets.clone();
        let mut entries = vec![0; evidence.judgments.len()];
        // The limit on cells keeps raters x labels far below 2^32.
        let n_labels = evidence.n_labels as u32;
        for judgment in evidence.judgments {
            let slot = &mut next[judgment.task as usize];
            entries[*slot] = judgment.rater * n_labels + judgment.label;
            *slot += 1;
        }
        Self { n_labels, offsets, entries }
    }

    /// `rater * n_labels + label` of each judgment of `task`.
    pub(super) fn rows(&self, task: usize) -> &[u32] {
        &self.entries[self.offsets[task]..self.offsets[task + 1]]
    }

    /// `(rater, label)` of each judgment of `task`.
    pub(super) fn votes(&self, task: usize) -> impl Iterator<Item = (u32, u32)> {
        self.rows(task).iter().map(|row| (row / self.n_labels, row % self.n_labels))
    }

    /// Whether the task counts in the class prior: it has judgments or a known label.
    pub(super) fn is_known(&self, evidence: &Evidence<'_>, task: usize) -> bool {
        !self.rows(task).is_empty() || evidence.gold_label(task).is_some()
    }

    /// Vote shares per task; one-hot where gold is known, uniform without judgments.
    pub(super) fn soft_votes(&self, evidence: &Evidence<'_>) -> Vec<f64> {
        let k = evidence.n_labels;
        let mut shares = vec![0.0; evidence.n_tasks * k];
        for (task, row) in shares.chunks_exact_mut(k).enumerate() {
            let votes = self.rows(task);
            if let Some(gold) = evidence.gold_label(task) {
                row[gold as usize] = 1.0;
            } else if votes.is_empty() {
                row.fill(1.0 / k as f64);
            } else {
                let share = 1.0 / votes.len() as f64;
                self.votes(task).for_each(|(_, label)| row[label as usize] += share);
            }
        }
        shares
    }

    /// Mean posterior over the known tasks plus `smoothing` pseudo-tasks per label, never quite zero.
    pub(super) fn class_prior(&self, evidence: &Evidence<'_>, posterior: &[f64], smoothing: f64) -> Vec<f64> {
        let k = evidence.n_labels;
        let mut prior = vec![smoothing; k];
        for (task, row) in posterior.chunks_exact(k).enumerate() {
            if self.is_known(evidence, task) {
                prior.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
            }
        }
        let total: f64 = prior.iter().sum();
        if total <= 0.0 {
            return vec![1.0 / k as f64; k];
        }
        prior.iter_mut().for_each(|p| *p = (*p / total).max(FLOOR));
        prior
    }

    /// Puts a finished posterior table into the public shape.
    pub(super) fn finish(&self, evidence: &Evidence<'_>, fitted: Fitted) -> Consensus {
        let k = evidence.n_labels;
        let tasks = fitted.posterior.chunks_exact(k).enumerate().map(|(task, row)| {
            let judgments = self.rows(task).len() as u32;
            let is_gold = evidence.gold_label(task).is_some();
            let label = if judgments > 0 || is_gold { clear_winner(row) } else { None };
            TaskConsensus { label, posterior: row.to_vec(), judgments, is_gold }
        });
        let mut judgments = vec![0u32; evidence.n_raters];
        evidence.judgments.iter().for_each(|judgment| judgments[judgment.rater as usize] += 1);
        let gold = evidence.complete_records();
        let mut confusions = fitted.confusions.unwrap_or_default().into_iter();
        let raters = fitted.reliability.iter().zip(judgments).zip(gold).map(|((&accuracy, judgments), gold)| {
            let seen = judgments > 0 || gold.total > 0;
            let confusion = confusions.next();
            RaterReliability { judgments, gold, reliability: seen.then_some(accuracy.clamp(0.0, 1.0)), confusion }
        });
        Consensus {
            method: fitted.method,
            reason: "asked for".to_owned(),
            tasks: tasks.collect(),
            raters: raters.collect(),
            class_prior: fitted.class_prior,
            iterations: fitted.iterations,
            converged: fitted.converged,
            log_likelihood: fitted.log_likelihood,
        }
    }
}

/// Smallest probability that a parameter may take, so that logarithms stay finite.
pub(super) const FLOOR: f64 = 1e-10;

impl Fitted {
    /// Vote shares as they are: no model, no rater figures.
    pub(super) fn of_votes(method: Method, posterior: Vec<f64>, evidence: &Evidence<'_>) -> Self {
        let (reliability, class_prior) = (vec![0.0; evidence.n_raters], vec![1.0 / evidence.n_labels as f64; evidence.n_labels]);
        Self { method, posterior, reliability, confusions: None, class_prior, iterations: 0, converged: true, log_likelihood: None }
    }
}

/// What an estimator hands to [`Indexed::finish`].
pub(super) struct Fitted {
    pub(super) method: Method,
    pub(super) posterior: Vec<f64>,
    pub(super) reliability: Vec<f64>,
    pub(super) confusions: Option<Vec<Vec<Vec<f64>>>>,
    pub(super) class_prior: Vec<f64>,
    pub(super) iterations: u32,
    pub(super) converged: bool,
    pub(super) log_likelihood: Option<f64>,
}

/// Turns joint log probabilities into a posterior in place; returns the log of their sum. With `gold`
/// the posterior is one-hot and the log probability of that label is returned.
pub(super) fn normalise_log(row: &mut [f64], gold: Option<u32>) -> f64 {
    if let Some(gold) = gold {
        let log_probability = row[gold as usize];
        row.fill(0.0);
        row[gold as usize] = 1.0;
        return log_probability;
    }
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
    top + sum.ln()
}

/// Whether the log-likelihood moved by less than `tolerance`, relatively.
pub(super) fn has_settled(before: f64, after: f64, tolerance: f64) -> bool {
    (after - before).abs() < tolerance * after.abs().max(1.0)
}
