//! The `Idempotency-Key` of requests that create: the same key and body get the same answer, and nothing is made twice.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::idempotency::{self, IdempotentRequest};
use web::problem::Problem;

/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// An answer that can be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Value,
}

impl Answer {
    /// The response.
    #[must_use]
    pub fn response(self) -> HttpResponse {
        HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)).json(self.body)
    }
}

/// The request's key with who asked, where and with which body; `None` without the header.
///
/// # Errors
/// 422 for a key that is empty, too long or not printable ASCII.
pub fn key_of(request: &HttpRequest, caller: &str, body: &[u8]) -> Result<Option<IdempotentRequest>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES);
    let key =
        key.ok_or_else(|| Problem::invalid_field("Idempotency-Key", format!("must be 1 to {MAX_KEY_BYTES} printable ASCII characters")))?;
    let body_hash = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(IdempotentRequest { caller: format!("{caller} {} {}", request.method(), request.path()), key: key.to_owned(), body_hash }))
}

/// Does `work` once per key, inside the caller's transaction.
///
/// # Errors
/// [`StorageError::Conflict`] when the key came with another body, or is being answered; or what `work` returns.
pub fn once(
    tx: &mut Connection,
    key: Option<&IdempotentRequest>,
    now: DateTime<Utc>,
    work: impl FnOnce(&mut Connection) -> Result<Answer, StorageError>,
) -> Result<Answer, StorageError> {
    let Some(key) = key else { return work(tx) };
    if let Some(kept) = idempotency::find(tx, key)? {
        return Ok(Answer { status: u16::try_from(kept.status).unwrap_or(200), body: kept.response.0 });
    }
    let answer = work(tx)?;
    idempotency::record(tx, key, answer.status, &answer.body, now)?;
    Ok(answer)
}
