//! How prompts and candidates read for a trainer, from the JSON that is stored.

use std::borrow::Cow;

use serde_json::Value;
use web::access::hash_key;

/// The question with everything that was shown beside it (`snippets`, a JSON list).
#[must_use]
pub fn prompt_text<'a>(prompt: &'a str, snippets: &str) -> Cow<'a, str> {
    if snippets == "[]" {
        return Cow::Borrowed(prompt);
    }
    let parsed = serde_json::from_str::<Value>(snippets).unwrap_or_default();
    prompt_of(prompt, &parsed)
}

/// [`prompt_text`] of snippets that are read already.
#[must_use]
pub fn prompt_of<'a>(prompt: &'a str, snippets: &Value) -> Cow<'a, str> {
    let snippets = snippets.as_array().map(Vec::as_slice).unwrap_or_default();
    if snippets.is_empty() {
        return Cow::Borrowed(prompt);
    }
    let mut text = prompt.to_owned();
    for snippet in snippets {
        text.push_str("\n\n");
        text.push_str(&value_text(snippet));
    }
    Cow::Owned(text)
}

/// A candidate, stored as JSON: a text as it is, `{"text": ..}` as its text, anything else as compact JSON.
#[must_use]
pub fn candidate_text(json: &str) -> Cow<'_, str> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str::<Value>(json).map_or(Cow::Borrowed(json), |value| Cow::Owned(value_text(&value).into_owned())),
    }
}

fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Object(fields) if fields.len() == 1 => {
            fields.get("text").and_then(Value::as_str).map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
        }
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether two texts differ in white space only.
#[must_use]
pub fn read_the_same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

/// Whether there is nothing to read.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The name under which a rater appears in exports.
#[must_use]
pub fn pseudonym(rater_id: &str) -> String {
    let hash = hash_key(&format!("rater:{rater_id}"));
    format!("r_{}", hash.get(..12).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_read_as_they_were_meant() {
        for (json, text) in [
            (r#""plain""#, "plain"),
            (r#""line\nand \"quote\" \u00e4""#, "line\nand \"quote\" ä"),
            (r#"{"text": "inside"}"#, "inside"),
            (r#"{"text": 3}"#, r#"{"text":3}"#),
            (r#"{"text": "a", "more": 1.50}"#, r#"{"more":1.5,"text":"a"}"#),
            ("[1, 2]", "[1,2]"),
            (r#""""#, ""),
        ] {
            assert_eq!(candidate_text(json), text, "{json}");
        }
        assert_eq!(prompt_text("Ask", r#"["one", {"text": "two"}, {"roas": 2}]"#), "Ask\n\none\n\ntwo\n\n{\"roas\":2}");
        assert!(matches!(prompt_text("Ask", "[]"), Cow::Borrowed("Ask")));
    }
}
