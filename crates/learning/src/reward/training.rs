//! Training: regularised maximum likelihood, with the strength of the penalty, the use of words and the
//! temperature chosen by cross-validation over prompts, and figures on pairs that the model had not seen.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Example;
use super::design::{Design, Row};
use super::ensemble;
use super::lbfgs::minimise;
use super::likelihood::{Penalty, davidson, difference, log_loss, objective};
use super::metrics::{Baseline, Metrics, Prediction, baselines, measure};
use super::model::{MODEL_VERSION, RewardModel};
use crate::features::FEATURE_VERSION;

/// Fewest pairs that can be trained on.
pub const MIN_PAIRS: usize = 5;

/// Most folds of the cross-validation; fewer when there are fewer prompts.
pub const MAX_FOLDS: usize = 5;

/// Penalties that are tried, strongest first, relative to a mean pair weight of 1.
const PENALTIES: [f64; 8] = [300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1];

/// Below this many pairs the temperature stays 1.
const FEW_PAIRS: usize = 30;

/// Below this many pairs held-out losses are too uncertain to make a model surer than its penalty leaves it: the temperature may
/// only soften.
const SOME_PAIRS: usize = 200;

/// The weakest penalty that so many pairs may choose: a handful of pairs is nearly always separable, and an unpenalised fit of
/// separable pairs is as sure as it is wrong.
fn weakest_penalty(pairs: usize) -> f64 {
    match pairs {
        0..FEW_PAIRS => 10.0,
        FEW_PAIRS..100 => 3.0,
        100..SOME_PAIRS => 1.0,
        _ => 0.0,
    }
}

/// Penalty when there is only one prompt, so that nothing can be held out.
const DEFAULT_PENALTY: f64 = 10.0;

/// Largest gradient entry per pair at which the final fit counts as finished.
const FINAL_TOLERANCE: f64 = 1e-6;

/// The same in cross-validation, where many fits only need to be ranked.
pub(super) const RANKING_TOLERANCE: f64 = 1e-4;

/// What is chosen by cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Strength of the L2 penalty.
    pub l2: f64,
    /// Whether word buckets are used beside the named numbers.
    pub with_words: bool,
}

/// A trained model with its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The model, fitted to all pairs, with its ensemble.
    pub model: RewardModel,
    /// How it was chosen and how good it is.
    pub report: TrainingReport,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Pairs used.
    pub n_pairs: usize,
    /// Different prompts among them.
    pub n_prompts: usize,
    /// Folds of the cross-validation; 0 when there was one prompt only.
    pub folds: usize,
    /// Every penalty tried, with its mean held-out loss.
    pub tried: Vec<Tried>,
    /// Figures on held-out pairs: every pair is predicted by a model fitted without its fold, with penalty
    /// and temperature chosen without its fold's losses. `None` when there was one prompt only.
    pub held_out: Option<Metrics>,
    /// What simple rules reach on the same pairs.
    pub baselines: Vec<Baseline>,
}

/// One setting of the cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Strength of the L2 penalty.
    pub l2: f64,
    /// Whether word buckets were used beside the named numbers.
    pub with_words: bool,
    /// Mean weighted cross entropy on held-out pairs, in nats.
    pub loss: f64,
}

