//! What becomes of a task, a judgment or a piece of feedback in each profile: lines, or the reason why there are none.
//!
//! Strict profiles hold the trainer's columns and nothing else, always with an explicit prompt, each column of one type over the whole file.

use domain::task::Choice;
use learning::judgment::GoldRecord;
use serde::Serialize;
use serde_json::{Value, json};
use storage::feedback::Feedback;
use storage::training_data::judged::{JudgedTask, JudgmentRow, RaterMix};
use web::access::hash_key;

use super::profile::{Profile, Split};
use super::reader::Options;

/// Why something is not in an export: a stable word.
pub type Dropped = &'static str;

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The JSON, without its line feed.
    pub json: String,
    /// The value of `label`, in profiles that have one.
    pub label: Option<bool>,
}

/// Largest margin: posteriors are never quite certain.
const MAX_POSTERIOR: f64 = 0.999;

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct TextPair<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    chosen: String,
    rejected: String,
}

#[derive(Serialize)]
struct ChatPair<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<[Message<'a>; 1]>,
    chosen: Vec<Message<'a>>,
    rejected: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<f64>,
}

#[derive(Serialize)]
struct ChatCompletion<'a> {
    prompt: [Message<'a>; 1],
    completion: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<bool>,
}

#[derive(Serialize)]
struct JudgmentLine<'a> {
    task: &'a str,
    worker: String,
    label: &'a str,
    task_type: &'a str,
    display_order: &'a Value,
    reasons: &'a Value,
    confidence: f64,
    time_spent_seconds: f64,
    weight: f64,
    rubric_version: i32,
    is_simulated: bool,
    judged_at: String,
}

/// Lines of a judged task.
///
/// # Errors
/// The reason why it is left out.
pub fn of_task(task: &JudgedTask, mix: RaterMix, options: &Options) -> Result<Vec<Line>, Dropped> {
    if !matches!(task.status.as_str(), "completed" | "validated") {
        return Err("not_resolved_yet");
    }
    if mix.simulated > 0 && !options.include_simulated {
        return Err("simulated_raters");
    }
    let choice = task.choice.as_deref().and_then(|word| word.parse::<Choice>().ok()).ok_or("no_consensus")?;
    let is_expert = task.decided_by.as_deref().is_some_and(|who| who != "raters");
    let posterior = task.posterior.unwrap_or(if is_expert { 1.0 } else { 0.0 });
    if posterior < options.min_posterior {
        return Err("posterior_below_minimum");
    }
    let prompt = prompt_text(&task.prompt, &task.context_snippets);
    in_split(&prompt, options)?;
    let (a, b) = (candidate_text(&task.candidate_a), candidate_text(&task.candidate_b));
    let (chosen, rejected) = match choice {
        Choice::CandidateA => (a, b),
        Choice::CandidateB => (b, a),
        Choice::BothBad if options.profile == Profile::Kto => {
            return Ok(vec![completion(&prompt, &a, Some(false)), completion(&prompt, &b, Some(false))]);
        }
        Choice::CandidateC => return Err("third_candidate_preferred"),
        Choice::Tie => return Err("tie"),
        Choice::BothBad => return Err("both_bad"),
        Choice::Unsure => return Err("unsure"),
    };
    match options.profile {
        Profile::Sft if is_expert => Ok(vec![completion(&prompt, &chosen, None)]),
        Profile::Sft => Err("not_decided_by_an_expert"),
        _ => pair(options.profile, &prompt, &chosen, &rejected, margin(posterior)),
    }
}

/// Lines of a piece of feedback: a thumb or rating is a label, a preference is a pair, a correction is a pair and an example.
///
/// # Errors
/// The reason why it is left out.
pub fn of_feedback(row: &Feedback, options: &Options) -> Result<Vec<Line>, Dropped> {
    let output = row.model_output.as_str();
    let preferred = row.preferred_output.as_deref().unwrap_or_default();
    in_split(&row.prompt, options)?;
    match (row.feedback_type.as_str(), options.profile) {
        ("preference", Profile::Sft) => Err("feedback_without_an_example"),
        ("preference", profile) => pair(profile, &row.prompt, preferred, row.rejected_output.as_deref().unwrap_or_default(), 0.0),
        ("correction", Profile::Sft) => Ok(vec![completion(&row.prompt, preferred, None)]),
        ("correction", profile) => pair(profile, &row.prompt, preferred, output, 0.0),
        ("thumbs_up", Profile::Kto) => Ok(vec![completion(&row.prompt, output, Some(true))]),
        ("thumbs_down", Profile::Kto) => Ok(vec![completion(&row.prompt, output, Some(false))]),
        ("rating", Profile::Kto) => match row.rating {
            Some(4..=5) => Ok(vec![completion(&row.prompt, output, Some(true))]),
            Some(1..=2) => Ok(vec![completion(&row.prompt, output, Some(false))]),
            _ => Err("rating_of_three"),
        },
        (_, Profile::Sft) => Err("feedback_without_an_example"),
        _ => Err("feedback_without_a_pair"),
    }
}

