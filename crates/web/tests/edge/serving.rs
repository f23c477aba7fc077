//! Two real listeners on ports that the system chose, spoken to over plain sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{ServiceConfig, get, post, resource};
use domain::time::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use web::access::Access;
use web::caller::{Caller, MaybeCaller};
use web::json::JsonBody;
use web::limiter::Limiter;
use web::problem::Problem;
use web::server::{BoundServer, Part, ServeError, ServiceCaller, ServiceInfo, Sockets, readiness};
use web::settings::{ServiceName, Settings};
use web::token::ServiceTokens;

use crate::callers::OneKey;
use crate::limits::{Shared, limits};

pub struct Running {
    pub public: u16,
    pub private: u16,
    pub settings: Settings,
    database_works: Arc<AtomicBool>,
    pub shutdown: CancellationToken,
    pub done: tokio::task::JoinHandle<Result<(), ServeError>>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

#[utoipa::path(get, path = "/v1/limited", responses((status = 200)))]
#[expect(dead_code, reason = "stands for the handler in the document")]
fn documented() {}

#[derive(utoipa::OpenApi)]
#[openapi(paths(documented))]
struct Document;

fn info() -> ServiceInfo {
    ServiceInfo {
        name: ServiceName::RaterApp,
        version: "1.2.3",
        git_commit: "abc",
        database_kind: "sqlite".to_owned(),
        realtime_mode: "local".to_owned(),
        openapi: <Document as utoipa::OpenApi>::openapi(),
        untimed_paths: &["/slow-import"],
        sockets: None,
    }
}

async fn slow() -> HttpResponse {
    tokio::time::sleep(Duration::from_millis(400)).await;
    HttpResponse::Ok().body("slow")
}

async fn echo(JsonBody(value): JsonBody<Value>) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

async fn broken() -> Result<HttpResponse, Problem> {
    Err(Problem::internal("the password is hunter2"))
}

async fn limited(caller: Caller, again: MaybeCaller) -> String {
    // Two extractors are one request.
    assert_eq!(Some(&caller), again.0.as_ref());
    caller.account_id
}

async fn who(caller: ServiceCaller) -> String {
    format!("{} for {:?}", caller.claims.iss, caller.scope().tenant())
}

pub fn start(variables: &[(&str, &str)]) -> Running {
    let base = [("ENDCAP_RATER_APP_PORT", "0"), ("ENDCAP_RATER_APP_PRIVATE_PORT", "0"), ("ENDCAP_WORKERS", "1")];
    let settings = Settings::from_variables(base.iter().chain(variables).copied()).unwrap();
    let database_works = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&database_works);
    let ready = readiness(move || {
        let works = flag.load(Ordering::SeqCst);
        async move { vec![if works { Part::ok("database") } else { Part::failed("database", "no connection") }] }
    });
    let (public, private) = (settings.public_socket(ServiceName::RaterApp), settings.private_socket(ServiceName::RaterApp));
    let server = BoundServer::bind(info(), &settings, public, private, ready).unwrap();
    let (public, private) = (server.public_address().unwrap().port(), server.private_address().unwrap().port());
    let shutdown = CancellationToken::new();
    let limiter =
        Limiter::new(limits((1, 2), (1000, 10_000)), Clock::from_fn(|| chrono::DateTime::UNIX_EPOCH), Arc::new(Shared::default()));
    let access = Access::new(&settings, ServiceName::RaterApp, Clock::system(), Arc::new(OneKey)).limited_by(limiter);
    let routes = move |routes: &mut ServiceConfig| {
        routes.app_data(access.clone()).route("/v1/limited", get().to(limited));
        routes.route("/slow", get().to(slow)).route("/slow-import", get().to(slow)).route("/broken", get().to(broken));
        routes.route("/things/{campaign_id}/of/{person_id}", get().to(HttpResponse::Ok));
        routes.service(resource("/echo").route(post().to(echo)));
    };
    let internal = |routes: &mut ServiceConfig| {
        routes.route("/internal/v1/who", get().to(who));
    };
    let done = tokio::spawn(server.run(routes, internal, shutdown.clone()));
    Running { public, private, settings, database_works, shutdown, done }
}

pub async fn send(port: u16, head: &str, body: &str) -> Answer {
    send_bytes(port, head, body.as_bytes()).await
}

pub async fn send_bytes(port: u16, head: &str, body: &[u8]) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    // A server that refuses by the head alone may close before it has read the rest.
    let _ = stream.write_all(&[request.as_bytes(), body].concat()).await;
    read(&mut stream).await
}

