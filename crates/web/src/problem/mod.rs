//! Errors as the outside sees them: RFC 9457 problems with a stable code, and the cause kept for the log.

pub mod codes;

use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use domain::invalid::{FieldError, Invalid};
use serde_json::{Map, Value, json};

pub use codes::CODES;
use codes::Code;

/// Media type of every refusal.
pub const CONTENT_TYPE_PROBLEM: &str = "application/problem+json";

/// Longest wait that a caller is told, in seconds, when nothing better is known.
const DEFAULT_RETRY_AFTER_S: u64 = 1;

type Cause = Box<dyn Error + Send + Sync>;

/// A refusal. Handlers return it; the request layer adds the request id and logs the cause.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

/// Boxed, so that a `Result` with a problem stays small.
#[derive(Debug)]
struct Parts {
    code: &'static Code,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    retry_after_s: Option<u64>,
    allow: Option<String>,
    cause: Option<Cause>,
    request_id: Option<String>,
}

impl Problem {
    /// With any code of [`CODES`]; a code that is not in the table becomes `internal`.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let (code, detail) = match codes::find(code) {
            Some(entry) => (entry, detail.into()),
            None => (internal_code(), "Something went wrong on our side.".to_owned()),
        };
        Self(Box::new(Parts {
            code,
            detail,
            errors: Vec::new(),
            extra: Map::new(),
            retry_after_s: None,
            allow: None,
            cause: None,
            request_id: None,
        }))
    }

    /// 422 with every field that breaks a rule.
    #[must_use]
    pub fn invalid(invalid: Invalid) -> Self {
        let detail = match invalid.fields.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are wrong; see errors.", many.len()),
        };
        Self::new("invalid_input", detail).with_errors(invalid.fields)
    }

    /// 422 about one field.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(Invalid::one(field, message))
    }

    /// 400 (or whatever status the code has) with a code of the table.
    pub fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(code, detail)
    }

    /// 401: nobody is signed in.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new("unauthenticated", "Send `Authorization: Bearer TOKEN` or `apikey: KEY`.")
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("forbidden", detail)
    }

    /// 404: there is no such thing for this caller.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        let id: String = id.chars().take(100).collect();
        Self::new("not_found", format!("There is no {what} {id:?} that you may see."))
    }

    /// 409 with a code of the table (`conflict`, `already_exists`, `transition_not_allowed`, ...).
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(code, detail)
    }

    /// 410: it was removed.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new("gone", detail)
    }

    /// 413: the body is over the limit.
    #[must_use]
    pub fn too_large(limit_bytes: usize) -> Self {
        Self::new("body_too_large", format!("The body has more than the {limit_bytes} bytes accepted here."))
    }

    /// 415: none of the accepted content types.
    #[must_use]
    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::new("unsupported_media_type", format!("The Content-Type must be {accepted}."))
    }

    /// 406: none of the formats that can be produced.
    #[must_use]
    pub fn not_acceptable(offered: &str) -> Self {
        Self::new("not_acceptable", format!("This path answers with {offered}."))
    }

    /// 429 with the wait.
    #[must_use]
    pub fn rate_limited(retry_after_s: u64) -> Self {
        Self::new("rate_limited", format!("The limit is used up; try again in {retry_after_s} s.")).with_retry_after(retry_after_s)
    }

    /// 503: a part that the request needs does not answer.
    #[must_use]
    pub fn unavailable(what: &str, retry_after_s: u64) -> Self {
        Self::new("unavailable", format!("The {what} does not answer at the moment.")).with_retry_after(retry_after_s)
    }

    /// 503: the answer took too long.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new("timeout", "The answer took longer than allowed.")
    }

    /// 408: the body of the request did not come within the time for a whole request.
    #[must_use]
    pub fn request_timeout(limit: std::time::Duration) -> Self {
        Self::new("request_timeout", format!("The body of the request did not come within {} seconds.", limit.as_secs_f64()))
    }

    /// 500: the cause is logged with its chain and never sent.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new("internal", "Something went wrong on our side; the request id helps us to find it.").with_cause(source)
    }

    /// Adds a member to the body, such as the allowed moves. Standard members cannot be replaced.
    #[must_use]
    pub fn with_extra(mut self, key: &str, value: impl serde::Serialize) -> Self {
        self.0.extra.insert(key.to_owned(), json!(value));
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Keeps a cause for the log.
    #[must_use]
    pub fn with_cause(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(source.into());
        self
    }

    /// Sets the fields that are wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Sets the `Allow` header of a 405.
    #[must_use]
    pub(crate) fn with_allow(mut self, allow: Option<String>) -> Self {
        self.0.allow = allow;
        self
    }

    /// Binds the problem to a request, for when it is rendered after the request's work is over.
    #[must_use]
    pub(crate) fn with_request_id(mut self, id: &str) -> Self {
        self.0.request_id = Some(id.to_owned());
        self
    }

    /// The same problem without its cause, which was logged.
    #[must_use]
    pub(crate) fn without_cause(&self) -> Self {
        Self(Box::new(Parts {
            code: self.0.code,
            detail: self.0.detail.clone(),
            errors: self.0.errors.clone(),
            extra: self.0.extra.clone(),
            retry_after_s: self.0.retry_after_s,
            allow: self.0.allow.clone(),
            cause: None,
            request_id: self.0.request_id.clone(),
        }))
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code.code
    }

    /// What kind of problem it is, in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.0.code.title
    }

    /// The sentence for the reader.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The cause with its whole chain, for the log.
    #[must_use]
    pub fn chain(&self) -> Option<String> {
        let mut next: Option<&dyn Error> = Some(self.0.cause.as_deref()?);
        let mut lines = Vec::new();
        while let Some(error) = next {
            lines.push(error.to_string());
            next = error.source();
        }
        Some(lines.join(": "))
    }

    /// The body, with the id of the request that is being answered.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = self.0.extra.clone();
        body.insert("type".to_owned(), json!(format!("/docs/errors#{}", self.0.code.code)));
        body.insert("title".to_owned(), json!(self.0.code.title));
        body.insert("status".to_owned(), json!(self.0.code.status));
        body.insert("detail".to_owned(), json!(self.0.detail));
        body.insert("code".to_owned(), json!(self.0.code.code));
        body.insert("errors".to_owned(), json!(self.0.errors));
        body.insert("request_id".to_owned(), json!(self.0.request_id.clone().or_else(crate::request::current_id)));
        Value::Object(body)
    }

    /// The problem that stands for a bare status of the framework.
    #[must_use]
    pub(crate) fn of_status(status: StatusCode, detail: &str) -> Self {
        let code = match status.as_u16() {
            404 => "not_found",
            405 => "method_not_allowed",
            406 => "not_acceptable",
            413 => "body_too_large",
            415 => "unsupported_media_type",
            422 => "invalid_input",
            408 => "request_timeout",
            503 | 504 => "timeout",
            400..=499 => "malformed_request",
            _ => "internal",
        };
        match code {
            "internal" => Self::internal(detail.to_owned()),
            _ => Self::new(code, detail),
        }
    }
}

#[expect(clippy::expect_used, reason = "the table is a constant of this crate and a test looks the code up")]
fn internal_code() -> &'static Code {
    codes::find("internal").expect("the table of codes holds `internal`")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.code, self.0.detail)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, CONTENT_TYPE_PROBLEM));
        response.insert_header(("x-content-type-options", "nosniff"));
        if let Some(id) = &self.0.request_id {
            response.insert_header((crate::request::REQUEST_ID, id.as_str()));
        }
        if matches!(self.0.code.status, 429 | 503) {
            response.insert_header((RETRY_AFTER, self.0.retry_after_s.unwrap_or(DEFAULT_RETRY_AFTER_S)));
        }
        if self.0.code.status == 401 {
            response.insert_header(("WWW-Authenticate", "Bearer realm=\"endcap\""));
        }
        if let Some(allow) = &self.0.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        response.body(self.body().to_string())
    }
}
