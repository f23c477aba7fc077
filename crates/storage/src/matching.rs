//! Search for a part of a text, the same on the three databases: wildcards taken literally, and without regard to case, as far as a server's
//! locale knows letters. SQLite itself knows A to Z; it is taught the others.

use diesel::sql_types::{Nullable, Text};

#[diesel::declare_sql_function]
extern "SQL" {
    /// Lower case.
    fn lower(text: Text) -> Text;
    /// The text, or another where there is none.
    fn coalesce(text: Nullable<Text>, other: Text) -> Text;
}

mod taught {
    #[diesel::declare_sql_function]
    extern "SQL" {
        /// SQLite's own takes any value and knows A to Z.
        fn lower(text: diesel::sql_types::Nullable<diesel::sql_types::Text>) -> diesel::sql_types::Nullable<diesel::sql_types::Text>;
    }

    /// Puts a function that knows all letters in its place.
    pub(crate) fn teach(c: &mut diesel::SqliteConnection) -> diesel::QueryResult<()> {
        lower_utils::register_impl(c, |text: Option<String>| text.map(|text| text.to_lowercase()))
    }
}
pub(crate) use taught::teach;

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
