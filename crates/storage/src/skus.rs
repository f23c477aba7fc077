//! Products of a retailer. A product belongs to the tenant of its brand, or to the retailer when no brand is known.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::sku_catalog as t;
use crate::types::{Json, Timestamp};

/// A stored product.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Sku {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, unique within its retailer.
    pub sku_id: String,
    /// Whose shelf it is on.
    pub retailer_id: String,
    /// Its brand.
    pub brand_id: Option<String>,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Universal Product Code, 12 digits.
    pub upc: Option<String>,
    /// European Article Number, 8 or 13 digits.
    pub ean: Option<String>,
    /// Global Trade Item Number, up to 14 digits.
    pub gtin: Option<String>,
    /// Name.
    pub name: String,
    /// Category.
    pub category: Option<String>,
    /// Category within the category.
    pub subcategory: Option<String>,
    /// Name of the brand as the retailer writes it.
    pub brand_name: Option<String>,
    /// Price in micros of `currency`.
    pub price_micros: Option<i64>,
    /// Margin as a share of the price.
    pub margin: Option<f64>,
    /// Cost in micros of `currency`.
    pub cost_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// What the source knew besides.
    pub attributes: Json,
    /// Whether it can be bought; absent when not known.
    pub is_in_stock: Option<bool>,
    /// Units in stock; absent when not known.
    pub stock_level: Option<i64>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of a product; the fields are those of [`Sku`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewSku {
    pub sku_id: String,
    pub retailer_id: String,
    pub brand_id: Option<String>,
    pub tenant_id: Option<String>,
    pub upc: Option<String>,
    pub ean: Option<String>,
    pub gtin: Option<String>,
    pub name: String,
    pub category: Option<String>,
    pub subcategory: Option<String>,
    pub brand_name: Option<String>,
    pub price_micros: Option<i64>,
    pub margin: Option<f64>,
    pub cost_micros: Option<i64>,
    pub currency: Option<String>,
    pub attributes: Json,
    pub is_in_stock: Option<bool>,
    pub stock_level: Option<i64>,
}

impl Default for NewSku {
    fn default() -> Self {
        Self {
            sku_id: String::new(),
            retailer_id: String::new(),
            brand_id: None,
            tenant_id: None,
            upc: None,
            ean: None,
            gtin: None,
            name: String::new(),
            category: None,
            subcategory: None,
            brand_name: None,
            price_micros: None,
            margin: None,
            cost_micros: None,
            currency: None,
            attributes: Json(json!({})),
            is_in_stock: None,
            stock_level: None,
        }
    }
}

impl From<Sku> for NewSku {
    fn from(row: Sku) -> Self {
        Self {
            sku_id: row.sku_id,
            retailer_id: row.retailer_id,
            brand_id: row.brand_id,
            tenant_id: row.tenant_id,
            upc: row.upc,
            ean: row.ean,
            gtin: row.gtin,
            name: row.name,
            category: row.category,
            subcategory: row.subcategory,
            brand_name: row.brand_name,
            price_micros: row.price_micros,
            margin: row.margin,
            cost_micros: row.cost_micros,
            currency: row.currency,
            attributes: row.attributes,
            is_in_stock: row.is_in_stock,
            stock_level: row.stock_level,
        }
    }
}

/// Which products a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkuFilter {
    /// Only those of a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a brand.
    pub brand_id: Option<String>,
    /// Only those of a category.
    pub category: Option<String>,
    /// Only those of a subcategory.
    pub subcategory: Option<String>,
    /// Only those that are (not) in stock.
    pub is_in_stock: Option<bool>,
}

/// Stores a product.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`); [`StorageError::Invalid`] for an unknown retailer or brand.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewSku, now: DateTime<Utc>) -> Result<Sku, StorageError> {
    insert_many(conn, std::slice::from_ref(new), now)
        .on_unique("already_exists", || format!("SKU {:?} of retailer {:?} exists already", new.sku_id, new.retailer_id))
        .on_missing_reference("retailer_id", || "there is no such retailer, or no such brand".to_owned())?;
    find(conn, scope, Some(&new.retailer_id), &new.sku_id)
}

