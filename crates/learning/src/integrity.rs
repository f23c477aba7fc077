//! Does a rater judge honestly? Statistical signals over one rater's recent judgments, each with its n and p-value and in words that can
//! be shown to the rater, and the [`ladder`] of reversible actions that follows from them.
//!
//! A signal never accuses on thin data: it has a least n, a null hypothesis that is lenient to honest people (a bar that an honest rater
//! is well clear of, not the average of the pool), and it is flagged only after the control of [`false_alarms`].

mod copies;
pub mod false_alarms;
pub mod ladder;
mod signals;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::intervals::Interval;
use crate::judgment::GoldRecord;

pub use copies::Fingerprint;
pub use signals::signals;

/// What a rater chose, as it was shown: the place, not the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The candidate in this place.
    Place {
        /// 0 is the left one.
        place: u8,
        /// How many places there were.
        of: u8,
    },
    /// Equally good.
    Tie,
    /// Neither is good.
    BothBad,
    /// No opinion.
    Unsure,
}

impl Shown {
    /// Index among the kinds of choice, which do not depend on the place.
    fn kind(self) -> usize {
        match self {
            Self::Place { .. } => 0,
            Self::Tie => 1,
            Self::BothBad => 2,
            Self::Unsure => 3,
        }
    }
}

/// Kinds of choice: a candidate, tie, both bad, unsure.
pub const KINDS: usize = 4;

/// One judgment as the signals see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What was chosen.
    pub shown: Shown,
    /// Time spent, in seconds.
    pub seconds: f64,
    /// Characters of text in the candidates and the prompt.
    pub chars: u32,
    /// Any number that is the same for the same type of task: kinds of choice are compared within it.
    pub stratum: u32,
    /// The rater's own words, when there are any.
    pub text: Option<Fingerprint>,
}

/// What is known of one rater.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Recent judgments, oldest first.
    pub judgments: Vec<Observed>,
    /// Golden items met in the flow of work, calibration left out.
    pub golden: GoldRecord,
    /// Attention items (obvious answer): `total` met, `correct` answered rightly.
    pub attention: GoldRecord,
    /// Whether the rater is a program that says so; its speed proves nothing.
    pub is_program: bool,
}

/// What all other raters do together: the background that one rater is compared with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pool {
    /// Judgments faster than the time floor, and all.
    pub fast: (u64, u64),
    /// Kinds of choice by stratum.
    pub kinds: BTreeMap<u32, [u64; KINDS]>,
    /// Golden items of all others.
    pub golden: (u64, u64),
    /// Texts of all others.
    pub texts: Vec<Fingerprint>,
}

/// Most texts of others that are kept for comparison.
pub const MOST_POOL_TEXTS: usize = 500;

impl Pool {
    /// Adds one rater's judgments and golden record.
    pub fn add(&mut self, judgments: &[Observed], golden: GoldRecord, rules: &Rules) {
        for judgment in judgments {
            self.fast.1 += 1;
            self.fast.0 += u64::from(judgment.seconds < rules.floor_seconds(judgment.chars));
            if let Some(count) = self.kinds.entry(judgment.stratum).or_default().get_mut(judgment.shown.kind()) {
                *count += 1;
            }
            if let Some(text) = &judgment.text
                && self.texts.len() < MOST_POOL_TEXTS
            {
                self.texts.push(text.clone());
            }
        }
        self.golden.0 += u64::from(golden.correct.min(golden.total));
        self.golden.1 += u64::from(golden.total);
    }
}

/// The bars of the signals. Every share is one that an honest rater stays well clear of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Reading one character takes at least this, in milliseconds. 15 ms are 670 words a minute: faster than scanning for a single word
    /// (600, Carver 1990) and almost three times careful silent reading (238, Brysbaert 2019).
    pub ms_per_char: f64,
    /// No judgment takes less than this, in seconds.
    pub floor_least: f64,
    /// Longest floor, in seconds: nobody has to read all of a long plan.
    pub floor_most: f64,
    /// Share of judgments below the floor that is tolerated.
    pub fast_share: f64,
    /// Share of repeated texts that is tolerated.
    pub copied_share: f64,
    /// Jaccard similarity of shingles from which two texts are the same.
    pub same_text: f64,
    /// How far the golden accuracy may lie under that of the pool.
    pub golden_margin: f64,
    /// Share of attention items that an attentive rater misses by a slip.
    pub slip_share: f64,
    /// Fewest left-or-right choices for side bias and streaks.
    pub least_choices: u64,
    /// Fewest judgments for the time floor and the kinds of choice.
    pub least_judgments: u64,
    /// Fewest texts for copies.
    pub least_texts: u64,
    /// Fewest golden items.
    pub least_golden: u64,
    /// Smallest total variation distance of the kinds of choice that is flagged, however sure: people differ in taste.
    pub least_distance: f64,
    /// Level of the control of false alarms.
    pub level: f64,
    /// A flagged signal below this level counts as severe.
    pub severe: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ms_per_char: 15.0,
            floor_least: 1.0,
            floor_most: 8.0,
            fast_share: 0.10,
            copied_share: 0.20,
            same_text: 0.8,
            golden_margin: 0.10,
            slip_share: 0.01,
            least_choices: 50,
            least_judgments: 30,
            least_texts: 10,
            least_golden: 8,
            least_distance: 0.25,
            level: 0.01,
            severe: 1e-6,
        }
    }
}

impl Rules {
    /// The shortest time in which a text of this length can be judged, in seconds.
    pub fn floor_seconds(&self, chars: u32) -> f64 {
        let reading = f64::from(chars) * self.ms_per_char / 1000.0;
        // `max` and `min`, not `clamp`: settings in the wrong order must not stop the service.
        reading.max(self.floor_least).min(self.floor_most)
    }
}

/// The signals there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Judged faster than the text can be read.
    TimeFloor,
    /// Prefers one side of the screen.
    SideBias,
    /// Sides come in streaks or take turns.
    Streaks,
    /// Kinds of choice unlike everybody else's.
    ChoiceMix,
    /// The same words again and again.
    CopiedText,
    /// Golden items wrong.
    Golden,
    /// Attention items missed.
    Attention,
}

impl Name {
    /// All of them, in the order in which [`signals`] gives them.
    pub const ALL: [Name; 7] =
        [Self::TimeFloor, Self::SideBias, Self::Streaks, Self::ChoiceMix, Self::CopiedText, Self::Golden, Self::Attention];
}

/// One signal about one rater.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Which.
    pub name: Name,
    /// What it rests on: judgments, texts or items.
    pub n: u64,
    /// The figure, a share unless the words say otherwise; `None` when there is nothing to measure.
    pub value: Option<f64>,
    /// P-value against the lenient null hypothesis; `None` when n is too small.
    pub p: Option<f64>,
    /// P-value after the control of false alarms; `None` before it.
    pub adjusted: Option<f64>,
    /// 95 % interval of `value`, where it has one.
    pub interval: Option<Interval>,
    /// Whether the effect is large enough to matter.
    pub is_large: bool,
    /// What was seen, or why there is no p-value, in a sentence for the rater.
    pub words: String,
}

impl Signal {
    /// Whether the signal speaks against the rater.
    pub fn is_flagged(&self, rules: &Rules) -> bool {
        self.is_large && self.adjusted.is_some_and(|adjusted| adjusted <= rules.level)
    }

    /// Whether it leaves no reasonable doubt.
    pub fn is_severe(&self, rules: &Rules) -> bool {
        self.is_flagged(rules) && self.adjusted.is_some_and(|adjusted| adjusted <= rules.severe)
    }
}
