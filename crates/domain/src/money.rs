//! Money as whole micro-units and a currency: exact in every database and on every wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Micro-units in one currency unit.
pub const MICROS: i64 = 1_000_000;

/// An amount on the wire: `{"amount":"12.340000","currency":"USD"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Decimal string with up to six digits after the point.
    #[schema(example = "12.340000")]
    pub amount: String,
    /// ISO 4217 code.
    #[schema(example = "USD")]
    pub currency: String,
}

impl Money {
    /// From micro-units; always six digits after the point.
    #[must_use]
    pub fn from_micros(micros: i64, currency: &str) -> Self {
        Self { amount: format_micros(micros), currency: currency.to_owned() }
    }

    /// To micro-units.
    ///
    /// # Errors
    /// [`Invalid`] on `field.amount` or `field.currency`.
    pub fn micros(&self, field: &str) -> Result<i64, Invalid> {
        check_currency(&format!("{field}.currency"), &self.currency)?;
        parse_micros(&format!("{field}.amount"), &self.amount)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// `12.340000` for 12,340,000 micros.
#[must_use]
pub fn format_micros(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let value = micros.unsigned_abs();
    format!("{sign}{}.{:06}", value / MICROS.unsigned_abs(), value % MICROS.unsigned_abs())
}

/// Reads a decimal string exactly, without passing through a binary fraction.
///
/// # Errors
/// [`Invalid`] when it is no decimal number, has more than six digits after the point, or does not fit 64 bits.
pub fn parse_micros(field: &str, text: &str) -> Result<i64, Invalid> {
    let bad = |why: &str| Invalid::one(field, format!("{text:?} {why}; give a decimal number such as \"12.34\""));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !only_digits(whole) || !only_digits(fraction) || (fraction.is_empty() && digits.ends_with('.')) {
        return Err(bad("is not a decimal number"));
    }
    if fraction.len() > 6 {
        return Err(bad("has more than six digits after the point"));
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| bad("is not a decimal number"))?;
    let whole: i64 = whole.parse().map_err(|_| bad("is too large"))?;
    let micros = whole.checked_mul(MICROS).and_then(|v| v.checked_add(fraction)).ok_or_else(|| bad("is too large"))?;
    Ok(if negative { -micros } else { micros })
}

/// Checks the form of an ISO 4217 code: three capital letters.
///
/// # Errors
/// [`Invalid`] naming `field`.
pub fn check_currency(field: &str, currency: &str) -> Result<(), Invalid> {
    if currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Invalid::one(field, format!("{currency:?} is not an ISO 4217 code such as \"USD\"")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            prop_assert_eq!(parse_micros("m", &format_micros(micros)).unwrap(), micros);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_micros("m", &text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_decimal() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "1,5", "1.1234567", "99999999999999999999", "--1", "+1", "NaN"] {
            assert!(parse_micros("budget", text).is_err(), "{text}");
        }
        assert_eq!(parse_micros("budget", "-0.000001").unwrap(), -1);
    }
}
