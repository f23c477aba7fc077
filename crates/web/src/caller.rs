//! Who calls: from a bearer token, an API key, or the session cookie of our own pages. Handlers take a [`Caller`] and need nothing else.

use std::fmt;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{AUTHORIZATION, HOST, LOCATION, ORIGIN, UPGRADE};
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError, dev::Payload};
use domain::role::Role;
use domain::scope::Scope;
use futures_util::future::LocalBoxFuture;

use crate::access::{Access, hash_key, origin};
use crate::problem::Problem;
use crate::request::enter_caller;
use crate::scopes;
use crate::settings::Settings;
use crate::token::{Claims, TokenError};

/// Name of the session cookie: HttpOnly, so that no script can read the token in it.
pub const SESSION_COOKIE: &str = "endcap_session";

/// Longest key or token looked at, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 8192;

/// By what somebody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer` with an access token.
    Token,
    /// An API key.
    Key,
    /// The session cookie.
    Cookie,
}

/// A recognised caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Account id, or id of the API key.
    pub account_id: String,
    /// Role.
    pub role: Role,
    /// Tenant, when the account belongs to one.
    pub tenant: Option<String>,
    /// Rater profile, when there is one.
    pub rater_id: Option<String>,
    /// E-mail address, when known.
    pub email: Option<String>,
    /// The sign-in, for tokens.
    pub session_id: Option<String>,
    /// By what the caller was recognised.
    pub credential: Credential,
    /// What an API key is narrowed to; none means all that the role may.
    pub scopes: Vec<String>,
}

impl Caller {
    /// Tenant and actor for storage.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::for_caller(&self.account_id, self.role, self.tenant.as_deref())
    }

    /// Refuses roles that may not: `caller.require(Role::may_review)?`.
    ///
    /// # Errors
    /// 403 naming the caller's role.
    pub fn require(&self, may: impl FnOnce(Role) -> bool) -> Result<(), Problem> {
        if may(self.role) { Ok(()) } else { Err(Problem::forbidden(format!("The role {} does not include this.", self.role))) }
    }

    /// The rater profile of the caller.
    ///
    /// # Errors
    /// 403 when the account has none.
    pub fn require_rater(&self) -> Result<&str, Problem> {
        self.rater_id.as_deref().ok_or_else(|| Problem::forbidden("This account has no rater profile; sign up or sign in as a rater."))
    }

    fn of_claims(claims: Claims, credential: Credential) -> Self {
        Self {
            account_id: claims.account_id().to_owned(),
            role: claims.app_metadata.role.unwrap_or(Role::Rater),
            tenant: claims.app_metadata.tenant_id,
            rater_id: claims.app_metadata.rater_id,
            email: claims.email,
            session_id: claims.session_id,
            credential,
            scopes: Vec::new(),
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request).await?.ok_or_else(Problem::unauthorized) })
    }
}

/// A caller where being nobody is allowed; a bad token is still refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Caller>);

impl FromRequest for MaybeCaller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request).await.map(MaybeCaller) })
    }
}

/// A caller of an HTML page: whoever is not signed in, or whose session is over, is sent to the rater app's `/login`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCaller(pub Caller);

impl FromRequest for PageCaller {
    type Error = PageRefusal;
    type Future = LocalBoxFuture<'static, Result<Self, PageRefusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match identify(&request).await {
                Ok(Some(caller)) => Ok(Self(caller)),
                Err(problem) if problem.status_code() != StatusCode::UNAUTHORIZED => Err(PageRefusal::Problem(problem)),
                _ => Err(PageRefusal::SignIn(login_address(&request)?)),
            }
        })
    }
}

/// A signed-in person for pages that anybody may open: an expired session counts as nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybePageCaller(pub Option<Caller>);

impl FromRequest for MaybePageCaller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match identify(&request).await {
                Err(problem) if problem.status_code() == StatusCode::UNAUTHORIZED => Ok(Self(None)),
                other => other.map(Self),
            }
        })
    }
}

/// Why a page is not shown.
#[derive(Debug)]
pub enum PageRefusal {
    /// Sign in at this address first.
    SignIn(String),
    /// Anything else.
    Problem(Problem),
}

