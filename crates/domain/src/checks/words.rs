//! Texts as words: whole-word search that neither case, punctuation nor invisible characters escape.

use std::collections::HashMap;

use super::disguise::{Placed, as_seen, as_sent, latinise};
use crate::script::{half_width, is_invisible, is_unspaced};

/// One word or one of the signs that carry meaning in advertising (`%`, `$`, `#`, `+`, `€`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Lower case.
    pub text: String,
    /// Place in the text, in characters from 1.
    pub at: usize,
    /// Place of its last character in the text.
    pub end: usize,
    /// Bytes of the text before a possessive `'s`, of which the text holds the `s`.
    pub owner: Option<usize>,
}

/// Splits a text into words: runs of letters and digits (with `.` or `,` between digits), and meaningful signs alone. Letters of a script
/// without spaces are no word together with others.
pub(crate) fn words(text: &str) -> Vec<Word> {
    words_of(&as_sent(text))
}

/// A word in the making.
#[derive(Default)]
struct Growing {
    text: String,
    at: usize,
    end: usize,
    /// A point or comma after a digit, which belongs to the word if a digit follows.
    separator: Option<char>,
    /// Bytes before the last apostrophe.
    apostrophe: Option<usize>,
}

impl Growing {
    fn end(&mut self, found: &mut Vec<Word>) {
        let Self { text, at, end, apostrophe, .. } = std::mem::take(self);
        if !text.is_empty() {
            let owner = apostrophe.filter(|bytes| *bytes > 0 && text.get(*bytes..) == Some("s"));
            found.push(Word { text, at, end, owner });
        }
    }
}

/// As [`words`], of characters with places.
pub(super) fn words_of(text: &[Placed]) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut word = Growing::default();
    for (at, character) in text.iter().copied() {
        if is_invisible(character) {
            continue;
        }
        let last = word.text.chars().next_back();
        if character.is_alphanumeric() {
            match word.separator.take() {
                Some(separator) if character.is_ascii_digit() => word.text.push(separator),
                Some(_) => word.end(&mut found),
                None if last.is_some_and(|last| is_unspaced(last) != is_unspaced(character)) => word.end(&mut found),
                None => {}
            }
            if word.text.is_empty() {
                word.at = at;
            }
            word.end = at;
            word.text.extend(character.to_lowercase());
            continue;
        }
        if matches!(character, '\'' | '’' | '‘' | 'ʼ' | '＇' | '´' | '`') {
            word.apostrophe = Some(word.text.len());
            continue;
        }
        if matches!(character, '.' | ',') && word.separator.is_none() && last.is_some_and(|c| c.is_ascii_digit()) {
            word.separator = Some(character);
            continue;
        }
        word.end(&mut found);
        if matches!(character, '%' | '$' | '#' | '+' | '€') {
            found.push(Word { text: character.to_string(), at, end: at, owner: None });
        }
    }
    word.end(&mut found);
    found
}

/// The place (index into `text`) at which the words of `phrase` first stand in a row. An empty phrase is nowhere.
pub(super) fn find(text: &[Word], phrase: &[Word]) -> Option<usize> {
    if phrase.is_empty() {
        return None;
    }
    text.windows(phrase.len()).position(|window| window.iter().zip(phrase).all(|(a, b)| a.text == b.text))
}

/// A text made ready to look for terms whatever their case, accents or disguise: letters apart (`c u r e`, `c.u.r.e`), digits for letters
/// (`fr33`), full-width signs, tags and entities (`c&#117;re`), look-alikes of other scripts. Whole words only, with or without a possessive
/// `'s`: `secure` holds no `cure`. Terms in scripts without spaces are found anywhere.
pub(crate) struct Searchable {
    /// The text as it was sent and, when that is another one, as it is seen.
    readings: Vec<Reading>,
}

/// One reading of a text.
struct Reading {
    words: Vec<Disguised>,
    /// Where each word stands, in any of its forms.
    places: HashMap<String, Vec<usize>>,
    /// Runs of single letters as one word, each letter with the byte at which it begins in it and its place in the text.
    runs: Vec<(String, Vec<(usize, usize)>)>,
    /// The text without spaces, for terms in scripts that have none; places as in `runs`.
    flat: (String, Vec<(usize, usize)>),
}

struct Disguised {
    /// As it stands, with digits as the letters they stand for, without a possessive `'s`.
    forms: Vec<String>,
    at: usize,
    end: usize,
}

/// A term made ready.
pub(crate) struct Term {
    words: Vec<String>,
    joined: String,
    /// What is looked for anywhere: of a term in a script without spaces.
    flat: Option<String>,
}

