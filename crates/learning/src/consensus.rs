//! From several people's labels to one: which label a task most likely has, how sure that is, and how
//! reliable each rater was. The method is named in every result, because figures from different methods
//! must not be compared silently.

mod auto;
mod calibration;
pub mod dawid_skene;
mod engine;
pub mod hierarchical;
mod indexed;
pub mod one_coin;
pub mod online;
mod predictive;
pub mod vote;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::judgment::{GoldRecord, InvalidJudgments, Judgment, check_cells, check_indices};

/// Two leading probabilities closer than this are a tie: no label is given.
pub const TIE_MARGIN: f64 = 1e-9;

/// How judgments become a consensus. The names are those of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The label most raters gave.
    Majority,
    /// Votes weighted by the log-odds of each rater's accuracy on golden items.
    GoldVote,
    /// Expectation maximisation with one accuracy per rater.
    OneCoin,
    /// Expectation maximisation with one confusion matrix per rater (Dawid and Skene 1979).
    DawidSkene,
    /// Dawid-Skene with priors around each rater's accuracy and habit; calibrated probabilities.
    Hierarchical,
    /// Raters copy the truth or answer by habit (Hovy et al. 2013); calibrated probabilities.
    Mace,
    /// The average of hierarchical, MACE and one-coin: in equal parts when asked for, in parts that the
    /// data speak for when [`Method::Auto`] chose it; calibrated probabilities.
    ModelAverage,
    /// One of the others, chosen by what the data can carry and what predicts unseen judgments.
    Auto,
}

impl Method {
    /// Every method with its name.
    pub const NAMES: [(Method, &'static str); 8] = [
        (Method::Majority, "majority"),
        (Method::GoldVote, "gold-vote"),
        (Method::OneCoin, "one-coin"),
        (Method::DawidSkene, "dawid-skene"),
        (Method::Hierarchical, "hierarchical"),
        (Method::Mace, "mace"),
        (Method::ModelAverage, "model-average"),
        (Method::Auto, "auto"),
    ];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(method, _)| method == self);
        f.write_str(name.map_or("unknown", |(_, name)| name))
    }
}

/// A method name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no consensus method {0:?}; use majority, gold-vote, one-coin, dawid-skene, hierarchical, mace, model-average or auto")]
pub struct UnknownMethod(pub String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(method, _)| *method).ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

/// What is known: the judgments, and whatever truth there is.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Number of tasks.
    pub n_tasks: usize,
    /// Number of raters.
    pub n_raters: usize,
    /// Number of labels.
    pub n_labels: usize,
    /// The judgments, in any order. A rater may judge a task more than once; each counts.
    pub judgments: &'a [Judgment],
    /// The known label of each task, or empty when none is known. Known labels stay fixed.
    pub gold: &'a [Option<u32>],
    /// Each rater's record on golden items *outside* `judgments`, or empty when there is none.
    pub records: &'a [GoldRecord],
}

impl Evidence<'_> {
    fn gold_label(&self, task: usize) -> Option<u32> {
        self.gold.get(task).copied().flatten()
    }

    fn check(&self) -> Result<(), InvalidJudgments> {
        if self.n_labels == 0 {
            return Err(InvalidJudgments::NoLabels);
        }
        for (what, have, need) in [("gold", self.gold.len(), self.n_tasks), ("records", self.records.len(), self.n_raters)] {
            if have != 0 && have != need {
                return Err(InvalidJudgments::Length { what, have, need });
            }
        }
        for (task, label) in self.gold.iter().enumerate() {
            if let Some(label) = *label
                && label as usize >= self.n_labels
            {
                return Err(InvalidJudgments::Gold { task, label, n_labels: self.n_labels });
            }
        }
        for (rater, record) in self.records.iter().enumerate() {
            if record.correct > record.total {
                let GoldRecord { correct, total } = *record;
                return Err(InvalidJudgments::Record { rater, correct, total });
            }
        }
        check_cells(self.n_tasks.max(self.n_raters).saturating_mul(self.n_labels))?;
        check_indices(self.judgments, self.n_tasks, self.n_raters, self.n_labels)
    }

    /// Outside records plus what the judgments of gold tasks show.
    fn complete_records(&self) -> Vec<GoldRecord> {
        let mut records = self.records.to_vec();
        records.resize(self.n_raters, GoldRecord::default());
        if self.gold.is_empty() {
            return records;
        }
        for judgment in self.judgments {
            if let Some(gold) = self.gold_label(judgment.task as usize)
                && let Some(record) = records.get_mut(judgment.rater as usize)
            {
                record.total = record.total.saturating_add(1);
                record.correct = record.correct.saturating_add(u32::from(gold == judgment.label));
            }
        }
        records
    }
}

