//! What became of a campaign: who changed what, when and why, with each field before and after. One row for each version.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Campaign, NewCampaign};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::campaign_history as t;
use crate::schema::campaigns;
use crate::types::{Json, Timestamp};

/// Longest reason that is kept, in characters.
pub const MAX_REASON: usize = 1000;
/// Rows of history in one statement: changes are wide, and a statement has a bound.
const ROWS_PER_STATEMENT: usize = 200;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Written for the first time.
    Create,
    /// Written for the first time, as a copy.
    Clone,
    /// Fields were changed.
    Update,
    /// Moved to another state.
    Transition,
    /// Changed together with others.
    Bulk,
    /// Read from a file.
    Import,
    /// A plan was chosen.
    Allocate,
    /// A creative was added, changed or taken away.
    Creatives,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Clone => "clone",
            Self::Update => "update",
            Self::Transition => "transition",
            Self::Bulk => "bulk",
            Self::Import => "import",
            Self::Allocate => "allocate",
            Self::Creatives => "creatives",
        }
    }
}

/// What a write is for; without one nobody writes a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    action: Action,
    reason: Option<String>,
}

impl Change {
    /// Of a kind, without a stated reason.
    #[must_use]
    pub fn of(action: Action) -> Self {
        Self { action, reason: None }
    }

    /// With the reason that was stated, cut to [`MAX_REASON`] characters.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(|reason| reason.chars().take(MAX_REASON).collect());
        self
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct HistoryEntry {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The version that the change made.
    pub version: i32,
    /// Who: an account, a key, or `system:what for`.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// A word of [`Action`].
    pub action: String,
    /// Why, when it was said.
    pub reason: Option<String>,
    /// `{field: {before, after}}` of what differs.
    pub changes: Json,
    /// When.
    pub created_at: Timestamp,
}

/// The changes of a campaign that was found in this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, campaign: &Campaign, page: &Page) -> Result<Slice<HistoryEntry>, StorageError> {
    if !scope.may_see(Some(&campaign.tenant_id)) {
        return Err(StorageError::not_found("campaign", &campaign.campaign_id));
    }
    let rows: Vec<HistoryEntry> = on!(conn, c => {
        let mut query = t::table
            .filter(t::tenant_id.eq(&campaign.tenant_id).and(t::campaign.eq(campaign.id)))
            .select(HistoryEntry::as_select())
            .order(t::version.desc())
            .limit(page.fetch())
            .into_boxed();
        if let Some(after) = page.after {
            query = query.filter(t::version.lt(i32::try_from(after).unwrap_or(i32::MAX)));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| i64::from(row.version)))
}

/// What differs between two states, field by field; against `None` everything that is stated.
pub(super) fn difference(before: Option<&NewCampaign>, after: &NewCampaign) -> Result<Map<String, Value>, StorageError> {
    let fields = |campaign: &NewCampaign| match serde_json::to_value(campaign) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(StorageError::Corrupt("a campaign is not an object".to_owned())),
        Err(error) => Err(StorageError::Corrupt(error.to_string())),
    };
    let old = before.map(fields).transpose()?.unwrap_or_default();
    let mut changes = Map::new();
    for (name, after) in fields(after)? {
        let before = old.get(&name).unwrap_or(&Value::Null);
        if *before != after {
            changes.insert(name, json!({"before": before, "after": after}));
        }
    }
    Ok(changes)
}

/// Writes one change.
pub(super) fn record(
    conn: &mut Connection,
    scope: &Scope,
    row: &Campaign,
    version: i32,
    change: &Change,
    changes: Map<String, Value>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let entry = entry(scope, row.id, &row.tenant_id, version, change, changes, now);
    on!(conn, c => diesel::insert_into(t::table).values(entry).execute(c))?;
    Ok(())
}

/// Writes the first change of campaigns that were inserted in this transaction.
pub(super) fn record_new(
    conn: &mut Connection,
    scope: &Scope,
    new: &[NewCampaign],
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    for chunk in new.chunks(ROWS_PER_STATEMENT) {
        let tenants: BTreeSet<&str> = chunk.iter().map(|one| one.tenant_id.as_str()).collect();
        let ids: BTreeSet<&str> = chunk.iter().map(|one| one.campaign_id.as_str()).collect();
        let stored: Vec<(i64, String, String)> = on!(conn, c => campaigns::table
            .filter(campaigns::tenant_id.eq_any(&tenants).and(campaigns::campaign_id.eq_any(&ids)))
            .select((campaigns::id, campaigns::tenant_id, campaigns::campaign_id))
            .load(c))?;
        let keys: HashMap<(&str, &str), i64> =
            stored.iter().map(|(id, tenant, campaign)| ((tenant.as_str(), campaign.as_str()), *id)).collect();
        let mut rows = Vec::with_capacity(chunk.len());
        for one in chunk {
            let id = keys.get(&(one.tenant_id.as_str(), one.campaign_id.as_str())).copied();
            let id =
                id.ok_or_else(|| StorageError::Corrupt(format!("campaign {:?} is not there after it was inserted", one.campaign_id)))?;
            rows.push(entry(scope, id, &one.tenant_id, 1, change, difference(None, one)?, now));
        }
        on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?;
    }
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct NewEntry {
    campaign: i64,
    tenant_id: String,
    version: i32,
    actor: String,
    role: String,
    action: String,
    reason: Option<String>,
    changes: Json,
    created_at: Timestamp,
}

fn entry(
    scope: &Scope,
    campaign: i64,
    tenant_id: &str,
    version: i32,
    change: &Change,
    changes: Map<String, Value>,
    now: DateTime<Utc>,
) -> NewEntry {
    NewEntry {
        campaign,
        tenant_id: tenant_id.to_owned(),
        version,
        actor: scope.actor().chars().take(200).collect(),
        role: scope.role().to_string(),
        action: change.action.word().to_owned(),
        reason: change.reason.clone(),
        changes: Json(Value::Object(changes)),
        created_at: Timestamp(now),
    }
}
