//! Spans of requests as a collector receives them: part of the caller's trace, with the ids of our things and nothing that opens a door; and a
//! collector that does not answer, which nobody notices but the counter.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::DateTime;
use domain::task::{TaskStatus, TaskType};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use peers::context::RequestContext;
use peers::judgments::JudgmentsReady;
use peers::rlhf_backend::RlhfBackend;
use peers::settings::PeerSettings;
use peers::spans::{SpanSettings, Spans};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::serving::{Running, fetch, send, start};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Head and body of a request.
type Taken = (String, Vec<u8>);

/// A collector that takes everything, and keeps it: heads and bodies.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Taken>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let (collector, listener) = (Self::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kept = collector.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                loop {
                    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                    let head = end.map(|end| String::from_utf8_lossy(&bytes[..end]).to_lowercase());
                    let length: Option<usize> =
                        head.as_deref().and_then(|head| head.split("content-length: ").nth(1)?.lines().next()?.parse().ok());
                    if let (Some(end), Some(head), Some(length)) = (end, head, length)
                        && bytes.len() >= end + 4 + length
                    {
                        kept.0.lock().unwrap().push((head, bytes[end + 4..].to_vec()));
                        break;
                    }
                    let read = stream.read(&mut chunk).await.unwrap();
                    assert!(read > 0, "the request broke off");
                    bytes.extend_from_slice(&chunk[..read]);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        });
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let kept = self.0.lock().unwrap();
        let requests = kept.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
        requests.flat_map(|one| one.resource_spans).flat_map(|one| one.scope_spans).flat_map(|one| one.spans).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|one| one.key == name)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

fn open(settings: &SpanSettings) -> Spans {
    let spans = Spans::open(settings, &Handle::current()).unwrap();
    tracing_subscriber::registry().with(spans.layer()).init();
    spans
}

async fn stop(running: Running) {
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_receives_requests_in_their_traces_and_no_secret() {
    let (collector, address) = Collector::start().await;
    let settings = SpanSettings {
        headers: Some("authorization=Bearer%20of-the-collector".into()),
        ..SpanSettings::new(&address, "rater-app", "1.2.3")
    };
    let spans = open(&settings);
    let running = start(&[]);
    let traced = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\nX-Request-Id: req-7\r\napikey: ek_good");
    assert_eq!(send(running.public, &format!("GET /v1/limited?word=hidden HTTP/1.1\r\n{traced}"), "").await.status, 200);
    assert_eq!(fetch(running.public, "/things/cmp_1/of/ada@example.com").await.status, 200);
    assert_eq!(fetch(running.public, "/broken").await.status, 500);
    assert_eq!(fetch(running.public, "/health/live").await.status, 200);
    let unsampled = format!("GET /slow HTTP/1.1\r\ntraceparent: 00-{TRACE}-{PARENT}-00");
    assert_eq!(send(running.public, &unsampled, "").await.status, 200);
    // A call to another service, which has no such path here.
    let peer = RlhfBackend::new(PeerSettings {
        private_url: format!("http://127.0.0.1:{}", running.private),
        caller: peers::RATER_APP.to_owned(),
        service_secret: running.settings.service_secret.clone(),
        timeout: Duration::from_secs(5),
    })
    .unwrap();
    let news = JudgmentsReady {
        event_id: "evt_1".to_owned(),
        task_id: "tsk_1".to_owned(),
        task_type: TaskType::ToolCallQa,
        retailer_id: None,
        tenant_id: None,
        status: TaskStatus::Completed,
        choice: None,
        posterior: None,
        judgments: 3,
        decided_at: DateTime::UNIX_EPOCH,
    };
    let request = tracing::info_span!("request", request_id = "req-9");
    peer.judgments_ready(&RequestContext::for_background_work(), &news).instrument(request).await.unwrap_err();
    stop(running).await;
    spans.close(Duration::from_secs(10)).await;

    let received = collector.spans();
    let names: Vec<&str> = received.iter().map(|span| span.name.as_str()).collect();
    let of = |name: &str| received.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    let limited = of("GET /v1/limited");
    assert_eq!((hex(&limited.trace_id), hex(&limited.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    for (name, value) in [
        ("endcap.request_id", "req-7"),
        ("endcap.caller", "key_1"),
        ("endcap.tenant_id", "tnt-a"),
        ("http.response.status_code", "200"),
        ("http.request.method", "GET"),
    ] {
        assert_eq!(said(limited, name).as_deref(), Some(value), "{name}: {limited:?}");
    }
    let thing = of("GET /things/{campaign_id}/of/{person_id}");
    assert_eq!((said(thing, "endcap.campaign_id").as_deref(), said(thing, "endcap.person_id")), (Some("cmp_1"), None));
    assert_eq!(of("GET /broken").status.as_ref().unwrap().code, 2, "our fault is an error");
    assert!(!names.contains(&"GET /slow"), "the caller decided against it");
    assert!(!names.iter().any(|name| name.contains("health")), "probes are left out: {names:?}");
    // Ours, the call it makes, and what the other side makes of it, one below the other in one trace.
    let (own, call, theirs) = (of(" "), of("rlhf-backend take judgments"), of("POST unmatched"));
    assert_eq!((&call.parent_span_id, &theirs.parent_span_id), (&own.span_id, &call.span_id));
    assert!(own.trace_id == call.trace_id && call.trace_id == theirs.trace_id);
    assert_eq!((call.kind, theirs.kind, said(call, "endcap.outcome").as_deref()), (3, 2, Some("refused")));

    let kept = collector.0.lock().unwrap();
    assert!(kept.iter().all(|(head, _)| head.starts_with("post /v1/traces ") && head.contains("authorization: bearer of-the-collector")));
    for (_, body) in kept.iter() {
        let text = String::from_utf8_lossy(body);
        assert!(text.contains("rater-app") && text.contains("1.2.3"));
        for secret in ["ek_good", "hidden", "hunter2", "ada@example.com", "of-the-collector"] {
            assert!(!text.contains(secret), "{secret} left: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_does_not_answer_slows_nobody_and_what_is_lost_is_counted() {
    // It takes connections, in its backlog, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let settings = SpanSettings { queue: 8, pause: Duration::from_millis(10), ..SpanSettings::new(&address, "rater-app", "1.2.3") };
    let spans = open(&settings);
    let running = start(&[]);
    let metrics = fetch(running.private, "/metrics").await.body;
    for reason in ["queue_full", "collector"] {
        assert!(
            metrics.contains(&format!("endcap_spans_dropped_total{{reason=\"{reason}\"}} 0")),
            "seen before the first is lost: {metrics}"
        );
    }
    let began = Instant::now();
    for _ in 0..2_000 {
        assert_eq!(fetch(running.public, "/nowhere").await.status, 404);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(60), "2,000 requests took {took:?}");
    let metrics = fetch(running.private, "/metrics").await.body;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("endcap_spans_dropped_total{reason=\"queue_full\"} "));
    assert!(dropped.is_some_and(|count| count.parse::<u64>().unwrap() > 1_000), "{metrics}");
    stop(running).await;
    // Closing waits as long as it is told, and no longer.
    let began = Instant::now();
    spans.close(Duration::from_millis(200)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
