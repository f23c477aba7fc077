//! What a reward model does not know: the same model fitted many times, each time to prompts drawn with replacement (Efron 1979) and pulled
//! to another draw from the prior (randomised priors: Osband, Aslanides and Cassirer 2018). Where there are many pairs the members agree;
//! where there are none they differ as much as the penalty allows, also about words that no pair has shown. Without the draws all members
//! would agree on 0 there, and the model would look surest where it knows least.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Outcome;
use super::design::{Design, NUMBERS, RETAILER_NUMBERS, Row};
use super::likelihood::{Fitted, LARGE, Precision, Problem, Sample, davidson, fit_together, information};
use super::model::RewardModel;
use super::pairs::{damped, differences};
use super::parallel;
use super::progress::Steps;
use super::setting::Setting;
use super::training::MOST_TUNED;
use crate::features::Features;
use crate::features::hashed::Group;

/// Members of an ensemble: enough that the spread of their scores is known to about a sixth.
pub const MEMBERS: usize = 16;

/// Members that are fitted by the same readings of the rows; [`MEMBERS`] are a multiple.
const TOGETHER: usize = 4;

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

/// Fits the members beside a model that was fitted to all rows; they hold the columns that the model names. Weights are divided by the
/// temperature, as the model's are. The parts of retailers are fitted with each member, but a member keeps its shared weights only.
pub(super) fn members(
    design: &Design,
    setting: &Setting,
    temperature: f64,
    model: &Fitted,
    seed: u64,
    steps: &mut Steps<'_>,
) -> Vec<Member> {
    let numbers = design.columns[NUMBERS].len();
    let shared = design.columns[RETAILER_NUMBERS].start;
    let mut kept: Vec<usize> = (0..shared).filter(|column| model.weights.get(*column).is_some_and(|weight| *weight != 0.0)).collect();
    // Numbers in their order, which have no bucket, then words by bucket: as the model names them.
    kept.sort_by_key(|column| design.bucket(*column));
    let prompts = design.rows.iter().map(|row| row.prompt + 1).max().unwrap_or(0);
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x656e_7365_6d62_6c65);
    let mut draw = || {
        let mut times = vec![0_u32; prompts as usize];
        for _ in 0..prompts {
            if let Some(times) = times.get_mut(random.random_range(0..prompts) as usize) {
                *times += 1;
            }
        }
        times
    };
    let (information, deviations) = (information(design, setting), setting.deviations());
    let precision = if design.rows.len() > MOST_TUNED { Precision::MEMBER } else { Precision::RANKING };
    let prepare = |(member, times): (usize, Vec<u32>)| {
        let drawn = |(row, index): (&Row, u32)| {
            let times = times.get(row.prompt as usize).copied().filter(|times| *times > 0)?;
            Some((index, row.weight * f64::from(times)))
        };
        let sample: Sample = design.rows.iter().zip(0..).filter_map(drawn).collect();
        // Words are known by their bucket, so that words that no pair has shown can be drawn the same way when they come.
        let name = |column: usize| design.bucket(column).map_or(u64::MAX - column as u64, u64::from);
        let centre: Vec<f64> = (0..design.width()).map(|column| standard_normal(member, name(column))).collect();
        // Near the end from the start: where a weight is known by itself, the prior's draw pulls it by its share of what is known.
        let mut start = model.clone();
        for (segment, deviation) in deviations.iter().enumerate() {
            for column in design.columns[segment].clone() {
                start.weights[column] += deviation * centre[column] / (1.0 + information[column]);
            }
        }
        (sample, start, centre)
    };
    let named = |fitted: Fitted| {
        let weights: Vec<(usize, f32)> = kept.iter().map(|column| (*column, rounded(fitted.weights[*column] / temperature))).collect();
        let part =
            |of_words: bool| weights.iter().filter(|(column, _)| (*column >= numbers) == of_words).map(|(_, weight)| *weight).collect();
        Member { numbers: part(false), words: part(true), log_tie: rounded(fitted.log_tie) }
    };
    let some = |draws: [(usize, Vec<u32>); TOGETHER]| {
        let prepared = draws.map(prepare);
        let problems = prepared.each_ref().map(|(sample, start, centre)| Problem { sample, start, centre });
        fit_together(design, setting, problems, precision).map(named)
    };
    let mut all = Vec::with_capacity(MEMBERS);
    // Fits to many rows share the cores among themselves.
    let at_once = if design.rows.len() < LARGE { MEMBERS } else { TOGETHER };
    for first in (0..MEMBERS).step_by(at_once) {
        steps.at(first as f64 / MEMBERS as f64, "fitting the ensemble");
        let batch = (first..first + at_once).step_by(TOGETHER).map(|first| std::array::from_fn(|place| (first + place, draw()))).collect();
        all.extend(parallel::map(batch, some).into_iter().flatten());
    }
    all
}

/// Four decimal places are far below what members differ by, and take half the room of a full number where models are stored.
fn rounded(weight: f64) -> f32 {
    ((weight * 1e4).round() / 1e4) as f32
}

