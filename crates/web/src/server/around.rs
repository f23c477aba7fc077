//! What happens around every request: id, span, access log, metrics, timeout, security headers, and errors in one shape.

use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, ResponseError, dev::Payload};
use domain::role::Role;
use domain::scope::Scope;
use futures_util::future::{Ready, ready};
use peers::trace;
use tracing::Instrument;

use super::arrival::Arrival;
use super::operations::is_read_by_a_person;
use super::{ServiceInfo, Shared, document};
use crate::caller::{PageRefusal, identify};
use crate::limiter::Standing;
use crate::problem::{CONTENT_TYPE_PROBLEM, Problem};
use crate::request::{REQUEST_ID, RequestContext, enter_caller};
use crate::settings::{ServiceName, Settings};
use crate::token::ServiceClaims;

/// The one middleware of every request.
pub(super) async fn around(mut request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut context = RequestContext::of_headers(request.headers());
    let shared = find_shared(request.request());
    let service = shared.as_ref().map_or("unknown", |shared| shared.info.name.as_str());
    let method = request.method().clone();
    let path = request.path().to_owned();
    // Who asks is entered once it is known.
    let (caller, tenant, traceparent) = (tracing::field::Empty, tracing::field::Empty, tracing::field::Empty);
    let span = tracing::info_span!("request", service, request_id = %context.id, traceparent, %method, path = %path, caller, tenant);
    context.trace(&span);
    let began = Instant::now();
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    // Sockets keep the payload that they came with.
    let arrival = if method == Method::GET { Arrival::default() } else { Arrival::watch(&mut request) };
    let answer = async {
        let limit =
            shared.as_ref().filter(|s| !s.info.untimed_paths.iter().any(|start| path.starts_with(start))).map(|s| s.request_timeout);
        // The request moves on whole: the router needs the only reference to it, so none may be kept here.
        let result = match limit {
            // No id holds the character NUL, and PostgreSQL cannot even be asked for it.
            _ if path.contains("%00") => Err(Problem::not_found("page or path", &path).into()),
            Some(limit) => tokio::time::timeout(limit, next.call(request))
                .await
                .unwrap_or_else(|_| Err(if arrival.is_awaited() { Problem::request_timeout(limit) } else { Problem::timeout() }.into())),
            None => next.call(request).await,
        };
        let result = match result {
            Ok(response) => {
                note_ids(&response);
                let response = as_problem(response.map_into_boxed_body(), shared.as_ref().map(|shared| &shared.info));
                let mut response = as_page(response, shared.as_ref(), &context, &path).await;
                finish_headers(&mut response, shared.as_ref().map(|shared| shared.get_ref()), &context, &path);
                Ok(response)
            }
            Err(error) => Err(problem_of(&error, &context)),
        };
        let status = result.as_ref().map_or_else(ResponseError::status_code, ServiceResponse::status);
        note_end(status, &route);
        record(status.as_u16(), route, method.as_str(), service, began);
        result.map_err(Error::from)
    };
    context.clone().scope(answer.instrument(span)).await
}

/// The problem for an error that came instead of an answer (a timeout, or another middleware), bound to this request.
fn problem_of(error: &Error, context: &RequestContext) -> Problem {
    let problem = match error.as_error::<Problem>() {
        Some(problem) => {
            log_cause(problem);
            problem.without_cause()
        }
        None => {
            let problem = Problem::of_status(error.as_response_error().status_code(), &error.to_string());
            log_cause(&problem);
            problem
        }
    };
    problem.with_request_id(&context.id)
}

