//! Words and marks of a text, in one pass and one buffer: no allocation a word, since a hundred thousand pairs are described at once.

use std::ops::Range;

/// Most tokens of a text that are looked at; what lies beyond adds little to a judgment and much to the time.
const MAX_TOKENS: usize = 8_000;

/// One word or mark.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Where it stands in [`Tokens::text`].
    pub(super) at: Range<usize>,
    /// A word; else one mark of punctuation.
    pub(super) is_word: bool,
    /// FNV-1a of its bytes.
    pub(super) hash: u64,
}

/// The tokens of a text in order.
pub(super) struct Tokens {
    /// The tokens in lower case with a space between each two.
    pub(super) text: String,
    pub(super) list: Vec<Token>,
}

impl Tokens {
    pub(super) fn of(text: &str) -> Self {
        let mut tokens = Self { text: String::with_capacity(text.len() + text.len() / 4), list: Vec::with_capacity(text.len() / 5) };
        let mut start: Option<usize> = None;
        for c in text.chars() {
            if c.is_alphanumeric() {
                if start.is_none() {
                    if tokens.list.len() >= MAX_TOKENS {
                        return tokens;
                    }
                    start = Some(tokens.begin());
                }
                if c.is_ascii() {
                    tokens.text.push(c.to_ascii_lowercase());
                } else {
                    tokens.text.extend(c.to_lowercase());
                }
                continue;
            }
            if let Some(start) = start.take() {
                tokens.end(start, true);
            }
            if !c.is_whitespace() && !c.is_control() {
                if tokens.list.len() >= MAX_TOKENS {
                    return tokens;
                }
                let start = tokens.begin();
                tokens.text.push(c);
                tokens.end(start, false);
            }
        }
        if let Some(start) = start {
            tokens.end(start, true);
        }
        tokens
    }

    fn begin(&mut self) -> usize {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.len()
    }

    fn end(&mut self, start: usize, is_word: bool) {
        let at = start..self.text.len();
        let hash = fnv(self.text.get(at.clone()).unwrap_or_default().as_bytes(), FNV_START);
        self.list.push(Token { at, is_word, hash });
    }

    /// The words, without marks.
    pub(super) fn words(&self) -> impl Iterator<Item = &Token> + Clone {
        self.list.iter().filter(|token| token.is_word)
    }

    pub(super) fn str(&self, token: &Token) -> &str {
        self.text.get(token.at.clone()).unwrap_or_default()
    }
}

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits (Fowler, Noll and Vo), continued from `hash`: fixed for ever, because models store bucket numbers.
pub(super) fn fnv(bytes: &[u8], hash: u64) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
