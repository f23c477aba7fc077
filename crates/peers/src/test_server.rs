//! An HTTP server of a few lines that answers what a test told it to, so that tests also see what well-behaved servers never send.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with one connection.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status and body.
    Json(u16, String),
    /// These bytes and no end.
    Unfinished(String),
    /// Close without a word.
    HangUp,
}

/// Answers connections in order; the last answer is repeated.
pub(crate) struct TestServer {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            let mut unfinished = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                let place = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    seen.len() - 1
                };
                match &answers[place.min(answers.len() - 1)] {
                    Answer::Json(status, body) => {
                        let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                        // A client may hang up on an answer that it finds too large.
                        drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
                    }
                    Answer::Unfinished(text) => {
                        stream.write_all(text.as_bytes()).await.unwrap();
                        unfinished.push(stream);
                    }
                    Answer::HangUp => drop(stream),
                }
            }
        });
        Self { url, requests }
    }

    /// Heads (in lower case) and bodies, in order of arrival.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n_read = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..n_read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |value| value.parse().unwrap());
            if body.len() >= length || n_read == 0 {
                return text;
            }
        } else if n_read == 0 {
            return text;
        }
    }
}

/// The value of a header in a request seen by the server.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    let head = request.split("\r\n\r\n").next()?;
    head.lines().filter_map(|line| line.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned())
}
