//! What a log line says of its request: which one, by whom and for which tenant, and nothing that opens a door.

use std::io;
use std::sync::{Arc, Mutex};

use domain::time::Clock;
use serde_json::Value;
use web::token::ServiceTokens;

use crate::serving::{fetch, send, start};

/// The lines written so far.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_line_names_caller_and_tenant_and_no_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).try_init().unwrap();
    let running = start(&[]);
    let token = ServiceTokens::new(&running.settings.service_secret, Clock::system())
        .issue("campaign-runtime", "rater-app", Some("tnt-b"), Some("acc_7"))
        .unwrap();
    assert_eq!(send(running.public, "GET /v1/limited?word=hidden HTTP/1.1\r\napikey: ek_good", "").await.status, 200);
    assert_eq!(send(running.private, &format!("GET /internal/v1/who HTTP/1.1\r\nAuthorization: Bearer {token}"), "").await.status, 200);
    assert_eq!(fetch(running.public, "/nowhere").await.status, 404);
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let answered: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line: &Value| line["message"] == "answered")
        .collect();
    let of = |path: &str| &answered.iter().find(|line| line["span"]["path"] == path).unwrap_or_else(|| panic!("{path}: {text}"))["span"];
    assert_eq!((&of("/v1/limited")["caller"], &of("/v1/limited")["tenant"]), (&"key_1".into(), &"tnt-a".into()));
    assert_eq!((&of("/internal/v1/who")["caller"], &of("/internal/v1/who")["tenant"]), (&"acc_7".into(), &"tnt-b".into()));
    assert!(of("/nowhere")["caller"].is_null() && of("/nowhere")["request_id"].is_string());
    for secret in ["ek_good", "hidden", token.as_str()] {
        assert!(!text.contains(secret), "{secret} stands in the log: {text}");
    }
}
