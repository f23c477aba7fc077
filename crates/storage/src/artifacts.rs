//! Files in buckets: what is known of each upload. The bytes lie in a store outside the database; a row is written before the first of
//! them and goes after the last, so that whatever a crash leaves behind has a row by which it is found.
//!
//! ```text
//! begin -> uploading --finish--> ready --replaced, removed--> deleting --bytes are gone--> forget
//!              '---- given up, or not heard of for long ---------^
//! ```

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::artifact::{Bucket, PLATFORM, check_path};
use domain::invalid::Invalid;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::{adapter_versions as v, artifacts as t};
use crate::types::Timestamp;
use crate::{lock, on};

diesel::define_sql_function! {
    /// A part of a text, the same in all three databases (LIKE is not: SQLite's does not tell A from a).
    fn substr(text: diesel::sql_types::Text, from: diesel::sql_types::Integer, n: diesel::sql_types::Integer) -> diesel::sql_types::Text;
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Artifact {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, another one for each upload.
    pub artifact_id: String,
    /// Whose it is; `@platform` is the platform's own.
    pub tenant_id: String,
    /// Where it lies.
    pub bucket: String,
    /// What it is called there.
    pub path: String,
    /// `uploading`, `ready` or `deleting`; people see ready ones only.
    #[serde(skip)]
    pub state: String,
    /// The store that has the bytes: `local`, `s3` or `supabase`.
    #[serde(skip)]
    pub store: String,
    /// Media type.
    pub content_type: String,
    /// Bytes.
    pub size_bytes: i64,
    /// SHA-256 of the bytes in hexadecimal digits.
    pub sha256: String,
    /// Who uploaded it.
    pub created_by: String,
    /// When the upload began.
    pub created_at: Timestamp,
}

impl Artifact {
    /// Where the bytes lie within the bucket of the store.
    #[must_use]
    pub fn key(&self) -> String {
        domain::artifact::key(&self.tenant_id, &self.path, &self.artifact_id)
    }
}

/// The address of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub tenant: String,
    /// The bucket.
    pub bucket: Bucket,
    /// The path in it.
    pub path: String,
}

impl Place {
    fn slot(&self) -> String {
        format!("{}/{}/{}", self.tenant, self.bucket, self.path)
    }
}

/// An upload that begins.
#[derive(Debug, Clone)]
pub struct NewArtifact {
    /// Where it goes.
    pub place: Place,
    /// The store that gets the bytes.
    pub store: &'static str,
    /// Media type.
    pub content_type: String,
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq)]
pub enum Finished {
    /// There was nothing at its place.
    Created(Artifact),
    /// It took the place of other bytes.
    Replaced(Artifact),
    /// The same bytes were there already; that artifact stays, and those of the upload go.
    Unchanged(Artifact),
}

/// The tenant in whose space a caller works: its own; for the platform the one it names, or the platform's.
///
/// # Errors
/// [`StorageError::NotFound`] for another tenant than one's own; [`StorageError::Invalid`] on `tenant_id` for callers who have none.
pub fn owner(scope: &Scope, wanted: Option<&str>) -> Result<String, StorageError> {
    match (scope.tenant(), wanted) {
        (None, wanted) => Ok(wanted.unwrap_or(PLATFORM).to_owned()),
        (Some(""), Some(wanted)) => Err(StorageError::not_found("tenant", wanted)),
        (Some(""), None) => Err(Invalid::one(
            "tenant_id",
            "this account belongs to no tenant, so it has no files of its own; ask somebody of the tenant whose files you want for a link to them",
        )
        .into()),
        (Some(own), None) => Ok(own.to_owned()),
        (Some(own), Some(wanted)) if own == wanted => Ok(own.to_owned()),
        (Some(_), Some(wanted)) => Err(StorageError::not_found("tenant", wanted)),
    }
}