impl Term {
    pub(crate) fn of(text: &str) -> Self {
        let mut text = as_sent(text);
        latinise(&mut text);
        let words: Vec<String> = words_of(&text).iter().map(|word| fold(&word.text)).collect();
        let is_anywhere = text.iter().any(|(_, character)| is_unspaced(*character));
        Self { joined: words.concat(), words, flat: is_anywhere.then(|| flatten(&text).0) }
    }
}

/// Letters, digits and meaningful signs without the spaces and hyphens between them; other punctuation parts them.
fn flatten(text: &[Placed]) -> (String, Vec<(usize, usize)>) {
    let (mut flat, mut places) = (String::new(), Vec::new());
    for (at, character) in text.iter().copied() {
        if is_invisible(character) || character.is_whitespace() || matches!(character, '-' | '_' | '·' | '・' | '*') {
            continue;
        }
        places.push((flat.len(), at));
        match character {
            '%' | '$' | '#' | '+' | '€' => flat.push(character),
            _ if character.is_alphanumeric() || is_unspaced(character) => flat.push_str(&fold(&character.to_string())),
            _ => flat.push('\n'),
        }
    }
    (flat, places)
}

impl Searchable {
    pub(crate) fn of(text: &str) -> Self {
        let (sent, seen) = (as_sent(text), as_seen(text));
        let mut readings = vec![Reading::of(&sent)];
        if seen != sent {
            readings.push(Reading::of(&seen));
        }
        Self { readings }
    }

    /// The character (from 1) at which a term stands.
    pub(crate) fn find(&self, term: &Term) -> Option<usize> {
        self.find_range(term).map(|(first, _)| first)
    }

    /// The first and the last character (from 1) of a term in the text.
    pub(super) fn find_range(&self, term: &Term) -> Option<(usize, usize)> {
        self.readings.iter().find_map(|reading| reading.find(term))
    }
}

impl Reading {
    fn of(text: &[Placed]) -> Self {
        let words: Vec<Disguised> = words_of(text).iter().map(Disguised::of).collect();
        let is_letter = |word: &Disguised| word.whole().chars().count() == 1 && word.whole().chars().all(char::is_alphanumeric);
        let mut runs = Vec::new();
        for run in words.chunk_by(|a, b| is_letter(a) && is_letter(b)).filter(|run| run.len() >= 3) {
            let mut joined = String::new();
            let mut letters = Vec::with_capacity(run.len());
            for word in run {
                letters.push((joined.len(), word.at));
                joined.push_str(word.whole());
            }
            runs.push((joined, letters));
        }
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, word) in words.iter().enumerate() {
            for form in &word.forms {
                places.entry(form.clone()).or_default().push(place);
            }
        }
        let flat = if text.iter().any(|(_, character)| is_unspaced(*character)) { flatten(text) } else { Default::default() };
        Self { words, places, runs, flat }
    }

    fn find(&self, term: &Term) -> Option<(usize, usize)> {
        if term.words.is_empty() {
            return None;
        }
        if let Some(found) = self.find_plain(term) {
            return Some(found);
        }
        if let Some(wanted) = &term.flat
            && let Some(found) = place_of(&self.flat, wanted)
        {
            return Some(found);
        }
        if term.joined.chars().count() < 3 {
            return None;
        }
        self.runs.iter().find_map(|run| place_of(run, &term.joined))
    }

    /// Begins at the term's rarest word, so that a term of which one word is nowhere costs nothing.
    fn find_plain(&self, term: &Term) -> Option<(usize, usize)> {
        let places: Option<Vec<&Vec<usize>>> = term.words.iter().map(|word| self.places.get(word)).collect();
        let (offset, rarest) = places?.into_iter().enumerate().min_by_key(|(_, places)| places.len())?;
        rarest.iter().find_map(|place| {
            let window = place.checked_sub(offset).and_then(|start| self.words.get(start..start + term.words.len()))?;
            let is_it = window.iter().zip(&term.words).all(|(word, wanted)| word.forms.contains(wanted));
            is_it.then(|| window.first().zip(window.last()).map(|(first, last)| (first.at, last.end)))?
        })
    }
}

/// Where a joined text first holds this at the beginning of a character: the places of its first and last one.
fn place_of((joined, letters): &(String, Vec<(usize, usize)>), wanted: &str) -> Option<(usize, usize)> {
    let byte = joined.find(wanted).filter(|_| !wanted.is_empty())?;
    let first = letters.iter().find(|(begins, _)| *begins == byte)?.1;
    let last = letters.iter().take_while(|(begins, _)| *begins < byte + wanted.len()).last()?.1;
    Some((first, last))
}

