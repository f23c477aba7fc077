//! Objects in an S3-compatible store. The protocol (signatures, multipart uploads, retries) is the `object_store` crate's; here is how we
//! use it: parts of eight mebibytes, one at a time, so that an upload of any size needs the memory of one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{DEADLINE, ObjectError, Pieces};

/// Bytes of a part; a store takes ten thousand parts, so 78 GiB in all.
const PART_BYTES: usize = 8 << 20;

/// Longest time for a request with all its repeats.
const RETRY_FOR: Duration = Duration::from_secs(20);

/// Longest silence of a store while it answers.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the store is, and the key to it.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Address, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The bucket of the store, which must exist; ours are folders in it.
    pub bucket: String,
    /// Region that signatures name.
    pub region: String,
    /// Id of the key.
    pub access_key_id: SecretString,
    /// The key.
    pub secret_access_key: SecretString,
}

/// An S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3 {
    store: Arc<AmazonS3>,
    place: Arc<str>,
}

/// An object that is being uploaded: in one request when it is small, else in parts.
pub struct S3Upload {
    store: Arc<AmazonS3>,
    path: Path,
    attributes: Attributes,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    parts: Option<Box<dyn MultipartUpload>>,
}

/// Hands our HTTP client to the library, which would make one that looks for certificates even when it needs none.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl S3 {
    /// With these settings. Nothing is sent.
    ///
    /// # Errors
    /// [`ObjectError::Refused`] when they cannot be used.
    pub fn new(settings: &S3Settings) -> Result<Self, ObjectError> {
        let refused = |reason: &dyn std::fmt::Display| ObjectError::Refused(format!("the settings of S3 cannot be used: {reason}"));
        let client = crate::project::client_builder(settings.endpoint.starts_with("http://"));
        let client = client.read_timeout(SILENCE).build().map_err(|error| refused(&error))?;
        let retries = RetryConfig {
            backoff: BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 },
            max_retries: 4,
            retry_timeout: RETRY_FOR,
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(settings.endpoint.trim_end_matches('/'))
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(settings.access_key_id.expose_secret())
            .with_secret_access_key(settings.secret_access_key.expose_secret())
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            // One object at a time: not every store knows how to remove many, and says 404 to that, which means "gone already" here.
            .with_disable_bulk_delete(true)
            .with_retry(retries)
            .with_http_connector(Connector(client))
            .build()
            .map_err(|error| refused(&error))?;
        Ok(Self { store: Arc::new(store), place: format!("the bucket {:?} at {}", settings.bucket, settings.endpoint).into() })
    }

    pub(super) fn describe(&self) -> String {
        self.place.to_string()
    }

    pub(super) fn begin(&self, bucket: &str, key: &str, content_type: &str) -> S3Upload {
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type.to_owned())]);
        S3Upload { store: self.store.clone(), path: path(bucket, key), attributes, waiting: Vec::new(), waiting_bytes: 0, parts: None }
    }

    pub(super) async fn open(&self, bucket: &str, key: &str, range: Range<u64>) -> Result<Pieces, ObjectError> {
        // No store takes an empty range.
        let range = (!range.is_empty()).then_some(GetRange::Bounded(range));
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store.get_opts(&path(bucket, key), options).await.map_err(translate)?;
        Ok(found.into_stream().map_err(translate).boxed())
    }

    pub(super) async fn remove(&self, bucket: &str, key: &str) -> Result<(), ObjectError> {
        match self.store.delete(&path(bucket, key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(translate(error)),
        }
    }
}

impl S3Upload {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
        while self.waiting_bytes >= PART_BYTES {
            let part = self.take(PART_BYTES);
            self.send(part).await?;
        }
        Ok(())
    }

    /// The first `n` bytes that wait.
    fn take(&mut self, n: usize) -> PutPayload {
        let (mut part, mut missing, mut rest) = (Vec::new(), n, Vec::new());
        for mut piece in std::mem::take(&mut self.waiting) {
            let head = piece.split_to(piece.len().min(missing));
            missing -= head.len();
            self.waiting_bytes -= head.len();
            part.push(head);
            if !piece.is_empty() {
                rest.push(piece);
            }
        }
        self.waiting = rest;
        PutPayload::from_iter(part)
    }

    async fn send(&mut self, part: PutPayload) -> Result<(), ObjectError> {
        let (store, path, attributes) = (self.store.clone(), self.path.clone(), self.attributes.clone());
        let work = async {
            let parts = match &mut self.parts {
                Some(parts) => parts,
                empty => {
                    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
                    empty.insert(store.put_multipart_opts(&path, options).await?)
                }
            };
            parts.put_part(part).await
        };
        in_time(work).await
    }

    pub(super) async fn finish(mut self) -> Result<(), ObjectError> {
        let rest = self.take(self.waiting_bytes);
        if self.parts.is_none() {
            let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
            return in_time(self.store.put_opts(&self.path, rest, options)).await.map(drop);
        }
        if rest.content_length() > 0
            && let Err(error) = self.send(rest).await
        {
            self.abandon().await;
            return Err(error);
        }
        match &mut self.parts {
            Some(parts) => in_time(parts.complete()).await.map(drop),
            None => Ok(()),
        }
    }

    pub(super) async fn abandon(mut self) {
        if let Some(parts) = &mut self.parts
            && let Err(error) = in_time(parts.abort()).await
        {
            tracing::warn!(%error, path = %self.path, "the parts of an upload that was given up could not be removed");
        }
    }
}

fn path(bucket: &str, key: &str) -> Path {
    Path::from(format!("{bucket}/{key}"))
}

/// A request with its repeats, and the time for a large body on a slow line.
async fn in_time<T>(work: impl Future<Output = object_store::Result<T>>) -> Result<T, ObjectError> {
    match tokio::time::timeout(DEADLINE * 2, work).await {
        Ok(done) => done.map_err(translate),
        Err(_) => Err(super::too_slow()),
    }
}

fn translate(error: object_store::Error) -> ObjectError {
    use object_store::Error as E;
    match error {
        E::NotFound { source, .. } if source.to_string().contains("NoSuchBucket") => {
            ObjectError::Refused("there is no such bucket".to_owned())
        }
        E::NotFound { .. } => ObjectError::NotFound,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => ObjectError::Refused("the key is wrong or may not do this".to_owned()),
        E::Generic { source, .. } => ObjectError::Unavailable(first_line(&source.to_string())),
        other => ObjectError::Refused(first_line(&other.to_string())),
    }
}

/// Without the XML that stores answer with.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}
