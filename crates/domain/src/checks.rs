//! Auto-checks: what a machine can find out about a candidate before a person looks at it.
//!
//! Real parsers (JSON, JSON Schema, SQL, exact decimals, words), no I/O, no panic, bounded work: whatever is too large is refused before it is looked into.
//! A check that does not apply, because its context is missing or an earlier check failed, is absent: neither passed nor failed; [`catalogue`] tells what
//! each needs. Each check reports once per candidate, a failed one with its rule and [`place::Place`].
//!
//! # Shapes (the contract for task authors)
//! A context snippet is an object with `kind`; `title` and further members are for raters. The first snippet of a kind counts.
//!
//! | task type | context | candidate |
//! |---|---|---|
//! | `tool_call_qa` | `tools` `{tools:[{name, parameters}]}` (`parameters`: JSON Schema, references within it allowed), `sql_schema` `{tables:{name:[column]}, functions?:[name]}` | `{"call":{"name","arguments"}}`, `{"call_text":"…JSON…"}` or `{"sql":"…"}` |
//! | `schema_mapping` | `source_fields` `{fields:[{name, type, example?, examples?, unit?}]}`, `canonical_schema` `{fields:[{name, type, required?, unit?}]}` | `{"mapping":{source:{"to":canonical,"transform"?}}}`; transforms in [`transform::NAMES`] |
//! | `policy_compliance` | `policy` `{disallowed_terms?, required_disclaimers?, max_headline_length?, max_body_length?, max_lengths?:{field: n}, allowed_formats?}` (formats: `headline_body`, `text`) | `{"headline","body"}` or `{"text"}` |
//! | `plan_quality` | `plan_request` `{objective, budget, currency, horizon_days, constraints, start_date?, end_date?}` (any snippet with a `budget` is taken, too) | `{summary, lines, other_lines?, expected, constraints, budget, …}` |
//! | `tagging_normalization` | `taxonomy` `{tags:[tag], variants?:{variant: tag}, noisy_tag?}`; without `noisy_tag` what the prompt quotes, else the longest variant in it | `{"tag"}` |
//! | `edge_case_red_team` | `input` `{input, expects:{mentions?:[word or [alternatives]], must_not?:[phrase], missing?:[name]}}` | `{"answer"}` |
//!
//! Field types are `string`, `integer`, `number`, `money`, `boolean`, `date`, `timestamp`. `expects` is for the machine, not for raters.

pub mod catalogue;
mod clauses;
mod disguise;
mod edge_case;
mod json_text;
mod mapping;
pub mod place;
mod plan;
pub(crate) mod policy;
mod schema;
mod sql;
mod tag;
mod tool_call;
pub mod transform;
pub(crate) mod words;

use serde_json::Value;

use crate::task::TaskType;

/// Version of all rules together; findings of different versions are not compared.
pub const VERSION: i32 = 4;

/// Most JSON values (nested ones included) of one candidate.
pub const MAX_CANDIDATE_VALUES: usize = 5_000;

/// Most text bytes of one candidate, keys included.
pub const MAX_CANDIDATE_BYTES: usize = 65_536;

/// Most JSON values of one context snippet.
pub const MAX_SNIPPET_VALUES: usize = 5_000;

/// Most text bytes of one context snippet, keys included.
pub const MAX_SNIPPET_BYTES: usize = 131_072;

/// Most context snippets that are looked at.
pub const MAX_SNIPPETS: usize = 32;

/// Deepest nesting that is looked into.
pub const MAX_DEPTH: usize = 32;

/// Most bytes of a prompt that are looked at.
pub const MAX_PROMPT_BYTES: usize = 16_384;

/// What one check found about one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable name of the check, such as `spend_adds_up`.
    pub check: &'static str,
    /// The candidate's place: 0, 1 or 2.
    pub candidate: usize,
    /// Whether the candidate passed.
    pub passed: bool,
    /// What was found, where, and what would put it right, in a sentence for a person.
    pub message: String,
    /// Where in the candidate, as [`place::Place`] is written; every failed finding has one.
    pub place: Option<String>,
}

