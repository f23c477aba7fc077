//! What choosing brings: models trained with as many chosen tasks as drawn ones, tried on drawn tasks that neither has seen. Only drawn
//! tasks stand for all tasks, so nothing else can be the yardstick.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::intervals::Z_95;
use crate::reward::Example;
use crate::reward::metrics::measure as measure_all;
use crate::reward::model::RewardModel;
use crate::reward::setting::Setting;
use crate::reward::training::refit;

/// Fewest judged prompts of each arm.
pub const LEAST_PROMPTS: usize = 30;

/// Resamples behind each figure.
pub const REPLICATES: usize = 40;

/// Most pairs of earlier training data that both models get; a random part of more.
const MOST_EARLIER: usize = 2_000;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Mean over prompts.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Chosen against drawn tasks, at equal numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lift {
    /// Judged prompts that were chosen.
    pub n_informative: usize,
    /// Judged prompts that were drawn.
    pub n_random: usize,
    /// Pairs of earlier training data that both models have.
    pub n_earlier: usize,
    /// Accuracy with chosen tasks; equal scores count half.
    pub accuracy_informative: f64,
    /// Accuracy with drawn tasks.
    pub accuracy_random: f64,
    /// Accuracy gained by choosing.
    pub accuracy_lift: Figure,
    /// Cross entropy (ties included) with chosen tasks, in nats.
    pub log_loss_informative: f64,
    /// Cross entropy with drawn tasks.
    pub log_loss_random: f64,
    /// Nats saved by choosing: positive is better.
    pub log_loss_lift: Figure,
}

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLift {
    /// Too few judged tasks.
    #[error(
        "lift is not known yet: it needs {LEAST_PROMPTS} judged prompts of each kind, and {informative} chosen and {random} drawn ones are judged"
    )]
    TooFew {
        /// Judged prompts that were chosen.
        informative: usize,
        /// Judged prompts that were drawn.
        random: usize,
    },
    /// No judged pair that could be tried was decided.
    #[error("lift is not known: people preferred neither candidate in the drawn tasks that are judged")]
    Undecided,
}

