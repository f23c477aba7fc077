//! Where the edge meets storage: what a storage error looks like outside, pages of lists, readiness, the lookup of API keys, and in
//! [`repeat`] the answers kept under an `Idempotency-Key`.
//!
//! The only module of this crate that imports `storage`.

pub mod gauges;
pub mod repeat;

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::time::Clock;
use futures_util::future::BoxFuture;
use storage::api_keys;
use storage::error::StorageError;
use storage::migrate;
use storage::page;
use storage::rate_limits;
use storage::store::{PoolOptions, Storage};
use storage::url::{DatabaseUrl, UrlError};

use crate::access::{KeyIdentity, KeyLookup};
use crate::limiter::{Buckets, Limiter};
use crate::paging;
use crate::problem::{Problem, codes};
use crate::server::{Part, Readiness, readiness};
use crate::settings::{RateRule, Settings};

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound { what, id } => Self::not_found(what, &id),
            StorageError::Conflict { code, why } => Self::conflict(codes::find(code).map_or("conflict", |known| known.code), why),
            StorageError::Raced(why) => Self::conflict("conflict", why),
            StorageError::Invalid(invalid) => Self::invalid(invalid),
            StorageError::Busy(_) => Self::unavailable("database", 1).with_cause(error),
            StorageError::Crowded => {
                Self::new("tenant_busy", "Your tenant has as many requests waiting as one tenant may.").with_retry_after(1)
            }
            StorageError::Unavailable(_) | StorageError::Unready(_) => Self::unavailable("database", 5).with_cause(error),
            StorageError::Corrupt(_) | StorageError::Query(_) => Self::internal(error),
        }
    }
}

/// The page that a caller wants, for storage. 422 `invalid_cursor` for a cursor that is not of such a list.
impl TryFrom<&paging::Page> for page::Page {
    type Error = Problem;

    fn try_from(wanted: &paging::Page) -> Result<Self, Problem> {
        Ok(Self { after: wanted.after::<i64>()?, limit: i64::from(wanted.limit) })
    }
}

/// A page that storage has cut, for the caller.
impl<T> From<page::Slice<T>> for paging::Slice<T> {
    fn from(slice: page::Slice<T>) -> Self {
        Self { data: slice.rows, next_cursor: slice.next.and_then(paging::cursor_of) }
    }
}

/// Opens the door to the database that the settings name. Connections are made in the background. A service does not make a
/// database: a mistyped path must not become an empty file.
///
/// # Errors
/// [`UrlError`] for a mistyped URL, or a SQLite file that does not exist.
pub fn open(settings: &Settings) -> Result<Storage, UrlError> {
    use secrecy::ExposeSecret as _;
    let pool = &settings.pool;
    let options = PoolOptions { min: pool.min, max: pool.max, sqlite_readers: pool.sqlite_readers, acquire_timeout: pool.acquire_timeout };
    let url = DatabaseUrl::parse(settings.database_url.expose_secret())?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.is_file()
    {
        let problem = format!("the SQLite file {} does not exist; make it with: endcap init-database --database-url {url}", path.display());
        return Err(UrlError { problem });
    }
    Ok(Storage::new(url, options))
}

/// Ready while the database answers and has the schema that this program was written for.
#[must_use]
pub fn readiness_of(storage: &Storage) -> Readiness {
    let storage = storage.clone();
    readiness(move || {
        let storage = storage.clone();
        async move { vec![readiness_part(&storage).await] }
    })
}

async fn readiness_part(storage: &Storage) -> Part {
    match storage.read(migrate::require_current).await {
        Ok(()) => Part::ok("database"),
        Err(error) => {
            tracing::warn!(%error, "the database is not ready");
            let text = match error {
                StorageError::Unready(why) => why,
                StorageError::Busy(why) => why.to_owned(),
                _ => "the database does not answer".to_owned(),
            };
            Part::failed("database", text)
        }
    }
}

/// The limits of callers and tenants, counted in this database.
#[must_use]
pub fn limiter(settings: &Settings, storage: &Storage, clock: &Clock) -> Limiter {
    Limiter::new(settings.rate_limits.clone(), clock.clone(), Arc::new(StoredBuckets(storage.clone())))
}

struct StoredBuckets(Storage);

impl Buckets for StoredBuckets {
    fn draw<'a>(
        &'a self,
        bucket: &'a str,
        rule: RateRule,
        wanted: u32,
        returned: u32,
        now: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<(u32, f64), Problem>> {
        let bucket = bucket.to_owned();
        let rule = rate_limits::Rule { capacity: f64::from(rule.burst), per_second: rule.per_second };
        Box::pin(async move {
            let drawn = self.0.transaction(move |conn| rate_limits::draw(conn, &bucket, rule, wanted, returned, now)).await?;
            Ok((drawn.granted, drawn.left))
        })
    }
}

/// Finds API keys in storage and notes their use, at most once a minute for each.
#[derive(Clone)]
pub struct KeyStore {
    storage: Storage,
    clock: Clock,
}

impl KeyStore {
    /// Over this storage.
    #[must_use]
    pub fn new(storage: Storage, clock: Clock) -> Self {
        Self { storage, clock }
    }

    async fn look_up(&self, key_hash: String) -> Result<Option<KeyIdentity>, Problem> {
        let now = self.clock.now();
        let found = self.storage.read(move |conn| api_keys::find_by_hash(conn, &key_hash, now)).await?;
        let Some(key) = found else { return Ok(None) };
        let role =
            Role::from_str(&key.role).map_err(|e| Problem::internal(StorageError::Corrupt(format!("API key {}: {e}", key.key_id))))?;
        if api_keys::use_is_news(&key, now) {
            let key_id = key.key_id.clone();
            // Noting the use is a courtesy: a caller with a good key is let in even when it fails.
            if let Err(error) = self.storage.transaction(move |conn| api_keys::note_use(conn, &key_id, now)).await {
                tracing::warn!(%error, "the use of an API key was not noted");
            }
        }
        let scopes = serde_json::from_value(key.scopes.0)
            .map_err(|e| Problem::internal(StorageError::Corrupt(format!("scopes of API key {}: {e}", key.key_id))))?;
        Ok(Some(KeyIdentity { key_id: key.key_id, role, tenant: key.tenant_id, rater_id: None, scopes }))
    }
}

impl KeyLookup for KeyStore {
    fn find<'a>(&'a self, key_hash: &'a str) -> BoxFuture<'a, Result<Option<KeyIdentity>, Problem>> {
        Box::pin(self.look_up(key_hash.to_owned()))
    }
}