/// Stores several products in one statement.
///
/// # Errors
/// As any query; a unique violation when one exists already.
pub fn insert_many(conn: &mut Connection, new: &[NewSku], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = new.iter().map(|one| (one, t::created_at.eq(now), t::updated_at.eq(now))).collect();
    Ok(on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?)
}

/// One product of this scope; `retailer_id` is needed only when several retailers use the same id.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] when several retailers have this id.
pub fn find(conn: &mut Connection, scope: &Scope, retailer_id: Option<&str>, sku_id: &str) -> Result<Sku, StorageError> {
    let mut rows: Vec<Sku> = on!(conn, c => {
        let mut query = t::table.filter(t::sku_id.eq(sku_id)).select(Sku::as_select()).order(t::id).limit(2).into_boxed();
        if let Some(retailer_id) = retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    if rows.len() > 1 {
        return Err(StorageError::conflict("conflict", format!("several retailers have a SKU {sku_id:?}; add ?retailer_id=")));
    }
    rows.pop().ok_or_else(|| StorageError::not_found("SKU", sku_id))
}

/// Those of these products of a retailer that exist, whoever owns them; for imports.
pub(crate) fn find_many(conn: &mut Connection, retailer_id: &str, sku_ids: &[&str]) -> Result<Vec<Sku>, StorageError> {
    let query = t::retailer_id.eq(retailer_id).and(t::sku_id.eq_any(sku_ids));
    Ok(on!(conn, c => t::table.filter(query).select(Sku::as_select()).load(c))?)
}

/// Which of these products of a retailer are known to be out of stock, by public id. Stock that nobody stated does not count as gone.
///
/// # Errors
/// As any query.
pub fn out_of_stock(conn: &mut Connection, scope: &Scope, retailer_id: &str, sku_ids: &[&str]) -> Result<Vec<String>, StorageError> {
    let found = find_many(conn, retailer_id, sku_ids)?.into_iter();
    let gone = found.filter(|sku| sku.is_in_stock == Some(false) && (sku.tenant_id.is_none() || scope.may_see(sku.tenant_id.as_deref())));
    Ok(gone.map(|sku| sku.sku_id).collect())
}

/// Products of this scope, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &SkuFilter, page: &Page) -> Result<Slice<Sku>, StorageError> {
    let rows: Vec<Sku> = on!(conn, c => {
        let mut query = t::table.select(Sku::as_select()).order(t::id).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(retailer_id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        if let Some(brand_id) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand_id));
        }
        if let Some(category) = &filter.category {
            query = query.filter(t::category.eq(category));
        }
        if let Some(subcategory) = &filter.subcategory {
            query = query.filter(t::subcategory.eq(subcategory));
        }
        if let Some(is_in_stock) = filter.is_in_stock {
            query = query.filter(t::is_in_stock.eq(is_in_stock));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.gt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Replaces what is stored of a product; ids and retailer stay.
///
/// # Errors
/// [`StorageError::Invalid`] for an unknown brand.
pub fn update(conn: &mut Connection, scope: &Scope, row: &Sku, new: &NewSku, now: DateTime<Utc>) -> Result<Sku, StorageError> {
    let kept = NewSku { sku_id: row.sku_id.clone(), retailer_id: row.retailer_id.clone(), ..new.clone() };
    replace(conn, row.id, &kept, now).on_missing_reference("brand_id", || "there is no such brand".to_owned())?;
    find(conn, scope, Some(&row.retailer_id), &row.sku_id)
}

/// Replaces a row by primary key; for imports.
pub(crate) fn replace(conn: &mut Connection, id: i64, new: &NewSku, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.find(id)).set((new, t::updated_at.eq(Timestamp(now)))).execute(c))?;
    Ok(())
}

/// Deletes a product that was found in this scope. Performance rows name products by text, so nothing else changes.
///
/// # Errors
/// As any query.
pub fn delete(conn: &mut Connection, row: &Sku) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.find(row.id)).execute(c))?;
    Ok(())
}

/// How many products this scope has.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection, scope: &Scope) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table.count().into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.get_result(c)
    })?)
}
