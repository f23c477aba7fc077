//! The figures of a campaign as its page shows them: sums over the wished days, their course over time, and what each part brought.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate};
use planning::figure::Figure;
use planning::metrics::PairedSums;
use serde::{Deserialize, Serialize};
use storage::performance::summary::SummaryRow;
use web::chart::{self, Series, Shape};

use super::words::{count, money, percent, reason};

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
}

type Pair = (Option<i64>, Option<i64>);

fn plus(sum: Option<i64>, more: Option<i64>) -> Option<i64> {
    match (sum, more) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

/// Those rows whose money is in this currency or has none.
#[must_use]
pub fn in_currency(rows: Vec<SummaryRow>, currency: Option<&str>) -> Vec<SummaryRow> {
    rows.into_iter().filter(|row| row.currency.is_none() || row.currency.as_deref() == currency).collect()
}

/// The headline figures; `None` when nothing at all was measured.
#[must_use]
pub fn headline(total: Option<&SummaryRow>, currency: Option<&str>) -> Vec<Shown> {
    let Some(total) = total else { return Vec::new() };
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

/// Spend and revenue over time; without any money impressions and clicks.
#[must_use]
pub fn course(days: &[SummaryRow], step: Step, currency: Option<&str>) -> Option<Course> {
    let has_money = days.iter().any(|row| row.spend_micros.is_some() || row.revenue_micros.is_some());
    let mut sums: BTreeMap<NaiveDate, Pair> = BTreeMap::new();
    for row in days {
        let Some(date) = row.group.first().and_then(|day| day.parse::<NaiveDate>().ok()) else { continue };
        let (first, second) = if has_money { (row.spend_micros, row.revenue_micros) } else { (row.impressions, row.clicks) };
        let sum = sums.entry(step.start(date)).or_default();
        *sum = (plus(sum.0, first), plus(sum.1, second));
    }
    let (first, last) = (*sums.keys().next()?, *sums.keys().next_back()?);
    let starts: Vec<NaiveDate> =
        std::iter::successors(Some(first), |start| step.after(*start)).take_while(|start| *start <= last).collect();
    let labels: Vec<String> = starts.iter().map(|start| step.label(*start)).collect();
    let scale = if has_money { 1_000_000.0 } else { 1.0 };
    let of = |start: &NaiveDate| sums.get(start).copied().unwrap_or_default();
    let values = |pick: fn(Pair) -> Option<i64>| starts.iter().map(|start| pick(of(start)).map(|value| value as f64 / scale)).collect();
    let names = if has_money { ["Spend", "Revenue"] } else { ["Impressions", "Clicks"] };
    let series = [Series { name: names[0], values: values(|pair| pair.0) }, Series { name: names[1], values: values(|pair| pair.1) }];
    let title = format!("{} and {} by {}", names[0], names[1].to_lowercase(), step.word());
    let write = |value: Option<i64>| match value {
        None => "not measured".to_owned(),
        Some(value) if has_money => money(value, currency),
        Some(value) => count(value),
    };
    let periods = starts
        .iter()
        .map(|start| Period { label: start.format("%-d %b %Y").to_string(), first: write(of(start).0), second: write(of(start).1) })
        .collect();
    Some(Course {
        wide: chart::lines(&title, &labels, &series, Shape::WIDE),
        narrow: chart::lines(&title, &labels, &series, Shape::NARROW),
        names,
        periods,
        has_money,
    })
}

impl Step {
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(_, word, _)| word)
    }
}

/// What each part brought; bars on a common scale. `name` writes its code for people.
#[must_use]
pub fn breakdown(mut rows: Vec<SummaryRow>, has_money: bool, currency: Option<&str>, name: impl Fn(&str) -> String) -> Breakdown {
    let pair = |row: &SummaryRow| if has_money { (row.spend_micros, row.revenue_micros) } else { (row.impressions, row.clicks) };
    let largest = |row: &SummaryRow| pair(row).0.max(pair(row).1);
    rows.sort_by_key(|row| std::cmp::Reverse(largest(row)));
    let scale = rows.first().and_then(largest).unwrap_or(0) as f64;
    let write = |value: Option<i64>| match value {
        None => "not measured".to_owned(),
        Some(value) if has_money => money(value, currency),
        Some(value) => count(value),
    };
    let part = |row: &SummaryRow| {
        let code = row.group.first().cloned().unwrap_or_default();
        let (first, second) = pair(row);
        let derived = PairedSums::of_pairs(&row.pairs).derive();
        let ratio = if has_money { derived.roas.value.map(|value| format!("{value:.2}")) } else { derived.ctr.value.map(percent) };
        Part {
            name: if code.is_empty() { "Not stated".to_owned() } else { name(&code) },
            bars: chart::bars(&[first.map(|value| value as f64), second.map(|value| value as f64)], scale),
            first: write(first),
            second: write(second),
            ratio: ratio.unwrap_or_else(|| "–".to_owned()),
            code,
        }
    };
    Breakdown { parts: rows.iter().take(PARTS).map(part).collect(), more: rows.len().saturating_sub(PARTS) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::words::words;
    use super::*;

    fn row(day: &str, spend: Option<i64>, revenue: Option<i64>) -> SummaryRow {
        SummaryRow {
            group: vec![day.to_owned()],
            retailer: None,
            currency: Some("USD".to_owned()),
            rows: 1,
            impressions: Some(10),
            clicks: None,
            conversions: None,
            spend_micros: spend,
            revenue_micros: revenue,
            units_sold: None,
            new_to_brand_conversions: None,
            pairs: [(None, None); 11],
        }
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
        let parts = breakdown(vec![row("", Some(1), None), row("store_front", Some(5), Some(7))], true, None, words);
        assert_eq!(parts.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["Store front", "Not stated"]);
    }
}
