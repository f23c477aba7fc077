//! Figures, dates and codes as people write them. Absent is never 0: it has words of its own.

use chrono::NaiveDate;
use planning::figure::Reason;
use serde_json::Value;
use storage::types::Timestamp;

/// A count with its thousands apart.
pub fn count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let groups: Vec<String> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    format!("{}{}", if count < 0 { "-" } else { "" }, groups.join(","))
}

/// Money rounded to hundredths, with its currency: `2,500.00 USD`.
pub fn money(micros: i64, currency: Option<&str>) -> String {
    let hundredths = (i128::from(micros) + if micros < 0 { -5_000 } else { 5_000 }) / 10_000;
    let whole = i64::try_from(hundredths / 100).unwrap_or(i64::MAX);
    let sign = if hundredths < 0 && whole == 0 { "-" } else { "" };
    let amount = format!("{sign}{}.{:02}", count(whole), hundredths.unsigned_abs() % 100);
    currency.map_or_else(|| amount.clone(), |currency| format!("{amount} {currency}"))
}

/// A share as `73.1 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `balanced_reach` as `Balanced reach`, `in_store.front` as `In store · front`.
pub fn words(code: &str) -> String {
    let text = code.replace('_', " ").replace('.', " · ");
    sentence(&text)
}

/// A text with a capital letter at its beginning, else as it is.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// A day: `3 Mar 2017`.
pub fn day(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

/// Days from and to; what is not stated says so.
pub fn period(from: Option<NaiveDate>, to: Option<NaiveDate>) -> String {
    match (from, to) {
        (None, None) => "No dates yet".to_owned(),
        (Some(from), None) => format!("{} to no stated end", day(from)),
        (None, Some(to)) => format!("until {}", day(to)),
        (Some(from), Some(to)) => format!("{} – {}", day(from), day(to)),
    }
}

/// An instant: `25 Nov 2026, 03:15 UTC`.
pub fn moment(at: &Timestamp) -> String {
    at.format("%-d %b %Y, %H:%M UTC").to_string()
}

/// Why a figure has no value.
pub fn reason(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::NotMeasured) | None => "not measured",
        Some(Reason::ZeroDenominator) => "nothing to divide by",
        Some(Reason::NoBudget) => "no budget stated",
        Some(Reason::NoDates) => "no dates stated",
        Some(Reason::NotStarted) => "has not begun",
        Some(Reason::InvalidDates) => "ends before it begins",
        Some(Reason::UncertaintyUnknown) => "spread of the estimate unknown",
        Some(Reason::OutOfRange) => "too large to show",
        Some(Reason::NotDeclared) => "the retailer declares no attribution",
        Some(Reason::BelowMinimumCellSize) => "too few people to show",
        Some(Reason::NoSuchGroup) => "not there in the other period",
        Some(Reason::TooFewDays) => "too few days to say",
        Some(Reason::NotAnOptimum) => "this plan is not a best one, so easing a limit has no price",
        Some(Reason::NotGradual) => "this limit does not move by degrees",
    }
}

/// Why groups are not shown where a retailer asks for a least size.
pub fn small_groups(least: i64) -> String {
    format!(
        "the retailer wants at least {} acts of people in every figure, and none from which a smaller one could be computed",
        count(least)
    )
}

/// The same for a reason that was stored as a word.
pub fn stored_reason(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).map_or_else(|| "not known".to_owned(), |word| word.replace('_', " "))
}

/// The colour of a campaign's state.
pub fn tone(status: &str) -> &'static str {
    match status {
        "active" => "badge-good",
        "scheduled" => "badge-note",
        "paused" => "badge-warn",
        _ => "",
    }
}

/// A value of the history in a few words: long lists as their length.
pub fn brief(value: &Value) -> String {
    const MOST: usize = 80;
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.is_empty() => "nothing".to_owned(),
        Value::String(text) => shorten(text, MOST),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Array(list) if list.len() > 4 => format!("{} entries", count(i64::try_from(list.len()).unwrap_or(i64::MAX))),
        Value::Array(list) => shorten(&list.iter().map(brief).collect::<Vec<_>>().join(", "), MOST),
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::Object(fields) => {
            shorten(&fields.iter().map(|(name, value)| format!("{name}: {}", brief(value))).collect::<Vec<_>>().join("; "), MOST)
        }
        other => other.to_string(),
    }
}

fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A value as part of an address.
pub fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn money_is_rounded_and_keeps_its_sign() {
        for (micros, shown) in [
            (0, "0.00"),
            (1_234_567_890_000, "1,234,567.89"),
            (5_000, "0.01"),
            (4_999, "0.00"),
            (-500_000, "-0.50"),
            (-1_500_000, "-1.50"),
            (i64::MAX, "9,223,372,036,854.78"),
        ] {
            assert_eq!(money(micros, None), shown);
        }
        assert_eq!(money(1_000_000, Some("USD")), "1.00 USD");
    }

    #[test]
    fn long_values_of_the_history_are_brief() {
        assert_eq!(brief(&json!(null)), "nothing");
        assert_eq!(brief(&json!(["a", "b"])), "a, b");
        assert_eq!(brief(&json!(vec!["sku"; 4312])), "4,312 entries");
        assert_eq!(brief(&json!("ä".repeat(100))).chars().count(), 81);
    }
}
