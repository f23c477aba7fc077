//! Golden items in the flow of work: how often, to whom, and for how long one may be used before its answer is known to everybody.

use serde::{Deserialize, Serialize};

use crate::drift::Drift;
use crate::exact::{fisher_greater, mann_whitney_less};
use crate::intervals::{Z_95, wilson};
use crate::judgment::GoldRecord;

/// How often golden items come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateRules {
    /// Share of golden items among the work of a rater whose accuracy is known to `half_width`.
    pub base: f64,
    /// Least share: a proven rater is still looked at.
    pub least: f64,
    /// Greatest share, whatever is suspected.
    pub most: f64,
    /// Half width of the 95 % interval of the golden accuracy that the base rate is meant for.
    pub half_width: f64,
}

impl Default for RateRules {
    /// 7 % for a rater known to 10 points either way; 3 % at least, 25 % at most.
    fn default() -> Self {
        Self { base: 0.07, least: 0.03, most: 0.25, half_width: 0.10 }
    }
}

impl RateRules {
    /// The same rules with another base rate; least and most move with it. A base outside 0 to 1 is cut to it; 0 means never.
    pub fn with_base(base: f64) -> Self {
        let base = if base.is_finite() { base.clamp(0.0, 1.0) } else { 0.0 };
        let default = Self::default();
        let scale = base / default.base;
        Self { base, least: default.least * scale, most: (default.most * scale).min(1.0), half_width: default.half_width }
    }

    /// The share of golden items for a rater: `base * w / half_width`, where w is half the width of the Wilson 95 % interval of the
    /// accuracy on golden items, doubled while the drift test is not steady, times `factor` (1 for nothing special, more after an action
    /// of the anti-gaming ladder); at least `least`, at most `most`.
    ///
    /// The standard error falls with the root of the number of items, so a rater's rate falls as `1 / sqrt(n)`: a new one (w = 0.5) gets
    /// the most, one with 19 of 20 right about 8 %, one with 190 of 200 right the least.
    pub fn rate(&self, record: GoldRecord, drift: Drift, factor: f64) -> f64 {
        let interval = wilson(u64::from(record.correct), u64::from(record.total), Z_95);
        let half = interval.map_or(0.5, |interval| (interval.high - interval.low) / 2.0);
        let suspicion = if drift == Drift::Steady { 1.0 } else { 2.0 };
        let factor = if factor.is_finite() { factor.max(0.0) } else { 1.0 };
        let most = self.most.clamp(0.0, 1.0);
        (self.base * half / self.half_width.max(1e-6) * suspicion * factor).clamp(self.least.clamp(0.0, most), most)
    }
}

/// How often one golden item may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureCaps {
    /// Answers of all raters together, over the whole life of the item.
    pub per_item: u32,
    /// Times one rater may see one item; more than once would be remembered.
    pub per_rater_and_item: u32,
    /// Golden items one rater may see in a day: more would teach how they look.
    pub per_rater_and_day: u32,
}

impl Default for ExposureCaps {
    /// 300 answers an item, once a rater, 40 golden items a rater and day.
    fn default() -> Self {
        Self { per_item: 300, per_rater_and_item: 1, per_rater_and_day: 40 }
    }
}

/// How often an item was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exposure {
    /// Answers of all raters.
    pub of_item: u32,
    /// Times this rater has seen it.
    pub of_item_to_rater: u32,
    /// Golden items this rater has seen in the last 24 hours.
    pub to_rater_today: u32,
}

impl ExposureCaps {
    /// Whether an item may be given to a rater once more.
    pub fn allow(&self, seen: Exposure) -> bool {
        seen.of_item < self.per_item && seen.of_item_to_rater < self.per_rater_and_item && seen.to_rater_today < self.per_rater_and_day
    }
}

/// One answer to a golden item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ItemAnswer {
    /// Whether it equals the expert's.
    pub is_right: bool,
    /// Time spent divided by what this rater usually spends (the median), so that fast raters are not mistaken for a leak.
    pub pace: f64,
}

