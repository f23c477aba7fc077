//! From an HTTP connection to a socket: what a client sends before it has the answer counts, and what cannot be a socket is refused as HTTP.

use realtime::limits::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, serve};
use crate::wire::{frame, head, upgrade};

/// A heartbeat with this number, made longer.
fn heartbeat(number: usize, padding: usize) -> Vec<u8> {
    let text = json!([null, number.to_string(), "phoenix", "heartbeat", {"padding": "x".repeat(padding)}]).to_string();
    frame(0x81, text.as_bytes())
}

/// The number of the heartbeat that the next frame answers.
async fn answered(stream: &mut TcpStream) -> usize {
    assert_eq!(stream.read_u8().await.unwrap(), 0x81, "a text");
    let mut text = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut text).await.unwrap();
    let reply: Value = serde_json::from_slice(&text).unwrap();
    reply[1].as_str().unwrap().parse().unwrap()
}

async fn all_are_answered(server: &Server, count: usize, padding: usize) {
    let mut bytes = (upgrade("1.1", "key") + "\r\n").into_bytes();
    (0..count).for_each(|number| bytes.extend(heartbeat(number, padding)));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The system takes them all, so that the server finds as many as it will read.
    stream.write_all(&bytes).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let reading = async {
        for number in 0..count {
            assert_eq!(answered(&mut stream).await, number);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{count} answers to messages of {padding} bytes"));
}

#[actix_web::test]
async fn what_comes_right_behind_the_upgrade_is_read_to_the_last_byte() {
    let server = serve(Limits::default()).await;
    // Below and above what the HTTP server reads at once (128 KiB) and lets wait (32 KiB).
    for (count, padding) in [(1, 0), (40, 1_000), (150, 1_000), (400, 1_000), (3, 200_000), (2_000, 1_000)] {
        all_are_answered(&server, count, padding).await;
    }
}

#[actix_web::test]
async fn what_cannot_become_a_socket_is_refused_and_says_why() {
    let server = serve(Limits::default()).await;
    let several = upgrade("1.1", "key").replace("Upgrade: websocket", "Upgrade: h2c, websocket");
    for (request, words) in [
        (upgrade("1.0", "key"), "needs HTTP/1.1"),
        (upgrade("1.1", "key") + "Transfer-Encoding: chunked\r\n", "leave out Transfer-Encoding"),
        (several.clone(), "`websocket` and nothing else"),
        (several + "Content-Length: 5\r\n", "`websocket` and nothing else"),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all((request.clone() + "\r\n").as_bytes()).await.unwrap();
        let answer = head(&mut stream).await;
        let (version, rest) = answer.split_at("HTTP/1.1".len());
        assert!(version.starts_with("HTTP/1.") && rest.starts_with(" 400 "), "{request}: {answer}");
        let length = answer.to_lowercase().split_once("content-length: ").unwrap().1.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(words), "{request}: {body}");
    }
    assert_eq!(server.hub.connections(), 0);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let old = upgrade("1.1", "key").replace("Version: 13", "Version: 8") + "\r\n";
    stream.write_all(old.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 426 ") && answer.contains("sec-websocket-version: 13"), "{answer}");
}
