//! Words in hashed buckets. Each group of buckets says another thing of a candidate and has a penalty of its own in a reward model.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::tokens::{FNV_START, Tokens, fnv};
use super::{Features, Word};

/// Buckets of each group.
pub const BUCKETS: u32 = 1 << 15;

/// Longest text that is kept for a bucket, in bytes.
const MAX_EXAMPLE: usize = 60;

/// Letters of a stem: enough to keep most words apart, few enough to drop most endings.
const STEM_LETTERS: usize = 5;

/// Most words of the context that are crossed with numbers.
const MAX_ASKED: usize = 64;

/// What a hashed bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Single words and marks of punctuation.
    Words,
    /// The first letters of words.
    Stems,
    /// Two neighbours, with the beginning and the end of the text.
    Pairs,
    /// Words of the candidate that the context has too.
    Shared,
    /// Words of the context, times the length of the candidate: what is asked for decides how much text is wanted.
    Asked,
}

impl Group {
    /// All groups, in the order of their buckets.
    pub const ALL: [Self; 5] = [Self::Words, Self::Stems, Self::Pairs, Self::Shared, Self::Asked];

    /// The group that a bucket belongs to; `None` beyond the last one.
    #[must_use]
    pub fn of(bucket: u32) -> Option<Self> {
        Self::ALL.get((bucket / BUCKETS) as usize).copied()
    }

    /// The buckets of the group.
    #[must_use]
    pub fn buckets(self) -> Range<u32> {
        let start = self as u32 * BUCKETS;
        start..start + BUCKETS
    }

    /// What stands before the word in an explanation.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Words => "word",
            Self::Stems => "stem",
            Self::Pairs => "words",
            Self::Shared => "from context",
            Self::Asked => "length when asked",
        }
    }

    fn bucket(self, hash: u64) -> u32 {
        // Folding the high half in mixes bits that the low ones alone would lose.
        self as u32 * BUCKETS + ((hash ^ (hash >> 32)) % u64::from(BUCKETS)) as u32
    }
}

/// A counted bucket while a candidate is read.
type Found = (u32, f32, Range<usize>);

/// A word of the context: its hash, and where it stands first.
pub(super) type ContextWord = (u64, Range<usize>);

/// The different words of a context by their hash.
pub(super) fn context_words(context: &Tokens) -> Vec<ContextWord> {
    let mut words: Vec<ContextWord> = context.words().map(|token| (token.hash, token.at.clone())).collect();
    // Stable, so that of equal words the first one stays.
    words.sort_by_key(|(hash, _)| *hash);
    words.dedup_by_key(|(hash, _)| *hash);
    words
}

/// Sets words and their text: `1 + ln(count)`, scaled to length 1 within each group, so that long texts count no more than short ones.
/// `length` is the number by which the words of the context are multiplied.
pub(super) fn set_words(features: &mut Features, own: Tokens, (context, asked): (&Tokens, &[ContextWord]), length: f64) {
    let mut all: Vec<Word> = Vec::with_capacity(own.list.len() * 3);
    let mut found: Vec<Found> = Vec::with_capacity(own.list.len() + 2);

    found.extend(own.list.iter().map(|token| (Group::Words.bucket(token.hash), 1.0, token.at.clone())));
    finish(&mut found, &mut all);

    for token in own.words() {
        let word = own.str(token);
        if let Some((end, _)) = word.char_indices().nth(STEM_LETTERS) {
            let stem = word.get(..end).unwrap_or(word);
            found.push((Group::Stems.bucket(fnv(stem.as_bytes(), FNV_START)), 1.0, token.at.start..token.at.start + end));
        }
    }
    finish(&mut found, &mut all);

    let pair = |left: &str, right: &str| Group::Pairs.bucket(fnv(right.as_bytes(), fnv(b" ", fnv(left.as_bytes(), FNV_START))));
    for (left, right) in own.list.iter().zip(own.list.iter().skip(1)) {
        found.push((pair(own.str(left), own.str(right)), 1.0, left.at.start..right.at.end));
    }
    if let (Some(first), Some(last)) = (own.list.first(), own.list.last()) {
        found.push((pair("^", own.str(first)), 1.0, first.at.clone()));
        found.push((pair(own.str(last), "$"), 1.0, last.at.clone()));
    }
    finish(&mut found, &mut all);

    for token in own.words() {
        if asked.binary_search_by_key(&token.hash, |(hash, _)| *hash).is_ok() {
            found.push((Group::Shared.bucket(token.hash), 1.0, token.at.clone()));
        }
    }
    finish(&mut found, &mut all);

    let mut text = own.text;
    if length != 0.0 {
        // The first words of a context say what is asked for; the rest is often material.
        let mut first: Vec<&ContextWord> = asked.iter().collect();
        first.sort_by_key(|(_, at)| at.start);
        for (hash, at) in first.into_iter().take(MAX_ASKED) {
            let start = text.len();
            text.push_str(context.text.get(at.clone()).unwrap_or_default());
            found.push((Group::Asked.bucket(*hash), 1.0, start..text.len()));
        }
        let first = all.len();
        finish(&mut found, &mut all);
        all.iter_mut().skip(first).for_each(|word| word.value *= length as f32);
    }
    features.words = all;
    features.text = text;
}

/// Counts equal buckets together and moves the group to `all`, sorted by bucket.
fn finish(found: &mut Vec<Found>, all: &mut Vec<Word>) {
    // Stable, so that the first occurrence gives the text.
    found.sort_by_key(|(bucket, _, _)| *bucket);
    let first = all.len();
    for (bucket, count, at) in found.drain(..) {
        match all.last_mut().filter(|word| word.bucket == bucket) {
            Some(word) => word.value += count,
            None => {
                let start = u32::try_from(at.start).unwrap_or(0);
                let length = u16::try_from(at.len().min(MAX_EXAMPLE)).unwrap_or(0);
                all.push(Word { bucket, value: count, start, length });
            }
        }
    }
    let Some(own) = all.get_mut(first..) else { return };
    own.iter_mut().for_each(|word| word.value = 1.0 + word.value.ln());
    let size = own.iter().map(|word| f64::from(word.value).powi(2)).sum::<f64>().sqrt();
    own.iter_mut().for_each(|word| word.value = (f64::from(word.value) / size) as f32);
}
