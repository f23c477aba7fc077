//! What a reward model sees of a candidate: named numbers, and counts of words in hashed buckets. The
//! same function prepares candidates for training and for scoring; [`FEATURE_VERSION`] is stored in every
//! model, so that a model is never asked about features it was not trained on.

mod flatten;
pub mod hashed;
mod text;
mod tokens;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use flatten::Flat;
use hashed::ContextWord;
use text::Asked;
use tokens::Tokens;

/// Changes whenever the features of the same candidate change.
pub const FEATURE_VERSION: u32 = 2;

/// Most named numbers per candidate; checks and text come first, then leaves in order of path.
pub const MAX_NUMBERS: usize = 256;

/// Name of the feature that holds the number of characters of a candidate's text.
pub const TEXT_LENGTH: &str = "text.length";

/// Natural logarithm of a middling number of characters: products with a length are taken around it, so that they stay small.
const MIDDLE_LENGTH: f64 = 5.0;

/// The result of one automatic check of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check.
    pub check: String,
    /// Whether the candidate passed.
    pub passed: bool,
}

/// One hashed bucket of words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Number of the bucket; [`hashed::Group::of`] says what it counts.
    pub bucket: u32,
    /// Dampened count; all buckets of a candidate and group together have length 1.
    pub value: f32,
    /// Where the first word of the bucket begins in [`Features::text`], in bytes.
    pub start: u32,
    /// Its bytes.
    pub length: u16,
}

/// The features of one candidate. What is absent was not there; it is not zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Features {
    /// Named numbers, all finite.
    pub numbers: BTreeMap<Cow<'static, str>, f64>,
    /// Buckets of words, sorted by bucket, none twice.
    pub words: Vec<Word>,
    /// The words in lower case, for explanations.
    pub text: String,
}

impl Features {
    /// Sets a named number; one that is not finite is left out.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        if value.is_finite() {
            self.numbers.insert(name.into(), value);
        }
    }

    /// The first word, or pair of words, that fell into the bucket.
    #[must_use]
    pub fn text_of(&self, word: &Word) -> &str {
        let (start, length) = (word.start as usize, usize::from(word.length));
        // A text that was cut within a letter is shown without it.
        (0..=length).rev().find_map(|length| self.text.get(start..start + length)).unwrap_or_default()
    }
}

/// The features of `candidate` given its automatic checks and its `context` (the prompt or the
/// surroundings of the task, `Value::Null` for none):
/// - every numeric leaf by its path (`budget.total`), booleans as 0 or 1, decimal strings as numbers;
///   inside arrays as sum and maximum (`lines[].spend.sum`), with the length of each array (`lines.count`);
/// - `relative:PATH`: a leaf divided by the single context number of the same last name;
/// - size and style of all text, how far it takes up the words of the context, and products of its length
///   with what the context looks like;
/// - `check:NAME` as 0 or 1 and `checks.passed`, the share of passed checks;
/// - hashed buckets of words ([`hashed::Group`]).
///
/// Depth, number of leaves and length of text are bounded; what lies beyond is left out.
pub fn candidate_features(candidate: &Value, checks: &[CheckResult], context: &Value) -> Features {
    Context::of(context).features(candidate, checks)
}

/// What candidates answer, read once for all of them.
pub struct Context {
    flat: Flat,
    tokens: Tokens,
    words: Vec<ContextWord>,
    asked: Asked,
}

impl Context {
    /// Reads a context.
    #[must_use]
    pub fn of(context: &Value) -> Self {
        let flat = flatten::flatten(context);
        let tokens = Tokens::of(&flat.text);
        Self { words: hashed::context_words(&tokens), asked: Asked::of(&flat.text, &tokens), flat, tokens }
    }

    /// The features of a candidate in this context, as [`candidate_features`] gives them.
    #[must_use]
    pub fn features(&self, candidate: &Value, checks: &[CheckResult]) -> Features {
        let candidate = flatten::flatten(candidate);
        let mut features = Features::default();
        if !checks.is_empty() {
            let passed = checks.iter().filter(|check| check.passed).count();
            features.set("checks.passed", passed as f64 / checks.len() as f64);
            for check in checks.iter().take(MAX_NUMBERS / 4) {
                features.set(format!("check:{}", check.check), f64::from(u8::from(check.passed)));
            }
        }
        let own = Tokens::of(&candidate.text);
        text::describe(&mut features, &candidate.text, &own, &self.asked);
        for (name, value) in candidate.relative_to(&self.flat).into_iter().chain(candidate.numbers()) {
            if features.numbers.len() >= MAX_NUMBERS {
                break;
            }
            features.set(name, value);
        }
        let length = features.numbers.get(TEXT_LENGTH).map_or(0.0, |length| length.ln_1p() - MIDDLE_LENGTH);
        hashed::set_words(&mut features, own, (&self.tokens, &self.words), length);
        features
    }
}
