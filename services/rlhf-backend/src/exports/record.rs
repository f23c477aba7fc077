//! Rows of exports, and how they are written as JSON lines. Strict profiles hold the trainer's columns and nothing else, always with an
//! explicit prompt where the trainer reads one, each column of one type over the whole file.

use std::io::Write;

use learning::judgment::GoldRecord;
use serde::Serialize;
use serde_json::Value;
use storage::training_data::judged::JudgmentRow;

use super::profile::Profile;
use super::texts::pseudonym;

/// One row, not yet in the shape of a profile.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// Two answers, one better.
    Pair {
        /// The question.
        prompt: &'a str,
        /// The better answer.
        chosen: &'a str,
        /// The other.
        rejected: &'a str,
        /// Log-odds of the decision.
        margin: f64,
    },
    /// One answer.
    Answer {
        /// The question.
        prompt: &'a str,
        /// The answer.
        text: &'a str,
        /// Whether it is good; an example to learn from has no label.
        label: Option<bool>,
    },
    /// One judgment.
    Judgment(&'a JudgmentRow),
}

impl Record<'_> {
    /// The value of `label`, in profiles that have one.
    #[must_use]
    pub fn label(&self) -> Option<bool> {
        match self {
            Self::Answer { label, .. } => *label,
            _ => None,
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

fn user(content: &str) -> Message<'_> {
    Message { role: "user", content }
}

fn assistant(content: &str) -> Message<'_> {
    Message { role: "assistant", content }
}

/// A text with another before it, written without joining them in memory.
struct After<'a>(&'static str, &'a str);

impl Serialize for After<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{}", self.0, self.1))
    }
}

/// A dialogue with turn marks.
struct Dialogue<'a>(&'a str, &'a str);

impl Serialize for Dialogue<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&dialogue(self.0, self.1))
    }
}

/// A question and its answer with the turn marks of HH-RLHF.
#[must_use]
pub fn dialogue(prompt: &str, answer: &str) -> String {
    format!("\n\nHuman: {prompt}\n\nAssistant: {answer}")
}

/// Whether a text holds a turn mark of its own.
#[must_use]
pub fn has_turn_mark(text: &str) -> bool {
    text.contains("\n\nHuman:") || text.contains("\n\nAssistant:")
}

#[derive(Serialize)]
struct TextPair<'a> {
    prompt: &'a str,
    chosen: After<'a>,
    rejected: After<'a>,
}

#[derive(Serialize)]
struct DialoguePair<'a> {
    chosen: Dialogue<'a>,
    rejected: Dialogue<'a>,
}

#[derive(Serialize)]
struct ChatPair<'a> {
    prompt: [Message<'a>; 1],
    chosen: [Message<'a>; 1],
    rejected: [Message<'a>; 1],
}

#[derive(Serialize)]
struct RewardPair<'a> {
    chosen: [Message<'a>; 2],
    rejected: [Message<'a>; 2],
    margin: f64,
}

#[derive(Serialize)]
struct ChatAnswer<'a> {
    prompt: [Message<'a>; 1],
    completion: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<bool>,
}

/// A judgment as it is exported, with the rater under a pseudonym.
#[derive(Serialize)]
pub struct JudgmentLine<'a> {
    /// The task.
    pub task: &'a str,
    /// The rater's pseudonym.
    pub worker: String,
    /// The decision.
    pub label: &'a str,
    /// Kind of task.
    pub task_type: &'a str,
    /// Which candidate was shown in which place.
    pub display_order: &'a Value,
    /// Reason codes.
    pub reasons: &'a Value,
    /// 0 to 1.
    pub confidence: f64,
    /// Time between first sight and submission.
    pub time_spent_seconds: f64,
    /// The rater's smoothed accuracy on golden items.
    pub weight: f64,
    /// Version of the rubric shown.
    pub rubric_version: i32,
    /// Whether the rater is a simulation.
    pub is_simulated: bool,
    /// When.
    pub judged_at: String,
}

impl<'a> From<&'a JudgmentRow> for JudgmentLine<'a> {
    fn from(row: &'a JudgmentRow) -> Self {
        let count = |n: i32| u32::try_from(n).unwrap_or(0);
        let record = GoldRecord { correct: count(row.golden_correct), total: count(row.golden_total) };
        Self {
            task: &row.task_id,
            worker: pseudonym(&row.rater_id),
            label: &row.choice,
            task_type: &row.task_type,
            display_order: &row.display_order,
            reasons: &row.reasons,
            confidence: row.confidence,
            time_spent_seconds: row.time_spent_seconds,
            weight: record.smoothed_accuracy(),
            rubric_version: row.rubric_version,
            is_simulated: row.is_simulated,
            judged_at: row.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        }
    }
}

/// Writes a row as a line of JSON in the shape of a profile.
///
/// # Errors
/// When the place it is written to fails.
pub fn write_line(record: &Record<'_>, profile: Profile, mut out: impl Write) -> Result<(), serde_json::Error> {
    match *record {
        Record::Pair { prompt, chosen, rejected, margin } => match profile {
            Profile::TrlPreferenceChat => serde_json::to_writer(
                &mut out,
                &ChatPair { prompt: [user(prompt)], chosen: [assistant(chosen)], rejected: [assistant(rejected)] },
            ),
            Profile::Reward => {
                let [chosen, rejected] = [chosen, rejected].map(|text| [user(prompt), assistant(text)]);
                serde_json::to_writer(&mut out, &RewardPair { chosen, rejected, margin })
            }
            Profile::HhRlhf => {
                serde_json::to_writer(&mut out, &DialoguePair { chosen: Dialogue(prompt, chosen), rejected: Dialogue(prompt, rejected) })
            }
            // A completion begins with the separator: the trainer joins prompt and completion as they are.
            _ => serde_json::to_writer(&mut out, &TextPair { prompt, chosen: After(" ", chosen), rejected: After(" ", rejected) }),
        },
        Record::Answer { prompt, text, label } => {
            serde_json::to_writer(&mut out, &ChatAnswer { prompt: [user(prompt)], completion: [assistant(text)], label })
        }
        Record::Judgment(row) => serde_json::to_writer(&mut out, &JudgmentLine::from(row)),
    }?;
    out.write_all(b"\n").map_err(serde_json::Error::io)
}
