//! Models between one number and a whole matrix per rater. Both begin with the copy-or-habit view of MACE
//! (Hovy et al. 2013, "Learning Whom to Trust with MACE"): a rater copies the truth with a probability,
//! else answers by habit. MACE stops there; hierarchical Dawid-Skene takes it as the prior mean of a full
//! confusion matrix, so that raters with few judgments fall back to it and raters with many outgrow it.

use super::calibration::calibrate;
use super::dawid_skene::{fitted_raters, into_result, pseudo_counts};
use super::engine::{MatrixFit, Rounds, maximise_expectation};
use super::indexed::{FLOOR, Indexed};
use super::{Consensus, Evidence, Method};
use crate::judgment::{InvalidJudgments, check_cells};

/// How many pseudo-judgments per true label the copy-or-habit matrix is worth.
pub const PRIOR_WEIGHT: f64 = 2.0;
/// Rounds at most.
const ROUNDS: u32 = 300;
/// Pseudo-judgments copied and not copied, for each rater.
const COPIED: f64 = 2.0;
/// Pseudo-judgments of each label in a rater's habit.
const HABIT: f64 = 0.5;
/// Inner updates of copying and habit a round.
const INNER: usize = 3;

/// Which of the two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The copy-or-habit matrix itself.
    Complete,
    /// It is the prior of a matrix of the rater's own.
    Partial,
}

/// Rounds at most, and the relative change of the log-likelihood that ends them: 1e-8, or 1e-7 above
/// 200,000 judgments, where that is less than a unit.
pub(super) fn limits(n_judgments: usize) -> (u32, f64) {
    (ROUNDS, if n_judgments > 200_000 { 1e-7 } else { 1e-8 })
}

/// Fits hierarchical Dawid-Skene: expectation maximisation with Dirichlet priors around each rater's
/// copy-or-habit matrix, probabilities calibrated (see [`super::calibration`]). Gold labels stay fixed.
///
/// # Errors
/// As for [`super::estimate`], also when raters x labels x labels is too large.
pub fn fit(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    fit_as(evidence, Pooling::Partial, Method::Hierarchical)
}

/// Fits MACE by expectation maximisation with weak priors, probabilities calibrated.
///
/// # Errors
/// As for [`fit`].
pub fn fit_mace(evidence: &Evidence<'_>) -> Result<Consensus, InvalidJudgments> {
    fit_as(evidence, Pooling::Complete, Method::Mace)
}

fn fit_as(evidence: &Evidence<'_>, pooling: Pooling, method: Method) -> Result<Consensus, InvalidJudgments> {
    evidence.check()?;
    check_cells(evidence.n_raters.saturating_mul(evidence.n_labels).saturating_mul(evidence.n_labels))?;
    let indexed = Indexed::new(evidence);
    let votes = indexed.soft_votes(evidence);
    let mut fitted = fit_indexed(evidence, &indexed, pooling, limits(evidence.judgments.len()));
    fitted.posterior = calibrate(&[(&fitted.posterior, 1.0)], Some(&votes), evidence.n_labels);
    let raters = fitted_raters(evidence, &fitted);
    Ok(indexed.finish(evidence, into_result(method, fitted, raters)))
}

/// The fit on checked and grouped judgments, without calibration.
pub(super) fn fit_indexed(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    pooling: Pooling,
    (max_iterations, tolerance): (u32, f64),
) -> MatrixFit {
    let k = evidence.n_labels;
    fit_clusters(evidence, indexed, pooling, k, indexed.soft_votes(evidence), (max_iterations, tolerance))
}

/// The fit with several sub-types of task per label: class `c` belongs to label `c % n_labels`. More
/// classes than labels cannot be combined with gold.
pub(super) fn fit_clusters(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    pooling: Pooling,
    clusters: usize,
    start: Vec<f64>,
    (max_iterations, tolerance): (u32, f64),
) -> MatrixFit {
    let pseudo = match clusters == evidence.n_labels {
        true => pseudo_counts(evidence, 0.0, 0.0),
        false => vec![0.0; evidence.n_raters * evidence.n_labels * clusters],
    };
    let rounds = Rounds { clusters, max_iterations, tolerance, class_smoothing: 1.0, pseudo: &pseudo };
    let mut habits = Habits::new(evidence.n_raters, evidence.n_labels, clusters, pooling);
    maximise_expectation(evidence, indexed, &rounds, start, |counts| habits.maximise(counts))
}

/// Each rater's probability of copying and habit; they live on from round to round.
struct Habits {
    labels: usize,
    clusters: usize,
    pooling: Pooling,
    copying: Vec<f64>,
    habit: Vec<f64>,
}

impl Habits {
    fn new(raters: usize, labels: usize, clusters: usize, pooling: Pooling) -> Self {
        Self { labels, clusters, pooling, copying: vec![0.7; raters], habit: vec![1.0 / labels as f64; raters * labels] }
    }

    /// Expected counts to P(given | class).
    fn maximise(&mut self, counts: &mut [f64]) {
        let (k, c) = (self.labels, self.clusters);
        let (mut given, mut diagonal, mut totals) = (vec![0.0; k], vec![0.0; k], vec![0.0; c]);
        let raters = self.copying.iter_mut().zip(self.habit.chunks_exact_mut(k)).zip(counts.chunks_exact_mut(k * c));
        for ((copying, habit), table) in raters {
            totals.fill(0.0);
            for (label, cells) in table.chunks_exact(c).enumerate() {
                given[label] = cells.iter().sum();
                diagonal[label] = cells.iter().skip(label).step_by(k).sum();
                totals.iter_mut().zip(cells).for_each(|(total, cell)| *total += cell);
            }
            update(copying, habit, &given, &diagonal);
            let weight = match self.pooling {
                Pooling::Partial => PRIOR_WEIGHT,
                Pooling::Complete => 1.0,
            };
            for (label, cells) in table.chunks_exact_mut(c).enumerate() {
                for (class, cell) in cells.iter_mut().enumerate() {
                    let copied = if class % k == label { *copying } else { 0.0 };
                    let expected = weight * (copied + (1.0 - *copying) * habit[label]);
                    *cell = match self.pooling {
                        Pooling::Partial => (*cell + expected) / (totals[class] + weight),
                        Pooling::Complete => expected,
                    }
                    .max(FLOOR);
                }
            }
        }
    }
}

/// Updates copying and habit of one rater from the labels given and those that match the class.
fn update(copying: &mut f64, habit: &mut [f64], given: &[f64], diagonal: &[f64]) {
    let judgments: f64 = given.iter().sum();
    for _ in 0..INNER {
        let share = *copying;
        let mut copied = 0.0;
        let mut mass = 0.0;
        for ((habit, given), match_) in habit.iter_mut().zip(given).zip(diagonal) {
            let by_copying = match_ * share / (share + (1.0 - share) * *habit);
            copied += by_copying;
            *habit = HABIT + given - by_copying;
            mass += *habit;
        }
        *copying = (copied + COPIED) / (judgments + 2.0 * COPIED);
        habit.iter_mut().for_each(|habit| *habit /= mass);
    }
}
