//! A trained reward model: what is stored, loaded and asked for scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ensemble::Member;
use super::likelihood::davidson;
use super::metrics::{Metrics, Prediction, measure};
use super::pairs::damped;
use super::setting::Setting;
use super::{Example, Outcome};
use crate::features::hashed::Group;
use crate::features::{FEATURE_VERSION, Features, Word};

/// Version of the stored form.
pub const MODEL_VERSION: u32 = 3;

/// Weight of one named number; it contributes `weight * (asinh(value) - centre) / scale`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberWeight {
    /// Name of the feature.
    pub name: String,
    /// Mean of `asinh(value)` over the training candidates.
    pub centre: f64,
    /// Typical difference between two candidates that were compared; above 0.
    pub scale: f64,
    /// Weight after calibration.
    pub weight: f64,
}

/// Weight of one word bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordWeight {
    /// A word of the bucket, for the reader.
    pub text: String,
    /// Weight after calibration.
    pub weight: f64,
}

/// What a retailer's pairs add to the shared weights, in the same units.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RetailerWeights {
    /// By name of the number.
    #[serde(default)]
    pub numbers: BTreeMap<String, f64>,
    /// By bucket.
    #[serde(default)]
    pub words: BTreeMap<u32, f64>,
}

/// A reward model. Scores have no unit of their own: a difference of 1 is odds of e to 1 between two
/// candidates, given that it is no tie. A feature that the candidate lacks contributes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardModel {
    /// [`MODEL_VERSION`] at training time.
    pub model_version: u32,
    /// [`FEATURE_VERSION`] at training time.
    pub feature_version: u32,
    /// Named numbers with a weight, by name.
    pub numbers: Vec<NumberWeight>,
    /// Word buckets with a weight; empty when words did not help.
    pub words: BTreeMap<u32, WordWeight>,
    /// Retailers with a part of their own; empty when that did not help.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retailers: BTreeMap<String, RetailerWeights>,
    /// Natural logarithm of Davidson's tie parameter.
    pub log_tie: f64,
    /// By what the weights were divided so that probabilities are calibrated; already applied.
    pub temperature: f64,
    /// Strengths of the penalty that were chosen.
    pub setting: Setting,
    /// The same model fitted to other draws of the pairs, for what it does not know; empty in models that were only refitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// How much one feature moves a candidate's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Name of the number, or `word:` and the word.
    pub feature: String,
    /// The candidate's value.
    pub value: f64,
    /// What it adds to the score.
    pub contribution: f64,
}

/// Why a stored model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidModel {
    /// Not the JSON of a model.
    #[error("this is not a reward model: the JSON cannot be read")]
    Json(#[from] serde_json::Error),
    /// Stored by another version.
    #[error("the model has {what} version {found}, this program reads {expected}; train it again")]
    Version {
        /// `model` or `feature`.
        what: &'static str,
        /// The stored version.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// A number is not finite, or a scale or temperature is not positive.
    #[error("the model's {0} is damaged; train it again")]
    Damaged(String),
}

impl RewardModel {
    /// Reads a stored model and checks that this program can use it.
    ///
    /// # Errors
    /// When it is no model, of another version, or damaged.
    pub fn from_json(json: &str) -> Result<Self, InvalidModel> {
        // The versions first: a model of another version may lack what this program reads.
        let versions: Versions = serde_json::from_str(json)?;
        for (what, found, expected) in
            [("model", versions.model_version, MODEL_VERSION), ("feature", versions.feature_version, FEATURE_VERSION)]
        {
            if found != expected {
                return Err(InvalidModel::Version { what, found, expected });
            }
        }
        let model: Self = serde_json::from_str(json)?;
        model.damage().map_or(Ok(()), |what| Err(InvalidModel::Damaged(what)))?;
        Ok(model)
    }

    /// What is wrong with the numbers of the model.
    fn damage(&self) -> Option<String> {
        let is_good = |n: &&NumberWeight| n.centre.is_finite() && n.weight.is_finite() && n.scale > 0.0;
        if let Some(number) = self.numbers.iter().find(|number| !is_good(number)) {
            return Some(format!("feature {}", number.name));
        }
        if !self.words.values().all(|word| word.weight.is_finite()) {
            return Some("list of words".to_owned());
        }
        if !self.retailers.values().all(|part| part.numbers.values().chain(part.words.values()).all(|weight| weight.is_finite())) {
            return Some("list of retailers".to_owned());
        }
        if !(self.log_tie.is_finite() && self.temperature > 0.0) {
            return Some("tie parameter or temperature".to_owned());
        }
        if !self.setting.is_valid() {
            return Some("penalty".to_owned());
        }
        let fits = |member: &Member| {
            let mut weights = member.numbers.iter().chain(&member.words).chain([&member.log_tie]);
            member.numbers.len() == self.numbers.len() && member.words.len() == self.words.len() && weights.all(|weight| weight.is_finite())
        };
        (!self.members.iter().all(fits)).then(|| "ensemble".to_owned())
    }

    /// The candidate's score by the shared weights; comparable only between candidates for the same prompt.
    pub fn score(&self, features: &Features) -> f64 {
        self.for_retailer(None).score(features)
    }

    /// The model as it scores for a retailer: with that retailer's part where there is one.
    #[must_use]
    pub fn for_retailer(&self, retailer: Option<&str>) -> Scorer<'_> {
        Scorer { model: self, own: retailer.and_then(|retailer| self.retailers.get(retailer)) }
    }

    /// Probabilities of a win of a, a tie and a win of b.
    pub fn win_probability(&self, score_a: f64, score_b: f64) -> Outcome {
        davidson(score_a - score_b, self.log_tie)
    }

    /// The `limit` features that move the score most by the shared weights, strongest first.
    pub fn explain(&self, features: &Features, limit: usize) -> Vec<Contribution> {
        self.for_retailer(None).explain(features, limit)
    }

    /// What the model says of one comparison, beside what really happened.
    #[must_use]
    pub fn predict(&self, example: &Example) -> Prediction {
        let scorer = self.for_retailer(example.retailer.as_deref());
        let (a, b) = (scorer.score(&example.a), scorer.score(&example.b));
        Prediction { difference: a - b, probability: self.win_probability(a, b), outcome: example.outcome }
    }

    /// Metrics on examples that were not used for training.
    pub fn evaluate(&self, examples: &[Example]) -> Metrics {
        let predictions: Vec<Prediction> = examples.iter().map(|example| self.predict(example)).collect();
        measure(&predictions)
    }
}

