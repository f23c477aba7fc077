//! Pacing: is the money going out as fast as the flight's days? Linear expectation over calendar
//! days, as Google Ad Manager's delivery indicator, or shaped by the traffic of weekdays; the projection adjusts the run rate for the day
//! of the week. What is not known has no figure but a reason.

use chrono::{Datelike, Days, NaiveDate};
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
    let days = Elapsed::of(flight);
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

/// What each weekday brings compared with the mean of all days, from Monday on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeekShape([f64; 7]);

/// Least values of each weekday that make a shape.
const MIN_WEEKS: usize = 2;

impl WeekShape {
    /// From a daily series; `None` unless every weekday occurs at least twice and something happened.
    #[must_use]
    pub fn of(days: &[(NaiveDate, i64)]) -> Option<Self> {
        let (mut sums, mut counts) = ([0.0; 7], [0_usize; 7]);
        for (day, value) in days {
            let at = day.weekday().num_days_from_monday() as usize;
            if let (Some(sum), Some(count)) = (sums.get_mut(at), counts.get_mut(at)) {
                *sum += *value as f64;
                *count += 1;
            }
        }
        if counts.iter().any(|count| *count < MIN_WEEKS) {
            return None;
        }
        let mut means = sums;
        means.iter_mut().zip(counts).for_each(|(mean, count)| *mean /= count as f64);
        let overall = means.iter().sum::<f64>() / 7.0;
        (overall > 0.0).then(|| Self(means.map(|mean| mean / overall)))
    }

    fn weight(&self, day: NaiveDate) -> f64 {
        self.0.get(day.weekday().num_days_from_monday() as usize).copied().unwrap_or(1.0)
    }

    /// The sum of the weights of days from the first to the last, both included. A week weighs 7.
    fn sum(&self, first: NaiveDate, last: NaiveDate) -> f64 {
        let days = (last - first).num_days() + 1;
        if days < 1 {
            return 0.0;
        }
        let rest = (days % 7).unsigned_abs();
        (days / 7 * 7) as f64 + (0..rest).filter_map(|at| first.checked_add_days(Days::new(at))).map(|day| self.weight(day)).sum::<f64>()
    }
}

/// Computes pacing with the weekdays' own levels: `spend` shapes the projection (the run rate is that of the last seven days),
/// `traffic`, when given, the expectation, which is linear otherwise.
#[must_use]
pub fn pace_by_weekday(flight: &Flight, spend: Option<&WeekShape>, traffic: Option<&WeekShape>) -> Pacing {
    let mut pacing = pace(flight);
    let (Some(start), Some(end)) = (flight.start, flight.end) else { return pacing };
    if let Some(shape) = traffic
        && end >= start
    {
        let share = if flight.as_of < start { 0.0 } else { shape.sum(start, flight.as_of.min(end)) / shape.sum(start, end) };
        if share.is_finite() {
            pacing.expected_share = Figure::of(share);
            if let Some(budget) = flight.budget_micros.filter(|budget| *budget > 0) {
                pacing.expected_spend_micros = Figure::of((budget as f64 * share).round() as i64);
            }
            if let Some(actual) = pacing.actual_share.value {
                pacing.pacing_index = if share > 0.0 { Figure::of(actual / share) } else { Figure::missing(Reason::NotStarted) };
            }
        }
    }
    // With fewer than seven days the linear projection stands.
    let elapsed = (flight.as_of.min(end) - start).num_days() + 1;
    if let (Some(shape), Some(week), Some(spend), true) = (spend, flight.trailing_week_micros, flight.spend_micros, elapsed >= 7)
        && let Some(next) = flight.as_of.min(end).succ_opt()
    {
        let rest = (week as f64 / 7.0 * shape.sum(next, end)).round();
        pacing.projected_end_spend_micros = figure(to_micros(i128::from(spend) + rest as i128));
    }
    pacing
}

#[derive(Debug, Clone, Copy)]
struct Elapsed {
    total: i64,
    elapsed: i64,
}

impl Elapsed {
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

fn project(flight: &Flight, days: Elapsed, spend: i64) -> Result<i64, Reason> {
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
    fn weekends_that_spend_double_are_projected_as_such() {
        let start = NaiveDate::from_ymd_opt(2025, 1, 6).unwrap();
        let spends: Vec<(NaiveDate, i64)> = (0..14).map(|at| (start + Days::new(at), if at % 7 >= 5 { 20 } else { 10 })).collect();
        let shape = WeekShape::of(&spends).unwrap();
        assert!(WeekShape::of(&spends[..13]).is_none(), "one Sunday is no Sunday's level");
        let flight = Flight {
            budget_micros: Some(280),
            start: Some(start),
            end: Some(start + Days::new(18)),
            as_of: start + Days::new(13),
            spend_micros: Some(180),
            trailing_week_micros: Some(90),
        };
        // Monday to Friday are left: 5 days of 10, where the plain run rate of 90 / 7 says 64.
        let pacing = pace_by_weekday(&flight, Some(&shape), Some(&shape));
        assert_eq!(pacing.projected_end_spend_micros.value, Some(230));
        assert!((pacing.expected_share.value.unwrap() - 180.0 / 230.0).abs() < 1e-12);
        assert_eq!(pace_by_weekday(&flight, None, None), pace(&flight));
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
