//! What can be said about a text without understanding it: its size, its style, how far it takes up what it was asked.

use std::ops::Range;
use std::sync::LazyLock;

use super::tokens::{FNV_START, Token, Tokens, fnv};
use super::{Features, MIDDLE_LENGTH as MIDDLE, TEXT_LENGTH};

/// English words that carry little meaning, sorted. In other languages the numbers that use them stay near 0.
const FUNCTION_WORDS: [&str; 90] = [
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does", "for",
    "from", "had", "has", "have", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "may",
    "me", "might", "more", "most", "my", "no", "not", "of", "on", "only", "or", "other", "our", "out", "over", "own", "same", "she",
    "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too",
    "up", "us", "very", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];
const FIRST_PERSON: [&str; 8] = ["i", "me", "mine", "my", "our", "ours", "us", "we"];
const SECOND_PERSON: [&str; 4] = ["you", "your", "yours", "yourself"];
const THIRD_PERSON: [&str; 9] = ["he", "her", "hers", "him", "his", "she", "their", "them", "they"];

/// Kinds of listed words; a word may be of several.
const FUNCTION: u8 = 1;
const FIRST: u8 = 2;
const SECOND: u8 = 4;
const THIRD: u8 = 8;

/// Places of the table of listed words, a power of 2 some times their number.
const PLACES: usize = 1024;

/// The listed words by the hash that tokens carry anyway: a look at one place tells of nearly every word that it is not listed.
static LISTED: LazyLock<[(u64, u8); PLACES]> = LazyLock::new(|| {
    let mut table = [(0, 0); PLACES];
    let lists = [(&FUNCTION_WORDS[..], FUNCTION), (&FIRST_PERSON, FIRST), (&SECOND_PERSON, SECOND), (&THIRD_PERSON, THIRD)];
    for (word, kind) in lists.into_iter().flat_map(|(list, kind)| list.iter().map(move |word| (word, kind))) {
        let hash = fnv(word.as_bytes(), FNV_START);
        let mut places = places_of(hash).map(|place| place % PLACES);
        if let Some(place) = places.find(|place| table[*place].1 == 0 || table[*place].0 == hash) {
            table[place] = (hash, table[place].1 | kind);
        }
    }
    table
});

/// Where a hash may stand: at its place or behind.
fn places_of(hash: u64) -> Range<usize> {
    let first = (hash ^ (hash >> 32)) as usize % PLACES;
    first..first + PLACES
}

/// The kinds of a word.
fn kinds_of(token: &Token) -> u8 {
    let places = places_of(token.hash).map(|place| LISTED[place % PLACES]);
    places.take_while(|(_, kinds)| *kinds != 0).find(|(hash, _)| *hash == token.hash).map_or(0, |(_, kinds)| kinds)
}

/// Letters of a long word.
const LONG_WORD: usize = 7;

/// Counts of one pass over the characters.
#[derive(Default)]
struct Marks {
    length: f64,
    digits: f64,
    upper: f64,
    punctuation: f64,
    questions: f64,
    exclamations: f64,
    commas: f64,
    colons: f64,
    quotes: f64,
    apostrophes: f64,
    dashes: f64,
    brackets: f64,
    sentences: f64,
}

fn marks(text: &str) -> Marks {
    let mut marks = Marks::default();
    let (mut ended, mut is_open) = (false, false);
    for c in text.chars() {
        marks.length += 1.0;
        let counter = match c {
            '?' => Some(&mut marks.questions),
            '!' => Some(&mut marks.exclamations),
            ',' => Some(&mut marks.commas),
            ':' => Some(&mut marks.colons),
            '"' | '“' | '”' => Some(&mut marks.quotes),
            '\'' | '’' => Some(&mut marks.apostrophes),
            '—' | '–' => Some(&mut marks.dashes),
            '(' | '[' | '{' => Some(&mut marks.brackets),
            _ => None,
        };
        if let Some(counter) = counter {
            *counter += 1.0;
        }
        if ended && c.is_whitespace() {
            marks.sentences += 1.0;
            is_open = false;
        }
        is_open |= !c.is_whitespace();
        ended = matches!(c, '.' | '!' | '?');
        if c.is_ascii_digit() {
            marks.digits += 1.0;
        } else if c.is_uppercase() {
            marks.upper += 1.0;
        } else if c.is_ascii_punctuation() {
            marks.punctuation += 1.0;
        }
    }
    marks.sentences += flag(is_open);
    marks
}

