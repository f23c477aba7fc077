//! Where the bytes of artifacts lie: Supabase Storage, and its two counterparts without a project, a local folder and any S3-compatible
//! store. All three behave alike: bytes come and go in streams, an object is there whole or not at all, and it is never written over,
//! because every upload has a key of its own.

mod hosted;
mod local;
mod s3;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::check::Finding;

pub use hosted::Hosted;
pub use local::Local;
pub use s3::{S3, S3Settings};

/// The buckets, as every store has them.
pub const BUCKETS: [&str; 3] = ["model-artifacts", "training-data", "exports"];

/// Longest wait for a store to take or give the next piece, or to answer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("the store has no such object")]
    NotFound,
    /// The store cannot be reached, is in trouble, or too slow: trying again later helps.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// The store refuses: trying again changes nothing until somebody mends the settings.
    #[error("the store refuses: {0}")]
    Refused(String),
}

/// Bytes of an object, in pieces.
pub type Pieces = BoxStream<'static, Result<Bytes, ObjectError>>;

/// A store.
#[derive(Clone)]
pub enum Objects {
    /// A folder on this machine.
    Local(Local),
    /// An S3-compatible store.
    S3(S3),
    /// Supabase Storage.
    Hosted(Hosted),
}

/// Bytes on their way into a store. Dropped without [`Upload::finish`], they are never seen.
pub enum Upload {
    /// Into a folder.
    Local(local::LocalUpload),
    /// Into an S3-compatible store.
    S3(s3::S3Upload),
    /// Into Supabase Storage.
    Hosted(hosted::HostedUpload),
}

