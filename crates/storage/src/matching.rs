//! Search for a part of a text, the same on the three databases: without regard to the case of the letters A to Z (and of others where the
//! database knows them), wildcards taken literally.

use diesel::sql_types::{Nullable, Text};

#[diesel::declare_sql_function]
extern "SQL" {
    /// Lower case.
    fn lower(text: Text) -> Text;
    /// The text, or another where there is none.
    fn coalesce(text: Nullable<Text>, other: Text) -> Text;
}

/// A pattern that matches texts in lower case that hold the first 100 characters of `text`; escaped with `!`.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars().take(100) {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
