//! Versions of LoRA adapters: which two artifacts each is made of, what was found in them, and how what the adapter wrote was judged.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::{count_star, max, sum};
use diesel::prelude::*;
use domain::artifact::PLATFORM;
use domain::scope::Scope;
use serde::Serialize;

use crate::artifacts::{self, Artifact, owner};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::{adapter_versions as t, artifacts as a, rating_tasks as k};
use crate::types::{Json, Timestamp};

/// One version of an adapter.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct AdapterVersion {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Whose it is; `@platform` is the platform's own.
    pub tenant_id: String,
    /// The adapter, by the name that rating tasks have.
    pub adapter_id: String,
    /// 1 for the first.
    pub version: i32,
    /// The folder in `model-artifacts` that has its files.
    pub path: String,
    /// The model that it changes.
    pub base_model: String,
    /// Rank of its matrices.
    pub lora_rank: i32,
    /// By what their product is scaled, over the rank.
    pub lora_alpha: f64,
    /// Numbers in it.
    pub parameters_count: i64,
    /// What else was found in its files.
    pub details: Json,
    /// The artifact of its configuration.
    pub config_artifact_id: String,
    /// The artifact of its weights.
    pub weights_artifact_id: String,
    /// For the reader.
    pub note: Option<String>,
    /// Who registered it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// A version to register; its number is found here.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewVersion {
    pub tenant_id: String,
    pub adapter_id: String,
    pub path: String,
    pub base_model: String,
    pub lora_rank: i32,
    pub lora_alpha: f64,
    pub parameters_count: i64,
    pub details: Json,
    pub config: Artifact,
    pub weights: Artifact,
    pub note: Option<String>,
}

/// An adapter with its newest version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adapter {
    /// The newest version.
    #[serde(flatten)]
    pub newest: AdapterVersion,
    /// How many versions there are.
    pub versions_count: i64,
    /// What it wrote and how that was judged.
    pub tasks: TaskCounts,
}

/// Rating tasks whose candidates an adapter wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    /// All of them.
    pub total: i64,
    /// Those with a final answer.
    pub decided: i64,
    /// Judgments of them.
    pub judgments: i64,
}

/// Registers the next version of an adapter. Call it in a transaction.
///
/// # Errors
/// [`StorageError::Conflict`] (`conflict`) when an artifact was replaced meanwhile; as [`owner`].
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewVersion, now: DateTime<Utc>) -> Result<AdapterVersion, StorageError> {
    let tenant = owner(scope, Some(&new.tenant_id))?;
    let files = [new.config.artifact_id.as_str(), new.weights.artifact_id.as_str()];
    // Held until the end of the transaction, so that nobody replaces what the version is about to be made of.
    let ready: Vec<String> = crate::lock!(conn, a::table.filter(a::artifact_id.eq_any(files).and(a::state.eq("ready"))).order(a::id).select(a::artifact_id) => String)?;
    if ready.len() != files.len() {
        return Err(StorageError::conflict("conflict", "the files were replaced while they were looked at; register again"));
    }
    let same = t::table.filter(t::tenant_id.eq(&tenant).and(t::adapter_id.eq(&new.adapter_id)));
    let newest: Option<i32> = on!(conn, c => same.select(max(t::version)).first(c))?;
    let version = newest.unwrap_or(0) + 1;
    let row = (
        t::tenant_id.eq(&tenant),
        t::adapter_id.eq(&new.adapter_id),
        t::version.eq(version),
        t::path.eq(&new.path),
        t::base_model.eq(&new.base_model),
        t::lora_rank.eq(new.lora_rank),
        t::lora_alpha.eq(new.lora_alpha),
        t::parameters_count.eq(new.parameters_count),
        t::details.eq(new.details.clone()),
        t::config_artifact_id.eq(&new.config.artifact_id),
        t::weights_artifact_id.eq(&new.weights.artifact_id),
        t::note.eq(new.note.as_deref()),
        t::created_by.eq(scope.actor()),
        t::created_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("conflict", || "another version was registered at the same moment; register again".to_owned())?;
    find(conn, scope, &tenant, &new.adapter_id, version)
}

/// The version that is made of exactly these files, so that registering them again makes no second one.
///
/// # Errors
/// As any query.
pub fn find_same(conn: &mut Connection, new: &NewVersion) -> Result<Option<AdapterVersion>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::tenant_id.eq(&new.tenant_id).and(t::adapter_id.eq(&new.adapter_id)))
        .filter(t::config_artifact_id.eq(&new.config.artifact_id).and(t::weights_artifact_id.eq(&new.weights.artifact_id)))
        .select(AdapterVersion::as_select())
        .first(c)
        .optional())?)
}

/// One version.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, tenant: &str, adapter_id: &str, version: i32) -> Result<AdapterVersion, StorageError> {
    let missing = || StorageError::not_found("adapter version", format!("{adapter_id}/{version}"));
    let tenant = owner(scope, Some(tenant)).map_err(|_| missing())?;
    let found: Option<AdapterVersion> = on!(conn, c => t::table
        .filter(t::tenant_id.eq(&tenant).and(t::adapter_id.eq(adapter_id)).and(t::version.eq(version)))
        .select(AdapterVersion::as_select())
        .first(c)
        .optional())?;
    found.ok_or_else(missing)
}