/// The versions of a stored model.
#[derive(Deserialize)]
struct Versions {
    model_version: u32,
    feature_version: u32,
}

/// A model with the part of one retailer, or with none.
#[derive(Debug, Clone, Copy)]
pub struct Scorer<'a> {
    model: &'a RewardModel,
    own: Option<&'a RetailerWeights>,
}

impl Scorer<'_> {
    /// The candidate's score; comparable only between candidates for the same prompt and retailer.
    #[must_use]
    pub fn score(&self, features: &Features) -> f64 {
        let mut sum = 0.0;
        self.visit(features, |_, _, contribution| sum += contribution);
        sum
    }

    /// The `limit` features that move the score most, strongest first. A contribution holds the shared weight and the retailer's part.
    #[must_use]
    pub fn explain(&self, features: &Features, limit: usize) -> Vec<Contribution> {
        let mut all: Vec<(Name<'_>, f64, f64)> = Vec::new();
        self.visit(features, |name, value, contribution| {
            if contribution != 0.0 {
                all.push((name, value, contribution));
            }
        });
        all.sort_by(|x, y| y.2.abs().total_cmp(&x.2.abs()));
        all.truncate(limit);
        let named = all.into_iter().map(|(name, value, contribution)| Contribution {
            feature: match name {
                Name::Number(name) => name.to_owned(),
                // The candidate's own word explains better than the one seen in training.
                Name::Word(word) => format!("{}:{}", Group::of(word.bucket).map_or("word", Group::prefix), features.text_of(&word)),
            },
            value,
            contribution,
        });
        named.collect()
    }

    fn visit<'b>(&'b self, features: &'b Features, mut each: impl FnMut(Name<'b>, f64, f64)) {
        // Both sides are sorted by name: one walk instead of a search a number.
        let mut values = features.numbers.iter().peekable();
        for number in &self.model.numbers {
            while values.next_if(|(name, _)| name.as_ref() < number.name.as_str()).is_some() {}
            let Some((_, value)) = values.next_if(|(name, _)| name.as_ref() == number.name.as_str()) else { continue };
            let own = self.own.and_then(|own| own.numbers.get(&number.name)).copied().unwrap_or(0.0);
            each(Name::Number(&number.name), *value, (number.weight + own) * (damped(*value) - number.centre) / number.scale);
        }
        if self.model.words.is_empty() {
            return;
        }
        for word in &features.words {
            let shared = self.model.words.get(&word.bucket).map_or(0.0, |known| known.weight);
            let own = self.own.and_then(|own| own.words.get(&word.bucket)).copied().unwrap_or(0.0);
            let value = f64::from(word.value);
            each(Name::Word(*word), value, (shared + own) * value);
        }
    }
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Number(&'a str),
    Word(Word),
}