/// Writes down that bytes are about to come.
///
/// # Errors
/// [`StorageError::Invalid`] on `path`; as [`owner`].
pub fn begin(conn: &mut Connection, scope: &Scope, new: &NewArtifact, now: DateTime<Utc>) -> Result<Artifact, StorageError> {
    check_path(&new.place.path)?;
    let artifact_id = domain::id::new("art");
    let row = (
        t::artifact_id.eq(&artifact_id),
        t::tenant_id.eq(owner(scope, Some(&new.place.tenant))?),
        t::bucket.eq(new.place.bucket.as_ref()),
        t::path.eq(&new.place.path),
        t::state.eq("uploading"),
        t::store.eq(new.store),
        t::content_type.eq(&new.content_type),
        t::size_bytes.eq(0),
        t::sha256.eq(""),
        t::created_by.eq(scope.actor()),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    Ok(on!(conn, c => t::table.filter(t::artifact_id.eq(&artifact_id)).select(Artifact::as_select()).first(c))?)
}

/// Says that an upload still goes on.
///
/// # Errors
/// [`StorageError::Conflict`] (`conflict`) when it was given up.
pub fn touch(conn: &mut Connection, scope: &Scope, upload: &Artifact, now: DateTime<Utc>) -> Result<(), StorageError> {
    owner(scope, Some(&upload.tenant_id))?;
    let own = t::table.find(upload.id).filter(t::state.eq("uploading"));
    let touched = on!(conn, c => diesel::update(own).set(t::updated_at.eq(Timestamp(now))).execute(c))?;
    if touched == 1 { Ok(()) } else { Err(given_up()) }
}

fn given_up() -> StorageError {
    StorageError::conflict("conflict", "nothing was heard of this upload for so long that it was given up; send it again")
}

/// Makes an upload whose bytes are all stored visible at its place. Call it in a transaction.
///
/// # Errors
/// [`StorageError::Conflict`]: `already_exists` when other bytes are there and may not be replaced, `artifact_in_use` when an adapter is
/// made of those, `conflict` when the upload was given up.
pub fn finish(
    conn: &mut Connection,
    scope: &Scope,
    upload: &Artifact,
    content: (i64, &str),
    overwrite: bool,
    now: DateTime<Utc>,
) -> Result<Finished, StorageError> {
    let bucket = upload.bucket.parse().map_err(|_| StorageError::Corrupt(format!("the bucket of {}", upload.artifact_id)))?;
    let place = Place { tenant: owner(scope, Some(&upload.tenant_id))?, bucket, path: upload.path.clone() };
    let (size_bytes, sha256) = content;
    let there = find_locked(conn, &place)?;
    if let Some(there) = &there {
        if there.sha256 == sha256 && there.size_bytes == size_bytes {
            doom(conn, upload.id, "uploading", now)?;
            return Ok(Finished::Unchanged(there.clone()));
        }
        if !overwrite {
            return Err(StorageError::conflict("already_exists", exists(&place)));
        }
        require_unused(conn, there)?;
        doom(conn, there.id, "ready", now)?;
    }
    let changes = (
        t::slot.eq(place.slot()),
        t::state.eq("ready"),
        t::size_bytes.eq(size_bytes),
        t::sha256.eq(sha256),
        t::updated_at.eq(Timestamp(now)),
    );
    let own = t::table.find(upload.id).filter(t::state.eq("uploading"));
    let finished = on!(conn, c => diesel::update(own).set(changes).execute(c));
    let finished = finished.map_err(|error| match error {
        diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::UniqueViolation, _) => {
            StorageError::Raced("another upload came to the same place at the same moment")
        }
        other => other.into(),
    })?;
    if finished != 1 {
        return Err(given_up());
    }
    let artifact = find(conn, scope, &place)?;
    Ok(if there.is_some() { Finished::Replaced(artifact) } else { Finished::Created(artifact) })
}

/// What to say when other bytes are at a place.
#[must_use]
pub fn exists(place: &Place) -> String {
    format!("{}/{} holds other bytes already; send them with ?overwrite=true to replace them", place.bucket, place.path)
}

/// Gives an upload up: its bytes are to be removed.
///
/// # Errors
/// As any query.
pub fn give_up(conn: &mut Connection, scope: &Scope, upload: &Artifact, now: DateTime<Utc>) -> Result<(), StorageError> {
    owner(scope, Some(&upload.tenant_id))?;
    doom(conn, upload.id, "uploading", now)
}

fn doom(conn: &mut Connection, id: i64, state: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::slot.eq(None::<String>), t::state.eq("deleting"), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.find(id).filter(t::state.eq(state))).set(changes).execute(c))?;
    Ok(())
}

fn require_unused(conn: &mut Connection, artifact: &Artifact) -> Result<(), StorageError> {
    let id = artifact.artifact_id.as_str();
    let user: Option<(String, i32)> = on!(conn, c => v::table
        .filter(v::config_artifact_id.eq(id).or(v::weights_artifact_id.eq(id)))
        .select((v::adapter_id, v::version))
        .first(c)
        .optional())?;
    match user {
        None => Ok(()),
        Some((adapter, version)) => Err(StorageError::conflict(
            "artifact_in_use",
            format!(
                "version {version} of adapter {adapter:?} is made of {}; remove the version first, or upload to another path",
                artifact.path
            ),
        )),
    }
}

