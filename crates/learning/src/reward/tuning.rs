//! Which strengths of the penalty suit: by cross-validation over prompts, one kind of weight after the other.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::design::{Design, FIRST_GROUP};
use super::likelihood::{Fitted, Precision, Problem, Sample, davidson, fit, log_loss};
use super::metrics::Prediction;
use super::pairs::Pairs;
use super::parallel;
use super::progress::Steps;
use super::setting::Setting;
use super::training::Tried;
use crate::features::hashed::Group;

/// Most folds of the cross-validation; fewer when there are fewer prompts.
pub const MAX_FOLDS: usize = 5;

/// Penalties of numbers that are tried, strongest first.
const NUMBERS: [f64; 8] = [300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1];

/// Penalties of words that are tried.
const WORDS: [f64; 6] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1];

/// Extra penalties of a retailer's own part that are tried.
const RETAILERS: [f64; 4] = [30.0, 10.0, 3.0, 1.0];

/// Standard errors by which another kind of weight must lower the held-out loss to be used (the rule of one standard error: Breiman and
/// others 1984). There are many kinds and strengths to choose
/// from, and what looks best of many on few pairs is mostly luck.
const WORTH_A_KIND: f64 = 1.0;

/// The order in which groups of words are tried.
const ORDER: [Group; 5] = [Group::Words, Group::Shared, Group::Asked, Group::Pairs, Group::Stems];

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

/// Which fold each prompt is in.
pub(super) struct Folds {
    of_prompt: Vec<usize>,
    pub(super) n: usize,
}

impl Folds {
    /// Deals the prompts out to folds in seeded random order; no folds when there is one prompt only.
    pub(super) fn deal(pairs: &Pairs, seed: u64) -> Self {
        let mut prompts = pairs.sorted_prompts();
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let n = if prompts.len() < 2 { 0 } else { prompts.len().min(MAX_FOLDS) };
        let mut of_prompt = vec![0; prompts.len()];
        for (index, prompt) in prompts.into_iter().enumerate() {
            if let Some(fold) = of_prompt.get_mut(prompt as usize) {
                *fold = index % n.max(1);
            }
        }
        Self { of_prompt, n }
    }

    /// Deals the prompts of a sample out to two halves.
    pub(super) fn halves(design: &Design, sample: &Sample, seed: u64) -> Self {
        let mut prompts: Vec<u32> = sample.iter().filter_map(|(row, _)| Some(design.rows.get(*row as usize)?.prompt)).collect();
        prompts.sort_unstable();
        prompts.dedup();
        prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut of_prompt = vec![0; design.rows.iter().map(|row| row.prompt as usize + 1).max().unwrap_or(0)];
        for (index, prompt) in prompts.into_iter().enumerate() {
            if let Some(fold) = of_prompt.get_mut(prompt as usize) {
                *fold = index % 2;
            }
        }
        Self { of_prompt, n: 2 }
    }

    fn of(&self, prompt: u32) -> usize {
        self.of_prompt.get(prompt as usize).copied().unwrap_or(0)
    }
}

/// Held-out predictions of one setting: score difference and tie parameter, row by row of the sample.
#[derive(Clone)]
pub(super) struct HeldOut {
    pub(super) tried: Tried,
    pub(super) rule: Rule,
    pub(super) scores: Vec<(f64, f64)>,
}

/// What a setting must do to take the place of the best one before it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Have a lower loss.
    Lower,
    /// Have a lower loss, and be better for sure than the setting at this place, which lacks a kind of weight.
    Over(usize),
    /// Not be worse for sure: it lacks a kind of weight.
    Simpler,
}

/// A set of rows that settings are compared on.
pub(super) struct Tuning<'a> {
    pub(super) design: &'a Design,
    pub(super) folds: &'a Folds,
    pub(super) sample: Sample,
}

