//! Checks of `tagging_normalization`: form, taxonomy, and the variants that somebody has settled already.

use serde_json::Value;

use super::place::Place;
use super::words::{Word, find, words};
use super::{Context, Report, quoted, texts};

const MAX_TAG_CHARACTERS: usize = 100;

const TAG: &str = "/tag";

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let Some(tag) = candidate.get("tag").and_then(Value::as_str) else {
        report.fail("candidate_form", "the candidate has no text under \"tag\"; give {\"tag\": \"frozen_ice\"}", TAG);
        return;
    };
    report.pass("candidate_form", "the candidate names a tag");
    match wrong_form(tag) {
        None => report.pass("snake_case", "the tag is snake_case"),
        Some((why, place)) => report.fail(
            "snake_case",
            format!("{} is not snake_case (small letters a-z and digits, single underscores between words): {why}", quoted(tag)),
            place,
        ),
    }
    let Some(taxonomy) = context.kind("taxonomy") else { return };
    let tags = texts(taxonomy.get("tags"));
    if !tags.is_empty() {
        if tags.contains(&tag) {
            report.pass("in_taxonomy", "the tag is in the taxonomy");
        } else {
            report.fail("in_taxonomy", format!("{} is not in the taxonomy; choose one of its {} tags", quoted(tag), tags.len()), TAG);
        }
    }
    if let Some((noisy, settled)) = settled_variant(taxonomy, context.prompt) {
        if settled == tag {
            report.pass("known_variant", format!("{} is a known variant of this tag", quoted(noisy)));
        } else {
            let message = format!("{} is a known variant of {}, not of {}", quoted(noisy), quoted(settled), quoted(tag));
            report.fail("known_variant", message, TAG);
        }
    }
}

/// The noisy tag of the task and what it is a known variant of. Without `noisy_tag` it is what the prompt quotes; when the prompt quotes nothing, the
/// longest variant that it holds.
fn settled_variant<'a>(taxonomy: &'a Value, prompt: &str) -> Option<(&'a str, &'a str)> {
    let variants = taxonomy.get("variants").and_then(Value::as_object)?;
    let mut pairs = variants.iter().filter_map(|(variant, tag)| tag.as_str().map(|tag| (variant.as_str(), tag, words(variant))));
    let named = taxonomy.get("noisy_tag").and_then(Value::as_str).map(|noisy| vec![noisy]);
    let noisy: Vec<Vec<Word>> =
        named.unwrap_or_else(|| quotations(prompt)).into_iter().map(words).filter(|words| !words.is_empty()).collect();
    let found = if noisy.is_empty() {
        let prompt = words(prompt);
        pairs.filter(|(_, _, words)| find(&prompt, words).is_some()).max_by_key(|(variant, _, _)| variant.len())
    } else {
        pairs.find(|(_, _, words)| noisy.iter().any(|noisy| same_words(words, noisy)))
    };
    found.map(|(variant, tag, _)| (variant, tag))
}

/// What stands in quotation marks or backticks.
fn quotations(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in [('"', '"'), ('“', '”'), ('`', '`'), ('«', '»')] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((within, after)) = after.split_once(close) else { break };
            found.push(within);
            rest = after;
        }
    }
    found
}

fn same_words(one: &[Word], other: &[Word]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.text == b.text)
}

/// Why a tag is not snake_case, and where. A tag may begin with a digit (`2_percent_milk`), but has a letter.
fn wrong_form(tag: &str) -> Option<(String, String)> {
    let at = |index: usize| Place::characters(TAG, (index + 1, index + 1));
    if tag.is_empty() {
        return Some(("it is empty".to_owned(), TAG.to_owned()));
    }
    let length = tag.chars().count();
    if length > MAX_TAG_CHARACTERS {
        let place = Place::characters(TAG, (MAX_TAG_CHARACTERS + 1, length));
        return Some((format!("it has {length} characters, but at most {MAX_TAG_CHARACTERS} are allowed"), place));
    }
    if let Some((index, character)) = tag.chars().enumerate().find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '_')) {
        let why = match character {
            'A'..='Z' => format!("{character:?} is a capital letter"),
            _ if character.is_alphabetic() => format!("{character:?} is not one of the letters a-z, though it may look like one"),
            _ => format!("{character:?} may not stand in a tag"),
        };
        return Some((why, at(index)));
    }
    // From here on all is ASCII: bytes are characters.
    if tag.starts_with('_') {
        return Some(("it begins with an underscore".to_owned(), at(0)));
    }
    if tag.ends_with('_') {
        return Some(("it ends with an underscore".to_owned(), at(length - 1)));
    }
    if let Some(index) = tag.find("__") {
        return Some(("two underscores stand together".to_owned(), Place::characters(TAG, (index + 1, index + 2))));
    }
    (!tag.bytes().any(|b| b.is_ascii_lowercase())).then(|| ("it has no letter".to_owned(), TAG.to_owned()))
}
