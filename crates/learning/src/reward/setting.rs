//! How strongly each kind of weight is held back.

use serde::{Deserialize, Serialize};

use super::design::{FIRST_GROUP, NUMBERS, RETAILER_NUMBERS, RETAILER_WORDS, SEGMENTS};
use crate::features::hashed::Group;

/// Strengths of the L2 penalty, one for each kind of weight: the inverse of the variance that is expected of such a weight before any pair
/// was seen, relative to a mean pair weight of 1. `None` leaves the kind out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Named numbers, which vary by about 1 between candidates.
    pub numbers: f64,
    /// Single words.
    #[serde(default)]
    pub words: Option<f64>,
    /// First letters of words.
    #[serde(default)]
    pub stems: Option<f64>,
    /// Neighbouring words.
    #[serde(default)]
    pub pairs: Option<f64>,
    /// Words that the context has too.
    #[serde(default)]
    pub shared: Option<f64>,
    /// Words of the context times the length of the candidate.
    #[serde(default)]
    pub asked: Option<f64>,
    /// How much stronger a retailer's own part of numbers and words is held back than the shared weights.
    #[serde(default)]
    pub retailer: Option<f64>,
}

impl Setting {
    /// Numbers alone.
    #[must_use]
    pub fn numbers(strength: f64) -> Self {
        Self { numbers: strength, words: None, stems: None, pairs: None, shared: None, asked: None, retailer: None }
    }

    /// Strength of a group of buckets.
    #[must_use]
    pub fn of(&self, group: Group) -> Option<f64> {
        match group {
            Group::Words => self.words,
            Group::Stems => self.stems,
            Group::Pairs => self.pairs,
            Group::Shared => self.shared,
            Group::Asked => self.asked,
        }
    }

    /// The same with another strength of a group.
    #[must_use]
    pub fn with(mut self, group: Group, strength: Option<f64>) -> Self {
        match group {
            Group::Words => self.words = strength,
            Group::Stems => self.stems = strength,
            Group::Pairs => self.pairs = strength,
            Group::Shared => self.shared = strength,
            Group::Asked => self.asked = strength,
        }
        self
    }

    /// Whether any hashed words are used.
    #[must_use]
    pub fn has_words(&self) -> bool {
        Group::ALL.iter().any(|group| self.of(*group).is_some())
    }

    /// Whether the model can be fitted with it.
    pub(super) fn is_valid(&self) -> bool {
        let some = Group::ALL.iter().filter_map(|group| self.of(*group)).chain(self.retailer);
        some.chain([self.numbers]).all(|strength| strength.is_finite() && strength > 0.0)
    }

    /// Standard deviation of a weight before any pair was seen, by segment; 0 leaves the segment out.
    pub(super) fn deviations(&self) -> [f64; SEGMENTS] {
        let deviation = |strength: Option<f64>| strength.map_or(0.0, |strength| strength.sqrt().recip());
        let mut all = [0.0; SEGMENTS];
        all[NUMBERS] = deviation(Some(self.numbers));
        for group in Group::ALL {
            all[FIRST_GROUP + group as usize] = deviation(self.of(group));
        }
        all[RETAILER_NUMBERS] = deviation(self.retailer) * all[NUMBERS];
        all[RETAILER_WORDS] = deviation(self.retailer) * all[FIRST_GROUP];
        all
    }
}
