//! Instants: UTC with microseconds, made by us and not by a database, so that a test can set the clock.

use std::sync::Arc;

use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::invalid::Invalid;

/// Now, cut to microseconds: what all three databases keep.
#[must_use]
pub fn now() -> DateTime<Utc> {
    cut(Utc::now())
}

/// Cuts an instant to whole microseconds.
#[must_use]
pub fn cut(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(instant)
}

/// The time zone of an IANA name, such as `America/New_York`.
///
/// # Errors
/// [`Invalid`] on `field` when there is no such zone.
pub fn zone(field: &str, name: &str) -> Result<Tz, Invalid> {
    name.parse()
        .map_err(|_| Invalid::one(field, format!("{name:?} is no IANA time zone; give one such as \"America/New_York\" or \"UTC\"")))
}

/// The day that it is in a zone.
#[must_use]
pub fn day_in(instant: DateTime<Utc>, zone: Tz) -> NaiveDate {
    instant.with_timezone(&zone).date_naive()
}

/// The day that it is in the zone of this name; a name that was stored before names were checked and means nothing counts as UTC.
#[must_use]
pub fn day_at(instant: DateTime<Utc>, zone_name: &str) -> NaiveDate {
    day_in(instant, zone_name.parse().unwrap_or(Tz::UTC))
}

/// Where a service reads the time; tests put a fixed one in its place.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(now))
    }

    /// A clock that tests steer.
    pub fn from_fn(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        cut((self.0)())
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_day_is_that_of_the_zone() {
        let instant = "2026-03-08T06:30:00Z".parse().unwrap();
        let day = |name: &str| day_in(instant, zone("timezone", name).unwrap()).to_string();
        assert_eq!(day("UTC"), "2026-03-08");
        assert_eq!(day("America/Los_Angeles"), "2026-03-07");
        assert_eq!(day("Pacific/Kiritimati"), "2026-03-08");
        assert_eq!(day("Asia/Tokyo"), "2026-03-08");
        assert_eq!(zone("timezone", "Mars/Olympus").unwrap_err().fields[0].field, "timezone");
    }
}
