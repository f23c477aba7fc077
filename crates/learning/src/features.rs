//! What a reward model sees of a candidate: named numbers, and counts of words in hashed buckets. The
//! same function prepares candidates for training and for scoring; [`FEATURE_VERSION`] is stored in every
//! model, so that a model is never asked about features it was not trained on.

mod flatten;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Changes whenever the features of the same candidate change.
pub const FEATURE_VERSION: u32 = 1;

/// Number of buckets for words and pairs of words.
pub const WORD_BUCKETS: u32 = 1 << 14;

/// Most named numbers per candidate; checks and text come first, then leaves in order of path.
pub const MAX_NUMBERS: usize = 256;

/// Name of the feature that holds the number of characters of a candidate's text.
pub const TEXT_LENGTH: &str = "text.length";

/// The result of one automatic check of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check.
    pub check: String,
    /// Whether the candidate passed.
    pub passed: bool,
}

/// One hashed bucket of words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Dampened count; all buckets of a candidate together have length 1.
    pub value: f64,
    /// The first word or pair of words that fell into the bucket, for explanations.
    pub text: String,
}

/// The features of one candidate. What is absent was not there; it is not zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Features {
    /// Named numbers, all finite.
    pub numbers: BTreeMap<String, f64>,
    /// Word buckets below [`WORD_BUCKETS`].
    pub words: BTreeMap<u32, Word>,
}

impl Features {
    /// Sets a named number; one that is not finite is left out.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        if value.is_finite() {
            self.numbers.insert(name.into(), value);
        }
    }
}

/// The features of `candidate` given its automatic checks and its `context` (the prompt or the
/// surroundings of the task, `Value::Null` for none):
/// - every numeric leaf by its path (`budget.total`), booleans as 0 or 1, decimal strings as numbers;
///   inside arrays as sum and maximum (`lines[].spend.sum`), with the length of each array (`lines.count`);
/// - `relative:PATH`: a leaf divided by the single context number of the same last name;
/// - size and style of all text, and how far it shares words with the context;
/// - `check:NAME` as 0 or 1 and `checks.passed`, the share of passed checks;
/// - single words and neighbouring pairs, lower-cased, in [`WORD_BUCKETS`] hashed buckets.
///
/// Depth, number of leaves and length of text are bounded; what lies beyond is left out.
pub fn candidate_features(candidate: &Value, checks: &[CheckResult], context: &Value) -> Features {
    let candidate = flatten::flatten(candidate);
    let context = flatten::flatten(context);
    let mut features = Features::default();
    if !checks.is_empty() {
        let passed = checks.iter().filter(|check| check.passed).count();
        features.set("checks.passed", passed as f64 / checks.len() as f64);
        for check in checks.iter().take(MAX_NUMBERS / 4) {
            features.set(format!("check:{}", check.check), f64::from(u8::from(check.passed)));
        }
    }
    text::describe(&mut features, &candidate.text, &context.text);
    for (name, value) in candidate.relative_to(&context).into_iter().chain(candidate.numbers()) {
        if features.numbers.len() >= MAX_NUMBERS {
            break;
        }
        features.set(name, value);
    }
    features.words = text::words(&candidate.text);
    features
}
