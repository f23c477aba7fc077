//! Checks of `policy_compliance`: disallowed terms, disclaimers, lengths and format of an advertising text.

use serde_json::Value;

use super::words::{Searchable, Term};
use super::{Context, Problem, Report, quoted, texts};

/// Most words in capitals that a text may carry (a brand, an abbreviation, a word to stress).
const MAX_CAPITAL_WORDS: usize = 3;

/// Most terms and disclaimers of a policy that are looked for.
const MAX_POLICY_TEXTS: usize = 500;

/// A candidate's parts: the place of each and its text.
type Parts<'a> = Vec<(&'static str, &'a str)>;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let Some((format, parts)) = parts(candidate) else {
        report.fail(
            "candidate_form",
            "the candidate is no advertising text; give {\"headline\", \"body\"} or {\"text\"} with words in it",
            None,
        );
        return;
    };
    report.pass("candidate_form", "the candidate is an advertising text");
    report.sum_up("format", "capitals and exclamation marks are in bounds", shouting(&parts));
    let Some(policy) = context.kind("policy") else { return };
    if policy.get("disallowed_terms").is_some_and(Value::is_array) {
        report.sum_up("disallowed_terms", "no disallowed term", disallowed(policy, &parts));
    }
    let disclaimers = texts(policy.get("required_disclaimers"));
    if !disclaimers.is_empty() {
        let said: Vec<&str> = parts.iter().map(|(_, text)| *text).collect();
        report.sum_up(
            "required_disclaimers",
            "every required disclaimer is there, word for word",
            missing_disclaimers(&disclaimers, &said).into_iter().map(|message| Problem { message, place: None }).collect(),
        );
    }
    length_limit(policy, "max_headline_length", "headline_length", "/headline", &parts, report);
    let body = if format == "text" { "/text" } else { "/body" };
    length_limit(policy, "max_body_length", "body_length", body, &parts, report);
    let allowed = texts(policy.get("allowed_formats"));
    if !allowed.is_empty() {
        if allowed.contains(&format) {
            report.pass("allowed_format", format!("the format {format} is allowed"));
        } else {
            report.fail("allowed_format", format!("the format {format} is not allowed; use {}", allowed.join(" or ")), None);
        }
    }
}

/// The format's name and the texts of the candidate; `None` when a part is missing or nothing is written.
fn parts(candidate: &Value) -> Option<(&'static str, Parts<'_>)> {
    let text = |name: &str| candidate.get(name).and_then(Value::as_str);
    let (format, parts) = match (text("headline"), text("body"), text("text")) {
        (Some(headline), Some(body), None) => ("headline_body", vec![("/headline", headline), ("/body", body)]),
        (None, None, Some(text)) => ("text", vec![("/text", text)]),
        _ => return None,
    };
    parts.iter().any(|(_, text)| !text.trim().is_empty()).then_some((format, parts))
}

fn disallowed(policy: &Value, parts: &Parts<'_>) -> Vec<Problem> {
    let terms: Vec<_> =
        texts(policy.get("disallowed_terms")).into_iter().take(MAX_POLICY_TEXTS).map(|term| (term, Term::of(term))).collect();
    let mut problems = Vec::new();
    for (place, text) in parts {
        let text = Searchable::of(text);
        for (term, ready) in &terms {
            if let Some(character) = text.find(ready) {
                problems.push(Problem::at(
                    *place,
                    format!(
                        "{} is disallowed and stands at character {character} of {}; take it out",
                        quoted(term),
                        place.trim_start_matches('/')
                    ),
                ));
            }
        }
    }
    problems
}

/// A sentence for each disclaimer that no text holds.
pub(crate) fn missing_disclaimers(disclaimers: &[&str], texts: &[&str]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
    let lower: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let mut missing = Vec::new();
    for disclaimer in disclaimers.iter().take(MAX_POLICY_TEXTS) {
        let wanted = plain(disclaimer);
        if wanted.is_empty() || texts.iter().any(|text| text.contains(&wanted)) {
            continue;
        }
        let nearly = lower.iter().any(|text| text.contains(&wanted.to_lowercase()));
        let why = if nearly { "is there with other capitals; write it" } else { "is missing; add it" };
        missing.push(format!("the disclaimer {} {why} word for word", quoted(disclaimer)));
    }
    missing
}

/// One space between words, straight quotation marks: what typesetting changes is no difference in words.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(['‘', '’'], "'").replace(['“', '”'], "\"")
}

fn length_limit(policy: &Value, limit: &str, check: &'static str, place: &'static str, parts: &Parts<'_>, report: &mut Report) {
    let Some(limit) = policy.get(limit).and_then(Value::as_u64) else { return };
    let Some((_, text)) = parts.iter().find(|(part, _)| *part == place) else { return };
    let length = text.chars().count();
    if u64::try_from(length).is_ok_and(|length| length <= limit) {
        report.pass(check, format!("{length} of at most {limit} characters"));
    } else {
        report.fail(check, format!("{length} characters, but at most {limit} are allowed; shorten it"), Some(place.to_owned()));
    }
}

fn shouting(parts: &Parts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut capitals: Vec<(&'static str, &str)> = Vec::new();
    for (place, text) in parts {
        let in_capitals = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() >= 2 && !word.chars().any(char::is_lowercase);
        capitals.extend(text.split(|c: char| !c.is_alphanumeric()).filter(in_capitals).map(|word| (*place, word)));
        let mut marks = text.chars().filter(|c| !c.is_whitespace());
        let mut before = None;
        if marks.any(|c| before.replace(c) == Some('!') && c == '!') {
            problems.push(Problem::at(*place, format!("repeated exclamation marks in {}; use one at most", place.trim_start_matches('/'))));
        }
    }
    if let Some((place, _)) = capitals.get(MAX_CAPITAL_WORDS) {
        let named: Vec<_> = capitals.iter().take(6).map(|(_, word)| quoted(word)).collect();
        let message = format!(
            "{} words in capitals ({}), but at most {MAX_CAPITAL_WORDS} are allowed; write the others small",
            capitals.len(),
            named.join(", ")
        );
        problems.push(Problem::at(*place, message));
    }
    problems
}