/// Refuses whatever comes to the private listener without a service token, except health, version and metrics.
pub(super) async fn only_services(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_operational = request.path() == "/metrics" || request.path() == "/version" || request.path().starts_with("/health/");
    if !is_operational {
        match verify_service(request.request()) {
            Ok(claims) => {
                let caller = ServiceCaller { claims };
                let scope = caller.scope();
                enter_caller(scope.actor(), scope.tenant());
                request.extensions_mut().insert(caller);
            }
            Err(problem) => return Ok(request.into_response(problem.error_response())),
        }
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

fn verify_service(request: &HttpRequest) -> Result<ServiceClaims, Problem> {
    let shared = find_shared(request).ok_or_else(|| Problem::internal("the server's own state is missing"))?;
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    let token = header.strip_prefix("Bearer ").ok_or_else(Problem::unauthorized)?;
    Ok(shared.service_tokens.verify(token, shared.info.name.as_str())?)
}

fn find_shared(request: &HttpRequest) -> Option<Data<Shared>> {
    request.app_data::<Data<Shared>>().cloned()
}

/// The calling service of an internal request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    /// The verified claims.
    pub claims: ServiceClaims,
}

impl ServiceCaller {
    /// Tenant and actor for storage: the tenant of the token, in the name of the acting account or of the calling service.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let actor = self.claims.actor.clone().unwrap_or_else(|| format!("service:{}", self.claims.iss));
        Scope::for_caller(&actor, Role::Service, self.claims.tenant_id.as_deref())
    }
}

impl FromRequest for ServiceCaller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(Problem::unauthorized))
    }
}

/// Gives errors of the framework our shape, and logs the cause of a problem once.
fn as_problem(response: ServiceResponse<BoxBody>, info: Option<&ServiceInfo>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    if let Some(problem) = response.response().error().and_then(|error| error.as_error::<Problem>()) {
        log_cause(problem);
        return response;
    }
    let has_problem =
        response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(CONTENT_TYPE_PROBLEM.as_bytes()));
    let is_of_framework =
        response.response().error().is_some() || matches!(response.response().body().size(), BodySize::None | BodySize::Sized(0));
    if has_problem || !is_of_framework {
        return response;
    }
    let detail = match (response.response().error(), status.as_u16()) {
        (_, 405) => format!("{} is not a method of this path.", response.request().method()),
        (Some(error), _) => error.to_string(),
        (None, _) => status.canonical_reason().unwrap_or("refused").to_owned(),
    };
    let allow = response.headers().get(ALLOW).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_of_method = status == StatusCode::METHOD_NOT_ALLOWED;
    let documented = || document::methods_of(&info?.openapi, &response.request().match_pattern()?);
    let problem = Problem::of_status(status, &detail).with_allow(allow.or_else(|| is_of_method.then(documented)?));
    log_cause(&problem);
    let request = response.request().clone();
    ServiceResponse::new(request, problem.error_response())
}

/// The page in the place of a problem, for a person who reads in a browser; programs get the problem itself.
async fn as_page(
    response: ServiceResponse<BoxBody>,
    shared: Option<&Data<Shared>>,
    context: &RequestContext,
    path: &str,
) -> ServiceResponse<BoxBody> {
    let Some(shared) = shared.filter(|_| is_read_by_a_person(response.request())) else { return response };
    let error = response.response().error();
    let problem = error.and_then(|error| match error.as_error::<PageRefusal>() {
        Some(PageRefusal::Problem(problem)) => Some(problem),
        Some(PageRefusal::SignIn(_)) => None,
        None => error.as_error::<Problem>(),
    });
    let Some(problem) = problem else { return response };
    let caller = identify(response.request()).await.ok().flatten();
    let has_query = !response.request().query_string().is_empty();
    let page = crate::layout::ProblemPage::new(shared, caller.as_ref(), problem, path, has_query, &context.id);
    let Ok(mut answer) = crate::layout::render(&page) else { return response };
    *answer.status_mut() = response.status();
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    let request = response.request().clone();
    ServiceResponse::new(request, answer)
}

/// Tells the exported span what the request was about: the ids in its path, by the names that the route gives them, a plain `{id}` by what
/// stands before it.
fn note_ids(response: &ServiceResponse<impl MessageBody>) {
    let span = tracing::Span::current();
    if !trace::is_exported(&span) {
        return;
    }
    let request = response.request();
    for (name, value) in request.match_info().iter() {
        let named = match name {
            "id" => request.match_pattern().and_then(|pattern| name_of_id(&pattern)),
            other => other.ends_with("_id").then(|| other.to_owned()),
        };
        if let Some(named) = named {
            trace::note(&span, format!("endcap.{named}"), value.to_owned());
        }
    }
}

