//! What every estimator here reads: who gave which label to which task, as dense indices. Callers map
//! their own identifiers to `0..n`; that keeps a million judgments in a few flat arrays.

use serde::{Deserialize, Serialize};

/// One rater's label for one task, as dense indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgment {
    /// Task index, `0..n_tasks`.
    pub task: u32,
    /// Rater index, `0..n_raters`.
    pub rater: u32,
    /// Label index, `0..n_labels`.
    pub label: u32,
}

/// How a rater did on golden items whose answer was known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GoldRecord {
    /// Golden items answered correctly.
    pub correct: u32,
    /// Golden items answered.
    pub total: u32,
}

impl GoldRecord {
    /// Probability that the rater is right, smoothed to `(correct + 2) / (total + 3)`: the mean of a
    /// Beta(2, 1) prior after the record. A rater without a record gets 2/3. A `correct` above `total`
    /// counts as `total`.
    pub fn smoothed_accuracy(self) -> f64 {
        let total = f64::from(self.total);
        (f64::from(self.correct).min(total) + 2.0) / (total + 3.0)
    }
}

/// Why a set of judgments cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJudgments {
    /// An index lies outside its range.
    #[error("judgment {position} names {what} {index}, but there are only {count}; indices start at 0")]
    OutOfRange {
        /// Position in the list of judgments.
        position: usize,
        /// `task`, `rater` or `label`.
        what: &'static str,
        /// The index that was given.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// There is no label to choose from.
    #[error("there are no labels; give at least one")]
    NoLabels,
    /// A list with one entry per task or rater has another length.
    #[error("{what} has {have} entries; give {need}, or none at all")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        have: usize,
        /// The length it must have.
        need: usize,
    },
    /// A gold label lies outside the labels.
    #[error("task {task} has gold label {label}, but there are only {n_labels} labels")]
    Gold {
        /// Task index.
        task: usize,
        /// The label that was given.
        label: u32,
        /// How many labels there are.
        n_labels: usize,
    },
    /// A rater's record has more correct answers than answers.
    #[error("rater {rater} has {correct} correct golden items out of {total}")]
    Record {
        /// Rater index.
        rater: usize,
        /// Correct answers.
        correct: u32,
        /// All answers.
        total: u32,
    },
    /// The tables would not fit in a sensible amount of memory.
    #[error("{cells} table cells are needed, the limit is {limit}; use fewer labels, or a method without matrices")]
    TooLarge {
        /// Cells needed.
        cells: usize,
        /// Cells allowed.
        limit: usize,
    },
}

/// Checks that every index of `judgments` is in range.
///
/// # Errors
/// Names the first judgment that is out of range and what was wrong with it.
pub fn check_indices(judgments: &[Judgment], n_tasks: usize, n_raters: usize, n_labels: usize) -> Result<(), InvalidJudgments> {
    let largest = judgments.iter().fold([0; 3], |[task, rater, label]: [u32; 3], judgment| {
        [task.max(judgment.task), rater.max(judgment.rater), label.max(judgment.label)]
    });
    if largest.iter().zip([n_tasks, n_raters, n_labels]).all(|(index, count)| (*index as usize) < count) {
        return Ok(());
    }
    for (position, judgment) in judgments.iter().enumerate() {
        for (what, index, count) in
            [("task", judgment.task, n_tasks), ("rater", judgment.rater, n_raters), ("label", judgment.label, n_labels)]
        {
            if index as usize >= count {
                return Err(InvalidJudgments::OutOfRange { position, what, index, count });
            }
        }
    }
    Ok(())
}

/// Most cells of any one table (tasks x labels, raters x labels x labels): 1.6 GB of numbers.
const MAX_CELLS: usize = 200_000_000;

/// Refuses tables that no machine should be asked for.
pub(crate) fn check_cells(cells: usize) -> Result<(), InvalidJudgments> {
    if cells > MAX_CELLS {
        return Err(InvalidJudgments::TooLarge { cells, limit: MAX_CELLS });
    }
    Ok(())
}
