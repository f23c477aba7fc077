//! Unusual days of a daily series, each with what was expected and why it is flagged.
//!
//! A day is compared with the 28 days before it, so that a flag never changes when later days arrive. Expected is the median of those days
//! times the day of the week's own level; the score is the distance in robust standard deviations (1.4826 * MAD, after the adjustment
//! for the day of the week). Counts are given at least the spread that chance gives them (the square root of what is expected), money
//! at least 5 % of what is expected, so that a calm series does not flag every small step.

use chrono::{Datelike, Days, NaiveDate};
use serde::Serialize;

/// Days that a day is compared with.
pub const WINDOW_DAYS: u64 = 28;
/// Least days with a value in the window.
pub const MIN_DAYS: usize = 8;
/// From this score a day is flagged (Iglewicz and Hoaglin's 3.5).
pub const THRESHOLD: f64 = 3.5;
/// Least values of a weekday in the window before it has a level of its own.
const MIN_WEEKDAYS: usize = 3;

/// What a series holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Events.
    Count,
    /// Micros.
    Money,
}

/// An unusual day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flag {
    /// The day.
    pub date: NaiveDate,
    /// What happened.
    pub actual: f64,
    /// What the days before let expect.
    pub expected: f64,
    /// Distance in robust standard deviations; negative below.
    pub score: f64,
    /// Days that the expectation rests on.
    pub n: usize,
    /// `high` or `low`.
    pub direction: &'static str,
    /// Whether the day of the week has a level of its own in the expectation.
    pub is_weekday_adjusted: bool,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Search {
    /// The unusual days.
    pub flags: Vec<Flag>,
    /// Days that were judged.
    pub judged: usize,
    /// Days that had too few days before them.
    pub too_few_days: usize,
}

/// Looks for unusual days in a series sorted by day; days without value are not zero and are left out.
#[must_use]
pub fn search(series: &[(NaiveDate, f64)], kind: Kind) -> Search {
    let mut found = Search { flags: Vec::new(), judged: 0, too_few_days: 0 };
    for (at, (date, actual)) in series.iter().enumerate() {
        let first = date.checked_sub_days(Days::new(WINDOW_DAYS)).unwrap_or(*date);
        let before: Vec<(NaiveDate, f64)> = series.iter().take(at).filter(|(day, _)| *day >= first).copied().collect();
        if before.len() < MIN_DAYS {
            found.too_few_days += 1;
            continue;
        }
        found.judged += 1;
        found.flags.extend(judge(*date, *actual, &before, kind));
    }
    found
}

fn judge(date: NaiveDate, actual: f64, before: &[(NaiveDate, f64)], kind: Kind) -> Option<Flag> {
    let overall = median(before.iter().map(|(_, value)| *value).collect());
    let level = |day: NaiveDate| {
        let same: Vec<f64> = before.iter().filter(|(other, _)| other.weekday() == day.weekday()).map(|(_, value)| *value).collect();
        let factor = if same.len() < MIN_WEEKDAYS || overall <= 0.0 { None } else { Some(median(same) / overall) };
        factor.filter(|factor| *factor > 0.0).map(|factor| factor.clamp(0.2, 5.0))
    };
    let adjusted: Vec<f64> = before.iter().map(|(day, value)| value / level(*day).unwrap_or(1.0)).collect();
    let usual = median(adjusted.clone());
    let spread = 1.4826 * median(adjusted.iter().map(|value| (value - usual).abs()).collect());
    let own_level = level(date);
    let factor = own_level.unwrap_or(1.0);
    let expected = usual * factor;
    let least = match kind {
        Kind::Count => expected.max(1.0).sqrt(),
        Kind::Money => (0.05 * expected).max(1.0),
    };
    let score = (actual - expected) / (spread * factor).max(least);
    (score.abs() >= THRESHOLD).then_some(Flag {
        date,
        actual,
        expected,
        score,
        n: before.len(),
        direction: if score > 0.0 { "high" } else { "low" },
        is_weekday_adjusted: own_level.is_some(),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle - 1), at(middle)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn series(values: impl IntoIterator<Item = f64>) -> Vec<(NaiveDate, f64)> {
        let first = NaiveDate::from_ymd_opt(2025, 1, 6).unwrap();
        values.into_iter().enumerate().map(|(at, value)| (first + Days::new(at as u64), value)).collect()
    }

    #[test]
    fn a_weekly_pattern_is_usual_and_its_break_is_not() {
        let week = |at: usize| if at % 7 >= 5 { 300.0 } else { 100.0 };
        let calm = search(&series((0..56).map(week)), Kind::Count);
        assert_eq!((calm.flags.iter().filter(|flag| flag.is_weekday_adjusted).count(), calm.too_few_days), (0, MIN_DAYS));
        // A Tuesday at the level of a Saturday.
        let broken = search(&series((0..56).map(|at| if at == 50 { 300.0 } else { week(at) })), Kind::Count);
        let flag = broken.flags.last().unwrap();
        assert_eq!((flag.date.to_string().as_str(), flag.direction, flag.expected), ("2025-02-25", "high", 100.0));
        assert!(flag.score > 15.0 && flag.n == 28);
    }

    #[test]
    fn chance_is_not_flagged_in_small_counts() {
        let small = search(&series((0..40).map(|at| f64::from(at % 3))), Kind::Count);
        assert!(small.flags.is_empty());
        let few = search(&series([1.0, 100.0, 1.0]), Kind::Count);
        assert_eq!((few.judged, few.too_few_days), (0, 3));
    }

    #[test]
    fn spend_that_stops_is_low() {
        let stopped = search(&series((0..30).map(|at| if at == 29 { 0.0 } else { 5e6 })), Kind::Money);
        assert_eq!(stopped.flags.len(), 1);
        assert_eq!((stopped.flags[0].direction, stopped.flags[0].actual), ("low", 0.0));
    }
}
