//! Retailers: they sell placements. Everybody who signs in may read them; the platform writes them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::retailers as t;
use crate::types::{Json, Timestamp};

/// A stored retailer. The encrypted API key of its endpoint is never read here.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Retailer {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub retailer_id: String,
    /// Name.
    pub name: String,
    /// Version of the retailer's data schema.
    pub schema_version: String,
    /// How the retailer's fields map to the canonical schema.
    pub mapping_config: Json,
    /// Address of the retailer's API.
    pub api_endpoint: Option<String>,
    /// Address of the retailer's clean room.
    pub clean_room_endpoint: Option<String>,
    /// Disallowed terms, required disclaimers, length limits, smallest cell.
    pub policies: Json,
    /// What creatives must look like.
    pub creative_specs: Json,
    /// ISO 3166 code.
    pub country: Option<String>,
    /// ISO 4217 code of the retailer's money.
    pub currency: Option<String>,
    /// IANA name of the store day's time zone.
    pub timezone: String,
    /// How the retailer attributes orders to ads; absent when it has not declared it.
    pub attribution: Option<Json>,
    /// Whether it takes part.
    pub is_active: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of a retailer; the fields are those of [`Retailer`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewRetailer {
    pub retailer_id: String,
    pub name: String,
    pub schema_version: String,
    pub mapping_config: Json,
    pub api_endpoint: Option<String>,
    pub clean_room_endpoint: Option<String>,
    pub policies: Json,
    pub creative_specs: Json,
    pub country: Option<String>,
    pub currency: Option<String>,
    pub timezone: String,
    pub attribution: Option<Json>,
    pub is_active: bool,
}

impl Default for NewRetailer {
    fn default() -> Self {
        Self {
            retailer_id: String::new(),
            name: String::new(),
            schema_version: "1".to_owned(),
            mapping_config: Json(json!({})),
            api_endpoint: None,
            clean_room_endpoint: None,
            policies: Json(json!({})),
            creative_specs: Json(json!({})),
            country: None,
            currency: None,
            timezone: "UTC".to_owned(),
            attribution: None,
            is_active: true,
        }
    }
}

impl From<Retailer> for NewRetailer {
    fn from(row: Retailer) -> Self {
        Self {
            retailer_id: row.retailer_id,
            name: row.name,
            schema_version: row.schema_version,
            mapping_config: row.mapping_config,
            api_endpoint: row.api_endpoint,
            clean_room_endpoint: row.clean_room_endpoint,
            policies: row.policies,
            creative_specs: row.creative_specs,
            country: row.country,
            currency: row.currency,
            timezone: row.timezone,
            attribution: row.attribution,
            is_active: row.is_active,
        }
    }
}

/// Which retailers a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetailerFilter {
    /// Only (in)active ones.
    pub is_active: Option<bool>,
    /// Only those of a country.
    pub country: Option<String>,
}

/// Stores a retailer.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`).
pub fn insert(conn: &mut Connection, new: &NewRetailer, now: DateTime<Utc>) -> Result<Retailer, StorageError> {
    insert_many(conn, std::slice::from_ref(new), now)
        .on_unique("already_exists", || format!("retailer {:?} exists already", new.retailer_id))?;
    find(conn, &new.retailer_id)
}

/// Stores several retailers in one statement.
///
/// # Errors
/// As any query; a unique violation when one exists already.
pub fn insert_many(conn: &mut Connection, new: &[NewRetailer], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = new.iter().map(|one| (one, t::created_at.eq(now), t::updated_at.eq(now))).collect();
    Ok(on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?)
}

/// One retailer.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, retailer_id: &str) -> Result<Retailer, StorageError> {
    find_many(conn, &[retailer_id])?.pop().ok_or_else(|| StorageError::not_found("retailer", retailer_id))
}

/// Those of these retailers that exist.
///
/// # Errors
/// As any query.
pub fn find_many(conn: &mut Connection, retailer_ids: &[&str]) -> Result<Vec<Retailer>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::retailer_id.eq_any(retailer_ids)).select(Retailer::as_select()).load(c))?)
}

/// Retailers, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, filter: &RetailerFilter, page: &Page) -> Result<Slice<Retailer>, StorageError> {
    let rows: Vec<Retailer> = on!(conn, c => {
        let mut query = t::table.select(Retailer::as_select()).order(t::id).limit(page.fetch()).into_boxed();
        if let Some(is_active) = filter.is_active {
            query = query.filter(t::is_active.eq(is_active));
        }
        if let Some(country) = &filter.country {
            query = query.filter(t::country.eq(country));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.gt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Replaces what is stored of a retailer; its public id stays.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn update(conn: &mut Connection, retailer_id: &str, new: &NewRetailer, now: DateTime<Utc>) -> Result<Retailer, StorageError> {
    let id = find(conn, retailer_id)?.id;
    replace(conn, id, &NewRetailer { retailer_id: retailer_id.to_owned(), ..new.clone() }, now)?;
    find(conn, retailer_id)
}

/// Replaces a row by primary key.
///
/// # Errors
/// As any query.
pub fn replace(conn: &mut Connection, id: i64, new: &NewRetailer, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.find(id)).set((new, t::updated_at.eq(Timestamp(now)))).execute(c))?;
    Ok(())
}

/// What is known of the sealed key of a retailer's API without opening it.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct SealedKey {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub retailer_id: String,
    /// The sealed text.
    pub api_key_encrypted: Option<String>,
    /// When it was given.
    pub api_key_set_at: Option<Timestamp>,
}

/// The sealed keys of these retailers, where they have one.
///
/// # Errors
/// As any query.
pub fn sealed_keys(conn: &mut Connection, retailer_ids: &[&str]) -> Result<Vec<SealedKey>, StorageError> {
    let query = t::retailer_id.eq_any(retailer_ids).and(t::api_key_encrypted.is_not_null());
    Ok(on!(conn, c => t::table.filter(query).select(SealedKey::as_select()).load(c))?)
}

/// Sealed keys by primary key, for rotation.
///
/// # Errors
/// As any query.
pub fn sealed_keys_after(conn: &mut Connection, after: i64, limit: i64) -> Result<Vec<SealedKey>, StorageError> {
    let query = t::id.gt(after).and(t::api_key_encrypted.is_not_null());
    Ok(on!(conn, c => t::table.filter(query).select(SealedKey::as_select()).order(t::id).limit(limit).load(c))?)
}

/// Gives a retailer a sealed key, or takes it away.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn set_sealed_key(conn: &mut Connection, retailer_id: &str, sealed: Option<&str>, now: DateTime<Utc>) -> Result<(), StorageError> {
    let set = (t::api_key_encrypted.eq(sealed), t::api_key_set_at.eq(sealed.map(|_| Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    match on!(conn, c => diesel::update(t::table.filter(t::retailer_id.eq(retailer_id))).set(set).execute(c))? {
        0 => Err(StorageError::not_found("retailer", retailer_id)),
        _ => Ok(()),
    }
}

/// Puts the same secret under another seal, unless the key was changed since it was read; whether it was put.
///
/// # Errors
/// As any query.
pub fn reseal(conn: &mut Connection, read: &SealedKey, sealed: &str) -> Result<bool, StorageError> {
    let unchanged = t::table.filter(t::id.eq(read.id).and(t::api_key_encrypted.eq(read.api_key_encrypted.clone())));
    Ok(on!(conn, c => diesel::update(unchanged).set(t::api_key_encrypted.eq(Some(sealed))).execute(c))? == 1)
}

/// How many retailers there are.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection) -> Result<i64, StorageError> {
    Ok(on!(conn, c => t::table.count().get_result(c))?)
}