impl From<Problem> for PageRefusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl fmt::Display for PageRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn(address) => write!(f, "sign in at {address}"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl ResponseError for PageRefusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn(_) => StatusCode::SEE_OTHER,
            Self::Problem(problem) => problem.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::SignIn(address) => HttpResponse::SeeOther().insert_header((LOCATION, address.as_str())).finish(),
            Self::Problem(problem) => problem.error_response(),
        }
    }
}

/// The session cookie that carries an access token: HttpOnly, SameSite=Lax, valid for all ports of the host.
#[must_use]
pub fn session_cookie(token: String, settings: &Settings) -> Cookie<'static> {
    let life = i64::try_from(settings.sign_in.access_token_ttl.as_secs()).unwrap_or(3600);
    build_cookie(token, life, settings)
}

/// The cookie that ends the session in the browser.
#[must_use]
pub fn ended_session_cookie(settings: &Settings) -> Cookie<'static> {
    build_cookie(String::new(), 0, settings)
}

fn build_cookie(value: String, max_age_s: i64, settings: &Settings) -> Cookie<'static> {
    let mut cookie = Cookie::build(SESSION_COOKIE, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(settings.has_secure_cookies())
        .max_age(actix_web::cookie::time::Duration::seconds(max_age_s))
        .finish();
    if let Some(domain) = &settings.sign_in.cookie_domain {
        cookie.set_domain(domain.clone());
    }
    cookie
}

/// Recognises the caller of a request, and lets in whom scopes and limits let in. Every extractor comes by here, and for one request only
/// the first counts.
///
/// # Errors
/// 401 for a bad token or key, 403 for a cookie used from another site or a scope that the key lacks, 429 for a limit that is used up,
/// 503 when keys cannot be looked up.
pub async fn identify(request: &HttpRequest) -> Result<Option<Caller>, Problem> {
    let known = request.extensions().get::<Admitted>().map(|admitted| admitted.0.clone());
    if let Some(known) = known {
        return Ok(known);
    }
    let caller = recognise(request).await?;
    if let Some(caller) = &caller {
        enter_caller(&caller.account_id, caller.tenant.as_deref());
        require_scope(caller, request)?;
        if let Some(limiter) = &find_access(request)?.limiter {
            let (standing, refusal) = match limiter.take(caller).await {
                Ok(standing) => (standing, None),
                Err((problem, standing)) => (Some(standing), Some(problem)),
            };
            if let Some(standing) = standing {
                request.extensions_mut().insert(standing);
            }
            if let Some(problem) = refusal {
                return Err(problem);
            }
        }
    }
    request.extensions_mut().insert(Admitted(caller.clone()));
    Ok(caller)
}

/// Who was let in for a request.
struct Admitted(Option<Caller>);

/// What a request needs follows from its route and method, whatever its handler does.
fn require_scope(caller: &Caller, request: &HttpRequest) -> Result<(), Problem> {
    if caller.scopes.is_empty() {
        return Ok(());
    }
    let route = request.match_pattern().unwrap_or_else(|| request.path().to_owned());
    let wanted = scopes::needed(request.method(), &route).unwrap_or(scopes::ADMIN);
    require_scope_named(caller, wanted)
}

fn require_scope_named(caller: &Caller, wanted: &str) -> Result<(), Problem> {
    if scopes::include(&caller.scopes, wanted) {
        return Ok(());
    }
    let detail = format!("This needs the scope {wanted}; the key has {}.", caller.scopes.join(", "));
    Err(Problem::new("scope_missing", detail).with_extra("scope", wanted))
}

