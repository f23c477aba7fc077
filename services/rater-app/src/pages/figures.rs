//! How figures look: every share with its interval and the number it rests on, and "not measured" where there is none.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveTime, Utc};
use domain::task::{CONFIDENCE_WORDS, Choice, TaskType};

use crate::raters::{Share, share};

/// Below this number a share is shown, but as too thin to lean on.
pub const THIN: u64 = 20;

/// A share with its 95 % Wilson interval, ready for a template.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareView {
    /// `82 %`.
    pub percent: String,
    /// `71 to 90 %`.
    pub range: String,
    /// Lower bound in per cent, `71 %`.
    pub low: String,
    /// Lower bound, 0 to 1.
    pub low_share: f64,
    /// Upper bound, 0 to 1.
    pub high_share: f64,
    /// Number of answers.
    pub n: u64,
    /// Fewer answers than [`THIN`].
    pub is_thin: bool,
    /// The interval as a small SVG bar; numbers only, so safe in a page.
    pub svg: String,
}

impl ShareView {
    /// `part` of `whole`; `None` when nothing was measured.
    #[must_use]
    pub fn new(part: i64, whole: i64) -> Option<Self> {
        Self::of(&share(part, whole))
    }

    /// A share as the API gives it; `None` when nothing was measured.
    #[must_use]
    pub fn of(share: &Share) -> Option<Self> {
        Some(Self::with_interval(share.estimate?, share.low?, share.high?, share.n))
    }

    /// A share whose interval is known already.
    #[must_use]
    pub fn with_interval(share: f64, low: f64, high: f64, n: u64) -> Self {
        let whole = |value: f64| format!("{:.0}", value * 100.0);
        Self {
            percent: format!("{} %", whole(share)),
            range: format!("{} to {} %", whole(low), whole(high)),
            low: format!("{} %", whole(low)),
            low_share: low,
            high_share: high,
            n,
            is_thin: n < THIN,
            svg: interval_bar(share, low, high),
        }
    }
}

/// A bar from 0 to 1 with the interval and the point in it. Hidden from screen readers: the figures stand beside it.
#[must_use]
pub fn interval_bar(share: f64, low: f64, high: f64) -> String {
    let at = |value: f64| value.clamp(0.0, 1.0) * 100.0;
    let mut svg = String::from("<svg class=\"interval\" viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let _ = write!(
        svg,
        "<rect class=\"interval-track\" y=\"4\" width=\"100\" height=\"4\"/><line class=\"interval-mark\" x1=\"50\" x2=\"50\" y1=\"2\" y2=\"10\"/>\
         <rect class=\"interval-range\" x=\"{:.1}\" y=\"3\" width=\"{:.1}\" height=\"6\"/><rect class=\"interval-point\" x=\"{:.1}\" width=\"1.6\" height=\"12\"/></svg>",
        at(low),
        (at(high) - at(low)).max(0.5),
        (at(share) - 0.8).max(0.0),
    );
    svg
}

/// A task type as people read it; a word that is none is shown without its underscores.
#[must_use]
pub fn title_of(word: &str) -> String {
    if let Ok(task_type) = word.parse::<TaskType>() {
        return task_type.title().to_owned();
    }
    let text = word.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The word of a task type, for as long as the program lives.
#[must_use]
pub fn word_of(kind: TaskType) -> &'static str {
    match kind {
        TaskType::ToolCallQa => "tool_call_qa",
        TaskType::SchemaMapping => "schema_mapping",
        TaskType::PolicyCompliance => "policy_compliance",
        TaskType::PlanQuality => "plan_quality",
        TaskType::TaggingNormalization => "tagging_normalization",
        TaskType::EdgeCaseRedTeam => "edge_case_red_team",
    }
}

/// A choice as the rater who made it saw the letters.
#[must_use]
pub fn choice_words(choice: Choice) -> &'static str {
    match choice {
        Choice::CandidateA => "A is better",
        Choice::CandidateB => "B is better",
        Choice::CandidateC => "C is better",
        Choice::Tie => "Tie",
        Choice::BothBad => "Both bad",
        Choice::Unsure => "Unsure",
    }
}

/// The word nearest to a stated confidence.
#[must_use]
pub fn confidence_word(value: f64) -> &'static str {
    let nearest = CONFIDENCE_WORDS.iter().min_by(|a, b| (a.1 - value).abs().total_cmp(&(b.1 - value).abs()));
    nearest.map_or("", |(word, _)| *word)
}

/// The beginning of the day, UTC.
#[must_use]
pub fn midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// How reliable somebody is, in words that say no more than the interval does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// In a word or two.
    pub head: &'static str,
    /// What it rests on, in a sentence.
    pub words: String,
}

/// The band of `part` agreements of `whole`.
#[must_use]
pub fn band(part: i64, whole: i64) -> Band {
    let view = share(part, whole);
    let (Some(estimate), Some(low), Some(high)) = (view.estimate, view.low, view.high) else {
        return Band { head: "Not known yet", words: "Nothing of yours was compared with an expert or a decision yet.".to_owned() };
    };
    if view.n < THIN {
        let words = format!("{} of {} were as experts or decisions had it; from {THIN} on this says more.", view.count, view.n);
        return Band { head: "Too early to tell", words };
    }
    let tenths = |share: f64| (share * 10.0).round();
    let head = match (low, high) {
        (low, _) if low >= 0.85 => "Very reliable",
        (low, _) if low >= 0.7 => "Reliable",
        (_, high) if high < 0.6 => "Needs attention",
        _ => "Not settled",
    };
    let range = match (tenths(low), tenths(high)) {
        (low, high) if low < high => format!("surely between {low:.0} and {high:.0} of 10"),
        (low, _) => format!("close to {low:.0} of 10"),
    };
    Band {
        head,
        words: format!("About {:.0} of 10 are as experts or decisions have it: {range}, from {} compared.", tenths(estimate), view.n),
    }
}

/// Seconds as `48 s` or `2 min 5 s`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    if whole < 60 { format!("{whole} s") } else { format!("{} min {} s", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_share_says_its_interval_and_its_number() {
        // Wilson 95 % for 8 of 10 is 0.490 to 0.943 (Agresti and Coull 1998 give 0.49 to 0.94).
        let share = ShareView::new(8, 10).unwrap();
        assert_eq!((share.percent.as_str(), share.range.as_str(), share.n, share.is_thin), ("80 %", "49 to 94 %", 10, true));
        assert_eq!(ShareView::new(0, 0), None);
    }

    #[test]
    fn a_band_says_no_more_than_its_interval() {
        assert_eq!(band(0, 0).head, "Not known yet");
        assert_eq!(band(10, 10).head, "Too early to tell");
        // Wilson 95 % for 98 of 100 is 0.930 to 0.994.
        assert_eq!(
            band(98, 100),
            Band {
                head: "Very reliable",
                words: "About 10 of 10 are as experts or decisions have it: surely between 9 and 10 of 10, from 100 compared.".to_owned()
            }
        );
        assert_eq!((band(70, 100).head, band(40, 100).head), ("Not settled", "Needs attention"));
    }

    #[test]
    fn words_and_durations_are_for_people() {
        assert_eq!((title_of("tool_call_qa"), title_of("new_type")), ("Tool call".to_owned(), "New type".to_owned()));
        assert_eq!((duration(47.6), duration(125.0)), ("48 s".to_owned(), "2 min 5 s".to_owned()));
    }
}
