//! Public identifiers: strings that callers may choose themselves, else a prefixed UUIDv7 made here.

use crate::invalid::Invalid;

/// Longest public identifier accepted, in bytes; equals the column width in all three databases.
pub const MAX_LENGTH: usize = 100;

/// A new identifier such as `cmp_0190f3c2…`: the prefix says what it names, the UUIDv7 keeps inserts in time order.
#[must_use]
pub fn new(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// Checks an identifier that a caller supplied: 1 to 100 characters out of letters, digits, `-`, `_`, `.`, `:`.
///
/// # Errors
/// [`Invalid`] naming `field` and the first thing that is wrong.
pub fn check(field: &str, value: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if value.is_empty() {
        return Err(Invalid::one(field, "must not be empty"));
    }
    if value.len() > MAX_LENGTH {
        return Err(Invalid::one(field, format!("must be at most {MAX_LENGTH} characters")));
    }
    if matches!(value, "." | "..") {
        // Clients take them for steps in the path.
        return Err(Invalid::one(field, "must not be \".\" or \"..\": no address can name it"));
    }
    match value.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(Invalid::one(field, format!("holds {c:?}; allowed are letters, digits, '-', '_', '.', ':'"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn new_ids_sort_by_time_and_pass_the_check() {
        let (a, b) = (new("cmp"), new("cmp"));
        assert!(a < b);
        check("campaign_id", &a).unwrap();
    }

    #[test]
    fn bad_ids_are_named() {
        for (value, word) in
            [("", "empty"), (".", "address"), ("..", "address"), ("a b", "' '"), ("é", "'é'"), (&"x".repeat(101) as &str, "at most 100")]
        {
            let error = check("task_id", value).unwrap_err();
            assert_eq!(error.fields[0].field, "task_id");
            assert!(error.fields[0].message.contains(word), "{error:?}");
        }
    }
}