fn find_locked(conn: &mut Connection, place: &Place) -> Result<Option<Artifact>, StorageError> {
    Ok(lock!(conn, t::table.filter(t::slot.eq(place.slot())).select(Artifact::as_select()) => Artifact)?.pop())
}

/// The file at a place.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, place: &Place) -> Result<Artifact, StorageError> {
    let missing = || StorageError::not_found("artifact", format!("{}/{}", place.bucket, place.path));
    owner(scope, Some(&place.tenant)).map_err(|_| missing())?;
    let found: Option<Artifact> =
        on!(conn, c => t::table.filter(t::slot.eq(place.slot())).select(Artifact::as_select()).first(c).optional())?;
    found.ok_or_else(missing)
}

/// Files of a bucket whose paths begin with `prefix`, newest first.
///
/// # Errors
/// As any query, and [`owner`].
pub fn list(
    conn: &mut Connection,
    scope: &Scope,
    tenant: &str,
    bucket: Bucket,
    prefix: &str,
    page: &Page,
) -> Result<Slice<Artifact>, StorageError> {
    let tenant = owner(scope, Some(tenant))?;
    let length = i32::try_from(prefix.len()).unwrap_or(i32::MAX);
    let rows: Vec<Artifact> = on!(conn, c => {
        let mut query = t::table
            .select(Artifact::as_select())
            .filter(t::tenant_id.eq(&tenant).and(t::bucket.eq(bucket.as_ref())).and(t::state.eq("ready")))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        if !prefix.is_empty() {
            query = query.filter(substr(t::path, 1, length).eq(prefix));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Takes a file away from its place; its bytes are to be removed. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`artifact_in_use`).
pub fn remove(conn: &mut Connection, scope: &Scope, place: &Place, now: DateTime<Utc>) -> Result<Artifact, StorageError> {
    let there = find(conn, scope, place)?;
    find_locked(conn, place)?;
    require_unused(conn, &there)?;
    doom(conn, there.id, "ready", now)?;
    Ok(there)
}

/// Uploads whose bytes are to be removed, oldest first: replaced, removed or given up ones, and those not heard of since `silent_since`,
/// which are given up hereby. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn doomed(conn: &mut Connection, silent_since: DateTime<Utc>, now: DateTime<Utc>, limit: i64) -> Result<Vec<Artifact>, StorageError> {
    let silent = t::table.filter(t::state.eq("uploading").and(t::updated_at.lt(Timestamp(silent_since))));
    let changes = (t::state.eq("deleting"), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(silent).set(changes).execute(c))?;
    Ok(on!(conn, c => t::table
        .filter(t::state.eq("deleting"))
        .select(Artifact::as_select())
        .order((t::updated_at, t::id))
        .limit(limit)
        .load(c))?)
}

/// Drops the rows of uploads whose bytes are gone.
///
/// # Errors
/// As any query.
pub fn forget(conn: &mut Connection, ids: &[i64]) -> Result<(), StorageError> {
    let gone = t::table.filter(t::id.eq_any(ids).and(t::state.eq("deleting")));
    on!(conn, c => diesel::delete(gone).execute(c))?;
    Ok(())
}

/// Puts uploads whose bytes could not be removed behind the others that wait for it.
///
/// # Errors
/// As any query.
pub fn postpone(conn: &mut Connection, ids: &[i64], now: DateTime<Utc>) -> Result<(), StorageError> {
    let kept = t::table.filter(t::id.eq_any(ids).and(t::state.eq("deleting")));
    on!(conn, c => diesel::update(kept).set(t::updated_at.eq(Timestamp(now))).execute(c))?;
    Ok(())
}

/// Files whose bytes one store has, those after `after` (0 for the first) in the order in which they came: for moving them to another store.
///
/// # Errors
/// As any query.
pub fn in_store(conn: &mut Connection, store: &str, after: i64, limit: i64) -> Result<Vec<Artifact>, StorageError> {
    let there = t::table.filter(t::store.eq(store).and(t::state.eq("ready")).and(t::id.gt(after)));
    Ok(on!(conn, c => there.select(Artifact::as_select()).order(t::id).limit(limit).load(c))?)
}

/// Notes that another store has the bytes of a file now. False when it was removed or replaced meanwhile: the new bytes belong to nobody then.
///
/// # Errors
/// As any query.
pub fn moved(conn: &mut Connection, artifact: &Artifact, store: &str, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let own = t::table.find(artifact.id).filter(t::store.eq(&artifact.store).and(t::state.eq("ready")));
    let changes = (t::store.eq(store), t::updated_at.eq(Timestamp(now)));
    Ok(on!(conn, c => diesel::update(own).set(changes).execute(c))? == 1)
}
