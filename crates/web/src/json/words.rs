//! What serde says of a wrong value, in words for those who send requests instead of those who write Rust.

/// The message in plain words; one that is in plain words already stays as it is.
#[must_use]
pub fn plain(message: &str) -> String {
    if NO_DAY.iter().any(|text| message.starts_with(text)) {
        return "must be a day such as 2026-01-31, or a time such as 2026-01-31T09:00:00Z where one is asked for".to_owned();
    }
    if NO_WHOLE_NUMBER.iter().any(|text| message.starts_with(text)) {
        return "must be a whole number".to_owned();
    }
    if message.starts_with("invalid float literal") || message.starts_with("cannot parse float from empty string") {
        return "must be a number such as 0.75".to_owned();
    }
    if message.starts_with("provided string was not `true` or `false`") {
        return "must be true or false".to_owned();
    }
    if let Some((found, known)) = message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected ")) {
        let known = known.trim_start_matches("one of ").replace('`', "");
        return format!("must be one of {known}, not {found:?}");
    }
    for wrong in ["invalid type: ", "invalid value: "] {
        if let Some((found, wanted)) = message.strip_prefix(wrong).and_then(|rest| rest.rsplit_once(", expected ")) {
            return format!("must be {}, not {}", wanted_in_words(wanted), found_in_words(found));
        }
    }
    message.to_owned()
}

/// How the reader of whole numbers begins its errors.
const NO_WHOLE_NUMBER: [&str; 4] =
    ["invalid digit found in string", "number too large to fit", "number too small to fit", "cannot parse integer from empty string"];

/// How the reader of days and times begins its errors.
const NO_DAY: [&str; 5] =
    ["input contains invalid characters", "premature end of input", "trailing input", "input is out of range", "input is not enough for"];

fn wanted_in_words(wanted: &str) -> String {
    let is_one_of = |words: &[&str]| words.contains(&wanted);
    let begins = |words: &[&str]| words.iter().any(|word| wanted.starts_with(word));
    if is_one_of(&["f64", "f32"]) {
        "a number".to_owned()
    } else if is_one_of(&["i8", "i16", "i32", "i64"]) {
        "a whole number".to_owned()
    } else if is_one_of(&["u8", "u16", "u32", "u64", "usize"]) {
        "a whole number of 0 or more".to_owned()
    } else if begins(&["struct ", "a map", "map", "internally tagged enum", "adjacently tagged enum"]) {
        "an object".to_owned()
    } else if begins(&["a sequence", "sequence", "tuple", "a tuple"]) {
        "a list".to_owned()
    } else if begins(&["a string", "string", "str", "a borrowed string", "enum "]) {
        "a text".to_owned()
    } else if begins(&["a boolean", "bool"]) {
        "true or false".to_owned()
    } else {
        wanted.to_owned()
    }
}

fn found_in_words(found: &str) -> String {
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" => "null".to_owned(),
        _ => {
            let text = found.strip_prefix("string ").map(|quoted| format!("the text {quoted}"));
            let bare = || found.trim_start_matches("integer ").trim_start_matches("floating point ").trim_start_matches("boolean ");
            text.unwrap_or_else(|| bare().replace('`', ""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn serde_is_translated() {
        for (message, words) in [
            ("provided string was not `true` or `false`", "must be true or false"),
            ("invalid type: string \"x, y\", expected f64", "must be a number, not the text \"x, y\""),
            ("invalid type: sequence, expected struct MetricBody with 13 elements", "must be an object, not a list"),
            ("invalid value: integer `-1`, expected u64", "must be a whole number of 0 or more, not -1"),
            ("invalid type: floating point `1.5`, expected i64", "must be a whole number, not 1.5"),
            ("invalid type: map, expected a sequence", "must be a list, not an object"),
            ("invalid type: null, expected a string", "must be a text, not null"),
            ("unknown variant `foo`, expected one of `a`, `b`", "must be one of a, b, not \"foo\""),
            ("unknown variant `foo`, expected `a` or `b`", "must be one of a or b, not \"foo\""),
            ("premature end of input", "must be a day such as 2026-01-31, or a time such as 2026-01-31T09:00:00Z where one is asked for"),
            ("invalid float literal", "must be a number such as 0.75"),
            ("cannot parse integer from empty string", "must be a whole number"),
            ("is before from", "is before from"),
        ] {
            assert_eq!(plain(message), words, "{message}");
        }
    }
}