/// Adds size, style and what the text takes up of its context; nothing when there is no text.
pub(super) fn describe(features: &mut Features, text: &str, own: &Tokens, context: &Asked) {
    if text.is_empty() {
        return;
    }
    let marks = marks(text);
    let share = |count: f64| count / marks.length;
    features.set(TEXT_LENGTH, marks.length);
    features.set("text.digit_share", share(marks.digits));
    features.set("text.upper_case_share", share(marks.upper));
    features.set("text.punctuation_share", share(marks.punctuation));
    features.set("text.questions", marks.questions);
    features.set("text.exclamations", marks.exclamations);
    features.set("text.colons", marks.colons);
    features.set("text.quotes", marks.quotes);
    features.set("text.dashes", marks.dashes);
    features.set("text.brackets", marks.brackets);
    features.set("text.sentences", marks.sentences);
    features.set("text.ellipses", (text.matches("...").count() + text.matches('…').count()) as f64);
    features.set("text.code_blocks", text.matches("```").count() as f64);
    features.set("text.bold", text.matches("**").count() as f64);
    let end = text.trim_end().chars().next_back();
    features.set("text.ends_as_sentence", flag(end.is_some_and(|c| matches!(c, '.' | '!' | '?' | '"' | '”' | ')'))));
    features.set("text.ends_as_question", flag(end == Some('?')));
    features.set("text.starts_upper_case", flag(text.trim_start().chars().next().is_some_and(char::is_uppercase)));
    lines(features, text);
    let count = own.words().count() as f64;
    if count == 0.0 {
        return;
    }
    features.set("text.commas", marks.commas / count);
    features.set("text.apostrophes", marks.apostrophes / count);
    features.set("text.words_per_sentence", count / marks.sentences.max(1.0));
    words(features, text, own, count);
    if !context.sets.every.is_empty() {
        take_up(features, text, own, context, marks.length.ln_1p() - MIDDLE);
    }
}

/// Sorted, each once.
fn distinct(mut hashes: Vec<u64>) -> Vec<u64> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// How many two sorted lists have in common.
fn n_shared(a: &[u64], b: &[u64]) -> usize {
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut many = many.iter().peekable();
    let is_shared = |hash: &&u64| {
        while many.next_if(|other| other < hash).is_some() {}
        many.next_if(|other| other == hash).is_some()
    };
    few.iter().filter(is_shared).count()
}

/// One number of two, in order; only ever compared within a candidate.
fn mixed(first: u64, second: u64) -> u64 {
    (first.rotate_left(23) ^ second).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn lines(features: &mut Features, text: &str) {
    let (mut count, mut items) = (0.0, 0.0);
    let mut different = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let is_numbered = digits > 0 && line.get(digits..).is_some_and(|rest| rest.starts_with(['.', ')']));
        count += 1.0;
        items += flag(is_numbered || line.starts_with(['-', '*', '•']));
        different.push(fnv(line.as_bytes(), FNV_START));
    }
    let different = distinct(different);
    features.set("text.lines", count);
    features.set("text.list_items", items);
    features.set("text.repeated_lines", if count > 0.0 { 1.0 - different.len() as f64 / count } else { 0.0 });
}