/// All versions of an adapter, newest first.
///
/// # Errors
/// [`StorageError::NotFound`] when there are none.
pub fn versions(conn: &mut Connection, scope: &Scope, tenant: &str, adapter_id: &str) -> Result<Vec<AdapterVersion>, StorageError> {
    let missing = || StorageError::not_found("adapter", adapter_id);
    let tenant = owner(scope, Some(tenant)).map_err(|_| missing())?;
    let found: Vec<AdapterVersion> = on!(conn, c => t::table
        .filter(t::tenant_id.eq(&tenant).and(t::adapter_id.eq(adapter_id)))
        .order(t::version.desc())
        .limit(500)
        .select(AdapterVersion::as_select())
        .load(c))?;
    if found.is_empty() { Err(missing()) } else { Ok(found) }
}

/// The spaces that have adapters, in their order, at most 500; without the platform's own. For the platform, which sees them all.
///
/// # Errors
/// As any query.
pub fn spaces(conn: &mut Connection, scope: &Scope) -> Result<Vec<String>, StorageError> {
    if scope.tenant().is_some() {
        return Ok(Vec::new());
    }
    Ok(on!(conn, c => t::table
        .filter(t::tenant_id.ne(PLATFORM))
        .select(t::tenant_id)
        .distinct()
        .order(t::tenant_id)
        .limit(500)
        .load(c))?)
}

/// Adapters with their newest versions, those with the newest version first.
///
/// # Errors
/// As any query, and [`owner`].
pub fn list(conn: &mut Connection, scope: &Scope, tenant: &str, page: &Page) -> Result<Slice<Adapter>, StorageError> {
    let tenant = owner(scope, Some(tenant))?;
    let later = diesel::alias!(crate::schema::adapter_versions as later);
    let newer = later
        .filter(later.field(t::tenant_id).eq(t::tenant_id))
        .filter(later.field(t::adapter_id).eq(t::adapter_id))
        .filter(later.field(t::version).gt(t::version));
    let rows: Vec<AdapterVersion> = on!(conn, c => {
        let mut query = t::table
            .select(AdapterVersion::as_select())
            .filter(t::tenant_id.eq(&tenant).and(diesel::dsl::not(diesel::dsl::exists(newer))))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    let slice = Slice::cut(rows, page, |row| row.id);
    let names: Vec<&str> = slice.rows.iter().map(|row| row.adapter_id.as_str()).collect();
    let counted: Vec<(String, i64)> = on!(conn, c => t::table
        .filter(t::tenant_id.eq(&tenant).and(t::adapter_id.eq_any(&names)))
        .group_by(t::adapter_id)
        .select((t::adapter_id, count_star()))
        .load(c))?;
    let counted: HashMap<String, i64> = counted.into_iter().collect();
    let tasks = count_tasks(conn, scope, &names)?;
    Ok(slice.map(|newest| Adapter {
        versions_count: counted.get(&newest.adapter_id).copied().unwrap_or(0),
        tasks: tasks.get(&newest.adapter_id).copied().unwrap_or_default(),
        newest,
    }))
}

/// Tasks of this scope whose candidates these adapters wrote, without golden ones.
///
/// # Errors
/// As any query.
pub fn count_tasks(conn: &mut Connection, scope: &Scope, adapters: &[&str]) -> Result<HashMap<String, TaskCounts>, StorageError> {
    let rows: Vec<(Option<String>, String, i64, Option<i64>)> = on!(conn, c => {
        let query = k::table
            .filter(k::adapter_id.eq_any(adapters).and(k::is_golden.eq(false)))
            .group_by((k::adapter_id, k::status))
            .select((k::adapter_id, k::status, count_star(), sum(k::judgments_count)));
        match scope.tenant() {
            Some(tenant) => query.filter(k::tenant_id.eq(tenant)).load(c),
            None => query.load(c),
        }
    })?;
    let mut counts: HashMap<String, TaskCounts> = HashMap::new();
    for (adapter, status, n, judgments) in rows {
        let counts = counts.entry(adapter.unwrap_or_default()).or_default();
        counts.total += n;
        counts.judgments += judgments.unwrap_or(0);
        if matches!(status.as_str(), "completed" | "validated") {
            counts.decided += n;
        }
    }
    Ok(counts)
}

/// Removes a version; its files stay where they are and may be removed then.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn remove(conn: &mut Connection, scope: &Scope, tenant: &str, adapter_id: &str, version: i32) -> Result<AdapterVersion, StorageError> {
    let found = find(conn, scope, tenant, adapter_id, version)?;
    on!(conn, c => diesel::delete(t::table.find(found.id)).execute(c))?;
    Ok(found)
}

/// The file of this name beside a version's others.
///
/// # Errors
/// As [`artifacts::find`].
pub fn file(conn: &mut Connection, scope: &Scope, folder: &artifacts::Place, name: &str) -> Result<Artifact, StorageError> {
    let path = format!("{}/{name}", folder.path);
    artifacts::find(conn, scope, &artifacts::Place { path, ..folder.clone() })
}
