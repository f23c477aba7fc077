//! A model card: how good predictions of unseen pairs are, with intervals, for whom, how far they follow length, and whether they are better
//! than others on the same pairs. All intervals are percentile bootstraps over prompts (Efron 1979): pairs of one prompt are not independent,
//! so whole prompts are drawn.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::metrics::{Baseline, CALIBRATION_BINS, Metrics, Prediction, baselines_of, bin_of, measure};
use crate::intervals::{Interval, percentile_interval};

/// Resamples behind each interval.
pub const REPLICATES: usize = 1_000;

/// Share of resamples within an interval.
const LEVEL: f64 = 0.95;

/// A predicted pair with all that a card tells apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardRow {
    /// What was predicted and what people said.
    pub prediction: Prediction,
    /// Characters of a's text less those of b's.
    pub longer: f64,
    /// Pairs of one prompt are drawn together.
    pub prompt_key: String,
    /// Kind of task, where known.
    pub task_type: Option<String>,
    /// Retailer, where known.
    pub retailer: Option<String>,
}

/// Figures of a set of pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The figures.
    pub metrics: Metrics,
    /// Different prompts: what the intervals rest on.
    pub n_prompts: usize,
    /// 95 % interval of the strict accuracy; `None` with fewer than two prompts.
    pub accuracy: Option<Interval>,
    /// Of the accuracy with equal scores as half.
    pub accuracy_ties_half: Option<Interval>,
    /// Of the log loss on decided pairs.
    pub log_loss: Option<Interval>,
    /// Of the Brier score.
    pub brier: Option<Interval>,
    /// Of the expected calibration error. Chance alone makes that larger than 0, in a resample more than in the sample.
    pub calibration_error: Option<Interval>,
    /// Of the log loss with ties.
    pub log_loss_with_ties: Option<Interval>,
}

/// Pairs that were predicted about alike; each decided pair is entered in both orders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Exclusive lower end of the predicted probability (inclusive for the first bin).
    pub above: f64,
    /// Inclusive upper end.
    pub to: f64,
    /// Entries.
    pub n: usize,
    /// Their mean prediction.
    pub predicted: Option<f64>,
    /// The share that came true.
    pub observed: Option<f64>,
}

/// How far a model follows length, beside people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LengthBias {
    /// Decided pairs of different length.
    pub n: usize,
    /// Share of them in which the model gives the longer one the higher score; equal scores count half.
    pub model_prefers_longer: Option<f64>,
    /// Share in which people preferred the longer one.
    pub people_prefer_longer: Option<f64>,
    /// Pearson's correlation of score difference with length difference, over all pairs.
    pub correlation: Option<f64>,
}

/// All figures of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// All pairs.
    pub all: Figures,
    /// Reliability of P(a | no tie).
    pub bins: Vec<Bin>,
    /// By kind of task.
    pub by_task_type: BTreeMap<String, Figures>,
    /// By retailer.
    pub by_retailer: BTreeMap<String, Figures>,
    /// Beside people's own leaning to length.
    pub length_bias: LengthBias,
    /// Simple rules on the same pairs.
    pub baselines: Vec<Baseline>,
    /// The model less "the longer text wins".
    pub against_longer: Comparison,
}

/// A figure of one model less that of another, on the same pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// First less second.
    pub value: f64,
    /// 95 % interval of the paired bootstrap; `None` with fewer than two prompts.
    pub interval: Option<Interval>,
}

/// Two models on the same pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Pairs.
    pub n_pairs: usize,
    /// Decided pairs.
    pub n_decided: usize,
    /// Prompts.
    pub n_prompts: usize,
    /// Accuracy with equal scores as half: positive is better.
    pub accuracy: Option<Difference>,
    /// Log loss on decided pairs: negative is better.
    pub log_loss: Option<Difference>,
}

/// Why two models cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} predictions are not of the same pairs")]
pub struct NotTheSamePairs {
    /// Predictions of the first model.
    pub first: usize,
    /// Predictions of the second model.
    pub second: usize,
}