impl Objects {
    /// `local`, `s3` or `supabase`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::S3(_) => "s3",
            Self::Hosted(_) => "supabase",
        }
    }

    /// Begins to store an object; `size` when it is known.
    ///
    /// # Errors
    /// When the store does not answer or refuses.
    pub async fn begin(&self, bucket: &str, key: &str, content_type: &str, size: Option<u64>) -> Result<Upload, ObjectError> {
        match self {
            Self::Local(store) => in_time(store.begin(bucket, key)).await.map(Upload::Local),
            Self::S3(store) => Ok(Upload::S3(store.begin(bucket, key, content_type))),
            Self::Hosted(store) => Ok(Upload::Hosted(store.begin(bucket, key, content_type, size))),
        }
    }

    /// Reads these bytes of an object of `size`.
    ///
    /// # Errors
    /// [`ObjectError::NotFound`]; when the store does not answer or refuses.
    pub async fn open(&self, bucket: &str, key: &str, range: Range<u64>, size: u64) -> Result<Pieces, ObjectError> {
        let pieces = match self {
            Self::Local(store) => in_time(store.open(bucket, key, range)).await?,
            Self::S3(store) => in_time(store.open(bucket, key, range)).await?,
            Self::Hosted(store) => in_time(store.open(bucket, key, range, size)).await?,
        };
        // A store that falls silent must not hold a reader for ever.
        Ok(futures_util::stream::unfold(Some(pieces), |pieces| async move {
            let mut pieces = pieces?;
            match tokio::time::timeout(DEADLINE, pieces.next()).await {
                Ok(piece) => piece.map(|piece| (piece, Some(pieces))),
                Err(_) => Some((Err(too_slow()), None)),
            }
        })
        .boxed())
    }

    /// Removes an object; one that is not there is gone already.
    ///
    /// # Errors
    /// When the store does not answer or refuses.
    pub async fn remove(&self, bucket: &str, key: &str) -> Result<(), ObjectError> {
        match self {
            Self::Local(store) => in_time(store.remove(bucket, key)).await,
            Self::S3(store) => in_time(store.remove(bucket, key)).await,
            Self::Hosted(store) => in_time(store.remove(bucket, key)).await,
        }
    }

    /// Makes what must be there before the first object: folders, or the buckets of a project. Sweeps what a process that was killed
    /// left half written in a folder. Safe to repeat.
    ///
    /// # Errors
    /// When the store does not answer or refuses.
    pub async fn prepare(&self) -> Result<(), ObjectError> {
        match self {
            Self::Local(store) => in_time(store.prepare()).await,
            // The one bucket of S3 belongs to whoever runs the store.
            Self::S3(_) => Ok(()),
            Self::Hosted(store) => in_time(store.prepare()).await,
        }
    }

    /// Writes a few bytes, reads them back and removes them, for `endcap doctor`. Never fails: what does not work is a finding.
    pub async fn check(&self) -> Finding {
        let place = match self {
            Self::Local(store) => store.describe(),
            Self::S3(store) => store.describe(),
            Self::Hosted(store) => store.describe(),
        };
        match self.try_out().await {
            Ok(()) => Finding { part: "artifacts", ok: true, detail: format!("{place} takes, gives and removes objects"), advice: None },
            Err(error) => {
                let advice = match self {
                    Self::Local(_) => "see that the folder of ENDCAP_ARTIFACT_DIRECTORY can be written and its disk is not full",
                    Self::S3(_) => {
                        "see that ENDCAP_S3_ENDPOINT answers, ENDCAP_S3_BUCKET exists, and the key of ENDCAP_S3_ACCESS_KEY_ID may put, get and delete objects in it"
                    }
                    Self::Hosted(_) => "see that Storage of the project is well and SUPABASE_SERVICE_KEY is of this project",
                };
                Finding { part: "artifacts", ok: false, detail: format!("{place}: {error}"), advice: Some(advice.to_owned()) }
            }
        }
    }

    async fn try_out(&self) -> Result<(), ObjectError> {
        self.prepare().await?;
        let (bucket, key) = ("exports", format!("@platform/@{}", domain::id::new("check")));
        let text = Bytes::from_static(b"endcap doctor was here");
        let mut upload = self.begin(bucket, &key, "text/plain", Some(text.len() as u64)).await?;
        upload.write(text.clone()).await?;
        upload.finish().await?;
        let size = text.len() as u64;
        let mut read = Vec::new();
        let mut pieces = self.open(bucket, &key, 0..size, size).await?;
        while let Some(piece) = pieces.next().await {
            read.extend_from_slice(&piece?);
        }
        self.remove(bucket, &key).await?;
        if read == text { Ok(()) } else { Err(ObjectError::Refused("it gave back other bytes than it was given".to_owned())) }
    }
}

impl Upload {
    /// Hands over the next bytes; waits while the store is busy, so that they never pile up.
    ///
    /// # Errors
    /// When the store does not answer or refuses; the upload is lost then.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        match self {
            Self::Local(upload) => in_time(upload.write(bytes)).await,
            Self::S3(upload) => upload.write(bytes).await,
            Self::Hosted(upload) => in_time(upload.write(bytes)).await,
        }
    }

    /// Makes the object be there, whole and safe against loss of power as far as the store promises it.
    ///
    /// # Errors
    /// When the store does not answer or refuses.
    pub async fn finish(self) -> Result<(), ObjectError> {
        match self {
            Self::Local(upload) => in_time(upload.finish()).await,
            Self::S3(upload) => upload.finish().await,
            Self::Hosted(upload) => in_time(upload.finish()).await,
        }
    }

    /// Gives up, and frees what the store holds already as far as it answers.
    pub async fn abandon(self) {
        match self {
            // The file goes with its value.
            Self::Local(_) => {}
            Self::S3(upload) => upload.abandon().await,
            Self::Hosted(upload) => upload.abandon().await,
        }
    }
}

fn too_slow() -> ObjectError {
    ObjectError::Unavailable(format!("it did nothing for {} seconds", DEADLINE.as_secs()))
}

async fn in_time<T>(work: impl Future<Output = Result<T, ObjectError>>) -> Result<T, ObjectError> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(too_slow()))
}
