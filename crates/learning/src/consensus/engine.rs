//! The inner loop of every model with a matrix per rater: posterior of each task and expected counts in one
//! pass over the judgments. Products of probabilities with rare rescaling take the place of logarithms, so
//! that a million judgments need a few milliseconds a round.

use super::Evidence;
use super::indexed::{FLOOR, Indexed, has_settled};

/// Judgments multiplied between two looks at the size: 16 factors of at least 1e-10 stay above 1e-160.
pub(super) const BETWEEN_RESCALES: usize = 16;
/// The product of task probabilities is turned into a logarithm below this.
const SMALL: f64 = 1e-130;

/// Parameters of a latent class model: `clusters` hidden classes, and for each rater and label given the
/// probability of that label in every class.
pub(super) struct Parameters {
    /// Probability of each class.
    pub(super) prior: Vec<f64>,
    /// P(given | class) at `(rater * labels + given) * clusters + class`: what one judgment needs lies
    /// side by side.
    pub(super) matrices: Vec<f64>,
}

/// What the rounds ended with.
pub(super) struct MatrixFit {
    pub(super) parameters: Parameters,
    pub(super) posterior: Vec<f64>,
    pub(super) iterations: u32,
    pub(super) converged: bool,
    pub(super) log_likelihood: f64,
}

/// When to stop, and the smoothing that does not depend on the model.
pub(super) struct Rounds<'a> {
    pub(super) clusters: usize,
    pub(super) max_iterations: u32,
    pub(super) tolerance: f64,
    /// Pseudo-tasks per class in the class prior.
    pub(super) class_smoothing: f64,
    /// Counts added to every round's, laid out like the matrices.
    pub(super) pseudo: &'a [f64],
}

/// Expectation maximisation from `posterior` on. `maximise` turns expected counts (smoothing included) into
/// probabilities, in place. Each round: posteriors, class prior, matrices.
pub(super) fn maximise_expectation(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    rounds: &Rounds<'_>,
    mut posterior: Vec<f64>,
    mut maximise: impl FnMut(&mut [f64]),
) -> MatrixFit {
    let c = rounds.clusters;
    let mut counts = rounds.pseudo.to_vec();
    let mut sums = vec![0.0; c];
    for task in 0..evidence.n_tasks {
        let row = &posterior[task * c..(task + 1) * c];
        for &vote in indexed.rows(task) {
            let start = vote as usize * c;
            counts[start..start + c].iter_mut().zip(row).for_each(|(count, p)| *count += p);
        }
        if indexed.is_known(evidence, task) {
            sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
        }
    }
    maximise(&mut counts);
    let mut matrices = counts.clone();
    let mut prior = shares(&sums, rounds.class_smoothing);
    let mut log_likelihood = f64::NEG_INFINITY;
    let (mut iterations, mut converged) = (0, false);
    while iterations < rounds.max_iterations && !converged {
        iterations += 1;
        counts.copy_from_slice(rounds.pseudo);
        sums.fill(0.0);
        let before = log_likelihood;
        let parameters = Parameters { prior, matrices };
        log_likelihood = round(evidence, indexed, &parameters, &mut posterior, &mut counts, &mut sums);
        maximise(&mut counts);
        matrices = std::mem::replace(&mut counts, parameters.matrices);
        prior = shares(&sums, rounds.class_smoothing);
        converged = has_settled(before, log_likelihood, rounds.tolerance);
    }
    MatrixFit { parameters: Parameters { prior, matrices }, posterior, iterations, converged, log_likelihood }
}

/// Sums plus `smoothing` as shares, never quite zero; uniform when there is nothing to share.
pub(super) fn shares(sums: &[f64], smoothing: f64) -> Vec<f64> {
    let total: f64 = sums.iter().map(|sum| sum + smoothing).sum();
    if total <= 0.0 {
        return vec![1.0 / sums.len() as f64; sums.len()];
    }
    sums.iter().map(|sum| ((sum + smoothing) / total).max(FLOOR)).collect()
}

/// One round; returns the log-likelihood under `parameters`.
fn round(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    parameters: &Parameters,
    posterior: &mut [f64],
    counts: &mut [f64],
    sums: &mut [f64],
) -> f64 {
    match parameters.prior.len() {
        1 => fixed::<1>(evidence, indexed, parameters, posterior, counts, sums),
        2 => fixed::<2>(evidence, indexed, parameters, posterior, counts, sums),
        3 => fixed::<3>(evidence, indexed, parameters, posterior, counts, sums),
        4 => fixed::<4>(evidence, indexed, parameters, posterior, counts, sums),
        5 => fixed::<5>(evidence, indexed, parameters, posterior, counts, sums),
        6 => fixed::<6>(evidence, indexed, parameters, posterior, counts, sums),
        8 => fixed::<8>(evidence, indexed, parameters, posterior, counts, sums),
        10 => fixed::<10>(evidence, indexed, parameters, posterior, counts, sums),
        _ => any_width(evidence, indexed, parameters, posterior, counts, sums),
    }
}