/// The card of predictions; the same rows and seed give the same card.
#[must_use]
pub fn card(rows: &[CardRow], seed: u64) -> Card {
    let all: Vec<&CardRow> = rows.iter().collect();
    let slices = |of: fn(&CardRow) -> Option<&String>| {
        let mut slices: BTreeMap<String, Vec<&CardRow>> = BTreeMap::new();
        for row in rows {
            if let Some(name) = of(row) {
                slices.entry(name.clone()).or_default().push(row);
            }
        }
        slices.into_iter().map(|(name, rows)| (name, figures(&rows, seed))).collect()
    };
    let lengths: Vec<(f64, Option<bool>)> = rows.iter().map(|row| (row.longer, row.prediction.outcome.winner_is_a())).collect();
    Card {
        all: figures(&all, seed),
        bins: bins(&all),
        by_task_type: slices(|row| row.task_type.as_ref()),
        by_retailer: slices(|row| row.retailer.as_ref()),
        length_bias: length_bias(rows),
        baselines: baselines_of(&lengths),
        against_longer: paired(rows, &longer_wins(rows), seed),
    }
}

/// What "the longer text wins" says of the same pairs; it gives no probabilities, so a coin's stand in their place.
#[must_use]
pub fn longer_wins(rows: &[CardRow]) -> Vec<Prediction> {
    let coin = super::Outcome { a: 0.5, tie: 0.0, b: 0.5 };
    rows.iter().map(|row| Prediction { difference: row.longer, probability: coin, outcome: row.prediction.outcome }).collect()
}

/// The model of `rows` less another model, whose predictions of the same pairs stand in the same order. A model that was trained on these
/// pairs has an advantage that it will not have on others.
///
/// # Errors
/// When the predictions cannot be of the same pairs.
pub fn compare(rows: &[CardRow], other: &[Prediction], seed: u64) -> Result<Comparison, NotTheSamePairs> {
    let is_same = rows.len() == other.len() && rows.iter().zip(other).all(|(row, other)| row.prediction.outcome == other.outcome);
    if !is_same {
        return Err(NotTheSamePairs { first: rows.len(), second: other.len() });
    }
    Ok(paired(rows, other, seed))
}

fn paired(rows: &[CardRow], other: &[Prediction], seed: u64) -> Comparison {
    let mut prompts: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for (row, other) in rows.iter().zip(other) {
        let sums = prompts.entry(&row.prompt_key).or_default();
        if let (Some(first), Some(second)) = (Decided::of(&row.prediction), Decided::of(other)) {
            *sums = [sums[0] + 1.0, sums[1] + first.half - second.half, sums[2] + first.loss - second.loss];
        }
    }
    let prompts: Vec<[f64; 3]> = prompts.into_values().collect();
    let mean = |sums: [f64; 3], which: usize| (sums[0] > 0.0).then(|| sums[which] / sums[0]);
    let total = prompts.iter().fold([0.0; 3], plus);
    let resamples = resample(prompts.len(), seed, |drawn| drawn.iter().filter_map(|place| prompts.get(*place)).fold([0.0; 3], plus));
    let difference = |which: usize| {
        let value = mean(total, which)?;
        Some(Difference { value, interval: interval(resamples.iter().filter_map(|sums| mean(*sums, which)).collect()) })
    };
    Comparison {
        n_pairs: rows.len(),
        n_decided: total[0] as usize,
        n_prompts: prompts.len(),
        accuracy: difference(1),
        log_loss: difference(2),
    }
}

/// A decided pair in figures.
struct Decided {
    strict: f64,
    half: f64,
    loss: f64,
    brier: f64,
    /// P(preferred | no tie).
    preferred: f64,
}

impl Decided {
    fn of(prediction: &Prediction) -> Option<Self> {
        let is_a = prediction.outcome.winner_is_a()?;
        let p = prediction.decided_probability();
        let (lead, preferred) = if is_a { (prediction.difference, p) } else { (-prediction.difference, 1.0 - p) };
        let strict = f64::from(u8::from(lead > 0.0));
        let half = if lead == 0.0 { 0.5 } else { strict };
        Some(Self { strict, half, loss: -preferred.max(f64::MIN_POSITIVE).ln(), brier: (1.0 - preferred).powi(2), preferred })
    }
}

/// Decided pairs, their strict and half accuracy, log loss and Brier score; pairs and log loss with ties; then what came true less what was
/// predicted, by bin.
const SUMS: usize = 7 + CALIBRATION_BINS;

fn plus<const N: usize>(mut sums: [f64; N], more: &[f64; N]) -> [f64; N] {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    sums
}

