//! Audience segments that a retailer offers. Everybody who signs in may read them, since plans of all tenants use them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::audience_segments as t;
use crate::types::{Json, Timestamp};

/// A stored audience segment.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Segment {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, unique within its retailer.
    pub segment_id: String,
    /// Who offers it.
    pub retailer_id: String,
    /// Name.
    pub name: String,
    /// In words.
    pub description: Option<String>,
    /// A word of `domain::catalog::SegmentType`.
    pub segment_type: String,
    /// Who belongs to it.
    pub criteria: Json,
    /// People or households in it.
    pub size_estimate: Option<i64>,
    /// Share of all, 0 to 1.
    pub reach_estimate: Option<f64>,
    /// Cost per thousand impressions in micros of `currency`.
    pub cpm_estimate_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Whether it can be booked.
    pub is_active: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of a segment; the fields are those of [`Segment`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewSegment {
    pub segment_id: String,
    pub retailer_id: String,
    pub name: String,
    pub description: Option<String>,
    pub segment_type: String,
    pub criteria: Json,
    pub size_estimate: Option<i64>,
    pub reach_estimate: Option<f64>,
    pub cpm_estimate_micros: Option<i64>,
    pub currency: Option<String>,
    pub is_active: bool,
}

impl Default for NewSegment {
    fn default() -> Self {
        Self {
            segment_id: String::new(),
            retailer_id: String::new(),
            name: String::new(),
            description: None,
            segment_type: String::new(),
            criteria: Json(json!({})),
            size_estimate: None,
            reach_estimate: None,
            cpm_estimate_micros: None,
            currency: None,
            is_active: true,
        }
    }
}

impl From<Segment> for NewSegment {
    fn from(row: Segment) -> Self {
        Self {
            segment_id: row.segment_id,
            retailer_id: row.retailer_id,
            name: row.name,
            description: row.description,
            segment_type: row.segment_type,
            criteria: row.criteria,
            size_estimate: row.size_estimate,
            reach_estimate: row.reach_estimate,
            cpm_estimate_micros: row.cpm_estimate_micros,
            currency: row.currency,
            is_active: row.is_active,
        }
    }
}

/// Which segments a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentFilter {
    /// Only those of a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a type.
    pub segment_type: Option<String>,
    /// Only (in)active ones.
    pub is_active: Option<bool>,
}

/// Stores a segment.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`); [`StorageError::Invalid`] for an unknown retailer.
pub fn insert(conn: &mut Connection, new: &NewSegment, now: DateTime<Utc>) -> Result<Segment, StorageError> {
    insert_many(conn, std::slice::from_ref(new), now)
        .on_unique("already_exists", || format!("audience segment {:?} of retailer {:?} exists already", new.segment_id, new.retailer_id))
        .on_missing_reference("retailer_id", || "there is no such retailer".to_owned())?;
    find(conn, Some(&new.retailer_id), &new.segment_id)
}

/// Stores several segments in one statement.
///
/// # Errors
/// As any query; a unique violation when one exists already.
pub fn insert_many(conn: &mut Connection, new: &[NewSegment], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = new.iter().map(|one| (one, t::created_at.eq(now), t::updated_at.eq(now))).collect();
    Ok(on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?)
}

/// One segment; `retailer_id` is needed only when several retailers use the same id.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] when several retailers have this id.
pub fn find(conn: &mut Connection, retailer_id: Option<&str>, segment_id: &str) -> Result<Segment, StorageError> {
    let mut rows: Vec<Segment> = on!(conn, c => {
        let mut query = t::table.filter(t::segment_id.eq(segment_id)).select(Segment::as_select()).order(t::id).limit(2).into_boxed();
        if let Some(retailer_id) = retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        query.load(c)
    })?;
    if rows.len() > 1 {
        let why = format!("several retailers have an audience segment {segment_id:?}; add ?retailer_id=");
        return Err(StorageError::conflict("conflict", why));
    }
    rows.pop().ok_or_else(|| StorageError::not_found("audience segment", segment_id))
}

/// Those of these segments of a retailer that exist.
///
/// # Errors
/// As any query.
pub fn find_many(conn: &mut Connection, retailer_id: &str, segment_ids: &[&str]) -> Result<Vec<Segment>, StorageError> {
    let query = t::retailer_id.eq(retailer_id).and(t::segment_id.eq_any(segment_ids));
    Ok(on!(conn, c => t::table.filter(query).select(Segment::as_select()).load(c))?)
}

/// Segments, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, filter: &SegmentFilter, page: &Page) -> Result<Slice<Segment>, StorageError> {
    let rows: Vec<Segment> = on!(conn, c => {
        let mut query = t::table.select(Segment::as_select()).order(t::id).limit(page.fetch()).into_boxed();
        if let Some(retailer_id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        if let Some(segment_type) = &filter.segment_type {
            query = query.filter(t::segment_type.eq(segment_type));
        }
        if let Some(is_active) = filter.is_active {
            query = query.filter(t::is_active.eq(is_active));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.gt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Replaces what is stored of a segment; ids and retailer stay.
///
/// # Errors
/// As any query.
pub fn update(conn: &mut Connection, row: &Segment, new: &NewSegment, now: DateTime<Utc>) -> Result<Segment, StorageError> {
    let kept = NewSegment { segment_id: row.segment_id.clone(), retailer_id: row.retailer_id.clone(), ..new.clone() };
    replace(conn, row.id, &kept, now)?;
    find(conn, Some(&row.retailer_id), &row.segment_id)
}

/// Replaces a row by primary key.
///
/// # Errors
/// As any query.
pub fn replace(conn: &mut Connection, id: i64, new: &NewSegment, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.find(id)).set((new, t::updated_at.eq(Timestamp(now)))).execute(c))?;
    Ok(())
}
