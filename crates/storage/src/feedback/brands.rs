//! Brands with how much feedback each has, for the page on which people choose what to judge.

use std::collections::BTreeMap;

use diesel::dsl::{max, sum};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use super::counters::EVER;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::matching::{contains, lower};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::{brands as b, feedback as t, feedback_counters as n};
use crate::types::Timestamp;

/// A brand and its feedback.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BrandWithFeedback {
    /// Primary key of the brand.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub brand_id: String,
    /// Name.
    pub name: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The retailer that named it.
    pub retailer_id: Option<String>,
    /// How much feedback there is.
    pub feedback: i64,
    /// When the last feedback came.
    pub last_feedback_at: Option<Timestamp>,
}

type BrandRow = (i64, String, String, String, Option<String>);

/// Active brands of this scope whose name or id holds `search` (letter case does not matter), in order of entry.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, search: Option<&str>, page: &Page) -> Result<Slice<BrandWithFeedback>, StorageError> {
    let pattern = search.map(str::trim).filter(|text| !text.is_empty()).map(contains);
    let rows: Vec<BrandRow> = on!(conn, c => {
        let mut query = b::table
            .select((b::id, b::brand_id, b::name, b::tenant_id, b::retailer_id))
            .filter(b::is_active.eq(true))
            .order(b::id)
            .limit(page.fetch())
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(b::tenant_id.eq(tenant));
        }
        if let Some(pattern) = &pattern {
            query = query.filter(lower(b::name).like(pattern).escape('!').or(lower(b::brand_id).like(pattern).escape('!')));
        }
        if let Some(after) = page.after {
            query = query.filter(b::id.gt(after));
        }
        query.load(c)
    })?;
    let slice = Slice::cut(rows, page, |row| row.0);
    let ids: Vec<&str> = slice.rows.iter().map(|row| row.1.as_str()).collect();
    let counted = count_feedback(conn, &ids)?;
    Ok(slice.map(|(id, brand_id, name, tenant_id, retailer_id)| {
        let (feedback, last_feedback_at) = counted.get(&brand_id).copied().unwrap_or((0, None));
        BrandWithFeedback { id, brand_id, name, tenant_id, retailer_id, feedback, last_feedback_at }
    }))
}

/// One brand of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<BrandWithFeedback, StorageError> {
    let row: Option<BrandRow> = on!(conn, c => b::table
        .filter(b::brand_id.eq(brand_id))
        .select((b::id, b::brand_id, b::name, b::tenant_id, b::retailer_id))
        .first(c)
        .optional())?;
    let (id, brand_id, name, tenant_id, retailer_id) =
        row.filter(|row| scope.may_see(Some(&row.3))).ok_or_else(|| StorageError::not_found("brand", brand_id))?;
    let (feedback, last_feedback_at) = count_feedback(conn, &[&brand_id])?.get(&brand_id).copied().unwrap_or((0, None));
    Ok(BrandWithFeedback { id, brand_id, name, tenant_id, retailer_id, feedback, last_feedback_at })
}

/// From the counters, so that a brand with a million pieces costs no more than one with ten; the newest by the end of the index.
fn count_feedback(conn: &mut Connection, brand_ids: &[&str]) -> Result<BTreeMap<String, (i64, Option<Timestamp>)>, StorageError> {
    if brand_ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let counts: Vec<(String, Option<i64>)> = on!(conn, c => n::table
        .filter(n::brand_id.eq_any(brand_ids).and(n::day.eq(EVER)))
        .group_by(n::brand_id)
        .select((n::brand_id, sum(n::n)))
        .load(c))?;
    let newest: Vec<(String, Option<i64>)> = on!(conn, c => b::table
        .filter(b::brand_id.eq_any(brand_ids))
        .select((b::brand_id, t::table.filter(t::brand_id.eq(b::brand_id.nullable())).select(max(t::id)).single_value()))
        .load(c))?;
    let newest: BTreeMap<String, i64> = newest.into_iter().filter_map(|(brand, id)| Some((brand, id?))).collect();
    let ids: Vec<i64> = newest.values().copied().collect();
    let times: BTreeMap<i64, Timestamp> =
        on!(conn, c => t::table.filter(t::id.eq_any(&ids)).select((t::id, t::created_at)).load::<(i64, Timestamp)>(c))?
            .into_iter()
            .collect();
    let of = |(brand, count): (String, Option<i64>)| {
        let last = newest.get(&brand).and_then(|id| times.get(id)).copied();
        (brand, (count.unwrap_or(0), last))
    };
    Ok(counts.into_iter().map(of).collect())
}
