//! Webhooks from the address to the receiver and the log, beside receivers that misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::test::TestRequest;
use domain::role::Role;
use rlhf_backend::webhooks::signing::sign;
use rlhf_backend::webhooks::{events, work};
use serde_json::{Value, json};
use storage::outbox::{self, Destination, NewEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use web::sealing::SealKeys;

use crate::Service;

/// Headers and body of a request.
pub(crate) type Taken = (HashMap<String, String>, String);

/// A receiver on this machine; it answers with what is set, and keeps what it was sent.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    answer: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let own = Self { url, answer: Arc::default(), seen: Arc::default() };
        own.answers("204 No Content");
        let receiver = own.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let receiver = receiver.clone();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let (head, body) = loop {
                        let mut part = [0; 4096];
                        let n = stream.read(&mut part).await.unwrap();
                        bytes.extend(&part[..n]);
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        if let Some((head, body)) = text.split_once("\r\n\r\n") {
                            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                            if body.len() >= length.unwrap_or(0) {
                                break (head.to_owned(), body.to_owned());
                            }
                        }
                        assert!(n > 0, "the request broke off");
                    };
                    let headers = head.lines().filter_map(|line| line.split_once(": "));
                    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                    receiver.seen.lock().unwrap().push((headers, body));
                    let answer = receiver.answer.lock().unwrap().clone();
                    let _ = stream.write_all(answer.as_bytes()).await;
                    if !answer.ends_with('\n') {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        own
    }

    pub(crate) fn answers(&self, status: &str) {
        *self.answer.lock().unwrap() = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
    }

    fn says(&self, raw: &str) {
        raw.clone_into(&mut self.answer.lock().unwrap());
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// A service that may call this machine.
pub(crate) fn service_on(database: testkit::database::TestDatabase) -> Service {
    Service::on(
        database,
        &[
            ("ENDCAP_SEAL_KEYS", &SealKeys::generate()),
            ("ENDCAP_WEBHOOK_HTTP", "allowed"),
            ("ENDCAP_WEBHOOK_PORTS", "*"),
            ("ENDCAP_WEBHOOK_NETWORKS", "127.0.0.0/8"),
            ("ENDCAP_WEBHOOK_TIMEOUT_MS", "500"),
        ],
    )
}

pub(crate) async fn made(service: &Service, token: &str, url: &str, types: &[&str]) -> Value {
    let answer = service.post(token, "/v1/webhooks", json!({"url": url, "description": "orders", "event_types": types})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

pub(crate) async fn happened(service: &Service, topic: &str, event: &str, tenant: Option<&str>, payload: Value) {
    let new = NewEvent {
        destination: Destination::Realtime,
        topic: topic.to_owned(),
        event: event.to_owned(),
        payload,
        tenant_id: tenant.map(str::to_owned),
    };
    let now = service.state.clock.now();
    service.database.storage.transaction(move |conn| outbox::push(conn, &new, now)).await.unwrap();
}

/// What the background does in one round; how many attempts were made.
pub(crate) async fn round(service: &Service) -> usize {
    work::carry(&service.state).await.unwrap();
    let attempts = work::take(&service.state, Vec::new()).await.unwrap();
    let n = attempts.len();
    for attempt in attempts {
        work::make(&service.state, attempt).await;
    }
    n
}

pub(crate) async fn log(service: &Service, token: &str, query: &str) -> Vec<Value> {
    let answer = service.get(token, &format!("/v1/webhook-deliveries{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn an_event_is_signed_sent_and_logged_on_every_database() {
    for database in testkit::database::all() {
        let service = service_on(database);
        let kind = service.database.kind();
        let receiver = Receiver::start().await;
        let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
        assert_eq!(round(&service).await, 0, "{kind}");
        let hook = made(&service, &admin, &receiver.url, &["campaign.moved", "model.rolled_back"]).await;
        let (id, secret) = (hook["webhook_id"].as_str().unwrap(), hook["secret"].as_str().unwrap());
        assert!(secret.starts_with("whsec_") && hook["tenant_id"] == "tnt-a", "{kind}");
        let payload = json!({"campaign_id": "cmp_1", "from": "draft", "to": "scheduled", "version": 2, "by": "ann@example.com"});
        happened(&service, "campaigns", "campaign_moved", Some("tnt-a"), payload.clone()).await;
        happened(&service, "campaigns", "campaign_moved", Some("tnt-b"), payload).await;
        happened(&service, "jobs", "model_activated", None, json!({"model_id": "mdl_1", "is_rollback": true})).await;
        happened(&service, "jobs", "model_activated", None, json!({"model_id": "mdl_2", "is_rollback": false})).await;
        assert_eq!(round(&service).await, 2, "{kind}: its own, and the roll-back");
        assert_eq!(round(&service).await, 0, "{kind}: once");
        let taken = receiver.taken();
        let (headers, body) = &taken[0];
        let sent: Value = serde_json::from_str(body).unwrap();
        assert_eq!((sent["type"].as_str(), sent["tenant_id"].as_str()), (Some("campaign.moved"), Some("tnt-a")), "{kind}");
        let data = json!({"campaign_id": "cmp_1", "from": "draft", "to": "scheduled", "version": 2});
        assert_eq!(sent["data"], data, "{kind}: fields that are not listed are not passed on");
        assert_eq!(sent["id"].as_str(), Some(headers["webhook-id"].as_str()), "{kind}");
        let timestamp: i64 = headers["webhook-timestamp"].parse().unwrap();
        assert_eq!(timestamp, service.state.clock.now().timestamp(), "{kind}");
        assert_eq!(Some(&headers["webhook-signature"]), sign(secret, &headers["webhook-id"], timestamp, body).as_ref(), "{kind}");
        let rows = log(&service, &admin, &format!("?webhook_id={id}&status=delivered")).await;
        assert_eq!(
            (rows.len(), &rows[0]["event_type"], &rows[0]["last_http_status"]),
            (2, &json!("model.rolled_back"), &json!(204)),
            "{kind}"
        );
        let one = service.get(&admin, &format!("/v1/webhook-deliveries/{}", rows[1]["delivery_id"].as_str().unwrap())).await.json();
        assert_eq!(one["payload"].as_str(), Some(body.as_str()), "{kind}: byte for byte");
        // The same again, under the same id.
        let again =
            service.post(&admin, &format!("/v1/webhook-deliveries/{}/replay", one["delivery_id"].as_str().unwrap()), json!({})).await;
        assert_eq!(again.status, 202, "{kind}: {}", again.text());
        assert_eq!(round(&service).await, 1, "{kind}");
        let replayed = receiver.taken().remove(0);
        assert_eq!((&replayed.0["webhook-id"], &replayed.1), (&headers["webhook-id"], body), "{kind}");
        // Another tenant, and a person who is no administrator.
        let stranger = service.token(Role::TenantAdmin, Some("tnt-b"));
        for path in ["".to_owned(), "/test".to_owned(), "/rotate-secret".to_owned()] {
            let path = format!("/v1/webhooks/{id}{path}");
            let answer =
                if path.ends_with(id) { service.get(&stranger, &path).await } else { service.post(&stranger, &path, json!({})).await };
            assert_eq!(answer.status, 404, "{kind}: {path}");
        }
        assert!(log(&service, &stranger, "").await.is_empty() && log(&service, &stranger, &format!("?webhook_id={id}")).await.is_empty());
        assert_eq!(service.get(&service.token(Role::Analyst, Some("tnt-a")), "/v1/webhooks").await.status, 403, "{kind}");
        // The platform sees it.
        assert_eq!(log(&service, &service.token(Role::PlatformAdmin, None), "").await.len(), 2, "{kind}");
        assert_eq!(service.delete(&admin, &format!("/v1/webhooks/{id}")).await.status, 204, "{kind}");
        assert!(log(&service, &admin, "").await.is_empty(), "{kind}: the log goes with it");
    }
}

#[actix_web::test]
async fn receivers_that_misbehave_are_tried_again_and_told_apart_in_the_log() {
    let service = service_on(testkit::database::sqlite());
    let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
    let receiver = Receiver::start().await;
    round(&service).await;
    let hook = made(&service, &admin, &receiver.url, &["feedback.received"]).await;
    let id = hook["webhook_id"].as_str().unwrap();
    let inside = Receiver::start().await;
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx";
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\nconnection: close\r\n\r\n", inside.url);
    let cases: [(&str, Option<u16>, &str, &str); 6] = [
        ("HTTP/1.1 500 Oh\r\nconnection: close\r\n\r\n", Some(500), "answered 500", "pending"),
        (&moved, Some(302), "redirects are not followed", "pending"),
        ("", None, "no answer within 0.5 s", "pending"),
        ("SSH-2.0-x\r\n", None, "the connection failed", "pending"),
        (huge, Some(200), "", "delivered"),
        ("HTTP/1.1 410 Gone\r\nconnection: close\r\n\r\n", Some(410), "answered 410", "failed"),
    ];
    for (answer, status, error, outcome) in cases {
        receiver.says(answer);
        assert_eq!(service.post(&admin, &format!("/v1/webhooks/{id}/test"), json!({})).await.status, 202);
        assert_eq!(round(&service).await, 1, "{answer}");
        let row = log(&service, &admin, "?limit=1").await.remove(0);
        assert_eq!((row["status"].as_str(), &row["last_http_status"]), (Some(outcome), &json!(status)), "{answer}: {row}");
        assert!(row["last_error"].as_str().unwrap_or("").contains(error), "{answer}: {row}");
        assert_eq!(row["next_attempt_at"].is_null(), outcome != "pending", "{answer}");
    }
    assert!(inside.taken().is_empty(), "nobody was sent on");
    let off = service.get(&admin, &format!("/v1/webhooks/{id}")).await.json();
    assert!(off["is_enabled"] == false && off["disabled_reason"].as_str().unwrap().contains("410"), "{off}");
    let waiting = log(&service, &admin, "?status=pending").await;
    assert!(waiting.is_empty(), "what waited is given up: {waiting:?}");
    assert_eq!(service.post(&admin, &format!("/v1/webhooks/{id}/test"), json!({})).await.status, 409);
    // On again; what failed is sent again, and nobody listens now.
    let on = service.send(&admin, TestRequest::patch().uri(&format!("/v1/webhooks/{id}")).set_json(json!({"is_enabled": true}))).await;
    assert_eq!((on.status.as_u16(), &on.json()["disabled_reason"]), (200, &Value::Null));
    receiver.answers("200 OK");
    let since = json!({"since": "2026-01-15T00:00:00Z"});
    let replayed = service.post(&admin, &format!("/v1/webhooks/{id}/replay"), since).await;
    assert_eq!((replayed.status.as_u16(), &replayed.json()["replayed"]), (202, &json!(5)), "{}", replayed.text());
    // Four to one webhook at once.
    assert_eq!((round(&service).await, round(&service).await), (4, 1));
    assert_eq!(log(&service, &admin, "?status=delivered").await.len(), 6);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let moved = json!({"url": format!("http://{closed}/")});
    assert_eq!(service.send(&admin, TestRequest::patch().uri(&format!("/v1/webhooks/{id}")).set_json(moved)).await.status, 200);
    service.post(&admin, &format!("/v1/webhooks/{id}/test"), json!({})).await;
    assert_eq!(round(&service).await, 1);
    let row = log(&service, &admin, "?status=pending").await.remove(0);
    assert!(row["last_error"].as_str().unwrap().contains("refused"), "{row}");
    // It is due again when its pause is over, and not before.
    assert_eq!(round(&service.at("2026-01-15T12:00:03Z")).await, 0);
    assert_eq!(round(&service.at("2026-01-15T12:00:07Z")).await, 1);
}

#[actix_web::test]
async fn a_secret_is_shown_once_sealed_and_turned_over_a_day() {
    let service = service_on(testkit::database::sqlite());
    let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
    let receiver = Receiver::start().await;
    let body = json!({"url": receiver.url, "event_types": ["task.decided"]});
    let create = || TestRequest::post().uri("/v1/webhooks").insert_header(("idempotency-key", "k1")).set_json(&body);
    let (first, again) = (service.send(&admin, create()).await, service.send(&admin, create()).await);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201), "{}", first.text());
    assert_eq!(first.json(), again.json(), "the same request has the same answer, secret and all");
    let (id, old) = (first.json()["webhook_id"].as_str().unwrap().to_owned(), first.json()["secret"].as_str().unwrap().to_owned());
    assert_eq!(service.get(&admin, "/v1/webhooks").await.json()["data"].as_array().unwrap().len(), 1);
    for path in ["/v1/webhooks".to_owned(), format!("/v1/webhooks/{id}"), "/v1/audit-log".to_owned(), "/webhooks".to_owned()] {
        let shown = service.get(&admin, &path).await;
        assert!(shown.status == 200 && !shown.text().contains(&old) && !shown.text().contains("secret_sealed"), "{path}");
    }
    let file = std::fs::read(service.database.url.trim_start_matches("sqlite://")).unwrap();
    let log = std::fs::read(format!("{}-wal", service.database.url.trim_start_matches("sqlite://"))).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(old.len()).any(|window| window == old.as_bytes());
    assert!(!holds(&file) && !holds(&log), "the database holds the secret only sealed");
    let rotated = service.post(&admin, &format!("/v1/webhooks/{id}/rotate-secret"), json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let new = rotated.json()["secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{id}/rotate-secret");
    let again = service.post(&admin, &path, json!({})).await;
    assert!(again.status == 409 && again.text().contains("at_once=true"), "the first secret was promised a day: {}", again.text());
    assert!(new != old && rotated.json()["previous_secret_until"].as_str().unwrap().starts_with("2026-01-16T12:00:00"));
    for (now, both) in [("2026-01-15T12:00:00Z", true), ("2026-01-16T11:59:59Z", true), ("2026-01-16T12:00:00Z", false)] {
        let service = service.at(now);
        let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
        assert_eq!(service.post(&admin, &format!("/v1/webhooks/{id}/test"), json!({})).await.status, 202);
        assert_eq!(round(&service).await, 1);
        let (headers, body) = receiver.taken().remove(0);
        let signed = |secret: &str| sign(secret, &headers["webhook-id"], service.state.clock.now().timestamp(), &body).unwrap();
        let expected = if both { format!("{} {}", signed(&new), signed(&old)) } else { signed(&new) };
        assert_eq!(headers["webhook-signature"], expected, "{now}");
    }
}

#[actix_web::test]
async fn what_is_wrong_with_a_webhook_is_said_field_by_field() {
    let service = Service::with(&[("ENDCAP_SEAL_KEYS", &SealKeys::generate())]);
    let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
    for (body, field, said) in [
        (json!({"url": "http://1.1.1.1/", "event_types": ["task.decided"]}), "url", "https://"),
        (json!({"url": "https://localhost/", "event_types": ["task.decided"]}), "url", "leads to"),
        (json!({"url": "https://169.254.169.254/", "event_types": ["task.decided"]}), "url", "link-local"),
        (json!({"url": "https://1.1.1.1:8443/", "event_types": ["task.decided"]}), "url", "port 8443"),
        (json!({"url": "https://1.1.1.1/", "event_types": []}), "event_types", "at least one"),
        (json!({"url": "https://1.1.1.1/", "event_types": ["task.decided", "task.dreamt"]}), "event_types[1]", "is no type"),
        (json!({"url": "https://1.1.1.1/", "event_types": ["task.decided", "task.decided"]}), "event_types[1]", "twice"),
        (json!({"url": "https://1.1.1.1/", "event_types": ["webhook.test"]}), "event_types[0]", "is no type"),
        (json!({"url": "https://1.1.1.1/", "description": "x".repeat(501), "event_types": ["task.decided"]}), "description", "at most 500"),
        (json!({"url": "https://1.1.1.1/", "event_types": ["task.decided"], "tenant_id": "tnt-b"}), "tenant_id", "not your tenant"),
        (json!({"url": "https://1.1.1.1/", "event_types": ["task.decided"], "secret": "whsec_own"}), "secret", ""),
    ] {
        let answer = service.post(&admin, "/v1/webhooks", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        assert!(errors[0]["field"] == field && errors[0]["message"].as_str().unwrap().contains(said), "{body}: {errors}");
    }
    let good = json!({"url": "https://1.1.1.1/", "event_types": ["task.decided"], "is_enabled": false});
    let hook = service.post(&admin, "/v1/webhooks", good.clone()).await.json();
    let path = format!("/v1/webhooks/{}", hook["webhook_id"].as_str().unwrap());
    let patch = service.send(&admin, TestRequest::patch().uri(&path).set_json(json!({"url": "https://10.0.0.1/"}))).await;
    assert_eq!(patch.status, 422, "{}", patch.text());
    assert_eq!(service.get(&admin, &path).await.json()["url"], "https://1.1.1.1/", "nothing of a refused request is kept");
    assert_eq!(service.get(&admin, "/v1/webhook-deliveries?status=lost").await.status, 422);
    assert_eq!(service.post(&admin, &format!("{path}/replay"), json!({})).await.status, 422);
    let platform = service.token(Role::PlatformAdmin, None);
    let of_nobody = json!({"url": "https://1.1.1.1/", "event_types": ["task.decided"], "tenant_id": "tnt-unheard-of"});
    assert_eq!(service.post(&platform, "/v1/webhooks", of_nobody).await.status, 422);
    assert_eq!(
        service.post(&service.token(Role::TenantAdmin, None), "/v1/webhooks", good.clone()).await.status,
        422,
        "nobody's administrator"
    );
    assert_eq!(service.get(&admin, "/v1/webhook-event-types").await.json()["data"].as_array().unwrap().len(), events::TYPES.len());
    let bare = Service::new();
    let refused = bare.post(&bare.token(Role::TenantAdmin, Some("tnt-a")), "/v1/webhooks", good).await;
    assert!(refused.status == 409 && refused.text().contains("ENDCAP_SEAL_KEYS"), "{}", refused.text());
}

#[actix_web::test]
async fn the_pages_show_webhooks_and_what_was_sent() {
    let service = service_on(testkit::database::sqlite());
    let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
    assert!(service.get(&admin, "/webhooks").await.text().contains("No webhook yet"));
    assert!(service.get(&admin, "/webhooks/deliveries").await.text().contains("Nothing was sent yet"));
    let receiver = Receiver::start().await;
    receiver.answers("503 Later");
    let hook = made(&service, &admin, &format!("{}?a=<script>", receiver.url), &["task.decided"]).await;
    let id = hook["webhook_id"].as_str().unwrap();
    service.post(&admin, &format!("/v1/webhooks/{id}/test"), json!({})).await;
    round(&service).await;
    let page = service.get(&admin, "/webhooks").await.text();
    assert!(page.contains("failing") && page.contains("Every attempt has failed") && !page.contains("?a=<script>"), "{page}");
    let page = service.get(&admin, &format!("/webhooks/deliveries?webhook_id={id}&status=pending")).await.text();
    assert!(page.contains("webhook.test") && page.contains("503 in") && page.contains("1 of 12"), "{page}");
    assert!(service.get(&admin, "/webhooks/deliveries?status=failed").await.text().contains("No delivery matches"));
    let row = log(&service, &admin, "").await.remove(0);
    let path = format!("/webhooks/deliveries/{}", row["delivery_id"].as_str().unwrap());
    let page = service.get(&admin, &path).await.text();
    assert!(page.contains("This is a test of your webhook.") && page.contains("1 of 12 attempts<"), "{page}");
    assert_eq!(service.get(&service.token(Role::TenantAdmin, Some("tnt-b")), &path).await.status, 404);
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    assert!(service.get(&analyst, "/webhooks").await.text().contains("Your role keeps no webhooks"));
    assert!(!service.get(&analyst, "/webhooks/deliveries").await.text().contains("webhook.test"));
}
