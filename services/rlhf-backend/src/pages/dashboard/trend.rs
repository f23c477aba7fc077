//! How much was said on each day of the span that the dashboard is of.

use chrono::{Days, NaiveDate};
use storage::feedback::statistics::DayCounts;
use web::chart::Point;

/// Most days that are drawn one by one; more are drawn in weeks.
const MOST_DAYS: i64 = 92;

/// The bars of a span, and what they are.
pub(super) struct Trend {
    pub(super) title: &'static str,
    /// The days drawn, and how weeks are counted.
    pub(super) span: String,
    pub(super) points: Vec<Point>,
}

/// Feedback from `from` to `to`, in days or weeks. Nothing was said on a day without a count; a day that is still to come is not measured.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn trend(daily: &[DayCounts], from: NaiveDate, to: NaiveDate, today: NaiveDate) -> Trend {
    let is_in_weeks = (to - from).num_days() >= MOST_DAYS;
    let step = if is_in_weeks { 7 } else { 1 };
    let begins = from.iter_days().step_by(step).take_while(|day| *day <= to);
    let point = |first: NaiveDate| {
        let next = first + Days::new(step as u64);
        let total: i64 = daily.iter().filter(|day| (first..next).contains(&day.date)).map(|day| day.total).sum();
        Point::new(first.format("%-d %b").to_string(), (first <= today).then_some(total as f64))
    };
    let days = format!("{} to {}", from.format("%-d %b %Y"), to.format("%-d %b %Y"));
    let rest = ((to - from).num_days() + 1) % 7;
    let span = match (is_in_weeks, rest) {
        (false, _) => days,
        (true, 0) => format!("{days}, in weeks that begin on the day named"),
        (true, 1) => format!("{days}, in weeks that begin on the day named; the last has 1 day only"),
        (true, rest) => format!("{days}, in weeks that begin on the day named; the last has {rest} days only"),
    };
    Trend { title: if is_in_weeks { "Feedback per week" } else { "Feedback per day" }, span, points: begins.map(point).collect() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn said(days: &[(&str, i64)]) -> Vec<DayCounts> {
        days.iter().map(|(date, total)| DayCounts { date: day(date), total: *total, by_type: BTreeMap::new() }).collect()
    }

    #[test]
    fn every_day_of_the_span_is_drawn_and_no_other() {
        let trend = trend(&said(&[("2026-01-02", 3)]), day("2026-01-01"), day("2026-01-04"), day("2026-01-03"));
        let bars: Vec<(&str, Option<f64>)> = trend.points.iter().map(|point| (point.label.as_str(), point.value)).collect();
        assert_eq!(bars, [("1 Jan", Some(0.0)), ("2 Jan", Some(3.0)), ("3 Jan", Some(0.0)), ("4 Jan", None)]);
        assert_eq!((trend.title, trend.span.as_str()), ("Feedback per day", "1 Jan 2026 to 4 Jan 2026"));
    }

    #[test]
    fn a_long_span_is_drawn_in_weeks_that_lose_nothing() {
        let daily = said(&[("2025-07-01", 1), ("2025-07-07", 2), ("2025-07-08", 4), ("2025-12-31", 8)]);
        let trend = trend(&daily, day("2025-07-01"), day("2025-12-31"), day("2026-01-15"));
        assert_eq!(trend.points.len(), 27, "184 days");
        assert_eq!((trend.points[0].value, trend.points[1].value, trend.points[26].value), (Some(3.0), Some(4.0), Some(8.0)));
        assert!(trend.title == "Feedback per week" && trend.span.ends_with("the last has 2 days only"), "{}", trend.span);
        let shorter = super::trend(&daily, day("2025-10-01"), day("2025-12-31"), day("2026-01-15"));
        assert_eq!((shorter.title, shorter.points.len()), ("Feedback per day", 92));
    }
}
