//! What the edge needs to know who calls: tokens, the lookup of API keys, and the addresses that count as our own.
//!
//! A service puts one [`Access`] into its app data; [`crate::caller::Caller`] does the rest.
//!
//! ```
//! use std::sync::Arc;
//! use futures_util::future::BoxFuture;
//! use web::access::{Access, KeyIdentity, KeyLookup};
//! use web::problem::Problem;
//! use web::settings::{ServiceName, Settings};
//!
//! struct NoKeys; // a service looks the hash up in storage instead
//! impl KeyLookup for NoKeys {
//!     fn find<'a>(&'a self, _key_hash: &'a str) -> BoxFuture<'a, Result<Option<KeyIdentity>, Problem>> {
//!         Box::pin(async { Ok(None) })
//!     }
//! }
//!
//! let settings = Settings::from_variables([("ENDCAP_SIGNUP", "open")]).unwrap();
//! let access = Access::new(&settings, ServiceName::RaterApp, domain::time::Clock::system(), Arc::new(NoKeys));
//! let configure = move |routes: &mut actix_web::web::ServiceConfig| {
//!     routes.app_data(access.clone());
//! };
//! # let _ = configure;
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use domain::role::Role;
use domain::time::Clock;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use crate::issuer::Issuer;
use crate::limiter::Limiter;
use crate::problem::Problem;
use crate::settings::{ServiceName, Settings};
use crate::token::Tokens;

/// Who an API key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIdentity {
    /// Id of the key, the actor in history.
    pub key_id: String,
    /// Role of the key.
    pub role: Role,
    /// Tenant of the key.
    pub tenant: Option<String>,
    /// Rater profile, for keys of simulated or external raters.
    pub rater_id: Option<String>,
    /// What the key is narrowed to; none means all that the role may.
    pub scopes: Vec<String>,
}

/// Finds API keys; a service implements it over storage.
pub trait KeyLookup: Send + Sync {
    /// The identity of an active key by its [`hash_key`]; `None` when there is none.
    fn find<'a>(&'a self, key_hash: &'a str) -> BoxFuture<'a, Result<Option<KeyIdentity>, Problem>>;
}

/// SHA-256 of an API key in hexadecimal: what is stored and looked up (keys are random, so no salt is needed).
#[must_use]
pub fn hash_key(key: &str) -> String {
    sha256_hex(key.as_bytes())
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// How callers are recognised.
#[derive(Clone)]
pub struct Access {
    pub(crate) tokens: Tokens,
    pub(crate) keys: Arc<dyn KeyLookup>,
    /// Public addresses of the three services: the origins of our own pages.
    pub(crate) origins: Arc<[String]>,
    pub(crate) own_url: Arc<str>,
    pub(crate) login_url: Arc<str>,
    pub(crate) limiter: Option<Limiter>,
    publishable: Arc<[String]>,
}

impl Access {
    /// For one service.
    #[must_use]
    pub fn new(settings: &Settings, service: ServiceName, clock: Clock, keys: Arc<dyn KeyLookup>) -> Self {
        let mut tokens = Tokens::new(&settings.jwt_secret, clock);
        if let Some(secret) = &settings.supabase.jwt_secret {
            tokens = tokens.also_accepting(secret);
        }
        Self {
            tokens,
            keys,
            origins: ServiceName::ALL.map(|name| origin(&settings.service(name).public_url)).into(),
            own_url: settings.service(service).public_url.as_str().into(),
            login_url: format!("{}/login", settings.rater_app.public_url).into(),
            limiter: None,
            publishable: settings.sign_in.publishable_keys.clone().into(),
        }
    }

    /// The same, accepting tokens that an issuer signed with its private keys.
    #[must_use]
    pub fn trusting(self, issuer: Option<Issuer>) -> Self {
        match issuer {
            Some(issuer) => Self { tokens: self.tokens.trusting(issuer), ..self },
            None => self,
        }
    }

    /// The same, counting requests.
    #[must_use]
    pub fn limited_by(self, limiter: Limiter) -> Self {
        Self { limiter: Some(limiter), ..self }
    }

    /// Whether a key is a visitor's, which everybody may know: whoever shows it is nobody yet.
    #[must_use]
    pub fn is_publishable(&self, key: &str) -> bool {
        self.publishable.iter().any(|own| own == key)
    }

    /// The tokens, for a service that issues them.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Where to go after sign-in: `wanted` when it lies on one of our services or is a local path, else `/`.
    #[must_use]
    pub fn return_address(&self, wanted: &str) -> String {
        let is_local = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains(['\\', '\r', '\n', '\t']);
        let is_ours =
            self.origins.iter().any(|own| wanted == own || wanted.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('/')));
        if is_local || (is_ours && !wanted.contains(['\\', '\r', '\n'])) { wanted.to_owned() } else { "/".to_owned() }
    }
}

/// Scheme, host and port of an address.
pub(crate) fn origin(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url).to_owned()
}
