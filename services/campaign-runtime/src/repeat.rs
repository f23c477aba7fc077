//! `Idempotency-Key`: the same key and body get the same answer, and the work is done once.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use serde_json::Value;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::idempotency::{self, IdempotentRequest};
use web::access::hash_key;
use web::caller::Caller;
use web::problem::Problem;

use crate::state::State;

/// Longest key accepted.
const MAX_KEY_LENGTH: usize = 200;

/// The `Idempotency-Key` header of a request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatKey(Option<String>);

impl FromRequest for RepeatKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get("idempotency-key");
        ready(match header.map(|value| value.to_str().map(str::trim)) {
            None => Ok(Self(None)),
            Some(Ok(key)) if !key.is_empty() && key.len() <= MAX_KEY_LENGTH => Ok(Self(Some(key.to_owned()))),
            Some(_) => Err(Problem::bad_request(
                "malformed_request",
                format!("The Idempotency-Key header must be 1 to {MAX_KEY_LENGTH} printable characters."),
            )),
        })
    }
}

impl RepeatKey {
    /// The request under its key, for one caller and route.
    #[must_use]
    pub fn of(&self, caller: &Caller, route: &str, body: &Bytes) -> Option<IdempotentRequest> {
        let body_hash = hash_key(&String::from_utf8_lossy(body));
        self.0.clone().map(|key| IdempotentRequest { caller: format!("{} {route}", caller.account_id), key, body_hash })
    }
}

/// Does `work` in one transaction with its kept answer, or gives the answer that was kept before.
///
/// # Errors
/// What `work` returns; 409 `idempotency_key_reused` when the key came with another body.
pub async fn create<F>(state: &State, request: Option<IdempotentRequest>, status: StatusCode, work: F) -> Result<HttpResponse, Problem>
where
    F: Fn(&mut Connection) -> Result<Value, StorageError> + Send + 'static,
{
    let now = state.clock.now();
    let (status, body) = state
        .storage
        .transaction(move |conn| {
            let Some(request) = &request else { return work(conn).map(|body| (status, body)) };
            if let Some(kept) = idempotency::find(conn, request)? {
                let status = u16::try_from(kept.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
                return Ok((status.unwrap_or(StatusCode::OK), kept.response.0));
            }
            let body = work(conn)?;
            idempotency::record(conn, request, status.as_u16(), &body, now)?;
            Ok((status, body))
        })
        .await?;
    Ok(HttpResponse::build(status).json(body))
}

/// The answer that was kept for a request, for work that begins outside of a transaction.
///
/// # Errors
/// 409 `idempotency_key_reused` when the key came with another body.
pub async fn kept(state: &State, request: Option<&IdempotentRequest>) -> Result<Option<HttpResponse>, Problem> {
    let Some(request) = request.cloned() else { return Ok(None) };
    let kept = state.storage.read(move |conn| idempotency::find(conn, &request)).await?;
    Ok(kept.map(|answer| {
        let status = u16::try_from(answer.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        HttpResponse::build(status.unwrap_or(StatusCode::OK)).json(answer.response.0)
    }))
}
