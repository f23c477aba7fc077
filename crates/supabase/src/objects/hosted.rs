//! Objects in the Storage of a Supabase project. An upload is one streamed request; a download answers a range like any web server.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{BUCKETS, ObjectError, Pieces};
use crate::key::KeyKind;
use crate::project::Project;

/// Longest wait for an answer that carries no object.
const SHORT: Duration = Duration::from_secs(20);

/// Pieces that wait for the connection; more are not taken from whoever uploads.
const PIECES_WAITING: usize = 2;

/// Longest refusal that is read.
const MAX_REFUSAL: usize = 16 << 10;

/// Storage of a project, in the role of the service.
#[derive(Clone)]
pub struct Hosted {
    project: Project,
    key: SecretString,
}

/// An upload that a task carries to the project.
pub struct HostedUpload {
    store: Hosted,
    bucket: String,
    key: String,
    pieces: Option<mpsc::Sender<Result<Bytes, Aborted>>>,
    request: JoinHandle<Result<(), ObjectError>>,
}

/// Breaks a request off, so that the project does not take half an object for a whole one.
#[derive(Debug, thiserror::Error)]
#[error("the upload was given up")]
struct Aborted;

/// What Storage says when it refuses. The HTTP status is 400 for most; `statusCode` has the true one.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "statusCode")]
    status_code: Option<serde_json::Value>,
    error: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    id: String,
    #[serde(default)]
    public: bool,
}

impl Hosted {
    /// Storage of this project; `None` without a service key, since others may not write.
    #[must_use]
    pub fn of(project: &Project) -> Option<Self> {
        Some(Self { project: project.clone(), key: project.service_key.clone()? })
    }

    pub(super) fn describe(&self) -> String {
        format!("Storage of {}", self.project.base_url)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let key = self.key.expose_secret();
        let request = self.project.client.request(method, format!("{}/storage/v1{path}", self.project.base_url)).header("apikey", key);
        if KeyKind::of(key).is_token() { request.bearer_auth(key) } else { request }
    }

    pub(super) fn begin(&self, bucket: &str, key: &str, content_type: &str, size: Option<u64>) -> HostedUpload {
        let (pieces, mut waiting) = mpsc::channel::<Result<Bytes, Aborted>>(PIECES_WAITING);
        let body = futures_util::stream::poll_fn(move |context| waiting.poll_recv(context));
        let mut request = self
            .request(Method::POST, &format!("/object/{bucket}/{}", encoded(key)))
            .header(CONTENT_TYPE, content_type)
            .header(CACHE_CONTROL, "no-store")
            .header("x-upsert", "false");
        if let Some(size) = size {
            request = request.header(CONTENT_LENGTH, size);
        }
        let request = request.body(Body::wrap_stream(body));
        let request = tokio::spawn(async move { kept(accepted(request.send().await).await?).await });
        HostedUpload { store: self.clone(), bucket: bucket.to_owned(), key: key.to_owned(), pieces: Some(pieces), request }
    }

    pub(super) async fn open(&self, bucket: &str, key: &str, range: Range<u64>, size: u64) -> Result<Pieces, ObjectError> {
        let is_part = range.start > 0 || range.end < size;
        let mut request = self.request(Method::GET, &format!("/object/{bucket}/{}", encoded(key)));
        if is_part && !range.is_empty() {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        let response = accepted(request.send().await).await?;
        if is_part && response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(ObjectError::Unavailable("it gave all of an object of which a part was wanted".to_owned()));
        }
        Ok(response.bytes_stream().map_err(|error| unreachable_for(&error)).boxed())
    }

