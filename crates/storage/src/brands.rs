//! Brands; a brand is a tenant, or one of several brands of a tenant.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::brands as t;
use crate::types::{Json, Timestamp};

/// A stored brand.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Brand {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub brand_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The retailer in whose data it was found.
    pub retailer_id: Option<String>,
    /// Name.
    pub name: String,
    /// How the brand speaks.
    pub tone_guidelines: Json,
    /// Categories, a list of words.
    pub product_categories: Json,
    /// Such as `min_roas` and `max_cpa`.
    pub budget_constraints: Json,
    /// What the source knew besides.
    pub attributes: Json,
    /// Whether it takes part.
    pub is_active: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of a brand; the fields are those of [`Brand`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewBrand {
    pub brand_id: String,
    pub tenant_id: String,
    pub retailer_id: Option<String>,
    pub name: String,
    pub tone_guidelines: Json,
    pub product_categories: Json,
    pub budget_constraints: Json,
    pub attributes: Json,
    pub is_active: bool,
}

impl Default for NewBrand {
    fn default() -> Self {
        Self {
            brand_id: String::new(),
            tenant_id: String::new(),
            retailer_id: None,
            name: String::new(),
            tone_guidelines: Json(json!({})),
            product_categories: Json(json!([])),
            budget_constraints: Json(json!({})),
            attributes: Json(json!({})),
            is_active: true,
        }
    }
}

impl From<Brand> for NewBrand {
    fn from(row: Brand) -> Self {
        Self {
            brand_id: row.brand_id,
            tenant_id: row.tenant_id,
            retailer_id: row.retailer_id,
            name: row.name,
            tone_guidelines: row.tone_guidelines,
            product_categories: row.product_categories,
            budget_constraints: row.budget_constraints,
            attributes: row.attributes,
            is_active: row.is_active,
        }
    }
}

/// Which brands a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrandFilter {
    /// Only those of a tenant (within what the scope may see).
    pub tenant_id: Option<String>,
    /// Only those found at a retailer.
    pub retailer_id: Option<String>,
    /// Only (in)active ones.
    pub is_active: Option<bool>,
}

/// Stores a brand.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`); [`StorageError::Invalid`] for an unknown retailer.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewBrand, now: DateTime<Utc>) -> Result<Brand, StorageError> {
    insert_many(conn, std::slice::from_ref(new), now)
        .on_unique("already_exists", || format!("brand {:?} exists already", new.brand_id))
        .on_missing_reference("retailer_id", || "there is no such retailer".to_owned())?;
    find(conn, scope, &new.brand_id)
}

/// Stores several brands in one statement.
///
/// # Errors
/// As any query; a unique violation when one exists already.
pub fn insert_many(conn: &mut Connection, new: &[NewBrand], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = new.iter().map(|one| (one, t::created_at.eq(now), t::updated_at.eq(now))).collect();
    Ok(on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?)
}

/// One brand of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<Brand, StorageError> {
    let found = find_many(conn, &[brand_id])?.pop();
    found.filter(|brand| scope.may_see(Some(&brand.tenant_id))).ok_or_else(|| StorageError::not_found("brand", brand_id))
}

/// Those of these brands that exist, whoever owns them; for imports.
pub(crate) fn find_many(conn: &mut Connection, brand_ids: &[&str]) -> Result<Vec<Brand>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::brand_id.eq_any(brand_ids)).select(Brand::as_select()).load(c))?)
}

/// The tenant of each of these brands that this scope may see: another tenant's is as if it were not there.
pub(crate) fn tenants_of(conn: &mut Connection, scope: &Scope, brand_ids: &[&str]) -> Result<HashMap<String, String>, StorageError> {
    let pairs: Vec<(String, String)> =
        on!(conn, c => t::table.filter(t::brand_id.eq_any(brand_ids)).select((t::brand_id, t::tenant_id)).load(c))?;
    Ok(pairs.into_iter().filter(|(_, tenant)| scope.may_see(Some(tenant))).collect())
}

/// Brands of this scope, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &BrandFilter, page: &Page) -> Result<Slice<Brand>, StorageError> {
    let rows: Vec<Brand> = on!(conn, c => {
        let mut query = t::table.select(Brand::as_select()).order(t::id).limit(page.fetch()).into_boxed();
        for tenant in [scope.tenant(), filter.tenant_id.as_deref()].into_iter().flatten() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(retailer_id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
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

/// Replaces what is stored of a brand; its public id and its tenant stay.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Invalid`] for an unknown retailer.
pub fn update(conn: &mut Connection, scope: &Scope, brand_id: &str, new: &NewBrand, now: DateTime<Utc>) -> Result<Brand, StorageError> {
    let row = find(conn, scope, brand_id)?;
    let kept = NewBrand { brand_id: row.brand_id, tenant_id: row.tenant_id, ..new.clone() };
    replace(conn, row.id, &kept, now).on_missing_reference("retailer_id", || "there is no such retailer".to_owned())?;
    find(conn, scope, brand_id)
}

/// Replaces a row by primary key; for imports.
pub(crate) fn replace(conn: &mut Connection, id: i64, new: &NewBrand, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.find(id)).set((new, t::updated_at.eq(Timestamp(now)))).execute(c))?;
    Ok(())
}
