//! Training: regularised maximum likelihood, with penalties and temperature chosen on pairs that were left out, and predictions of pairs
//! that the model had not seen.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Example;
use super::design::Design;
use super::ensemble;
use super::likelihood::{Fitted, Precision, Problem, Sample, every_row, fit};
use super::metrics::{Baseline, Metrics, Prediction, baselines_of, measure};
use super::model::{MODEL_VERSION, RewardModel};
use super::pairs::Pairs;
use super::progress::{Progress, Steps};
use super::setting::Setting;
use super::tuning::{Folds, HeldOut, Tuning};
use crate::features::FEATURE_VERSION;

/// Fewest pairs that can be trained on.
pub const MIN_PAIRS: usize = 5;

/// Most pairs that penalties are chosen on. A penalty is the prior variance of a weight, which does not depend on the number of pairs.
pub const MOST_TUNED: usize = 2_500;

/// Most pairs of which each is predicted by a model of the other folds; of more a part is left out.
pub const MOST_FOLDED: usize = 12_500;

/// Most pairs that are left out for temperature and figures when there are more than [`MOST_FOLDED`]: accuracy is then known to 0.4 %.
const MOST_LEFT_OUT: usize = 16_000;

/// Penalty when there is only one prompt, so that nothing can be held out.
const DEFAULT_PENALTY: f64 = 10.0;

/// A trained model with its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The model, fitted to all pairs, with its ensemble.
    pub model: RewardModel,
    /// How it was chosen and how good it is.
    pub report: TrainingReport,
    /// Predictions of pairs by models that had not seen their prompt, in order of position: what the report's figures are computed from,
    /// and all that a model card needs. Empty when there was one prompt only.
    pub held_out: Vec<HeldOutPair>,
}

/// A pair that was predicted by a model that had not seen its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOutPair {
    /// Place among the pairs that were given to the training.
    pub position: usize,
    /// What was predicted and what people said.
    pub prediction: Prediction,
    /// Characters of a's text less those of b's.
    pub longer: f64,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Pairs used.
    pub n_pairs: usize,
    /// Different prompts among them.
    pub n_prompts: usize,
    /// Folds of the cross-validation that chose the penalties; 0 when there was one prompt only.
    pub folds: usize,
    /// Pairs that the penalties were chosen on: all, or [`MOST_TUNED`] of more.
    pub n_tuned: usize,
    /// Every setting tried, with its mean held-out loss.
    pub tried: Vec<Tried>,
    /// Figures on held-out pairs. Up to [`MOST_TUNED`] pairs: every pair is predicted by a model fitted without its fold, with penalties
    /// and temperature picked, out of `tried`, by the other folds. Up to [`MOST_FOLDED`]: the same with the penalties that a part of the
    /// pairs chose. Of more pairs: a part is left out that takes no part in the choice; the temperature of either half of it comes from the
    /// other half. `None` when there was one prompt only.
    pub held_out: Option<Metrics>,
    /// What simple rules reach on the same pairs.
    pub baselines: Vec<Baseline>,
}

/// One setting of the cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The penalties.
    pub setting: Setting,
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

/// Trains a reward model. The same examples and seed give the same model; exchanging a and b (with the
/// outcome) gives the same model up to rounding.
///
/// # Errors
/// With fewer than [`MIN_PAIRS`] pairs of positive weight, or when a pair's outcome or weight is impossible.
pub fn train(examples: &[Example], seed: u64) -> Result<Trained, TrainError> {
    train_pairs(&Pairs::of(examples)?, seed, &mut |_| ())
}