/// The line of one judgment, with the rater under a pseudonym. Consensus plays no part here, so `min_posterior` does not either.
///
/// # Errors
/// The reason why it is left out.
pub fn of_judgment(row: &JudgmentRow, options: &Options) -> Result<Vec<Line>, Dropped> {
    if row.is_simulated && !options.include_simulated {
        return Err("simulated_raters");
    }
    in_split(&prompt_text(&row.prompt, &row.context_snippets), options)?;
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let record = GoldRecord { correct: count(row.golden_correct), total: count(row.golden_total) };
    let line = JudgmentLine {
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
    };
    Ok(vec![to_line(&line, None)])
}

fn in_split(prompt: &str, options: &Options) -> Result<(), Dropped> {
    match options.split {
        Some(split) if Split::of_prompt(prompt) != split => Err("other_split"),
        _ => Ok(()),
    }
}

fn pair(profile: Profile, prompt: &str, chosen: &str, rejected: &str, margin: f64) -> Result<Vec<Line>, Dropped> {
    if normalise(chosen) == normalise(rejected) {
        return Err("identical_texts");
    }
    let user = || Message { role: "user", content: prompt };
    let turns = |text| vec![Message { role: "assistant", content: text }];
    let chat = |text| vec![user(), Message { role: "assistant", content: text }];
    let line = match profile {
        Profile::TrlPreference => {
            // A completion begins with the separator: the trainer joins prompt and completion as they are.
            to_line(&TextPair { prompt: Some(prompt), chosen: format!(" {chosen}"), rejected: format!(" {rejected}") }, None)
        }
        Profile::TrlPreferenceChat => {
            to_line(&ChatPair { prompt: Some([user()]), chosen: turns(chosen), rejected: turns(rejected), margin: None }, None)
        }
        Profile::Reward => to_line(&ChatPair { prompt: None, chosen: chat(chosen), rejected: chat(rejected), margin: Some(margin) }, None),
        Profile::HhRlhf => {
            if [prompt, chosen, rejected].iter().any(|text| text.contains("\n\nHuman:") || text.contains("\n\nAssistant:")) {
                return Err("turn_mark_in_text");
            }
            let dialogue = |text: &str| format!("\n\nHuman: {prompt}\n\nAssistant: {text}");
            to_line(&TextPair { prompt: None, chosen: dialogue(chosen), rejected: dialogue(rejected) }, None)
        }
        Profile::Kto => return Ok(vec![completion(prompt, chosen, Some(true)), completion(prompt, rejected, Some(false))]),
        Profile::Sft | Profile::Judgments => return Err("feedback_without_an_example"),
    };
    Ok(vec![line])
}

fn completion(prompt: &str, text: &str, label: Option<bool>) -> Line {
    let line = ChatCompletion {
        prompt: [Message { role: "user", content: prompt }],
        completion: [Message { role: "assistant", content: text }],
        label,
    };
    to_line(&line, label)
}

fn to_line(line: &impl Serialize, label: Option<bool>) -> Line {
    // These types hold texts, finite numbers and JSON values only, so that writing them cannot fail.
    Line { json: serde_json::to_string(line).unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string()), label }
}

/// The log-odds of the posterior, to four digits; feedback, which has no posterior, has margin 0.
fn margin(posterior: f64) -> f64 {
    let p = posterior.clamp(1.0 - MAX_POSTERIOR, MAX_POSTERIOR);
    ((p / (1.0 - p)).ln() * 1e4).round() / 1e4
}

/// The question with everything that was shown beside it.
fn prompt_text(prompt: &str, snippets: &Value) -> String {
    let mut text = prompt.to_owned();
    for snippet in snippets.as_array().map(Vec::as_slice).unwrap_or_default() {
        text.push_str("\n\n");
        text.push_str(&candidate_text(snippet));
    }
    text
}

/// A text as it is, `{"text": ..}` as its text, anything else as compact JSON.
fn candidate_text(candidate: &Value) -> String {
    match candidate {
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.len() == 1 => {
            fields.get("text").and_then(Value::as_str).map_or_else(|| candidate.to_string(), str::to_owned)
        }
        other => other.to_string(),
    }
}

fn normalise(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn pseudonym(rater_id: &str) -> String {
    let hash = hash_key(&format!("rater:{rater_id}"));
    format!("r_{}", hash.get(..12).unwrap_or(&hash))
}
