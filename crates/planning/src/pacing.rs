//! Pacing: is the money going out as fast as the flight's days? Linear expectation over calendar
//! days, as Google Ad Manager's delivery indicator; what is not known has no figure but a reason.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Reason};

/// What pacing is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Budget of the flight in micros.
    pub budget_micros: Option<i64>,
    /// First day.
    pub start: Option<NaiveDate>,
    /// Last day, included.
    pub end: Option<NaiveDate>,
    /// Last day whose spend is complete.
    pub as_of: NaiveDate,
    /// Spend from the first day up to and including `as_of`.
    pub spend_micros: Option<i64>,
    /// Spend of the last seven complete days of the flight, if known by day.
    pub trailing_week_micros: Option<i64>,
}

/// The pacing figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pacing {
    /// Share of the flight's days that have passed, 0 to 1.
    pub expected_share: Figure<f64>,
    /// Spend / budget.
    pub actual_share: Figure<f64>,
    /// Budget * expected share, in micros.
    pub expected_spend_micros: Figure<i64>,
    /// Actual share / expected share: 1 is on plan, below is behind.
    pub pacing_index: Figure<f64>,
    /// Spend so far + daily run rate * days left, in micros. The run rate is that of the last
    /// seven days when known, else of the whole flight so far.
    pub projected_end_spend_micros: Figure<i64>,
}

/// Computes pacing.
#[must_use]
pub fn pace(flight: &Flight) -> Pacing {
    let days = Days::of(flight);
    let budget = flight.budget_micros.filter(|&budget| budget > 0).ok_or(match flight.budget_micros {
        Some(_) => Reason::ZeroDenominator,
        None => Reason::NoBudget,
    });
    let spend = flight.spend_micros.ok_or(Reason::NotMeasured);
    let expected_share = days.map(|days| days.elapsed as f64 / days.total as f64);
    let actual_share = budget.and_then(|budget| spend.map(|spend| spend as f64 / budget as f64));
    let expected_spend = budget.and_then(|budget| days.map(|days| i128::from(budget) * i128::from(days.elapsed) / i128::from(days.total)));
    let index = actual_share.and_then(|actual| match expected_share? {
        0.0 => Err(Reason::NotStarted),
        expected => Ok(actual / expected),
    });
    let projection = days.and_then(|days| project(flight, days, spend?));
    Pacing {
        expected_share: figure(expected_share),
        actual_share: figure(actual_share),
        expected_spend_micros: figure(expected_spend.and_then(to_micros)),
        pacing_index: figure(index),
        projected_end_spend_micros: figure(projection),
    }
}

#[derive(Debug, Clone, Copy)]
struct Days {
    total: i64,
    elapsed: i64,
}

impl Days {
    fn of(flight: &Flight) -> Result<Self, Reason> {
        let (Some(start), Some(end)) = (flight.start, flight.end) else { return Err(Reason::NoDates) };
        let total = (end - start).num_days() + 1;
        if total < 1 {
            return Err(Reason::InvalidDates);
        }
        let elapsed = ((flight.as_of - start).num_days() + 1).clamp(0, total);
        Ok(Self { total, elapsed })
    }
}

fn project(flight: &Flight, days: Days, spend: i64) -> Result<i64, Reason> {
    if days.elapsed == 0 {
        return Err(Reason::NotStarted);
    }
    let left = i128::from(days.total - days.elapsed);
    let (recent, over) = match flight.trailing_week_micros {
        Some(week) => (week, days.elapsed.min(7)),
        None => (spend, days.elapsed),
    };
    to_micros(i128::from(spend) + i128::from(recent) * left / i128::from(over))
}

fn to_micros(value: i128) -> Result<i64, Reason> {
    i64::try_from(value).map_err(|_| Reason::OutOfRange)
}

fn figure<T>(result: Result<T, Reason>) -> Figure<T> {
    match result {
        Ok(value) => Figure::of(value),
        Err(reason) => Figure::missing(reason),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn flight() -> Flight {
        Flight {
            budget_micros: Some(100_000_000),
            start: NaiveDate::from_ymd_opt(2017, 3, 1),
            end: NaiveDate::from_ymd_opt(2017, 3, 4),
            as_of: NaiveDate::from_ymd_opt(2017, 3, 3).unwrap(),
            spend_micros: Some(50_000_000),
            trailing_week_micros: None,
        }
    }

    #[test]
    fn day_three_of_four_at_half_the_budget_is_two_thirds() {
        let pacing = pace(&flight());
        assert_eq!(pacing.expected_share.value, Some(0.75));
        assert!((pacing.pacing_index.value.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(pacing.expected_spend_micros.value, Some(75_000_000));
        assert_eq!(pacing.projected_end_spend_micros.value, Some(66_666_666));
    }

    #[test]
    fn missing_inputs_have_reasons() {
        let no_budget = pace(&Flight { budget_micros: None, ..flight() });
        assert_eq!(no_budget.pacing_index, Figure::missing(Reason::NoBudget));
        assert!(no_budget.projected_end_spend_micros.value.is_some());
        let no_dates = pace(&Flight { end: None, ..flight() });
        assert_eq!(no_dates.pacing_index, Figure::missing(Reason::NoDates));
        assert_eq!(no_dates.projected_end_spend_micros, Figure::missing(Reason::NoDates));
        let no_spend = pace(&Flight { spend_micros: None, ..flight() });
        assert_eq!(no_spend.actual_share, Figure::missing(Reason::NotMeasured));
        let early = pace(&Flight { as_of: NaiveDate::from_ymd_opt(2017, 2, 1).unwrap(), ..flight() });
        assert_eq!(early.pacing_index, Figure::missing(Reason::NotStarted));
    }
}