/// What `{id}` of a route is the id of: `campaign_id` in `/v1/campaigns/{id}/plans`, `api_key_id` in `/v1/api-keys/{id}`.
fn name_of_id(pattern: &str) -> Option<String> {
    let (before, _) = pattern.split_once("/{id}")?;
    let collection = before.rsplit('/').next().filter(|word| !word.is_empty() && !word.contains('{'))?;
    let one = collection.strip_suffix('s').unwrap_or(collection);
    Some(format!("{}_id", one.replace('-', "_")))
}

fn note_end(status: StatusCode, route: &str) {
    let span = tracing::Span::current();
    if !trace::is_exported(&span) {
        return;
    }
    trace::note(&span, "route".to_owned(), route.to_owned());
    trace::note(&span, "status".to_owned(), status.as_str().to_owned());
    if status.is_server_error() {
        trace::fail(&span);
    }
}

fn log_cause(problem: &Problem) {
    match problem.chain() {
        Some(cause) if problem.status_code().is_server_error() => tracing::error!(code = problem.code(), %cause, "request failed"),
        Some(cause) => tracing::info!(code = problem.code(), %cause, "request refused"),
        None => {}
    }
}

/// Only our own origin, no inline script; sockets and calls also to the other two services.
pub(super) fn content_security_policy(settings: &Settings) -> String {
    let mut connect = String::new();
    let mut forms = String::new();
    for name in ServiceName::ALL {
        let own = crate::access::origin(&settings.service(name).public_url);
        let socket = own.replacen("http", "ws", 1);
        connect.push_str(&format!(" {own} {socket}"));
        forms.push_str(&format!(" {own}"));
    }
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{connect}; form-action 'self'{forms}; \
         frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )
}

fn finish_headers(response: &mut ServiceResponse<BoxBody>, shared: Option<&Shared>, context: &RequestContext, path: &str) {
    let is_swagger = path.starts_with("/docs/") && path != "/docs/errors";
    let standing = response.request().extensions().get::<Standing>().copied();
    let headers = response.headers_mut();
    let mut policy = shared.map(|shared| shared.content_security_policy.clone()).unwrap_or_default();
    if is_swagger {
        // Swagger UI writes style attributes; it brings no inline script.
        policy = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");
    }
    set(headers, REQUEST_ID, &context.id);
    if let Some(standing) = standing {
        set(headers, "ratelimit-limit", &standing.limit.to_string());
        set(headers, "ratelimit-remaining", &standing.remaining.to_string());
        set(headers, "ratelimit-reset", &standing.reset_s.to_string());
        set(headers, "ratelimit-policy", &format!("{};w={}", standing.limit, standing.window_s));
    }
    set(headers, "content-security-policy", &policy);
    set(headers, "x-content-type-options", "nosniff");
    // Not `same-origin`, with which a form that one of our services sends to another says no origin, and is taken for a stranger's.
    set(headers, "referrer-policy", "strict-origin-when-cross-origin");
    set(headers, "cross-origin-opener-policy", "same-origin");
    set(headers, "permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if shared.is_some_and(|shared| shared.is_https) {
        set(headers, "strict-transport-security", "max-age=31536000");
    }
    if !headers.contains_key(CACHE_CONTROL) {
        set(headers, "cache-control", "no-store");
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn record(status: u16, route: String, method: &str, service: &'static str, began: Instant) {
    let elapsed = began.elapsed();
    let method = if matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") { method } else { "other" };
    let labels = [("service", service.to_owned()), ("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", "service" => service, "method" => method.to_owned(), "route" => route.clone())
        .record(elapsed.as_secs_f64());
    let duration_ms = elapsed.as_millis();
    // Probes come every few seconds and would drown the rest.
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(status, duration_ms, route, "answered");
    } else {
        tracing::info!(status, duration_ms, route, "answered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_called_after_what_stands_before_it() {
        for (pattern, name) in [
            ("/v1/campaigns/{id}/plans/{plan_id}/choose", Some("campaign_id")),
            ("/campaigns/{id}", Some("campaign_id")),
            ("/v1/audience-segments/{id}", Some("audience_segment_id")),
            ("/v1/api-keys/{id}", Some("api_key_id")),
            ("/{id}", None),
            ("/v1/{table}/{id}", None),
            ("/v1/campaigns/{campaign_id}", None),
        ] {
            assert_eq!(name_of_id(pattern).as_deref(), name, "{pattern}");
        }
    }
}
