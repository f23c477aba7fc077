//! Where a rater stands on the ladder and what happens next, in words for those who look after quality.

use chrono::{DateTime, TimeDelta, Utc};
use learning::integrity::false_alarms::JUDGMENTS_PER_LOOK;
use learning::integrity::ladder::{self, Action as Step, LadderRules, Rung};
use learning::integrity::{Rules, Signal};
use storage::integrity::{Action, Standing};
use web::settings::Settings;

use super::{kind_of, ladder_rules};

/// What happens next by itself, and when. `history` are the actions on the rater, oldest first.
#[must_use]
pub fn next(standing: &Standing, history: &[Action], settings: &Settings) -> String {
    let rules = &settings.rating.integrity;
    let days = rules.void_window.as_secs() / 86_400;
    let clean = LadderRules::default().clean_judgments;
    let rung = kind_of(&standing.rung).map_or(Rung::None, Step::rung);
    match rung {
        Rung::None => String::new(),
        Rung::Void => format!("Gets no work; judgments of {days} days do not count. Stays so until somebody lifts or reverses it."),
        Rung::Pause => match voided_from(standing, history, settings) {
            Some(at) => {
                let at = at.format("%-d %B %Y, %H:%M UTC");
                format!("Unless somebody lifts the pause, the judgments of the {days} days before are voided on {at}.")
            }
            None => "Gets no work until somebody lifts or reverses it; nothing happens by itself.".to_owned(),
        },
        _ if !rules.is_automatic => "Stays so until somebody acts; nothing happens by itself.".to_owned(),
        Rung::Warn => format!(
            "Looked at again after {JUDGMENTS_PER_LOOK} more judgments: a flagged signal means golden items more often, {clean} judgments without one end the warning."
        ),
        Rung::MoreGold => format!(
            "Looked at again after {JUDGMENTS_PER_LOOK} more judgments: two signals or a severe one mean a pause, {clean} judgments without one end it."
        ),
    }
}

/// When a pause becomes the voiding of recent judgments; `None` when it does not by itself: by hand, without signals that carry it, or
/// because a person has taken the voiding back before.
fn voided_from(standing: &Standing, history: &[Action], settings: &Settings) -> Option<DateTime<Utc>> {
    let rules = &settings.rating.integrity;
    let pause = history.iter().rev().find(|action| action.reversed_at.is_none()).filter(|action| action.kind == "pause")?;
    let was_taken_back = history.iter().any(|action| action.id > pause.id && action.kind == "void");
    let found: Vec<Signal> = serde_json::from_value(pause.signals.0.clone()).unwrap_or_default();
    let waited = ladder::Standing { rung: Rung::Pause, seconds: None, judgments: 0 };
    let follows = ladder::propose(waited, &found, &Rules::default(), &ladder_rules(settings)).is_some();
    let since = standing.since.filter(|_| rules.is_automatic && follows && !was_taken_back)?;
    Some(since.0 + TimeDelta::from_std(rules.pause).unwrap_or(TimeDelta::days(1)))
}

/// A step as people read it.
#[must_use]
pub fn title(word: &str) -> &'static str {
    match word {
        "warn" => "Warned",
        "more_gold" => "Golden items more often",
        "pause" => "Paused",
        "void" => "Judgments voided",
        "lift" => "Lifted",
        _ => "",
    }
}
