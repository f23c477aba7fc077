//! What writes of all resources share: money as people send it, changes laid over what is stored, and checks of texts.

use std::fmt;

use domain::invalid::Invalid;
use domain::money::{self, Money};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use web::problem::Problem;

/// Money in a request: `{"amount":"12.34","currency":"USD"}`, or a decimal string in the currency stated beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum MoneyInput {
    /// With its currency.
    Full(Money),
    /// Without.
    Amount(String),
}

impl<'de> Deserialize<'de> for MoneyInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = MoneyInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal in quotes such as \"12.34\" (a number would not be exact), or {\"amount\": \"12.34\", \"currency\": \"USD\"}")
            }

            fn visit_str<E: de::Error>(self, amount: &str) -> Result<MoneyInput, E> {
                Ok(MoneyInput::Amount(amount.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MoneyInput, A::Error> {
                Money::deserialize(MapAccessDeserializer::new(map)).map(MoneyInput::Full)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl MoneyInput {
    /// Micros, and the currency when it was given.
    ///
    /// # Errors
    /// [`Invalid`] on `field`.
    pub fn read(&self, field: &str) -> Result<(i64, Option<String>), Invalid> {
        match self {
            Self::Full(money) => Ok((money.micros(field)?, Some(money.currency.clone()))),
            Self::Amount(amount) => Ok((money::parse_micros(field, amount)?, None)),
        }
    }
}

/// Reads several amounts that must share one currency: `stated`, or that of the first amount which has one.
///
/// # Errors
/// [`Invalid`] on an amount that is wrong or in another currency, or on `currency` when there is money and no currency.
pub fn read_money<const N: usize>(
    stated: Option<&str>,
    amounts: [(&str, Option<&MoneyInput>); N],
) -> Result<([Option<i64>; N], Option<String>), Invalid> {
    let mut invalid = Invalid::default();
    let mut currency = stated.map(str::to_owned);
    if let Some(stated) = stated {
        invalid.merge(money::check_currency("currency", stated));
    }
    let mut micros = [None; N];
    for ((field, amount), slot) in amounts.into_iter().zip(&mut micros) {
        let Some((value, own)) = amount.and_then(|amount| invalid.merge(amount.read(field))) else { continue };
        *slot = Some(value);
        match (&currency, own) {
            (Some(known), Some(own)) if *known != own => invalid.add(field, format!("is in {own} where the rest is in {known}")),
            (None, Some(own)) => currency = Some(own),
            _ => {}
        }
    }
    if currency.is_none() && micros.iter().any(Option::is_some) && invalid.fields.is_empty() {
        invalid.add("currency", "is required beside an amount without one, for example \"USD\"");
    }
    invalid.into_result()?;
    Ok((micros, currency))
}

/// A change laid over what is stored: fields that are named take the new value, `null` clears those that may be empty.
///
/// # Errors
/// 422 for an unknown field, one of the wrong type, or one of `fixed` with another value.
pub fn lay_over<T: Serialize + DeserializeOwned>(stored: &T, change: Map<String, Value>, fixed: &[&str]) -> Result<T, Problem> {
    let Value::Object(mut fields) = serde_json::to_value(stored).map_err(Problem::internal)? else {
        return Err(Problem::internal("what is stored is not an object"));
    };
    for name in fixed {
        if let Some(new) = change.get(*name)
            && fields.get(*name).is_some_and(|old| old != new)
        {
            return Err(Problem::invalid_field(*name, "cannot be changed; leave it out"));
        }
    }
    fields.extend(change);
    let bytes = serde_json::to_vec(&fields).map_err(Problem::internal)?;
    web::json::parse_json(&bytes)
}

/// Checks a text: not blank, short enough for its column, and free of NUL.
pub fn check_text(invalid: &mut Invalid, field: &str, text: &str, most: usize) {
    if text.chars().all(is_unseen) {
        invalid.add(field, "must not be empty");
    } else if text.chars().count() > most {
        invalid.add(field, format!("must be at most {most} characters"));
    } else if text.contains('\0') {
        // PostgreSQL cannot store it.
        invalid.add(field, "must not hold the character NUL");
    }
}

/// Whether a character leaves no mark: white space, and the format characters that word processors put between words.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Checks optional texts.
pub fn check_texts(invalid: &mut Invalid, texts: &[(&str, Option<&String>, usize)]) {
    for (field, text, most) in texts {
        if let Some(text) = text {
            check_text(invalid, field, text, *most);
        }
    }
}

/// Takes a public id from the caller, or makes one. `taken` are the words that stand in the place of an id in our own addresses.
pub fn id_beside(invalid: &mut Invalid, field: &str, given: Option<String>, prefix: &str, taken: &[&str]) -> String {
    if given.as_deref().is_some_and(|id| taken.contains(&id)) {
        invalid.add(field, "is a word of our own addresses; choose another id");
    }
    id_or_new(invalid, field, given, prefix)
}

/// Takes a public id from the caller, or makes one.
pub fn id_or_new(invalid: &mut Invalid, field: &str, given: Option<String>, prefix: &str) -> String {
    match given {
        Some(id) => {
            invalid.merge(domain::id::check(field, &id));
            id
        }
        None => domain::id::new(prefix),
    }
}

/// Puts `{name: money}` in the place of the micros of a row.
pub fn show_money(row: &mut Value, micros_name: &str, name: &str, currency: Option<&str>) {
    if let Value::Object(fields) = row {
        let micros = fields.remove(micros_name).and_then(|value| value.as_i64());
        fields.insert(name.to_owned(), money_or_null(micros, currency));
    }
}

/// Money as JSON, or null; an amount whose currency is not known stays a bare amount.
#[must_use]
pub fn money_or_null(micros: Option<i64>, currency: Option<&str>) -> Value {
    match (micros, currency) {
        (Some(micros), Some(currency)) => json!(Money::from_micros(micros, currency)),
        (Some(micros), None) => json!({"amount": money::format_micros(micros), "currency": null}),
        (None, _) => Value::Null,
    }
}
