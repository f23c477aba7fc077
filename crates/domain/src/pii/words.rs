//! Personal words: e-mail addresses, street addresses, names after a marker.

use super::Characters;

/// Street words that mean nothing else after a house number and a name.
const STREETS: [&str; 15] =
    ["street", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "parkway", "pkwy", "highway", "hwy", "st", "ln", "crescent"];
/// Street words that are everyday words, too: they count only before a comma, a unit or a postcode.
const WEAK_STREETS: [&str; 9] = ["drive", "dr", "court", "ct", "place", "pl", "way", "square", "terrace"];
/// Brands that begin like a person's name.
const BRANDS: [&str; 24] = [
    "pepper",
    "scholl",
    "scholls",
    "oetker",
    "bronner",
    "bronners",
    "martens",
    "praeger",
    "praegers",
    "teals",
    "clean",
    "coffee",
    "muscle",
    "peanut",
    "kipling",
    "bubble",
    "butterworth",
    "butterworths",
    "fields",
    "meyer",
    "meyers",
    "dash",
    "brown",
    "pib",
];

/// A word that begins here: its end, and its text in lower case without apostrophes.
fn word(text: &Characters, start: usize) -> Option<(usize, String)> {
    let mut end = start;
    let mut lower = String::new();
    while let Some(character) = text.at(end).filter(|c| c.is_alphabetic() || matches!(c, '\'' | '’')) {
        if character.is_alphabetic() {
            lower.extend(character.to_lowercase());
        }
        end += 1;
    }
    (end > start).then_some((end, lower))
}

fn spaces(text: &Characters, index: usize) -> usize {
    let mut index = index;
    while text.is(index, |c| c == ' ' || c == '\u{a0}') {
        index += 1;
    }
    index
}

/// `local@label.label.tld`.
pub(super) fn email(text: &Characters, start: usize) -> Option<usize> {
    let is_local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'');
    let mut index = start;
    while index - start <= 64 && text.is(index, is_local) {
        index += 1;
    }
    if index == start || !text.is(index, |c| c == '@') || !text.is(start, char::is_alphanumeric) || !text.is(index - 1, |c| c != '.') {
        return None;
    }
    index += 1;
    let (mut end, mut labels) = (index, 0);
    loop {
        let label = index;
        while index - label < 63 && text.is(index, |c| c.is_alphanumeric() || c == '-') {
            index += 1;
        }
        if index == label {
            break;
        }
        labels += 1;
        let is_name = index - label >= 2 && (label..index).all(|at| text.is(at, char::is_alphabetic));
        if labels >= 2 && is_name {
            end = index;
        }
        if !text.is(index, |c| c == '.') {
            break;
        }
        index += 1;
    }
    (labels >= 2 && end > start && text.ends(end) && text.is(end - 1, char::is_alphabetic)).then_some(end)
}

/// `12 Main Street`, `Hauptstraße 5`, `12 rue de la Paix`, `P.O. Box 12`.
pub(super) fn street_address(text: &Characters, start: usize) -> Option<usize> {
    post_box(text, start).or_else(|| number_first(text, start)).or_else(|| street_first(text, start))
}

fn post_box(text: &Characters, start: usize) -> Option<usize> {
    let mut index = start;
    for sign in ['p', 'o'] {
        if !text.is(index, |c| c.eq_ignore_ascii_case(&sign)) {
            return None;
        }
        index += 1;
        index += usize::from(text.is(index, |c| c == '.'));
    }
    let (end, word) = word(text, spaces(text, index))?;
    let number = spaces(text, end);
    (word == "box" && number > end).then(|| house_number(text, number)).flatten()
}

/// One to five digits and perhaps a letter.
fn house_number(text: &Characters, start: usize) -> Option<usize> {
    let mut end = start;
    while text.is(end, |c| c.is_ascii_digit()) {
        end += 1;
    }
    if !(1..=5).contains(&(end - start)) {
        return None;
    }
    if text.is(end, |c| c.is_ascii_alphabetic()) && text.ends(end + 1) {
        end += 1;
    }
    text.ends(end).then_some(end)
}

