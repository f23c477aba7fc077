//! Personal numbers: cards, bank accounts, social security, telephones, network addresses. Each must prove itself by a check digit, a registered length,
//! a shape of its own, or a marker before it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Characters;

/// Lengths of an IBAN by country.
const IBAN_LENGTHS: [(&str, usize); 46] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("CH", 21),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("EE", 20),
    ("ES", 24),
    ("FI", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GR", 27),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IS", 26),
    ("IT", 27),
    ("KW", 30),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("MT", 31),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
];

/// Words before a number that say it is no telephone.
const ID_WORDS: [&str; 16] =
    ["sku", "upc", "ean", "gtin", "asin", "id", "ids", "order", "item", "product", "campaign", "isbn", "code", "ref", "invoice", "number"];

/// Words for telephone that stand at the end of a word: in scripts without spaces, or with an article joined to them.
const FAR_MARKERS: [&str; 10] = ["電話", "電話番号", "携帯", "携帯番号", "电话", "手机", "電話號碼", "电话号码", "전화", "هاتف"];

/// A run of digits with single separators between them: the digits, and for each the index after it.
fn digits(text: &Characters, start: usize, separators: &[char], most: usize) -> (Vec<u32>, Vec<usize>) {
    let (mut values, mut ends) = (Vec::new(), Vec::new());
    let mut index = start;
    while values.len() < most {
        match text.at(index).and_then(|c| c.to_digit(10)) {
            Some(digit) => {
                values.push(digit);
                index += 1;
                ends.push(index);
            }
            None if !values.is_empty() && text.is(index, |c| separators.contains(&c)) && text.is(index + 1, |c| c.is_ascii_digit()) => {
                index += 1
            }
            None => break,
        }
    }
    (values, ends)
}

/// A card number: prefix and length of a network, good Luhn digit.
pub(super) fn card(text: &Characters, start: usize) -> Option<usize> {
    if !text.is(start, |c| c.is_ascii_digit()) {
        return None;
    }
    let (values, ends) = digits(text, start, &[' ', '-'], 19);
    [19, 16, 15, 14].into_iter().find_map(|length| {
        let number = values.get(..length)?;
        let end = *ends.get(length - 1)?;
        // A bare number of 14 digits is a GTIN; such cards are taken only when written in groups.
        let is_grouped = end - start > length;
        let whole = text.ends(end) && !(text.is(end, |c| matches!(c, '.' | ',' | '-')) && text.is(end + 1, |c| c.is_ascii_digit()));
        (whole && (length != 14 || is_grouped) && is_card_prefix(number) && luhn(number)).then_some(end)
    })
}

