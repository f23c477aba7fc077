//! Refusals on `/auth/v1` paths, in the words and shape of Supabase Auth, so that its clients show the right message.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::ResponseError as _;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use serde_json::json;
use storage::error::StorageError;
use web::problem::Problem;

/// `{code, error_code, msg}` with the header `x-sb-error-code`.
#[derive(Debug)]
pub struct AuthRefusal {
    status: u16,
    error_code: Cow<'static, str>,
    message: String,
    retry_after_s: Option<u64>,
    weak_password_reasons: &'static [&'static str],
}

/// A refusal as clients of Supabase Auth read it.
#[derive(utoipa::ToSchema)]
pub struct AuthRefusalBody {
    /// The status of the answer.
    pub code: u16,
    /// The stable word, such as `invalid_credentials`.
    pub error_code: String,
    /// What is wrong, for people.
    pub msg: String,
}

/// How requests on `/auth/v1` and `/session` may be refused.
#[derive(utoipa::IntoResponses)]
pub enum AuthRefusals {
    /// The body cannot be read, or the credentials or the refresh token do not work.
    #[response(status = 400)]
    Malformed(AuthRefusalBody),
    /// Nobody is signed in, or the token does not count any more.
    #[response(status = 401)]
    Nobody(AuthRefusalBody),
    /// The session has ended, the caller is a key and has none, the key lacks the scope, or another site's page asked.
    #[response(status = 403)]
    Forbidden(AuthRefusalBody),
    /// The caller is a key and has no account.
    #[response(status = 404)]
    NoAccount(AuthRefusalBody),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(AuthRefusalBody),
    /// The body is not JSON.
    #[response(status = 415)]
    NotJson(AuthRefusalBody),
    /// Closed, taken, or a field is wrong.
    #[response(status = 422)]
    Wrong(AuthRefusalBody),
    /// Too many failures; `Retry-After`.
    #[response(status = 429)]
    TooMany(AuthRefusalBody),
    /// The database does not answer; `Retry-After`.
    #[response(status = 503)]
    Unavailable(AuthRefusalBody),
}

