//! Personal data in free text: what is found before a text is put to raters, and what stands in its place.
//!
//! Every kind has a structure that can be checked (a check digit, a registry of lengths, a shape that prices, dates, products and ids do not have) or an
//! explicit marker before it; in a document the name of a member is the marker of its value. Full-width forms, digits of other scripts and invisible
//! characters are read as what they stand for, and the places are those of the text as it was sent. A run of digits alone is never personal: five digits are no postcode, twelve are a UPC. What nothing marks (a bare
//! name, a nickname) is not found; this narrows what raters see and does not make a text anonymous.

mod numbers;
mod words;

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use crate::script;

/// Characters of a member's name that are read.
const MAX_LABEL: usize = 60;

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

/// The characters of a text as what they stand for, each with its byte in the text as it was sent.
struct Characters {
    all: Vec<(usize, char)>,
    length: usize,
}

impl Characters {
    fn of(text: &str) -> Self {
        let visible = text.char_indices().filter(|(_, character)| !script::is_invisible(*character));
        let mut all: Vec<(usize, char)> = visible.map(|(byte, character)| (byte, script::plain(character))).collect();
        decode_at_signs(&mut all);
        Self { all, length: text.len() }
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
            Some(character) => !attaches(character) || script::is_unspaced(character),
        }
    }

    /// Whether a token may end before this index.
    fn ends(&self, index: usize) -> bool {
        !self.is(index, |character| (character.is_alphanumeric() && !script::is_unspaced(character)) || character == '_')
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

/// `%40` between the parts of an address, as links write it, becomes `@`.
fn decode_at_signs(all: &mut Vec<(usize, char)>) {
    let is_sign = |at: usize, all: &[(usize, char)]| {
        let sign: Vec<char> = all.iter().skip(at).take(3).map(|(_, character)| *character).collect();
        let joins = |at: Option<usize>| at.and_then(|at| all.get(at)).is_some_and(|(_, character)| character.is_alphanumeric());
        sign == ['%', '4', '0'] && joins(at.checked_sub(1)) && joins(Some(at + 3))
    };
    if !all.iter().any(|(_, character)| *character == '%') {
        return;
    }
    let mut kept = Vec::with_capacity(all.len());
    let mut at = 0;
    while let Some((byte, character)) = all.get(at) {
        let is_sign = *character == '%' && is_sign(at, all);
        kept.push((*byte, if is_sign { '@' } else { *character }));
        at += if is_sign { 3 } else { 1 };
    }
    *all = kept;
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
    (!found.is_empty()).then(|| masked(text, &found))
}

fn masked(text: &str, found: &[PiiSpan]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for finding in found {
        kept.push_str(text.get(from..finding.span.start).unwrap_or_default());
        kept.push_str(finding.kind.mask());
        from = finding.span.end;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    kept
}

/// All findings in a text that stands under this label, `customer name` say: those of the text alone, and those that the label marks.
fn find_labelled(label: &str, text: &str) -> Vec<PiiSpan> {
    let mut found = find(text);
    if label.is_empty() {
        return found;
    }
    let before = label.len() + 2;
    for PiiSpan { kind, span } in find(&format!("{label}: {text}")) {
        let own = span.start.saturating_sub(before)..span.end.saturating_sub(before);
        if !own.is_empty() && !found.iter().any(|known| known.span.start < own.end && own.start < known.span.end) {
            found.push(PiiSpan { kind, span: own });
        }
    }
    found.sort_by_key(|finding| finding.span.start);
    found
}

/// The words of a member's name: `customer_name`, `customerName` and `Customer-Name` are `customer name`.
fn label_of(name: &str) -> String {
    let mut label = String::new();
    let mut before = ' ';
    for character in name.chars().take(MAX_LABEL) {
        let begins = character.is_uppercase() && before.is_lowercase();
        if (begins || !character.is_alphanumeric()) && !label.ends_with(' ') && !label.is_empty() {
            label.push(' ');
        }
        if character.is_alphanumeric() {
            label.extend(character.to_lowercase());
        }
        before = character;
    }
    // A list of telephones is one of a telephone each.
    let label = label.trim_end().strip_suffix('s').unwrap_or(label.trim_end());
    match label {
        "first name" | "last name" | "given name" | "family name" | "surname" => "customer name".to_owned(),
        _ => label.to_owned(),
    }
}

/// A value that waits to be looked at.
struct Open<'a> {
    place: String,
    /// The words of the member that it is in.
    own: String,
    /// The same after those of the member around it.
    label: String,
    value: &'a mut Value,
}

/// Masks every finding in the texts of a document (not in the names of its members) and says where they were. Without recursion.
pub fn redact_document(place: &str, document: &mut Value) -> Vec<PiiPlace> {
    let mut places = Vec::new();
    let mut open = vec![Open { place: place.to_owned(), own: String::new(), label: String::new(), value: document }];
    while let Some(Open { place, own, label, value }) = open.pop() {
        match value {
            Value::String(text) => {
                let found = find_labelled(&label, text);
                if !found.is_empty() {
                    *text = masked(text, &found);
                }
                places.extend(found.into_iter().map(|finding| PiiPlace { place: place.clone(), kind: finding.kind }));
            }
            Value::Array(items) => open.extend(items.iter_mut().enumerate().map(|(at, value)| Open {
                place: format!("{place}/{at}"),
                own: own.clone(),
                label: label.clone(),
                value,
            })),
            Value::Object(members) => open.extend(members.iter_mut().map(|(name, value)| {
                let inner = label_of(name);
                let label = if own.is_empty() { inner.clone() } else { format!("{own} {inner}") };
                Open { place: format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), own: inner, label, value }
            })),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    places.sort_by(|a, b| a.place.cmp(&b.place));
    places
}
