//! Words and rules of campaigns. [`life`] says when a campaign may move, [`delivery`] whether it delivers at present.

pub mod delivery;
pub mod life;

use serde::{Deserialize, Serialize};

/// Words that stand in the place of a campaign's id in our own addresses: a campaign of such an id could not be reached.
pub const RESERVED_IDS: [&str; 1] = ["bulk"];

/// What a campaign is for.
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
pub enum Objective {
    /// Be seen.
    Awareness,
    /// Be considered.
    Consideration,
    /// Be bought.
    Conversion,
}

/// Where a campaign is in its life.
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
pub enum CampaignStatus {
    /// Being written.
    Draft,
    /// Ready, start date ahead.
    Scheduled,
    /// Running.
    Active,
    /// Stopped for now.
    Paused,
    /// Over.
    Completed,
    /// Put away, read-only.
    Archived,
}

impl CampaignStatus {
    /// The moves allowed from here.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Scheduled, Self::Archived],
            Self::Scheduled => &[Self::Active, Self::Draft, Self::Archived],
            Self::Active => &[Self::Paused, Self::Completed],
            Self::Paused => &[Self::Active, Self::Completed],
            Self::Completed => &[Self::Archived],
            Self::Archived => &[],
        }
    }

    /// Whether it is over: nothing will run any more, and there is no way back.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Archived)
    }

    /// Whether `to` is an allowed move.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        self.next().contains(&to)
    }
}

/// Where a proposed plan stands.
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
pub enum PlanStatus {
    /// Proposed, not decided.
    Candidate,
    /// People are judging it.
    InReview,
    /// The one to run.
    Chosen,
    /// Another one was chosen.
    Rejected,
}