impl AuthRefusal {
    fn new(status: u16, error_code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, error_code: error_code.into(), message: message.into(), retry_after_s: None, weak_password_reasons: &[] }
    }

    /// Unknown e-mail address and wrong password alike.
    #[must_use]
    pub fn invalid_credentials() -> Self {
        Self::new(400, "invalid_credentials", "Invalid login credentials")
    }

    /// Too many failures.
    #[must_use]
    pub fn rate_limited(retry_after_s: u64) -> Self {
        let message = format!("Too many failed sign-ins; try again in {retry_after_s} seconds");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// Too many sign-ups.
    #[must_use]
    pub fn too_many_sign_ups(retry_after_s: u64) -> Self {
        let message = format!("Too many sign-ups; try again in {retry_after_s} seconds");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// Too many mails for a new password.
    #[must_use]
    pub fn too_many_mails(retry_after_s: u64) -> Self {
        let message = format!("Too many mails for a new password; try again in {retry_after_s} seconds");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// Too many refresh tokens that do not work.
    #[must_use]
    pub fn too_many_refreshes(retry_after_s: u64) -> Self {
        let message = format!("Too many refresh tokens that do not work; try again in {retry_after_s} seconds");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// No turn to look at a password, or to keep a new one, came in time; this is no failed sign-in.
    #[must_use]
    pub fn hashing_is_busy(retry_after_s: u64) -> Self {
        let message = format!("Too many people sign in at once; try again in {retry_after_s} seconds");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// Another new password of the same account is under way.
    #[must_use]
    pub fn password_is_being_set() -> Self {
        let message = "Another new password of this account is being set; try again in 1 second";
        Self { retry_after_s: Some(1), ..Self::new(429, "over_request_rate_limit", message) }
    }

    /// The session of the access token has ended, or belongs to somebody else's.
    #[must_use]
    pub fn session_not_found() -> Self {
        Self::new(403, "session_not_found", "Session from session_id claim in JWT does not exist; sign in again")
    }

    /// An API key signs out.
    #[must_use]
    pub fn key_has_no_session() -> Self {
        let message = "An API key has no session that could end; to end what it may do, revoke it: DELETE /v1/api-keys/{key_id} of the campaign runtime, or endcap keys revoke";
        Self::new(403, "session_not_found", message)
    }

    /// As [`Self::invalid_credentials`], where new accounts are confirmed: one answer for those that wait as well, or it would tell which addresses
    /// have an account.
    #[must_use]
    pub fn invalid_credentials_or_waiting() -> Self {
        Self::new(400, "invalid_credentials", "Invalid login credentials, or an administrator has not confirmed the account yet")
    }

    /// Something that Supabase Auth has and we have not.
    #[must_use]
    pub fn absent(status: u16, error_code: &'static str, message: &str) -> Self {
        Self::new(status, error_code, message)
    }

    /// Sign-up is closed here.
    #[must_use]
    pub fn signup_disabled() -> Self {
        Self::new(422, "signup_disabled", "Signups not allowed for this instance; ask an administrator for an account")
    }

    /// The e-mail address has an account.
    #[must_use]
    pub fn user_already_exists() -> Self {
        Self::new(422, "user_already_exists", "User already registered")
    }

    /// The password breaks a rule.
    pub fn weak_password(message: impl Into<String>) -> Self {
        Self { weak_password_reasons: &["length"], ..Self::new(422, "weak_password", message) }
    }

    /// A field is wrong.
    pub fn validation_failed(message: impl Into<String>) -> Self {
        Self::new(422, "validation_failed", message)
    }

    /// `grant_type` is none of ours.
    #[must_use]
    pub fn unsupported_grant_type() -> Self {
        Self::new(400, "validation_failed", "unsupported_grant_type: use password or refresh_token")
    }

    /// The refresh token does not work.
    #[must_use]
    pub fn refresh_token_not_found() -> Self {
        Self::new(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    }

    /// The refresh token was used before; its session is revoked.
    #[must_use]
    pub fn refresh_token_already_used() -> Self {
        Self::new(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
    }

    /// The account is closed.
    #[must_use]
    pub fn user_banned() -> Self {
        Self::new(403, "user_banned", "This account is closed; ask an administrator")
    }

    /// A user of the hosted project whose address an account has that is not the user's.
    #[must_use]
    pub fn account_not_linked() -> Self {
        let message = "An account of this installation has this e-mail address and is not linked with the Supabase user; an administrator links it with: endcap supabase sync --link-existing";
        Self::new(409, "account_not_linked", message)
    }

    /// `app_metadata` of a user of the hosted project names no role of ours.
    #[must_use]
    pub fn unknown_role(word: &str) -> Self {
        let word: String = word.chars().take(40).collect();
        Self::new(
            403,
            "role_unknown",
            format!(
                "app_metadata.role of the Supabase user is {word:?}, which is no role here; an administrator of the project corrects it"
            ),
        )
    }

    /// The hosted project does not answer.
    #[must_use]
    pub fn auth_unavailable() -> Self {
        let message =
            "Supabase Auth does not answer; try again in a minute. Open sessions, accounts of this installation and API keys go on working";
        Self { retry_after_s: Some(5), ..Self::new(503, "auth_unavailable", message) }
    }

    /// What the hosted project refuses, in its words.
    #[must_use]
    pub fn of_project(status: u16, error_code: String, message: String, retry_after_s: Option<u64>) -> Self {
        let weak_password_reasons: &[&str] = if error_code == "weak_password" { &["length"] } else { &[] };
        Self { retry_after_s, weak_password_reasons, ..Self::new(status, error_code, message) }
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn no_authorization() -> Self {
        Self::new(401, "no_authorization", "This endpoint requires a valid Bearer token")
    }

    /// The stable word, such as `invalid_credentials`.
    #[must_use]
    pub fn error_code(&self) -> &str {
        &self.error_code
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// When to come back, in seconds.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The answer.
    #[must_use]
    pub fn response(&self) -> HttpResponse {
        let mut body = json!({"code": self.status, "error_code": self.error_code, "msg": self.message});
        if !self.weak_password_reasons.is_empty() {
            body["weak_password"] = json!({"reasons": self.weak_password_reasons});
        }
        let mut response = HttpResponse::build(self.status());
        response.insert_header(("x-sb-error-code", self.error_code()));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.json(body)
    }
}

impl From<Problem> for AuthRefusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status_code().as_u16();
        let error_code = match problem.code() {
            "unauthenticated" => return Self::no_authorization(),
            "token_expired" | "token_invalid" | "key_invalid" => "bad_jwt",
            "malformed_json" | "unsupported_media_type" => "bad_json",
            "invalid_input" => "validation_failed",
            "body_too_large" => "request_too_large",
            "internal" => "unexpected_failure",
            "unavailable" | "timeout" => "request_timeout",
            _ => "unexpected_failure",
        };
        if let Some(cause) = problem.chain() {
            tracing::error!(code = problem.code(), %cause, "a request for sign-in failed");
        }
        let retry_after_s = (status == 503).then_some(1);
        Self { retry_after_s, ..Self::new(status, error_code, problem.detail()) }
    }
}

impl From<StorageError> for AuthRefusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict { code: "account_exists", .. } => Self::user_already_exists(),
            StorageError::NotFound { what: "session", .. } => Self::session_not_found(),
            other => Problem::from(other).into(),
        }
    }
}
