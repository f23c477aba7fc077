//! Texts as words: whole-word search that neither case, punctuation nor invisible characters escape.

use std::collections::HashMap;

/// One word or one of the signs that carry meaning in advertising (`%`, `$`, `#`, `+`, `€`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Lower case.
    pub text: String,
    /// Place in the text, in characters from 1.
    pub at: usize,
}

/// Splits a text into words: runs of letters and digits (with `.` or `,` between digits), and meaningful signs alone.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut current = String::new();
    let mut start = 0;
    let mut before_separator: Option<char> = None;
    for (index, character) in text.chars().enumerate() {
        if invisible(character) {
            continue;
        }
        if character.is_alphanumeric() {
            if let Some(separator) = before_separator.take() {
                if character.is_ascii_digit() {
                    current.push(separator);
                } else {
                    found.push(Word { text: std::mem::take(&mut current), at: start });
                }
            }
            if current.is_empty() {
                start = index + 1;
            }
            current.extend(character.to_lowercase());
            continue;
        }
        if character == '\'' || character == '’' {
            continue;
        }
        let after_digit = before_separator.is_none() && current.chars().next_back().is_some_and(|c| c.is_ascii_digit());
        if matches!(character, '.' | ',') && after_digit {
            before_separator = Some(character);
            continue;
        }
        before_separator = None;
        if !current.is_empty() {
            found.push(Word { text: std::mem::take(&mut current), at: start });
        }
        if matches!(character, '%' | '$' | '#' | '+' | '€') {
            found.push(Word { text: character.to_string(), at: index + 1 });
        }
    }
    if !current.is_empty() {
        found.push(Word { text: current, at: start });
    }
    found
}

/// The words of each clause: texts between full stops, commas, semicolons, brackets and the like; points and commas inside figures do not count.
pub(super) fn clauses(text: &str) -> Vec<Vec<Word>> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let before_space = characters.peek().is_none_or(|next| next.is_whitespace());
        let ends = matches!(character, ';' | '!' | '?' | '\n' | '(' | ')' | '—') || (matches!(character, '.' | ',') && before_space);
        if ends {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts.iter().map(|part| words(part)).filter(|words| !words.is_empty()).collect()
}

/// The place (index into `text`) at which the words of `phrase` first stand in a row. An empty phrase is nowhere.
pub(super) fn find(text: &[Word], phrase: &[Word]) -> Option<usize> {
    if phrase.is_empty() {
        return None;
    }
    text.windows(phrase.len()).position(|window| window.iter().zip(phrase).all(|(a, b)| a.text == b.text))
}

/// A text made ready to look for terms whatever their case, accents or disguise: letters apart (`c u r e`, `c.u.r.e`), digits for letters
/// (`fr33`), full-width signs. Whole words only: `secure` holds no `cure`.
pub(crate) struct Searchable {
    words: Vec<Disguised>,
    /// Where each word stands, in either reading.
    places: HashMap<String, Vec<usize>>,
    /// Runs of single letters as one word, each letter with the byte at which it begins in it and its place in the text.
    runs: Vec<(String, Vec<(usize, usize)>)>,
}

struct Disguised {
    folded: String,
    unmasked: Option<String>,
    at: usize,
}

/// A term made ready.
pub(crate) struct Term {
    words: Vec<String>,
    joined: String,
}

impl Term {
    pub(crate) fn of(text: &str) -> Self {
        let words: Vec<String> = words(text).iter().map(|word| fold(&word.text)).collect();
        Self { joined: words.concat(), words }
    }
}

impl Searchable {
    pub(crate) fn of(text: &str) -> Self {
        let disguised = |word: &Word| {
            let folded = fold(&word.text);
            Disguised { unmasked: unmasked(&folded), folded, at: word.at }
        };
        let words: Vec<Disguised> = words(text).iter().map(disguised).collect();
        let is_letter = |word: &Disguised| word.folded.chars().count() == 1 && word.folded.chars().all(char::is_alphanumeric);
        let mut runs = Vec::new();
        for run in words.chunk_by(|a, b| is_letter(a) && is_letter(b)).filter(|run| run.len() >= 3) {
            let mut joined = String::new();
            let mut letters = Vec::with_capacity(run.len());
            for word in run {
                letters.push((joined.len(), word.at));
                joined.push_str(&word.folded);
            }
            runs.push((joined, letters));
        }
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, word) in words.iter().enumerate() {
            for reading in [Some(&word.folded), word.unmasked.as_ref()].into_iter().flatten() {
                places.entry(reading.clone()).or_default().push(place);
            }
        }
        Self { words, places, runs }
    }

    /// The character (from 1) at which a term stands.
    pub(crate) fn find(&self, term: &Term) -> Option<usize> {
        if term.words.is_empty() {
            return None;
        }
        if let Some(at) = self.find_plain(term) {
            return Some(at);
        }
        if term.joined.chars().count() < 3 {
            return None;
        }
        self.runs.iter().find_map(|(joined, letters)| {
            let byte = joined.find(&term.joined)?;
            letters.iter().find(|(begins, _)| *begins == byte).map(|(_, at)| *at)
        })
    }
}

impl Searchable {
    /// Begins at the term's rarest word, so that a term of which one word is nowhere costs nothing.
    fn find_plain(&self, term: &Term) -> Option<usize> {
        let places: Option<Vec<&Vec<usize>>> = term.words.iter().map(|word| self.places.get(word)).collect();
        let (offset, rarest) = places?.into_iter().enumerate().min_by_key(|(_, places)| places.len())?;
        let is_it = |(word, wanted): (&Disguised, &String)| word.folded == *wanted || word.unmasked.as_ref() == Some(wanted);
        rarest.iter().find_map(|place| {
            let window = place.checked_sub(offset).and_then(|start| self.words.get(start..start + term.words.len()))?;
            window.iter().zip(&term.words).all(is_it).then(|| window.first().map(|word| word.at))?
        })
    }
}

/// Case and accents folded: `ß` is `ss`, `É` is `e`, full-width letters are plain ones.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        let character = match u32::from(character) {
            code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(character),
            // Marks that join the letter before them.
            0x0300..=0x036F => continue,
            _ => character,
        };
        for lower in character.to_lowercase() {
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

/// Whether a word is a figure, such as `3`, `0.5`, `1,200` or `3x`.
pub(super) fn is_figure(word: &str) -> bool {
    let digits = word.strip_suffix('x').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
}

/// Characters that show nothing of their own (marks that join a letter among them) and are put between letters to escape a word list.
fn invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
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
        ];
        for (text, term, place) in found {
            assert_eq!(at(text, term), Some(place), "{term} in {text}");
        }
        for (text, term) in [("Obscure secure", "cure"), ("a b c", "cab"), ("30 fries", "free"), ("i o u", "io"), ("anything", "")] {
            assert_eq!(at(text, term), None, "{term} in {text}");
        }
    }

    #[test]
    fn figures_keep_their_points() {
        let all: Vec<String> = words("1,200.50 and 3. Next 0,5").into_iter().map(|w| w.text).collect();
        assert_eq!(all, ["1,200.50", "and", "3", "next", "0,5"]);
        assert!(is_figure("1,200.50") && is_figure("3x") && !is_figure("x") && !is_figure("3rd"));
    }
}