async fn recognise(request: &HttpRequest) -> Result<Option<Caller>, Problem> {
    let access = find_access(request)?;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    // What cannot be read is no token; passing it over would let another credential count in its place.
    if request.headers().get(AUTHORIZATION).is_some_and(|value| value.to_str().is_err()) {
        return Err(Problem::bad_request("token_invalid", "The Authorization header holds characters that no token has."));
    }
    let bearer = header(AUTHORIZATION.as_str()).map(|text| {
        text.split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Problem::bad_request("token_invalid", "The Authorization header must be `Bearer TOKEN`."))
    });
    // A visitor's key says nothing of who asks; supabase-js sends it twice until somebody has signed in, and beside the token then.
    let key = header("apikey").or_else(|| header("x-api-key")).filter(|key| !access.is_publishable(key));
    if let Some(bearer) = bearer.transpose()?.filter(|bearer| !access.is_publishable(bearer)) {
        // A client that sends its key in both headers (as supabase-js does before sign-in) means the key.
        let is_token = bearer.split('.').count() == 3 && Some(bearer) != key;
        return if is_token {
            identify_token(access, bearer, Credential::Token).await.map(Some)
        } else {
            identify_key(access, bearer).await.map(Some)
        };
    }
    if let Some(key) = key {
        return identify_key(access, key).await.map(Some);
    }
    match request.cookie(SESSION_COOKIE) {
        Some(cookie) if !cookie.value().is_empty() => {
            refuse_cross_site(access, request)?;
            identify_token(access, cookie.value(), Credential::Cookie).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Recognises the caller by an access token or API key that came in another way, such as a socket's query string.
///
/// # Errors
/// 401 for a bad token or key, 403 for a key that may not listen, 503 when keys cannot be looked up.
pub async fn identify_credential(access: &Access, credential: &str) -> Result<Caller, Problem> {
    if credential.split('.').count() == 3 {
        return identify_token(access, credential, Credential::Token).await;
    }
    let caller = identify_key(access, credential).await?;
    require_scope_named(&caller, "events:read")?;
    Ok(caller)
}

fn find_access(request: &HttpRequest) -> Result<&Access, Problem> {
    request.app_data::<Access>().ok_or_else(|| Problem::internal("no Access in the app data: configure_public must call app_data(access)"))
}

async fn identify_token(access: &Access, token: &str, credential: Credential) -> Result<Caller, Problem> {
    let verified = if token.len() > MAX_CREDENTIAL_BYTES {
        Err(TokenError::Malformed)
    } else {
        access.tokens.prepare(token).await;
        access.tokens.verify_access(token)
    };
    verified.map(|claims| Caller::of_claims(claims, credential)).map_err(Problem::from)
}

async fn identify_key(access: &Access, key: &str) -> Result<Caller, Problem> {
    let found = if key.len() > MAX_CREDENTIAL_BYTES { None } else { access.keys.find(&hash_key(key)).await? };
    let identity = found.ok_or_else(|| Problem::bad_request("key_invalid", "The API key is unknown or was revoked."))?;
    Ok(Caller {
        account_id: identity.key_id,
        role: identity.role,
        tenant: identity.tenant,
        rater_id: identity.rater_id,
        email: None,
        session_id: None,
        credential: Credential::Key,
        scopes: identity.scopes,
    })
}

/// Browsers add cookies to requests that other sites cause; those may read nothing here, and must not write or open sockets.
fn refuse_cross_site(access: &Access, request: &HttpRequest) -> Result<(), Problem> {
    let is_socket = request.headers().contains_key(UPGRADE);
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && !is_socket {
        return Ok(());
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_of_ours =
        |from: &str| access.origins.iter().any(|own| own == from) || header(HOST.as_str()).is_some_and(|host| origin_is_host(from, host));
    let is_from_us = match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some("same-origin" | "none"), _) => true,
        // Another host of the same domain, or another port: one of our services, or anybody's.
        (Some("same-site") | None, Some(from)) => is_of_ours(from),
        _ => false,
    };
    if is_from_us {
        Ok(())
    } else {
        Err(Problem::bad_request(
            "cross_site_request",
            "A session cookie is accepted only from our own pages; other programs send a token or a key.",
        ))
    }
}

fn origin_is_host(from: &str, host: &str) -> bool {
    origin(from).split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))
}

fn login_address(request: &HttpRequest) -> Result<String, Problem> {
    let access = find_access(request)?;
    let here = format!("{}{}", access.own_url, request.uri().path_and_query().map_or("/", |p| p.as_str()));
    let query = serde_urlencoded::to_string([("return_to", here)]).map_err(Problem::internal)?;
    Ok(format!("{}?{query}", access.login_url))
}
