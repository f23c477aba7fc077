//! Texts as words: whole-word search that neither case, punctuation nor invisible characters escape.

/// One word or one of the signs that carry meaning in advertising (`%`, `$`, `#`, `+`, `€`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Lower case.
    pub text: String,
    /// Place in the text, in characters from 1.
    pub at: usize,
}

/// Splits a text into words: runs of letters and digits (with `.` or `,` between digits), and meaningful signs alone.
pub(super) fn words(text: &str) -> Vec<Word> {
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

/// Whether a word is a figure, such as `3`, `0.5`, `1,200` or `3x`.
pub(super) fn is_figure(word: &str) -> bool {
    let digits = word.strip_suffix('x').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
}

/// Characters that show nothing and are put between letters to escape a word list.
fn invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
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
    fn figures_keep_their_points() {
        let all: Vec<String> = words("1,200.50 and 3. Next 0,5").into_iter().map(|w| w.text).collect();
        assert_eq!(all, ["1,200.50", "and", "3", "next", "0,5"]);
        assert!(is_figure("1,200.50") && is_figure("3x") && !is_figure("x") && !is_figure("3rd"));
    }
}
