//! The worker writes on for all others when writing for one of them fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::CloseCode;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Desk, Seat};
use crate::authority::Authority;
use crate::frame::Version;
use crate::hub::{Hub, Place};
use crate::limits::Limits;
use crate::line::Line;
use crate::outgoing::{Outgoing, Topic};
use crate::protocol::Protocol;
use crate::testing::{People, at, hub};

const PATIENCE: Duration = Duration::from_secs(20);

/// A socket of the worker that is in the room, and the client's end of it.
struct Listener {
    line: Rc<Line>,
    client: TcpStream,
    _held: (Seat, Place),
}

async fn listener(hub: &Hub, desk: &Rc<Desk>) -> Listener {
    let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(there.local_addr().unwrap()).await.unwrap();
    let (stream, _) = there.accept().await.unwrap();
    let identity = Arc::new(People.authenticate("sb_key").unwrap());
    let connection = hub.connect(identity, Version::V2, &desk.mail).unwrap();
    let mut protocol = Protocol::new(hub.clone(), Arc::clone(&connection.subscriber), "sb_key".to_owned(), at(0));
    let joined = protocol.receive_text(&json!(["1", "1", "realtime:room", "phx_join", {}]).to_string(), at(0));
    assert_eq!(joined.frames.len(), 1);
    let line = Rc::new(Line::new(stream, protocol, connection.inbox));
    let seat = desk.seat(connection.number, Rc::clone(&line));
    Listener { line, client, _held: (seat, connection.place) }
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
    let (hub, desk) = (hub(Limits::default()), Rc::new(Desk::default()));
    let [mut first, caught, mut last] = [listener(&hub, &desk).await, listener(&hub, &desk).await, listener(&hub, &desk).await];
    // Whoever holds the state of a socket makes writing for it panic.
    let held = caught.line.hold();
    publish(&hub, "one");
    first.hears("one").await;
    last.hears("one").await;
    drop(held);
    let end = tokio::time::timeout(PATIENCE, caught.line.attend()).await.expect("the end of the socket");
    assert_eq!(end.unwrap_err().code, CloseCode::Error);
    publish(&hub, "two");
    first.hears("two").await;
    last.hears("two").await;
}
