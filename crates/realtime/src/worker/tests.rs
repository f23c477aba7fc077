//! The worker writes on for all others when writing for one of them fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::CloseCode;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Registration, WorkerSockets};
use crate::authority::Authority;
use crate::frame::Version;
use crate::hub::{Hub, Place};
use crate::limits::Limits;
use crate::outgoing::{Outgoing, Topic};
use crate::protocol::Protocol;
use crate::testing::{People, at, hub};
use crate::writer::SocketWriter;

const PATIENCE: Duration = Duration::from_secs(20);

/// A socket of the worker that is in the room, and the client's end of it.
struct Listener {
    writer: Rc<SocketWriter>,
    client: TcpStream,
    _held: (Registration, Place),
}

async fn listener(hub: &Hub, worker: &Rc<WorkerSockets>) -> Listener {
    let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(there.local_addr().unwrap()).await.unwrap();
    let (stream, _) = there.accept().await.unwrap();
    let identity = Arc::new(People.authenticate("sb_key").unwrap());
    let connection = hub.connect(identity, Version::V2, &worker.ready).unwrap();
    let mut protocol = Protocol::new(hub.clone(), Arc::clone(&connection.subscriber), "sb_key".to_owned(), at(0));
    let joined = protocol.receive_text(&json!(["1", "1", "realtime:room", "phx_join", {}]).to_string(), at(0));
    assert_eq!(joined.frames.len(), 1);
    let writer = Rc::new(SocketWriter::new(stream, protocol, connection.inbox));
    let registration = worker.register(connection.number, Rc::clone(&writer));
    Listener { writer, client, _held: (registration, connection.place) }
}

impl Listener {
    async fn hears(&mut self, word: &str) {
        let mut heard = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&heard).contains(word) {
                heard.push(self.client.read_u8().await.unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{word} was not heard"));
    }
}

fn publish(hub: &Hub, word: &str) {
    let topic = Topic::public("room");
    hub.publish(Outgoing::Broadcast { topic, event: "e".to_owned(), payload: json!({ "word": word }), sequence: None });
}

#[actix_web::test]
async fn a_panic_in_writing_for_one_socket_ends_that_one_and_the_others_hear_on() {
    let (hub, worker) = (hub(Limits::default()), Rc::new(WorkerSockets::default()));
    let [mut first, caught, mut last] = [listener(&hub, &worker).await, listener(&hub, &worker).await, listener(&hub, &worker).await];
    // Whoever holds the state of a socket makes writing for it panic.
    let held = caught.writer.hold();
    publish(&hub, "one");
    first.hears("one").await;
    last.hears("one").await;
    drop(held);
    let end = tokio::time::timeout(PATIENCE, caught.writer.attend()).await.expect("the end of the socket");
    assert_eq!(end.unwrap_err().code, CloseCode::Error);
    publish(&hub, "two");
    first.hears("two").await;
    last.hears("two").await;
}
