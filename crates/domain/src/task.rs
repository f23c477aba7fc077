//! Words of rating tasks and judgments.

use serde::{Deserialize, Serialize};

/// What raters compare.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
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
pub enum TaskType {
    /// Two JSON tool calls or SQL queries for an intent.
    ToolCallQa,
    /// Two mappings of retailer fields to the canonical schema.
    SchemaMapping,
    /// Two advertising texts under a retailer's policy.
    PolicyCompliance,
    /// Two campaign plans for an objective and constraints.
    PlanQuality,
    /// Two normalised tags for a noisy tag.
    TaggingNormalization,
    /// Two answers to a tricky input.
    EdgeCaseRedTeam,
}

impl TaskType {
    /// Every type.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The name people read.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ToolCallQa => "Tool call",
            Self::SchemaMapping => "Schema mapping",
            Self::PolicyCompliance => "Policy compliance",
            Self::PlanQuality => "Plan quality",
            Self::TaggingNormalization => "Tag normalization",
            Self::EdgeCaseRedTeam => "Edge case",
        }
    }
}

/// Where a task stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
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
pub enum TaskStatus {
    /// Nobody has it yet.
    Pending,
    /// Somebody holds or judged it, more judgments are needed.
    InProgress,
    /// Enough judgments, consensus reached.
    Completed,
    /// A rater asked for an expert.
    Escalated,
    /// Judged, but no consensus: an expert decides.
    ExpertReview,
    /// An expert decided.
    Validated,
}

/// What a rater decided.
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
pub enum Choice {
    /// The first candidate is better.
    CandidateA,
    /// The second candidate is better.
    CandidateB,
    /// The third candidate is best.
    CandidateC,
    /// Equally good.
    Tie,
    /// None is acceptable.
    BothBad,
    /// Cannot tell.
    Unsure,
}

impl Choice {
    /// The candidate's place (0, 1, 2), or `None` for tie, both bad and unsure.
    #[must_use]
    pub fn candidate(self) -> Option<usize> {
        match self {
            Self::CandidateA => Some(0),
            Self::CandidateB => Some(1),
            Self::CandidateC => Some(2),
            Self::Tie | Self::BothBad | Self::Unsure => None,
        }
    }

    /// The choice that names the candidate in this place (0, 1, 2).
    #[must_use]
    pub fn of_candidate(place: usize) -> Option<Self> {
        [Self::CandidateA, Self::CandidateB, Self::CandidateC].get(place).copied()
    }

    /// From the order a rater saw to the stored order: `display_order[i]` is the stored place shown in place `i`.
    /// `None` when the choice names a candidate that was not shown.
    #[must_use]
    pub fn unblind(self, display_order: &[usize]) -> Option<Self> {
        match self.candidate() {
            None => Some(self),
            Some(shown) => display_order.get(shown).and_then(|stored| Self::of_candidate(*stored)),
        }
    }
}

/// Confidence in words; raters choose a word, the database keeps the number.
pub const CONFIDENCE_WORDS: [(&str, f64); 4] = [("guessing", 0.25), ("leaning", 0.5), ("fairly sure", 0.75), ("certain", 0.95)];

/// How hard a golden item is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
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
pub enum Difficulty {
    /// Anybody who read the guideline.
    Easy,
    /// Needs a second look.
    Medium,
    /// Separates experts from the rest.
    Hard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unblind_maps_back_to_the_stored_order() {
        assert_eq!(Choice::CandidateA.unblind(&[1, 0]), Some(Choice::CandidateB));
        assert_eq!(Choice::CandidateB.unblind(&[1, 0]), Some(Choice::CandidateA));
        assert_eq!(Choice::Tie.unblind(&[1, 0]), Some(Choice::Tie));
        assert_eq!(Choice::CandidateC.unblind(&[1, 0]), None);
        assert_eq!(Choice::CandidateC.unblind(&[2, 0, 1]), Some(Choice::CandidateB));
    }
}
