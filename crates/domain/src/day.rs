//! Days that are taken: far beyond them are slips of the pen, dates that a database refuses, and arithmetic that overflows.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, de::Error};

use crate::invalid::Invalid;

/// The years of all days that come from outside.
pub const YEARS: RangeInclusive<i32> = 1900..=2999;

/// Checks a day.
///
/// # Errors
/// [`Invalid`] on `field`.
pub fn check(field: &str, day: NaiveDate) -> Result<(), Invalid> {
    if YEARS.contains(&day.year()) { Ok(()) } else { Err(Invalid::one(field, beyond(&day.to_string()))) }
}

/// Checks a day where there is one, among other fields.
pub fn check_some(invalid: &mut Invalid, field: &str, day: Option<NaiveDate>) {
    if let Some(day) = day {
        invalid.merge(check(field, day));
    }
}

/// For `#[serde(default, deserialize_with = "domain::day::read")]`: a day of a query, checked as it is read.
///
/// # Errors
/// For what is no day, or beyond [`YEARS`].
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let day = text.map(|text| {
        let wrong = |_| D::Error::custom(format!("must be a day such as 2026-01-31, not {text:?}"));
        text.parse::<NaiveDate>().map_err(wrong)
    });
    let day = day.transpose()?;
    match day.filter(|day| !YEARS.contains(&day.year())) {
        Some(day) => Err(D::Error::custom(beyond(&day.to_string()))),
        None => Ok(day),
    }
}

/// The same of a day that must be there, as in a cursor.
///
/// # Errors
/// For what is no day, or beyond [`YEARS`].
pub fn read_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    read(deserializer)?.ok_or_else(|| D::Error::custom("is required"))
}

/// The same of an instant.
///
/// # Errors
/// For what is no instant, or beyond [`YEARS`].
pub fn read_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let at = text.map(|text| {
        let wrong = |_| D::Error::custom(format!("must be a time such as 2026-01-31T09:00:00Z, not {text:?}"));
        text.parse::<DateTime<Utc>>().map_err(wrong)
    });
    let at = at.transpose()?;
    match at.filter(|at| !YEARS.contains(&at.year())) {
        Some(at) => Err(D::Error::custom(beyond(&at.to_string()))),
        None => Ok(at),
    }
}

fn beyond(day: &str) -> String {
    format!("{day} is not between {} and {}", YEARS.start(), YEARS.end())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[serde(default, deserialize_with = "read")]
        from: Option<NaiveDate>,
        #[serde(default, deserialize_with = "read_instant")]
        at: Option<DateTime<Utc>>,
    }

    #[test]
    fn days_of_eleven_centuries_are_taken() {
        let asked = |text: &str| serde_json::from_str::<Asked>(text).map(|asked| (asked.from, asked.at)).map_err(|error| error.to_string());
        assert_eq!(asked("{}"), Ok((None, None)));
        for day in ["1900-01-01", "2999-12-31"] {
            assert!(asked(&format!(r#"{{"from":"{day}","at":"{day}T00:00:00Z"}}"#)).is_ok(), "{day}");
            assert!(check("from", day.parse().unwrap()).is_ok());
        }
        for day in ["1899-12-31", "3000-01-01", "-262143-01-01", "+262142-12-31"] {
            let refusal = asked(&format!(r#"{{"from":"{day}"}}"#)).unwrap_err();
            assert!(refusal.contains("is not between 1900 and 2999"), "{refusal}");
            assert!(asked(&format!(r#"{{"at":"{day}T00:00:00Z"}}"#)).is_err(), "{day}");
            assert_eq!(check("from", day.parse().unwrap()).unwrap_err().fields[0].field, "from");
        }
    }
}
