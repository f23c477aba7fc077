//! The figures of a campaign as its page shows them: sums over the wished days, their course over time, and what each part brought.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, Months, NaiveDate};
use planning::figure::{Figure, Reason};
use planning::metrics::PairedSums;
use serde::{Deserialize, Serialize};
use storage::performance::summary::{Dimension, SummaryRow};
use web::chart::{self, Series, Shape};

use super::words::{count, money, percent, reason, small_groups};
use crate::analytics::table::Group;

/// Parts shown of a breakdown.
const PARTS: usize = 12;

/// By what the course over time is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Days.
    Day,
    /// Weeks from Monday.
    Week,
    /// Months.
    Month,
}

impl Step {
    /// All, with their words.
    pub const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Day, "day", "Day"), (Self::Week, "week", "Week"), (Self::Month, "month", "Month")];

    /// Fine enough to see something, coarse enough to read.
    #[must_use]
    pub fn for_days(days: i64) -> Self {
        match days {
            ..=62 => Self::Day,
            63..=420 => Self::Week,
            _ => Self::Month,
        }
    }

    /// By what the database groups.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        match self {
            Self::Day => Dimension::Day,
            Self::Week => Dimension::Week,
            Self::Month => Dimension::Month,
        }
    }

    fn start(self, date: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => date,
            Self::Week => date - Days::new(u64::from(date.weekday().num_days_from_monday())),
            Self::Month => date.with_day(1).unwrap_or(date),
        }
    }

    fn after(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => start.succ_opt(),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    fn label(self, start: NaiveDate) -> String {
        let form = if self == Self::Month { "%b %Y" } else { "%-d %b" };
        start.format(form).to_string()
    }
}

/// A figure with its label, and why it is absent.
pub struct Shown {
    /// What it is.
    pub label: &'static str,
    /// The value as people write it; absent when there is none.
    pub value: Option<String>,
    /// What it rests on, or why it is absent.
    pub note: String,
}

/// A period of the course over time, for the table beside the chart.
pub struct Period {
    /// Its first day.
    pub label: String,
    /// Spend.
    pub first: String,
    /// Revenue.
    pub second: String,
}

/// The course over time.
pub struct Course {
    /// Chart for desks.
    pub wide: String,
    /// Chart for telephones.
    pub narrow: String,
    /// Names of the measures drawn.
    pub names: [&'static str; 2],
    /// The figures behind it.
    pub periods: Vec<Period>,
    /// Whether money was measured; else impressions and clicks are drawn.
    pub has_money: bool,
    /// What is said of periods that are hidden.
    pub hidden: Option<String>,
}

/// One part of a breakdown.
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its id.
    pub code: String,
    /// Its bars.
    pub bars: String,
    /// Spend or impressions.
    pub first: String,
    /// Revenue or clicks.
    pub second: String,
    /// Their ratio.
    pub ratio: String,
}

/// What parts brought, the largest first.
#[derive(Default)]
pub struct Breakdown {
    /// The largest.
    pub parts: Vec<Part>,
    /// How many more there are.
    pub more: usize,
    /// What is said of parts that are hidden.
    pub hidden: Option<String>,
    /// Whether there are too many to be shown at once.
    pub is_too_long: bool,
}

type Pair = (Option<i64>, Option<i64>);

/// Says how many of some groups are hidden, and why.
fn say_hidden(groups: &[Group], hidden: usize) -> Option<String> {
    let least = groups.iter().map(|group| group.least).max().unwrap_or_default();
    let number = count(i64::try_from(hidden).unwrap_or(i64::MAX));
    let are = if hidden == 1 { "is" } else { "are" };
    (hidden > 0).then(|| format!("{number} of these {are} not shown: {}.", small_groups(least)))
}

/// What stands in the place of a hidden figure.
fn too_few() -> String {
    reason(Some(Reason::BelowMinimumCellSize)).to_owned()
}

