//! Campaigns: what is to be sold where, to whom, for how much. The public id is unique within its tenant.
//!
//! Nobody writes a campaign without saying what for: each writing function takes a [`Change`], raises the version by one and writes the row of
//! [`history`] in the same transaction. Call them inside one.

pub mod creatives;
pub mod due;
mod fields;
pub mod history;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use domain::campaign::CampaignStatus;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};

use crate::changes::{self, Kind};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::schema::campaigns as t;
use crate::types::{Json, Timestamp};
use crate::{lock, on};

use history::Change;

/// A stored campaign.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Campaign {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, unique within its tenant.
    pub campaign_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Where it runs.
    pub retailer_id: String,
    /// The (leading) brand.
    pub brand_id: Option<String>,
    /// Name.
    pub name: String,
    /// A word of `domain::campaign::Objective`; absent when not stated.
    pub objective: Option<String>,
    /// First day.
    pub start_date: Option<NaiveDate>,
    /// Last day, included.
    pub end_date: Option<NaiveDate>,
    /// Budget in micros of `currency`.
    pub total_budget_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// How the chosen plan distributes the budget.
    pub allocated_budget: Option<Json>,
    /// Placement types, a list of words.
    pub placement_types: Json,
    /// Audience segments, a list of ids.
    pub target_audiences: Json,
    /// Products, a list of ids.
    pub target_skus: Json,
    /// Limits that plans must keep.
    pub constraints: Json,
    /// What the source knew besides.
    pub attributes: Json,
    /// A word of `domain::campaign::CampaignStatus`.
    pub status: String,
    /// Grows by one with each change.
    pub version: i32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of a campaign; the fields are those of [`Campaign`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewCampaign {
    pub campaign_id: String,
    pub tenant_id: String,
    pub retailer_id: String,
    pub brand_id: Option<String>,
    pub name: String,
    pub objective: Option<String>,
    pub start_date: Option<NaiveDate>,
    pub end_date: Option<NaiveDate>,
    pub total_budget_micros: Option<i64>,
    pub currency: Option<String>,
    pub allocated_budget: Option<Json>,
    pub placement_types: Json,
    pub target_audiences: Json,
    pub target_skus: Json,
    pub constraints: Json,
    pub attributes: Json,
    pub status: String,
}

/// Which campaigns a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignFilter {
    /// Only those of a tenant (within what the scope may see).
    pub tenant_id: Option<String>,
    /// Only those at a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a brand.
    pub brand_id: Option<String>,
    /// Only those in a state.
    pub status: Option<String>,
    /// Only those with an objective.
    pub objective: Option<String>,
}

/// Whose a new campaign is: the tenant stated, else the caller's, else that of its brand, else the retailer. The same for requests and imports.
#[must_use]
pub fn owner(stated: Option<&str>, caller: Option<&str>, of_brand: Option<&str>, retailer_id: &str) -> String {
    stated.or(caller).or(of_brand).unwrap_or(retailer_id).to_owned()
}

/// Stores a campaign.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`); [`StorageError::Invalid`] for an unknown retailer or brand.
pub fn insert(
    conn: &mut Connection,
    scope: &Scope,
    new: &NewCampaign,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Campaign, StorageError> {
    insert_many(conn, scope, std::slice::from_ref(new), change, now)
        .on_unique("already_exists", || format!("campaign {:?} exists already", new.campaign_id))
        .on_missing_reference("retailer_id", || "there is no such retailer, or no such brand".to_owned())?;
    let row = find(conn, &scope.narrowed_to(&new.tenant_id), &new.campaign_id)?;
    changes::of_campaign(conn, Kind::Insert, &row, now)?;
    Ok(row)
}

/// Stores several campaigns in one statement.
///
/// # Errors
/// As any query; a unique violation when one exists already.
pub fn insert_many(
    conn: &mut Connection,
    scope: &Scope,
    new: &[NewCampaign],
    change: &Change,
    now: DateTime<Utc>,
) -> Result<usize, StorageError> {
    let at = Timestamp(now);
    let rows: Vec<_> = new.iter().map(|one| (one, t::version.eq(1), t::created_at.eq(at), t::updated_at.eq(at))).collect();
    let inserted = on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?;
    history::record_new(conn, scope, new, change, now)?;
    Ok(inserted)
}

/// One campaign of this scope.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] when the scope sees all tenants and several have this id.
pub fn find(conn: &mut Connection, scope: &Scope, campaign_id: &str) -> Result<Campaign, StorageError> {
    let mut rows = find_many(conn, scope, &[campaign_id])?;
    if rows.len() > 1 {
        let why = format!("several tenants have a campaign {campaign_id:?}; ask with a key of one tenant");
        return Err(StorageError::conflict("conflict", why));
    }
    rows.pop().ok_or_else(|| StorageError::not_found("campaign", campaign_id))
}

/// Those of these campaigns that this scope has.
///
/// # Errors
/// As any query.
pub fn find_many(conn: &mut Connection, scope: &Scope, campaign_ids: &[&str]) -> Result<Vec<Campaign>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table.filter(t::campaign_id.eq_any(campaign_ids)).select(Campaign::as_select()).order(t::id).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?)
}

