//! Answers as clauses: what is said of one thing, with the words' places in the whole text.

use super::disguise::{Placed, as_sent};
use super::words::{Word, words_of};

/// The words of each clause: texts between full stops, commas, semicolons, brackets and the like. Points and commas inside figures do not count, and a
/// figure in brackets belongs to what it stands behind: `clicks (3)`.
pub(super) fn clauses(text: &str) -> Vec<Vec<Word>> {
    let all = as_sent(text);
    let mut parts: Vec<&[Placed]> = Vec::new();
    let mut begin = 0;
    for (index, (_, character)) in all.iter().enumerate() {
        let next = all.get(index + 1).map(|(_, next)| *next);
        let ends = match character {
            ';' | '!' | '?' | '\n' | '\r' | ')' | '—' | '。' | '，' | '；' => true,
            '(' => !next.is_some_and(|next| next.is_ascii_digit() || matches!(next, '$' | '€')),
            '.' | ',' => next.is_none_or(char::is_whitespace),
            _ => false,
        };
        if ends {
            parts.extend(all.get(begin..index));
            begin = index + 1;
        }
    }
    parts.extend(all.get(begin..));
    parts.into_iter().map(words_of).filter(|words| !words.is_empty()).collect()
}

/// Whether a word is a figure, such as `3`, `0.5`, `1,200` or `3x`.
pub(super) fn is_figure(word: &str) -> bool {
    let digits = word.strip_suffix('x').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        clauses(text).into_iter().map(|clause| clause.into_iter().map(|word| word.text).collect()).collect()
    }

    #[test]
    fn clauses_end_where_something_new_is_said() {
        assert_eq!(read("We had 1,200.50, not more. Why?"), vec![vec!["we", "had", "1,200.50"], vec!["not", "more"], vec!["why"]]);
        assert_eq!(read("Clicks (3) and views (many)"), vec![vec!["clicks", "3"], vec!["and", "views"], vec!["many"]]);
        assert!(read(" … ").is_empty());
        assert_eq!(clauses("No. Clicks: 3").get(1).and_then(|clause| clause.last()).map(|word| (word.at, word.end)), Some((13, 13)));
    }

    #[test]
    fn figures_are_told_from_words() {
        assert!(is_figure("1,200.50") && is_figure("3x") && !is_figure("x") && !is_figure("3rd"));
    }
}