/// Trains on pairs that were collected before, and tells `report` how far it is. The same pairs in the same order and the same seed give
/// the same model, on any number of cores.
///
/// # Errors
/// With fewer than [`MIN_PAIRS`] pairs.
pub fn train_pairs(pairs: &Pairs, seed: u64, report: &mut dyn FnMut(Progress)) -> Result<Trained, TrainError> {
    if pairs.len() < MIN_PAIRS {
        return Err(TrainError::NotEnoughData { have: pairs.len(), need: MIN_PAIRS });
    }
    let mut steps = Steps::new(report);
    steps.stretch(0.05, "arranging features");
    let design = Design::new(pairs);
    let folds = Folds::deal(pairs, seed);
    let all = every_row(&design);
    let parts = Parts::split(pairs, &all, seed);
    let is_part = parts.tuned.len() < all.len();
    let small = is_part.then(|| design.part(&parts.tuned));
    let tuning = match &small {
        Some(small) => Tuning { design: small, folds: &folds, sample: every_row(small) },
        None => Tuning { design: &design, folds: &folds, sample: parts.tuned },
    };
    steps.stretch(if is_part { 0.4 } else { 0.8 }, "choosing penalties by cross-validation");
    let tried = if folds.n > 0 { tuning.search(&mut steps) } else { Vec::new() };
    let best = tuning.best(&tried, |_| true);
    let setting = best.map_or(Setting::numbers(DEFAULT_PENALTY), |best| best.tried.setting);
    let mut start = Fitted::default();
    let (temperature, predictions) = match best {
        Some(best) if !is_part => (tuning.temperature(best, |_| true), tuning.honest_predictions(&tried)),
        Some(_) if parts.left_out.is_empty() => {
            steps.stretch(0.55, "trying the model on pairs that were left out");
            let tuning = Tuning { design: &design, folds: &folds, sample: all.clone() };
            let tried = [tuning.once(&setting)];
            (tuning.temperature(&tried[0], |_| true), tuning.honest_predictions(&tried))
        }
        Some(best) => {
            steps.stretch(0.55, "trying the model on pairs that were left out");
            start = fit(&design, &setting, Problem { sample: &parts.rest, start: &start, centre: &[] }, Precision::RANKING);
            left_out(&design, parts.left_out, best, &start, seed)
        }
        None => (1.0, Vec::new()),
    };
    steps.stretch(0.7_f64.max(steps.reached()), "fitting the model to all pairs");
    let precision = if all.len() > MOST_FOLDED { Precision::RANKING } else { Precision::FINAL };
    let mut fitted = fit(&design, &setting, Problem { sample: &all, start: &start, centre: &[] }, precision);
    steps.stretch(1.0, "fitting the ensemble");
    let members = ensemble::members(&design, &setting, temperature, &fitted, seed, &mut steps);
    fitted.weights.iter_mut().for_each(|weight| *weight /= temperature);
    let model = model(&design, setting, &fitted, temperature, members);
    let held_out: Vec<HeldOutPair> = predictions
        .into_iter()
        .filter_map(|(row, prediction)| {
            let kept = pairs.kept.get(row as usize)?;
            Some(HeldOutPair { position: kept.position, prediction, longer: kept.longer })
        })
        .collect();
    let predicted: Vec<Prediction> = held_out.iter().map(|pair| pair.prediction).collect();
    let seen: Vec<(f64, Option<bool>)> = if held_out.is_empty() {
        pairs.kept.iter().map(|kept| (kept.longer, kept.outcome.winner_is_a())).collect()
    } else {
        held_out.iter().map(|pair| (pair.longer, pair.prediction.outcome.winner_is_a())).collect()
    };
    let report = TrainingReport {
        n_pairs: pairs.len(),
        n_prompts: pairs.n_prompts(),
        folds: folds.n,
        n_tuned: tuning.sample.len(),
        tried: tried.iter().map(|held_out| held_out.tried).collect(),
        held_out: (folds.n > 0).then(|| measure(&predicted)),
        baselines: baselines_of(&seen),
    };
    steps.stretch(1.0, "done");
    Ok(Trained { model, report, held_out })
}

