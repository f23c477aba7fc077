//! One cell of a row, read as what its column holds.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::columns::Kind;

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    /// The row does not have the column.
    Missing,
    /// Nothing: null.
    Empty,
    /// A text that is not blank.
    Text(&'a str),
    /// A number, boolean, list or object.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    /// A text, or nothing when it is blank.
    pub(super) fn of_text(text: &'a str) -> Self {
        match text.trim() {
            "" => Self::Empty,
            _ => Self::Text(text),
        }
    }

    /// About how much memory a row keeps of it.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Missing | Self::Empty => 1,
            Self::Text(text) => text.len() as u64,
            Self::Json(Value::Array(_) | Value::Object(_)) => 512,
            Self::Json(_) => 8,
        }
    }

    /// The text of a scalar; `None` for nothing.
    pub(super) fn text(&self) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Missing | Self::Empty => Ok(None),
            Self::Text(text) => Ok(Some(Cow::Borrowed(text.trim()))),
            Self::Json(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Self::Json(_) => Err("must be a text or a number".to_owned()),
        }
    }

    /// A text of at most so many characters.
    pub(super) fn short_text(&self, most: usize) -> Result<Option<Cow<'a, str>>, String> {
        match self.text()? {
            Some(text) if text.len() > most && text.chars().count() > most => Err(format!("must be at most {most} characters")),
            Some(text) if text.contains('\0') => Err("must not hold a zero character".to_owned()),
            other => Ok(other),
        }
    }

    /// A public identifier.
    pub(super) fn id(&self, field: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        domain::id::check(field, &text).map_err(first_message)?;
        Ok(Some(text))
    }

    /// A count: a whole number of 0 or more; `3.0` is 3.
    pub(super) fn count(&self) -> Result<Option<i64>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        let whole = text.split_once('.').map_or(&*text, |(whole, rest)| if rest.bytes().all(|b| b == b'0') { whole } else { "" });
        match whole.parse::<i64>() {
            Ok(count) if count >= 0 => Ok(Some(count)),
            _ => Err(format!("{text:?} is not a whole number of 0 or more")),
        }
    }

    /// Money: a decimal with up to six digits after the point, in micros, exact.
    pub(super) fn money(&self, field: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        domain::money::parse_micros(field, &text).map(Some).map_err(first_message)
    }

    /// A day.
    pub(super) fn date(&self) -> Result<Option<NaiveDate>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        if let Some(date) = plain_date(text.as_bytes()) {
            return Ok(Some(date));
        }
        NaiveDate::parse_from_str(&text, "%Y-%m-%d").map(Some).map_err(|_| {
            let is_instant = text.get(..10).is_some_and(|day| plain_date(day.as_bytes()).is_some()) && text[10..].contains(':');
            let hint = if is_instant { "; it has a time of day: write the day alone (in Parquet a date, or midnight UTC)" } else { "" };
            format!("{text:?} is not a date such as 2026-01-31{hint}")
        })
    }

    /// The JSON value for a column of this kind; `Null` for nothing.
    pub(super) fn convert(&self, field: &str, kind: Kind) -> Result<Value, String> {
        Ok(match kind {
            Kind::Id => json!(self.id(field)?),
            Kind::Text(most) => json!(self.short_text(most)?),
            Kind::Word(words) => json!(self.word(words)?),
            Kind::Currency => json!(self.currency(field)?),
            Kind::Money => json!(self.money(field)?),
            Kind::Count => json!(self.count()?),
            Kind::Number => json!(self.number()?),
            Kind::Flag => json!(self.flag()?),
            Kind::Date => json!(self.date()?),
            Kind::Object => self.document(field, Value::is_object, "a JSON object")?,
            Kind::List => self.document(field, Value::is_array, "a JSON list")?,
            Kind::ListOfOne => self.id(field)?.map_or(Value::Null, |id| json!([id])),
        })
    }

    /// The value for `attributes`: what looks like a number or a truth value becomes one.
    pub(super) fn attribute(&self) -> Value {
        match self {
            Self::Missing | Self::Empty => Value::Null,
            Self::Json(value) => (*value).clone(),
            Self::Text(text) => match *text {
                "True" | "true" => Value::Bool(true),
                "False" | "false" => Value::Bool(false),
                text => plain_number(text).unwrap_or_else(|| json!(text)),
            },
        }
    }

    fn word(&self, words: &[&str]) -> Result<Option<Cow<'a, str>>, String> {
        match self.text()?.map(|text| our_word(&text).map_or(text, Cow::Borrowed)) {
            Some(text) if !words.contains(&&*text) => Err(format!("{text:?} is not one of {}", words.join(", "))),
            other => Ok(other),
        }
    }

    pub(super) fn currency(&self, field: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        domain::money::check_currency(field, &text).map_err(first_message)?;
        Ok(Some(text))
    }

    fn number(&self) -> Result<Option<f64>, String> {
        let Some(text) = self.text()? else { return Ok(None) };
        text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Some).ok_or_else(|| format!("{text:?} is not a number"))
    }

    fn flag(&self) -> Result<Option<bool>, String> {
        match self {
            Self::Missing | Self::Empty => Ok(None),
            Self::Json(Value::Bool(flag)) => Ok(Some(*flag)),
            other => match other.text()?.as_deref() {
                Some("True" | "true" | "TRUE" | "1" | "yes") => Ok(Some(true)),
                Some("False" | "false" | "FALSE" | "0" | "no") => Ok(Some(false)),
                _ => Err("is neither true nor false".to_owned()),
            },
        }
    }

    fn document(&self, field: &str, is_right: fn(&Value) -> bool, wanted: &str) -> Result<Value, String> {
        let value = match self {
            Self::Missing | Self::Empty => return Ok(Value::Null),
            Self::Json(value) => (*value).clone(),
            Self::Text(text) => serde_json::from_str(text).map_err(|error| format!("{field} is not JSON: {error}"))?,
        };
        if is_right(&value) { Ok(value) } else { Err(format!("must be {wanted}")) }
    }
}