/// Columns of a direction for numbers that a model does not know.
const NEW_COLUMNS: u64 = 1 << 24;

/// How a model and its members see one comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinions {
    /// Each member's score difference, a less b.
    pub differences: Vec<f64>,
    /// What each member says of the outcome.
    pub outcomes: Vec<Outcome>,
    /// The pair as the penalty sees it, each part times the deviation that is expected of its weight, so that the cosine of two pairs is their
    /// correlation before any pair was seen: differences of its numbers in their typical size, then of word buckets, then of numbers that it does not
    /// know; sorted by column, no zeros.
    pub direction: Vec<(u32, f64)>,
}

impl RewardModel {
    /// What the members say of a comparison; empty for a model that was stored without members. A retailer's part is the model's own, since
    /// members have none.
    #[must_use]
    pub fn opinions(&self, a: &Features, b: &Features, retailer: Option<&str>) -> Opinions {
        let value = |features: &Features, place: usize| {
            let number = &self.numbers[place];
            features.numbers.get(number.name.as_str()).map_or(0.0, |value| (damped(*value) - number.centre) / number.scale)
        };
        let numbers = (0..self.numbers.len()).map(|place| (place as u32, value(a, place) - value(b, place)));
        let first_word = self.numbers.len() as u32;
        let is_used = |bucket: u32| Group::of(bucket).and_then(|group| self.setting.of(group)).is_some();
        let words = differences(&a.words, &b.words).filter(|(bucket, _)| is_used(*bucket));
        let direction: Vec<(u32, f64)> =
            numbers.filter(|(_, d)| *d != 0.0).chain(words.map(|(bucket, d)| (first_word + bucket, f64::from(d)))).collect();
        let places: BTreeMap<u32, usize> = self.words.keys().copied().zip(0..).collect();
        let deviation = |bucket: u32| {
            let strength = Group::of(bucket).and_then(|group| self.setting.of(group));
            strength.map_or(0.0, |strength| strength.sqrt().recip() / self.temperature)
        };
        // What every member has in common.
        let own = retailer.and_then(|retailer| self.retailers.get(retailer)).map_or(0.0, |own| {
            let weight = |column: u32| match self.numbers.get(column as usize) {
                Some(number) => own.numbers.get(&number.name).copied(),
                None => own.words.get(&(column - first_word)).copied(),
            };
            direction.iter().map(|(column, d)| weight(*column).unwrap_or(0.0) * d).sum()
        });
        // Numbers that the model does not know: each differs by its typical difference, by weights that members draw.
        let new = self.new_differences(a, b);
        let number = self.setting.numbers.sqrt().recip() / self.temperature;
        // Looked up once for all members: the place of a known word, or its prior deviation.
        let parts: Vec<(u32, f64, Option<usize>, f64)> = direction
            .iter()
            .map(|(column, d)| match column.checked_sub(first_word) {
                None => (*column, *d, Some(*column as usize), 0.0),
                Some(bucket) => (*column, *d, places.get(&bucket).copied(), deviation(bucket)),
            })
            .collect();
        let difference = |(index, member): (usize, &Member)| -> f64 {
            let weight = |(column, d, place, deviation): &(u32, f64, Option<usize>, f64)| {
                let list = if *column < first_word { &member.numbers } else { &member.words };
                let known = place.and_then(|place| list.get(place)).copied().map(f64::from);
                d * known.unwrap_or_else(|| standard_normal(index, u64::from(column.saturating_sub(first_word))) * deviation)
            };
            let of_new = new.iter().map(|(name, d)| d * standard_normal(index, *name) * number);
            own + parts.iter().map(weight).sum::<f64>() + of_new.sum::<f64>()
        };
        let differences: Vec<f64> = self.members.iter().enumerate().map(difference).collect();
        let outcomes = differences.iter().zip(&self.members).map(|(d, member)| davidson(*d, f64::from(member.log_tie))).collect();
        let expected = |column: u32| column.checked_sub(first_word).map_or(number, deviation);
        let known = direction.into_iter().map(|(column, d)| (column, d * expected(column)));
        // Behind all buckets, by a part of their name: two that share a place look a little more alike than they are.
        let last = first_word + Group::ALL.iter().map(|group| group.buckets().end).max().unwrap_or(0);
        let mut unknown: Vec<(u32, f64)> = new.iter().map(|(name, d)| (last + (name % NEW_COLUMNS) as u32, d * number)).collect();
        unknown.sort_by_key(|(column, _)| *column);
        unknown.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        let direction = known.chain(unknown.into_iter().filter(|(_, d)| *d != 0.0)).collect();
        Opinions { differences, outcomes, direction }
    }
}

/// A draw from the standard normal distribution that belongs to a member and a name, the same each time: SplitMix64 (Steele, Lea and Flood
/// 2014) for the bits, Box and Muller (1958) for the shape.
pub(super) fn standard_normal(member: usize, name: u64) -> f64 {
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
