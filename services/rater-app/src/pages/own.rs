//! A rater's own figures: record, preference for a side, days.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::task::Choice;
use serde_json::Value;
use storage::judgments::Judgment;
use storage::raters::Rater;
use web::chart::{Point, bar};

use super::figures::{Band, ShareView, band, duration, title_of};

/// Judgments that side preference and trend look at.
pub const NEWEST: i64 = 1_000;

/// Days in the trend.
const DAYS: i64 = 14;

/// Left-or-right choices before a side preference is named.
const MIN_SIDES: u64 = 50;

/// The figures of one rater, ready for a template.
pub struct Own {
    /// In words that say no more than the intervals do.
    pub band: Band,
    /// The record.
    pub rater: Rater,
    /// Agreement with experts.
    pub golden: Option<ShareView>,
    /// Agreement with decisions.
    pub consensus: Option<ShareView>,
    /// Mean of the stated confidences.
    pub confidence: Option<String>,
    /// Mean time on a task.
    pub time: Option<String>,
    /// By task type.
    pub by_type: Vec<TypeRow>,
    /// How often the left of two was chosen.
    pub left: Option<ShareView>,
    /// What that means.
    pub left_says: &'static str,
    /// Judgments by day; numbers only, so safe in a page.
    pub trend: Option<String>,
}

/// One task type.
pub struct TypeRow {
    /// Its title.
    pub title: String,
    /// Judgments of it.
    pub judgments: i64,
    /// Agreement with experts.
    pub golden: Option<ShareView>,
}

/// The figures from a record and its newest judgments.
#[must_use]
pub fn own_figures(rater: Rater, newest: &[Judgment], now: DateTime<Utc>) -> Own {
    let left = left_share(newest);
    let by_type = rater.reliability_by_task_type.as_object().into_iter().flatten().map(|(task_type, figures)| {
        let figure = |name: &str| figures.get(name).and_then(Value::as_i64).unwrap_or(0);
        TypeRow { title: title_of(task_type), judgments: figure("judgments"), golden: None }
    });
    Own {
        band: band((rater.calibration_correct + rater.consensus_agreed).into(), (rater.calibration_total + rater.consensus_total).into()),
        golden: ShareView::new(rater.calibration_correct.into(), rater.calibration_total.into()),
        consensus: ShareView::new(rater.consensus_agreed.into(), rater.consensus_total.into()),
        confidence: rater.avg_confidence.map(|mean| format!("{:.0} %", mean * 100.0)),
        time: rater.avg_time_per_task_seconds.map(duration),
        by_type: by_type.collect(),
        left_says: side_says(left),
        left: left.and_then(|(left, n)| ShareView::new(left, n)),
        trend: Some(by_day(newest, now))
            .filter(|days| days.iter().any(|day| day.value > Some(0.0)))
            .map(|days| bar("Judgments by day", &days)),
        rater,
    }
}

/// How often the left of two candidates was chosen, and out of how many choices for one of two.
fn left_share(newest: &[Judgment]) -> Option<(i64, i64)> {
    let sides = newest.iter().filter_map(|judgment| {
        let order: Vec<usize> = serde_json::from_value(judgment.display_order.0.clone()).ok()?;
        let stored = judgment.choice.parse::<Choice>().ok()?.candidate()?;
        (order.len() == 2).then(|| order.first() == Some(&stored))
    });
    let (left, n) = sides.fold((0, 0), |(left, n), is_left| (left + i64::from(is_left), n + 1));
    (n > 0).then_some((left, n))
}

fn side_says(left: Option<(i64, i64)>) -> &'static str {
    let Some(view) = left.map(|(left, n)| crate::raters::share(left, n)) else {
        return "Nothing to see yet: no choice between two candidates.";
    };
    let is_off = view.low.is_some_and(|low| low > 0.5) || view.high.is_some_and(|high| high < 0.5);
    match (view.n < MIN_SIDES, is_off) {
        (true, _) => "Too few choices to tell whether you prefer a side.",
        (false, true) => {
            "The interval leaves out 50 %: you may prefer a side. The order is drawn at random, so read both before you choose."
        }
        (false, false) => "The interval holds 50 %: no sign that you prefer a side.",
    }
}

fn by_day(newest: &[Judgment], now: DateTime<Utc>) -> Vec<Point> {
    let mut counts: BTreeMap<chrono::NaiveDate, f64> = (0..DAYS).map(|back| ((now - TimeDelta::days(back)).date_naive(), 0.0)).collect();
    for judgment in newest {
        if let Some(count) = counts.get_mut(&judgment.created_at.0.date_naive()) {
            *count += 1.0;
        }
    }
    counts.into_iter().map(|(day, count)| Point::new(day.format("%-d %b").to_string(), Some(count))).collect()
}
