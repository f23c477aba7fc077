//! The history of imports: a row for each, with counts, a checkpoint and the rows that were not taken.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::json;

use super::hold::Hold;
use super::{OnError, Outcome, Request, RowError, Table};
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::on;
use crate::outbox::{self, Destination, NewEvent};
use crate::page::{Page, Slice};
use crate::schema::{import_errors as e, imports as t};
use crate::store;
use crate::types::{Json, Timestamp};

/// An import, running or done.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Import {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub import_id: String,
    /// Into which table.
    #[serde(rename = "table")]
    pub table_name: String,
    /// `queued`, `running`, `finished` or `failed`.
    pub state: String,
    /// SHA-256 of the file, the tenant, the table and all that changes what becomes of the file.
    pub content_hash: String,
    /// In whose name; null for the platform.
    pub tenant_id: Option<String>,
    /// Who asked.
    pub created_by: String,
    /// Whose mapping was used.
    pub retailer_id: Option<String>,
    /// `abort` or `skip`.
    pub on_error: String,
    /// Whether nothing was to be kept.
    #[serde(rename = "dry_run")]
    pub is_dry_run: bool,
    /// How often it was begun; with `skip` each begins where the one before stopped.
    pub attempts: i32,
    /// Rows read; with `skip` the checkpoint: the rows before it are settled.
    pub received: i64,
    /// New rows.
    pub inserted: i64,
    /// Rows that were there and changed.
    pub updated: i64,
    /// Rows that were there, equal.
    pub unchanged: i64,
    /// Rows that were not taken.
    pub rejected: i64,
    /// The first hundred of them.
    pub errors: Json,
    /// Columns that nothing took.
    pub ignored_columns: Json,
    /// Why it failed.
    pub message: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A row that was not taken, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = e)]
pub struct StoredError {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Line of the file, from 1; the header of a CSV file is line 1. In Parquet the number of the row.
    pub line: i64,
    /// Our field, or empty when the whole row is meant.
    pub field: String,
    /// The column of the file.
    #[serde(rename = "column")]
    pub source_column: String,
    /// What is wrong.
    pub message: String,
}

/// Which imports are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportFilter {
    /// Into this table.
    pub table: Option<String>,
    /// In this state.
    pub state: Option<String>,
}

/// One import of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, import_id: &str) -> Result<Import, StorageError> {
    let found: Option<Import> =
        on!(conn, c => t::table.filter(t::import_id.eq(import_id)).select(Import::as_select()).first(c).optional())?;
    found.filter(|row| scope.may_see(row.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("import", import_id))
}

