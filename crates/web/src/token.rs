//! Tokens: access tokens with Supabase-shaped claims, and the short-lived tokens of calls between our services. Ours are HS256; those of a
//! hosted project are verified by its secret, or by the public key that they name.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use domain::role::Role;
use domain::time::Clock;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::issuer::{Issuer, Lookup, key_id};
use crate::problem::Problem;

/// Life of a token between services, in seconds.
pub const SERVICE_TOKEN_TTL_SECONDS: i64 = 60;

/// Difference of clocks between hosts that is forgiven for service tokens, in seconds.
const SERVICE_LEEWAY_SECONDS: i64 = 5;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("there is no token")]
    Missing,
    /// It is not a token of this kind.
    #[error("the token is malformed or meant for somebody else")]
    Malformed,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Somebody else signed it.
    #[error("the token is signed with another secret")]
    WrongSignature,
    /// Its issuer's public keys cannot be had at the moment.
    #[error("the public keys of the token's issuer cannot be fetched")]
    KeysUnavailable,
}

/// What the system itself knows about an account, in the token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppMetadata {
    /// Role in Endcap; a hosted token without one is a rater's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The tenant (brand id) the account belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The rater profile of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rater_id: Option<String>,
    /// The account here, for tokens whose `sub` is a user of a hosted project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Whatever else the issuer put there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Claims of an access token, in the shape of Supabase Auth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Account id.
    pub sub: String,
    /// The database role of Supabase: `authenticated`.
    pub role: String,
    /// `authenticated`.
    pub aud: String,
    /// Expiry, seconds since 1970.
    #[serde(deserialize_with = "whole_seconds")]
    pub exp: i64,
    /// Time of issue, seconds since 1970.
    #[serde(default, deserialize_with = "whole_seconds")]
    pub iat: i64,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The sign-in that this token belongs to.
    #[serde(default)]
    pub session_id: Option<String>,
    /// What the system knows.
    #[serde(default)]
    pub app_metadata: AppMetadata,
    /// What the person said, such as a name.
    #[serde(default)]
    pub user_metadata: Map<String, Value>,
}

impl Claims {
    /// The account here: for tokens of a hosted project the one that its user is linked with.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.app_metadata.account_id.as_deref().unwrap_or(&self.sub)
    }
}

/// Issuers may write decimals.
fn whole_seconds<'de, D: Deserializer<'de>>(source: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(source)?;
    // The range that a date can have is far within that of both types.
    number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)).ok_or_else(|| serde::de::Error::custom("no number of seconds"))
}

/// Whom an access token is for.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Account id.
    pub account_id: String,
    /// E-mail address.
    pub email: String,
    /// Role in Endcap.
    pub role: Role,
    /// Tenant of the account.
    pub tenant_id: Option<String>,
    /// Rater profile of the account.
    pub rater_id: Option<String>,
    /// The sign-in.
    pub session_id: String,
    /// What the person said, such as a name.
    pub user_metadata: Map<String, Value>,
}

/// Issues and verifies access tokens.
#[derive(Clone)]
pub struct Tokens {
    encoding: EncodingKey,
    decoding: Vec<DecodingKey>,
    issuer: Option<Issuer>,
    clock: Clock,
}

