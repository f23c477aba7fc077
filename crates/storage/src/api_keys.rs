//! API keys: only their SHA-256 is stored, so that a copy of the database opens no door.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use domain::scope::Scope;

use crate::access_ends::{self, AccessEnd};
use crate::audit::{self, NewEntry};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::api_keys as t;
use crate::types::{Json, Timestamp};

/// `last_used_at` is written at most this often per key, so that reading stays reading.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A stored key.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = t)]
pub struct ApiKey {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub key_id: String,
    /// What it is for.
    pub name: String,
    /// First characters of the key, to recognise it by.
    pub key_prefix: String,
    /// Role of whoever presents it.
    pub role: String,
    /// Tenant of whoever presents it.
    pub tenant_id: Option<String>,
    /// Scopes, a list of words; empty means all that the role may.
    pub scopes: Json,
    /// Who made it.
    pub created_by: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key to store; the key itself stays with the caller.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What it is for.
    pub name: String,
    /// SHA-256 of the key, hexadecimal.
    pub key_hash: String,
    /// First characters of the key.
    pub key_prefix: String,
    /// Role of whoever presents it.
    pub role: String,
    /// Tenant of whoever presents it.
    pub tenant_id: Option<String>,
    /// Scopes, a list of words.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Stores a key.
///
/// # Errors
/// [`StorageError::Conflict`] (`api_key_exists`) when the very key is stored already.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewApiKey, now: DateTime<Utc>) -> Result<ApiKey, StorageError> {
    let key_id = domain::id::new("key");
    let row = (
        t::key_id.eq(&key_id),
        t::name.eq(&new.name),
        t::key_hash.eq(&new.key_hash),
        t::key_prefix.eq(&new.key_prefix),
        t::role.eq(&new.role),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::scopes.eq(Json(serde_json::json!(new.scopes))),
        t::created_by.eq(scope.actor()),
        t::expires_at.eq(new.expires_at.map(Timestamp)),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("api_key_exists", || "this very key is stored already".to_owned())?;
    let key = find(conn, scope, &key_id)?;
    audited(conn, scope, &key, "api_key.made", now)?;
    Ok(key)
}

/// Writes into the audit log what was done with a key; never the key itself or its hash.
fn audited(conn: &mut Connection, scope: &Scope, key: &ApiKey, action: &'static str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let entry = NewEntry {
        tenant_id: key.tenant_id.clone(),
        action,
        subject: format!("api_key:{}", key.key_id),
        detail: serde_json::json!({ "name": key.name, "role": key.role, "scopes": key.scopes, "expires_at": key.expires_at }),
    };
    audit::append(conn, scope, &entry, now).map(drop)
}

/// Whether a tenant is there: it has a brand, a retailer, a campaign, an account or a key.
///
/// # Errors
/// As any query.
pub fn has_tenant(conn: &mut Connection, tenant_id: &str) -> Result<bool, StorageError> {
    use crate::schema::{accounts, brands, campaigns, retailers};
    use diesel::dsl::exists;
    use diesel::select;
    let own = brands::table.filter(brands::tenant_id.eq(tenant_id));
    let retailer = retailers::table.filter(retailers::retailer_id.eq(tenant_id));
    let campaign = campaigns::table.filter(campaigns::tenant_id.eq(tenant_id));
    let account = accounts::table.filter(accounts::tenant_id.eq(tenant_id));
    let key = t::table.filter(t::tenant_id.eq(tenant_id));
    Ok(on!(conn, c => select(exists(own).or(exists(retailer)).or(exists(campaign)).or(exists(account)).or(exists(key))).get_result(c))?)
}

/// One key of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, key_id: &str) -> Result<ApiKey, StorageError> {
    let found: Option<ApiKey> = on!(conn, c => t::table.filter(t::key_id.eq(key_id)).select(ApiKey::as_select()).first(c).optional())?;
    found.filter(|key| scope.may_see(key.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("API key", key_id))
}

/// Keys of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, page: &Page) -> Result<Slice<ApiKey>, StorageError> {
    let rows: Vec<ApiKey> = on!(conn, c => {
        let mut query = t::table.select(ApiKey::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// The working key with this hash: not revoked, not expired.
///
/// # Errors
/// As any query.
pub fn find_by_hash(conn: &mut Connection, key_hash: &str, now: DateTime<Utc>) -> Result<Option<ApiKey>, StorageError> {
    let found: Option<ApiKey> = on!(conn, c => t::table.filter(t::key_hash.eq(key_hash)).select(ApiKey::as_select()).first(c).optional())?;
    Ok(found.filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at.0 > now)))
}

/// Whether a use now should be noted.
#[must_use]
pub fn use_is_news(key: &ApiKey, now: DateTime<Utc>) -> bool {
    key.last_used_at.is_none_or(|at| now - at.0 >= USE_NOTED_EVERY)
}

/// Notes a use.
///
/// # Errors
/// As any query.
pub fn note_use(conn: &mut Connection, key_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    on!(conn, c => diesel::update(t::table.filter(t::key_id.eq(key_id))).set(t::last_used_at.eq(Some(Timestamp(now)))).execute(c))?;
    Ok(())
}

/// Revokes a key and tells those who hold sockets that were opened with it; revoking twice changes nothing.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn revoke(conn: &mut Connection, scope: &Scope, key_id: &str, now: DateTime<Utc>) -> Result<ApiKey, StorageError> {
    let key = find(conn, scope, key_id)?;
    if key.revoked_at.is_none() {
        let changes = (t::revoked_at.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(t::table.find(key.id)).set(changes).execute(c))?;
        audited(conn, scope, &key, "api_key.revoked", now)?;
        access_ends::tell(conn, &AccessEnd::Key { key_id: key.key_id.clone() }, now)?;
    }
    find(conn, scope, key_id)
}

/// Revokes the keys that somebody made, and those made by these keys in turn; how many.
///
/// # Errors
/// As any query.
pub fn revoke_made_by(conn: &mut Connection, scope: &Scope, maker: &str, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let (mut makers, mut revoked) = (vec![maker.to_owned()], 0);
    while let Some(maker) = makers.pop() {
        let made: Vec<(String, Option<Timestamp>)> =
            on!(conn, c => t::table.filter(t::created_by.eq(&maker)).select((t::key_id, t::revoked_at)).load(c))?;
        for (key_id, revoked_at) in made {
            if revoked_at.is_none() {
                revoke(conn, scope, &key_id, now)?;
                revoked += 1;
            }
            makers.push(key_id);
        }
    }
    Ok(revoked)
}
