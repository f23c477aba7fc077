//! What to ask people next. Three ways together, because each fails alone:
//!
//! 1. **Information**: the task whose answer would tell the model most, by the spread of its ensemble.
//! 2. **Diversity**: what was chosen before is taken as answered, so that of many tasks that are alike one is asked.
//! 3. **A random floor**: a share of the tasks is drawn with no regard to the model, for what the model does not know that it does not know;
//!    and as the yardstick by which [`lift`] measures what choosing brings.

pub mod lift;

use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::features::Features;
use crate::reward::model::RewardModel;
use crate::uncertainty::{mutual_information, normalised_entropy};

/// How a batch is put together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Tasks to choose.
    pub batch: usize,
    /// Share of them that is drawn at random, 0 to 1.
    pub random_share: f64,
    /// The same seed and pool give the same batch.
    pub seed: u64,
}

/// How a task came into a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Its answer is expected to tell the model most, given the ones chosen before it.
    Informative,
    /// It was drawn at random.
    Random,
}

/// A comparison as an ensemble sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What the answer is expected to tell about the model, in nats: mutual information of outcome and member (BALD: Houlsby and others 2011).
    pub information: f64,
    /// How open the outcome is, 0 to 1: entropy of the mean prediction over win, tie and loss, divided by ln 3.
    pub uncertainty: f64,
    /// Variance of the score difference over the members.
    variance: f64,
    /// Fisher information of one answer about the score difference.
    precision: f64,
    /// The pair in the model's own columns, of length 1; empty when the model sees no difference.
    direction: Vec<(u64, f64)>,
}

impl View {
    /// How the members see a comparison; `None` for a model without members.
    #[must_use]
    pub fn of(model: &RewardModel, a: &Features, b: &Features) -> Option<Self> {
        Self::for_retailer(model, a, b, None)
    }

    /// The same for a retailer, whose part of the model then takes part.
    #[must_use]
    pub fn for_retailer(model: &RewardModel, a: &Features, b: &Features, retailer: Option<&str>) -> Option<Self> {
        let opinions = model.opinions(a, b, retailer);
        let n = opinions.outcomes.len() as f64;
        if n < 2.0 {
            return None;
        }
        let rows: Vec<Vec<f64>> = opinions.outcomes.iter().map(|outcome| vec![outcome.a, outcome.tie, outcome.b]).collect();
        let mut mean = [0.0; 3];
        rows.iter().flat_map(|row| row.iter().enumerate()).for_each(|(place, p)| mean[place] += p / n);
        let centre = opinions.differences.iter().sum::<f64>() / n;
        let variance = opinions.differences.iter().map(|d| (d - centre).powi(2)).sum::<f64>() / (n - 1.0);
        let length = opinions.direction.iter().map(|(_, d)| d * d).sum::<f64>().sqrt();
        let direction = opinions.direction.into_iter().map(|(column, d)| (u64::from(column), d / length)).collect();
        Some(Self {
            information: mutual_information(&rows),
            uncertainty: normalised_entropy(&mean),
            variance,
            // Davidson's model: a quarter of the variance of (a won) less (b won).
            precision: (((mean[0] + mean[2]) - (mean[0] - mean[2]).powi(2)) / 4.0).max(0.0),
            direction,
        })
    }

    /// The same view, of the model with this number in a pool that several models look at: what different models see is not alike.
    #[must_use]
    pub fn of_model(mut self, number: u32) -> Self {
        let offset = u64::from(number) << 32;
        self.direction.iter_mut().for_each(|(column, _)| *column |= offset);
        self
    }
}

/// A task of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Place in the pool.
    pub index: usize,
    /// How it came in.
    pub arm: Arm,
    /// Nats that its answer is expected to add to those of the informative ones before it.
    pub gain: f64,
}

