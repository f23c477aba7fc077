//! Routes that every service has: health, version, metrics, the API document and its page.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, ServiceConfig, get, resource};
use actix_web::{HttpRequest, HttpResponse};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;

use super::{ServiceInfo, Shared, document};
use crate::caller::identify;
use crate::problem::Problem;

/// Longest time of a readiness check.
const READINESS_TIMEOUT: Duration = Duration::from_secs(2);
/// How often old samples of histograms are folded together.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// Bounds of the request histogram, in seconds.
const DURATION_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Handle of the process's metrics; absent when another recorder was installed first.
#[derive(Clone)]
pub(super) struct Metrics(Option<PrometheusHandle>);

/// The recorder of this process, installed at first use.
pub(super) fn metrics_handle() -> Metrics {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), DURATION_BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .inspect_err(|error| tracing::warn!(%error, "metrics are off"))
            .ok()
    };
    let handle = HANDLE.get_or_init(install).clone();
    metrics::describe_counter!("http_requests_total", "HTTP requests answered, by service, method, route and status.");
    metrics::describe_histogram!(
        "http_request_duration_seconds",
        metrics::Unit::Seconds,
        "Time until an answer begins, by service, method and route."
    );
    peers::spans::begin_counting();
    Metrics(handle)
}

/// Folds old samples for as long as the server runs.
pub(super) async fn keep_metrics(metrics: Metrics) {
    let mut interval = tokio::time::interval(METRICS_UPKEEP);
    loop {
        interval.tick().await;
        if let Some(handle) = &metrics.0 {
            handle.run_upkeep();
        }
    }
}

pub(super) fn configure_health(routes: &mut ServiceConfig) {
    routes
        .service(resource("/health/live").get(live))
        .service(resource("/health/ready").get(ready))
        .service(resource("/version").get(version));
}

pub(super) fn configure_metrics(routes: &mut ServiceConfig) {
    routes.service(resource("/metrics").get(render_metrics));
}

pub(super) fn configure_docs(routes: &mut ServiceConfig, info: &ServiceInfo) {
    let page = utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", info.openapi.clone());
    let to_page = || async { HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish() };
    routes.route("/docs", get().to(to_page)).service(resource("/docs/errors").get(errors_page)).service(page);
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(shared: Data<Shared>) -> Result<HttpResponse, Problem> {
    if shared.is_draining.load(Ordering::SeqCst) {
        return Err(Problem::new("draining", "This process is about to stop.").with_extra("failing", ["draining"]));
    }
    let parts = tokio::time::timeout(READINESS_TIMEOUT, (shared.readiness)())
        .await
        .map_err(|_| Problem::unavailable("readiness check", 1).with_extra("failing", ["readiness check"]))?;
    let failing: Vec<String> =
        parts.iter().filter_map(|part| part.problem.as_ref().map(|problem| format!("{}: {problem}", part.name))).collect();
    if failing.is_empty() {
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        return Ok(HttpResponse::Ok().json(json!({ "status": "ready", "parts": names })));
    }
    let names: Vec<&str> = parts.iter().filter(|part| part.problem.is_some()).map(|part| part.name).collect();
    Err(Problem::new("unavailable", format!("Not ready: {}.", failing.join("; "))).with_extra("failing", names))
}

async fn version(shared: Data<Shared>) -> HttpResponse {
    let info = &shared.info;
    HttpResponse::Ok().json(json!({
        "service": info.name.as_str(),
        "version": info.version,
        "git_commit": info.git_commit,
        "database": info.database_kind,
        "realtime": info.realtime_mode,
    }))
}

async fn render_metrics(metrics: Data<Metrics>) -> Result<HttpResponse, Problem> {
    let handle = metrics.0.as_ref().ok_or_else(|| Problem::unavailable("metrics recorder", 60))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(handle.render()))
}

async fn errors_page(shared: Data<Shared>) -> Result<HttpResponse, Problem> {
    crate::layout::render(&crate::layout::ErrorsPage::new(&shared))
}

/// The answer to paths that nobody serves: a page for a person who mistyped an address, a problem for programs.
pub(super) async fn no_such_path(request: HttpRequest, shared: Data<Shared>) -> Result<HttpResponse, Problem> {
    let documented = request.match_pattern().and_then(|route| document::methods_of(&shared.info.openapi, &route));
    if let Some(methods) = documented
        && !methods.split(", ").any(|method| method == request.method().as_str())
    {
        let detail = format!("{} is not a method of this path.", request.method());
        return Err(Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, &detail).with_allow(Some(methods)));
    }
    let problem = Problem::not_found("page or path", request.path());
    if !is_read_by_a_person(&request) {
        return Err(problem);
    }
    let caller = identify(&request).await.ok().flatten();
    let page = crate::layout::MissingPage::new(&shared, caller.as_ref(), problem.detail());
    let mut answer = crate::layout::render(&page)?;
    *answer.status_mut() = StatusCode::NOT_FOUND;
    Ok(answer)
}

/// Whether a browser asks for a page: nothing under `/v1/` is one.
pub(super) fn is_read_by_a_person(request: &HttpRequest) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    is_read && !request.path().starts_with("/v1/") && accepts.contains("text/html")
}