fn is_card_prefix(number: &[u32]) -> bool {
    let front = |count: usize| number.iter().take(count).fold(0, |value, digit| value * 10 + digit);
    match number.len() {
        14 => matches!(front(2), 36 | 38) || matches!(front(3), 300..=305),
        15 => matches!(front(2), 34 | 37),
        16 => {
            front(1) == 4
                || matches!(front(2), 51..=55 | 62 | 65)
                || matches!(front(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(front(3), 644..=649)
        }
        19 => front(1) == 4 || front(2) == 62,
        _ => false,
    }
}

fn luhn(number: &[u32]) -> bool {
    let sum: u32 =
        number.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { (digit * 2) / 10 + (digit * 2) % 10 } else { *digit }).sum();
    sum.is_multiple_of(10) && number.iter().any(|digit| *digit != 0)
}

/// An IBAN: its country's length, remainder 1 by 97.
pub(super) fn iban(text: &Characters, start: usize) -> Option<usize> {
    let country: String = [text.at(start)?, text.at(start + 1)?].iter().map(char::to_ascii_uppercase).collect();
    let length = IBAN_LENGTHS.iter().find(|(known, _)| *known == country).map(|(_, length)| *length)?;
    let mut signs = Vec::with_capacity(length);
    let mut index = start;
    while signs.len() < length {
        match text.at(index) {
            Some(sign) if sign.is_ascii_alphanumeric() => signs.push(sign.to_digit(36)?),
            Some(' ' | '-') if text.is(index + 1, |c| c.is_ascii_alphanumeric()) => {}
            _ => return None,
        }
        index += 1;
    }
    if !text.ends(index) {
        return None;
    }
    let (front, rest) = signs.split_at_checked(4)?;
    let remainder =
        rest.iter().chain(front).fold(0_u32, |sum, sign| if *sign < 10 { (sum * 10 + sign) % 97 } else { (sum * 100 + sign) % 97 });
    (remainder == 1 && front.iter().skip(2).all(|sign| *sign < 10)).then_some(index)
}

/// `ddd-dd-dddd` with numbers that are given out; in other writing only after a marker.
pub(super) fn ssn(text: &Characters, start: usize) -> Option<usize> {
    if !text.is(start, |c| c.is_ascii_digit()) {
        return None;
    }
    let (values, ends) = digits(text, start, &['-', ' '], 10);
    let end = *ends.get(8)?;
    if values.len() != 9 || !text.ends(end) || (text.is(end, |c| c == '-') && text.is(end + 1, char::is_alphanumeric)) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| values.get(range).unwrap_or_default().iter().fold(0, |value, digit| value * 10 + digit);
    let (area, group, serial) = (number(0..3), number(3..5), number(5..9));
    let is_given_out = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let is_hyphened = end - start == 11 && text.is(start + 3, |c| c == '-') && text.is(start + 6, |c| c == '-');
    let (word, _) = text.word_before(start);
    (is_given_out && (is_hyphened || matches!(word.as_str(), "ssn" | "security"))).then_some(end)
}

/// Four octets, or version 6 with at least two groups written out.
pub(super) fn ip_address(text: &Characters, start: usize) -> Option<usize> {
    let mut end = start;
    while end - start < 46 && text.is(end, |c| c.is_ascii_hexdigit() || matches!(c, '.' | ':')) {
        end += 1;
    }
    // The full stop of a sentence is no part of it.
    while end > start && text.is(end - 1, |c| c == '.' || (c == ':' && !text.is(end.saturating_sub(2), |before| before == ':'))) {
        end -= 1;
    }
    if !text.ends(end) {
        return None;
    }
    let token: String = text.all.get(start..end)?.iter().map(|(_, c)| *c).collect();
    if token.contains(':') {
        let groups = token.split(':').filter(|group| !group.is_empty()).count();
        let proves = groups >= 2 && token.len() >= 6 && token.contains(|c: char| c.is_ascii_digit());
        return (proves && token.parse::<Ipv6Addr>().is_ok()).then_some(end);
    }
    let (word, _) = text.word_before(start);
    let is_other = matches!(word.as_str(), "version" | "release" | "build" | "section" | "chapter" | "v" | "schema");
    (!is_other && token.parse::<Ipv4Addr>().is_ok()).then_some(end)
}

/// A telephone number.
pub(super) fn phone(text: &Characters, start: usize) -> Option<usize> {
    match text.at(start)? {
        '+' => international(text, start),
        '(' => north_american(text, start),
        digit if digit.is_ascii_digit() => north_american(text, start).or_else(|| marked(text, start)),
        _ => None,
    }
}

/// `+` and 9 to 15 digits; groups of three only are a large number and no telephone.
fn international(text: &Characters, start: usize) -> Option<usize> {
    let (mut count, mut groups, mut index) = (0, vec![0_usize], start + 1);
    let mut end = start;
    while count <= 15 {
        match text.at(index) {
            Some(c) if c.is_ascii_digit() => {
                count += 1;
                if let Some(last) = groups.last_mut() {
                    *last += 1;
                }
                end = index + 1;
            }
            Some(' ' | '-' | '.' | '/' | '(' | ')') if index - end < 2 && count > 0 => {
                if groups.last() != Some(&0) {
                    groups.push(0);
                }
            }
            _ => break,
        }
        index += 1;
    }
    groups.retain(|group| *group > 0);
    let is_large_number = count <= 9 && groups.len() > 1 && groups.iter().skip(1).all(|group| *group == 3);
    ((9..=15).contains(&count) && !is_large_number && text.ends(end)).then_some(end)
}

/// `(212) 555-0100`, `212-555-0100`, `1-212-555-0100`, `212.555.0100`; with spaces only after a marker.
fn north_american(text: &Characters, start: usize) -> Option<usize> {
    let mut index = start;
    if text.is(index, |c| c == '1') && text.is(index + 1, |c| matches!(c, '-' | '.' | ' ')) {
        index += 2;
    }
    let has_bracket = text.is(index, |c| c == '(');
    index += usize::from(has_bracket);
    let area = group(text, &mut index, 3)?;
    let first = text.at(index)?;
    if has_bracket {
        if first != ')' {
            return None;
        }
        index += 1;
        index += usize::from(text.is(index, |c| matches!(c, ' ' | '-')));
    } else if matches!(first, '-' | '.' | ' ') {
        index += 1;
    } else {
        return None;
    }
    let exchange = group(text, &mut index, 3)?;
    let second = text.at(index).filter(|c| matches!(c, '-' | '.' | ' '))?;
    index += 1;
    group(text, &mut index, 4)?;
    let is_numbered = area >= 200 && exchange >= 200;
    let is_consistent = has_bracket || (first == second && (first != ' ' || has_marker(text, start)));
    let is_part = text.is(index, |c| matches!(c, '-' | '.')) && text.is(index + 1, |c| c.is_ascii_digit());
    let (word, _) = text.word_before(start);
    (is_numbered && is_consistent && !is_part && text.ends(index) && !ID_WORDS.contains(&word.as_str())).then_some(index)
}

fn group(text: &Characters, index: &mut usize, length: usize) -> Option<u32> {
    let mut value = 0;
    for _ in 0..length {
        value = value * 10 + text.at(*index)?.to_digit(10)?;
        *index += 1;
    }
    Some(value)
}

/// Seven to fifteen digits after a word for telephone; a date is none.
fn marked(text: &Characters, start: usize) -> Option<usize> {
    if !has_marker(text, start) {
        return None;
    }
    let (values, ends) = digits(text, start, &[' ', '-', '.', '/'], 16);
    let end = *ends.last()?;
    let is_date = values.len() == 8 && end - start == 10 && text.is(start + 4, |c| c == '-') && text.is(start + 7, |c| c == '-');
    let goes_on = text.is(end, |c| matches!(c, ',' | '%')) && text.is(end + 1, |c| c.is_ascii_digit());
    ((7..=15).contains(&values.len()) && !is_date && !goes_on && text.ends(end)).then_some(end)
}

/// Whether the words before say that a telephone number follows. Words that are channels, too (`mobile`), need `number` or a colon.
fn has_marker(text: &Characters, start: usize) -> bool {
    let (word, at) = text.word_before(start);
    let is_sure = |word: &str| {
        matches!(word, "phone" | "tel" | "telephone" | "fax" | "whatsapp" | "telefon" | "teléfono" | "téléphone" | "telefone" | "телефон")
            || FAR_MARKERS.iter().any(|marker| word.ends_with(marker))
    };
    let may_be = |word: &str| is_sure(word) || matches!(word, "mobile" | "cell" | "handy" | "contact");
    match word.as_str() {
        sure if is_sure(sure) => true,
        "mobile" | "cell" | "handy" => (at..start).any(|index| text.is(index, |c| c == ':')),
        "number" | "no" => may_be(&text.word_before(at).0),
        "at" | "on" => {
            let (before, at) = text.word_before(at);
            matches!(before.as_str(), "call" | "ring")
                || (matches!(before.as_str(), "me" | "us" | "him" | "her") && {
                    matches!(text.word_before(at).0.as_str(), "call" | "text" | "reach" | "ring" | "phone")
                })
        }
        "me" | "us" => matches!(text.word_before(at).0.as_str(), "call" | "ring"),
        _ => false,
    }
}