/// What a server says until it closes.
pub async fn read(stream: &mut tokio::net::TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a body early may reset the connection after its answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

pub async fn fetch(port: u16, path: &str) -> Answer {
    send(port, &format!("GET {path} HTTP/1.1"), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_version_docs_and_static_files_answer() {
    let running = start(&[]);
    assert_eq!(fetch(running.public, "/health/live").await.status, 200);
    assert_eq!(fetch(running.public, "/health/ready").await.status, 200);
    running.database_works.store(false, Ordering::SeqCst);
    let not_ready = fetch(running.public, "/health/ready").await;
    assert_eq!((not_ready.status, not_ready.json()["failing"][0].as_str()), (503, Some("database")));
    assert!(not_ready.head.contains("retry-after: "));
    assert_eq!(fetch(running.public, "/health/live").await.status, 200, "liveness asks nobody");
    assert_eq!(fetch(running.public, "/version").await.json()["git_commit"], "abc");
    assert_eq!(fetch(running.public, "/openapi.json").await.json()["openapi"], "3.1.0");
    let docs = fetch(running.public, "/docs/").await;
    assert!(
        docs.status == 200 && !docs.body.contains("https://") && docs.head.contains("style-src 'self' 'unsafe-inline'"),
        "{}",
        docs.body
    );
    assert_eq!(fetch(running.public, "/docs").await.status, 308);
    let errors = fetch(running.public, "/docs/errors").await;
    assert!(errors.status == 200 && errors.body.contains("id=\"token_expired\""));
    assert!(!errors.body.contains("style=") && errors.head.contains("script-src 'self';"), "{}", errors.head);
    let href = errors.body.split("href=\"").find(|part| part.starts_with("/static/endcap.css")).unwrap().split('"').next().unwrap();
    let css = fetch(running.public, href).await;
    assert!(css.status == 200 && css.head.contains("immutable"), "{}", css.head);
    let tag = css.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(send(running.public, &format!("GET {href} HTTP/1.1\r\nIf-None-Match: {tag}"), "").await.status, 304);
    assert_eq!(fetch(running.public, "/favicon.ico").await.status, 200);
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem_with_the_callers_request_id() {
    let running = start(&[("ENDCAP_MAX_BODY_BYTES", "1024"), ("ENDCAP_REQUEST_TIMEOUT_MS", "100")]);
    let post = |kind: &str| format!("POST /echo HTTP/1.1\r\nX-Request-Id: req-7\r\nContent-Type: {kind}");
    let cases = [
        ("GET /nowhere HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 404, "not_found"),
        ("GET /v1/limited%00 HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 404, "not_found"),
        (post("application/json"), r#"{"rows": ["a\u0000"]}"#.to_owned(), 422, "invalid_input"),
        ("GET /echo HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 405, "method_not_allowed"),
        ("TRACE /v1/limited HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 405, "method_not_allowed"),
        ("GET /broken HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 500, "internal"),
        ("GET /slow HTTP/1.1\r\nX-Request-Id: req-7".to_owned(), String::new(), 503, "timeout"),
        (post("text/plain"), "{}".to_owned(), 415, "unsupported_media_type"),
        (post("application/json"), "{".to_owned(), 400, "malformed_json"),
        (post("application/json"), format!("\"{}\"", "x".repeat(2000)), 413, "body_too_large"),
    ];
    for (head, body, status, code) in cases {
        let answer = send(running.public, &head, &body).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{head}: {}", answer.body);
        assert_eq!(answer.json()["request_id"], "req-7");
        assert!(
            answer.head.contains("content-type: application/problem+json") && answer.head.contains("x-request-id: req-7"),
            "{}",
            answer.head
        );
        assert!(!head.starts_with("TRACE") || answer.head.contains("allow: get"), "{}", answer.head);
        assert!(answer.head.contains("x-content-type-options: nosniff") && !answer.body.contains("hunter2"));
    }
    assert_eq!(fetch(running.public, "/slow-import").await.status, 200, "streams are exempt from the timeout");
    let made = send(running.public, "GET /health/live HTTP/1.1\r\nX-Request-Id: has space and \"quotes\"", "").await;
    assert!(made.head.contains("x-request-id: 0"), "an unusable id is replaced: {}", made.head);
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_mistypes_an_address_reads_a_page_and_a_program_a_problem() {
    let running = start(&[]);
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let ask = |first: &str, accept: &str| format!("{first} HTTP/1.1\r\n{accept}");
    let page = send(running.public, &ask("GET /nothing?a=%3Cscript%3E", browser), "").await;
    assert_eq!(page.status, 404);
    assert!(
        page.head.contains("content-type: text/html") && page.head.contains("content-security-policy: default-src 'self'"),
        "{}",
        page.head
    );
    for words in ["<h1>This page is not there</h1>", "/nothing", "class=\"navigation\"", "href=\"/\""] {
        assert!(page.body.contains(words), "{words:?} is missing: {}", page.body);
    }
    assert!(!page.body.contains("<script>"), "{}", page.body);
    for (first, accept) in [
        ("GET /nothing", "Accept: */*"),
        ("GET /nothing", "Accept: application/json"),
        ("GET /nothing", "X-Nothing: 1"),
        ("GET /v1/nothing", browser),
        ("POST /nothing", browser),
    ] {
        let answer = send(running.public, &ask(first, accept), "").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("not_found")), "{first} {accept}: {}", answer.body);
    }
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internal_paths_and_metrics_are_private_and_need_a_service_token() {
    let running = start(&[]);
    assert_eq!(fetch(running.public, "/internal/v1/who").await.status, 404);
    assert_eq!(fetch(running.public, "/metrics").await.status, 404);
    assert_eq!(fetch(running.private, "/internal/v1/who").await.json()["code"], "unauthenticated");
    let tokens = ServiceTokens::new(&running.settings.service_secret, Clock::system());
    let call = |token: String| format!("GET /internal/v1/who HTTP/1.1\r\nAuthorization: Bearer {token}");
    let good = tokens.issue("campaign-runtime", "rater-app", Some("tnt-a"), None).unwrap();
    assert_eq!(send(running.private, &call(good), "").await.body, "campaign-runtime for Some(\"tnt-a\")");
    let for_another = tokens.issue("campaign-runtime", "rlhf-backend", None, None).unwrap();
    assert_eq!(send(running.private, &call(for_another), "").await.status, 401);
    let metrics = fetch(running.private, "/metrics").await;
    assert!(
        metrics.body.contains("http_requests_total{") && metrics.body.contains("http_request_duration_seconds_bucket{"),
        "{}",
        metrics.body
    );
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_says_so_and_finishes_open_requests() {
    let running = start(&[("ENDCAP_DRAIN_MS", "2000"), ("ENDCAP_SHUTDOWN_TIMEOUT_MS", "5000")]);
    assert_eq!(fetch(running.public, "/health/ready").await.status, 200);
    let port = running.public;
    let open = tokio::spawn(async move { fetch(port, "/slow").await });
    running.shutdown.cancel();
    let mut last = fetch(port, "/health/ready").await;
    while last.status == 200 {
        last = fetch(port, "/health/ready").await;
    }
    assert_eq!((last.status, last.json()["code"].as_str()), (503, Some("draining")));
    assert_eq!(open.await.unwrap().status, 200);
    tokio::time::timeout(Duration::from_secs(6), running.done).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_given_what_they_need_of_a_connection_and_waited_for() {
    let settings = Settings::from_variables([("ENDCAP_DRAIN_MS", "0"), ("ENDCAP_WORKERS", "1")]).unwrap();
    let (asked, released) = (CancellationToken::new(), CancellationToken::new());
    let (ask, release) = (asked.clone(), released.clone());
    let closed = Arc::new(move |_| -> futures_util::future::BoxFuture<'static, bool> {
        ask.cancel();
        let release = release.clone();
        Box::pin(async move {
            release.cancelled().await;
            true
        })
    });
    let sockets = Sockets { on_connect: |_, extensions| _ = extensions.insert("kept"), closed };
    let info = ServiceInfo { sockets: Some(sockets), ..info() };
    let any = "127.0.0.1:0".parse().unwrap();
    let server = BoundServer::bind(info, &settings, any, any, readiness(|| async { vec![] })).unwrap();
    let port = server.public_address().unwrap().port();
    let kept = |request: actix_web::HttpRequest| async move { request.conn_data::<&str>().copied().unwrap_or("nothing") };
    let routes = move |routes: &mut ServiceConfig| _ = routes.route("/kept", get().to(kept));
    let shutdown = CancellationToken::new();
    let mut done = tokio::spawn(server.run(routes, |_: &mut ServiceConfig| {}, shutdown.clone()));
    assert_eq!(fetch(port, "/kept").await.body, "kept");
    shutdown.cancel();
    asked.cancelled().await;
    assert_eq!(fetch(port, "/kept").await.status, 200, "the workers live as long as the sockets");
    assert!(!done.is_finished());
    released.cancel();
    tokio::time::timeout(Duration::from_secs(20), &mut done).await.unwrap().unwrap().unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_key() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let settings = Settings::from_variables([("ENDCAP_RATER_APP_PORT", port.to_string())]).unwrap();
    let (public, private) = (settings.public_socket(ServiceName::RaterApp), "127.0.0.1:0".parse().unwrap());
    let error = BoundServer::bind(info(), &settings, public, private, readiness(|| async { vec![] })).err().unwrap().to_string();
    for words in [&port.to_string(), "the port is taken", "public listener of rater-app", "ENDCAP_RATER_APP_PORT"] {
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_what_is_left_and_refusals_when_to_come_again() {
    let server = start(&[]);
    let ask = || send(server.public, "GET /v1/limited HTTP/1.1\r\napikey: ek_good", "");
    for left in ["1", "0"] {
        let answer = ask().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        for header in ["ratelimit-limit: 2", &format!("ratelimit-remaining: {left}"), "ratelimit-reset: ", "ratelimit-policy: 2;w=2"] {
            assert!(answer.head.contains(header), "{header} is not in {}", answer.head);
        }
    }
    let refused = ask().await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate_limited")));
    assert!(refused.head.contains("retry-after: 1") && refused.head.contains("ratelimit-remaining: 0"), "{}", refused.head);
    let nobody = fetch(server.public, "/v1/limited").await;
    assert!(nobody.status == 401 && !nobody.head.contains("ratelimit"), "{}", nobody.head);
    server.shutdown.cancel();
    server.done.await.unwrap().unwrap();
}