/// The consensus on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskConsensus {
    /// The most probable label; `None` on a perfect tie or without any judgment.
    pub label: Option<u32>,
    /// Probability of each label, summing to 1. For [`Method::Majority`]: the vote shares.
    pub posterior: Vec<f64>,
    /// How many judgments the task has.
    pub judgments: u32,
    /// Whether the label was given as gold.
    pub is_gold: bool,
}

/// What the method found out about one rater.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaterReliability {
    /// How many judgments the rater gave.
    pub judgments: u32,
    /// Record on golden items: outside records plus judgments of gold tasks.
    pub gold: GoldRecord,
    /// Probability that a judgment of this rater is right under the method's model; for
    /// [`Method::Majority`] the mean vote share of the labels given. `None` without judgments.
    pub reliability: Option<f64>,
    /// Only of methods with matrices: rows are true labels, columns given labels, rows sum to 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confusion: Option<Vec<Vec<f64>>>,
}

/// The consensus on all tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consensus {
    /// The method that was used; never [`Method::Auto`].
    pub method: Method,
    /// Why this method: asked for, or chosen by the ladder.
    pub reason: String,
    /// One entry per task.
    pub tasks: Vec<TaskConsensus>,
    /// One entry per rater.
    pub raters: Vec<RaterReliability>,
    /// Share of each label over the judged tasks, as the method estimates it.
    pub class_prior: Vec<f64>,
    /// Rounds of expectation maximisation; 0 for the voting methods.
    pub iterations: u32,
    /// Whether the rounds settled before the limit; true for the voting methods.
    pub converged: bool,
    /// Natural logarithm of the probability of the judgments under the parameters that gave the
    /// posteriors (smoothing terms not included); `None` for [`Method::Majority`], which has no model.
    pub log_likelihood: Option<f64>,
}

/// How expectation maximisation runs: when it stops and how strongly it is smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmSettings {
    /// Most rounds.
    pub max_iterations: u32,
    /// Stop when the log-likelihood changes by less than this, relatively; 0 runs all rounds.
    pub tolerance: f64,
    /// Pseudo-judgments in which a rater was right: in all (one coin), or per label (Dawid-Skene).
    pub right: f64,
    /// Pseudo-judgments in which a rater was wrong: in all (one coin), or per wrong cell (Dawid-Skene).
    pub wrong: f64,
    /// Pseudo-tasks added to each label in the class prior.
    pub class: f64,
}

impl EmSettings {
    /// Maximum likelihood without smoothing, as in the original papers: exactly `iterations` rounds.
    pub fn unsmoothed(iterations: u32) -> Self {
        Self { max_iterations: iterations, tolerance: 0.0, right: 0.0, wrong: 0.0, class: 0.0 }
    }

    /// Maximum likelihood without smoothing, to convergence: a relative change of the log-likelihood below
    /// 1e-11, or 1e-8 above 200,000 judgments, where that is a hundredth of a unit and moves no label.
    pub fn published(n_judgments: usize) -> Self {
        let tolerance = if n_judgments > 200_000 { 1e-8 } else { 1e-11 };
        Self { tolerance, ..Self::unsmoothed(3000) }
    }
}

/// Estimates the consensus by `method` with its default settings: one-coin and Dawid-Skene as published
/// ([`EmSettings::published`]), the others as their modules say.
///
/// # Errors
/// When an index, a gold label or a record is impossible, or the tables would be too large.
pub fn estimate(evidence: &Evidence<'_>, method: Method) -> Result<Consensus, InvalidJudgments> {
    match method {
        Method::Majority => vote::majority(evidence),
        Method::GoldVote => vote::gold_weighted(evidence),
        Method::OneCoin => one_coin::fit(evidence, &EmSettings::published(evidence.judgments.len())),
        Method::DawidSkene => dawid_skene::fit(evidence, &EmSettings::published(evidence.judgments.len())),
        Method::Hierarchical => hierarchical::fit(evidence),
        Method::Mace => hierarchical::fit_mace(evidence),
        Method::ModelAverage => auto::in_equal_parts(evidence),
        Method::Auto => auto::fit(evidence),
    }
}

/// The single most probable label, or `None` when the two best are within [`TIE_MARGIN`].
pub fn clear_winner(posterior: &[f64]) -> Option<u32> {
    let mut best: Option<(u32, f64)> = None;
    let mut second = f64::NEG_INFINITY;
    for (label, &probability) in (0u32..).zip(posterior) {
        match best {
            Some((_, top)) if probability <= top => second = second.max(probability),
            _ => {
                second = best.map_or(second, |(_, top)| top);
                best = Some((label, probability));
            }
        }
    }
    best.filter(|(_, top)| top - second > TIE_MARGIN).map(|(label, _)| label)
}
