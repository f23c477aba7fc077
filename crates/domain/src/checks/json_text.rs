//! JSON that stands in a text: read strictly, a member that stands twice is a fault, and every value has its line and column.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is no JSON, and where. Lines and columns count characters from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    pub line: u64,
    pub column: u64,
    /// The text is JSON, but a member stands twice: readers disagree which one counts.
    pub is_repeated_member: bool,
}

/// What a repeated member is reported as by the reader below.
const REPEATED: &str = "this member stands twice: ";

/// Reads a JSON text.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0).map_err(|error| {
        let whole = error.to_string();
        let message = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(message, _)| message);
        let repeated = message.strip_prefix(REPEATED);
        let line = error.line().max(1);
        // The reader counts bytes.
        let bytes = text.split('\n').nth(line - 1).map_or(0, |line| line.len().min(error.column()));
        let before = text.split('\n').nth(line - 1).map(|line| super::front(line, bytes));
        Fault {
            message: repeated.map_or_else(|| message.to_owned(), |name| format!("the member {name} stands twice; keep one")),
            line: count(line),
            column: count(before.map_or(0, |before| before.chars().count()).max(1)),
            is_repeated_member: repeated.is_some(),
        }
    })
}

/// Line and column at which the value at a pointer begins; of its nearest ancestor when it is not there. The text must be JSON.
pub(super) fn locate(text: &str, pointer: &str) -> (u64, u64) {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        match child(text, at, &token) {
            Some(found) => at = found,
            None => break,
        }
    }
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (count(before.matches('\n').count() + 1), count(before.get(line_start..).unwrap_or_default().chars().count() + 1))
}

/// Where the member or item of this name begins in the object or list at `at`.
fn child(text: &str, at: usize, token: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_object = match bytes.get(at)? {
        b'{' => true,
        b'[' => false,
        _ => return None,
    };
    let mut at = skip_space(bytes, at + 1);
    for item in 0_usize.. {
        if matches!(bytes.get(at), None | Some(b'}' | b']')) {
            return None;
        }
        let is_wanted = if is_object {
            let end = skip_value(bytes, at);
            let name: String = serde_json::from_str(text.get(at..end)?).ok()?;
            at = skip_space(bytes, skip_space(bytes, end) + 1);
            name == token
        } else {
            token.parse() == Ok(item)
        };
        if is_wanted {
            return Some(at);
        }
        at = skip_space(bytes, skip_value(bytes, at));
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    None
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The end of the value that begins at `at`; further than `at` whatever stands there.
fn skip_value(bytes: &[u8], at: usize) -> usize {
    let (mut at, mut depth, mut in_text) = (at, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let at_end = matches!(bytes.get(at), None | Some(b',' | b'}' | b']' | b':')) || bytes.get(at).is_some_and(u8::is_ascii_whitespace);
        if depth == 0 && !in_text && (at_end || matches!(byte, b'"' | b'}' | b']')) {
            break;
        }
    }
    at
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A JSON value in whose objects no member stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(de::Error::custom(format!("{REPEATED}{}", super::quoted(&name))));
            }
            let Strict(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_are_found_where_they_stand() {
        let text = "{ \"a\\\"b\": [1, {\"x\": \"é,]\", \"y\" : null}],\n  \"é\": \"ü\", \"n\":-1.5e3}";
        assert!(parse(text).is_ok());
        for (pointer, place) in [
            ("", (1, 1)),
            ("/a\"b", (1, 11)),
            ("/a\"b/0", (1, 12)),
            ("/a\"b/1/x", (1, 21)),
            ("/a\"b/1/y", (1, 34)),
            ("/é", (2, 8)),
            ("/n", (2, 17)),
            ("/n/deeper", (2, 17)),
            ("/nowhere", (1, 1)),
            ("/a\"b/7", (1, 11)),
        ] {
            assert_eq!(locate(text, pointer), place, "{pointer}");
        }
    }

    #[test]
    fn faults_have_a_place_in_characters() {
        let fault = parse("{\"é\": 1,\n\"ü\": tru}").unwrap_err();
        assert_eq!((fault.line, fault.column, fault.is_repeated_member), (2, 9, false));
        let fault = parse("{\"é\": {\"a\": 1,\n \"a\": 2}}").unwrap_err();
        assert_eq!((fault.line, fault.is_repeated_member), (2, true));
        assert_eq!(fault.message, "the member \"a\" stands twice; keep one");
        assert_eq!(parse("").unwrap_err().line, 1);
    }

    proptest! {
        #[test]
        fn valid_json_is_read_as_by_any_reader(number in any::<f64>(), whole in any::<i64>(), text in ".{0,20}", flag in any::<bool>()) {
            let value = json!({"n": number, "i": whole, "t": text, "l": [flag, null, {"deep": [[]]}]});
            prop_assert_eq!(parse(&value.to_string()).unwrap(), serde_json::from_str::<Value>(&value.to_string()).unwrap());
        }

        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:a1é \n\\\\]{0,40}", pointer in "(/[a01~é]{0,2}){0,4}") {
            let _ = parse(&text);
            let _ = locate(&text, &pointer);
        }
    }
}
