//! Experiments: their definition, where they stand, and what they found. The public id is unique within its tenant.

pub mod observations;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::schema::{campaigns, experiments as t};
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// A stored experiment.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Experiment {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id, unique within its tenant.
    pub experiment_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Primary key of the campaign it is about.
    #[serde(skip)]
    pub campaign: Option<i64>,
    /// Name.
    pub name: String,
    /// What is expected, in words.
    pub hypothesis: Option<String>,
    /// `ab`, `geo` or `switchback`.
    pub design: String,
    /// `draft`, `running`, `concluded` or `archived`.
    pub status: String,
    /// What the hash of assignments is salted with.
    pub salt: String,
    /// What is compared, with whom, for how long.
    pub definition: Json,
    /// SHA-256 of the frozen definition; absent in a draft.
    pub definition_hash: Option<String>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it was concluded.
    pub concluded_at: Option<Timestamp>,
    /// What was found.
    pub result: Option<Json>,
    /// SHA-256 of what the result was computed from.
    pub inputs_hash: Option<String>,
    /// Why it was concluded so, or put away.
    pub status_reason: Option<String>,
    /// Grows by one with each change.
    pub version: i32,
    /// Who made it.
    pub created_by: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// All that can be written of an experiment; the fields are those of [`Experiment`].
#[derive(Debug, Clone, PartialEq, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewExperiment {
    pub experiment_id: String,
    pub tenant_id: String,
    pub campaign: Option<i64>,
    pub name: String,
    pub hypothesis: Option<String>,
    pub design: String,
    pub status: String,
    pub salt: String,
    pub definition: Json,
    pub definition_hash: Option<String>,
    pub started_at: Option<Timestamp>,
    pub concluded_at: Option<Timestamp>,
    pub result: Option<Json>,
    pub inputs_hash: Option<String>,
    pub status_reason: Option<String>,
    pub created_by: String,
}

impl From<Experiment> for NewExperiment {
    fn from(row: Experiment) -> Self {
        Self {
            experiment_id: row.experiment_id,
            tenant_id: row.tenant_id,
            campaign: row.campaign,
            name: row.name,
            hypothesis: row.hypothesis,
            design: row.design,
            status: row.status,
            salt: row.salt,
            definition: row.definition,
            definition_hash: row.definition_hash,
            started_at: row.started_at,
            concluded_at: row.concluded_at,
            result: row.result,
            inputs_hash: row.inputs_hash,
            status_reason: row.status_reason,
            created_by: row.created_by,
        }
    }
}

/// Which experiments a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentFilter {
    /// Only those of a tenant (within what the scope may see).
    pub tenant_id: Option<String>,
    /// Only those about a campaign, by primary key.
    pub campaign: Option<i64>,
    /// Only those in a state.
    pub status: Option<String>,
    /// Only those of a design.
    pub design: Option<String>,
}

/// Stores an experiment.
///
/// # Errors
/// [`StorageError::Invalid`] for a tenant that the scope may not act for; [`StorageError::Conflict`] (`already_exists`).
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewExperiment, now: DateTime<Utc>) -> Result<Experiment, StorageError> {
    if !scope.may_see(Some(&new.tenant_id)) {
        return Err(domain::invalid::Invalid::one("tenant_id", "is not your tenant; leave it out").into());
    }
    let row = (new, t::version.eq(1), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("already_exists", || format!("experiment {:?} exists already", new.experiment_id))?;
    find(conn, &scope.narrowed_to(&new.tenant_id), &new.experiment_id)
}

/// One experiment of this scope.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] when the scope sees all tenants and several have this id.
pub fn find(conn: &mut Connection, scope: &Scope, experiment_id: &str) -> Result<Experiment, StorageError> {
    let mut rows: Vec<Experiment> = on!(conn, c => {
        let mut query =
            t::table.filter(t::experiment_id.eq(experiment_id)).select(Experiment::as_select()).order(t::id).limit(2).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    if rows.len() > 1 {
        let why = format!("several tenants have an experiment {experiment_id:?}; ask with a key of one tenant");
        return Err(StorageError::conflict("conflict", why));
    }
    rows.pop().ok_or_else(|| StorageError::not_found("experiment", experiment_id))
}

/// [`find`], holding the row until the transaction ends, so that its state cannot change under what is written beside it.
///
/// # Errors
/// As [`find`].
pub fn find_locked(conn: &mut Connection, scope: &Scope, experiment_id: &str) -> Result<Experiment, StorageError> {
    let found = find(conn, scope, experiment_id)?;
    let mut rows = lock!(conn, t::table.find(found.id).select(Experiment::as_select()) => Experiment)?;
    rows.pop().ok_or_else(|| StorageError::not_found("experiment", experiment_id))
}

/// Experiments of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &ExperimentFilter, page: &Page) -> Result<Slice<Experiment>, StorageError> {
    let rows: Vec<Experiment> = on!(conn, c => {
        let mut query = t::table.select(Experiment::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        for tenant in [scope.tenant(), filter.tenant_id.as_deref()].into_iter().flatten() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(campaign) = filter.campaign {
            query = query.filter(t::campaign.eq(campaign));
        }
        if let Some(status) = &filter.status {
            query = query.filter(t::status.eq(status));
        }
        if let Some(design) = &filter.design {
            query = query.filter(t::design.eq(design));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Public ids of the campaigns of these experiments by primary key, in one query whatever their number; those of other tenants are absent.
///
/// # Errors
/// As any query.
pub fn campaign_ids(conn: &mut Connection, scope: &Scope, rows: &[Experiment]) -> Result<HashMap<i64, String>, StorageError> {
    let keys: Vec<i64> = rows.iter().filter_map(|row| row.campaign).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(i64, String)> = on!(conn, c => {
        let mut query = campaigns::table.filter(campaigns::id.eq_any(keys)).select((campaigns::id, campaigns::campaign_id)).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(campaigns::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    Ok(found.into_iter().collect())
}

/// Replaces what is stored of an experiment that was read as `row`; id, tenant, salt and maker stay, the version grows by one.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`) when somebody changed it since it was read.
pub fn update(
    conn: &mut Connection,
    scope: &Scope,
    row: &Experiment,
    new: &NewExperiment,
    now: DateTime<Utc>,
) -> Result<Experiment, StorageError> {
    let kept = NewExperiment {
        experiment_id: row.experiment_id.clone(),
        tenant_id: row.tenant_id.clone(),
        salt: row.salt.clone(),
        created_by: row.created_by.clone(),
        ..new.clone()
    };
    let unchanged = t::table.filter(t::id.eq(row.id).and(t::version.eq(row.version)));
    let changes = (&kept, t::version.eq(row.version.saturating_add(1)), t::updated_at.eq(Timestamp(now)));
    let changed = on!(conn, c => diesel::update(unchanged).set(changes).execute(c))?;
    if changed == 0 || !scope.may_see(Some(&row.tenant_id)) {
        return Err(StorageError::conflict("stale", format!("experiment {:?} was changed since it was read", row.experiment_id)));
    }
    find(conn, &scope.narrowed_to(&row.tenant_id), &row.experiment_id)
}
