//! What went wrong among the raters of a task that came to an expert: counted, so that a programme mends the guideline or the tasks
//! instead of blaming raters for both.

use serde::{Deserialize, Serialize};

/// The closed list; an expert picks the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The guideline is clear and the task sound; raters misread one of them.
    RaterError,
    /// The guideline does not settle the case.
    GuidelineUnclear,
    /// The task is broken: context missing, candidates the same, nonsense.
    TaskDefective,
    /// Experts could differ on it, too.
    GenuinelyAmbiguous,
    /// Each answer serves, and the difference does not matter.
    BothAcceptable,
    /// An automatic check passed something wrong or failed something right.
    CheckWrong,
    /// The raters had it right; no expert was needed.
    NoError,
}

/// All classes with the stored word and the sentence that pages show.
pub const CLASSES: [(ErrorClass, &str, &str); 7] = [
    (ErrorClass::RaterError, "rater_error", "Raters misread the task or the guideline, which are both clear"),
    (ErrorClass::GuidelineUnclear, "guideline_unclear", "The guideline does not settle this case"),
    (ErrorClass::TaskDefective, "task_defective", "The task is broken: context missing, candidates the same, nonsense"),
    (ErrorClass::GenuinelyAmbiguous, "genuinely_ambiguous", "Experts could differ on it, too"),
    (ErrorClass::BothAcceptable, "both_acceptable", "Each answer serves; the difference does not matter"),
    (ErrorClass::CheckWrong, "check_wrong", "An automatic check misled: it passed something wrong or failed something right"),
    (ErrorClass::NoError, "no_error", "The raters had it right; no expert was needed"),
];

impl ErrorClass {
    /// The stored word.
    #[must_use]
    pub fn word(self) -> &'static str {
        CLASSES.iter().find(|(class, ..)| *class == self).map_or("", |(_, word, _)| word)
    }

    /// Why a task of this class cannot teach raters as a golden item; none when it can.
    #[must_use]
    pub fn unfit_for_golden(self) -> Option<&'static str> {
        match self {
            Self::GuidelineUnclear => Some("the guideline does not settle it, so nobody can be held to the answer"),
            Self::TaskDefective => Some("the task is broken"),
            Self::GenuinelyAmbiguous => Some("experts could differ on it, so nobody can be held to the answer"),
            Self::RaterError | Self::BothAcceptable | Self::CheckWrong | Self::NoError => None,
        }
    }

    /// Whether the answer is beyond doubt, so that the task may be proposed as a golden item by itself.
    #[must_use]
    pub fn is_clear(self) -> bool {
        matches!(self, Self::RaterError | Self::CheckWrong | Self::NoError)
    }
}

/// The sentence of a stored word; the word itself when it is none of ours.
#[must_use]
pub fn sentence_of(word: &str) -> &str {
    CLASSES.iter().find(|(_, known, _)| *known == word).map_or(word, |(.., sentence)| sentence)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_what_the_api_reads() {
        for (class, word, sentence) in CLASSES {
            assert_eq!(serde_json::from_value::<ErrorClass>(serde_json::json!(word)).unwrap(), class);
            assert_eq!((class.word(), sentence_of(word)), (word, sentence));
            assert!(!(class.is_clear() && class.unfit_for_golden().is_some()));
        }
        assert_eq!(sentence_of("unheard_of"), "unheard_of");
    }
}