/// One campaign by primary key, for work on rows that refer to it.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find_by_id(conn: &mut Connection, scope: &Scope, id: i64) -> Result<Campaign, StorageError> {
    let found: Option<Campaign> = on!(conn, c => t::table.find(id).select(Campaign::as_select()).first(c).optional())?;
    found.filter(|row| scope.may_see(Some(&row.tenant_id))).ok_or_else(|| StorageError::not_found("campaign", id.to_string()))
}

/// Campaigns of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &CampaignFilter, page: &Page) -> Result<Slice<Campaign>, StorageError> {
    let rows: Vec<Campaign> = on!(conn, c => {
        let mut query = t::table.select(Campaign::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        for tenant in [scope.tenant(), filter.tenant_id.as_deref()].into_iter().flatten() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(retailer_id) = &filter.retailer_id {
            query = query.filter(t::retailer_id.eq(retailer_id));
        }
        if let Some(brand_id) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand_id));
        }
        if let Some(status) = &filter.status {
            query = query.filter(t::status.eq(status));
        }
        if let Some(objective) = &filter.objective {
            query = query.filter(t::objective.eq(objective));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Replaces what is stored of a campaign that was read as `row`; ids, tenant and retailer stay. The version grows by one, unless nothing
/// differs: then nothing is written.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`) when somebody changed it since it was read; [`StorageError::Invalid`] for an unknown brand.
pub fn update(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    new: &NewCampaign,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Campaign, StorageError> {
    let kept = NewCampaign {
        campaign_id: row.campaign_id.clone(),
        tenant_id: row.tenant_id.clone(),
        retailer_id: row.retailer_id.clone(),
        ..new.clone()
    };
    write(conn, scope, row, &kept, change, now)?;
    let changed = find_by_id(conn, scope, row.id)?;
    if changed.version != row.version {
        changes::of_campaign(conn, Kind::Update, &changed, now)?;
    }
    Ok(changed)
}

/// Replaces a row by primary key, whatever its version; for imports.
pub(crate) fn replace(
    conn: &mut Connection,
    scope: &Scope,
    id: i64,
    new: &NewCampaign,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = locked(conn, scope, id)?;
    write(conn, scope, &row, new, change, now)
}

/// Keeps how the chosen plan distributes the budget, whatever the version.
///
/// # Errors
/// As any query.
pub fn allocate(
    conn: &mut Connection,
    scope: &Scope,
    id: i64,
    allocation: Json,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = locked(conn, scope, id)?;
    let new = NewCampaign { allocated_budget: Some(allocation), ..row.clone().into() };
    write(conn, scope, &row, &new, change, now)
}

/// The row by primary key, held until the end of the transaction.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn locked(conn: &mut Connection, scope: &Scope, id: i64) -> Result<Campaign, StorageError> {
    let found = lock!(conn, t::table.find(id).select(Campaign::as_select()) => Campaign)?;
    let mut found = found.into_iter().filter(|row| scope.may_see(Some(&row.tenant_id)));
    found.next().ok_or_else(|| StorageError::not_found("campaign", id.to_string()))
}

/// The one statement that changes a campaign, with its row of history.
fn write(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    new: &NewCampaign,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let changes = history::difference(Some(&row.clone().into()), new)?;
    if changes.is_empty() {
        return refuse_stale(conn, row);
    }
    refuse_archived(row)?;
    let version = row.version.saturating_add(1);
    let unchanged = t::table.filter(t::id.eq(row.id).and(t::version.eq(row.version)));
    let set = (new, t::version.eq(version), t::updated_at.eq(Timestamp(now)));
    let changed = on!(conn, c => diesel::update(unchanged).set(set).execute(c))
        .on_missing_reference("brand_id", || "there is no such brand".to_owned())?;
    if changed == 0 {
        return Err(stale(row));
    }
    history::record(conn, scope, row, version, change, changes, now)
}

/// Raises the version for something that belongs to a campaign and is not in its row; `changes` says what.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`) when somebody changed it since it was read.
pub(crate) fn touch(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    change: &Change,
    changes: serde_json::Map<String, serde_json::Value>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    refuse_archived(row)?;
    let version = row.version.saturating_add(1);
    let unchanged = t::table.filter(t::id.eq(row.id).and(t::version.eq(row.version)));
    let set = (t::version.eq(version), t::updated_at.eq(Timestamp(now)));
    if on!(conn, c => diesel::update(unchanged).set(set).execute(c))? == 0 {
        return Err(stale(row));
    }
    history::record(conn, scope, row, version, change, changes, now)
}

fn refuse_archived(row: &Campaign) -> Result<(), StorageError> {
    if row.status == CampaignStatus::Archived.as_ref() {
        return Err(StorageError::conflict("conflict", format!("campaign {:?} is archived and cannot be changed", row.campaign_id)));
    }
    Ok(())
}

fn stale(row: &Campaign) -> StorageError {
    StorageError::conflict("stale", format!("campaign {:?} was changed since it was read", row.campaign_id))
}

fn refuse_stale(conn: &mut Connection, row: &Campaign) -> Result<(), StorageError> {
    let version: Option<i32> = on!(conn, c => t::table.find(row.id).select(t::version).first(c).optional())?;
    if version == Some(row.version) { Ok(()) } else { Err(stale(row)) }
}

/// Deletes a campaign that was found in this scope, with its plans, performance rows and reflection logs.
///
/// # Errors
/// As any query.
pub fn delete(conn: &mut Connection, row: &Campaign) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.find(row.id)).execute(c))?;
    Ok(())
}

/// How many campaigns this scope has.
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
