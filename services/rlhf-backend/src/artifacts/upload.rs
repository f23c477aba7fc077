//! A file on its way in: each piece is counted, hashed and handed to the store before the next is taken, so memory stays flat and a slow
//! store slows the sender. It becomes visible in one transaction, when all of it is safe.

use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::artifact::Bucket;
use domain::scope::Scope;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use storage::artifacts::{self as stored, Artifact, Finished, NewArtifact, Place};
use storage::store::Storage;
use supabase::objects::{Objects, Upload};
use web::problem::Problem;

use super::links::{from_hexadecimal, hexadecimal};
use super::stores::{not_configured, problem_of};
use crate::state::State;

/// How long a body may bring nothing.
const STALL: Duration = Duration::from_secs(60);

/// How long it may take in all.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);

/// How long an upload waits for a place.
const WAIT: Duration = Duration::from_secs(10);

/// How often a long upload says that it goes on.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A file that somebody wants to store.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where.
    pub place: Place,
    /// Media type.
    pub content_type: String,
    /// Whether other bytes may be replaced.
    pub overwrite: bool,
    /// What the sender says that its SHA-256 is, in hexadecimal digits.
    pub sha256: Option<String>,
    /// What the sender says that its size is.
    pub size: Option<u64>,
    /// Largest size.
    pub max_bytes: u64,
}

/// The media type of a file, when it may lie in the bucket; bytes without a name otherwise.
///
/// # Errors
/// 415 naming those that may.
pub fn content_type(bucket: Bucket, declared: Option<&str>, encoding: Option<&str>) -> Result<String, Problem> {
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Problem::new(
            "unsupported_media_type",
            "A file is stored as it comes: leave Content-Encoding out and name the packing in Content-Type.",
        ));
    }
    let Some(declared) = declared else { return Ok("application/octet-stream".to_owned()) };
    let kind = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if bucket.content_types().contains(&kind.as_str()) {
        return Ok(kind);
    }
    let accepted = format!("one that may lie in the bucket {bucket}: {}", bucket.content_types().join(", "));
    Err(Problem::unsupported_media_type(&accepted))
}

/// The SHA-256 that a sender announces, in hexadecimal digits.
///
/// # Errors
/// 400 for a header that cannot be read.
pub fn announced_sha256(plain: Option<&str>, digest: Option<&str>) -> Result<Option<String>, Problem> {
    let wrong = |header: &str, form: &str| Problem::bad_request("malformed_request", format!("{header} must be {form}."));
    if let Some(text) = plain {
        let bytes = from_hexadecimal(text).filter(|bytes| bytes.len() == 32);
        return bytes.map(|bytes| Some(hexadecimal(&bytes))).ok_or_else(|| wrong("x-content-sha256", "64 hexadecimal digits"));
    }
    let Some(digest) = digest else { return Ok(None) };
    // Other algorithms may stand beside it and are passed over.
    let own = digest.split(',').find_map(|one| one.trim().strip_prefix("sha-256="));
    let Some(own) = own else { return Ok(None) };
    let bytes = own.strip_prefix(':').and_then(|text| text.strip_suffix(':')).and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.filter(|bytes| bytes.len() == 32);
    bytes.map(|bytes| Some(hexadecimal(&bytes))).ok_or_else(|| wrong("Content-Digest", "sha-256=:BASE64:"))
}

