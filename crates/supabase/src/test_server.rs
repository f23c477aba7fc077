//! An HTTP server of a few lines that stands for a Supabase project in tests.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each path with a status, or never.
pub(crate) struct TestServer {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    pub(crate) async fn start(status_of: impl Fn(&str) -> Option<u16> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                while !request.contains("\r\n\r\n") {
                    let mut chunk = [0; 4096];
                    let n_read = stream.read(&mut chunk).await.unwrap();
                    assert!(n_read > 0, "the client hung up in the middle of {request:?}");
                    request.push_str(std::str::from_utf8(&chunk[..n_read]).unwrap());
                }
                let status = status_of(request.split(' ').nth(1).unwrap());
                seen.lock().unwrap().push(request);
                match status {
                    Some(status) => {
                        let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    None => unanswered.push(stream),
                }
            }
        });
        Self { url, requests }
    }

    /// Request heads in order of arrival.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
