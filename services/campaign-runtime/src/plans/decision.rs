//! The rule that decides about a set of plans: by the reward model when one took part, else by expected outcome; people when it is close.

use peers::score::ScoreResponse;
use planning::comparison::compare;
use planning::proposal::plan::CandidatePlan;
use serde::{Deserialize, Serialize};

/// When people are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskPeople {
    /// When neither of the two best plans clearly wins.
    #[default]
    WhenClose,
    /// Whenever there are two plans.
    Always,
    /// Never: the best plan is chosen even when it is close.
    Never,
}

/// What the comparison rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The active reward model's probability that people prefer the plan.
    RewardModel,
    /// The probability that the plan's expected revenue net of spend is the higher one.
    ExpectedOutcome,
}

impl Basis {
    /// The word in answers and rows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RewardModel => "reward_model",
            Self::ExpectedOutcome => "expected_outcome",
        }
    }
}

/// The decision about a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Place of the best plan.
    pub best: usize,
    /// Place of the second best; none when there is one plan.
    pub second: Option<usize>,
    /// Whether people decide between the two.
    pub asks_people: bool,
    /// Whether neither clearly wins.
    pub is_close_call: bool,
    /// Probability that the best wins against the second; absent when it cannot be known.
    pub win_probability: Option<f64>,
    /// From which probability the best is chosen without people.
    pub threshold: f64,
    /// What the comparison rests on.
    pub basis: Basis,
    /// For each plan its probability of winning against the best other plan, when a model scored.
    pub each: Vec<Option<f64>>,
    /// In words.
    pub reason: String,
    /// Whether the plans are for study only, since the campaign is over: the best is recommended and not chosen.
    pub is_study: bool,
}

impl Decision {
    /// Decides. `plans` is not empty; `margin` is the distance from one half within which a call is close; `over` says that the campaign is
    /// over, so that nothing is chosen.
    #[must_use]
    pub fn make(plans: &[CandidatePlan], scores: &ScoreResponse, ask: AskPeople, margin: f64, over: Option<&str>) -> Self {
        let basis = if scores.fallback { Basis::ExpectedOutcome } else { Basis::RewardModel };
        let value = |at: &usize| match basis {
            Basis::RewardModel => scores.scores.get(*at).copied().unwrap_or(f64::NEG_INFINITY),
            Basis::ExpectedOutcome => plans.get(*at).map_or(f64::NEG_INFINITY, net),
        };
        let mut order: Vec<usize> = (0..plans.len()).collect();
        order.sort_by(|a, b| value(b).total_cmp(&value(a)));
        let (best, second) = (order.first().copied().unwrap_or(0), order.get(1).copied());
        let against = |one: usize, other: usize| match basis {
            Basis::RewardModel => scores.win_probabilities.get(one).and_then(|row| row.get(other)).copied(),
            Basis::ExpectedOutcome => Some(compare(plans.get(one)?, plans.get(other)?)).and_then(|found| found.probability_first.value),
        };
        let win_probability = second.and_then(|second| against(best, second)).filter(|p| p.is_finite());
        let threshold = 0.5 + margin;
        let is_close_call = second.is_some() && win_probability.is_none_or(|p| p < threshold);
        let asks_people = second.is_some()
            && match ask {
                AskPeople::WhenClose => is_close_call,
                AskPeople::Always => true,
                AskPeople::Never => false,
            };
        let rival = |one: usize| order.iter().copied().find(|other| *other != one);
        let each = match basis {
            Basis::RewardModel => (0..plans.len()).map(|one| rival(one).and_then(|other| against(one, other))).collect(),
            Basis::ExpectedOutcome => vec![None; plans.len()],
        };
        let is_study = over.is_some();
        let mut decision =
            Self { best, second, asks_people, is_close_call, win_probability, threshold, basis, each, reason: String::new(), is_study };
        decision.reason = decision.explain(ask);
        if let Some(over) = over {
            decision.reason = format!("{} {over}", decision.reason);
        }
        decision
    }

    fn explain(&self, ask: AskPeople) -> String {
        let by = match self.basis {
            Basis::RewardModel => "the reward model",
            Basis::ExpectedOutcome => "expected outcome (no reward model took part)",
        };
        if self.second.is_none() {
            return "The constraints leave room for one plan only.".to_owned();
        }
        let chance = match self.win_probability {
            Some(p) => format!("The best plan wins against the second with probability {p:.3} by {by}"),
            None => format!("How the two best plans compare by {by} is not known"),
        };
        let (threshold, chosen) = (self.threshold, if self.is_study { "recommended" } else { "chosen" });
        if self.win_probability.is_none() {
            return match self.asks_people {
                true => format!("{chance}, so people decide."),
                false => format!("{chance}, and the request asks nobody: the first is {chosen}."),
            };
        }
        match (self.asks_people, self.is_close_call) {
            (true, true) => format!("{chance}, which is under {threshold:.3}: a close call, so people decide."),
            (true, false) => format!("{chance}; people decide because the request asks for it."),
            (false, true) if ask == AskPeople::Never => {
                format!("{chance}, which is under {threshold:.3}, but the request asks nobody: the best is {chosen}.")
            }
            (false, _) => format!("{chance}, which is at least {threshold:.3}: it is {chosen}."),
        }
    }
}

/// Expected revenue net of spend, in micros.
#[must_use]
pub fn net(plan: &CandidatePlan) -> f64 {
    (i128::from(plan.expected.revenue_micros) - i128::from(plan.expected.spend_micros)) as f64
}