/// [`round`] for a number of classes that the compiler knows.
fn fixed<const C: usize>(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    parameters: &Parameters,
    posterior: &mut [f64],
    counts: &mut [f64],
    sums: &mut [f64],
) -> f64 {
    let (matrices, posterior, counts) =
        (parameters.matrices.as_chunks::<C>().0, posterior.as_chunks_mut::<C>().0, counts.as_chunks_mut::<C>().0);
    let (mut prior, mut class_sums) = ([0.0; C], [0.0; C]);
    prior.copy_from_slice(&parameters.prior);
    let mut likelihood = Likelihood::default();
    for (task, place) in posterior.iter_mut().enumerate() {
        let votes = indexed.rows(task);
        let mut joint = prior;
        for votes in votes.chunks(BETWEEN_RESCALES) {
            for &vote in votes {
                let cells = &matrices[vote as usize];
                for class in 0..C {
                    joint[class] *= cells[class];
                }
            }
            if votes.len() == BETWEEN_RESCALES {
                likelihood.rescale(&mut joint);
            }
        }
        let gold = evidence.gold_label(task);
        likelihood.normalise(&mut joint, gold, !votes.is_empty() || gold.is_some());
        *place = joint;
        if !votes.is_empty() || gold.is_some() {
            for class in 0..C {
                class_sums[class] += joint[class];
            }
        }
        for &vote in votes {
            let cells = &mut counts[vote as usize];
            for class in 0..C {
                cells[class] += joint[class];
            }
        }
    }
    sums.copy_from_slice(&class_sums);
    likelihood.finish()
}

/// [`round`] for any number of classes.
fn any_width(
    evidence: &Evidence<'_>,
    indexed: &Indexed,
    parameters: &Parameters,
    posterior: &mut [f64],
    counts: &mut [f64],
    sums: &mut [f64],
) -> f64 {
    let c = parameters.prior.len();
    let mut likelihood = Likelihood::default();
    for (task, joint) in posterior.chunks_exact_mut(c).enumerate() {
        let votes = indexed.rows(task);
        joint.copy_from_slice(&parameters.prior);
        multiply(joint, votes, &parameters.matrices, &mut likelihood);
        let gold = evidence.gold_label(task);
        let counted = !votes.is_empty() || gold.is_some();
        likelihood.normalise(joint, gold, counted);
        if counted {
            sums.iter_mut().zip(joint.iter()).for_each(|(sum, p)| *sum += p);
        }
        for &vote in votes {
            let start = vote as usize * c;
            counts[start..start + c].iter_mut().zip(joint.iter()).for_each(|(count, p)| *count += p);
        }
    }
    likelihood.finish()
}

fn multiply(joint: &mut [f64], votes: &[u32], matrices: &[f64], likelihood: &mut Likelihood) {
    for votes in votes.chunks(BETWEEN_RESCALES) {
        for &vote in votes {
            let start = vote as usize * joint.len();
            let cells = &matrices[start..start + joint.len()];
            joint.iter_mut().zip(cells).for_each(|(value, cell)| *value *= cell);
        }
        if votes.len() == BETWEEN_RESCALES {
            likelihood.rescale(joint);
        }
    }
}

/// Log probability of each task's judgments under `parameters`, for tasks that did not help to find them.
pub(super) fn task_log_likelihoods(evidence: &Evidence<'_>, indexed: &Indexed, parameters: &Parameters) -> Vec<f64> {
    let c = parameters.prior.len();
    let mut joint = vec![0.0; c];
    let of_task = |task| {
        let mut likelihood = Likelihood::default();
        joint.copy_from_slice(&parameters.prior);
        multiply(&mut joint, indexed.rows(task), &parameters.matrices, &mut likelihood);
        likelihood.normalise(&mut joint, None, true);
        likelihood.finish()
    };
    (0..evidence.n_tasks).map(of_task).collect()
}

/// The sum of logarithms of probabilities, most of them gathered as one product first.
pub(super) struct Likelihood {
    sum: f64,
    product: f64,
}

impl Default for Likelihood {
    fn default() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }
}

impl Likelihood {
    #[inline(always)]
    pub(super) fn take(&mut self, factor: f64) {
        self.product *= factor;
        if self.product < SMALL {
            self.sum += self.product.ln();
            self.product = 1.0;
        }
    }

    /// Divides by the largest value and keeps account of it.
    #[inline(always)]
    pub(super) fn rescale(&mut self, joint: &mut [f64]) {
        let top = joint.iter().copied().fold(0.0, f64::max);
        if top > 0.0 {
            joint.iter_mut().for_each(|value| *value /= top);
            self.take(top);
        }
    }

    /// Turns joint probabilities into a posterior; one-hot with `gold`.
    #[inline(always)]
    pub(super) fn normalise(&mut self, joint: &mut [f64], gold: Option<u32>, counted: bool) {
        let probability = match gold {
            Some(gold) => {
                let probability = joint[gold as usize];
                joint.fill(0.0);
                joint[gold as usize] = 1.0;
                probability
            }
            None => {
                let sum: f64 = joint.iter().sum();
                let scale = 1.0 / sum;
                joint.iter_mut().for_each(|value| *value *= scale);
                sum
            }
        };
        if counted {
            self.take(probability.max(f64::MIN_POSITIVE));
        }
    }

    pub(super) fn finish(self) -> f64 {
        self.sum + self.product.ln()
    }
}
