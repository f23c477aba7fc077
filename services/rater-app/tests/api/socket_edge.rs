//! Sockets behind all that surrounds a request: what their log lines say, and how an upgrade is refused.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::role::Role;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use web::server::BoundServer;

use crate::house::House;

const PATIENCE: Duration = Duration::from_secs(20);

/// The lines written so far.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits for the line with this message of the request with this id.
    async fn find(&self, message: &str, request_id: &str) -> Value {
        let finding = async {
            loop {
                let text = self.text();
                let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                let is_it = |line: &Value| {
                    line["message"].as_str().is_some_and(|text| text.starts_with(message)) && line["span"]["request_id"] == request_id
                };
                if let Some(line) = lines.find(is_it) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, finding).await.unwrap_or_else(|_| panic!("no {message} of {request_id}: {}", self.text()))
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The whole service on a port that the system chose.
fn serve(house: &House) -> u16 {
    let state = house.state.clone();
    let any = "127.0.0.1:0".parse().unwrap();
    let ready = web::database::readiness_of(&state.storage);
    let server = BoundServer::bind(rater_app::info(&state), &state.settings, any, any, ready).unwrap();
    let port = server.public_address().unwrap().port();
    let internal = state.clone();
    actix_web::rt::spawn(server.run(
        move |routes| rater_app::routes::configure_public(routes, &state),
        move |routes| rater_app::routes::configure_internal(routes, &internal),
        house.shutdown.clone(),
    ));
    port
}

#[actix_web::test]
async fn a_log_line_of_a_socket_names_request_caller_and_tenant_and_no_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).try_init().unwrap();
    let house = House::new(&[("ENDCAP_WORKERS", "1")]);
    let port = serve(&house);
    let planner = house.sign("acc_pia", Role::TenantAdmin, None, Some("tnt-p"));
    let rater = house.person("rita", Role::Rater, true).await;
    for (id, person, caller, tenant) in
        [("socket-of-pia", &planner, "acc_pia", Value::from("tnt-p")), ("socket-of-rita", &rater, rater.rater_id.as_str(), Value::Null)]
    {
        let url = format!("ws://127.0.0.1:{port}/realtime/v1/websocket?apikey={}&vsn=2.0.0", person.token);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        let bad = Frame::message(&b"\xff"[..], OpCode::Data(Data::Text), true);
        socket.send(Message::Frame(bad)).await.unwrap();
        let end = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(&end, Message::Close(Some(close)) if u16::from(close.code) == 1007), "{end:?}");
        for message in ["answered", "websocket closed: a text is not UTF-8"] {
            let line = lines.find(message, id).await;
            assert_eq!((&line["span"]["caller"], &line["span"]["tenant"]), (&caller.into(), &tenant), "{line}");
            assert_eq!(line["level"], "INFO", "strangers write no errors: {line}");
        }
    }
    let text = lines.text();
    for secret in [planner.token.as_str(), rater.token.as_str(), "@example.com"] {
        assert!(!text.contains(secret), "{secret} stands in the log: {text}");
    }
    house.shutdown.cancel();
}

#[actix_web::test]
async fn an_upgrade_by_http_1_0_is_a_problem_that_says_what_is_needed() {
    let house = House::new(&[("ENDCAP_WORKERS", "1")]);
    let port = serve(&house);
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "GET /realtime/v1/websocket?apikey={} HTTP/1.0\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        house.admin().token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(head.starts_with("HTTP/1.0 400 ") && head.contains("application/problem+json"), "{head}");
    assert_eq!(body["code"], "malformed_request");
    assert!(body["detail"].as_str().unwrap().contains("needs HTTP/1.1"), "{body}");
    assert_eq!(house.state.hub.connections(), 0);
    house.shutdown.cancel();
}
