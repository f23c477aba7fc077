//! The endpoint on a server of its own, and clients of it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer};
use futures_util::{SinkExt, StreamExt};
use realtime::authority::{Authority, Grant, Identity, Refusal};
use realtime::hub::Hub;
use realtime::limits::Limits;
use realtime::outgoing::{Outgoing, Topic};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Knows the key `key`, people (`person:NAME`) and tenants' people (`tenant:NAME`). Whoever asks whether somebody may speak in the room `trap` finds
/// out what a mistake of ours does.
pub struct People;

impl Authority for People {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let identity = |subject: &str, tenant: Option<&str>, expires_at| Identity {
            subject: subject.to_owned(),
            role: "person".to_owned(),
            tenant: tenant.map(str::to_owned),
            expires_at,
            grant: Grant::default(),
        };
        match token.split_once(':') {
            None if token == "key" => Ok(identity("key", None, None)),
            Some(("person", name)) => Ok(identity(name, None, Some(4_000_000_000))),
            Some(("tenant", name)) => Ok(identity("planner", Some(name), Some(4_000_000_000))),
            _ => Err(Refusal::Malformed),
        }
    }

    fn may_join(&self, _: &Identity, topic: &str, private: bool) -> Result<(), Refusal> {
        if private {
            return Err(Refusal::NotPermitted { topic: topic.to_owned() });
        }
        Ok(())
    }

    fn may_see(&self, _: &Identity, _: &str, tenant: Option<&str>, _: &Value) -> bool {
        tenant.is_none()
    }

    fn may_send(&self, _: &Identity, topic: &str, private: bool) -> bool {
        assert_ne!(topic, "trap", "a mistake of ours");
        !private
    }
}

pub struct Server {
    pub hub: Hub,
    pub address: std::net::SocketAddr,
    pub shutdown: CancellationToken,
}

pub async fn serve(limits: Limits) -> Server {
    let shutdown = CancellationToken::new();
    let hub = Hub::new(Arc::new(People), limits, shutdown.clone());
    let shared = hub.clone();
    let server = HttpServer::new(move || App::new().configure(|config| realtime::http::configure(config, shared.clone())))
        .on_connect(realtime::upgrade::keep)
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    Server { hub, address, shutdown }
}

impl Server {
    pub async fn open(&self, path_and_query: &str) -> Result<Socket, Error> {
        let url = format!("ws://{}{path_and_query}", self.address);
        let opened = tokio::time::timeout(PATIENCE, connect_async(url)).await;
        opened.expect("an answer to the upgrade").map(|(socket, _)| socket)
    }

    pub async fn joined(&self, topic: &str, config: Value) -> Socket {
        let path = "/realtime/v1/websocket?apikey=key&vsn=2.0.0&log_level=info";
        let mut socket = self.open(path).await.unwrap();
        say(&mut socket, json!(["1", "1", topic, "phx_join", {"config": config}])).await;
        assert_eq!(hear(&mut socket).await[4]["status"], "ok");
        socket
    }
}

pub async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

pub async fn next(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await;
    message.expect("a message in time").unwrap().unwrap()
}

pub async fn hear(socket: &mut Socket) -> Value {
    match next(socket).await {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("expected text, got {other:?}"),
    }
}

pub async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    match next(socket).await {
        Message::Close(Some(close)) => (close.code, close.reason.to_string()),
        other => panic!("expected a close, got {other:?}"),
    }
}

pub fn refusal(result: Result<Socket, Error>) -> (u16, String) {
    match result.err() {
        Some(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            let body: Value = serde_json::from_slice(&body).unwrap();
            (response.status().as_u16(), body["error"].as_str().unwrap().to_owned())
        }
        other => panic!("expected a refused upgrade, got {other:?}"),
    }
}

/// Waits until so many sockets are open.
pub async fn until_open(hub: &Hub, count: usize) {
    let waiting = async {
        while hub.connections() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the number of open sockets");
}

/// Tells all who are in `room`.
pub fn publish(hub: &Hub, number: usize, text: &str) {
    let payload = json!({"number": number, "text": text});
    hub.publish(Outgoing::Broadcast { topic: Topic::public("room"), event: "e".to_owned(), payload, sequence: None });
}