fn plus(sum: Option<i64>, more: Option<i64>) -> Option<i64> {
    match (sum, more) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

/// The headline figures; `None` when nothing at all was measured.
#[must_use]
pub fn headline(total: Option<&Group>, currency: Option<&str>) -> Vec<Shown> {
    let Some(total) = total else { return Vec::new() };
    let mut all = headline_of(&total.row, currency);
    for one in all.iter_mut().filter(|_| total.is_hidden) {
        *one = Shown { label: one.label, value: None, note: too_few() };
    }
    all
}

fn headline_of(total: &SummaryRow, currency: Option<&str>) -> Vec<Shown> {
    let derived = PairedSums::of_pairs(&total.pairs).derive();
    let amount = |label, micros: Option<i64>, note: &str| Shown {
        label,
        value: micros.map(|micros| money(micros, currency)),
        note: if micros.is_some() { note.to_owned() } else { "not measured".to_owned() },
    };
    let whole = |label, value: Option<i64>, note: &str| Shown {
        label,
        value: value.map(count),
        note: if value.is_some() { note.to_owned() } else { "not measured".to_owned() },
    };
    let ratio = |label, figure: Figure<f64>, write: fn(f64) -> String, note: &str| Shown {
        label,
        value: figure.value.map(write),
        note: if figure.value.is_some() { note.to_owned() } else { reason(figure.reason).to_owned() },
    };
    vec![
        amount("Spend", total.spend_micros, "media spend"),
        amount("Revenue", total.revenue_micros, "attributed"),
        ratio("ROAS", derived.roas, |value| format!("{value:.2}"), "revenue / spend of rows with both"),
        whole("Impressions", total.impressions, "as counted by the source"),
        whole("Clicks", total.clicks, "of rows that count them"),
        ratio("Click rate", derived.ctr, percent, "clicks / impressions of rows with both"),
        whole("Conversions", total.conversions, "attributed orders"),
        Shown {
            label: "Cost per conversion",
            value: derived.cpa_micros.value.map(|micros| money(micros, currency)),
            note: if derived.cpa_micros.value.is_some() {
                "spend / conversions".to_owned()
            } else {
                reason(derived.cpa_micros.reason).to_owned()
            },
        },
    ]
}

/// Spend and revenue over time; without any money impressions and clicks. A period of which a part is hidden is hidden.
#[must_use]
pub fn course(groups: &[Group], step: Step, currency: Option<&str>) -> Option<Course> {
    let has_money = groups.iter().any(|group| group.row.spend_micros.is_some() || group.row.revenue_micros.is_some());
    let mut sums: BTreeMap<NaiveDate, Option<Pair>> = BTreeMap::new();
    for group in groups {
        let row = &group.row;
        let Some(date) = row.group.first().and_then(|day| day.parse::<NaiveDate>().ok()) else { continue };
        let (first, second) = if has_money { (row.spend_micros, row.revenue_micros) } else { (row.impressions, row.clicks) };
        let sum = sums.entry(step.start(date)).or_insert(Some((None, None)));
        *sum = sum.filter(|_| !group.is_hidden).map(|sum| (plus(sum.0, first), plus(sum.1, second)));
    }
    let hidden: BTreeSet<NaiveDate> = sums.iter().filter(|(_, sum)| sum.is_none()).map(|(start, _)| *start).collect();
    let (first, last) = (*sums.keys().next()?, *sums.keys().next_back()?);
    let starts: Vec<NaiveDate> =
        std::iter::successors(Some(first), |start| step.after(*start)).take_while(|start| *start <= last).collect();
    let labels: Vec<String> = starts.iter().map(|start| step.label(*start)).collect();
    let scale = if has_money { 1_000_000.0 } else { 1.0 };
    let of = |start: &NaiveDate| sums.get(start).copied().flatten().unwrap_or_default();
    let values = |pick: fn(Pair) -> Option<i64>| starts.iter().map(|start| pick(of(start)).map(|value| value as f64 / scale)).collect();
    let names = if has_money { ["Spend", "Revenue"] } else { ["Impressions", "Clicks"] };
    let series = [Series { name: names[0], values: values(|pair| pair.0) }, Series { name: names[1], values: values(|pair| pair.1) }];
    let title = format!("{} and {} by {}", names[0], names[1].to_lowercase(), step.word());
    let write = |start: &NaiveDate, value: Option<i64>| match value {
        _ if hidden.contains(start) => too_few(),
        None => "not measured".to_owned(),
        Some(value) if has_money => money(value, currency),
        Some(value) => count(value),
    };
    let period = |start: &NaiveDate| Period {
        label: start.format("%-d %b %Y").to_string(),
        first: write(start, of(start).0),
        second: write(start, of(start).1),
    };
    let periods = starts.iter().map(period).collect();
    Some(Course {
        wide: chart::lines(&title, &labels, &series, Shape::WIDE),
        narrow: chart::lines(&title, &labels, &series, Shape::NARROW),
        names,
        periods,
        has_money,
        hidden: say_hidden(groups, hidden.len()),
    })
}

impl Step {
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(_, word, _)| word)
    }
}