fn words(features: &mut Features, text: &str, own: &Tokens, count: f64) {
    let (mut letters, mut long, mut function) = (0.0, 0.0, 0.0);
    let mut persons = [0.0; 3];
    for token in own.words() {
        let word = own.str(token);
        let length = word.chars().count();
        letters += length as f64;
        long += flag(length >= LONG_WORD);
        let kinds = kinds_of(token);
        if kinds != 0 {
            function += flag(kinds & FUNCTION != 0);
            persons.iter_mut().zip([FIRST, SECOND, THIRD]).for_each(|(person, kind)| *person += flag(kinds & kind != 0));
        }
    }
    let (mut capitalised, mut shouted) = (0.0, 0.0);
    for word in text.split_whitespace() {
        let mut characters = word.chars();
        capitalised += flag(characters.next().is_some_and(char::is_uppercase));
        shouted += flag(word.len() > 1 && word.chars().any(char::is_alphabetic) && !word.chars().any(char::is_lowercase));
    }
    let hashes: Vec<u64> = own.words().map(|token| token.hash).collect();
    let triple = |three: &[u64]| three.iter().fold(FNV_START, |hash, next| mixed(hash, *next));
    let different_triples = distinct(hashes.windows(3).map(triple).collect());
    let different = distinct(hashes);
    let n_triples = (count - 2.0).max(1.0);
    features.set("text.words", count);
    features.set("text.word_length", letters / count);
    features.set("text.long_words", long / count);
    features.set("text.function_words", function / count);
    features.set("text.first_person", persons[0] / count);
    features.set("text.second_person", persons[1] / count);
    features.set("text.third_person", persons[2] / count);
    features.set("text.capitalised", capitalised / count);
    features.set("text.shouted", shouted);
    features.set("text.distinct_words", different.len() as f64 / count);
    features.set("text.repeated_triples", if count > 2.0 { 1.0 - different_triples.len() as f64 / n_triples } else { 0.0 });
}

/// Different words of a text, as sorted hashes.
struct Sets {
    every: Vec<u64>,
    /// Without those that carry little meaning.
    content: Vec<u64>,
    numbers: Vec<u64>,
    /// Neighbours.
    pairs: Vec<u64>,
}

impl Sets {
    fn of(tokens: &Tokens) -> Self {
        let is_number = |token: &&Token| tokens.str(token).bytes().all(|byte| byte.is_ascii_digit());
        let hashes = |tokens: &mut dyn Iterator<Item = &Token>| distinct(tokens.map(|token| token.hash).collect());
        Self {
            every: hashes(&mut tokens.words()),
            content: hashes(&mut tokens.words().filter(|token| kinds_of(token) & FUNCTION == 0)),
            numbers: hashes(&mut tokens.words().filter(is_number)),
            pairs: distinct(tokens.words().zip(tokens.words().skip(1)).map(|(x, y)| mixed(x.hash, y.hash)).collect()),
        }
    }
}

/// What a context says of itself, the same for every candidate that answers it.
pub(super) struct Asked {
    text: String,
    sets: Sets,
    /// Logarithm of its characters.
    length: f64,
    asks: f64,
    lines: f64,
}

impl Asked {
    pub(super) fn of(text: &str, tokens: &Tokens) -> Self {
        Self {
            text: text.trim().to_owned(),
            sets: Sets::of(tokens),
            length: (text.chars().count() as f64).ln_1p(),
            asks: flag(text.contains('?')),
            lines: flag(text.contains('\n')),
        }
    }
}

/// What a text takes up of its context, and products of its length with what the context looks like.
fn take_up(features: &mut Features, text: &str, own: &Tokens, context: &Asked, length: f64) {
    let (own, asked) = (Sets::of(own), &context.sets);
    let mut overlap = |from: &'static str, covered: &'static str, own: &[u64], asked: &[u64]| {
        let shared = n_shared(own, asked) as f64;
        let share = |of: usize| if of == 0 { 0.0 } else { shared / of as f64 };
        features.set(from, share(own.len()));
        features.set(covered, share(asked.len()));
        (share(own.len()), share(asked.len()))
    };
    let (from, covered) = overlap("text.from_context", "text.context_covered", &own.every, &asked.every);
    overlap("text.content_from_context", "text.content_covered", &own.content, &asked.content);
    overlap("text.numbers_from_context", "text.numbers_covered", &own.numbers, &asked.numbers);
    overlap("text.pairs_from_context", "text.pairs_covered", &own.pairs, &asked.pairs);
    let around = context.length - MIDDLE;
    features.set("text.repeats_context", flag(text.trim().eq_ignore_ascii_case(&context.text)));
    features.set("text.length_to_context", (length + MIDDLE - context.length).abs());
    features.set("text.length_from_middle", length.abs());
    features.set("text.length*context.length", length * around);
    features.set("text.length*context.asks", length * context.asks);
    features.set("text.length*context.lines", length * context.lines);
    features.set("text.from_context*context.length", from * around);
    features.set("text.context_covered*context.length", covered * around);
}
