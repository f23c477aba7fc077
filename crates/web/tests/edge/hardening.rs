//! What strangers try on any server: bodies that grow, nest or never end, heads without end, and what browsers must be told.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt as _;

use crate::serving::{fetch, read, send, send_bytes, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_before_anything_is_unpacked() {
    let running = start(&[]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(format!("\"{}\"", " ".repeat(64 << 20)).as_bytes()).unwrap();
    let bomb = encoder.finish().unwrap();
    let post = "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding:";
    for coding in ["gzip", "br", "deflate", "zstd", "gzip, gzip"] {
        let refused = send_bytes(running.public, &format!("{post} {coding}"), &bomb).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (415, Some("unsupported_media_type")), "{}", refused.body);
    }
    let plain = send_bytes(running.public, &format!("{post} identity"), br#"{"a": 1}"#).await;
    assert_eq!((plain.status, plain.body.as_str()), (200, r#"{"a":1}"#));
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_nests_without_end_is_refused_and_the_process_lives() {
    let running = start(&[]);
    let post = "POST /echo HTTP/1.1\r\nContent-Type: application/json";
    for body in ["[".repeat(100_000), format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)), "{\"a\":".repeat(10_000)] {
        let answer = send(running.public, post, &body).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("malformed_json")), "{}", answer.body);
    }
    assert_eq!(fetch(running.public, "/health/live").await.status, 200);
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_never_end_are_ended() {
    let running = start(&[("ENDCAP_REQUEST_TIMEOUT_MS", "300")]);
    let open = |text: &'static str| async move {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", running.public)).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let answer = tokio::time::timeout(Duration::from_secs(20), read(&mut stream)).await.expect("the server keeps waiting");
        (answer, begun.elapsed())
    };
    let (head, after) = open("GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    assert_eq!(head.status, 408, "after {after:?}: {}", head.head);
    let post = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let (body, after) = open(post).await;
    assert_eq!((body.status, body.json()["code"].as_str()), (408, Some("request_timeout")), "after {after:?}: {}", body.head);
    assert!(after < Duration::from_secs(10), "{after:?}");
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_without_end_and_methods_that_nobody_means_are_refused() {
    let running = start(&[]);
    let long = send(running.public, &format!("GET /health/live HTTP/1.1\r\nX-Long: {}", "a".repeat(1 << 20)), "").await;
    assert!(matches!(long.status, 0 | 400 | 431), "{}", long.head);
    let many: String = (0..500).map(|n| format!("\r\nX-{n}: a")).collect();
    let many = send(running.public, &format!("GET /health/live HTTP/1.1{many}"), "").await;
    assert!(matches!(many.status, 0 | 400 | 431), "{}", many.head);
    for method in ["TRACE", "CONNECT", "PROPFIND", "get"] {
        let answer = send(running.public, &format!("{method} /echo HTTP/1.1"), "").await;
        assert!(matches!(answer.status, 400 | 404 | 405), "{method}: {} {}", answer.status, answer.head);
    }
    assert_eq!(fetch(running.public, "/health/live").await.status, 200);
    running.shutdown.cancel();
    running.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_are_told_what_pages_may_do() {
    let https = [
        ("ENDCAP_CAMPAIGN_RUNTIME_URL", "https://plan.endcap.example"),
        ("ENDCAP_RLHF_BACKEND_URL", "https://learn.endcap.example"),
        ("ENDCAP_RATER_APP_URL", "https://rate.endcap.example"),
    ];
    for (variables, is_https) in [(&https[..], true), (&[], false)] {
        let running = start(variables);
        for path in ["/health/live", "/docs/errors", "/nowhere", "/static/endcap.css"] {
            let answer = fetch(running.public, path).await;
            for header in [
                "content-security-policy: default-src 'self'; script-src 'self'; style-src 'self';",
                "frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
                "x-content-type-options: nosniff",
                "referrer-policy: strict-origin-when-cross-origin",
                "cross-origin-opener-policy: same-origin",
                "permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ] {
                assert!(answer.head.contains(header), "{path} lacks {header}: {}", answer.head);
            }
            // Told over plain HTTP it would be ignored, and lock people out of a machine of their own behind a proxy.
            assert_eq!(answer.head.contains("strict-transport-security: max-age=31536000"), is_https, "{path}: {}", answer.head);
        }
        running.shutdown.cancel();
        running.done.await.unwrap().unwrap();
    }
}
