//! Checks of `policy_compliance`: disallowed terms, disclaimers, lengths and format of an advertising text.

use serde_json::Value;

use super::disguise::as_seen;
use super::place::Place;
use super::words::{Searchable, Term};
use super::{Context, Problem, Report, pointer, quoted, texts};

/// Most words in capitals that a text may carry (a brand, an abbreviation, a word to stress).
const MAX_CAPITAL_WORDS: usize = 3;

/// Most terms and disclaimers of a policy that are looked for.
const MAX_POLICY_TEXTS: usize = 500;

/// A candidate's texts: the place of each and what it says. The parts of its format come first, then whatever else is written.
type Parts<'a> = Vec<(String, &'a str)>;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let (format, parts) = match parts(candidate) {
        Ok(found) => found,
        Err((message, place)) => {
            report.fail("candidate_form", message, place);
            return;
        }
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
        let end = if format == "text" { "/text" } else { "/body" };
        let problems = missing_disclaimers(&disclaimers, &said).into_iter().map(|message| Problem::at(end, message));
        report.sum_up("required_disclaimers", "every required disclaimer is there, word for word", problems.collect());
    }
    lengths(policy, &parts, report);
    let allowed = texts(policy.get("allowed_formats"));
    if !allowed.is_empty() {
        if allowed.contains(&format) {
            report.pass("allowed_format", format!("the format {format} is allowed"));
        } else {
            let place = if format == "text" { "/text" } else { "/headline" };
            report.fail("allowed_format", format!("the format {format} is not allowed; use {}", allowed.join(" or ")), place);
        }
    }
}

/// The format's name and the texts of the candidate, or what is missing and where.
fn parts(candidate: &Value) -> Result<(&'static str, Parts<'_>), (String, String)> {
    let text = |name: &str| candidate.get(name).and_then(Value::as_str);
    let (format, mut parts) = match (text("headline"), text("body"), text("text")) {
        (Some(headline), Some(body), None) => ("headline_body", vec![("/headline".to_owned(), headline), ("/body".to_owned(), body)]),
        (None, None, Some(text)) => ("text", vec![("/text".to_owned(), text)]),
        (headline, body, _) => {
            let place = match (headline, body) {
                (Some(_), None) => "/body",
                (None, Some(_)) => "/headline",
                (Some(_), Some(_)) => "/text",
                (None, None) => "",
            };
            let message = "the candidate is no advertising text; give both \"headline\" and \"body\", or \"text\" alone";
            return Err((message.to_owned(), place.to_owned()));
        }
    };
    if let Some((place, _)) = parts.iter().find(|(_, text)| !text.chars().any(char::is_alphanumeric)) {
        return Err((format!("the {} has no words; write it", place.trim_start_matches('/')), place.clone()));
    }
    parts.append(&mut other_texts(candidate));
    Ok((format, parts))
}

/// Texts beside those of the format, at any depth: a button's words are published, too.
fn other_texts(candidate: &Value) -> Parts<'_> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &Value)> = vec![(String::new(), candidate)];
    while let Some((place, value)) = open.pop() {
        match value {
            Value::String(text) if !matches!(place.as_str(), "/headline" | "/body" | "/text") => found.push((place, text.as_str())),
            Value::Object(members) => {
                open.extend(members.iter().rev().map(|(name, member)| (format!("{place}/{}", pointer(name)), member)))
            }
            Value::Array(items) => open.extend(items.iter().enumerate().rev().map(|(at, item)| (format!("{place}/{at}"), item))),
            _ => {}
        }
    }
    found
}

fn name_of(place: &str) -> &str {
    place.trim_start_matches('/')
}

fn disallowed(policy: &Value, parts: &Parts<'_>) -> Vec<Problem> {
    let terms: Vec<_> =
        texts(policy.get("disallowed_terms")).into_iter().take(MAX_POLICY_TEXTS).map(|term| (term, Term::of(term))).collect();
    let mut problems = Vec::new();
    for (place, text) in parts {
        let text = Searchable::of(text);
        for (term, ready) in &terms {
            if let Some((first, last)) = text.find_range(ready) {
                let message = format!("{} is disallowed and stands at character {first} of {}; take it out", quoted(term), name_of(place));
                problems.push(Problem::at(Place::characters(place, (first, last)), message));
            }
        }
    }
    problems
}

/// A sentence for each disclaimer that no text holds as words of its own.
pub(crate) fn missing_disclaimers(disclaimers: &[&str], texts: &[&str]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(|text| plain(text)).collect();
    let lower: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let mut missing = Vec::new();
    for disclaimer in disclaimers.iter().take(MAX_POLICY_TEXTS) {
        let wanted = plain(disclaimer);
        if wanted.is_empty() || texts.iter().any(|text| holds(text, &wanted)) {
            continue;
        }
        let wanted = wanted.to_lowercase();
        let nearly = lower.iter().any(|text| holds(text, &wanted));
        let why = if nearly { "is there with other capitals; write it" } else { "is missing; add it" };
        missing.push(format!("the disclaimer {} {why} word for word", quoted(disclaimer)));
    }
    missing
}

