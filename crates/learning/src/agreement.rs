//! How far raters agree: percent agreement, Fleiss' kappa, Krippendorff's alpha, Gwet's AC1, and in
//! [`cohen`] Cohen's kappa for two raters. Shown together, because kappa and alpha collapse when one label
//! dominates. A coefficient that is not defined says why; it is never 0 or NaN.

pub mod cohen;
pub mod krippendorff;
pub mod pairwise;
pub mod suite;

use serde::{Deserialize, Serialize};

use crate::judgment::{InvalidJudgments, Judgment, check_cells, check_indices};

/// An agreement coefficient, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// The value; `None` when undefined.
    pub value: Option<f64>,
    /// Tasks that entered the figure.
    pub n_tasks: usize,
    /// Judgments that entered the figure.
    pub n_judgments: u64,
    /// Why the value is undefined, in one sentence for the reader.
    pub undefined_because: Option<String>,
}

impl Coefficient {
    fn defined(value: f64, n_tasks: usize, n_judgments: u64) -> Self {
        Self { value: Some(value), n_tasks, n_judgments, undefined_because: None }
    }

    fn undefined(reason: impl Into<String>, n_tasks: usize, n_judgments: u64) -> Self {
        Self { value: None, n_tasks, n_judgments, undefined_because: Some(reason.into()) }
    }
}

/// How often each label was given to each task. A missing judgment is simply not counted, so all
/// coefficients here accept gaps unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCounts {
    n_labels: usize,
    counts: Vec<u32>,
}

impl LabelCounts {
    /// Counts judgments.
    ///
    /// # Errors
    /// When an index is out of range, there is no label, or the tables would be too large.
    pub fn from_judgments(judgments: &[Judgment], n_tasks: usize, n_labels: usize) -> Result<Self, InvalidJudgments> {
        if n_labels == 0 {
            return Err(InvalidJudgments::NoLabels);
        }
        check_cells(n_tasks.max(n_labels).saturating_mul(n_labels))?;
        check_indices(judgments, n_tasks, usize::MAX, n_labels)?;
        let mut counts = vec![0u32; n_tasks.saturating_mul(n_labels)];
        for judgment in judgments {
            counts[judgment.task as usize * n_labels + judgment.label as usize] += 1;
        }
        Ok(Self { n_labels, counts })
    }

    /// Takes one row of label counts per task.
    ///
    /// # Errors
    /// When there is no label, far too many, or a row has not one count per label.
    pub fn from_rows(rows: &[Vec<u32>], n_labels: usize) -> Result<Self, InvalidJudgments> {
        if n_labels == 0 {
            return Err(InvalidJudgments::NoLabels);
        }
        check_cells(n_labels.saturating_mul(n_labels))?;
        if let Some(row) = rows.iter().find(|row| row.len() != n_labels) {
            return Err(InvalidJudgments::Length { what: "a row of counts", have: row.len(), need: n_labels });
        }
        Ok(Self { n_labels, counts: rows.concat() })
    }

    /// Number of labels.
    pub fn n_labels(&self) -> usize {
        self.n_labels
    }

    /// Rows with at least `least` judgments.
    fn rows(&self, least: u64) -> impl Iterator<Item = (&[u32], u64)> {
        let with_total = |row| (row, total(row));
        self.counts.chunks_exact(self.n_labels).map(with_total).filter(move |(_, m)| *m >= least)
    }

    /// Number of tasks and of judgments among tasks with at least `least` judgments.
    fn size(&self, least: u64) -> (usize, u64) {
        self.rows(least).fold((0, 0), |(tasks, judgments), (_, m)| (tasks + 1, judgments + m))
    }
}

const NO_OVERLAP: &str = "no task has two judgments, so there is nothing to compare";

fn total(row: &[u32]) -> u64 {
    row.iter().map(|count| u64::from(*count)).sum()
}

/// Share of agreeing pairs of judgments on one task; `m` is at least 2.
fn pair_agreement(row: &[u32], m: u64) -> f64 {
    let agreeing: f64 = row.iter().map(|&count| f64::from(count) * (f64::from(count) - 1.0)).sum();
    agreeing / (m as f64 * (m as f64 - 1.0))
}

fn mean_pair_agreement(counts: &LabelCounts, n_tasks: usize) -> f64 {
    counts.rows(2).map(|(row, m)| pair_agreement(row, m)).sum::<f64>() / n_tasks as f64
}

/// Percent agreement as a share 0 to 1: the mean over tasks of the share of agreeing pairs of judgments.
pub fn percent(counts: &LabelCounts) -> Coefficient {
    let (n_tasks, n_judgments) = counts.size(2);
    if n_tasks == 0 {
        return Coefficient::undefined(NO_OVERLAP, 0, 0);
    }
    Coefficient::defined(mean_pair_agreement(counts, n_tasks), n_tasks, n_judgments)
}

/// Fleiss' kappa (Fleiss 1971). Needs the same number of judgments, at least two, on every judged task.
pub fn fleiss_kappa(counts: &LabelCounts) -> Coefficient {
    let (n_tasks, n_judgments) = counts.size(1);
    let mut sizes = counts.rows(1).map(|(_, m)| m);
    let Some(first) = sizes.next() else {
        return Coefficient::undefined("there are no judgments", 0, 0);
    };
    if let Some(other) = sizes.find(|m| *m != first) {
        let reason = format!("tasks have different numbers of judgments ({first} and {other}); use Krippendorff's alpha");
        return Coefficient::undefined(reason, n_tasks, n_judgments);
    }
    if first < 2 {
        return Coefficient::undefined(NO_OVERLAP, n_tasks, n_judgments);
    }
    let mut shares = vec![0.0; counts.n_labels];
    for (row, _) in counts.rows(1) {
        shares.iter_mut().zip(row).for_each(|(sum, &count)| *sum += f64::from(count));
    }
    let expected: f64 = shares.iter().map(|sum| (sum / n_judgments as f64).powi(2)).sum();
    if shares.iter().filter(|sum| **sum > 0.0).count() < 2 {
        return Coefficient::undefined(ONE_LABEL, n_tasks, n_judgments);
    }
    let observed = mean_pair_agreement(counts, n_tasks);
    Coefficient::defined((observed - expected) / (1.0 - expected), n_tasks, n_judgments)
}

const ONE_LABEL: &str = "all judgments give the same label, so agreement by chance is already complete";

/// Gwet's AC1 (Gwet 2008): like kappa, but chance agreement is estimated so that it does not collapse when
/// one label dominates. Observed agreement over tasks with two judgments, label shares over all judged.
pub fn gwet_ac1(counts: &LabelCounts) -> Coefficient {
    let (n_tasks, n_judgments) = counts.size(2);
    if n_tasks == 0 {
        return Coefficient::undefined(NO_OVERLAP, 0, 0);
    }
    if counts.n_labels < 2 {
        return Coefficient::undefined("there is only one label to give", n_tasks, n_judgments);
    }
    let mut shares = vec![0.0; counts.n_labels];
    let mut n_judged = 0.0;
    for (row, m) in counts.rows(1) {
        n_judged += 1.0;
        shares.iter_mut().zip(row).for_each(|(sum, &count)| *sum += f64::from(count) / m as f64);
    }
    let spread: f64 = shares.iter().map(|sum| sum / n_judged).map(|share| share * (1.0 - share)).sum();
    let expected = spread / (counts.n_labels as f64 - 1.0);
    let observed = mean_pair_agreement(counts, n_tasks);
    Coefficient::defined((observed - expected) / (1.0 - expected), n_tasks, n_judgments)
}