/// Fits a model with a setting that was chosen before: no cross-validation, temperature 1, no members. Pairs that are impossible are left
/// out.
#[must_use]
pub fn refit(examples: &[&Example], setting: Setting) -> RewardModel {
    let mut pairs = Pairs::default();
    for example in examples {
        // An impossible pair is not kept; the caller was told of it by `train`.
        let _ = pairs.push(example);
    }
    let design = Design::new(&pairs);
    let problem = Problem { sample: &every_row(&design), start: &Fitted::default(), centre: &[] };
    let fitted = fit(&design, &setting, problem, Precision::RANKING);
    model(&design, setting, &fitted, 1.0, Vec::new())
}

fn model(design: &Design, setting: Setting, fitted: &Fitted, temperature: f64, members: Vec<ensemble::Member>) -> RewardModel {
    let named = design.name(&fitted.weights);
    RewardModel {
        model_version: MODEL_VERSION,
        feature_version: FEATURE_VERSION,
        numbers: named.numbers,
        words: named.words,
        retailers: named.retailers,
        log_tie: fitted.log_tie,
        temperature,
        setting,
        members,
    }
}

/// What pairs are used for.
struct Parts {
    /// Chooses penalties.
    tuned: Sample,
    /// Chooses the temperature and gives the figures; empty when folds of all do.
    left_out: Sample,
    /// All that is not left out.
    rest: Sample,
}

impl Parts {
    /// Whole prompts in seeded random order: of up to [`MOST_TUNED`] pairs all are tuned on.
    fn split(pairs: &Pairs, all: &Sample, seed: u64) -> Self {
        if all.len() <= MOST_TUNED {
            return Self { tuned: all.clone(), left_out: Vec::new(), rest: Vec::new() };
        }
        let mut counts = vec![0_usize; pairs.n_prompts()];
        for kept in &pairs.kept {
            if let Some(count) = counts.get_mut(kept.prompt as usize) {
                *count += 1;
            }
        }
        let mut prompts = pairs.sorted_prompts();
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ 0x7061_7274_7300));
        let mut prompts = prompts.into_iter();
        let mut take = |most: usize| -> HashSet<u32> {
            let mut left = most;
            let fits = |prompt: &u32| {
                let count = counts.get(*prompt as usize).copied().unwrap_or(0);
                // One prompt at least, however many pairs it has.
                let fits = count <= left || left == most;
                left = if fits { left.saturating_sub(count) } else { 0 };
                fits
            };
            prompts.by_ref().take_while(fits).collect()
        };
        let tuned = take(MOST_TUNED);
        let left_out = if all.len() > MOST_FOLDED { take(MOST_LEFT_OUT.min(all.len() / 5)) } else { HashSet::new() };
        let of = |wanted: &dyn Fn(u32) -> bool| -> Sample {
            let is_wanted = |(row, _): &&(u32, f64)| pairs.kept.get(*row as usize).is_some_and(|kept| wanted(kept.prompt));
            all.iter().filter(is_wanted).copied().collect()
        };
        Self {
            tuned: of(&|prompt| tuned.contains(&prompt)),
            left_out: of(&|prompt| left_out.contains(&prompt)),
            rest: of(&|prompt| !left_out.contains(&prompt)),
        }
    }
}

/// Temperature by all pairs that were left out, and predictions of each half of them at the temperature of the other half.
fn left_out(design: &Design, sample: Sample, best: &HeldOut, fitted: &Fitted, seed: u64) -> (f64, Vec<(u32, Prediction)>) {
    let halves = Folds::halves(design, &sample, seed);
    let scores = sample.iter().filter_map(|(row, _)| Some((fitted.difference(design, design.rows.get(*row as usize)?), fitted.log_tie)));
    let held_out = HeldOut { tried: best.tried, rule: best.rule, scores: scores.collect() };
    let tuning = Tuning { design, folds: &halves, sample };
    let mut predictions: Vec<(u32, Prediction)> = (0..halves.n)
        .flat_map(|half| {
            let temperature = tuning.temperature(&held_out, |other| other != half);
            tuning.predictions(&held_out, temperature, |other| other == half)
        })
        .collect();
    predictions.sort_by_key(|(row, _)| *row);
    (tuning.temperature(&held_out, |_| true), predictions)
}
