//! What can be said about a text without understanding it: its size, its style, its words.

use std::collections::{BTreeMap, BTreeSet};

use super::{Features, TEXT_LENGTH, WORD_BUCKETS, Word};

/// Longest example text that is kept for a bucket, in characters.
const MAX_EXAMPLE: usize = 60;

/// Adds size, style and shared words with the context; nothing when there is no text.
pub(super) fn describe(features: &mut Features, text: &str, context: &str) {
    if text.is_empty() {
        return;
    }
    let length = text.chars().count() as f64;
    let share = |matches: fn(&char) -> bool| text.chars().filter(matches).count() as f64 / length;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_item = |line: &str| {
        let line = line.trim_start();
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        let is_numbered = digits > 0 && line.get(digits..).is_some_and(|rest| rest.starts_with(['.', ')']));
        is_numbered || line.starts_with(['-', '*', '•'])
    };
    features.set(TEXT_LENGTH, length);
    features.set("text.length_log", length.ln_1p());
    features.set("text.lines", lines.clone().count() as f64);
    features.set("text.list_items", lines.filter(|line| is_item(line)).count() as f64);
    features.set("text.digit_share", share(char::is_ascii_digit));
    features.set("text.upper_case_share", share(|c| c.is_uppercase()));
    features.set("text.punctuation_share", share(char::is_ascii_punctuation));
    features.set("text.questions", text.matches('?').count() as f64);
    let own: BTreeSet<String> = tokens(text).collect();
    if own.is_empty() {
        return;
    }
    let count = tokens(text).count() as f64;
    features.set("text.words", count);
    features.set("text.distinct_words", own.len() as f64 / count);
    let asked: BTreeSet<String> = tokens(context).collect();
    if !asked.is_empty() {
        let shared = own.intersection(&asked).count() as f64;
        features.set("text.from_context", shared / own.len() as f64);
        features.set("text.context_covered", shared / asked.len() as f64);
    }
}

/// Single words and neighbouring pairs in hashed buckets: `1 + ln(count)`, scaled to length 1 in all.
pub(super) fn words(text: &str) -> BTreeMap<u32, Word> {
    let mut buckets: BTreeMap<u32, Word> = BTreeMap::new();
    let mut add = |example: &str| {
        let word = buckets.entry(bucket(example));
        word.and_modify(|word| word.value += 1.0).or_insert_with(|| Word { value: 1.0, text: example.chars().take(MAX_EXAMPLE).collect() });
    };
    let mut previous: Option<String> = None;
    for token in tokens(text) {
        add(&token);
        if let Some(previous) = previous {
            add(&format!("{previous} {token}"));
        }
        previous = Some(token);
    }
    buckets.values_mut().for_each(|word| word.value = 1.0 + word.value.ln());
    let length = buckets.values().map(|word| word.value.powi(2)).sum::<f64>().sqrt();
    buckets.values_mut().for_each(|word| word.value /= length);
    buckets
}

fn tokens(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()).map(str::to_lowercase)
}

/// FNV-1a, 64 bits: fixed for ever, because models store the bucket numbers.
fn bucket(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Folding the high half in mixes bits that the low ones alone would lose.
    ((hash ^ (hash >> 32)) % u64::from(WORD_BUCKETS)) as u32
}