/// What each part brought; bars on a common scale, hidden parts last. `name` writes its code for people.
#[must_use]
pub fn breakdown(groups: Option<Vec<Group>>, has_money: bool, currency: Option<&str>, name: impl Fn(&str) -> String) -> Breakdown {
    let Some(mut groups) = groups else { return Breakdown { is_too_long: true, ..Breakdown::default() } };
    let pair = |group: &Group| match (group.is_hidden, has_money) {
        (true, _) => (None, None),
        (_, true) => (group.row.spend_micros, group.row.revenue_micros),
        (_, false) => (group.row.impressions, group.row.clicks),
    };
    let largest = |group: &Group| pair(group).0.max(pair(group).1);
    groups.sort_by_key(|group| (group.is_hidden, std::cmp::Reverse(largest(group))));
    let scale = groups.first().and_then(largest).unwrap_or(0) as f64;
    let write = |group: &Group, value: Option<i64>| match value {
        _ if group.is_hidden => too_few(),
        None => "not measured".to_owned(),
        Some(value) if has_money => money(value, currency),
        Some(value) => count(value),
    };
    let part = |group: &Group| {
        let code = group.row.group.first().cloned().unwrap_or_default();
        let (first, second) = pair(group);
        let derived = PairedSums::of_pairs(&group.row.pairs).derive();
        let ratio = if has_money { derived.roas.value.map(|value| format!("{value:.2}")) } else { derived.ctr.value.map(percent) };
        Part {
            name: if code.is_empty() { "Not stated".to_owned() } else { name(&code) },
            bars: chart::bars(&[first.map(|value| value as f64), second.map(|value| value as f64)], scale),
            first: write(group, first),
            second: write(group, second),
            ratio: ratio.filter(|_| !group.is_hidden).unwrap_or_else(|| "–".to_owned()),
            code,
        }
    };
    let hidden = groups.iter().filter(|group| group.is_hidden).count();
    Breakdown {
        parts: groups.iter().take(PARTS).map(part).collect(),
        more: groups.len().saturating_sub(PARTS),
        hidden: say_hidden(&groups, hidden),
        is_too_long: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::words::words;
    use super::*;

    fn row(day: &str, spend: Option<i64>, revenue: Option<i64>) -> Group {
        let row = SummaryRow {
            group: vec![day.to_owned()],
            currency: Some("USD".to_owned()),
            rows: 1,
            impressions: Some(10),
            spend_micros: spend,
            revenue_micros: revenue,
            ..SummaryRow::default()
        };
        Group { row, attribution: None, least: 0, is_hidden: false, is_rest: false, then: None }
    }

    fn hidden(day: &str, spend: i64) -> Group {
        Group { least: 50, is_hidden: true, ..row(day, Some(spend), None) }
    }

    #[test]
    fn weeks_begin_on_monday_and_a_week_without_rows_is_a_gap() {
        let days =
            [row("2017-03-01", Some(1_000_000), None), row("2017-03-05", Some(2_000_000), Some(9_000_000)), row("2017-03-14", None, None)];
        let course = course(&days, Step::Week, Some("USD")).unwrap();
        let shown: Vec<(&str, &str)> = course.periods.iter().map(|period| (period.label.as_str(), period.first.as_str())).collect();
        assert_eq!(shown, [("27 Feb 2017", "3.00 USD"), ("6 Mar 2017", "not measured"), ("13 Mar 2017", "not measured")]);
        assert!(course.has_money);
    }

    #[test]
    fn without_money_impressions_are_drawn_and_nothing_is_drawn_of_nothing() {
        let without = course(&[row("2017-03-01", None, None)], Step::Day, None).unwrap();
        assert_eq!(without.names, ["Impressions", "Clicks"]);
        assert!(course(&[], Step::Month, None).is_none());
    }

    #[test]
    fn the_largest_part_comes_first_and_an_unnamed_one_says_so() {
        let parts = breakdown(Some(vec![row("", Some(1), None), row("store_front", Some(5), Some(7))]), true, None, words);
        assert_eq!(parts.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["Store front", "Not stated"]);
    }

    #[test]
    fn what_is_hidden_has_no_figure_no_bar_and_no_rank() {
        let parts =
            breakdown(Some(vec![hidden("b", 9_000_000), row("c", Some(1_000_000), None), hidden("a", 8_000_000)]), true, None, words);
        let shown: Vec<(&str, &str)> = parts.parts.iter().map(|part| (part.name.as_str(), part.first.as_str())).collect();
        assert_eq!(shown[0], ("C", "1.00"), "{shown:?}");
        assert!(shown[1..].iter().all(|(_, first)| *first == "too few people to show"), "{shown:?}");
        assert!(parts.hidden.unwrap().starts_with("2 of these are not shown: the retailer wants at least 50 acts"));
        let all = [row("2017-03-06", Some(1_000_000), None), hidden("2017-03-13", 2_000_000), row("2017-03-13", Some(4_000_000), None)];
        let course = course(&all, Step::Week, None).unwrap();
        assert_eq!(course.periods.iter().map(|period| period.first.as_str()).collect::<Vec<_>>(), ["1.00", "too few people to show"]);
        assert!(course.hidden.unwrap().starts_with("1 of these is not shown"));
        let total = headline(Some(&hidden("", 1)), None);
        assert!(total.iter().all(|one| one.value.is_none() && one.note == "too few people to show"));
    }
}
