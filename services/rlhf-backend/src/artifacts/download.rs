//! A file on its way out: streamed from its store, whole or in the range asked for, never as something that a browser would run.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _};
use storage::artifacts::Artifact;
use supabase::objects::ObjectError;
use web::problem::Problem;

use super::header;
use super::links::from_hexadecimal;
use super::stores::{not_configured, problem_of};
use crate::state::State;

/// The tag of a file: the same bytes have the same.
#[must_use]
pub fn tag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.sha256)
}

/// Answers with a file, or with why not.
///
/// # Errors
/// 503 when the store is in trouble.
pub async fn answer(state: &State, request: &HttpRequest, artifact: Artifact) -> Result<HttpResponse, Problem> {
    let tag = tag(&artifact);
    if header(request, IF_NONE_MATCH.as_str()).is_some_and(|tags| matches(tags, &tag)) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, "private, no-cache")).finish());
    }
    let size = u64::try_from(artifact.size_bytes).unwrap_or(0);
    let is_current = header(request, IF_RANGE.as_str()).is_none_or(|wanted| wanted == tag);
    let (status, range) = match header(request, RANGE.as_str()).filter(|_| is_current).map_or(Wish::Whole, |text| wish(text, size)) {
        Wish::Whole => (StatusCode::OK, 0..size),
        Wish::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wish::Impossible => {
            let problem = Problem::new("range_not_satisfiable", format!("The file has {size} bytes, and the range begins behind them."));
            let mut refusal = problem.with_extra("size_bytes", size).error_response();
            if let Ok(value) = format!("bytes */{size}").parse() {
                refusal.headers_mut().insert(CONTENT_RANGE, value);
            }
            return Ok(refusal);
        }
    };
    let mut answer = HttpResponse::build(status);
    let name = artifact.path.rsplit('/').next().unwrap_or_default();
    answer
        .insert_header((CONTENT_TYPE, artifact.content_type.as_str()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        // As it is stored: packing it on the way would change its length and its tag.
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((ETAG, tag))
        .insert_header(("x-content-sha256", artifact.sha256.as_str()));
    if let Some(digest) = from_hexadecimal(&artifact.sha256) {
        answer.insert_header(("repr-digest", format!("sha-256=:{}:", STANDARD.encode(digest))));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))));
    }
    let length = range.end - range.start;
    if request.method() == Method::HEAD || length == 0 {
        let nothing = futures_util::stream::empty::<Result<actix_web::web::Bytes, Problem>>();
        return Ok(answer.body(SizedStream::new(length, nothing)));
    }
    let objects = state.artifacts.named(&artifact.store).map_err(not_configured)?;
    let pieces = objects.open(&artifact.bucket, &artifact.key(), range, size).await.map_err(|error| match error {
        // Replaced or removed between the row and its bytes, or lost: the cause is in the log.
        ObjectError::NotFound => Problem::unavailable("file", 1).with_cause(format!("the bytes of {} are not there", artifact.artifact_id)),
        other => problem_of(other),
    })?;
    // An answer that has begun can only be cut off: its length then tells the reader that something is missing.
    let pieces = pieces.inspect_err(move |error| tracing::warn!(%error, artifact_id = artifact.artifact_id, "an artifact broke off"));
    Ok(answer.body(SizedStream::new(length, pieces.map_err(problem_of).boxed())))
}

#[derive(Debug, PartialEq)]
enum Wish {
    Whole,
    Part(Range<u64>),
    Impossible,
}

/// What a `Range` header asks for. Several ranges, other units and what cannot be read are answered with the whole, as RFC 9110 allows.
fn wish(text: &str, size: u64) -> Wish {
    let Some((from, to)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Wish::Whole };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (number(from.trim()), number(to.trim()), from.trim().is_empty(), to.trim().is_empty()) {
        (Some(from), Some(to), ..) if from <= to && from < size => Wish::Part(from..to.saturating_add(1).min(size)),
        (Some(from), _, _, true) if from < size => Wish::Part(from..size),
        (None, Some(last), true, _) if last > 0 && size > 0 => Wish::Part(size.saturating_sub(last)..size),
        (Some(from), Some(to), ..) if from <= to => Wish::Impossible,
        (Some(_), _, _, true) | (None, Some(_), true, _) => Wish::Impossible,
        _ => Wish::Whole,
    }
}

/// Whether one of the tags of `If-None-Match` is this one; a weak one counts as well.
fn matches(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_protocol_has_them() {
        for (text, size, wanted) in [
            ("bytes=0-3", 10, Wish::Part(0..4)),
            ("bytes=4-", 10, Wish::Part(4..10)),
            ("bytes=-3", 10, Wish::Part(7..10)),
            ("bytes=-30", 10, Wish::Part(0..10)),
            ("bytes=8-99", 10, Wish::Part(8..10)),
            ("bytes=9-9", 10, Wish::Part(9..10)),
            ("bytes=10-", 10, Wish::Impossible),
            ("bytes=10-12", 10, Wish::Impossible),
            ("bytes=-0", 10, Wish::Impossible),
            ("bytes=0-", 0, Wish::Impossible),
            ("bytes=3-1", 10, Wish::Whole),
            ("bytes=0-1,4-5", 10, Wish::Whole),
            ("bytes=a-b", 10, Wish::Whole),
            ("bytes=-", 10, Wish::Whole),
            ("bytes=0-99999999999999999999", 10, Wish::Whole),
            ("lines=0-1", 10, Wish::Whole),
        ] {
            assert_eq!(wish(text, size), wanted, "{text} of {size}");
        }
    }
}
