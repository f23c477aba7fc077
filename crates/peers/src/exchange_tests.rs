//! What callers of a peer rely on, against a server that behaves well and badly.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::task::TaskType;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::context::RequestContext;
use crate::error::{PeerError, PeerErrorKind};
use crate::exchange::{Exchange, MAX_RESPONSE_BYTES, Operation};
use crate::judgments::JudgmentsReady;
use crate::rater_app::RaterApp;
use crate::rlhf_backend::RlhfBackend;
use crate::score::{ScoreRequest, ScoreResponse};
use crate::service_token::ServiceClaims;
use crate::settings::PeerSettings;
use crate::tasks::NewTask;
use crate::test_server::{Answer, TestServer, header};

const SECRET: &str = "the secret that our services share in this test";
const TIMEOUT: Duration = Duration::from_secs(10);

fn settings(url: &str, timeout: Duration) -> PeerSettings {
    let service_secret = SecretString::from(SECRET);
    PeerSettings { private_url: url.to_owned(), caller: crate::CAMPAIGN_RUNTIME.to_owned(), service_secret, timeout }
}

fn context() -> RequestContext {
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    RequestContext { request_id: "req-1".to_owned(), traceparent }
}

fn score_request() -> ScoreRequest {
    ScoreRequest {
        task_type: TaskType::PlanQuality,
        retailer_id: None,
        tenant_id: Some("tnt-a".to_owned()),
        context: json!({"objective": "conversion"}),
        candidates: vec![json!({"plan": 1}), json!({"plan": 2})],
        checks: Vec::new(),
    }
}

fn scored() -> Answer {
    Answer::Json(200, serde_json::to_string(&ScoreResponse::without_model(2, "no active model")).unwrap())
}

