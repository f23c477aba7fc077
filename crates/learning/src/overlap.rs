//! How many people should judge one task: as few as make the answer sure, one more while it is not, and an expert when more of the same
//! would not help. Whom to ask next follows from how much an answer is expected to tell.

use serde::{Deserialize, Serialize};

use crate::consensus::{TIE_MARGIN, vote::add_vote};

/// When to stop asking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    target: f64,
    least: u32,
    cap: u32,
}

/// Settings that make no rule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidOverlap {
    /// The posterior that suffices is out of range.
    #[error("target posterior {0} must be above 0.5 and below 1")]
    Target(f64),
    /// The numbers of judgments are out of order.
    #[error("least judgments {0} must be at least 1 and at most the cap {1}")]
    Judgments(u32, u32),
}

/// What a task needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Next {
    /// Nothing: this label is sure enough.
    Resolved {
        /// Index of the label.
        label: usize,
        /// Its probability.
        posterior: f64,
    },
    /// One more judgment.
    AskAnother {
        /// Most further judgments until a decision.
        at_most: u32,
    },
    /// An expert: the cap is reached and no label is sure enough.
    Escalate,
}

impl Default for Overlap {
    /// Posterior 0.90 after at least 2 judgments, at most 5. In simulation (a quarter of the tasks hard, eight raters) that takes about
    /// 2.7 judgments a task where a fixed 3 are less accurate.
    fn default() -> Self {
        Self { target: 0.90, least: 2, cap: 5 }
    }
}

impl Overlap {
    /// Stops at a posterior of `target` once there are `least` judgments, and asks for at most `cap`.
    ///
    /// # Errors
    /// When the target or the numbers make no rule.
    pub fn new(target: f64, least: u32, cap: u32) -> Result<Self, InvalidOverlap> {
        if !(target > 0.5 && target < 1.0) {
            return Err(InvalidOverlap::Target(target));
        }
        if least == 0 || least > cap {
            return Err(InvalidOverlap::Judgments(least, cap));
        }
        Ok(Self { target, least, cap })
    }

    /// The posterior that suffices.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// Judgments that every task gets.
    pub fn least(&self) -> u32 {
        self.least
    }

    /// Most judgments of a task.
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// What a task needs after `judgments` judgments (abstentions included: they used up a slot) with this posterior. Call it after
    /// each judgment. Two leading labels closer than [`TIE_MARGIN`] resolve nothing.
    pub fn decide(&self, posterior: &[f64], judgments: u32) -> Next {
        if judgments < self.least {
            return Next::AskAnother { at_most: self.cap - judgments };
        }
        let (mut best, mut first, mut second) = (0, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (label, &probability) in posterior.iter().enumerate() {
            if probability > first {
                (best, second, first) = (label, first, probability);
            } else {
                second = second.max(probability);
            }
        }
        if first >= self.target && first - second > TIE_MARGIN {
            return Next::Resolved { label: best, posterior: first };
        }
        match self.cap.saturating_sub(judgments) {
            0 => Next::Escalate,
            at_most => Next::AskAnother { at_most },
        }
    }
}

/// Shannon entropy in bits; values that are not positive count as zero.
pub fn entropy_bits(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum()
}

/// How much one more judgment is expected to tell about a task, in bits: the mutual information between the true label z and the answer
/// y of a rater who is right with probability `accuracy` and errs evenly on the other K - 1 labels, with K the length of `posterior`,
/// I(z; y) = H(y) - H(y | z), with H(y | z) = H(q, (1 - q) / (K - 1), ...). 0 for fewer than two labels, for a sure posterior and for a
/// rater at chance (`accuracy` 1 / K). Symmetric in z and y, so it equals the expected fall of the entropy of the posterior
/// (Lindley 1956; MacKay 1992).
pub fn information_gain(posterior: &[f64], accuracy: f64) -> f64 {
    let k = posterior.len();
    if k < 2 || !accuracy.is_finite() {
        return 0.0;
    }
    let right = accuracy.clamp(0.0, 1.0);
    let wrong = (1.0 - right) / (k as f64 - 1.0);
    let answers: Vec<f64> = posterior.iter().map(|p| p * right + (1.0 - p) * wrong).collect();
    let noise = entropy_bits(&[right]) + (k as f64 - 1.0) * entropy_bits(&[wrong]);
    (entropy_bits(&answers) - noise).max(0.0)
}

/// The posterior after one more judgment `label` of a rater with this accuracy; unchanged when the label is out of range.
pub fn updated(posterior: &[f64], accuracy: f64, label: u32) -> Vec<f64> {
    let in_range = usize::try_from(label).is_ok_and(|label| label < posterior.len());
    if !in_range {
        return posterior.to_vec();
    }
    let mut row: Vec<f64> = posterior.iter().map(|p| p.max(f64::MIN_POSITIVE).ln()).collect();
    add_vote(&mut row, accuracy, label);
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - highest).exp());
    let sum: f64 = row.iter().sum();
    row.iter().map(|value| value / sum).collect()
}

/// Which of these raters (by accuracy) would tell most about a task; the first on a tie, `None` without raters.
pub fn most_informative(posterior: &[f64], accuracies: &[f64]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (rater, &accuracy) in accuracies.iter().enumerate() {
        let gain = information_gain(posterior, accuracy);
        if best.is_none_or(|(_, most)| gain > most) {
            best = Some((rater, gain));
        }
    }
    best.map(|(rater, _)| rater)
}
