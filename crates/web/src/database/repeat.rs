//! `Idempotency-Key`: a request that is sent again with the same key and body gets the same answer, and the work is done once.
//!
//! The answer is kept in the transaction that makes it true, for each account and route apart.

use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use chrono::{DateTime, Utc};
use futures_util::future::{Ready, ready};
use serde_json::Value;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::idempotency::{self, IdempotentRequest, KeptAnswer};
use storage::store::Storage;

use crate::access::sha256_hex;
use crate::caller::Caller;
use crate::problem::Problem;

/// Longest key accepted, in bytes.
const MAX_KEY_BYTES: usize = 200;
/// Longest account and route that is stored as it is, in bytes; a longer one is stored as its hash.
const MAX_CALLER_BYTES: usize = 200;

/// The `Idempotency-Key` header of a request, if it has one, with the route that was asked. An argument of handlers that create.
///
/// 400 `malformed_request` for a key that is empty, longer than 200 bytes or not printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatKey {
    key: Option<String>,
    route: String,
}

impl FromRequest for RepeatKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of_request(request))
    }
}

impl RepeatKey {
    /// The request under its key, for one caller; `None` when it came without a key.
    #[must_use]
    pub fn of(&self, caller: &Caller, body: &[u8]) -> Option<IdempotentRequest> {
        let key = self.key.clone()?;
        Some(IdempotentRequest {
            caller: caller_on(&caller.account_id, &self.route),
            key,
            body_hash: sha256_hex(body),
            tenant: caller.scope().tenant().map(str::to_owned),
        })
    }

    fn of_request(request: &HttpRequest) -> Result<Self, Problem> {
        // The decoded path, so that one place under two spellings is one route.
        let route = format!("{} {}", request.method(), request.match_info().as_str());
        let Some(value) = request.headers().get("idempotency-key") else { return Ok(Self { key: None, route }) };
        match value.to_str().map(str::trim) {
            Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Self { key: Some(key.to_owned()), route }),
            _ => Err(Problem::bad_request(
                "malformed_request",
                format!("The Idempotency-Key header must be 1 to {MAX_KEY_BYTES} printable ASCII characters."),
            )),
        }
    }
}

/// An answer that can be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Body.
    pub body: Value,
}

impl Answer {
    /// 201 with this body.
    #[must_use]
    pub fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body }
    }

    /// As a response.
    #[must_use]
    pub fn response(self) -> HttpResponse {
        HttpResponse::build(self.status).json(self.body)
    }
}

impl From<KeptAnswer> for Answer {
    fn from(kept: KeptAnswer) -> Self {
        let status = u16::try_from(kept.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        Self { status: status.unwrap_or(StatusCode::OK), body: kept.response.0 }
    }
}

/// Does `work` in one transaction with its kept answer, or gives the answer that was kept before.
///
/// # Errors
/// What `work` returns; 409 `idempotency_key_reused` when the key came with another body, 409 `request_in_progress` when the same
/// request is being answered at this moment.
pub async fn create<F>(storage: &Storage, request: Option<IdempotentRequest>, now: DateTime<Utc>, work: F) -> Result<HttpResponse, Problem>
where
    F: Fn(&mut Connection) -> Result<Answer, StorageError> + Send + 'static,
{
    Ok(made(storage, request, now, work).await?.response())
}

/// [`create`], with the answer still to be made a response, for those that add headers to it.
///
/// # Errors
/// As [`create`].
pub async fn made<F>(storage: &Storage, request: Option<IdempotentRequest>, now: DateTime<Utc>, work: F) -> Result<Answer, Problem>
where
    F: Fn(&mut Connection) -> Result<Answer, StorageError> + Send + 'static,
{
    Ok(storage.transaction(move |conn| once(conn, request.as_ref(), now, &work)).await?)
}

/// [`create`] inside the caller's own transaction.
///
/// # Errors
/// [`StorageError::Conflict`] (`idempotency_key_reused`, `request_in_progress`), or what `work` returns.
pub fn once(
    conn: &mut Connection,
    request: Option<&IdempotentRequest>,
    now: DateTime<Utc>,
    work: impl FnOnce(&mut Connection) -> Result<Answer, StorageError>,
) -> Result<Answer, StorageError> {
    let Some(request) = request else { return work(conn) };
    if let Some(kept) = idempotency::find(conn, request)? {
        return Ok(kept.into());
    }
    let answer = work(conn)?;
    idempotency::record(conn, request, answer.status.as_u16(), &answer.body, now)?;
    Ok(answer)
}

/// The answer that was kept for a request, for work that begins outside of a transaction and ends in [`once`].
///
/// # Errors
/// 409 `idempotency_key_reused` when the key came with another body.
pub async fn kept(storage: &Storage, request: Option<&IdempotentRequest>) -> Result<Option<Answer>, Problem> {
    let Some(request) = request.cloned() else { return Ok(None) };
    let kept = storage.read(move |conn| idempotency::find(conn, &request)).await?;
    Ok(kept.map(Answer::from))
}

fn caller_on(account_id: &str, route: &str) -> String {
    let caller = format!("{account_id} {route}");
    if caller.len() > MAX_CALLER_BYTES { sha256_hex(caller.as_bytes()) } else { caller }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::ResponseError as _;
    use actix_web::test::TestRequest;

    use super::*;

    fn read(key: &str) -> Result<Option<String>, u16> {
        let request = TestRequest::post().uri("/v1/brands").insert_header(("Idempotency-Key", key)).to_http_request();
        RepeatKey::of_request(&request).map(|read| read.key).map_err(|problem| problem.error_response().status().as_u16())
    }

    #[test]
    fn a_key_is_taken_as_it_is_or_refused() {
        assert_eq!(read("k-1"), Ok(Some("k-1".to_owned())));
        assert_eq!(read(&"k".repeat(200)), Ok(Some("k".repeat(200))));
        assert_eq!(read(&"k".repeat(201)), Err(400));
        assert_eq!(read(""), Err(400));
        assert_eq!(read("schlüssel"), Err(400));
        let without = TestRequest::post().uri("/v1/brands").to_http_request();
        assert_eq!(RepeatKey::of_request(&without).unwrap(), RepeatKey { key: None, route: "POST /v1/brands".to_owned() });
    }

    #[test]
    fn a_caller_and_route_of_any_length_fit_their_column() {
        assert_eq!(caller_on("acc_1", "POST /v1/brands"), "acc_1 POST /v1/brands");
        let (one, other) = ("a".repeat(100), "b".repeat(100));
        let route = |campaign: &str| format!("POST /v1/campaigns/{campaign}/performance");
        assert!(caller_on(&one, &route(&one)).len() <= MAX_CALLER_BYTES);
        assert_ne!(caller_on(&one, &route(&one)), caller_on(&one, &route(&other)));
        assert_ne!(caller_on(&one, &route(&one)), caller_on(&other, &route(&one)));
    }
}
