//! The creatives of a campaign. Each write raises the campaign's version and leaves a row of its history, like any other change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::history::Change;
use super::{Campaign, touch};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::campaign_creatives as t;
use crate::types::{Json, Timestamp};

/// Most creatives of one campaign: all of them are checked whenever the campaign is to run.
pub const MAX_CREATIVES: i64 = 50;

/// A stored creative.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct StoredCreative {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, unique within its campaign.
    pub creative_id: String,
    /// Primary key of the campaign.
    #[serde(skip)]
    pub campaign: i64,
    /// What people call it.
    pub name: String,
    /// A `domain::creative::Creative`.
    pub content: Json,
    /// What the retailer had against it when it was written.
    pub findings: Json,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// What is written of a creative.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCreative {
    /// Public id, unique within its campaign.
    pub creative_id: String,
    /// What people call it.
    pub name: String,
    /// A `domain::creative::Creative`.
    pub content: Json,
    /// What the retailer has against it.
    pub findings: Json,
}

/// Adds a creative to a campaign that was found in this scope.
///
/// # Errors
/// [`StorageError::Conflict`]: `already_exists`, `stale`, or too many.
pub fn insert(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    new: &NewCreative,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<StoredCreative, StorageError> {
    touch(conn, scope, campaign, change, difference(&new.creative_id, None, Some(new)), now)?;
    let count: i64 = on!(conn, c => t::table.filter(t::campaign.eq(campaign.id)).count().get_result(c))?;
    if count >= MAX_CREATIVES {
        return Err(StorageError::conflict("conflict", format!("a campaign has at most {MAX_CREATIVES} creatives")));
    }
    let row = (
        (t::creative_id.eq(&new.creative_id), t::campaign.eq(campaign.id), t::tenant_id.eq(&campaign.tenant_id), t::name.eq(&new.name)),
        (t::content.eq(&new.content), t::findings.eq(&new.findings), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("already_exists", || format!("the campaign has a creative {:?} already", new.creative_id))?;
    find(conn, scope, campaign, &new.creative_id)
}

/// Replaces a creative that was read as `row`.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`).
pub fn update(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    row: &StoredCreative,
    new: &NewCreative,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<StoredCreative, StorageError> {
    touch(conn, scope, campaign, change, difference(&row.creative_id, Some(row), Some(new)), now)?;
    let set = (t::name.eq(&new.name), t::content.eq(&new.content), t::findings.eq(&new.findings), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(row.id)).set(set).execute(c))?;
    find(conn, scope, campaign, &row.creative_id)
}

/// Takes a creative away.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`).
pub fn delete(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    row: &StoredCreative,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    touch(conn, scope, campaign, change, difference(&row.creative_id, Some(row), None), now)?;
    on!(conn, c => diesel::delete(t::table.find(row.id)).execute(c))?;
    Ok(())
}

/// Copies all creatives of one campaign to another that was made in this transaction; part of its first version.
///
/// # Errors
/// As any query.
pub fn copy(conn: &mut Connection, from: &Campaign, to: &Campaign, now: DateTime<Utc>) -> Result<(), StorageError> {
    for row in of_campaigns(conn, &[from.id])?.remove(&from.id).unwrap_or_default() {
        let copy = (
            (t::creative_id.eq(row.creative_id), t::campaign.eq(to.id), t::tenant_id.eq(&to.tenant_id), t::name.eq(row.name)),
            (t::content.eq(row.content), t::findings.eq(row.findings), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
        );
        on!(conn, c => diesel::insert_into(t::table).values(copy).execute(c))?;
    }
    Ok(())
}

/// One creative of a campaign that was found in this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, campaign: &Campaign, creative_id: &str) -> Result<StoredCreative, StorageError> {
    let missing = || StorageError::not_found("creative", creative_id);
    if !scope.may_see(Some(&campaign.tenant_id)) {
        return Err(missing());
    }
    let query = t::campaign.eq(campaign.id).and(t::creative_id.eq(creative_id));
    let found: Option<StoredCreative> = on!(conn, c => t::table.filter(query).select(StoredCreative::as_select()).first(c).optional())?;
    found.ok_or_else(missing)
}

/// The creatives of a campaign that was found in this scope, oldest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, campaign: &Campaign, page: &Page) -> Result<Slice<StoredCreative>, StorageError> {
    if !scope.may_see(Some(&campaign.tenant_id)) {
        return Err(StorageError::not_found("campaign", &campaign.campaign_id));
    }
    let after = page.after.unwrap_or(0);
    let rows: Vec<StoredCreative> = on!(conn, c => t::table
        .filter(t::tenant_id.eq(&campaign.tenant_id).and(t::campaign.eq(campaign.id)).and(t::id.gt(after)))
        .select(StoredCreative::as_select())
        .order(t::id)
        .limit(page.fetch())
        .load(c))?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// All creatives of these campaigns, by the campaign's primary key.
///
/// # Errors
/// As any query.
pub fn of_campaigns(conn: &mut Connection, campaigns: &[i64]) -> Result<HashMap<i64, Vec<StoredCreative>>, StorageError> {
    let rows: Vec<StoredCreative> =
        on!(conn, c => t::table.filter(t::campaign.eq_any(campaigns)).select(StoredCreative::as_select()).order(t::id).load(c))?;
    let mut by_campaign: HashMap<i64, Vec<StoredCreative>> = HashMap::new();
    for row in rows {
        by_campaign.entry(row.campaign).or_default().push(row);
    }
    Ok(by_campaign)
}

/// What the history of the campaign says: one member for each creative, so that the changes of several do not cover each other.
fn difference(creative_id: &str, before: Option<&StoredCreative>, after: Option<&NewCreative>) -> Map<String, Value> {
    let before = before.map(|row| json!({"name": row.name, "content": row.content}));
    let after = after.map(|new| json!({"name": new.name, "content": new.content}));
    [(format!("creatives.{creative_id}"), json!({"before": before, "after": after}))].into_iter().collect()
}
