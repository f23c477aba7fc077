//! What a reward model does not know: the same model fitted many times, each time to prompts drawn with replacement (Efron 1979) and pulled
//! to another draw from the prior (randomised priors: Osband, Aslanides and Cassirer 2018). Where there are many pairs the members agree;
//! where there are none they differ as much as the penalty allows, also about words that no pair has shown. Without the draws all members
//! would agree on 0 there, and the model would look surest where it knows least.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::design::{Design, Row, damped};
use super::likelihood::{Penalty, davidson};
use super::model::RewardModel;
use super::training::{RANKING_TOLERANCE, fit};
use super::{Example, Outcome};
use crate::features::Features;

/// Members of an ensemble: enough that the spread of their scores is known to about a sixth.
pub const MEMBERS: usize = 16;

/// One member: its own weights for the numbers and words of the model it belongs to, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// As [`RewardModel::numbers`].
    pub numbers: Vec<f32>,
    /// As [`RewardModel::words`], in order of bucket.
    pub words: Vec<f32>,
    /// Natural logarithm of Davidson's tie parameter.
    pub log_tie: f32,
}

/// Fits the members beside a model that was fitted to all rows; `kept` are the columns that the model names. Weights are divided by the
/// temperature, as the model's are.
pub(super) fn members(
    design: &Design,
    examples: &[&Example],
    (l2, with_words, temperature): (f64, bool, f64),
    start: &[f64],
    seed: u64,
) -> Vec<Member> {
    let columns = design.columns(with_words);
    let numbers = design.columns(false);
    let kept: Vec<usize> = (0..columns).filter(|column| start.get(*column).is_some_and(|weight| *weight != 0.0)).collect();
    let mut by_prompt: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for (example, row) in examples.iter().zip(&design.rows) {
        by_prompt.entry(&example.prompt_key).or_default().push(row);
    }
    let prompts: Vec<Vec<&Row>> = by_prompt.into_values().collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x656e_7365_6d62_6c65);
    let member = |member: usize| {
        let rows: Vec<&Row> = (0..prompts.len()).flat_map(|_| prompts[random.random_range(0..prompts.len())].iter().copied()).collect();
        let scale = l2.sqrt().recip();
        let draw = |column: usize| {
            // Words are known by their bucket, so that words that no pair has shown can be drawn the same way when they come.
            let name = design.bucket(column).map_or(u64::MAX - column as u64, u64::from);
            standard_normal(member, name) * scale
        };
        let centre: Vec<f64> = (0..columns).map(draw).collect();
        let mut start: Vec<f64> = start.iter().zip(&centre).map(|(from, to)| if *from == 0.0 { *to } else { *from }).collect();
        start.push(0.0);
        let mut fitted = fit(&rows, with_words, Penalty { l2, centre: &centre }, RANKING_TOLERANCE, start);
        let log_tie = fitted.pop().unwrap_or(0.0) as f32;
        let weights: Vec<(usize, f32)> = kept.iter().map(|column| (*column, (fitted[*column] / temperature) as f32)).collect();
        let part =
            |of_words: bool| weights.iter().filter(|(column, _)| (*column >= numbers) == of_words).map(|(_, weight)| *weight).collect();
        Member { numbers: part(false), words: part(true), log_tie }
    };
    (0..MEMBERS).map(member).collect()
}

/// How a model and its members see one comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinions {
    /// Each member's score difference, a less b.
    pub differences: Vec<f64>,
    /// What each member says of the outcome.
    pub outcomes: Vec<Outcome>,
    /// The pair as the model sees it: differences of its numbers in their typical size, then of word buckets; sorted by column, no zeros.
    pub direction: Vec<(u32, f64)>,
}

impl RewardModel {
    /// What the members say of a comparison; empty for a model that was stored without members.
    #[must_use]
    pub fn opinions(&self, a: &Features, b: &Features) -> Opinions {
        let knows_words = !self.words.is_empty();
        let places: BTreeMap<u32, usize> = self.words.keys().copied().zip(0..).collect();
        let value = |features: &Features, place: usize| {
            let number = &self.numbers[place];
            features.numbers.get(&number.name).map_or(0.0, |value| (damped(*value) - number.centre) / number.scale)
        };
        let numbers = (0..self.numbers.len()).map(|place| (place as u32, value(a, place) - value(b, place)));
        let mut words: BTreeMap<u32, f64> = BTreeMap::new();
        if knows_words {
            for (features, sign) in [(a, 1.0), (b, -1.0)] {
                for (bucket, word) in &features.words {
                    *words.entry(*bucket).or_insert(0.0) += sign * word.value;
                }
            }
        }
        let first_word = self.numbers.len() as u32;
        let direction: Vec<(u32, f64)> =
            numbers.chain(words.into_iter().map(|(bucket, d)| (first_word + bucket, d))).filter(|(_, d)| *d != 0.0).collect();
        let scale = self.l2.sqrt().recip() / self.temperature;
        let difference = |(index, member): (usize, &Member)| -> f64 {
            let weight = |column: u32| {
                let of_number = member.numbers.get(column as usize).copied().filter(|_| column < first_word);
                let of_word = || places.get(&(column - first_word)).and_then(|place| member.words.get(*place)).copied();
                let known = if column < first_word { of_number } else { of_word() };
                known.map_or_else(|| standard_normal(index, u64::from(column.wrapping_sub(first_word))) * scale, f64::from)
            };
            direction.iter().map(|(column, d)| weight(*column) * d).sum()
        };
        let differences: Vec<f64> = self.members.iter().enumerate().map(|pair| difference((pair.0, pair.1))).collect();
        let outcomes = differences.iter().zip(&self.members).map(|(d, member)| davidson(*d, f64::from(member.log_tie))).collect();
        Opinions { differences, outcomes, direction }
    }
}

/// A draw from the standard normal distribution that belongs to a member and a name, the same each time: SplitMix64 (Steele, Lea and Flood
/// 2014) for the bits, Box and Muller (1958) for the shape.
fn standard_normal(member: usize, name: u64) -> f64 {
    let mut state = (member as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95) ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (radius, angle) = ((-2.0 * (1.0 - uniform()).ln()).sqrt(), std::f64::consts::TAU * uniform());
    radius * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_standard_normal_and_unlike_between_members() {
        let draws: Vec<f64> = (0..16).flat_map(|member| (0..5_000).map(move |name| standard_normal(member, name))).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
        let within = draws.iter().filter(|d| d.abs() < 1.959_964).count() as f64 / n;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03 && (within - 0.95).abs() < 0.005, "{mean} {variance} {within}");
        let product: f64 = (0..5_000).map(|name| standard_normal(3, name) * standard_normal(4, name)).sum::<f64>() / 5_000.0;
        assert!(product.abs() < 0.06, "{product}");
    }
}
