//! How sure a model's probabilities are: their bootstrap standard errors (Efron 1979) over the members of its ensemble, for all pairs of a few
//! candidates at once.

use std::collections::BTreeSet;

use super::ensemble::{Member, standard_normal};
use super::likelihood::davidson;
use super::model::RewardModel;
use super::pairs::damped;
use crate::features::Features;
use crate::features::hashed::Group;

/// Where a model's members keep which word; made once for each loaded model, because a model may know many thousands.
#[derive(Debug, Clone)]
pub struct WordPlaces(Vec<u32>);

/// Differences below this share of a number's size are rounding; as in training.
const RELATIVE_ROUNDING: f64 = 1e-6;

/// A feature of which the candidates have different amounts.
struct Difference {
    /// Amount and place of each candidate that has it.
    amounts: Vec<(usize, f64)>,
    feature: Feature,
    /// What the retailer's own part adds to each member's weight.
    own: f64,
}

enum Feature {
    Number(usize),
    KnownWord(usize),
    /// What no pair has shown: a name for its draws, and how far weights of its kind are expected to lie from 0.
    New(u64, f64),
}

impl Difference {
    fn amount(&self, candidate: usize) -> f64 {
        self.amounts.iter().find(|(of, _)| *of == candidate).map_or(0.0, |(_, amount)| *amount)
    }
}

impl RewardModel {
    /// The places of this model's words.
    #[must_use]
    pub fn word_places(&self) -> WordPlaces {
        WordPlaces(self.words.keys().copied().collect())
    }

    /// Standard deviation over the members of the probability that `row` is preferred to `column`, half of a tie counted for each; 0 on the
    /// diagonal, and absent where nothing that the model could know of tells the two apart: then members agree because none knows anything.
    /// Words and numbers that no pair has shown are drawn from the prior of their kind, such a number as if it differed by its typical
    /// difference. Empty for a model that was stored without members.
    #[must_use]
    pub fn standard_errors(&self, places: &WordPlaces, candidates: &[Features], retailer: Option<&str>) -> Vec<Vec<Option<f64>>> {
        let n_members = self.members.len();
        if n_members < 2 {
            return Vec::new();
        }
        let different = self.differing(places, candidates, retailer);
        let of_member = |(index, member): (usize, &Member)| {
            let mut scores = vec![0.0; candidates.len()];
            for Difference { amounts, feature, own } in &different {
                let weight = own
                    + match feature {
                        Feature::Number(place) => member.numbers.get(*place).copied().map_or(0.0, f64::from),
                        Feature::KnownWord(place) => member.words.get(*place).copied().map_or(0.0, f64::from),
                        Feature::New(name, deviation) => standard_normal(index, *name) * deviation,
                    };
                amounts.iter().for_each(|(candidate, amount)| scores[*candidate] += weight * amount);
            }
            (scores, f64::from(member.log_tie))
        };
        let members: Vec<(Vec<f64>, f64)> = self.members.iter().enumerate().map(of_member).collect();
        let spread = |a: usize, b: usize| {
            let wins = members.iter().map(|(scores, log_tie)| {
                let outcome = davidson(scores[a] - scores[b], *log_tie);
                outcome.a + outcome.tie / 2.0
            });
            let (sum, squares) = wins.fold((0.0, 0.0), |(sum, squares), win| (sum + win, squares + win * win));
            let n = n_members as f64;
            ((squares - sum * sum / n).max(0.0) / (n - 1.0)).sqrt()
        };
        let is_told_apart = |a: usize, b: usize| different.iter().any(|one| one.amount(a) != one.amount(b));
        // Asked in one order, so that both places of a pair hold the same bits.
        let of_pair = |a: usize, b: usize| match a == b {
            true => Some(0.0),
            false => is_told_apart(a, b).then(|| spread(a.max(b), a.min(b))),
        };
        (0..candidates.len()).map(|a| (0..candidates.len()).map(|b| of_pair(a, b)).collect()).collect()
    }

