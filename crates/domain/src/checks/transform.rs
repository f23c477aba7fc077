//! The transforms that a schema mapping may name: what each takes and gives, and what it does to an example value.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use serde_json::Value;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Text,
    Integer,
    Number,
    Money,
    Boolean,
    Date,
    Timestamp,
}

impl FieldType {
    /// From the word of a field list; `None` for a type that is not known here.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "string" | "text" | "varchar" | "char" | "str" => Self::Text,
            "integer" | "int" | "bigint" | "smallint" | "int64" | "int32" | "long" => Self::Integer,
            "number" | "float" | "double" | "decimal" | "numeric" | "real" | "float64" => Self::Number,
            "money" => Self::Money,
            "boolean" | "bool" => Self::Boolean,
            "date" => Self::Date,
            "timestamp" | "datetime" | "timestamptz" => Self::Timestamp,
            _ => return None,
        })
    }

    fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Money)
    }
}

/// Every transform by name. A mapping without one means `identity`.
pub const NAMES: [&str; 21] = [
    "identity",
    "divide_by_100",
    "micros_to_units",
    "parse_number",
    "percent_to_fraction",
    "fraction_to_percent",
    "to_string",
    "lowercase",
    "uppercase",
    "trim",
    "snake_case",
    "yes_no_to_boolean",
    "date_iso",
    "date_yyyymmdd",
    "date_mm_dd_yyyy",
    "date_dd_mm_yyyy",
    "date_dd_mm_yyyy_dots",
    "timestamp_iso",
    "timestamp_to_date",
    "unix_seconds_to_timestamp",
    "unix_seconds_to_date",
];

/// Whether a transform turns a field of type `from` into one of type `to`. `None` when the transform is unknown.
pub(super) fn fits(transform: &str, from: FieldType, to: FieldType) -> Option<bool> {
    use FieldType::{Boolean, Date, Integer, Money, Number, Text, Timestamp};
    let text_or_integer = matches!(from, Text | Integer);
    Some(match transform {
        "identity" => {
            from == to || (from == Integer && to == Number) || (from.is_numeric() && to == Money) || (from == Money && to == Number)
        }
        "divide_by_100" | "micros_to_units" | "percent_to_fraction" => from.is_numeric() && matches!(to, Number | Money),
        "fraction_to_percent" => from.is_numeric() && to == Number,
        "parse_number" => from == Text && to.is_numeric(),
        "to_string" => to == Text,
        "lowercase" | "uppercase" | "trim" | "snake_case" => from == Text && to == Text,
        "yes_no_to_boolean" => from == Text && to == Boolean,
        "date_yyyymmdd" => text_or_integer && to == Date,
        "date_iso" | "date_mm_dd_yyyy" | "date_dd_mm_yyyy" | "date_dd_mm_yyyy_dots" => from == Text && to == Date,
        "timestamp_iso" => from == Text && to == Timestamp,
        "timestamp_to_date" => from == Timestamp && to == Date,
        "unix_seconds_to_timestamp" => from == Integer && to == Timestamp,
        "unix_seconds_to_date" => from == Integer && to == Date,
        _ => return None,
    })
}

/// The unit that a transform makes of another; `None` when it leaves units as they are.
pub(super) fn unit_after(transform: &str) -> Option<(&'static str, &'static str)> {
    match transform {
        "divide_by_100" => Some(("cents", "units")),
        "micros_to_units" => Some(("micros", "units")),
        "percent_to_fraction" => Some(("percent", "fraction")),
        "fraction_to_percent" => Some(("fraction", "percent")),
        _ => None,
    }
}

/// Why a transform cannot be used on an example value; `None` when it can, or when the transform takes any value of its type.
pub(super) fn refuses(transform: &str, example: &Value) -> Option<String> {
    let text = match example {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() || text.len() > 100 {
        return None;
    }
    // Four digits for the year: `12/31/17` is no date of the year 17.
    let date = |format: &str, length: usize| {
        text.len() <= length
            && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'/' | b'.' | b'-'))
            && NaiveDate::parse_from_str(&text, format).is_ok_and(|day| day.year() >= 1000)
    };
    let (works, wanted) = match transform {
        "divide_by_100" | "micros_to_units" | "percent_to_fraction" | "fraction_to_percent" => {
            (text.parse::<f64>().is_ok_and(f64::is_finite), "a number")
        }
        "parse_number" => (is_number_text(&text), "a number written like 1,234.50"),
        "yes_no_to_boolean" => {
            (matches!(text.to_lowercase().as_str(), "yes" | "no" | "y" | "n" | "true" | "false" | "0" | "1"), "yes or no")
        }
        "date_iso" => (date("%Y-%m-%d", 10), "a date such as 2017-12-31"),
        "date_yyyymmdd" => (text.len() == 8 && date("%Y%m%d", 8), "a date such as 20171231"),
        "date_mm_dd_yyyy" => (date("%m/%d/%Y", 10), "a date such as 12/31/2017"),
        "date_dd_mm_yyyy" => (date("%d/%m/%Y", 10), "a date such as 31/12/2017"),
        "date_dd_mm_yyyy_dots" => (date("%d.%m.%Y", 10), "a date such as 31.12.2017"),
        "timestamp_iso" | "timestamp_to_date" => (is_timestamp(&text), "a time such as 2017-12-31T23:59:59Z"),
        "unix_seconds_to_timestamp" | "unix_seconds_to_date" => (
            text.parse::<i64>().is_ok_and(|seconds| (0..100_000_000_000).contains(&seconds)),
            "seconds since 1970 (milliseconds are 1000 times more)",
        ),
        _ => return None,
    };
    (!works).then(|| format!("{transform} wants {wanted}"))
}

/// `-$1,234.50`: a comma parts thousands, so that `1,5` and `1.234,50` are not taken for other numbers than they are.
fn is_number_text(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = unsigned.strip_prefix('$').unwrap_or(unsigned);
    let (whole, fraction) = plain.split_once('.').map_or((plain, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let whole_fits = if rest.is_empty() {
        is_digits(first)
    } else {
        is_digits(first) && first.len() <= 3 && rest.iter().all(|g| g.len() == 3 && is_digits(g))
    };
    whole_fits && fraction.is_none_or(is_digits)
}

fn is_timestamp(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok() || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_would_be_read_as_others_are_refused() {
        for text in ["1234", "1,234", "-1,234,567.5", "$12.30", "0.5"] {
            assert!(is_number_text(text), "{text}");
        }
        for text in ["", "n/a", "1,5", "1.234,50", "12,34", "1e5", "1.2.3", "$", "1,2345", "5%", "Infinity", "0x10", "１"] {
            assert!(!is_number_text(text), "{text}");
        }
    }

    #[test]
    fn dates_need_four_digits_for_the_year() {
        let refused = |transform: &str, text: &str| refuses(transform, &Value::from(text)).is_some();
        assert!(!refused("date_mm_dd_yyyy", "12/31/2017") && !refused("date_iso", "2017-12-31"));
        assert!(refused("date_mm_dd_yyyy", "12/31/17") && refused("date_mm_dd_yyyy", "31/12/2017") && refused("date_iso", "2017-02-29"));
        assert!(refused("date_yyyymmdd", "2017123") && refused("unix_seconds_to_date", "1514764799000"));
    }
}
