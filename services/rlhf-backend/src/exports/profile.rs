//! The shapes in which a dataset can be had, and its three parts.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::training_data::repeats::Unit;

/// What a trainer expects to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Texts `prompt`, `chosen`, `rejected`: TRL's DPO, CPO, ORPO.
    TrlPreference,
    /// The same as chat messages.
    TrlPreferenceChat,
    /// `prompt`, `completion`, `label`: TRL's KTO, BCO.
    Kto,
    /// `chosen`, `rejected` as whole chats, with `margin`: TRL's RewardTrainer.
    Reward,
    /// `chosen`, `rejected` as texts with turn marks.
    HhRlhf,
    /// `prompt`, `completion`: corrections and what experts chose.
    Sft,
    /// One row per judgment: task, worker, label.
    Judgments,
}

impl Profile {
    /// Every profile with its name and a sentence for people.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::TrlPreference, "trl-preference", "Preference pairs as plain text, for TRL's DPO, CPO and ORPO trainers"),
        (Self::TrlPreferenceChat, "trl-preference-chat", "Preference pairs as chat messages, for chat models"),
        (Self::Kto, "kto", "Single answers marked good or bad, for KTO and BCO"),
        (Self::Reward, "reward", "Whole chats with a margin, for TRL's RewardTrainer"),
        (Self::HhRlhf, "hh-rlhf", "Texts with turn marks, as in Anthropic's HH-RLHF"),
        (Self::Sft, "sft", "Corrections and what experts chose, for supervised fine-tuning"),
        (Self::Judgments, "judgments", "One row per judgment, for crowd-kit and your own aggregation"),
    ];

    /// Its name in addresses and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(profile, _, _)| *profile == self).map_or("unknown", |(_, name, _)| name)
    }
}

impl Profile {
    /// What is counted as the same in this profile; judgments are never.
    #[must_use]
    pub fn unit(self) -> Option<Unit> {
        match self {
            Self::TrlPreference | Self::TrlPreferenceChat | Self::Reward | Self::HhRlhf => Some(Unit::Pair),
            Self::Kto => Some(Unit::Answer),
            Self::Sft => Some(Unit::Example),
            Self::Judgments => None,
        }
    }
}

impl std::str::FromStr for Profile {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(profile, _, _)| *profile).ok_or(())
    }
}

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// 80 of 100 prompts.
    Train,
    /// 10 of 100 prompts.
    Validation,
    /// 10 of 100 prompts.
    Test,
}

impl Split {
    /// The part that a prompt belongs to, always the same: SHA-256 of the prompt, as a big-endian number, modulo 100; below 80 is train,
    /// below 90 validation, else test.
    #[must_use]
    pub fn of_prompt(prompt: &str) -> Self {
        Self::of_digest(&Sha256::digest(prompt.as_bytes()))
    }

    /// [`Split::of_prompt`] of a prompt's SHA-256.
    #[must_use]
    pub fn of_digest(digest: &[u8]) -> Self {
        let remainder = digest.iter().fold(0_u32, |rest, byte| (rest * 256 + u32::from(*byte)) % 100);
        match remainder {
            0..80 => Self::Train,
            80..90 => Self::Validation,
            _ => Self::Test,
        }
    }

    /// Its name in addresses and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