/// Measures the lift by the out-of-bag bootstrap (Efron and Tibshirani 1997): each time, prompts of either arm are drawn with replacement, as
/// many as the smaller arm has; one model learns from the chosen ones, the other from the drawn ones, and both are tried on the drawn prompts
/// that were left out.
///
/// The interval counts two causes of chance, as variance components: which prompts the models are tried on (the spread between prompts of
/// their mean difference), and which they learnt from (the spread between resamples beyond what their own test prompts explain).
///
/// # Errors
/// [`NoLift`] says what is missing.
pub fn measure(earlier: &[Example], informative: &[Example], random: &[Example], setting: Setting, seed: u64) -> Result<Lift, NoLift> {
    let (chosen, drawn) = (by_prompt(informative), by_prompt(random));
    if chosen.len() < LEAST_PROMPTS || drawn.len() < LEAST_PROMPTS {
        return Err(NoLift::TooFew { informative: chosen.len(), random: drawn.len() });
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let earlier: Vec<&Example> = rand::seq::index::sample(&mut generator, earlier.len(), earlier.len().min(MOST_EARLIER))
        .into_iter()
        .map(|index| &earlier[index])
        .collect();
    let (mut accuracy, mut log_loss) = (Compared::new(drawn.len()), Compared::new(drawn.len()));
    for _ in 0..REPLICATES {
        let mut draw =
            |from: usize| -> Vec<usize> { (0..drawn.len().min(chosen.len())).map(|_| generator.random_range(0..from)).collect() };
        let (bag, of_chosen) = (draw(drawn.len()), draw(chosen.len()));
        let learn = |own: &[usize], from: &[Vec<&Example>]| {
            let own = own.iter().flat_map(|index| from[*index].iter().copied());
            refit(&earlier.iter().copied().chain(own).collect::<Vec<_>>(), setting)
        };
        let (by_draw, by_choice) = (learn(&bag, &drawn), learn(&of_chosen, &chosen));
        for prompt in (0..drawn.len()).filter(|prompt| !bag.contains(prompt)) {
            let figures =
                |model: &RewardModel| measure_all(&drawn[prompt].iter().map(|example| model.predict(example)).collect::<Vec<_>>());
            let (chosen, drawn) = (figures(&by_choice), figures(&by_draw));
            accuracy.note(prompt, chosen.accuracy_ties_half, drawn.accuracy_ties_half);
            log_loss.note(prompt, chosen.log_loss_with_ties, drawn.log_loss_with_ties);
        }
        accuracy.end_round();
        log_loss.end_round();
    }
    let (accuracy_means, accuracy_lift) = accuracy.finish().ok_or(NoLift::Undecided)?;
    let (log_loss_means, loss_added) = log_loss.finish().ok_or(NoLift::Undecided)?;
    Ok(Lift {
        n_informative: chosen.len(),
        n_random: drawn.len(),
        n_earlier: earlier.len(),
        accuracy_informative: accuracy_means[0],
        accuracy_random: accuracy_means[1],
        accuracy_lift,
        log_loss_informative: log_loss_means[0],
        log_loss_random: log_loss_means[1],
        log_loss_lift: Figure { value: -loss_added.value, low: -loss_added.high, high: -loss_added.low },
    })
}

/// One figure of both models, prompt by prompt and resample by resample.
struct Compared {
    /// Sums over resamples, by prompt: with chosen tasks, with drawn tasks, how often.
    prompts: Vec<[f64; 3]>,
    /// Differences in the present resample.
    round: Vec<f64>,
    /// Mean difference of each resample, and the variance of that mean that its test prompts explain.
    rounds: Vec<(f64, f64)>,
}

impl Compared {
    fn new(prompts: usize) -> Self {
        Self { prompts: vec![[0.0; 3]; prompts], round: Vec::new(), rounds: Vec::new() }
    }

    fn note(&mut self, prompt: usize, chosen: Option<f64>, drawn: Option<f64>) {
        let (Some(chosen), Some(drawn)) = (chosen, drawn) else { return };
        let sums = &mut self.prompts[prompt];
        (sums[0], sums[1], sums[2]) = (sums[0] + chosen, sums[1] + drawn, sums[2] + 1.0);
        self.round.push(chosen - drawn);
    }

    fn end_round(&mut self) {
        if let Some((mean, variance)) = mean_and_variance(&self.round) {
            self.rounds.push((mean, variance / self.round.len() as f64));
        }
        self.round.clear();
    }

    /// Means with chosen and drawn tasks, and their difference; `None` when hardly a prompt was decided.
    fn finish(self) -> Option<([f64; 2], Figure)> {
        let tried: Vec<[f64; 2]> =
            self.prompts.iter().filter(|sums| sums[2] > 0.0).map(|sums| [sums[0] / sums[2], sums[1] / sums[2]]).collect();
        let mean = |place: usize| tried.iter().map(|means| means[place]).sum::<f64>() / tried.len() as f64;
        let differences: Vec<f64> = tried.iter().map(|means| means[0] - means[1]).collect();
        let (value, between_prompts) = mean_and_variance(&differences)?;
        let (_, between_rounds) = mean_and_variance(&self.rounds.iter().map(|(mean, _)| *mean).collect::<Vec<_>>())?;
        let explained = self.rounds.iter().map(|(_, variance)| variance).sum::<f64>() / self.rounds.len() as f64;
        let error = (between_prompts / differences.len() as f64 + (between_rounds - explained).max(0.0)).sqrt();
        Some(([mean(0), mean(1)], Figure { value, low: value - Z_95 * error, high: value + Z_95 * error }))
    }
}

/// `None` with fewer than two values.
fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (n >= 2.0).then(|| (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)))
}

fn by_prompt(examples: &[Example]) -> Vec<Vec<&Example>> {
    let mut prompts: BTreeMap<&str, Vec<&Example>> = BTreeMap::new();
    for example in examples.iter().filter(|example| example.weight > 0.0) {
        prompts.entry(&example.prompt_key).or_default().push(example);
    }
    prompts.into_values().collect()
}
