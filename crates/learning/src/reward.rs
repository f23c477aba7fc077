//! Reward models: what people prefer, learnt from pairs. A candidate's score is a weighted sum of its
//! features; the chance that one beats another follows Bradley and Terry, with Davidson's (1970) extension
//! for ties. Linear on purpose: it trains in seconds, works from a handful of pairs, and every score can
//! be explained feature by feature.

pub mod card;
mod design;
pub mod ensemble;
mod lbfgs;
mod likelihood;
pub mod metrics;
pub mod model;
pub mod pairs;
mod parallel;
pub mod progress;
pub mod setting;
pub mod standard_errors;
pub mod training;
pub mod tuning;

use serde::{Deserialize, Serialize};

use crate::features::{Features, TEXT_LENGTH};

/// How a comparison came out, as probabilities that sum to 1: certain (one of them is 1) or soft, from a
/// consensus posterior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Candidate a is better.
    pub a: f64,
    /// Neither is better.
    pub tie: f64,
    /// Candidate b is better.
    pub b: f64,
}

impl Outcome {
    /// a won for certain.
    pub const A_WINS: Self = Self { a: 1.0, tie: 0.0, b: 0.0 };
    /// A certain tie.
    pub const TIE: Self = Self { a: 0.0, tie: 1.0, b: 0.0 };
    /// b won for certain.
    pub const B_WINS: Self = Self { a: 0.0, tie: 0.0, b: 1.0 };

    /// The same comparison with the candidates exchanged.
    pub fn swapped(self) -> Self {
        Self { a: self.b, tie: self.tie, b: self.a }
    }

    /// Whether a won; `None` when a tie is most probable or neither leads.
    pub fn winner_is_a(self) -> Option<bool> {
        if self.a > self.b && self.a >= self.tie {
            return Some(true);
        }
        (self.b > self.a && self.b >= self.tie).then_some(false)
    }

    fn is_valid(self) -> bool {
        let parts = [self.a, self.tie, self.b];
        parts.iter().all(|p| (0.0..=1.0).contains(p)) && (parts.iter().sum::<f64>() - 1.0).abs() < 1e-6
    }
}

/// One judged pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Identifies the prompt or task: pairs of one prompt never stand on both sides of a train/test split.
    pub prompt_key: String,
    /// Features of candidate a.
    pub a: Features,
    /// Features of candidate b.
    pub b: Features,
    /// How the comparison came out.
    pub outcome: Outcome,
    /// How much the pair counts, relative to the others; finite, 0 leaves it out. What consensus and the reliability of raters say of it
    /// belongs here and in the outcome.
    pub weight: f64,
    /// Retailer that the pair belongs to: with enough pairs it gets a part of the model of its own.
    pub retailer: Option<String>,
}

impl Example {
    /// Characters of a's text less those of b's; texts that are missing count as empty.
    #[must_use]
    pub fn longer(&self) -> f64 {
        let of = |features: &Features| features.numbers.get(TEXT_LENGTH).copied().unwrap_or(0.0);
        of(&self.a) - of(&self.b)
    }
}
