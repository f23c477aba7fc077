//! `from` and `to` of filters: an instant (RFC 3339) or a day; a day counts whole, also as the end.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::invalid::Invalid;

/// The last moment that has a year of four digits.
const LAST: DateTime<Utc> =
    NaiveDate::from_ymd_opt(9999, 12, 31).expect("a date of the calendar").and_hms_opt(23, 59, 59).expect("a time of the day").and_utc();

/// A span of time; absent ends are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// First instant.
    pub from: Option<DateTime<Utc>>,
    /// First instant after.
    pub to: Option<DateTime<Utc>>,
}

/// Reads both ends of a span.
///
/// # Errors
/// [`Invalid`] for each end that is no instant or day, or when the span is empty.
pub fn read(from: Option<&str>, to: Option<&str>) -> Result<Period, Invalid> {
    let mut invalid = Invalid::default();
    let first = from.and_then(|text| invalid.merge(instant("from", text, TimeDelta::zero())));
    let last = to.and_then(|text| invalid.merge(instant("to", text, TimeDelta::days(1))));
    if let (Some(first), Some(last)) = (first, last)
        && last <= first
    {
        invalid.add("to", "must lie after `from`");
    }
    invalid.into_result()?;
    Ok(Period { from: first, to: last })
}

fn instant(field: &str, text: &str, whole_day: TimeDelta) -> Result<DateTime<Utc>, Invalid> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        let midnight = date.and_time(NaiveTime::MIN).and_utc();
        // Years of four digits alone are written alike by all databases, and the last day stands for no end at all.
        return match (1..=9999).contains(&date.year()) {
            true => Ok((midnight + whole_day).min(LAST)),
            false => Err(Invalid::one(field, "must be of a year from 1 to 9999")),
        };
    }
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc().min(LAST)).map_err(|_| {
        Invalid::one(field, format!("{text:?} is neither a day such as 2026-01-31 nor an instant such as 2026-01-31T12:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_day_counts_whole() {
        let period = read(Some("2026-01-31"), Some("2026-01-31")).unwrap();
        assert_eq!(period.to.unwrap() - period.from.unwrap(), TimeDelta::days(1));
        assert!(read(Some("2026-02-01"), Some("2026-01-31")).is_err());
        assert_eq!(read(Some("yesterday"), None).unwrap_err().fields[0].field, "from");
        assert!(read(None, None).unwrap().from.is_none());
        assert_eq!(read(None, Some("9999-12-31")).unwrap().to.unwrap().to_string(), "9999-12-31 23:59:59 UTC", "no year of five digits");
        assert!(read(Some("+10000-01-01"), None).is_err() && read(Some("-0001-01-01"), None).is_err());
    }
}