impl Tokens {
    /// With the secret that signs.
    #[must_use]
    pub fn new(secret: &SecretString, clock: Clock) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        Self { encoding: EncodingKey::from_secret(bytes), decoding: vec![DecodingKey::from_secret(bytes)], issuer: None, clock }
    }

    /// Accepts tokens signed with another secret too: a hosted project's, or the former one during rotation.
    #[must_use]
    pub fn also_accepting(mut self, secret: &SecretString) -> Self {
        self.decoding.push(DecodingKey::from_secret(secret.expose_secret().as_bytes()));
        self
    }

    /// Accepts tokens that an issuer signed with its private keys too.
    #[must_use]
    pub fn trusting(self, issuer: Issuer) -> Self {
        Self { issuer: Some(issuer), ..self }
    }

    /// Fetches what verifying this token needs; call it before [`Tokens::verify_access`] where waiting is possible.
    pub async fn prepare(&self, token: &str) {
        if let Some(issuer) = &self.issuer {
            issuer.prepare(token).await;
        }
    }

    /// Fetches what verifying tokens that come later will need, where it is not known yet.
    pub async fn warm(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.warm().await;
        }
    }

    /// A new access token and its claims.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when the claims cannot be written as JSON, which their types rule out.
    pub fn issue_access(&self, subject: &Subject, ttl: Duration) -> Result<(String, Claims), TokenError> {
        let now = self.clock.now();
        let ttl = TimeDelta::from_std(ttl).map_err(|_| TokenError::Malformed)?;
        let claims = Claims {
            sub: subject.account_id.clone(),
            role: "authenticated".to_owned(),
            aud: "authenticated".to_owned(),
            exp: (now + ttl).timestamp(),
            iat: now.timestamp(),
            email: Some(subject.email.clone()),
            session_id: Some(subject.session_id.clone()),
            app_metadata: AppMetadata {
                role: Some(subject.role),
                tenant_id: subject.tenant_id.clone(),
                rater_id: subject.rater_id.clone(),
                account_id: None,
                other: Map::from_iter([("provider".to_owned(), "email".into()), ("providers".to_owned(), Value::from(vec!["email"]))]),
            },
            user_metadata: subject.user_metadata.clone(),
        };
        Ok((sign(&self.encoding, &claims)?, claims))
    }

    /// The claims of a token that is ours (or an accepted other's) and still good.
    ///
    /// # Errors
    /// [`TokenError`]: why it is refused. An expired token with a good signature is `Expired`.
    pub fn verify_access(&self, token: &str) -> Result<Claims, TokenError> {
        let claims = match (&self.issuer, key_id(token)) {
            (Some(issuer), Some(id)) => match issuer.find(&id) {
                Lookup::Found(public) => open::<Claims>(&public.key, public.algorithm, token, "authenticated")?,
                Lookup::Unknown => return Err(TokenError::WrongSignature),
                Lookup::Unavailable => return Err(TokenError::KeysUnavailable),
            },
            _ => self.open_by_secret(token)?,
        };
        if claims.exp <= self.clock.now().timestamp() { Err(TokenError::Expired) } else { Ok(claims) }
    }

    fn open_by_secret(&self, token: &str) -> Result<Claims, TokenError> {
        let mut result = Err(TokenError::Missing);
        for key in &self.decoding {
            result = open::<Claims>(key, Algorithm::HS256, token, "authenticated");
            if result != Err(TokenError::WrongSignature) {
                break;
            }
        }
        result
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// Claims of a call between services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// The calling service.
    pub iss: String,
    /// The called service.
    pub aud: String,
    /// Expiry, seconds since 1970.
    pub exp: i64,
    /// Time of issue, seconds since 1970.
    #[serde(default)]
    pub iat: i64,
    /// The tenant in whose name the call is made; absent for work of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The account in whose name the call is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Issues and verifies tokens of calls between services.
#[derive(Clone)]
pub struct ServiceTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    clock: Clock,
}

impl ServiceTokens {
    /// With the shared secret.
    #[must_use]
    pub fn new(secret: &SecretString, clock: Clock) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        Self { encoding: EncodingKey::from_secret(bytes), decoding: DecodingKey::from_secret(bytes), clock }
    }

    /// A token for one call, good for 60 seconds.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when the claims cannot be written as JSON, which their types rule out.
    pub fn issue(&self, caller: &str, audience: &str, tenant: Option<&str>, actor: Option<&str>) -> Result<String, TokenError> {
        let now = self.clock.now().timestamp();
        let claims = ServiceClaims {
            iss: caller.to_owned(),
            aud: audience.to_owned(),
            exp: now + SERVICE_TOKEN_TTL_SECONDS,
            iat: now,
            tenant_id: tenant.map(str::to_owned),
            actor: actor.map(str::to_owned),
        };
        sign(&self.encoding, &claims)
    }

    /// The claims of a good token for this audience.
    ///
    /// # Errors
    /// [`TokenError`]: why it is refused; a token that would live longer than allowed is `Malformed`.
    pub fn verify(&self, token: &str, audience: &str) -> Result<ServiceClaims, TokenError> {
        let claims: ServiceClaims = open(&self.decoding, Algorithm::HS256, token, audience)?;
        let now = self.clock.now().timestamp();
        if claims.exp + SERVICE_LEEWAY_SECONDS <= now {
            return Err(TokenError::Expired);
        }
        if claims.exp > now + SERVICE_TOKEN_TTL_SECONDS + SERVICE_LEEWAY_SECONDS {
            return Err(TokenError::Malformed);
        }
        Ok(claims)
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceTokens")
    }
}

fn sign<T: Serialize>(key: &EncodingKey, claims: &T) -> Result<String, TokenError> {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, key).map_err(|_| TokenError::Malformed)
}

/// Checks signature and audience; the time is ours to check, by the given clock.
fn open<T: DeserializeOwned>(key: &DecodingKey, algorithm: Algorithm, token: &str, audience: &str) -> Result<T, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Missing);
    }
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "aud"]);
    validation.set_audience(&[audience]);
    jsonwebtoken::decode::<T>(token, key, &validation).map(|data| data.claims).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenError::WrongSignature,
        _ => TokenError::Malformed,
    })
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Missing => Self::unauthorized(),
            TokenError::Expired => Self::bad_request(
                "token_expired",
                "The access token has expired: get a new one with the refresh token (POST /auth/v1/token?grant_type=refresh_token) or sign in again.",
            ),
            TokenError::Malformed => {
                Self::bad_request("token_invalid", "The access token is malformed or meant for somebody else; sign in again.")
            }
            TokenError::WrongSignature => {
                Self::bad_request("token_invalid", "The access token is signed with another secret; sign in again.")
            }
            TokenError::KeysUnavailable => Self::new(
                "unavailable",
                "The token was signed by the Supabase project, whose public keys cannot be fetched at the moment; try again soon. Accounts of this installation and API keys work.",
            ),
        }
    }
}