/// Whether a text holds these words, and not only as a part of longer ones: `Adventure` does not hold `Ad`.
fn holds(text: &str, wanted: &str) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() && !crate::script::is_unspaced(c));
    let (begins, ends) = (is_word(wanted.chars().next()), is_word(wanted.chars().next_back()));
    text.match_indices(wanted).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        !(begins && is_word(before) || ends && is_word(after))
    })
}

/// What a reader sees, with one space between words, straight quotation marks and one kind of dash: what typesetting changes is no difference in
/// words, and what stands in a comment of the markup is not said.
fn plain(text: &str) -> String {
    let seen = as_seen(text).into_iter().map(|(_, character)| character).filter(|c| !is_unseen(*c));
    let mut straight = String::with_capacity(text.len());
    for character in seen {
        match character {
            '‘' | '’' | 'ʼ' => straight.push('\''),
            '“' | '”' | '„' => straight.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => straight.push('-'),
            '…' => straight.push_str("..."),
            other => straight.push(other),
        }
    }
    straight.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters without a width; marks on letters are seen.
fn is_unseen(character: char) -> bool {
    crate::script::is_invisible(character) && !('\u{300}'..='\u{36f}').contains(&character)
}

/// Limits of `headline`, `body` and `text`, by their own members of the policy or by `max_lengths`, where `*` stands for all others.
fn lengths(policy: &Value, parts: &Parts<'_>, report: &mut Report) {
    let named = policy.get("max_lengths").and_then(Value::as_object);
    for (place, text) in parts {
        let field = name_of(place);
        let (check, short) = match field {
            "headline" => ("headline_length", Some("max_headline_length")),
            "body" | "text" => ("body_length", Some("max_body_length")),
            _ if field.contains('/') => continue,
            _ => ("text_length", None),
        };
        let limit = named
            .and_then(|named| named.get(field))
            .or_else(|| short.and_then(|short| policy.get(short)))
            .or_else(|| named.and_then(|named| named.get("*")))
            .and_then(Value::as_u64);
        let Some(limit) = limit else { continue };
        let length = text.chars().count();
        if u64::try_from(length).is_ok_and(|length| length <= limit) {
            report.pass(check, format!("{length} of at most {limit} characters"));
        } else {
            let beyond = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
            let message = format!("{length} characters, but at most {limit} are allowed; shorten it");
            report.fail(check, message, Place::characters(place, (beyond, length)));
        }
    }
}

fn shouting(parts: &Parts<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut capitals: Vec<(&str, usize, String)> = Vec::new();
    for (place, text) in parts {
        let characters: Vec<(usize, char)> = text.chars().enumerate().collect();
        for word in characters.split(|(_, c)| !c.is_alphanumeric()) {
            let in_capitals = word.iter().filter(|(_, c)| c.is_uppercase()).count() >= 2 && !word.iter().any(|(_, c)| c.is_lowercase());
            if let (true, Some((index, _))) = (in_capitals, word.first()) {
                capitals.push((place, index + 1, word.iter().map(|(_, c)| *c).collect()));
            }
        }
        let marks: Vec<(usize, char)> = characters.into_iter().filter(|(_, c)| !c.is_whitespace()).collect();
        let is_mark = |character: char| matches!(character, '!' | '！' | '‼' | '❗' | '❕');
        let repeated = marks.windows(2).find_map(|pair| match pair {
            [(first, a), (last, b)] if is_mark(*a) && is_mark(*b) => Some((first + 1, last + 1)),
            _ => None,
        });
        let double = marks.iter().find(|(_, c)| *c == '‼').map(|(index, _)| (index + 1, index + 1));
        if let Some(range) = repeated.or(double) {
            let message = format!("repeated exclamation marks in {}; use one at most", name_of(place));
            problems.push(Problem::at(Place::characters(place, range), message));
        }
    }
    if let Some((place, first, word)) = capitals.get(MAX_CAPITAL_WORDS) {
        let named: Vec<_> = capitals.iter().take(6).map(|(_, _, word)| quoted(word)).collect();
        let message = format!(
            "{} words in capitals ({}), but at most {MAX_CAPITAL_WORDS} are allowed; write the others small",
            capitals.len(),
            named.join(", ")
        );
        problems.push(Problem::at(Place::characters(place, (*first, first + word.chars().count() - 1)), message));
    }
    problems
}