/// What the answers to one item say about a leak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Earlier answers: right ones, and all.
    pub earlier: (u64, u64),
    /// Recent answers: right ones, and all.
    pub recent: (u64, u64),
    /// P-value that recent answers are right more often (Fisher, one-sided).
    pub p_accuracy: Option<f64>,
    /// P-value that recent answers are faster (Mann-Whitney, one-sided).
    pub p_pace: Option<f64>,
    /// Whether both are below the level.
    pub is_suspected: bool,
}

/// Fewest answers on each side of the comparison.
pub const LEAST_ANSWERS_A_SIDE: usize = 12;
/// Most answers that count as recent.
pub const MOST_RECENT: usize = 50;

/// Compares the newest half of the answers (at most [`MOST_RECENT`]) with all before: an item has leaked when its recent answers are
/// right more often *and* given faster, each at `level`. Either alone has harmless causes: raters improve, and they get used to the page.
/// Because both must hold, the chance of a false alarm is at most `level`, and near `level` squared when speed and accuracy are
/// independent. `answers` are oldest first; `None` with fewer than [`LEAST_ANSWERS_A_SIDE`] on a side.
pub fn leak(answers: &[ItemAnswer], level: f64) -> Option<Leak> {
    let n_recent = (answers.len() / 2).min(MOST_RECENT);
    if n_recent < LEAST_ANSWERS_A_SIDE {
        return None;
    }
    let (earlier, recent) = answers.split_at(answers.len() - n_recent);
    let count = |part: &[ItemAnswer]| (part.iter().filter(|answer| answer.is_right).count() as u64, part.len() as u64);
    let paces = |part: &[ItemAnswer]| part.iter().map(|answer| answer.pace).filter(|pace| pace.is_finite()).collect::<Vec<f64>>();
    let p_accuracy = fisher_greater(count(recent), count(earlier));
    let p_pace = mann_whitney_less(&paces(recent), &paces(earlier));
    let is_below = |p: Option<f64>| p.is_some_and(|p| p <= level);
    let is_suspected = is_below(p_accuracy) && is_below(p_pace);
    Some(Leak { earlier: count(earlier), recent: count(recent), p_accuracy, p_pace, is_suspected })
}

/// Whether a golden item stays in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upkeep {
    /// It stays.
    Keep,
    /// Its answer seems to be known: it is taken out for good.
    RetireLeaked,
    /// It has been seen as often as is allowed: it is taken out for good.
    RetireWorn,
    /// Most raters answer otherwise than the expert: it rests until an expert has looked at it again.
    Reverify,
}

/// When an item is taken out of use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpkeepRules {
    /// How often it may be seen.
    pub caps: ExposureCaps,
    /// Level of each half of the leak test.
    pub leak_level: f64,
    /// An item whose share of right answers is surely (upper Wilson bound) below this is doubted.
    pub doubted_below: f64,
}

impl Default for UpkeepRules {
    /// The default caps; leak test at 0.01; doubted when surely fewer than half of the answers are right.
    fn default() -> Self {
        Self { caps: ExposureCaps::default(), leak_level: 0.01, doubted_below: 0.5 }
    }
}

impl UpkeepRules {
    /// What becomes of an item with these answers, oldest first, of which `times_used` were given in all.
    pub fn decide(&self, answers: &[ItemAnswer], times_used: u32) -> Upkeep {
        if leak(answers, self.leak_level).is_some_and(|leak| leak.is_suspected) {
            return Upkeep::RetireLeaked;
        }
        if times_used >= self.caps.per_item {
            return Upkeep::RetireWorn;
        }
        let right = answers.iter().filter(|answer| answer.is_right).count() as u64;
        match wilson(right, answers.len() as u64, Z_95) {
            Some(interval) if interval.high < self.doubted_below => Upkeep::Reverify,
            _ => Upkeep::Keep,
        }
    }
}