fn busy() -> Answer {
    Answer::Json(503, r#"{"code": "draining", "detail": "shutting down"}"#.to_owned())
}

async fn score(url: &str, timeout: Duration) -> Result<ScoreResponse, PeerError> {
    RlhfBackend::new(settings(url, timeout)).unwrap().score(&context(), &score_request()).await
}

#[tokio::test]
async fn a_busy_peer_is_asked_again() {
    let server = TestServer::start(vec![busy(), busy(), scored()]).await;
    assert!(score(&server.url, TIMEOUT).await.unwrap().fallback);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn after_two_retries_the_reason_is_passed_on() {
    let server = TestServer::start(vec![busy()]).await;
    let error = score(&server.url, TIMEOUT).await.unwrap_err();
    assert_eq!(error.to_string(), "rlhf-backend refused to score with 503 draining (tried 3 times): shutting down");
    assert!(error.may_succeed_later());
    assert_eq!((error.retried, server.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_refusal_is_final_and_says_which_field() {
    let problem =
        json!({"code": "invalid_input", "detail": "1 field is wrong", "errors": [{"field": "title", "message": "must not be empty"}]});
    let server = TestServer::start(vec![Answer::Json(422, problem.to_string())]).await;
    let task: NewTask = serde_json::from_value(json!({
        "task_type": "plan_quality", "title": "", "prompt": "Which?", "candidate_a": {}, "candidate_b": {}
    }))
    .unwrap();
    let error = RaterApp::new(settings(&server.url, TIMEOUT)).unwrap().create_task(&context(), &task).await.unwrap_err();
    let detail = "1 field is wrong (title: must not be empty)".to_owned();
    assert_eq!(error.kind, PeerErrorKind::Refused { status: 422, code: Some("invalid_input".to_owned()), detail });
    assert!(!error.may_succeed_later());
    assert_eq!((error.retried, server.requests().len()), (0, 1));
}

#[tokio::test]
async fn a_retried_task_without_an_id_keeps_the_id_it_was_given() {
    let created = json!({"task_id": "tsk_1", "status": "pending", "auto_checks": [], "created": true});
    let server = TestServer::start(vec![busy(), Answer::Json(201, created.to_string())]).await;
    let task: NewTask = serde_json::from_value(json!({
        "task_type": "plan_quality", "title": "Plans", "prompt": "Which?", "candidate_a": {}, "candidate_b": {}
    }))
    .unwrap();
    assert!(RaterApp::new(settings(&server.url, TIMEOUT)).unwrap().create_task(&context(), &task).await.unwrap().created);
    let ids: Vec<Value> = server.requests().iter().map(|request| body(request)["task_id"].clone()).collect();
    assert!(ids[0].as_str().unwrap().starts_with("tsk_"));
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unreachable() {
    // Bound but not listening: connections are refused, and nobody else can take the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = score(&format!("http://{}", socket.local_addr().unwrap()), TIMEOUT).await.unwrap_err();
    assert_eq!((error.kind, error.retried), (PeerErrorKind::Unreachable, 2));
    assert!(error.source.is_some());
}

#[tokio::test]
async fn silence_ends_with_the_timeout_and_is_not_repeated() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let server = TestServer::start(vec![Answer::Unfinished(begun.to_owned())]).await;
        let error = score(&server.url, Duration::from_millis(300)).await.unwrap_err();
        assert_eq!((&error.kind, error.retried), (&PeerErrorKind::TimedOut, 0), "{begun:?}");
        let deadline_ms: u64 = header(&server.requests()[0], "x-deadline-ms").unwrap().parse().unwrap();
        assert!((1..=300).contains(&deadline_ms), "{deadline_ms}");
    }
}

#[tokio::test]
async fn unusable_answers_are_broken_and_not_repeated() {
    let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_RESPONSE_BYTES + 1);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}",
        MAX_RESPONSE_BYTES + 1,
        "x".repeat(MAX_RESPONSE_BYTES + 1)
    );
    let cases = [
        (Answer::Unfinished(declared), "larger than 8388608 bytes"),
        (Answer::Unfinished(chunked), "larger than 8388608 bytes"),
        (Answer::Json(200, r#"{"scores": "high"}"#.to_owned()), "not the agreed JSON"),
        (Answer::HangUp, "broke off"),
    ];
    for (answer, word) in cases {
        let server = TestServer::start(vec![answer]).await;
        let error = score(&server.url, TIMEOUT).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(matches!(error.kind, PeerErrorKind::Broken { .. }));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TestServer::start(vec![scored()]).await;
    let redirect = format!("HTTP/1.1 307 x\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let server = TestServer::start(vec![Answer::Unfinished(redirect)]).await;
    let error = score(&server.url, TIMEOUT).await.unwrap_err();
    assert!(matches!(error.kind, PeerErrorKind::Refused { status: 307, .. }), "{error}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn the_circuit_opens_spares_the_peer_and_recovers() {
    let mut answers = vec![Answer::HangUp; 6];
    answers.push(Answer::Json(200, "1".to_owned()));
    let server = TestServer::start(answers).await;
    let (start, passed_s) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clock = {
        let passed_s = passed_s.clone();
        Arc::new(move || start + Duration::from_secs(passed_s.load(Ordering::SeqCst)))
    };
    let exchange = Exchange::with_clock(crate::RLHF_BACKEND, settings(&server.url, TIMEOUT), clock).unwrap();
    let call = async || exchange.post::<_, i32>(Operation { name: "count", path: "/count" }, &context(), None, &()).await;

    for _ in 0..5 {
        assert!(matches!(call().await.unwrap_err().kind, PeerErrorKind::Broken { .. }));
    }
    assert_eq!(call().await.unwrap_err().kind, PeerErrorKind::CircuitOpen);
    assert_eq!(server.requests().len(), 5);

    passed_s.store(5, Ordering::SeqCst);
    assert!(matches!(call().await.unwrap_err().kind, PeerErrorKind::Broken { .. }), "the probe reaches the peer");
    assert_eq!(call().await.unwrap_err().kind, PeerErrorKind::CircuitOpen);

    passed_s.store(10, Ordering::SeqCst);
    assert_eq!(call().await.unwrap(), 1);
    assert!(!exchange.is_circuit_open());
    assert_eq!(call().await.unwrap(), 1);
}

#[tokio::test]
async fn each_call_carries_a_token_for_this_peer_and_the_callers_trace() {
    let server = TestServer::start(vec![scored()]).await;
    score(&server.url, TIMEOUT).await.unwrap();
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /internal/v1/score HTTP/1.1\r\n"));
    assert_eq!(header(request, "x-request-id").unwrap(), "req-1");
    assert_eq!(header(request, "traceparent"), context().traceparent);
    assert_eq!(body(request)["candidates"], json!([{"plan": 1}, {"plan": 2}]));

    let authorization = header(request, "authorization").unwrap();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["rlhf-backend"]);
    validation.set_issuer(&["campaign-runtime"]);
    let claims = jsonwebtoken::decode::<ServiceClaims>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation).unwrap().claims;
    assert_eq!(claims.tenant_id.as_deref(), Some("tnt-a"));
    assert_eq!(claims.exp - claims.iat, 60);
    let wrong_secret = DecodingKey::from_secret(b"another secret");
    assert!(jsonwebtoken::decode::<ServiceClaims>(token, &wrong_secret, &validation).is_err());
}

#[tokio::test]
async fn decided_tasks_are_delivered_and_duplicates_are_told_apart() {
    let server = TestServer::start(vec![Answer::Json(202, r#"{"event_id": "evt_1", "duplicate": true}"#.to_owned())]).await;
    let event: JudgmentsReady = serde_json::from_value(json!({
        "event_id": "evt_1", "task_id": "tsk_1", "task_type": "plan_quality", "status": "completed", "choice": "candidate_b",
        "posterior": 0.97, "judgments": 3, "decided_at": "2026-11-22T10:00:00Z"
    }))
    .unwrap();
    let client = RlhfBackend::new(settings(&server.url, TIMEOUT)).unwrap();
    assert!(client.judgments_ready(&RequestContext::for_background_work(), &event).await.unwrap().duplicate);
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /internal/v1/judgments-ready "));
    assert_eq!(serde_json::from_value::<JudgmentsReady>(body(request)).unwrap(), event);
}

#[tokio::test]
async fn a_request_id_that_is_no_header_value_does_not_stop_the_call() {
    let server = TestServer::start(vec![scored()]).await;
    let context = RequestContext { request_id: "a\nb".to_owned(), traceparent: None };
    RlhfBackend::new(settings(&server.url, TIMEOUT)).unwrap().score(&context, &score_request()).await.unwrap();
    assert_eq!(header(&server.requests()[0], "x-request-id"), None);
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}
