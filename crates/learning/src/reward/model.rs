//! A trained reward model: what is stored, loaded and asked for scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ensemble::Member;
use super::likelihood::davidson;
use super::metrics::{Metrics, Prediction, measure};
use super::{Example, Outcome};
use crate::features::{FEATURE_VERSION, Features};

/// Version of the stored form.
pub const MODEL_VERSION: u32 = 2;

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
    /// Natural logarithm of Davidson's tie parameter.
    pub log_tie: f64,
    /// By what the weights were divided so that probabilities are calibrated; already applied.
    pub temperature: f64,
    /// Strength of the L2 penalty that was chosen.
    pub l2: f64,
    /// The same model fitted to other draws of the pairs, for what it does not know; empty in models of earlier programs.
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
        let model: Self = serde_json::from_str(json)?;
        for (what, found, expected) in [("model", model.model_version, MODEL_VERSION), ("feature", model.feature_version, FEATURE_VERSION)]
        {
            if found != expected {
                return Err(InvalidModel::Version { what, found, expected });
            }
        }
        let is_good = |n: &&NumberWeight| n.centre.is_finite() && n.weight.is_finite() && n.scale > 0.0;
        if let Some(number) = model.numbers.iter().find(|number| !is_good(number)) {
            return Err(InvalidModel::Damaged(format!("feature {}", number.name)));
        }
        if !model.words.values().all(|word| word.weight.is_finite()) {
            return Err(InvalidModel::Damaged("list of words".to_owned()));
        }
        if !(model.log_tie.is_finite() && model.temperature > 0.0) {
            return Err(InvalidModel::Damaged("tie parameter or temperature".to_owned()));
        }
        let fits = |member: &Member| {
            let mut weights = member.numbers.iter().chain(&member.words).chain([&member.log_tie]);
            member.numbers.len() == model.numbers.len()
                && member.words.len() == model.words.len()
                && weights.all(|weight| weight.is_finite())
        };
        if !model.members.iter().all(fits) {
            return Err(InvalidModel::Damaged("ensemble".to_owned()));
        }
        Ok(model)
    }

    /// The candidate's score; comparable only between candidates for the same prompt.
    pub fn score(&self, features: &Features) -> f64 {
        self.contributions(features).map(|(_, _, contribution)| contribution).sum()
    }

    /// Probabilities of a win of a, a tie and a win of b.
    pub fn win_probability(&self, score_a: f64, score_b: f64) -> Outcome {
        davidson(score_a - score_b, self.log_tie)
    }

    /// The `limit` features that move the score most, strongest first.
    pub fn explain(&self, features: &Features, limit: usize) -> Vec<Contribution> {
        let mut all: Vec<Contribution> = self
            .contributions(features)
            .filter(|(_, _, contribution)| *contribution != 0.0)
            .map(|(name, value, contribution)| Contribution {
                feature: match name {
                    Name::Number(name) => name.to_owned(),
                    Name::Word(text) => format!("word:{text}"),
                },
                value,
                contribution,
            })
            .collect();
        all.sort_by(|x, y| y.contribution.abs().total_cmp(&x.contribution.abs()));
        all.truncate(limit);
        all
    }

    /// What the model says of one comparison, beside what really happened.
    #[must_use]
    pub fn predict(&self, example: &Example) -> Prediction {
        let (a, b) = (self.score(&example.a), self.score(&example.b));
        Prediction { difference: a - b, probability: self.win_probability(a, b), outcome: example.outcome }
    }

    /// Metrics on examples that were not used for training.
    pub fn evaluate(&self, examples: &[Example]) -> Metrics {
        let predictions: Vec<Prediction> = examples.iter().map(|example| self.predict(example)).collect();
        measure(&predictions)
    }

    fn contributions<'a>(&'a self, features: &'a Features) -> impl Iterator<Item = (Name<'a>, f64, f64)> {
        let numbers = self.numbers.iter().filter_map(|number| {
            let value = *features.numbers.get(&number.name)?;
            let contribution = number.weight * (super::design::damped(value) - number.centre) / number.scale;
            Some((Name::Number(&number.name), value, contribution))
        });
        // The candidate's own word explains better than the one seen in training.
        let words = features.words.iter().filter_map(|(bucket, word)| {
            let weight = self.words.get(bucket)?.weight;
            Some((Name::Word(&word.text), word.value, weight * word.value))
        });
        numbers.chain(words)
    }
}

enum Name<'a> {
    Number(&'a str),
    Word(&'a str),
}