/// A day written as ten characters, without the general parser.
fn plain_date(text: &[u8]) -> Option<NaiveDate> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let year = digit(y1)? * 1000 + digit(y2)? * 100 + digit(y3)? * 10 + digit(y4)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digit(m1)? * 10 + digit(m2)?, digit(d1)? * 10 + digit(d2)?)
}

/// A number written the plain way; `007`, `1e3` and numbers that lose digits stay texts.
fn plain_number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return (whole.to_string() == text).then(|| json!(whole));
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    (text.contains('.') && number.to_string() == text.trim_end_matches('0').trim_end_matches('.')).then(|| json!(number))
}

/// What is wrong, of something that is checked by itself.
pub(super) fn first_message(invalid: domain::invalid::Invalid) -> String {
    invalid.fields.into_iter().next().map_or_else(String::new, |field| field.message)
}

/// Our word for one of the sample bundle's. Its mailing lists are households chosen by what they had done, which we call behavioral.
fn our_word(word: &str) -> Option<&'static str> {
    (word == "mailing_list").then_some("behavioral")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(text)
    }

    #[test]
    fn nothing_is_null_and_never_zero() {
        for kind in [Kind::Count, Kind::Money, Kind::Number, Kind::Flag, Kind::Date, Kind::Object, Kind::Id] {
            assert_eq!(Cell::Empty.convert("f", kind).unwrap(), Value::Null);
        }
    }

    #[test]
    fn money_is_exact_and_counts_are_whole() {
        assert_eq!(text("0.1").money("spend").unwrap(), Some(100_000));
        assert_eq!(text("13.0").count().unwrap(), Some(13));
        for wrong in ["13.5", "-1", "many", "1e3"] {
            assert!(text(wrong).count().is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_keep_what_is_no_number() {
        assert_eq!(text("197927.59").attribute(), json!(197_927.59));
        assert_eq!(text("0.50").attribute(), json!(0.5));
        assert_eq!(text("007").attribute(), json!("007"));
        assert_eq!(text("True").attribute(), json!(true));
    }
}
