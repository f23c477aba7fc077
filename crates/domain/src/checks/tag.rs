//! Checks of `tagging_normalization`: form, taxonomy, and the variants that somebody has settled already.

use serde_json::Value;

use super::words::{find, words};
use super::{Context, Report, quoted, texts};

const MAX_TAG_CHARACTERS: usize = 100;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let Some(tag) = candidate.get("tag").and_then(Value::as_str) else {
        report.fail("candidate_form", "the candidate has no text under \"tag\"; give {\"tag\": \"frozen_ice\"}", Some("/tag".to_owned()));
        return;
    };
    report.pass("candidate_form", "the candidate names a tag");
    if is_snake_case(tag) {
        report.pass("snake_case", "the tag is snake_case");
    } else {
        let message = format!(
            "{} is not snake_case: small letters a-z and digits, single underscores between words, at most {MAX_TAG_CHARACTERS} characters",
            quoted(tag)
        );
        report.fail("snake_case", message, Some("/tag".to_owned()));
    }
    let Some(taxonomy) = context.kind("taxonomy") else { return };
    let tags = texts(taxonomy.get("tags"));
    if !tags.is_empty() {
        if tags.contains(&tag) {
            report.pass("in_taxonomy", "the tag is in the taxonomy");
        } else {
            report.fail(
                "in_taxonomy",
                format!("{} is not in the taxonomy; choose one of its {} tags", quoted(tag), tags.len()),
                Some("/tag".to_owned()),
            );
        }
    }
    if let Some((noisy, settled)) = settled_variant(taxonomy, context.prompt) {
        if settled == tag {
            report.pass("known_variant", format!("{} is a known variant of this tag", quoted(noisy)));
        } else {
            let message = format!("{} is a known variant of {}, not of {}", quoted(noisy), quoted(settled), quoted(tag));
            report.fail("known_variant", message, Some("/tag".to_owned()));
        }
    }
}

/// The noisy tag of the task and what it is a known variant of.
fn settled_variant<'a>(taxonomy: &'a Value, prompt: &str) -> Option<(&'a str, &'a str)> {
    let variants = taxonomy.get("variants").and_then(Value::as_object)?;
    let pairs = variants.iter().filter_map(|(variant, tag)| tag.as_str().map(|tag| (variant.as_str(), tag)));
    if let Some(noisy) = taxonomy.get("noisy_tag").and_then(Value::as_str) {
        let noisy = words(noisy);
        return pairs.into_iter().find(|(variant, _)| same_words(&words(variant), &noisy));
    }
    let prompt = words(prompt);
    pairs.filter(|(variant, _)| find(&prompt, &words(variant)).is_some()).max_by_key(|(variant, _)| variant.len())
}

fn same_words(one: &[super::words::Word], other: &[super::words::Word]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.text == b.text)
}

fn is_snake_case(tag: &str) -> bool {
    tag.len() <= MAX_TAG_CHARACTERS
        && tag.starts_with(|c: char| c.is_ascii_lowercase())
        && tag.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}
