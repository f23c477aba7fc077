//! The token that proves to a peer who calls it: minted for each call, valid for a minute, for one audience.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// How long a token is valid, in seconds.
pub const LIFETIME_S: i64 = 60;

/// What a service token says. The web edge verifies signature (HS256), audience and expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// The calling service.
    pub iss: String,
    /// The called service.
    pub aud: String,
    /// End of validity, seconds since 1970.
    pub exp: i64,
    /// When it was minted, seconds since 1970.
    pub iat: i64,
    /// In whose name the call is made; `None` for work across tenants.
    pub tenant_id: Option<String>,
}

impl ServiceClaims {
    /// Claims for one call at `now`.
    #[must_use]
    pub fn new(caller: &str, peer: &str, tenant_id: Option<&str>, now: DateTime<Utc>) -> Self {
        let iat = now.timestamp();
        Self { iss: caller.to_owned(), aud: peer.to_owned(), exp: iat + LIFETIME_S, iat, tenant_id: tenant_id.map(str::to_owned) }
    }
}

/// Signs claims with HS256.
///
/// # Errors
/// When the signing library refuses; it has no reason to for an HS256 key.
pub fn mint(secret: &SecretString, claims: &ServiceClaims) -> Result<String, jsonwebtoken::errors::Error> {
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
}