fn figures(rows: &[&CardRow], seed: u64) -> Figures {
    let mut prompts: BTreeMap<&str, [f64; SUMS]> = BTreeMap::new();
    for row in rows {
        let sums = prompts.entry(&row.prompt_key).or_insert([0.0; SUMS]);
        sums[5] += 1.0;
        sums[6] += row.prediction.log_loss_with_ties();
        let Some(decided) = Decided::of(&row.prediction) else { continue };
        for (sum, more) in sums.iter_mut().zip([1.0, decided.strict, decided.half, decided.loss, decided.brier]) {
            *sum += more;
        }
        for (p, happened) in [(decided.preferred, 1.0), (1.0 - decided.preferred, 0.0)] {
            sums[7 + bin_of(p, CALIBRATION_BINS)] += happened - p;
        }
    }
    let prompts: Vec<[f64; SUMS]> = prompts.into_values().collect();
    let resamples = resample(prompts.len(), seed, |drawn| drawn.iter().filter_map(|place| prompts.get(*place)).fold([0.0; SUMS], plus));
    let of = |which: usize, among: usize| {
        interval(resamples.iter().filter(|sums| sums[among] > 0.0).map(|sums| sums[which] / sums[among]).collect())
    };
    let error = |sums: &[f64; SUMS]| sums[7..].iter().map(|sum| sum.abs()).sum::<f64>() / (2.0 * sums[0]);
    Figures {
        metrics: measure(&rows.iter().map(|row| row.prediction).collect::<Vec<_>>()),
        n_prompts: prompts.len(),
        accuracy: of(1, 0),
        accuracy_ties_half: of(2, 0),
        log_loss: of(3, 0),
        brier: of(4, 0),
        calibration_error: interval(resamples.iter().filter(|sums| sums[0] > 0.0).map(error).collect()),
        log_loss_with_ties: of(6, 5),
    }
}

/// One value for each drawing of `n` prompts with replacement; none for fewer than two.
fn resample<T>(n: usize, seed: u64, value: impl Fn(&[usize]) -> T) -> Vec<T> {
    if n < 2 {
        return Vec::new();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x6361_7264);
    let mut drawn = vec![0; n];
    let one = |_| {
        drawn.iter_mut().for_each(|place| *place = random.random_range(0..n));
        value(&drawn)
    };
    (0..REPLICATES).map(one).collect()
}

fn interval(values: Vec<f64>) -> Option<Interval> {
    percentile_interval(values, LEVEL)
}

fn bins(rows: &[&CardRow]) -> Vec<Bin> {
    let mut sums = [(0_usize, 0.0, 0.0); CALIBRATION_BINS];
    for decided in rows.iter().filter_map(|row| Decided::of(&row.prediction)) {
        for (p, happened) in [(decided.preferred, 1.0), (1.0 - decided.preferred, 0.0)] {
            let (n, predicted, observed) = &mut sums[bin_of(p, CALIBRATION_BINS)];
            (*n, *predicted, *observed) = (*n + 1, *predicted + p, *observed + happened);
        }
    }
    let width = 1.0 / CALIBRATION_BINS as f64;
    let bin = |(place, (n, predicted, observed)): (usize, (usize, f64, f64))| {
        let mean = |sum: f64| (n > 0).then(|| sum / n as f64);
        Bin { above: place as f64 * width, to: (place + 1) as f64 * width, n, predicted: mean(predicted), observed: mean(observed) }
    };
    sums.into_iter().enumerate().map(bin).collect()
}

fn length_bias(rows: &[CardRow]) -> LengthBias {
    let (mut n, mut model, mut people) = (0, 0.0, 0.0);
    for row in rows.iter().filter(|row| row.longer != 0.0) {
        let Some(is_a) = row.prediction.outcome.winner_is_a() else { continue };
        let lead = row.prediction.difference * row.longer.signum();
        n += 1;
        model += if lead == 0.0 { 0.5 } else { f64::from(u8::from(lead > 0.0)) };
        people += f64::from(u8::from(is_a == (row.longer > 0.0)));
    }
    let share = |sum: f64| (n > 0).then(|| sum / n as f64);
    // Every pair in both orders, so that both means are 0 and the order of candidates does not count.
    let (xy, xx, yy) = rows.iter().fold((0.0, 0.0, 0.0), |(xy, xx, yy), row| {
        let (x, y) = (row.prediction.difference, row.longer);
        (xy + x * y, xx + x * x, yy + y * y)
    });
    LengthBias {
        n,
        model_prefers_longer: share(model),
        people_prefer_longer: share(people),
        correlation: (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt()),
    }
}