/// Why training is not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Too few pairs with a positive weight.
    #[error("{have} usable pairs are too few to train a reward model; at least {need} are needed")]
    NotEnoughData {
        /// Usable pairs.
        have: usize,
        /// Pairs needed.
        need: usize,
    },
    /// A pair is impossible.
    #[error("pair {position} (prompt {prompt_key:?}): {problem}")]
    InvalidExample {
        /// Position in the list of examples.
        position: usize,
        /// Its prompt.
        prompt_key: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Held-out predictions of one setting, by pair.
struct HeldOut {
    tried: Tried,
    scores: Vec<(f64, f64)>,
}

/// Trains a reward model. The same examples and seed give the same model; exchanging a and b (with the
/// outcome) gives the same model up to rounding.
///
/// # Errors
/// With fewer than [`MIN_PAIRS`] pairs of positive weight, or when a pair's outcome or weight is impossible.
pub fn train(examples: &[Example], seed: u64) -> Result<Trained, TrainError> {
    for (position, example) in examples.iter().enumerate() {
        if let Some(problem) = problem_of(example) {
            let prompt_key = example.prompt_key.clone();
            return Err(TrainError::InvalidExample { position, prompt_key, problem });
        }
    }
    let examples: Vec<&Example> = examples.iter().filter(|example| example.weight > 0.0).collect();
    if examples.len() < MIN_PAIRS {
        return Err(TrainError::NotEnoughData { have: examples.len(), need: MIN_PAIRS });
    }
    let (fold_of, folds, n_prompts) = folds(&examples, seed);
    let design = Design::new(&examples);
    let held_out = if folds > 0 { cross_validate(&design, &fold_of, folds) } else { Vec::new() };
    let every = |_: usize| true;
    let best = best_setting(&held_out, &design, every);
    let (l2, with_words, temperature) = match best {
        Some(best) => (best.tried.l2, best.tried.with_words, temperature(best, &design, every)),
        None => (DEFAULT_PENALTY, false, 1.0),
    };
    let metrics = (folds > 0).then(|| measure(&honest_predictions(&held_out, &design, &fold_of, folds)));
    let all: Vec<&Row> = design.rows.iter().collect();
    let penalty = Penalty { l2, centre: &[] };
    let mut parameters = fit(&all, with_words, penalty, FINAL_TOLERANCE, vec![0.0; design.columns(with_words) + 1]);
    let log_tie = parameters.pop().unwrap_or(0.0);
    let members = ensemble::members(&design, &examples, (l2, with_words, temperature), &parameters, seed);
    parameters.iter_mut().for_each(|weight| *weight /= temperature);
    let (numbers, words) = design.name(&parameters);
    Ok(Trained {
        model: RewardModel {
            model_version: MODEL_VERSION,
            feature_version: FEATURE_VERSION,
            numbers,
            words,
            log_tie,
            temperature,
            l2,
            members,
        },
        report: TrainingReport {
            n_pairs: examples.len(),
            n_prompts,
            folds,
            tried: held_out.iter().map(|setting| setting.tried).collect(),
            held_out: metrics,
            baselines: baselines(&examples),
        },
    })
}

/// Fits a model with a setting that was chosen before: no cross-validation, temperature 1, no members. Pairs that are impossible must have
/// been left out.
#[must_use]
pub fn refit(examples: &[&Example], setting: Setting) -> RewardModel {
    let Setting { l2, with_words } = setting;
    let design = Design::new(examples);
    let rows: Vec<&Row> = design.rows.iter().collect();
    let start = vec![0.0; design.columns(with_words) + 1];
    let mut parameters = fit(&rows, with_words, Penalty { l2, centre: &[] }, RANKING_TOLERANCE, start);
    let log_tie = parameters.pop().unwrap_or(0.0);
    let (numbers, words) = design.name(&parameters);
    let (model_version, feature_version) = (MODEL_VERSION, FEATURE_VERSION);
    RewardModel { model_version, feature_version, numbers, words, log_tie, temperature: 1.0, l2, members: Vec::new() }
}

fn problem_of(example: &Example) -> Option<&'static str> {
    if !example.outcome.is_valid() {
        return Some("the outcome's three probabilities must lie between 0 and 1 and sum to 1");
    }
    if !(example.weight.is_finite() && example.weight >= 0.0) {
        return Some("the weight must be a finite number of 0 or more");
    }
    let mut numbers = example.a.numbers.values().chain(example.b.numbers.values());
    let mut words = example.a.words.values().chain(example.b.words.values());
    (numbers.any(|value| !value.is_finite()) || words.any(|word| !word.value.is_finite()))
        .then_some("every feature must be a finite number")
}

/// Deals the prompts out to folds in seeded random order: fold of each pair, number of folds and prompts.
fn folds(examples: &[&Example], seed: u64) -> (Vec<usize>, usize, usize) {
    let keys: BTreeSet<&str> = examples.iter().map(|example| example.prompt_key.as_str()).collect();
    let mut keys: Vec<&str> = keys.into_iter().collect();
    keys.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let folds = if keys.len() < 2 { 0 } else { keys.len().min(MAX_FOLDS) };
    let fold: BTreeMap<&str, usize> = keys.iter().enumerate().map(|(index, key)| (*key, index % folds.max(1))).collect();
    let of = |example: &&Example| fold.get(example.prompt_key.as_str()).copied().unwrap_or(0);
    (examples.iter().map(of).collect(), folds, keys.len())
}