/// Receives a body and makes it an artifact.
///
/// # Errors
/// 413, 400 `checksum_mismatch` or for a body that breaks off, 409 as [`stored::finish`], 503 when the store or the database is in trouble.
/// Nothing of it is visible then.
pub async fn receive<E: std::fmt::Display>(
    state: &State,
    scope: &Scope,
    wanted: &Wanted,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Finished, Problem> {
    if wanted.size.is_some_and(|size| size > wanted.max_bytes) {
        return Err(too_large(wanted));
    }
    let storage = state.storage.scoped(scope);
    refuse_early(&storage, scope, wanted).await?;
    let place = tokio::time::timeout(WAIT, state.artifacts.places.acquire(scope.tenant())).await;
    let _place = place.map_err(|_| Problem::unavailable("place for another upload", 5))??;
    let objects = state.artifacts.current().map_err(not_configured)?;
    let now = state.clock.now();
    let new = NewArtifact { place: wanted.place.clone(), store: objects.name(), content_type: wanted.content_type.clone() };
    let writer = scope.clone();
    let row = storage.transaction(move |conn| stored::begin(conn, &writer, &new, now)).await?;
    let done = match tokio::time::timeout(LONGEST, store(state, &storage, scope, wanted, objects, &row, body)).await {
        Ok(Ok(content)) => {
            let (writer, upload, overwrite, now) = (scope.clone(), row.clone(), wanted.overwrite, state.clock.now());
            let finish = storage.transaction(move |conn| stored::finish(conn, &writer, &upload, (content.0, &content.1), overwrite, now));
            finish.await.map_err(Problem::from)
        }
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(broken(format!("The body took over {} hours.", LONGEST.as_secs() / 3_600))),
    };
    if done.is_err() {
        let (writer, upload, now) = (scope.clone(), row.clone(), state.clock.now());
        // When this fails too, the sweep gives the upload up later.
        if let Err(error) = storage.transaction(move |conn| stored::give_up(conn, &writer, &upload, now)).await {
            tracing::warn!(%error, artifact_id = row.artifact_id, "an upload that failed could not be given up yet");
        }
    }
    if !matches!(done, Ok(Finished::Created(_))) {
        state.artifacts.doomed.notify_one();
    }
    done
}

/// What can be refused before the body is read: other bytes are there, and the sender has said what its own are.
async fn refuse_early(storage: &Storage, scope: &Scope, wanted: &Wanted) -> Result<(), Problem> {
    let Some(sha256) = wanted.sha256.clone().filter(|_| !wanted.overwrite) else { return Ok(()) };
    let (reader, place) = (scope.clone(), wanted.place.clone());
    let there = storage.read(move |conn| match stored::find(conn, &reader, &place) {
        Ok(there) => Ok(Some(there)),
        Err(storage::error::StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    });
    match there.await? {
        Some(there) if there.sha256 != sha256 => Err(Problem::conflict("already_exists", stored::exists(&wanted.place))),
        _ => Ok(()),
    }
}

/// Streams the body into the store; its size and SHA-256.
async fn store<E: std::fmt::Display>(
    state: &State,
    storage: &Storage,
    scope: &Scope,
    wanted: &Wanted,
    objects: &Objects,
    row: &Artifact,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(i64, String), Problem> {
    let mut upload = objects.begin(&row.bucket, &row.key(), &row.content_type, wanted.size).await.map_err(problem_of)?;
    match pump(state, storage, scope, wanted, row, &mut upload, body).await {
        Ok(content) => {
            upload.finish().await.map_err(problem_of)?;
            Ok(content)
        }
        Err(problem) => {
            upload.abandon().await;
            Err(problem)
        }
    }
}

async fn pump<E: std::fmt::Display>(
    state: &State,
    storage: &Storage,
    scope: &Scope,
    wanted: &Wanted,
    row: &Artifact,
    upload: &mut Upload,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(i64, String), Problem> {
    let mut body = std::pin::pin!(body);
    let (mut size, mut hasher, mut told) = (0_u64, Sha256::new(), Instant::now());
    loop {
        let piece = tokio::time::timeout(STALL, body.next()).await;
        let piece = piece.map_err(|_| broken(format!("The body brought nothing for {} seconds.", STALL.as_secs())))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|error| broken(format!("The body broke off: {error}.")))?;
        size = size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if size > wanted.max_bytes {
            return Err(too_large(wanted));
        }
        hasher.update(&piece);
        upload.write(piece).await.map_err(problem_of)?;
        if told.elapsed() > HEARTBEAT {
            told = Instant::now();
            let (writer, row, now) = (scope.clone(), row.clone(), state.clock.now());
            storage.transaction(move |conn| stored::touch(conn, &writer, &row, now)).await?;
        }
    }
    if wanted.size.is_some_and(|announced| announced != size) {
        return Err(broken(format!("The body has {size} bytes and not as many as Content-Length says.")));
    }
    let sha256 = hexadecimal(&hasher.finalize());
    if let Some(announced) = wanted.sha256.as_ref().filter(|announced| **announced != sha256) {
        let detail = format!("The body received has the SHA-256 {sha256}, and {announced} was announced.");
        return Err(Problem::bad_request("checksum_mismatch", detail));
    }
    Ok((i64::try_from(size).unwrap_or(i64::MAX), sha256))
}

fn too_large(wanted: &Wanted) -> Problem {
    let detail = format!("A file in the bucket {} has at most {} bytes.", wanted.place.bucket, wanted.max_bytes);
    Problem::new("body_too_large", detail).with_extra("max_bytes", wanted.max_bytes)
}

fn broken(detail: String) -> Problem {
    Problem::bad_request("malformed_request", detail)
}
