//! Auth of a project: sign-up, sign-in, sessions, new passwords by mail, the public keys of its tokens, and with the service key its users. Every call has a deadline,
//! and what does not answer is told from what refuses: the first passes, the second is somebody's to mend.

pub mod admin;
pub mod keys;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::key::KeyKind;
use crate::project::Project;

/// Longest wait for an answer. A person waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Errors in the newer shape, `{code, message}`.
const API_VERSION: (&str, &str) = ("X-Supabase-Api-Version", "2024-01-01");

/// Why Auth did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No answer, a broken one, or trouble on its side: trying again later helps.
    #[error("Auth of the Supabase project does not answer: {0}")]
    Unavailable(String),
    /// It refuses, for a reason of its own.
    #[error("Auth of the Supabase project refuses ({status} {code}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable word, such as `invalid_credentials`.
        code: String,
        /// In words.
        message: String,
        /// Seconds to wait, when it said so.
        retry_after_s: Option<u64>,
    },
}

/// A user, as far as we look.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuthUser {
    /// UUID.
    pub id: String,
    /// E-mail address; empty for those who signed up otherwise.
    #[serde(default)]
    pub email: Option<String>,
    /// What administrators wrote.
    #[serde(default)]
    pub app_metadata: Map<String, Value>,
    /// What the person said.
    #[serde(default)]
    pub user_metadata: Map<String, Value>,
    /// Identities of providers.
    #[serde(default)]
    pub identities: Option<Vec<Value>>,
    /// When the address was confirmed.
    #[serde(default)]
    pub email_confirmed_at: Option<String>,
    /// Last sign-in.
    #[serde(default)]
    pub last_sign_in_at: Option<String>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Last change.
    #[serde(default)]
    pub updated_at: Option<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuthSession {
    /// JWT.
    pub access_token: String,
    /// Works once.
    pub refresh_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// Its end, seconds since 1970.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whose it is.
    pub user: AuthUser,
}

/// What became of a sign-up.
#[derive(Debug, Clone, PartialEq)]
pub enum SignedUp {
    /// Signed in at once.
    Session(Box<AuthSession>),
    /// The address must be confirmed first; the project has sent a mail.
    MustConfirm(Box<AuthUser>),
}

/// Refusals, in the newer and the older shape.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    code: Value,
    error_code: Option<String>,
    error: Option<String>,
    message: Option<String>,
    msg: Option<String>,
    error_description: Option<String>,
}

impl Project {
    /// Makes a user who signed up. `data` is what the person says of themselves.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn sign_up(&self, email: &str, password: &SecretString, data: &Map<String, Value>) -> Result<SignedUp, AuthError> {
        let body = json!({ "email": email, "password": password.expose_secret(), "data": data });
        let answer: Value = read(self.auth(Method::POST, "/signup", &self.anon_key).json(&body)).await?;
        if answer.get("access_token").is_some() {
            return understood(answer).map(|session| SignedUp::Session(Box::new(session)));
        }
        understood(answer).map(|user| SignedUp::MustConfirm(Box::new(user)))
    }

    /// Signs in with a password.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn sign_in(&self, email: &str, password: &SecretString) -> Result<AuthSession, AuthError> {
        let body = json!({ "email": email, "password": password.expose_secret() });
        understood(read(self.auth(Method::POST, "/token?grant_type=password", &self.anon_key).json(&body)).await?)
    }

    /// Exchanges a refresh token. Whether it was used is not known after an error of the connection; the project gives the same session again
    /// when it is asked again soon.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn refresh_session(&self, refresh_token: &str) -> Result<AuthSession, AuthError> {
        let body = json!({ "refresh_token": refresh_token });
        understood(read(self.auth(Method::POST, "/token?grant_type=refresh_token", &self.anon_key).json(&body)).await?)
    }

    /// Ends sessions of the user of an access token: `global`, `local` or `others`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn sign_out(&self, access_token: &str, scope: &str) -> Result<(), AuthError> {
        let request = self.auth(Method::POST, &format!("/logout?scope={scope}"), &self.anon_key).bearer_auth(access_token);
        accepted(request).await.map(drop)
    }

    /// The user of an access token.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn user(&self, access_token: &str) -> Result<AuthUser, AuthError> {
        understood(read(self.auth(Method::GET, "/user", &self.anon_key).bearer_auth(access_token)).await?)
    }

    /// Changes password or metadata of the user of an access token.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn update_user(
        &self,
        access_token: &str,
        password: Option<&SecretString>,
        data: &Map<String, Value>,
    ) -> Result<AuthUser, AuthError> {
        let mut body = json!({ "data": data });
        if let Some(password) = password {
            body["password"] = password.expose_secret().into();
        }
        understood(read(self.auth(Method::PUT, "/user", &self.anon_key).bearer_auth(access_token).json(&body)).await?)
    }

    /// Has the project send a mail with a link to a new password, if the address is one of its users; it says the same for those that are not.
    /// The link leads to `redirect_to` with a session in the fragment, where the project's redirect URLs include that address.
    ///
    /// # Errors
    /// [`AuthError`]; some of them, such as `over_email_send_rate_limit`, come for addresses of users only.
    pub async fn recover(&self, email: &str, redirect_to: &str) -> Result<(), AuthError> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("redirect_to", redirect_to).finish();
        let request = self.auth(Method::POST, &format!("/recover?{query}"), &self.anon_key);
        read(request.json(&json!({ "email": email }))).await.map(drop)
    }

    /// Whether Auth answers, and takes our key.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn reach_auth(&self) -> Result<(), AuthError> {
        read(self.auth(Method::GET, "/health", &self.anon_key)).await.map(drop)
    }

    /// The public keys of the project's tokens, as JSON text. Keys that sign with a secret are never among them.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn key_set(&self) -> Result<Value, AuthError> {
        let request = self.client.get(format!("{}/auth/v1/.well-known/jwks.json", self.base_url)).timeout(DEADLINE);
        let answer: Value = read(request).await?;
        if answer["keys"].is_array() { Ok(answer) } else { Err(AuthError::Unavailable("its key set has no keys".to_owned())) }
    }

    /// A request under one of the two keys. A key that is a JWT is also the bearer, unless a user's token takes its place.
    fn auth(&self, method: Method, path: &str, key: &SecretString) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/auth/v1{path}", self.base_url));
        request.header("apikey", key.expose_secret()).header(API_VERSION.0, API_VERSION.1).timeout(DEADLINE)
    }
}