impl Tuning<'_> {
    /// Every setting that was tried: numbers alone from the strongest penalty on, then each group of words and the part of retailers, kept
    /// when they help, then once more all that is used.
    pub(super) fn search(&self, steps: &mut Steps<'_>) -> Vec<HeldOut> {
        let weakest = weakest_penalty(self.sample.len());
        let allowed = |strengths: &[f64]| -> Vec<f64> { strengths.iter().copied().filter(|strength| *strength >= weakest).collect() };
        let mut search = Search { tuning: self, starts: vec![Fitted::default(); self.folds.n], best: 0, all: Vec::new() };
        for strength in allowed(&NUMBERS) {
            search.attempt(Setting::numbers(strength), Rule::Lower);
        }
        let kinds = ORDER.len() + 1;
        for round in 0..2 {
            for (place, group) in ORDER.into_iter().enumerate() {
                steps.at((round * kinds + place) as f64 / (2 * kinds) as f64, "choosing penalties by cross-validation");
                if !self.design.columns[FIRST_GROUP + group as usize].is_empty() {
                    search.vary(&allowed(&WORDS), |setting| setting.of(group), |setting, strength| setting.with(group, strength));
                }
            }
            if self.design.has_retailers() {
                search.vary(&RETAILERS, |setting| setting.retailer, |setting, strength| Setting { retailer: strength, ..setting });
            }
            let with = |setting: Setting, strength: Option<f64>| Setting { numbers: strength.unwrap_or(setting.numbers), ..setting };
            search.vary(&allowed(&NUMBERS), |setting| Some(setting.numbers), with);
        }
        search.all
    }

    /// Predicts every row with one setting.
    pub(super) fn once(&self, setting: &Setting) -> HeldOut {
        self.attempt(setting, Rule::Lower, &vec![Fitted::default(); self.folds.n]).0
    }

    /// Predicts every row by a model fitted without its fold, starting from earlier models of the same folds.
    fn attempt(&self, setting: &Setting, rule: Rule, starts: &[Fitted]) -> (HeldOut, Vec<Fitted>) {
        let fold = |(fold, start): (usize, &Fitted)| {
            let outside = self.sample.iter().filter(|(row, _)| self.fold_of(*row) != fold).copied().collect();
            fit(self.design, setting, Problem { sample: &outside, start, centre: &[] }, Precision::RANKING)
        };
        let fitted = parallel::map(starts.iter().enumerate().collect(), fold);
        let score = |(row, _): &(u32, f64)| {
            let Some(fitted) = fitted.get(self.fold_of(*row)) else { return (0.0, 0.0) };
            self.design.rows.get(*row as usize).map_or((0.0, 0.0), |row| (fitted.difference(self.design, row), fitted.log_tie))
        };
        let scores = self.sample.iter().map(score).collect();
        let mut held_out = HeldOut { tried: Tried { setting: *setting, loss: 0.0 }, rule, scores };
        held_out.tried.loss = self.loss(&held_out, 1.0, |_| true);
        (held_out, fitted)
    }

    fn fold_of(&self, row: u32) -> usize {
        self.design.rows.get(row as usize).map_or(0, |row| self.folds.of(row.prompt))
    }

    /// Weighted mean held-out loss at a temperature over the folds that count.
    fn loss(&self, held_out: &HeldOut, temperature: f64, counts: impl Fn(usize) -> bool) -> f64 {
        let (mut loss, mut total) = (0.0, 0.0);
        for ((index, weight), (difference, log_tie)) in self.sample.iter().zip(&held_out.scores) {
            if let Some(row) = self.design.rows.get(*index as usize).filter(|row| counts(self.folds.of(row.prompt))) {
                loss += weight * log_loss(row.outcome, difference / temperature, *log_tie);
                total += weight;
            }
        }
        loss / total
    }

    /// Nats per pair that the second saves over the first on the folds that count, with the standard error.
    fn gain(&self, first: &HeldOut, second: &HeldOut, counts: impl Fn(usize) -> bool) -> (f64, f64) {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (((index, weight), x), y) in self.sample.iter().zip(&first.scores).zip(&second.scores) {
            if let Some(row) = self.design.rows.get(*index as usize).filter(|row| counts(self.folds.of(row.prompt))) {
                let gain = weight * (log_loss(row.outcome, x.0, x.1) - log_loss(row.outcome, y.0, y.1));
                (n, sum, squares) = (n + 1.0, sum + gain, squares + gain * gain);
            }
        }
        let mean: f64 = sum / n;
        (mean, ((squares / n - mean * mean).max(0.0) / n).sqrt())
    }

    /// Whether a setting takes the place of the best one before it, by the folds that count.
    fn is_better(&self, all: &[HeldOut], best: usize, next: usize, counts: impl Fn(usize) -> bool) -> bool {
        let gain = |first: usize, second: usize| match (all.get(first), all.get(second)) {
            (Some(first), Some(second)) => self.gain(first, second, &counts),
            _ => (0.0, 0.0),
        };
        let is_sure = |(gain, error): (f64, f64)| gain > WORTH_A_KIND * error;
        match all.get(next).map(|next| next.rule) {
            None => false,
            Some(Rule::Lower) => gain(best, next).0 > 0.0,
            Some(Rule::Over(base)) => gain(best, next).0 > 0.0 && is_sure(gain(base, next)),
            Some(Rule::Simpler) => !is_sure(gain(next, best)),
        }
    }

    /// The setting that the search takes by the folds that count, of those that were tried.
    pub(super) fn best<'b>(&self, all: &'b [HeldOut], counts: impl Fn(usize) -> bool) -> Option<&'b HeldOut> {
        let mut best = 0;
        for next in 1..all.len() {
            if self.is_better(all, best, next, &counts) {
                best = next;
            }
        }
        all.get(best)
    }

    /// The temperature with the lowest held-out loss, between 1/4 (1 below [`SOME_PAIRS`]) and 8, by golden-section search on its
    /// logarithm; 1 when there are few pairs.
    pub(super) fn temperature(&self, held_out: &HeldOut, counts: impl Fn(usize) -> bool) -> f64 {
        if self.sample.len() < FEW_PAIRS {
            return 1.0;
        }
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let loss = |log: f64| self.loss(held_out, log.exp(), &counts);
        let least: f64 = if self.sample.len() < SOME_PAIRS { 1.0 } else { 0.25 };
        let (mut low, mut high) = (least.ln(), 8.0_f64.ln());
        for _ in 0..30 {
            let (left, right) = (high - golden * (high - low), low + golden * (high - low));
            if loss(left) <= loss(right) {
                high = right;
            } else {
                low = left;
            }
        }
        f64::midpoint(low, high).exp()
    }

    /// What a setting's held-out scores at a temperature say of the rows that count, with the rows.
    pub(super) fn predictions(&self, held_out: &HeldOut, temperature: f64, counts: impl Fn(usize) -> bool) -> Vec<(u32, Prediction)> {
        let mut predictions = Vec::new();
        for ((index, _), (difference, log_tie)) in self.sample.iter().zip(&held_out.scores) {
            if let Some(row) = self.design.rows.get(*index as usize).filter(|row| counts(self.folds.of(row.prompt))) {
                let difference = difference / temperature;
                let probability = davidson(difference, *log_tie);
                predictions.push((*index, Prediction { difference, probability, outcome: row.outcome }));
            }
        }
        predictions
    }

    /// Held-out predictions with the setting and temperature that the *other* folds prefer, so that choosing them does not flatter the
    /// figures; in the order of rows.
    pub(super) fn honest_predictions(&self, all: &[HeldOut]) -> Vec<(u32, Prediction)> {
        let fold = |fold: usize| {
            let others = |other: usize| other != fold;
            let best = self.best(all, others)?;
            Some(self.predictions(best, self.temperature(best, others), |other| other == fold))
        };
        let mut predictions: Vec<(u32, Prediction)> = (0..self.folds.n).filter_map(fold).flatten().collect();
        predictions.sort_by_key(|(row, _)| *row);
        predictions
    }
}

