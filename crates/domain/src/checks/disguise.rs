//! Disguises of whole texts: tags and entities within words, letters of another script that look like Latin ones. What is left is what a reader
//! sees, each character with its place in the text as it was sent.

use crate::script;

/// Longest tag, in characters.
const MAX_TAG: usize = 300;
/// Longest entity, in characters: numbers may begin with zeros.
const MAX_ENTITY: usize = 40;
/// Tags that begin or end a line, so that words on both sides of them are two.
const BLOCKS: [&str; 22] = [
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "section",
    "td",
    "tr",
    "ul",
];
/// Entities by name; those of accented letters are read by their ending.
const ENTITIES: [(&str, char); 14] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("lsquo", '\''),
    ("rsquo", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("percnt", '%'),
    ("dollar", '$'),
    ("num", '#'),
];
/// Endings of the entities of accented letters, `&eacute;` say.
const ACCENTS: [&str; 9] = ["acute", "grave", "circ", "uml", "tilde", "ring", "cedil", "caron", "slash"];
/// Cyrillic and Greek letters with the Latin ones that they look like, as capitals and small letters look.
const LOOK_ALIKES: [(&str, &str); 2] = [
    ("аеорсухіјѕкмтнвһӏԁԛԝгпАЕОРСУХІЈЅКМТНВҺӀԀԚԜ", "aeopcyxijskmthbhldqwrnaeopcyxijskmthbhldqw"),
    ("αορντικευχηβγωϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ", "aopvtikeuxnbywcjabezhikmnoptyxc"),
];
/// Fewest letters of a word that is written in look-alikes throughout: shorter ones are words of their own language.
const MIN_FOREIGN: usize = 4;

/// A character with its place in the text, from 1.
pub(super) type Placed = (usize, char);

/// The characters of a text as they are.
pub(super) fn as_sent(text: &str) -> Vec<Placed> {
    text.chars().enumerate().map(|(index, character)| (index + 1, character)).collect()
}

/// The characters of a text as a reader sees them.
pub(super) fn as_seen(text: &str) -> Vec<Placed> {
    let mut seen = without_markup(&as_sent(text));
    latinise(&mut seen);
    seen
}

fn without_markup(all: &[Placed]) -> Vec<Placed> {
    let mut kept = Vec::with_capacity(all.len());
    let mut index = 0;
    while let Some((at, character)) = all.get(index).copied() {
        let rest = all.get(index + 1..).unwrap_or_default();
        let read = match character {
            '<' => tag(rest),
            '&' => entity(rest).map(|(length, meant)| (length, Some(meant))),
            _ => None,
        };
        match read {
            Some((length, meant)) => {
                kept.extend(meant.map(|meant| (at, meant)));
                index += 1 + length;
            }
            None => {
                kept.push((at, character));
                index += 1;
            }
        }
    }
    kept
}

/// What follows a `<`, when it is a tag: its length, and a space for those that part words.
fn tag(rest: &[Placed]) -> Option<(usize, Option<char>)> {
    let first = rest.first()?.1;
    if !first.is_ascii_alphabetic() && !matches!(first, '/' | '!' | '?') {
        return None;
    }
    let end = rest.iter().take(MAX_TAG).position(|(_, character)| *character == '>')?;
    let within = rest.get(usize::from(first == '/')..end)?;
    let name: String = within.iter().map_while(|(_, c)| c.is_ascii_alphanumeric().then(|| c.to_ascii_lowercase())).collect();
    Some((end + 1, BLOCKS.contains(&name.as_str()).then_some(' ')))
}

/// What follows an `&`, when it is an entity: its length and the character.
fn entity(rest: &[Placed]) -> Option<(usize, char)> {
    let is_numeric = rest.first()?.1 == '#';
    let within = rest.get(usize::from(is_numeric)..)?;
    let name: String = within.iter().take(MAX_ENTITY).map_while(|(_, c)| c.is_ascii_alphanumeric().then_some(*c)).collect();
    let after = usize::from(is_numeric) + name.len();
    let is_closed = rest.get(after).is_some_and(|(_, c)| *c == ';');
    let length = after + usize::from(is_closed);
    if is_numeric {
        // Browsers read numbers without the semicolon, too.
        let digits = name.strip_prefix(['x', 'X']).map_or((name.as_str(), 10), |hexadecimal| (hexadecimal, 16));
        let valid = digits.0.chars().take_while(|c| c.is_digit(digits.1)).count();
        let code = u32::from_str_radix(digits.0.get(..valid)?, digits.1).ok()?;
        let length = if valid == digits.0.len() { length } else { after - (digits.0.len() - valid) };
        return char::from_u32(code).map(|meant| (length, meant));
    }
    if !is_closed {
        return None;
    }
    let accented = || {
        let letter = name.chars().next()?;
        name.get(1..).is_some_and(|ending| ACCENTS.contains(&ending)).then_some(letter)
    };
    ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, meant)| *meant).or_else(accented).map(|meant| (length, meant))
}

/// The Latin letter that a Cyrillic or Greek one looks like.
fn look_alike(character: char) -> Option<char> {
    LOOK_ALIKES.iter().find_map(|(foreign, latin)| foreign.chars().position(|one| one == character).and_then(|at| latin.chars().nth(at)))
}

fn is_foreign(character: char) -> bool {
    matches!(character, '\u{370}'..='\u{52f}')
}

/// Turns look-alikes into Latin letters in words that mix scripts, and in those that hold nothing else.
pub(super) fn latinise(all: &mut [Placed]) {
    let is_part = |character: char| character.is_alphanumeric() || script::is_invisible(character);
    for word in all.chunk_by_mut(|a, b| is_part(a.1) && is_part(b.1)) {
        let foreign = word.iter().filter(|(_, c)| is_foreign(*c) && c.is_alphabetic()).count();
        if foreign == 0 {
            continue;
        }
        let is_mixed = word.iter().any(|(_, c)| script::half_width(*c).is_ascii_alphabetic());
        let is_all = foreign >= MIN_FOREIGN && word.iter().all(|(_, c)| !is_foreign(*c) || look_alike(*c).is_some());
        if is_mixed || is_all {
            for (_, character) in word.iter_mut() {
                *character = look_alike(*character).unwrap_or(*character);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> String {
        as_seen(text).into_iter().map(|(_, character)| character).collect()
    }

    #[test]
    fn a_text_is_read_as_it_is_seen() {
        for (text, expected) in [
            ("mir&#97;cle &#x41;&#X62; &eacute; a&nbsp;b", "miracle Ab e a b"),
            ("&#97cle &#97;&#98; &#00000000000000097;", "acle ab a"),
            ("<b>mir</b>acle<br/>cure<!-- x -->s", "miracle cures"),
            ("1 < 2 & 3 > 2, R&D &unknown; a<3", "1 < 2 & 3 > 2, R&D &unknown; a<3"),
            ("m\u{456}racle МІRАСLЕ сосо", "miracle miRacLe coco"),
            ("мир да сор", "мир да сор"),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
        for (foreign, latin) in LOOK_ALIKES {
            assert_eq!(foreign.chars().count(), latin.chars().count(), "{foreign}");
        }
        assert_eq!(as_seen("<b>mir</b>acle").first(), Some(&(4, 'm')), "places are those of the text as sent");
    }
}
