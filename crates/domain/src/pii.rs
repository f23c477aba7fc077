//! Personal data in free text: what is found before a text is put to raters, and what stands in its place.
//!
//! Every kind has a structure that can be checked (a check digit, a registry of lengths, a shape that prices, dates, products and ids do not have) or an
//! explicit marker before it. A run of digits alone is never personal: five digits are no postcode, twelve are a UPC. What nothing marks (a bare
//! name, a nickname) is not found; this narrows what raters see and does not make a text anonymous.

mod numbers;
mod words;

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

/// What was found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::AsRefStr, strum::Display, strum::VariantArray, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PiiKind {
    /// `name@example.com`.
    Email,
    /// With country code, in a North American form, or after a marker such as `tel`.
    Phone,
    /// Digits of a card network's length and prefix with a good Luhn digit.
    CreditCard,
    /// A social security number of the United States.
    Ssn,
    /// With its country's length and good check digits.
    Iban,
    /// Version 4 or 6.
    IpAddress,
    /// A house number with a named street.
    StreetAddress,
    /// Words after `Mr`, `my name is`, `customer name` and the like.
    PersonName,
}

impl PiiKind {
    /// What stands in the place of a finding.
    #[must_use]
    pub fn mask(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::CreditCard => "[card number]",
            Self::Ssn => "[social security number]",
            Self::Iban => "[bank account]",
            Self::IpAddress => "[ip address]",
            Self::StreetAddress => "[street address]",
            Self::PersonName => "[name]",
        }
    }
}

/// One place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PiiSpan {
    /// What it is.
    pub kind: PiiKind,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// A finding in a document: never the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PiiPlace {
    /// JSON pointer to the text.
    pub place: String,
    /// What it is.
    pub kind: PiiKind,
}

/// The characters of a text with their places.
struct Characters {
    all: Vec<(usize, char)>,
    length: usize,
}

impl Characters {
    fn of(text: &str) -> Self {
        Self { all: text.char_indices().collect(), length: text.len() }
    }

    fn at(&self, index: usize) -> Option<char> {
        self.all.get(index).map(|(_, character)| *character)
    }

    fn before(&self, index: usize) -> Option<char> {
        index.checked_sub(1).and_then(|index| self.at(index))
    }

    fn is(&self, index: usize, test: impl Fn(char) -> bool) -> bool {
        self.at(index).is_some_and(test)
    }

    fn byte(&self, index: usize) -> usize {
        self.all.get(index).map_or(self.length, |(byte, _)| *byte)
    }

    /// Whether a token may begin here: nothing it could be a part of stands before.
    fn begins(&self, index: usize) -> bool {
        let attaches = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '/' | '#' | '@');
        match self.before(index) {
            None => true,
            Some('-' | '.' | '/' | '#' | '_') => index < 2 || !self.is(index - 2, char::is_alphanumeric) && self.before(index) != Some('#'),
            Some(character) => !attaches(character),
        }
    }

    /// Whether a token may end before this index.
    fn ends(&self, index: usize) -> bool {
        !self.is(index, |character| character.is_alphanumeric() || character == '_')
    }

    /// The word that ends before this index, passing over spaces and the punctuation of `marker: value`; lower case.
    fn word_before(&self, index: usize) -> (String, usize) {
        let mut end = index;
        while end > 0 && self.is(end - 1, |c| c.is_whitespace() || matches!(c, ':' | '.' | '#' | '=' | '(' | '+')) {
            end -= 1;
        }
        let mut start = end;
        while start > 0 && self.is(start - 1, char::is_alphabetic) {
            start -= 1;
        }
        let word = self.all.get(start..end).unwrap_or_default().iter().flat_map(|(_, c)| c.to_lowercase()).collect();
        (word, start)
    }
}

/// All findings, in order and without overlap. Linear in the text, but for a bounded look around each place.
#[must_use]
pub fn find(text: &str) -> Vec<PiiSpan> {
    let characters = Characters::of(text);
    let mut found: Vec<PiiSpan> = Vec::new();
    let mut index = 0;
    while index < characters.all.len() {
        let match_at = if characters.begins(index) { first_match(&characters, index) } else { None };
        match match_at {
            Some((kind, end)) if end > index => {
                found.push(PiiSpan { kind, span: characters.byte(index)..characters.byte(end) });
                index = end;
            }
            _ => index += 1,
        }
    }
    found
}

fn first_match(characters: &Characters, index: usize) -> Option<(PiiKind, usize)> {
    type Detector = fn(&Characters, usize) -> Option<usize>;
    const DETECTORS: [(PiiKind, Detector); 8] = [
        (PiiKind::Email, words::email),
        (PiiKind::Iban, numbers::iban),
        (PiiKind::CreditCard, numbers::card),
        (PiiKind::Ssn, numbers::ssn),
        (PiiKind::IpAddress, numbers::ip_address),
        (PiiKind::Phone, numbers::phone),
        (PiiKind::StreetAddress, words::street_address),
        (PiiKind::PersonName, words::person_name),
    ];
    DETECTORS.iter().find_map(|(kind, detect)| detect(characters, index).map(|end| (*kind, end)))
}

/// The text with every finding masked; `None` when there is none.
#[must_use]
pub fn redact(text: &str) -> Option<String> {
    let found = find(text);
    if found.is_empty() {
        return None;
    }
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for finding in &found {
        kept.push_str(text.get(from..finding.span.start).unwrap_or_default());
        kept.push_str(finding.kind.mask());
        from = finding.span.end;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    Some(kept)
}

/// Masks every finding in the texts of a document (not in the names of its members) and says where they were. Without recursion.
pub fn redact_document(place: &str, document: &mut Value) -> Vec<PiiPlace> {
    let mut places = Vec::new();
    let mut open: Vec<(String, &mut Value)> = vec![(place.to_owned(), document)];
    while let Some((place, value)) = open.pop() {
        match value {
            Value::String(text) => {
                places.extend(find(text).into_iter().map(|finding| PiiPlace { place: place.clone(), kind: finding.kind }));
                if let Some(kept) = redact(text) {
                    *text = kept;
                }
            }
            Value::Array(items) => open.extend(items.iter_mut().enumerate().map(|(at, item)| (format!("{place}/{at}"), item))),
            Value::Object(members) => {
                open.extend(
                    members.iter_mut().map(|(name, member)| (format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), member)),
                );
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    places.sort_by(|a, b| a.place.cmp(&b.place));
    places
}