/// Imports of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &ImportFilter, page: &Page) -> Result<Slice<Import>, StorageError> {
    let rows: Vec<Import> = on!(conn, c => {
        let mut query = t::table.select(Import::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(table) = &filter.table {
            query = query.filter(t::table_name.eq(table));
        }
        if let Some(state) = &filter.state {
            query = query.filter(t::state.eq(state));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Rows of an import that were not taken, in the order of the file; the first [`super::MAX_REPORTED`] are kept.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn errors(conn: &mut Connection, scope: &Scope, import_id: &str, page: &Page) -> Result<Slice<StoredError>, StorageError> {
    let import = find(conn, scope, import_id)?.id;
    let rows: Vec<StoredError> = on!(conn, c => {
        let mut query = e::table.filter(e::import.eq(import)).select(StoredError::as_select()).order(e::id).limit(page.fetch()).into_boxed();
        if let Some(after) = page.after {
            query = query.filter(e::id.gt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// The load of this content, when it was finished without a rejected row.
///
/// # Errors
/// As any query.
pub fn find_finished(conn: &mut Connection, table: Table, content_hash: &str) -> Result<Option<Import>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::table_name.eq(table.name()).and(t::content_hash.eq(content_hash)))
        .filter(t::state.eq("finished").and(t::rejected.eq(0)).and(t::is_dry_run.eq(false)))
        .order(t::id.desc())
        .select(Import::as_select()).first(c).optional())?)
}

/// The newest import of this content that did not end well.
pub(super) fn find_unfinished(conn: &mut Connection, table: Table, content_hash: &str) -> Result<Option<Import>, StorageError> {
    let newest: Option<Import> = on!(conn, c => t::table
        .filter(t::table_name.eq(table.name()).and(t::content_hash.eq(content_hash)))
        .order(t::id.desc())
        .select(Import::as_select()).first(c).optional())?;
    Ok(newest.filter(|row| row.state != "finished"))
}

/// Notes that an import begins: as a new row, or as another attempt at one that stopped at a checkpoint.
pub(super) fn begin(
    conn: &mut Connection,
    scope: &Scope,
    request: &Request,
    content_hash: &str,
    state: &str,
    now: DateTime<Utc>,
) -> Result<Import, StorageError> {
    let stopped = find_unfinished(conn, request.table, content_hash)?;
    let import_id = match stopped {
        Some(row) if request.on_error == OnError::Skip && !request.is_dry_run => {
            let changes = (
                (t::state.eq(state), t::attempts.eq(row.attempts + 1), t::created_by.eq(scope.actor())),
                (t::message.eq(None::<String>), t::finished_at.eq(None::<Timestamp>), t::updated_at.eq(Timestamp(now))),
            );
            on!(conn, c => diesel::update(t::table.find(row.id)).set(changes).execute(c))?;
            row.import_id
        }
        other => {
            if let Some(row) = other.filter(|row| row.state != "failed") {
                fail(conn, &row, "the process that ran it ended; nothing of it was kept", now)?;
            }
            let import_id = domain::id::new("imp");
            let on_error = if request.on_error == OnError::Skip { "skip" } else { "abort" };
            let row = (
                (t::import_id.eq(&import_id), t::table_name.eq(request.table.name()), t::content_hash.eq(content_hash)),
                (t::state.eq(state), t::received.eq(0), t::inserted.eq(0), t::updated.eq(0), t::unchanged.eq(0), t::rejected.eq(0)),
                (t::errors.eq(Json(json!([]))), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now))),
                (t::tenant_id.eq(scope.tenant()), t::created_by.eq(scope.actor()), t::retailer_id.eq(request.retailer_id.as_deref())),
                (t::on_error.eq(on_error), t::is_dry_run.eq(request.is_dry_run), t::attempts.eq(1), t::ignored_columns.eq(Json(json!([])))),
            );
            on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
            import_id
        }
    };
    let import = find(conn, &Scope::system("imports"), &import_id)?;
    tell(conn, &import, "import_progressed", now)?;
    Ok(import)
}

/// What an outcome says of a row: counts, errors, ignored columns.
fn counts(import: &Import, outcome: &Outcome) -> Import {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Import {
        received: whole(outcome.received),
        inserted: whole(outcome.inserted),
        updated: whole(outcome.updated),
        unchanged: whole(outcome.unchanged),
        rejected: whole(outcome.rejected),
        errors: Json(json!(outcome.errors)),
        ignored_columns: Json(json!(outcome.ignored_columns)),
        ..import.clone()
    }
}

/// Notes how far an import came, and tells it; call it in the transaction that makes it true.
pub(super) fn progress(conn: &mut Connection, import: &Import, outcome: &Outcome, now: DateTime<Utc>) -> Result<(), StorageError> {
    let row = Import { state: "running".to_owned(), ..counts(import, outcome) };
    save(conn, &row, now)?;
    tell(conn, &row, "import_progressed", now)
}

/// Notes the end of an import, and tells it.
pub(super) fn finish(
    conn: &mut Connection,
    import: &Import,
    outcome: &Outcome,
    state: &str,
    message: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = Import {
        state: state.to_owned(),
        message: message.map(|text| text.chars().take(1000).collect()),
        finished_at: Some(Timestamp(now)),
        ..counts(import, outcome)
    };
    save(conn, &row, now)?;
    tell(conn, &row, "import_finished", now)
}

/// Notes that an import ended badly; its counts stay those of the last checkpoint.
pub(super) fn fail(conn: &mut Connection, import: &Import, message: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let stored = find(conn, &Scope::system("imports"), &import.import_id)?;
    let message = message.chars().take(1000).collect();
    let row = Import { state: "failed".to_owned(), message: Some(message), finished_at: Some(Timestamp(now)), ..stored };
    save(conn, &row, now)?;
    tell(conn, &row, "import_finished", now)
}

fn save(conn: &mut Connection, row: &Import, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (
        (t::state.eq(&row.state), t::received.eq(row.received), t::inserted.eq(row.inserted), t::updated.eq(row.updated)),
        (
            t::unchanged.eq(row.unchanged),
            t::rejected.eq(row.rejected),
            t::errors.eq(&row.errors),
            t::ignored_columns.eq(&row.ignored_columns),
        ),
        (t::message.eq(row.message.as_deref()), t::finished_at.eq(row.finished_at), t::updated_at.eq(Timestamp(now))),
    );
    on!(conn, c => diesel::update(t::table.find(row.id)).set(changes).execute(c))?;
    Ok(())
}

/// Stores rows that were not taken.
pub(super) fn report(conn: &mut Connection, import: &Import, errors: &[RowError]) -> Result<(), StorageError> {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    for some in errors.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<_> = some
            .iter()
            .map(|error| {
                (
                    (e::import.eq(import.id), e::tenant_id.eq(import.tenant_id.as_deref())),
                    (e::line.eq(i64::try_from(error.line).unwrap_or(i64::MAX)), e::field.eq(cut(&error.field, 200))),
                    (e::source_column.eq(cut(&error.column, 200)), e::message.eq(cut(&error.message, 1000))),
                )
            })
            .collect();
        on!(conn, c => diesel::insert_into(e::table).values(rows).execute(c))?;
    }
    Ok(())
}

fn tell(conn: &mut Connection, row: &Import, event: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let payload = json!({
        "import_id": row.import_id, "table": row.table_name, "state": row.state, "dry_run": row.is_dry_run, "received": row.received,
        "inserted": row.inserted, "updated": row.updated, "unchanged": row.unchanged, "rejected": row.rejected, "message": row.message,
    });
    let new = NewEvent {
        destination: Destination::Realtime,
        topic: "imports".to_owned(),
        event: event.to_owned(),
        payload,
        tenant_id: row.tenant_id.clone(),
    };
    outbox::push(conn, &new, now)?;
    Ok(())
}

/// Marks imports failed whose process ended without saying so; how many.
///
/// # Errors
/// As any query.
pub fn bury(conn: &mut Connection, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let open: Vec<Import> = on!(conn, c => t::table.filter(t::state.eq_any(["queued", "running"])).order(t::id).limit(100).select(Import::as_select()).load(c))?;
    let mut buried = 0;
    for row in open {
        let Some(hold) = Hold::take(conn, &row.content_hash)? else { continue };
        let done = store::transaction(conn, |conn| {
            // It may have ended between the list and the lock.
            let row = find(conn, &Scope::system("imports"), &row.import_id)?;
            if !matches!(row.state.as_str(), "queued" | "running") {
                return Ok(0);
            }
            let advice = match row.on_error.as_str() {
                "skip" => format!("the process that ran it ended; send the same file again and it goes on after row {}", row.received),
                _ => "the process that ran it ended and nothing was kept; send the file again".to_owned(),
            };
            fail(conn, &row, &advice, now)?;
            Ok(1)
        });
        hold.release(conn);
        buried += done?;
    }
    Ok(buried)
}

/// Deletes reported rows of imports that ended before; how many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    let old: Vec<i64> = on!(conn, c => t::table
        .filter(t::finished_at.lt(Timestamp(before)))
        .filter(diesel::dsl::exists(e::table.filter(e::import.eq(t::id))))
        .order(t::id)
        .limit(500)
        .select(t::id)
        .load(c))?;
    Ok(on!(conn, c => diesel::delete(e::table.filter(e::import.eq_any(&old))).execute(c))?)
}
