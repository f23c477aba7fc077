//! The program itself, as those who run it see it: what its spans say, and why it is not ready.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::service::Service;

/// Longest wait for spans, which go in batches.
const WITHIN: Duration = Duration::from_secs(60);

fn start(variables: &[(&str, &str)]) -> Service {
    Service::start(Path::new(env!("CARGO_BIN_EXE_campaign-runtime")), variables).unwrap()
}

/// Status and body of a question.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// A collector of spans that keeps what it is sent; protocol buffers hold texts as they are.
fn collector() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, kept) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(String::new())));
    let received = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let length =
                    text.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                let is_whole = length.zip(end).is_some_and(|(length, end)| bytes.len() >= end + 4 + length);
                if is_whole || read == 0 {
                    received.lock().unwrap().push_str(&text);
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    (address, kept)
}

#[test]
fn spans_of_campaigns_say_which_campaign() {
    let database = testkit::database::sqlite();
    let (address, kept) = collector();
    let service = start(&[("DATABASE_URL", &database.url), ("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
    // Refused, since nobody signs in here; the span is about the campaign all the same.
    assert_eq!(get(service.address, "/v1/campaigns/cmp_42/history").0, 401);
    assert_eq!(get(service.address, "/v1/api-keys/key_7").0, 401);
    let began = Instant::now();
    while !kept.lock().unwrap().contains("key_7") {
        assert!(began.elapsed() < WITHIN, "no spans: {}\n{}", kept.lock().unwrap(), service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = kept.lock().unwrap().clone();
    for (name, id) in [("endcap.campaign_id", "cmp_42"), ("endcap.api_key_id", "key_7")] {
        let after = said.split(name).nth(1).unwrap_or_else(|| panic!("{name} is not in {said}"));
        assert!(after[..id.len() + 8].contains(id), "{name}: {after}");
    }
}

#[test]
fn why_it_is_not_ready_is_said_to_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.db");
    std::fs::write(&file, "").unwrap();
    let service = start(&[("DATABASE_URL", &format!("sqlite://{}", file.display()))]);
    let (status, answer) = get(service.address, "/health/ready");
    assert!(status == 503 && answer.contains("the database is empty") && answer.contains("endcap migrate up"), "{answer}");
    for database in testkit::database::all().into_iter().filter(|database| database.kind() == "mysql") {
        storage::backup::begin_restore(&mut database.connect()).unwrap();
        let service = start(&[("DATABASE_URL", &database.url)]);
        let (status, answer) = get(service.address, "/health/ready");
        assert!(status == 503 && answer.contains("half of a backup") && !answer.contains("does not answer"), "{answer}");
    }
}