/// Chooses a batch from a pool, first to be asked first; all of a pool that is no larger than the batch. The random ones stand evenly among
/// the others, so that a batch that is asked in part has the same share.
///
/// The informative ones maximise the information that their answers give together under a Gaussian approximation of the model: score
/// differences vary as in the ensemble, and are correlated as far as their pairs point the same way, which is their correlation under the
/// penalty alone. (Sixteen members are too few to measure correlations.) Taking the best next one reaches at least 1 - 1/e of the best batch
/// (Nemhauser, Wolsey and Fisher 1978; Krause, Singh and Guestrin 2008).
#[must_use]
pub fn choose(pool: &[View], rules: &Rules) -> Vec<Pick> {
    let batch = rules.batch.min(pool.len());
    let n_random = ((batch as f64 * rules.random_share.clamp(0.0, 1.0)).ceil() as usize).min(batch);
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(rules.seed));
    let drawn: Vec<usize> = order.drain(..n_random).collect();
    order.sort_unstable();
    let mut state = Greedy::new(pool);
    let mut informative = state.take(order, batch - n_random).into_iter();
    let mut random = drawn.into_iter();
    let is_random = |place: usize| (place + 1) * n_random / batch.max(1) > place * n_random / batch.max(1);
    (0..batch)
        .filter_map(|place| {
            if is_random(place) {
                let index = random.next()?;
                return Some(Pick { index, arm: Arm::Random, gain: state.gain(index) });
            }
            let (index, gain) = informative.next()?;
            Some(Pick { index, arm: Arm::Informative, gain })
        })
        .collect()
}

/// Conditional variances while answers are taken as given: the partial Cholesky decomposition of the covariance.
struct Greedy<'a> {
    pool: &'a [View],
    /// Directions of the pool, in columns without gaps.
    directions: Vec<Vec<(usize, f64)>>,
    columns: usize,
    left: Vec<f64>,
    /// Rows of the decomposition, one a pick.
    rows: Vec<Vec<f64>>,
}

impl<'a> Greedy<'a> {
    fn new(pool: &'a [View]) -> Self {
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut place = |column: u64| {
            let next = places.len();
            *places.entry(column).or_insert(next)
        };
        let directions = pool.iter().map(|view| view.direction.iter().map(|(column, d)| (place(*column), *d)).collect()).collect();
        let columns = places.len();
        Self { pool, directions, columns, left: pool.iter().map(|view| view.variance).collect(), rows: Vec::new() }
    }

    fn gain(&self, index: usize) -> f64 {
        0.5 * (self.left[index].max(0.0) * self.pool[index].precision).ln_1p()
    }

    fn take(&mut self, mut open: Vec<usize>, wanted: usize) -> Vec<(usize, f64)> {
        let mut dense = vec![0.0; self.columns];
        let mut taken = Vec::with_capacity(wanted);
        while taken.len() < wanted {
            let best = open.iter().enumerate().map(|(place, index)| (place, *index, self.gain(*index)));
            let Some((place, index, gain)) = best.reduce(|best, next| if next.2 > best.2 { next } else { best }) else { break };
            open.swap_remove(place);
            taken.push((index, gain));
            self.condition(index, &mut dense);
        }
        taken
    }

    /// Takes the answer to one comparison as given.
    fn condition(&mut self, chosen: usize, dense: &mut [f64]) {
        let picked = &self.pool[chosen];
        if picked.precision <= 0.0 || picked.variance <= 0.0 {
            return;
        }
        self.directions[chosen].iter().for_each(|(column, d)| dense[*column] = *d);
        let total = (self.left[chosen] + picked.precision.recip()).sqrt();
        let explained: Vec<f64> = self.rows.iter().map(|row| row[chosen]).collect();
        let row: Vec<f64> = self
            .pool
            .iter()
            .enumerate()
            .map(|(index, view)| {
                let alike = || self.directions[index].iter().map(|(column, d)| d * dense[*column]).sum();
                let likeness: f64 = if index == chosen { 1.0 } else { alike() };
                let known: f64 = self.rows.iter().zip(&explained).map(|(row, own)| row[index] * own).sum();
                ((picked.variance * view.variance).sqrt() * likeness - known) / total
            })
            .collect();
        self.left.iter_mut().zip(&row).for_each(|(left, part)| *left -= part * part);
        self.directions[chosen].iter().for_each(|(column, _)| dense[*column] = 0.0);
        self.rows.push(row);
    }
}

#[cfg(test)]
#[path = "selection/tests.rs"]
mod tests;