    pub(super) async fn remove(&self, bucket: &str, key: &str) -> Result<(), ObjectError> {
        let request = self.request(Method::DELETE, &format!("/object/{bucket}")).timeout(SHORT).json(&json!({ "prefixes": [key] }));
        match accepted(request.send().await).await {
            Ok(_) | Err(ObjectError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn prepare(&self) -> Result<(), ObjectError> {
        let response = accepted(self.request(Method::GET, "/bucket").timeout(SHORT).send().await).await?;
        let there: Vec<Bucket> = response.json().await.map_err(|error| unreachable_for(&error))?;
        for id in BUCKETS.iter().filter(|id| !there.iter().any(|bucket| bucket.id == **id)) {
            // Private: people get at objects through our own signed links.
            let wanted = json!({ "id": id, "name": id, "public": false });
            match accepted(self.request(Method::POST, "/bucket").timeout(SHORT).json(&wanted).send().await).await {
                Ok(_) => tracing::info!(bucket = id, "made a bucket in the Storage of the project"),
                // Another process made it at the same moment.
                Err(ObjectError::Refused(why)) if why.contains("exists") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Hosted {
    /// The project's buckets, and whether anybody may read each.
    ///
    /// # Errors
    /// When Storage does not answer or refuses.
    pub async fn buckets(&self) -> Result<Vec<(String, bool)>, ObjectError> {
        let response = accepted(self.request(Method::GET, "/bucket").timeout(SHORT).send().await).await?;
        let there: Vec<Bucket> = response.json().await.map_err(|error| unreachable_for(&error))?;
        Ok(there.into_iter().map(|bucket| (bucket.id, bucket.public)).collect())
    }
}

impl HostedUpload {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        let is_taken = match &self.pieces {
            Some(pieces) => pieces.send(Ok(bytes)).await.is_ok(),
            None => false,
        };
        if is_taken { Ok(()) } else { self.ended().await }
    }

    /// The request is over before its body is: what the project said.
    async fn ended(&mut self) -> Result<(), ObjectError> {
        self.pieces = None;
        match (&mut self.request).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Err(ObjectError::Unavailable("it answered before the upload was complete".to_owned())),
            Err(_) => Err(ObjectError::Unavailable("the upload broke off".to_owned())),
        }
    }

    pub(super) async fn finish(mut self) -> Result<(), ObjectError> {
        self.pieces = None;
        (&mut self.request).await.map_err(|_| ObjectError::Unavailable("the upload broke off".to_owned()))?
    }

    pub(super) async fn abandon(mut self) {
        if let Some(pieces) = self.pieces.take() {
            pieces.try_send(Err(Aborted)).ok();
        }
        self.request.abort();
        // The project may have taken it as a whole before the connection was cut.
        if let Err(error) = super::in_time(self.store.remove(&self.bucket, &self.key)).await {
            tracing::warn!(%error, key = self.key, "an upload that was given up could not be removed and will be later");
        }
    }
}

impl Drop for HostedUpload {
    fn drop(&mut self) {
        // Without its end the body is no whole one.
        if let Some(pieces) = self.pieces.take() {
            pieces.try_send(Err(Aborted)).ok();
            self.request.abort();
        }
    }
}

/// Whether an answer to an upload is Storage's own, and not a page of something between us and it that answers 200 to everything.
async fn kept(response: Response) -> Result<(), ObjectError> {
    let answer: serde_json::Value = response.json().await.unwrap_or_default();
    if answer.get("Key").is_some() || answer.get("Id").is_some() {
        return Ok(());
    }
    Err(ObjectError::Unavailable("it answered an upload with something else than Storage does".to_owned()))
}

/// The answer, unless it refuses.
async fn accepted(sent: reqwest::Result<Response>) -> Result<Response, ObjectError> {
    let response = sent.map_err(|error| unreachable_for(&error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let mut text = Vec::new();
    let mut body = response.bytes_stream();
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(SHORT, body.next()).await {
        text.extend_from_slice(&piece);
        if text.len() > MAX_REFUSAL {
            break;
        }
    }
    Err(judge(status, &serde_json::from_slice(&text).unwrap_or_default()))
}

fn judge(status: u16, refusal: &Refusal) -> ObjectError {
    let told = refusal.status_code.as_ref().and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let status = told.and_then(|code| u16::try_from(code).ok()).unwrap_or(status);
    let words = refusal.message.as_deref().or(refusal.error.as_deref()).unwrap_or("no reason given");
    let words: String = words.chars().take(200).collect();
    match status {
        404 if !words.to_ascii_lowercase().contains("bucket") => ObjectError::NotFound,
        408 | 429 | 500..=599 => ObjectError::Unavailable(format!("{status}: {words}")),
        _ => ObjectError::Refused(format!("{status}: {words}")),
    }
}

fn unreachable_for(error: &reqwest::Error) -> ObjectError {
    let what = if error.is_connect() {
        "it cannot be connected to"
    } else if error.is_timeout() {
        "it took too long"
    } else {
        "the connection broke"
    };
    ObjectError::Unavailable(what.to_owned())
}

/// A key as part of an address: everything but what is always safe, and slashes, is escaped.
fn encoded(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len() + 16), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
