//! Lists in pages: a bounded limit and an opaque cursor that remembers the last row's sort keys.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{Ready, ready};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::json::{nul, parse_pairs};
use crate::problem::Problem;

/// Rows in a page when the caller names no number.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most rows in a page.
pub const MAX_LIMIT: u32 = 500;
/// Longest cursor looked at, in bytes.
const MAX_CURSOR_BYTES: usize = 2048;

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Rows in the page: 1 to 500.
    #[param(required = false, default = 50, minimum = 1, maximum = 500)]
    pub limit: u32,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, cursor: None }
    }
}

impl Page {
    /// The sort keys of the last row seen, in the type that the list gave to [`Slice::of_rows`].
    ///
    /// # Errors
    /// 422 `invalid_cursor` when it is not one of this list's.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let refuse = || Problem::new("invalid_cursor", "The cursor is not one that this list gave out; begin again without it.");
        let bytes = Some(cursor).filter(|c| c.len() <= MAX_CURSOR_BYTES).and_then(|c| URL_SAFE_NO_PAD.decode(c).ok()).ok_or_else(refuse)?;
        if nul::place_in(&bytes).is_some() {
            return Err(refuse());
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|_| refuse())
    }

    /// One row more than the page holds: ask storage for so many, and [`Slice::of_rows`] knows whether there is a next page.
    #[must_use]
    pub fn limit_and_one(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    fn take_from(pairs: &mut Vec<(String, String)>) -> Result<Self, Problem> {
        let mut page = Self::default();
        let mut seen = Vec::new();
        for (name, value) in pairs.extract_if(.., |(name, _)| matches!(name.as_str(), "limit" | "cursor")) {
            if seen.contains(&name) {
                return Err(Problem::invalid_field(name, "is given twice"));
            }
            match (name.as_str(), value.is_empty()) {
                (_, true) => {}
                ("limit", _) => {
                    page.limit = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=MAX_LIMIT).contains(n))
                        .ok_or_else(|| Problem::invalid_field("limit", format!("must be a whole number from 1 to {MAX_LIMIT}")))?;
                }
                _ => page.cursor = Some(value),
            }
            seen.push(name);
        }
        Ok(page)
    }
}

/// Filter and page of a list: `ListQuery<CampaignFilter>`, whose filter denies unknown fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery<F> {
    /// The parameters other than `limit` and `cursor`.
    pub filter: F,
    /// The page.
    pub page: Page,
}

impl<F: DeserializeOwned + 'static> FromRequest for ListQuery<F> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl<F: DeserializeOwned> ListQuery<F> {
    /// From a query string.
    ///
    /// # Errors
    /// 422 naming the parameter.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let page = Page::take_from(&mut pairs)?;
        Ok(Self { filter: parse_pairs(pairs)?, page })
    }
}

/// A filter that accepts no parameter, for lists without filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Slice<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Cursor of the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Slice<T> {
    /// From up to `page.limit + 1` rows in the list's order; `key` gives the sort keys of a row, which must be unique together.
    #[must_use]
    pub fn of_rows<K: Serialize>(mut rows: Vec<T>, page: &Page, key: impl Fn(&T) -> K) -> Self {
        let limit = page.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).and_then(|last| encode_cursor(&key(last)));
        Self { data: rows, next_cursor }
    }

    /// The same page with each row changed.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Slice<U> {
        Slice { data: self.data.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

/// The cursor of a page that continues after these sort keys, for lists that storage has cut already.
pub(crate) fn cursor_of<K: Serialize>(key: K) -> Option<String> {
    encode_cursor(&key)
}

fn encode_cursor<K: Serialize>(key: &K) -> Option<String> {
    serde_json::to_vec(key).ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}
