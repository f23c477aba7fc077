//! The audit log: who decided what. Each row holds the hash of itself and of the row before it, and one row elsewhere holds the end of the
//! chain, so that a row that is changed, taken out, put in or cut off shows. Rows are added in the transaction of what they tell.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::{audit_chain as e, audit_log as t};
use crate::types::Timestamp;
use crate::{lock, on};

/// Rows read at once when the chain is walked.
const WALKED_AT_ONCE: i64 = 1_000;

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct AuditEntry {
    /// Place in the chain, from 1 without gaps.
    pub number: i64,
    /// Whose it is; `None` is the platform's.
    pub tenant_id: Option<String>,
    /// Who decided: an account, a key, or `system:reason`.
    pub actor: String,
    /// What was done, such as `reward_model.activated`.
    pub action: String,
    /// About what, as `kind:id`.
    pub subject: String,
    /// The particulars: a JSON document as it was hashed.
    pub detail: String,
    /// Hash of the row before; empty for the first.
    pub previous_hash: String,
    /// SHA-256 of this row and `previous_hash`.
    pub hash: String,
    /// When.
    pub created_at: Timestamp,
}

/// A decision to write down.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What was done.
    pub action: &'static str,
    /// About what, as `kind:id`.
    pub subject: String,
    /// The particulars.
    pub detail: Value,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this action.
    pub action: Option<String>,
    /// About this, as `kind:id`.
    pub subject: Option<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// From this instant.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// What a walk along the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every row follows from the one before it, to the end.
    Whole {
        /// How many.
        entries: i64,
    },
    /// It does not.
    Broken {
        /// The first row that does not fit.
        number: i64,
        /// What is wrong with it.
        why: String,
    },
}

/// A row about something of nobody's, or of a tenant's, in one line: `action` on `subject` with `detail`.
#[must_use]
pub fn entry(tenant_id: Option<&str>, action: &'static str, subject: String, detail: Value) -> NewEntry {
    NewEntry { tenant_id: tenant_id.map(str::to_owned), action, subject, detail }
}

/// Adds a row; call it late in the transaction of what it tells, because nobody else adds one until that ends.
///
/// # Errors
/// As any query.
pub fn append(conn: &mut Connection, scope: &Scope, new: &NewEntry, now: DateTime<Utc>) -> Result<i64, StorageError> {
    let ends: Vec<(i64, i64, String)> =
        lock!(conn, e::table.order(e::id).limit(1).select((e::id, e::number, e::hash)) => (i64, i64, String))?;
    let (id, last, previous_hash) =
        ends.into_iter().next().ok_or_else(|| StorageError::Corrupt("the end of the audit log's chain is missing".to_owned()))?;
    let number = last + 1;
    let detail = new.detail.to_string();
    let hash = hash_of(number, &previous_hash, new.tenant_id.as_deref(), scope.actor(), new.action, &new.subject, &detail, now);
    let row = (
        t::number.eq(number),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::actor.eq(scope.actor()),
        t::action.eq(new.action),
        t::subject.eq(&new.subject),
        t::detail.eq(&detail),
        t::previous_hash.eq(&previous_hash),
        t::hash.eq(&hash),
        t::created_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    let end = (e::number.eq(number), e::hash.eq(&hash), e::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(e::table.find(id)).set(end).execute(c))?;
    Ok(number)
}

#[expect(clippy::too_many_arguments, reason = "the parts of a row, hashed in this order and nowhere else")]
fn hash_of(
    number: i64,
    previous: &str,
    tenant: Option<&str>,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
    at: DateTime<Utc>,
) -> String {
    let parts = json!([number, previous, tenant, actor, action, subject, detail, at.timestamp_micros()]);
    Sha256::digest(parts.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rows of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &AuditFilter, page: &Page) -> Result<Slice<AuditEntry>, StorageError> {
    let rows: Vec<AuditEntry> = on!(conn, c => {
        let mut query = t::table.select(AuditEntry::as_select()).order(t::number.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(action) = &filter.action {
            query = query.filter(t::action.eq(action));
        }
        if let Some(subject) = &filter.subject {
            query = query.filter(t::subject.eq(subject));
        }
        if let Some(actor) = &filter.actor {
            query = query.filter(t::actor.eq(actor));
        }
        if let Some(from) = filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        if let Some(after) = page.after {
            query = query.filter(t::number.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.number))
}

/// Walks the whole chain.
///
/// # Errors
/// As any query.
pub fn verify(conn: &mut Connection) -> Result<Chain, StorageError> {
    let broken = |number: i64, why: &str| Ok(Chain::Broken { number, why: why.to_owned() });
    // First, so that rows added meanwhile are more than it knows and none is missed.
    let end: Option<(i64, String)> = on!(conn, c => e::table.order(e::id).select((e::number, e::hash)).first(c).optional())?;
    let Some((last, last_hash)) = end else { return broken(0, "the end of the chain is missing") };
    let (mut number, mut hash) = (0_i64, String::new());
    while number < last {
        let rows: Vec<AuditEntry> = on!(conn, c => t::table
            .filter(t::number.gt(number).and(t::number.le(last)))
            .order(t::number)
            .limit(WALKED_AT_ONCE)
            .select(AuditEntry::as_select())
            .load(c))?;
        if rows.is_empty() {
            return broken(number + 1, "it and all after it are missing");
        }
        for row in rows {
            if row.number != number + 1 {
                return broken(number + 1, "it is missing");
            }
            if row.previous_hash != hash {
                return broken(row.number, "it does not follow from the row before it");
            }
            let tenant = row.tenant_id.as_deref();
            let wanted = hash_of(row.number, &hash, tenant, &row.actor, &row.action, &row.subject, &row.detail, row.created_at.0);
            if row.hash != wanted {
                return broken(row.number, "it was changed after it was written");
            }
            (number, hash) = (row.number, row.hash);
        }
    }
    if hash != last_hash {
        return broken(number, "it is not the row that the end of the chain names");
    }
    let beyond: i64 = on!(conn, c => t::table.filter(t::number.le(0)).count().get_result(c))?;
    if beyond > 0 {
        return broken(0, "there are rows before the first");
    }
    Ok(Chain::Whole { entries: number })
}
