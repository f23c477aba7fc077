//! What comes over the wire that no client library would send: how the socket ends, and with which code and words.

use std::time::Duration;

use realtime::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, serve};

/// The head of an upgrade, without the empty line at its end.
pub fn upgrade(version: &str, token: &str) -> String {
    format!(
        "GET /realtime/v1/websocket?apikey={token}&vsn=2.0.0 HTTP/{version}\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
}

/// A frame as a client sends it, with a mask of zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// All that comes until the empty line.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer to the upgrade");
    String::from_utf8(head).unwrap()
}

async fn opened(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all((upgrade("1.1", "key") + "\r\n").as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    stream
}

/// Code and words of the close frame that comes next.
async fn goodbye(stream: &mut TcpStream) -> (u16, String) {
    let reading = async {
        assert_eq!(stream.read_u8().await.unwrap(), 0x88, "a close frame");
        let mut rest = vec![0; usize::from(stream.read_u8().await.unwrap())];
        stream.read_exact(&mut rest).await.unwrap();
        (u16::from_be_bytes([rest[0], rest[1]]), String::from_utf8(rest[2..].to_vec()).unwrap())
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a close frame")
}

#[actix_web::test]
async fn a_bad_frame_ends_the_socket_with_its_code_and_why() {
    let server = serve(Limits { payload_bytes: 1_000, ..Limits::default() }).await;
    let join = frame(0x01, br#"["1","1","#);
    let begun = |more: &[u8]| [join.as_slice(), more].concat();
    let most = 1_000 + 16 * 1024;
    let large = format!("a message may have at most {most} bytes");
    let cases: [(&str, Vec<u8>, u16, &str); 18] = [
        ("text of Latin 1", frame(0x81, b"\xe9t\xe9"), 1007, "a text is not UTF-8"),
        ("text in pieces", [frame(0x01, b"\xe2\x82"), frame(0x80, b"\x28")].concat(), 1007, "a text is not UTF-8"),
        ("words of a close", frame(0x88, b"\x03\xe8\xff"), 1007, "the reason of a close frame is not UTF-8"),
        ("no mask", vec![0x81, 0x01, b'x'], 1002, "a frame was not masked"),
        ("compressed", frame(0xc1, b"x"), 1002, "a reserved bit is set, and no extension was agreed"),
        ("opcode 3", frame(0x83, b"x"), 1002, "there is no opcode 3"),
        ("opcode 15", frame(0x8f, b"x"), 1002, "there is no opcode 15"),
        ("a ping in pieces", frame(0x09, b"x"), 1002, "a control frame came in parts"),
        ("a long ping", vec![0x89, 0xfe, 0, 126], 1002, "a control frame has more than 125 bytes"),
        ("a long close", vec![0x88, 0xff], 1002, "a control frame has more than 125 bytes"),
        ("half a code", frame(0x88, b"\x03"), 1002, "a close frame has half a code"),
        ("code 1005", frame(0x88, b"\x03\xed"), 1002, "1005 is no code to close with"),
        ("a lost end", frame(0x80, b"x"), 1002, "a continuation came of no message"),
        ("a lost beginning", begun(&frame(0x81, b"[]")), 1002, "a message began before the last one had ended"),
        ("a negative length", [vec![0x81, 0xff, 0x80], vec![0; 7]].concat(), 1002, "the first bit of a length is set"),
        // Only its head was sent: nobody waits for what would be thrown away.
        ("a large text", [vec![0x81, 0xff], u64::try_from(most + 1).unwrap().to_be_bytes().to_vec()].concat(), 1009, &large),
        ("a text of 8 EiB", [vec![0x81, 0xff, 0x7f], vec![0xff; 7]].concat(), 1009, &large),
        ("large together", [frame(0x02, &vec![0; most]), frame(0x80, b"x")].concat(), 1009, &large),
    ];
    for (name, bytes, code, words) in cases {
        let mut stream = opened(&server).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(goodbye(&mut stream).await, (code, words.to_owned()), "{name}");
    }
    let mut stream = opened(&server).await;
    stream.write_all(&frame(0x88, b"\x0b\xb8bye")).await.unwrap();
    assert_eq!(goodbye(&mut stream).await.0, 1000, "a code of the client's own is as good as any");
    tokio::time::timeout(Duration::from_secs(20), async {
        while server.hub.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("no socket is left");
}
