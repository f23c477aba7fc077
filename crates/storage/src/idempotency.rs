//! Answers kept under the caller's `Idempotency-Key`, in the transaction that made them true.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::types::{Json, Timestamp};

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::schema::idempotency_keys as t;

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct KeptAnswer {
    /// SHA-256 of the request's body.
    pub body_hash: String,
    /// HTTP status.
    pub status: i32,
    /// Body.
    pub response: Json,
}

/// Who asked with which key and which body. `caller` holds the route too: `acc_1 POST /v1/feedback`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// Caller and route.
    pub caller: String,
    /// The `Idempotency-Key` header.
    pub key: String,
    /// SHA-256 of the body, hexadecimal.
    pub body_hash: String,
    /// Whose answer it is; `None` is the platform's.
    pub tenant: Option<String>,
}

/// The kept answer, when this request was answered before.
///
/// # Errors
/// [`StorageError::Conflict`] (`idempotency_key_reused`) when the key came with another body.
pub fn find(conn: &mut Connection, request: &IdempotentRequest) -> Result<Option<KeptAnswer>, StorageError> {
    let kept: Option<KeptAnswer> = on!(conn, c => t::table
        .filter(t::caller.eq(&request.caller).and(t::idempotency_key.eq(&request.key)))
        .select(KeptAnswer::as_select())
        .first(c)
        .optional())?;
    match kept {
        Some(answer) if answer.body_hash != request.body_hash => Err(StorageError::conflict(
            "idempotency_key_reused",
            "this Idempotency-Key was used with another body; use a new key for a new request",
        )),
        other => Ok(other),
    }
}

/// Keeps an answer; call it inside the transaction that makes it true.
///
/// # Errors
/// [`StorageError::Conflict`] (`request_in_progress`) when the same key was recorded meanwhile: nothing of this transaction is kept.
pub fn record(
    conn: &mut Connection,
    request: &IdempotentRequest,
    status: u16,
    response: &Value,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let row = (
        t::caller.eq(&request.caller),
        t::idempotency_key.eq(&request.key),
        t::body_hash.eq(&request.body_hash),
        t::status.eq(i32::from(status)),
        t::response.eq(Json(response.clone())),
        t::tenant_id.eq(request.tenant.as_deref()),
        t::created_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("request_in_progress", || "a request with this Idempotency-Key is being answered; ask again".to_owned())?;
    Ok(())
}

/// Deletes answers older than `before`; how many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::created_at.lt(Timestamp(before)))).execute(c))?)
}