/// The state of a search.
struct Search<'a> {
    tuning: &'a Tuning<'a>,
    /// Models of the best setting, fold by fold: the next fits start there.
    starts: Vec<Fitted>,
    /// Place of the best setting.
    best: usize,
    all: Vec<HeldOut>,
}

impl Search<'_> {
    fn best(&self) -> Option<Setting> {
        self.all.get(self.best).map(|best| best.tried.setting)
    }

    /// Tries a setting that was not tried before; returns its loss.
    fn attempt(&mut self, setting: Setting, rule: Rule) -> f64 {
        if let Some(known) = self.all.iter().find(|known| known.tried.setting == setting) {
            return known.tried.loss;
        }
        let (held_out, fitted) = self.tuning.attempt(&setting, rule, &self.starts);
        let loss = held_out.tried.loss;
        self.all.push(held_out);
        let next = self.all.len() - 1;
        if next == 0 || self.tuning.is_better(&self.all, self.best, next, |_| true) {
            (self.best, self.starts) = (next, fitted);
        }
        loss
    }

    /// Varies one kind of weight around the best setting. A kind that is not used is tried from the strongest penalty on until it gets
    /// worse; of one that is used the neighbouring strengths are tried, and to do without.
    fn vary(&mut self, strengths: &[f64], get: impl Fn(&Setting) -> Option<f64>, set: impl Fn(Setting, Option<f64>) -> Setting) {
        let Some(from) = self.best() else { return };
        let base = self.best;
        let Some(present) = get(&from).and_then(|present| strengths.iter().position(|strength| *strength == present)) else {
            let mut lowest = f64::INFINITY;
            for strength in strengths {
                let loss = self.attempt(set(from, Some(*strength)), Rule::Over(base));
                if loss > lowest {
                    break;
                }
                lowest = loss;
            }
            return;
        };
        for next in [present.checked_sub(1), Some(present + 1)].into_iter().flatten().filter_map(|next| strengths.get(next)) {
            self.attempt(set(from, Some(*next)), Rule::Lower);
        }
        self.attempt(set(self.best().unwrap_or(from), None), Rule::Simpler);
    }
}
