//! Bodies and query strings that are refused with the place and the name of what is wrong.

pub(crate) mod nul;
mod strict;
pub mod words;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use domain::invalid::FieldError;
use futures_util::StreamExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::Problem;
use strict::Strict;

/// Largest body when the server sets no [`BodyLimit`], in bytes.
pub const DEFAULT_BODY_LIMIT_BYTES: usize = 1 << 20;

/// Largest JSON body, as app data; a scope or resource may set its own. In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// A JSON body. Types of writes derive `Deserialize` with `#[serde(deny_unknown_fields)]`, which makes unknown fields a 422.
///
/// 413 over the limit, 415 for another content type or a compressed body, 400 with line and column for bad syntax, 422 with the field's path for all else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { parse_json(&read_body(&request, payload).await?).map(Self) })
    }
}

/// A JSON body that may be left out; what is left out is the default. One that is sent is read as [`JsonBody`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonOrNone<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for JsonOrNone<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        let length = request.headers().get("content-length").and_then(|value| value.to_str().ok());
        let is_sent = request.headers().contains_key(CONTENT_TYPE)
            || request.headers().contains_key("transfer-encoding")
            || length.is_some_and(|bytes| bytes != "0");
        Box::pin(async move {
            match is_sent {
                true => parse_json(&read_body(&request, payload).await?).map(Self),
                false => Ok(Self(T::default())),
            }
        })
    }
}

/// The raw bytes of a JSON body with the parsed value: for handlers that hash the body for their `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonBytes<T> {
    /// The body as it was sent.
    pub bytes: actix_web::web::Bytes,
    /// The parsed value.
    pub value: T,
}

impl<T: DeserializeOwned + 'static> FromRequest for JsonBytes<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read_body(&request, payload).await?;
            parse_json(&bytes).map(|value| Self { bytes: bytes.freeze(), value })
        })
    }
}

/// A query string. `T` derives `Deserialize` with `#[serde(deny_unknown_fields)]`; lists take [`crate::paging::ListQuery`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for QueryOf<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Self))
    }
}

async fn read_body(request: &HttpRequest, mut payload: Payload) -> Result<BytesMut, Problem> {
    let content_type = request.content_type().to_ascii_lowercase();
    let is_json = content_type == "application/json" || (content_type.starts_with("application/") && content_type.ends_with("+json"));
    if !is_json {
        let got = request.headers().get(CONTENT_TYPE).map_or("none", |_| "another one");
        return Err(Problem::unsupported_media_type(&format!("application/json (there was {got})")));
    }
    // Taken as it comes, a compressed body would be called bad JSON; unpacked, a small one could become a large one.
    if request.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() != b"identity") {
        return Err(Problem::new("unsupported_media_type", "A JSON body is not taken compressed; send it without Content-Encoding."));
    }
    let limit = request.app_data::<BodyLimit>().map_or(DEFAULT_BODY_LIMIT_BYTES, |limit| limit.0);
    let announced = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Problem::too_large(limit));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request("malformed_request", format!("The body broke off: {error}.")))?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Parses JSON into a typed value.
///
/// # Errors
/// 400 with line and column for bad syntax, 422 with the field's path for a wrong or unknown field.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            Category::Data => invalid(&path, &without_position(&inner.to_string())),
            _ => malformed(&inner),
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    // Members that nobody reads are passed over without a look at their characters.
    std::str::from_utf8(bytes)
        .map_err(|error| Problem::bad_request("malformed_json", format!("The body is not UTF-8 after byte {}.", error.valid_up_to())))?;
    match nul::place_in(bytes) {
        Some(place) => Err(Problem::invalid_field(place, nul::MESSAGE)),
        None => Ok(value),
    }
}

/// Parses a query string into a typed value.
///
/// # Errors
/// 422 with the parameter's name.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    parse_pairs(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
}

pub(crate) fn parse_pairs<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Problem> {
    // An empty parameter (`?from=`) is what an empty form field sends: not given.
    let given: Vec<(String, String)> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    if let Some((name, _)) = given.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(Problem::invalid_field(name.replace('\0', "?"), nul::MESSAGE));
    }
    let text = serde_urlencoded::to_string(&given).map_err(Problem::internal)?;
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))
}

fn malformed(error: &serde_json::Error) -> Problem {
    let what = without_position(&error.to_string());
    Problem::bad_request(
        "malformed_json",
        format!("The body is not valid JSON at line {}, column {}: {what}.", error.line(), error.column()),
    )
}

/// A 422 whose field is the path, completed by the name that serde quotes for missing and unknown fields.
fn invalid(path: &str, message: &str) -> Problem {
    let path = if path == "." || path == "?" { "" } else { path };
    let quoted = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let (field, message) = match (quoted("missing field `"), quoted("unknown field `"), quoted("duplicate field `")) {
        (Some(name), _, _) => (join(path, name), "is required".to_owned()),
        (_, Some(name), _) => {
            let known = message.split_once("`, ").map_or("", |(_, rest)| rest);
            (join(path, name), format!("is not a known field; {}", if known.is_empty() { "none are accepted" } else { known }))
        }
        (_, _, Some(name)) => (join(path, name), "is given twice".to_owned()),
        _ => (path.to_owned(), words::plain(message)),
    };
    let detail = if field.is_empty() { message.clone() } else { format!("{field}: {message}") };
    Problem::new("invalid_input", detail).with_errors(vec![FieldError { field, message }])
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).to_owned()
}