async fn read(request: RequestBuilder) -> Result<Value, AuthError> {
    let response = accepted(request).await?;
    if response.content_length().is_some_and(|length| length > MAX_ANSWER as u64) {
        return Err(AuthError::Unavailable("its answer is larger than any of Auth".to_owned()));
    }
    let bytes = response.bytes().await.map_err(|error| unreachable_for(&error))?;
    serde_json::from_slice(&bytes).map_err(|_| AuthError::Unavailable("its answer is no JSON".to_owned()))
}

fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, AuthError> {
    serde_json::from_value(answer).map_err(|error| AuthError::Unavailable(format!("its answer has another shape than Auth's: {error}")))
}

/// The answer, unless it refuses.
async fn accepted(request: RequestBuilder) -> Result<Response, AuthError> {
    let response = request.send().await.map_err(|error| unreachable_for(&error))?;
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(response);
    }
    let retry_after_s = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let named = response.headers().get("x-sb-error-code").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = response.bytes().await.unwrap_or_default();
    let refusal: Refusal = serde_json::from_slice(&bytes).unwrap_or_default();
    let code = named.or(refusal.error_code).or_else(|| refusal.code.as_str().map(str::to_owned)).or(refusal.error).unwrap_or_default();
    let message = refusal.message.or(refusal.msg).or(refusal.error_description).unwrap_or_else(|| "no reason given".to_owned());
    let message: String = message.chars().take(300).collect();
    match status {
        500..=599 | 408 => Err(AuthError::Unavailable(format!("it answered {status}"))),
        // Refused before Auth was asked: a key of ours, not the person's password.
        401 if code.is_empty() => Err(AuthError::Unavailable(format!("it refused the key ({message}); see SUPABASE_KEY"))),
        _ => Err(AuthError::Refused { status, code, message, retry_after_s }),
    }
}

fn unreachable_for(error: &reqwest::Error) -> AuthError {
    let what = if error.is_connect() {
        "it cannot be connected to"
    } else if error.is_timeout() {
        "it took too long"
    } else {
        "the connection broke"
    };
    AuthError::Unavailable(what.to_owned())
}

/// Adds the service key to a request, also as bearer where it is a JWT.
fn as_service(request: RequestBuilder, key: &SecretString) -> RequestBuilder {
    if KeyKind::of(key.expose_secret()).is_token() { request.bearer_auth(key.expose_secret()) } else { request }
}

#[cfg(test)]
mod tests;
