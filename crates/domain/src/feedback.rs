//! Words and rules of feedback on model outputs.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The five kinds of feedback.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FeedbackType {
    /// Good.
    ThumbsUp,
    /// Bad.
    ThumbsDown,
    /// One to five.
    Rating,
    /// One text better than another.
    Preference,
    /// What the output should have been.
    Correction,
}

/// Checks that the parts a kind needs are there, and no part that it cannot have.
///
/// # Errors
/// [`Invalid`] with every field that is wrong.
pub fn check(kind: FeedbackType, rating: Option<i32>, preferred: Option<&str>, rejected: Option<&str>) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    let present = |text: Option<&str>| text.is_some_and(|t| !t.trim().is_empty());
    match (kind, rating) {
        (FeedbackType::Rating, None) => invalid.add("rating", "a rating needs a whole number from 1 to 5"),
        (FeedbackType::Rating, Some(value)) if !(1..=5).contains(&value) => {
            invalid.add("rating", format!("{value} is outside 1 to 5"));
        }
        (FeedbackType::Rating, Some(_)) | (_, None) => {}
        (_, Some(_)) => invalid.add("rating", format!("only feedback of type rating has a rating, not {kind}")),
    }
    match kind {
        FeedbackType::Preference => {
            if !present(preferred) {
                invalid.add("preferred_output", "a preference needs the better text");
            }
            if !present(rejected) {
                invalid.add("rejected_output", "a preference needs the worse text");
            }
            if present(preferred) && preferred.map(str::trim) == rejected.map(str::trim) {
                invalid.add("rejected_output", "is the same text as preferred_output; a preference needs two different texts");
            }
        }
        FeedbackType::Correction => {
            if !present(preferred) {
                invalid.add("preferred_output", "a correction needs the corrected text");
            }
            if rejected.is_some() {
                invalid.add("rejected_output", "a correction replaces model_output; leave this out");
            }
        }
        FeedbackType::ThumbsUp | FeedbackType::ThumbsDown | FeedbackType::Rating => {
            for (field, value) in [("preferred_output", preferred), ("rejected_output", rejected)] {
                if value.is_some() {
                    invalid.add(field, format!("feedback of type {kind} has no {field}"));
                }
            }
        }
    }
    invalid.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_asks_for_its_parts() {
        use FeedbackType as F;
        assert!(check(F::ThumbsUp, None, None, None).is_ok());
        assert!(check(F::ThumbsUp, Some(3), None, None).is_err());
        assert!(check(F::Rating, Some(5), None, None).is_ok());
        assert!(check(F::Rating, Some(6), None, None).is_err());
        assert!(check(F::Rating, None, None, None).is_err());
        assert!(check(F::Preference, None, Some("a"), Some("b")).is_ok());
        assert!(check(F::Preference, None, Some("a"), Some(" a ")).is_err());
        assert!(check(F::Preference, None, Some("a"), None).is_err());
        assert!(check(F::Correction, None, Some("a"), None).is_ok());
        assert!(check(F::Correction, None, None, None).is_err());
    }
}