/// Runs every check of the task type on each of at most three candidates.
///
/// `context` and `prompt` are those of the task; shapes are in the module's documentation. Too large a candidate gets one failed `size` finding and no
/// other; too large a snippet counts as missing.
#[must_use]
pub fn run(task_type: TaskType, context: &[Value], prompt: &str, candidates: &[&Value]) -> Vec<Finding> {
    let snippets: Vec<&Value> = context.iter().take(MAX_SNIPPETS).filter(|s| fits(s, MAX_SNIPPET_VALUES, MAX_SNIPPET_BYTES)).collect();
    let context = Context { snippets, prompt: front(prompt, MAX_PROMPT_BYTES) };
    let mut findings = Vec::new();
    for (candidate, value) in candidates.iter().take(3).enumerate() {
        let mut report = Report { candidate, findings: Vec::new() };
        if fits(value, MAX_CANDIDATE_VALUES, MAX_CANDIDATE_BYTES) {
            match task_type {
                TaskType::ToolCallQa => tool_call::check(&context, value, &mut report),
                TaskType::SchemaMapping => mapping::check(&context, value, &mut report),
                TaskType::PolicyCompliance => policy::check(&context, value, &mut report),
                TaskType::PlanQuality => plan::check(&context, value, &mut report),
                TaskType::TaggingNormalization => tag::check(&context, value, &mut report),
                TaskType::EdgeCaseRedTeam => edge_case::check(&context, value, &mut report),
            }
        } else {
            report.fail(
                "size",
                format!("the candidate is too large to check: at most {MAX_CANDIDATE_VALUES} values, {MAX_CANDIDATE_BYTES} bytes of text, {MAX_DEPTH} levels"),
                largest(value),
            );
        }
        findings.append(&mut report.findings);
    }
    findings
}

/// What the checks may know beside the candidate.
struct Context<'a> {
    snippets: Vec<&'a Value>,
    prompt: &'a str,
}

impl<'a> Context<'a> {
    /// The first snippet of a kind.
    fn kind(&self, kind: &str) -> Option<&'a Value> {
        self.snippets.iter().find(|s| s.get("kind").and_then(Value::as_str) == Some(kind)).copied()
    }
}

/// Collects the findings about one candidate.
struct Report {
    candidate: usize,
    findings: Vec<Finding>,
}

impl Report {
    fn pass(&mut self, check: &'static str, message: impl Into<String>) {
        self.findings.push(Finding { check, candidate: self.candidate, passed: true, message: message.into(), place: None });
    }

    fn fail(&mut self, check: &'static str, message: impl Into<String>, place: impl Into<String>) {
        let place = Some(place.into());
        self.findings.push(Finding { check, candidate: self.candidate, passed: false, message: message.into(), place });
    }

    /// One finding from many problems: none is a pass, the first gives the place, at most five are named.
    fn sum_up(&mut self, check: &'static str, fine: impl Into<String>, problems: Vec<Problem>) {
        let n_more = problems.len().saturating_sub(5);
        let Some(first) = problems.first() else {
            self.pass(check, fine);
            return;
        };
        let place = first.place.clone();
        let mut message = problems.iter().take(5).map(|p| p.message.as_str()).collect::<Vec<_>>().join("; ");
        if n_more > 0 {
            message.push_str(&format!("; and {n_more} more"));
        }
        self.fail(check, message, place);
    }
}

/// One thing that is wrong.
struct Problem {
    message: String,
    place: String,
}

impl Problem {
    fn at(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: place.into() }
    }
}

/// The place of the member of an object that holds most texts and values, for a candidate that is too large.
fn largest(value: &Value) -> String {
    let size = |member: &Value| match member {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len().saturating_mul(MAX_CANDIDATE_BYTES / MAX_CANDIDATE_VALUES),
        Value::Object(members) => members.len().saturating_mul(MAX_CANDIDATE_BYTES / MAX_CANDIDATE_VALUES),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    let largest = value.as_object().and_then(|members| members.iter().max_by_key(|(_, member)| size(member)));
    largest.map_or_else(String::new, |(name, _)| format!("/{}", pointer(name)))
}

/// Whether a value keeps the limits; walks no further than they reach, and without recursion.
fn fits(value: &Value, max_values: usize, max_bytes: usize) -> bool {
    let (mut n_values, mut n_bytes) = (0_usize, 0_usize);
    let mut open = vec![(value, 0_usize)];
    while let Some((value, depth)) = open.pop() {
        n_values += 1;
        match value {
            Value::String(text) => n_bytes += text.len(),
            Value::Array(items) => {
                if n_values + open.len() + items.len() > max_values {
                    return false;
                }
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Object(members) => {
                if n_values + open.len() + members.len() > max_values {
                    return false;
                }
                n_bytes += members.keys().map(String::len).sum::<usize>();
                open.extend(members.values().map(|member| (member, depth + 1)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if n_values > max_values || n_bytes > max_bytes || depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// The longest beginning of at most `max_bytes` that ends on a character boundary.
fn front(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A text for a message: quoted, control characters escaped, at most 60 characters.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// A member name as a part of a JSON pointer (RFC 6901).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The texts of a list; anything else in it is passed over.
fn texts(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}
