//! What follows from signals: one step at a time, each on evidence that is newer than the step before, each told, each reversible.
//! Nobody loses work by the word of one test.

use serde::{Deserialize, Serialize};

use super::{Name, Rules, Signal};

/// Where a rater stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Nothing is held against the rater.
    None,
    /// Told what was seen.
    Warn,
    /// Gets golden items more often, to find out.
    MoreGold,
    /// Gets no work until somebody has looked.
    Pause,
    /// Recent judgments do not count any more, and their tasks are judged again.
    Void,
}

/// An action: a step up, or the lifting of all that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// To [`Rung::Warn`].
    Warn,
    /// To [`Rung::MoreGold`].
    MoreGold,
    /// To [`Rung::Pause`].
    Pause,
    /// To [`Rung::Void`].
    Void,
    /// Back to [`Rung::None`].
    Lift,
}

impl Action {
    /// The rung that it leads to.
    pub fn rung(self) -> Rung {
        match self {
            Self::Warn => Rung::Warn,
            Self::MoreGold => Rung::MoreGold,
            Self::Pause => Rung::Pause,
            Self::Void => Rung::Void,
            Self::Lift => Rung::None,
        }
    }
}

/// The rung after a history of actions, oldest first, each with whether it was reversed. A reversed action is as if it had never been:
/// the rater stands where the one before led to.
pub fn rung_after(history: &[(Action, bool)]) -> Rung {
    history.iter().rev().find(|(_, is_reversed)| !is_reversed).map_or(Rung::None, |(action, _)| action.rung())
}

/// When a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LadderRules {
    /// Least time on a rung, in seconds: a rater must be able to read what is said and to change.
    pub least_seconds: u64,
    /// Least judgments after the last action before the next step up.
    pub least_judgments: u64,
    /// Judgments without any flagged signal after which a warning or more golden items end by themselves.
    pub clean_judgments: u64,
    /// Time a pause lasts before judgments are voided, in seconds, so that an expert can look and lift it.
    pub void_after_seconds: u64,
    /// Flagged signals that a pause needs; a severe one counts as two.
    pub pause_weight: u32,
    /// Flagged signals that voiding needs; a severe one counts as two.
    pub void_weight: u32,
}

impl Default for LadderRules {
    /// Ten minutes and 50 judgments between steps, 100 clean judgments to be free again, a day from pause to void; pause and void need
    /// two signals, or one severe one.
    fn default() -> Self {
        Self { least_seconds: 600, least_judgments: 50, clean_judgments: 100, void_after_seconds: 86_400, pause_weight: 2, void_weight: 2 }
    }
}

/// Where a rater stands, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The rung.
    pub rung: Rung,
    /// Seconds since the action that led there; `None` without one.
    pub seconds: Option<u64>,
    /// Judgments since that action (all, without one). On [`Rung::Pause`]: those that the signals rest on.
    pub judgments: u64,
}

/// A proposed action with what justifies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What to do.
    pub action: Action,
    /// The flagged signals; empty for [`Action::Lift`].
    pub signals: Vec<Signal>,
    /// Why, for the rater and the log.
    pub reason: String,
}

/// What to do about a rater, or `None` for nothing.
///
/// `signals` have passed [`super::false_alarms::control`] and rest on judgments given after the last action; on [`Rung::Pause`], where
/// no new ones come, on those that led there. One step at a time:
///
/// | from | to | needs |
/// |---|---|---|
/// | none | warn | one flagged signal |
/// | warn | more gold | one flagged signal on new judgments |
/// | more gold | pause | weight `pause_weight` on new judgments |
/// | pause | void | weight `void_weight`, and the pause has lasted `void_after_seconds` |
/// | warn, more gold | none | `clean_judgments` new ones without a flagged signal |
///
/// A pause ends, and a void is undone, only by a person.
pub fn propose(standing: Standing, signals: &[Signal], rules: &Rules, ladder: &LadderRules) -> Option<Proposal> {
    let flagged: Vec<&Signal> = super::false_alarms::flagged(signals, rules);
    let weight = weight(&flagged, rules);
    let has_waited = |least: u64| standing.seconds.is_none_or(|seconds| seconds >= least);
    let is_due = has_waited(ladder.least_seconds) && standing.judgments >= ladder.least_judgments;
    let up = |action| Some(Proposal { action, reason: reason(action, &flagged), signals: flagged.iter().copied().cloned().collect() });
    match standing.rung {
        Rung::None if weight >= 1 && is_due => up(Action::Warn),
        Rung::Warn if weight >= 1 && is_due => up(Action::MoreGold),
        Rung::MoreGold if weight >= ladder.pause_weight.max(1) && is_due => up(Action::Pause),
        Rung::Pause if weight >= ladder.void_weight.max(1) && has_waited(ladder.void_after_seconds) => up(Action::Void),
        Rung::Warn | Rung::MoreGold if flagged.is_empty() && standing.judgments >= ladder.clean_judgments => Some(Proposal {
            action: Action::Lift,
            signals: Vec::new(),
            reason: format!("{} judgments since then without anything unusual", standing.judgments),
        }),
        _ => None,
    }
}

/// Weight of the evidence: a flagged signal counts once, a severe one twice. Side bias and streaks come from the same choices and count
/// together as the heavier of the two; so do golden and attention items.
fn weight(flagged: &[&Signal], rules: &Rules) -> u32 {
    let of = |signal: &Signal| if signal.is_severe(rules) { 2 } else { 1 };
    let group = |names: &[Name]| flagged.iter().filter(|signal| names.contains(&signal.name)).map(|signal| of(signal)).max().unwrap_or(0);
    let groups: [&[Name]; 5] =
        [&[Name::TimeFloor], &[Name::SideBias, Name::Streaks], &[Name::ChoiceMix], &[Name::CopiedText], &[Name::Golden, Name::Attention]];
    groups.into_iter().map(group).sum()
}

fn reason(action: Action, flagged: &[&Signal]) -> String {
    let lead = match action {
        Action::Warn => "Please look at this",
        Action::MoreGold => "This has continued after the note",
        Action::Pause => "Your work is paused until somebody has looked at it",
        Action::Void => "Your recent judgments do not count and are judged again",
        Action::Lift => "Lifted",
    };
    let words: Vec<&str> = flagged.iter().map(|signal| signal.words.as_str()).collect();
    format!("{lead}: {}.", words.join("; "))
}