fn number_first(text: &Characters, start: usize) -> Option<usize> {
    let after_number = house_number(text, start)?;
    let mut index = spaces(text, after_number);
    if index == after_number {
        return None;
    }
    // French names the kind of street first.
    let (first_end, first) = word(text, index)?;
    if matches!(first.as_str(), "rue" | "boulevard" | "avenue" | "quai" | "impasse") {
        let mut at = first_end;
        for _ in 0..4 {
            let next = spaces(text, at);
            let (end, lower) = word(text, next)?;
            at = end;
            if text.is(next, char::is_uppercase) {
                return Some(end);
            }
            if !matches!(lower.as_str(), "de" | "du" | "des" | "la" | "le" | "les" | "d" | "l") {
                return None;
            }
        }
        return None;
    }
    for names in 0..4 {
        let (end, lower) = word(text, index)?;
        let is_weak = WEAK_STREETS.contains(&lower.as_str());
        if names > 0 && (STREETS.contains(&lower.as_str()) || is_weak) && text.is(index, char::is_uppercase) {
            let end = end + usize::from(text.is(end, |c| c == '.') && !text.is(end + 1, |c| c.is_ascii_digit()) && lower.len() <= 4);
            return (!is_weak || is_followed_by_place(text, end)).then_some(end);
        }
        if !text.is(index, char::is_uppercase) {
            return None;
        }
        index = spaces(text, end + usize::from(text.is(end, |c| c == '.')));
    }
    None
}

/// A comma with a name, a unit, or a postcode.
fn is_followed_by_place(text: &Characters, end: usize) -> bool {
    if text.is(end, |c| c == ',') {
        let next = spaces(text, end + 1);
        return text.is(next, |c| c.is_uppercase() || c == '#' || c.is_ascii_digit());
    }
    let next = spaces(text, end);
    text.is(next, |c| c == '#') || word(text, next).is_some_and(|(_, lower)| matches!(lower.as_str(), "apt" | "suite" | "unit" | "floor"))
}

fn street_first(text: &Characters, start: usize) -> Option<usize> {
    if !text.is(start, char::is_uppercase) {
        return None;
    }
    let (end, lower) = word(text, start)?;
    let is_street = lower.len() > 6 && ["straße", "strasse", "str", "gasse", "straat"].iter().any(|kind| lower.ends_with(kind));
    let after = end + usize::from(text.is(end, |c| c == '.'));
    let number = spaces(text, after);
    (is_street && number > after).then(|| house_number(text, number)).flatten()
}

/// Capitalised words after a marker.
pub(super) fn person_name(text: &Characters, start: usize) -> Option<usize> {
    let (first_end, first) = word(text, start)?;
    let from = match first.as_str() {
        "mr" | "mrs" | "ms" | "dr" | "prof" | "herr" | "frau" if text.is(start, char::is_uppercase) => {
            let after = first_end + usize::from(text.is(first_end, |c| c == '.'));
            let from = spaces(text, after);
            let (_, name) = word(text, from)?;
            if from == first_end || BRANDS.contains(&name.as_str()) {
                return None;
            }
            from
        }
        "my" => phrase(text, first_end, &["name", "is"])?,
        "customer" | "shopper" | "full" | "cardholder" => phrase(text, first_end, &["name"])?,
        _ => return None,
    };
    let mut end = None;
    let mut index = from;
    for _ in 0..3 {
        let Some((name_end, _)) = word(text, index) else { break };
        if !text.is(index, char::is_uppercase) {
            break;
        }
        let is_initial = name_end - index == 1 && text.is(name_end, |c| c == '.');
        end = Some(name_end + usize::from(is_initial));
        index = spaces(text, name_end + usize::from(is_initial));
    }
    end
}

/// The index after these words, and after a colon and spaces.
fn phrase(text: &Characters, start: usize, words: &[&str]) -> Option<usize> {
    let mut index = start;
    for expected in words {
        let (end, lower) = word(text, spaces(text, index))?;
        if lower != *expected {
            return None;
        }
        index = end;
    }
    index += usize::from(text.is(index, |c| matches!(c, ':' | '=')));
    Some(spaces(text, index))
}