impl Disguised {
    fn of(word: &Word) -> Self {
        let mut forms = vec![fold(&word.text)];
        forms.extend(word.owner.and_then(|bytes| word.text.get(..bytes)).map(fold));
        forms.extend(forms.clone().iter().filter_map(|form| unmasked(form)));
        Self { forms, at: word.at, end: word.end }
    }

    /// The word as it stands.
    fn whole(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }
}

/// Case and accents folded: `ß` is `ss`, `É` is `e`, full-width letters are plain ones.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        for lower in half_width(character).to_lowercase() {
            match lower {
                'ß' => folded.push_str("ss"),
                'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
                'ç' | 'ć' | 'č' => folded.push('c'),
                'è'..='ë' | 'ē' | 'ę' | 'ě' => folded.push('e'),
                'ì'..='ï' | 'ī' => folded.push('i'),
                'ñ' | 'ń' | 'ň' => folded.push('n'),
                'ò'..='ö' | 'ø' | 'ō' | 'ő' => folded.push('o'),
                'ù'..='ü' | 'ū' | 'ű' | 'ů' => folded.push('u'),
                'ý' | 'ÿ' => folded.push('y'),
                'ς' => folded.push('σ'),
                mark if ('\u{300}'..='\u{36f}').contains(&mark) => {}
                other => folded.push(other),
            }
        }
    }
    folded
}

/// Digits that stand for letters turned back, when there are letters beside them.
fn unmasked(word: &str) -> Option<String> {
    let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
    if !has(|c| c.is_alphabetic()) || !has(char::is_ascii_digit) {
        return None;
    }
    let plain = |c| match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        other => other,
    };
    Some(word.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, phrase: &str) -> bool {
        find(&words(text), &words(phrase)).is_some()
    }

    #[test]
    fn whole_words_only() {
        assert!(found("A CURE for hunger", "cure"));
        assert!(!found("Obscure secure cures", "cure"));
        assert!(found("risk free trial", "risk-free"));
        assert!(found("cu\u{200b}re", "cure"));
        assert!(found("100% natural", "100% Natural"));
        assert!(!found("100 natural", "100% natural"));
        assert!(!found("anything", ""));
    }

    #[test]
    fn disguised_terms_are_found_and_neighbours_are_not() {
        let at = |text: &str, term: &str| Searchable::of(text).find(&Term::of(term));
        let found = [
            ("A CURE for hunger", "cure", 3),
            ("c u r e it", "cure", 1),
            ("so c.u.r.e. it", "cure", 4),
            ("c-u-r-e", "cure", 1),
            ("fr33 milk", "free", 1),
            ("ＦＲＥＥ milk", "free", 1),
            ("Große STRASSE", "straße", 7),
            ("guérison sûre", "guerison", 1),
            ("RISK   FREE", "risk-free", 1),
            ("r i s k f r e e", "risk free", 1),
            ("cu\u{301}re", "cure", 1),
            ("now a c u r e", "cure", 7),
            ("the Miracle's price", "miracle", 5),
            ("miracle’s", "miracle", 1),
            ("a M1RACLE's", "miracle", 3),
            ("men's shirts", "men's", 1),
            ("m\u{456}racle", "miracle", 1),
            ("ΜΙRΑСLЕ", "miracle", 1),
            ("a mir&#97;cle", "miracle", 3),
            ("<b>mir</b>acle", "miracle", 4),
            ("risk<br>free", "risk free", 1),
            ("全场免费", "免费", 3),
            ("全场免\u{200b} 费", "免费", 3),
            ("全场ＦＲＥＥ送", "free", 3),
            ("100%免费送", "100%免费", 1),
            ("ช่วยรักษาโรคได้", "รักษาโรค", 5),
            ("今すぐ無料で", "無料", 4),
        ];
        for (text, term, place) in found {
            assert_eq!(at(text, term), Some(place), "{term} in {text}");
        }
        for (text, term) in [
            ("Obscure secure", "cure"),
            ("a b c", "cab"),
            ("30 fries", "free"),
            ("i o u", "io"),
            ("anything", ""),
            ("免，费", "免费"),
            ("Sir David's curfew", "cure"),
            ("m!racle", "miracle"),
        ] {
            assert_eq!(at(text, term), None, "{term} in {text}");
        }
    }

    #[test]
    fn figures_keep_their_points() {
        let all: Vec<String> = words("1,200.50 and 3. Next 0,5").into_iter().map(|w| w.text).collect();
        assert_eq!(all, ["1,200.50", "and", "3", "next", "0,5"]);
    }
}
