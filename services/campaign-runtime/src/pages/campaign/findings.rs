//! Unusual days and faulty data of a campaign, each with the reason why it is listed.

use chrono::NaiveDate;
use serde_json::Value;

use crate::pages::words::{count, day, money, sentence, words};

/// Most findings shown.
const MOST: usize = 12;

/// One of them.
pub(super) struct Finding {
    pub day: String,
    pub what: String,
    pub why: String,
    pub is_fault: bool,
}

/// What was found, the latest first.
#[derive(Default)]
pub(super) struct Findings {
    pub all: Vec<Finding>,
    /// How many more there are.
    pub more: usize,
    /// What was searched, in a sentence.
    pub rule: String,
}

impl Findings {
    /// From the answer of the analytics; `named` writes ids for people.
    pub(super) fn of(found: Option<&Value>, named: &dyn Fn(&str) -> String, currency: Option<&str>) -> Self {
        let Some(found) = found else {
            return Self { rule: "There are too many days to be searched at once; choose fewer above.".to_owned(), ..Self::default() };
        };
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut all: Vec<(NaiveDate, Finding)> = Vec::new();
        let mut judged = 0;
        for series in list(found.get("series")) {
            judged += series.get("judged").and_then(Value::as_u64).unwrap_or(0);
            all.extend(list(series.get("flags")).iter().filter_map(|flag| unusual(&series, flag)));
        }
        all.extend(list(found.get("faults")).iter().filter_map(|fault| faulty(fault, named, currency)));
        all.sort_by_key(|(day, _)| std::cmp::Reverse(*day));
        let missing = list(found.get("missing_days"));
        if let (Some(first), Some(n)) = (missing.first().and_then(date), found.get("missing_days_count").and_then(Value::as_i64)) {
            let what = if n == 1 { "No row".to_owned() } else { format!("{} days without any row", count(n)) };
            let days: Vec<String> = missing.iter().take(3).filter_map(date).map(day).collect();
            let end = if n > 3 { " and others" } else { "" };
            let why = format!("{}{end}: between the first and the last day with rows; absent is not 0", days.join(", "));
            all.push((first, Finding { day: day(first), what, why, is_fault: true }));
        }
        let rule = if judged == 0 {
            "No day was judged: a day is compared with the 28 days before it, and at least 8 of them must have a figure.".to_owned()
        } else {
            "A day is unusual when it lies 3.5 robust standard deviations or more from what the 28 days before let expect, weekdays taken \
             into account."
                .to_owned()
        };
        let more = all.len().saturating_sub(MOST);
        Self { all: all.into_iter().take(MOST).map(|(_, finding)| finding).collect(), more, rule }
    }
}

fn date(value: &Value) -> Option<NaiveDate> {
    value.as_str()?.parse().ok()
}

fn unusual(series: &Value, flag: &Value) -> Option<(NaiveDate, Finding)> {
    let on = flag.get("date").and_then(date)?;
    let measure = words(series.get("measure")?.as_str()?);
    let currency = series.get("currency").and_then(Value::as_str);
    let number = |name: &str| flag.get(name).and_then(Value::as_f64);
    let write = |value: f64| match currency {
        Some(_) => money(micros(value), currency),
        None => count(rounded(value)),
    };
    let (actual, expected, n) = (number("actual")?, number("expected")?, flag.get("n")?.as_u64()?);
    let direction = if flag.get("direction").and_then(Value::as_str) == Some("high") { "more" } else { "less" };
    let level = if flag.get("is_weekday_adjusted").and_then(Value::as_bool) == Some(true) { ", at the level of this weekday" } else { "" };
    let distance = number("score").map_or_else(String::new, |score| format!("; {:.1} robust standard deviations away", score.abs()));
    let why = format!("{} is {direction} than the {} expected from {n} days before{level}{distance}", write(actual), write(expected));
    Some((
        on,
        Finding {
            day: day(on),
            what: format!("{measure}: unusually {}", if direction == "more" { "high" } else { "low" }),
            why,
            is_fault: false,
        },
    ))
}

fn faulty(fault: &Value, named: &dyn Fn(&str) -> String, currency: Option<&str>) -> Option<(NaiveDate, Finding)> {
    let on = fault.get("date").and_then(date)?;
    let text = |name: &str| fault.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let whole = |name: &str| fault.get(name).and_then(Value::as_i64);
    let mut figures: Vec<String> =
        ["impressions", "clicks", "conversions"].iter().filter_map(|name| Some(format!("{} {name}", count(whole(name)?)))).collect();
    figures.extend(whole("spend_micros").map(|micros| format!("{} spend", money(micros, currency))));
    let place: Vec<String> = text("placement_type").map(words).into_iter().chain(text("sku_id").map(named)).collect();
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    let what = sentence(text("why").unwrap_or("cannot be right"));
    Some((on, Finding { day: day(on), what, why: format!("{}{place}", figures.join(", ")), is_fault: true }))
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits saturates, and so many events do not exist")]
fn rounded(value: f64) -> i64 {
    value.round() as i64
}

fn micros(units: f64) -> i64 {
    rounded(units * 1e6)
}
