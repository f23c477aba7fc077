//! The consensus on one task, live: the same models as for whole sets, but from what is already known
//! about each rater, so that a service decides after every judgment in time that depends on the judgments
//! of this task only. Which model is used depends on how much has been judged so far.

use serde::{Deserialize, Serialize};

use super::indexed::{FLOOR, normalise_log};
use super::vote::add_vote;
use super::{Method, clear_winner};
use crate::judgment::GoldRecord;

/// Fewer decided tasks than this: golden-weighted vote.
pub const MIN_TASKS: u64 = 50;
/// Fewer tasks with two judgments than this: golden-weighted vote.
pub const MIN_OVERLAPPING: u64 = 100;
/// The median rater needs this many judgments for a matrix, and `3 K^2`.
pub const MIN_JUDGMENTS_FOR_MATRIX: u64 = 30;
/// An agreement with an earlier decision counts for this much of a golden item: decisions may be wrong, and
/// the rater's own judgment took part in them.
pub const AGREEMENT_WEIGHT: f64 = 0.5;
/// Pseudo-judgments per true label around the rater's accuracy and habit.
const PRIOR_WEIGHT: f64 = 4.0;

/// What is known about the rater of a judgment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RaterEvidence<'a> {
    /// Golden items.
    pub gold: GoldRecord,
    /// Judgments of decided tasks: how many agreed with the decision, out of how many.
    pub agreement: GoldRecord,
    /// Judgments of decided tasks as a table `decision * n_labels + given`; a table of another length is
    /// not used.
    pub confusion: Option<&'a [u32]>,
}

/// One judgment of the task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote<'a> {
    /// Its rater.
    pub rater: RaterEvidence<'a>,
    /// Its label, `0..n_labels`; others are ignored.
    pub label: u32,
}

/// How much has been judged so far, in the scope that the decision belongs to (such as a task type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataSize {
    /// Judged tasks.
    pub tasks: u64,
    /// Tasks with two judgments or more.
    pub overlapping: u64,
    /// Judgments of the median rater.
    pub median_judgments: u64,
}

/// What to store with the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The most probable label; `None` on a perfect tie or without a judgment.
    pub label: Option<u32>,
    /// Probability of each label; they sum to 1.
    pub posterior: Vec<f64>,
    /// [`Method::GoldVote`], [`Method::OneCoin`] or [`Method::DawidSkene`].
    pub method: Method,
}

/// The method that the amount of data can carry: golden-weighted vote below [`MIN_TASKS`] tasks or
/// [`MIN_OVERLAPPING`] tasks with overlap; Dawid-Skene once the median rater has at least
/// `max(30, 3 K^2)` judgments; one-coin between.
pub fn method_for(size: DataSize, n_labels: usize) -> Method {
    let labels = n_labels as u64;
    if size.tasks < MIN_TASKS || size.overlapping < MIN_OVERLAPPING {
        return Method::GoldVote;
    }
    let needed = MIN_JUDGMENTS_FOR_MATRIX.max(labels.saturating_mul(labels).saturating_mul(3));
    if size.median_judgments >= needed { Method::DawidSkene } else { Method::OneCoin }
}

/// Decides one task. `decided` holds how many earlier tasks got each label (empty when unknown): it becomes
/// the class prior of the model-based methods, with one pseudo-task per label.
///
/// Golden-weighted vote: accuracy `(c + 2) / (n + 3)` from golden items. One-coin: the same with agreements
/// added at [`AGREEMENT_WEIGHT`]. Dawid-Skene: P(given | true) = (table + 4 P) / (row sum + 4), where P
/// copies the truth with the chance-corrected accuracy, else follows the rater's own label shares; a rater
/// without a table is taken as in one-coin.
pub fn decide(votes: &[Vote<'_>], n_labels: usize, decided: &[u64], size: DataSize) -> Decision {
    let method = method_for(size, n_labels);
    let mut row = vec![0.0; n_labels];
    if n_labels == 0 {
        return Decision { label: None, posterior: row, method };
    }
    if method != Method::GoldVote && decided.len() == n_labels {
        let total: f64 = decided.iter().map(|count| *count as f64 + 1.0).sum();
        row.iter_mut().zip(decided).for_each(|(value, count)| *value = ((*count as f64 + 1.0) / total).ln());
    }
    let votes: Vec<&Vote<'_>> = votes.iter().filter(|vote| (vote.label as usize) < n_labels).collect();
    for Vote { rater, label } in votes.iter().copied() {
        let table = rater.confusion.filter(|table| table.len() == n_labels * n_labels);
        match (method, table) {
            (Method::GoldVote, _) => add_vote(&mut row, rater.gold.smoothed_accuracy(), *label),
            (Method::DawidSkene, Some(table)) => add_from_table(&mut row, table, accuracy(rater), *label),
            _ => add_vote(&mut row, accuracy(rater), *label),
        }
    }
    normalise_log(&mut row, None);
    let label = if votes.is_empty() { None } else { clear_winner(&row) };
    Decision { label, posterior: row, method }
}

/// Probability that the rater is right: `(c + 2) / (n + 3)` over golden items and discounted agreements.
pub fn accuracy(rater: &RaterEvidence<'_>) -> f64 {
    let counted =
        |record: GoldRecord, weight: f64| (weight * f64::from(record.correct.min(record.total)), weight * f64::from(record.total));
    let (gold, agreed) = (counted(rater.gold, 1.0), counted(rater.agreement, AGREEMENT_WEIGHT));
    (gold.0 + agreed.0 + 2.0) / (gold.1 + agreed.1 + 3.0)
}

/// Adds one vote by the rater's smoothed confusion matrix.
fn add_from_table(row: &mut [f64], table: &[u32], accuracy: f64, label: u32) {
    let k = row.len();
    let label = label as usize;
    let chance = 1.0 / k as f64;
    let copying = if k > 1 { ((accuracy - chance) / (1.0 - chance)).clamp(0.0, 1.0) } else { 1.0 };
    let given: f64 = table.iter().skip(label).step_by(k).map(|count| f64::from(*count)).sum();
    let all: f64 = table.iter().map(|count| f64::from(*count)).sum();
    let habit = (given + 0.5) / (all + 0.5 * k as f64);
    for ((truth, value), counts) in row.iter_mut().enumerate().zip(table.chunks_exact(k)) {
        let copied = if truth == label { copying } else { 0.0 };
        let expected = copied + (1.0 - copying) * habit;
        let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        let cell = (f64::from(counts[label]) + PRIOR_WEIGHT * expected) / (total + PRIOR_WEIGHT);
        *value += cell.max(FLOOR).ln();
    }
}