/// Predicts every pair by models fitted without its fold, for every setting.
fn cross_validate(design: &Design, fold_of: &[usize], folds: usize) -> Vec<HeldOut> {
    let weakest = weakest_penalty(design.rows.len());
    let penalties: Vec<f64> = PENALTIES.into_iter().filter(|l2| *l2 >= weakest).collect();
    let word_choices: &[bool] = if design.columns(true) > design.columns(false) { &[false, true] } else { &[false] };
    let mut settings = Vec::new();
    for &with_words in word_choices {
        let mut scores = vec![vec![(0.0, 0.0); design.rows.len()]; penalties.len()];
        for fold in 0..folds {
            let pairs = design.rows.iter().zip(fold_of);
            let train: Vec<&Row> = pairs.filter(|(_, of)| **of != fold).map(|(row, _)| row).collect();
            // From the strongest penalty down, each fit starts where the last one ended.
            let mut parameters = vec![0.0; design.columns(with_words) + 1];
            for (scores, &l2) in scores.iter_mut().zip(&penalties) {
                parameters = fit(&train, with_words, Penalty { l2, centre: &[] }, RANKING_TOLERANCE, parameters);
                let Some((&log_tie, weights)) = parameters.split_last() else { continue };
                for ((score, row), of) in scores.iter_mut().zip(&design.rows).zip(fold_of) {
                    if *of == fold {
                        *score = (difference(row, with_words, weights), log_tie);
                    }
                }
            }
        }
        for (scores, &l2) in scores.into_iter().zip(&penalties) {
            let mut setting = HeldOut { tried: Tried { l2, with_words, loss: 0.0 }, scores };
            setting.tried.loss = mean_loss(&setting, design, 1.0, |_| true);
            settings.push(setting);
        }
    }
    settings
}

/// Fits weights and tie parameter to rows, from a start of one number a column and one for ties.
pub(super) fn fit(rows: &[&Row], with_words: bool, penalty: Penalty<'_>, tolerance: f64, start: Vec<f64>) -> Vec<f64> {
    let tolerance = tolerance * rows.len() as f64;
    minimise(start, tolerance, |parameters, gradient| objective(rows, with_words, penalty, parameters, gradient))
}

/// The setting with the lowest loss over the pairs that `counts` accepts; the stronger penalty, and no
/// words, when equal.
fn best_setting<'a>(settings: &'a [HeldOut], design: &Design, counts: impl Fn(usize) -> bool) -> Option<&'a HeldOut> {
    let mut best: Option<(&HeldOut, f64)> = None;
    for setting in settings {
        let loss = mean_loss(setting, design, 1.0, &counts);
        if best.is_none_or(|(_, lowest)| loss < lowest) {
            best = Some((setting, loss));
        }
    }
    best.map(|(setting, _)| setting)
}

/// Weighted mean held-out loss at a temperature.
fn mean_loss(setting: &HeldOut, design: &Design, temperature: f64, counts: impl Fn(usize) -> bool) -> f64 {
    let (mut loss, mut weight) = (0.0, 0.0);
    let pairs = design.rows.iter().zip(&setting.scores).enumerate().filter(|(pair, _)| counts(*pair));
    for (_, (row, (difference, log_tie))) in pairs {
        loss += row.weight * log_loss(row.outcome, difference / temperature, *log_tie);
        weight += row.weight;
    }
    loss / weight
}

/// The temperature with the lowest held-out loss, between 1/4 (1 below [`SOME_PAIRS`]) and 8, by golden-section search on its
/// logarithm; 1 when there are few pairs.
fn temperature(setting: &HeldOut, design: &Design, counts: impl Fn(usize) -> bool) -> f64 {
    if design.rows.len() < FEW_PAIRS {
        return 1.0;
    }
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let loss = |log: f64| mean_loss(setting, design, log.exp(), &counts);
    let least: f64 = if design.rows.len() < SOME_PAIRS { 1.0 } else { 0.25 };
    let (mut low, mut high) = (least.ln(), 8.0_f64.ln());
    for _ in 0..40 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) <= loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high).exp()
}

/// Held-out predictions with the setting and temperature that the *other* folds prefer, so that choosing
/// them does not flatter the figures.
fn honest_predictions(settings: &[HeldOut], design: &Design, fold_of: &[usize], folds: usize) -> Vec<Prediction> {
    let mut predictions = Vec::with_capacity(design.rows.len());
    for fold in 0..folds {
        let others = |pair: usize| fold_of[pair] != fold;
        let Some(best) = best_setting(settings, design, others) else { continue };
        let temperature = temperature(best, design, others);
        for (pair, (row, (difference, log_tie))) in design.rows.iter().zip(&best.scores).enumerate() {
            if fold_of[pair] == fold {
                let difference = difference / temperature;
                let probability = davidson(difference, *log_tie);
                predictions.push(Prediction { difference, probability, outcome: row.outcome });
            }
        }
    }
    predictions
}
