//! Public keys of another issuer of access tokens, fetched when they are needed and kept: a hosted project that signs with ES256 or RS256.
//!
//! | what is asked | what happens |
//! |---|---|
//! | a known key, younger than ten minutes | it is used |
//! | a known key, older | it is used once more while the set is fetched anew; a key that was taken away is gone then |
//! | a known key, and the endpoint has not answered for a day | refused: whether the key still counts is not known |
//! | an unknown key | the set is fetched, at most once in [`REFETCH_EVERY`]; a key that is still unknown is refused |
//!
//! A token names its key by `kid`; the algorithm is that of the key and never that of the token, so that a public key is no secret to sign with and
//! `none` is nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::time::Clock;
use futures_util::future::BoxFuture;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, decode_header};
use serde_json::Value;
use tokio::sync::Mutex;

/// A set of this age is fetched anew, as the project says (`Cache-Control: max-age=600`).
const FRESH: TimeDelta = TimeDelta::minutes(10);
/// A set of this age is not used any more.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Tries to fetch come no closer than this, whatever tokens come.
pub const REFETCH_EVERY: TimeDelta = TimeDelta::seconds(30);
/// Longest wait for the set.
const DEADLINE: Duration = Duration::from_secs(3);
/// Most keys of a set.
const MAX_KEYS: usize = 32;

/// Fetches the key set (RFC 7517), or says why not. A service implements it over HTTP.
pub type FetchKeys = Arc<dyn Fn() -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// Another issuer, with the keys known of it.
#[derive(Clone)]
pub struct Issuer {
    fetch: FetchKeys,
    clock: Clock,
    known: Arc<RwLock<Known>>,
    /// Held by whoever fetches.
    turn: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, PublicKey>,
    fetched_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
    has_failed: bool,
}

/// A key and what it is for.
#[derive(Clone)]
pub(crate) struct PublicKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// What is known of the key of a token.
pub(crate) enum Lookup {
    /// Here it is.
    Found(Box<PublicKey>),
    /// The issuer has no such key.
    Unknown,
    /// Whether the issuer has it is not known, because it does not answer.
    Unavailable,
}

impl Issuer {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(clock: Clock, fetch: FetchKeys) -> Self {
        Self { fetch, clock, known: Arc::default(), turn: Arc::default() }
    }

    /// Fetches the set if this token needs it; call it before the token is verified. Tokens that are signed with a secret, or are none, cost nothing.
    pub async fn prepare(&self, token: &str) {
        let Some(id) = key_id(token) else { return };
        let now = self.clock.now();
        let (is_known, is_fresh) = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let is_younger = |age: TimeDelta| known.fetched_at.is_some_and(|at| now - at < age);
            (known.keys.contains_key(&id) && is_younger(KEPT), is_younger(FRESH))
        };
        if is_known && is_fresh {
            return;
        }
        if is_known {
            self.fetch_meanwhile(now);
        } else if let Ok(_turn) = tokio::time::timeout(DEADLINE, self.turn.lock()).await {
            self.fetch_if_due(now).await;
        }
    }

    /// Fetches the set when none is known, and anew in the background when the known one is old: for tokens that come where nobody can wait.
    pub async fn warm(&self) {
        let now = self.clock.now();
        let age = self.known.read().unwrap_or_else(PoisonError::into_inner).fetched_at.map(|at| now - at);
        match age {
            None => {
                if let Ok(_turn) = tokio::time::timeout(DEADLINE, self.turn.lock()).await {
                    self.fetch_if_due(now).await;
                }
            }
            Some(age) if age >= FRESH => self.fetch_meanwhile(now),
            Some(_) => {}
        }
    }

    /// Nobody waits for it.
    fn fetch_meanwhile(&self, now: DateTime<Utc>) {
        if let (Ok(turn), Ok(runtime)) = (self.turn.clone().try_lock_owned(), tokio::runtime::Handle::try_current()) {
            let own = self.clone();
            runtime.spawn(async move {
                own.fetch_if_due(now).await;
                drop(turn);
            });
        }
    }

    /// For whoever has the turn.
    async fn fetch_if_due(&self, now: DateTime<Utc>) {
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.tried_at.is_some_and(|at| now - at < REFETCH_EVERY) {
                return;
            }
            known.tried_at = Some(now);
        }
        let fetched = tokio::time::timeout(DEADLINE, (self.fetch)()).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(set) => {
                (known.keys, known.fetched_at, known.has_failed) = (read_set(&set), Some(now), false);
                tracing::debug!(keys = known.keys.len(), "the public keys of the token issuer were fetched");
            }
            Err(reason) => {
                known.has_failed = true;
                tracing::warn!(reason, keys = known.keys.len(), "the public keys of the token issuer could not be fetched");
            }
        }
    }

    /// The key of this id, as far as it is known now. One that is not known is asked for meanwhile, for where nobody could wait before: whoever
    /// comes again, as sockets do, finds it.
    pub(crate) fn find(&self, id: &str) -> Lookup {
        let now = self.clock.now();
        let found = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let is_kept = known.fetched_at.is_some_and(|at| now - at < KEPT);
            match known.keys.get(id) {
                Some(key) if is_kept => return Lookup::Found(Box::new(key.clone())),
                Some(_) => Lookup::Unavailable,
                None if known.has_failed || known.fetched_at.is_none() => Lookup::Unavailable,
                None => Lookup::Unknown,
            }
        };
        self.fetch_meanwhile(now);
        found
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer")
    }
}

/// The `kid` of a token that is signed with a private key; nothing for other texts.
pub(crate) fn key_id(token: &str) -> Option<String> {
    let header = decode_header(token).ok()?;
    let is_public = matches!(header.alg, Algorithm::ES256 | Algorithm::RS256);
    header.kid.filter(|_| is_public)
}

/// The keys of a set that verify signatures; others, secrets above all, are passed over.
fn read_set(set: &Value) -> HashMap<String, PublicKey> {
    let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    keys.iter().take(MAX_KEYS).filter_map(|key| read_key(key.clone())).collect()
}

fn read_key(key: Value) -> Option<(String, PublicKey)> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let id = jwk.common.key_id.clone()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => (Algorithm::ES256, KeyAlgorithm::ES256),
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|said| said != named) {
        return None;
    }
    DecodingKey::from_jwk(&jwk).ok().map(|key| (id, PublicKey { algorithm, key }))
}

#[cfg(test)]
mod tests;
