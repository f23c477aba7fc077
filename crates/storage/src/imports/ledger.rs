//! Which files were loaded, by content.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;

use super::{Outcome, Table};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::imports as t;
use crate::types::{Json, Timestamp};

/// A file that was loaded.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct LoadedFile {
    /// Public id.
    pub import_id: String,
    /// Into which table.
    pub table_name: String,
    /// SHA-256 of its bytes and the tenant.
    pub content_hash: String,
    /// Rows read.
    pub received: i64,
    /// When.
    pub created_at: Timestamp,
}

/// The load of this content, when it was finished without a rejected row.
///
/// # Errors
/// As any query.
pub fn find_finished(conn: &mut Connection, table: Table, content_hash: &str) -> Result<Option<LoadedFile>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::table_name.eq(table.name()).and(t::content_hash.eq(content_hash)))
        .filter(t::state.eq("finished").and(t::rejected.eq(0)))
        .select(LoadedFile::as_select())
        .first(c)
        .optional())?)
}

/// Notes a finished load.
pub(super) fn record(
    conn: &mut Connection,
    table: Table,
    content_hash: &str,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let row = (
        (t::import_id.eq(domain::id::new("imp")), t::table_name.eq(table.name()), t::content_hash.eq(content_hash)),
        (t::state.eq("finished"), t::received.eq(whole(outcome.received)), t::inserted.eq(whole(outcome.inserted))),
        (t::updated.eq(whole(outcome.updated)), t::unchanged.eq(whole(outcome.unchanged)), t::rejected.eq(whole(outcome.rejected))),
        (t::errors.eq(Json(serde_json::json!(outcome.errors))), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    Ok(())
}
