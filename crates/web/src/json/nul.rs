//! The character NUL, which PostgreSQL keeps in no text and no JSON: found in what callers send, wherever it stands.

use std::borrow::Cow;

use serde_json::Value;

/// What is said of it.
pub(crate) const MESSAGE: &str = "must not hold the character NUL";

/// Where a JSON text holds it, as the path of a field: `rows[0].name`. In JSON it can only be written as an escape, so that a text without
/// one costs no second parse.
pub(crate) fn place_in(json: &[u8]) -> Option<String> {
    if !json.windows(6).any(|six| six == br"\u0000") {
        return None;
    }
    place(&serde_json::from_slice(json).ok()?)
}

fn place(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(list) => list.iter().enumerate().find_map(|(at, inner)| Some(join(format!("[{at}]").into(), &place(inner)?))),
        Value::Object(fields) => fields.iter().find_map(|(name, inner)| match name.contains('\0') {
            true => Some(name.replace('\0', "?")),
            false => Some(join(name.as_str().into(), &place(inner)?)),
        }),
        _ => None,
    }
}

fn join(outer: Cow<'_, str>, inner: &str) -> String {
    let point = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{point}{inner}")
}

#[cfg(test)]
mod tests {
    use super::place_in;

    #[test]
    fn it_is_found_wherever_it_stands_and_nowhere_else() {
        for (text, place) in [
            (r#"{"name":"a\u0000"}"#, Some("name")),
            (r#"{"rows":[{"x":1},{"y":["b","\u0000"]}]}"#, Some("rows[1].y[1]")),
            (r#"{"attributes":{"a\u0000b":1}}"#, Some("attributes.a?b")),
            (r#""\u0000""#, Some("")),
            (r#"{"name":"a\\u0000"}"#, None),
            (r#"{"name":"a\u0001"}"#, None),
        ] {
            assert_eq!(place_in(text.as_bytes()).as_deref(), place, "{text}");
        }
    }
}
