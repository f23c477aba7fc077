//! How a retailer attributes orders to ads: figures of two retailers can only be compared when these agree.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// What an order must follow to be attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A click.
    Click,
    /// An impression.
    View,
    /// Either.
    ClickAndView,
}

/// Which products' orders are attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The advertised product.
    SameSku,
    /// Products of the brand (halo).
    Brand,
    /// Products of the category.
    Category,
}

/// What revenue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sales {
    /// Before returns, discounts and taxes are taken off.
    Gross,
    /// After.
    Net,
}

/// A retailer's declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// Days after the click (or view, where only views count) within which an order is attributed.
    pub window_days: u16,
    /// Days after a view, where clicks and views count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_window_days: Option<u16>,
    /// What an order must follow.
    pub basis: Basis,
    /// Which products' orders count.
    pub scope: Reach,
    /// Gross or net sales.
    pub sales: Sales,
}

impl Attribution {
    /// Reads a declaration.
    ///
    /// # Errors
    /// [`Invalid`] on `attribution` with what is wrong.
    pub fn read(value: &serde_json::Value) -> Result<Self, Invalid> {
        let read: Self = serde_json::from_value(value.clone()).map_err(|error| Invalid::one("attribution", error.to_string()))?;
        let is_days = |days: u16| (1..=365).contains(&days);
        if !is_days(read.window_days) {
            return Err(Invalid::one("attribution.window_days", "must be 1 to 365"));
        }
        if read.view_window_days.is_some_and(|days| !is_days(days)) {
            return Err(Invalid::one("attribution.view_window_days", "must be 1 to 365"));
        }
        if read.view_window_days.is_some() && read.basis != Basis::ClickAndView {
            return Err(Invalid::one("attribution.view_window_days", "is only for the basis click_and_view"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_declaration_is_whole_and_in_range() {
        let whole = json!({"window_days": 14, "basis": "click", "scope": "brand", "sales": "gross"});
        assert_eq!(serde_json::to_value(Attribution::read(&whole).unwrap()).unwrap(), whole);
        for (field, value) in [("window_days", json!(0)), ("basis", json!("tap")), ("view_window_days", json!(1)), ("extra", json!(1))] {
            let mut wrong = whole.clone();
            wrong[field] = value;
            assert!(Attribution::read(&wrong).unwrap_err().fields[0].field.starts_with("attribution"), "{field}");
        }
    }
}