    /// The features that tell the candidates apart: what all have alike cancels in each comparison.
    fn differing(&self, places: &WordPlaces, candidates: &[Features], retailer: Option<&str>) -> Vec<Difference> {
        let own = retailer.and_then(|retailer| self.retailers.get(retailer));
        let is_alike = |amounts: &[(usize, f64)]| {
            let first = amounts.first().map(|(_, amount)| *amount);
            amounts.len() == candidates.len() && amounts.iter().all(|(_, amount)| Some(*amount) == first)
        };
        let mut all = Vec::new();
        for (place, number) in self.numbers.iter().enumerate() {
            let amount = |features: &Features| Some((damped(*features.numbers.get(number.name.as_str())?) - number.centre) / number.scale);
            let amounts: Vec<(usize, f64)> =
                candidates.iter().enumerate().filter_map(|(candidate, features)| Some((candidate, amount(features)?))).collect();
            if !is_alike(&amounts) {
                let own = own.and_then(|own| own.numbers.get(&number.name)).copied().unwrap_or(0.0);
                all.push(Difference { amounts, feature: Feature::Number(place), own });
            }
        }
        let deviation = self.setting.numbers.sqrt().recip() / self.temperature;
        for name in self.new_numbers(candidates.iter()) {
            let values: Vec<Option<f64>> = candidates.iter().map(|features| features.numbers.get(name).copied().map(damped)).collect();
            let amounts = typical(&values);
            if !is_alike(&amounts) {
                all.push(Difference { amounts, feature: Feature::New(draws_of(name), deviation), own: 0.0 });
            }
        }
        let mut words: Vec<(u32, usize, f64)> = candidates
            .iter()
            .enumerate()
            .flat_map(|(candidate, features)| features.words.iter().map(move |word| (word.bucket, candidate, f64::from(word.value))))
            .collect();
        words.sort_unstable_by_key(|(bucket, candidate, _)| (*bucket, *candidate));
        for group in words.chunk_by(|a, b| a.0 == b.0) {
            let Some((bucket, ..)) = group.first().copied() else { continue };
            let Some(strength) = Group::of(bucket).and_then(|group| self.setting.of(group)) else { continue };
            let amounts: Vec<(usize, f64)> = group.iter().map(|(_, candidate, amount)| (*candidate, *amount)).collect();
            if is_alike(&amounts) {
                continue;
            }
            let feature = match places.0.binary_search(&bucket) {
                Ok(place) => Feature::KnownWord(place),
                Err(_) => Feature::New(u64::from(bucket), strength.sqrt().recip() / self.temperature),
            };
            let own = own.and_then(|own| own.words.get(&bucket)).copied().unwrap_or(0.0);
            all.push(Difference { amounts, feature, own });
        }
        all
    }

    /// Of two candidates, the first less the second in each number that this model does not know, in its typical difference, with the name
    /// of its draws.
    pub(super) fn new_differences(&self, a: &Features, b: &Features) -> Vec<(u64, f64)> {
        let difference = |name: &str| {
            let values = [a, b].map(|features| features.numbers.get(name).copied().map(damped));
            let amounts = typical(&values);
            let amount = |candidate: usize| amounts.iter().find(|(of, _)| *of == candidate).map_or(0.0, |(_, amount)| *amount);
            (draws_of(name), amount(0) - amount(1))
        };
        self.new_numbers([a, b].into_iter()).into_iter().map(difference).filter(|(_, difference)| *difference != 0.0).collect()
    }

    /// Names of numbers that some candidate has and this model does not know.
    fn new_numbers<'a>(&self, candidates: impl Iterator<Item = &'a Features>) -> BTreeSet<&'a str> {
        let is_known = |name: &str| self.numbers.binary_search_by(|number| number.name.as_str().cmp(name)).is_ok();
        candidates.flat_map(|features| features.numbers.keys()).map(AsRef::as_ref).filter(|name| !is_known(name)).collect()
    }
}

/// Amounts of a number whose typical difference is not known: the widest difference between two of the candidates counts as one. What one has
/// and another lacks differs by half of it at least.
fn typical(values: &[Option<f64>]) -> Vec<(usize, f64)> {
    let present = || values.iter().enumerate().filter_map(|(candidate, value)| Some((candidate, (*value)?)));
    let low = present().map(|(_, value)| value).fold(f64::INFINITY, f64::min);
    let high = present().map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
    let (range, is_everywhere) = (high - low, present().count() == values.len());
    let is_rounding = range <= RELATIVE_ROUNDING * high.abs().max(low.abs());
    let share = |value: f64| if is_rounding { 1.0 } else { (value - low) / range };
    present().map(|(candidate, value)| (candidate, if is_everywhere { share(value) } else { (1.0 + share(value)) / 2.0 })).collect()
}

/// The name under which members draw the weight of a new number: FNV-1a (Fowler, Noll and Vo) of its name, far from those of words.
fn draws_of(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash | (1 << 63)
}
