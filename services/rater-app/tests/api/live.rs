//! A page that listens hears of judgments, over a real socket.

use std::time::Duration;

use actix_web::{App, HttpServer};
use domain::role::Role;
use futures_util::{SinkExt, StreamExt};
use rater_app::state::State;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::house::{House, Person, plan_task, post};

pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A listening server over a state, and its address.
pub fn serve(state: &State) -> (String, actix_web::dev::ServerHandle) {
    let state = state.clone();
    let server = HttpServer::new(move || {
        let state = state.clone();
        App::new().configure(move |cfg| rater_app::routes::configure_public(cfg, &state))
    });
    let server = server.on_connect(realtime::upgrade::keep).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

pub async fn join(address: &str, person: &Person, topic: &str) -> (Socket, Value) {
    join_with(address, person, topic, json!({})).await
}

/// Joins with this `config`.
pub async fn join_with(address: &str, person: &Person, topic: &str, config: Value) -> (Socket, Value) {
    try_join(address, person, topic, config).await.expect("a socket that stays")
}

/// As [`join_with`]; `None` when the server ends the socket before it answers.
pub async fn try_join(address: &str, person: &Person, topic: &str, config: Value) -> Option<(Socket, Value)> {
    let url = format!("ws://{address}/realtime/v1/websocket?apikey={}&vsn=1.0.0", person.token);
    let (mut socket, _) = connect_async(url).await.unwrap();
    let join = json!({"topic": format!("realtime:{topic}"), "event": "phx_join", "ref": "1", "join_ref": "1", "payload": {"config": config, "access_token": person.token}});
    socket.send(Message::text(join.to_string())).await.ok()?;
    let reply = try_hear(&mut socket, "phx_reply").await?;
    Some((socket, reply["payload"]["status"].clone()))
}

/// The next message with this event; for a broadcast, this name within.
pub async fn hear(socket: &mut Socket, event: &str) -> Value {
    try_hear(socket, event).await.expect("a socket that stays")
}

async fn try_hear(socket: &mut Socket, event: &str) -> Option<Value> {
    let wait = async {
        loop {
            let message = socket.next().await?.ok()?;
            let Ok(text) = message.into_text() else { continue };
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            if value["event"] == event || value["payload"]["event"] == event {
                return Some(value);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the event within 20 seconds")
}

#[actix_web::test]
async fn a_judgment_reaches_the_leaderboard_page_and_the_rater() {
    let house = House::new(&[("ENDCAP_REALTIME_POLL_MS", "50")]);
    let app = app!(house);
    let (address, handle) = serve(&house.state);
    let jobs = rater_app::jobs::start(&house.state, &house.shutdown);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    let bystander = house.person("bob", Role::Rater, true).await;
    let (mut board, joined) = join(&address, &bystander, "leaderboard").await;
    assert_eq!(joined, "ok");
    let (mut own, joined) = join(&address, &rater, &format!("rater:{}", rater.rater_id)).await;
    assert_eq!(joined, "ok");
    assert_eq!(join(&address, &bystander, &format!("rater:{}", rater.rater_id)).await.1, "error", "another rater's room");
    assert_eq!(join(&address, &bystander, "campaigns").await.1, "error", "not a rater's business");

    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
    let judged = ask!(app, post(&path, &rater, json!({"choice": "tie", "confidence": 0.95}))).body;

    let changed = hear(&mut board, "leaderboard_changed").await;
    assert_eq!(changed["payload"]["payload"], json!({"rater_id": rater.rater_id, "total_judgments": 1}), "{changed}");
    let recorded = hear(&mut own, "judgment_recorded").await;
    assert_eq!(recorded["payload"]["payload"]["judgment_id"], judged["judgment_id"]);
    assert!(!recorded.to_string().contains("tie"), "never the choice");

    house.shutdown.cancel();
    for job in jobs {
        job.await.unwrap();
    }
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_judgment_that_is_taken_back_is_told_as_a_row_that_is_gone() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        let app = app!(house);
        let (address, handle) = serve(&house.state);
        let jobs = rater_app::jobs::start(&house.state, &house.shutdown);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        let wanted = json!({"postgres_changes": [{"event": "*", "schema": "public", "table": "judgments"}]});
        let (mut own, joined) = join_with(&address, &rater, &format!("rater:{}", rater.rater_id), wanted).await;
        assert_eq!(joined, "ok");
        hear(&mut own, "system").await;

        ask!(app, post("/v1/tasks", &admin, plan_task("t1", 3)));
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        let judged = ask!(app, post(&path, &rater, json!({"choice": "tie", "confidence": 0.95}))).body;
        let path = format!("/v1/judgments/{}/undo", judged["judgment_id"].as_str().unwrap());
        ask!(app, post(&path, &rater, json!({})));

        let inserted = hear(&mut own, "postgres_changes").await["payload"]["data"].clone();
        assert_eq!(inserted["type"], "INSERT", "{}: {inserted}", house.kind());
        assert_eq!(inserted["record"]["judgment_id"], judged["judgment_id"], "{}: {inserted}", house.kind());
        let gone = hear(&mut own, "postgres_changes").await["payload"]["data"].clone();
        assert_eq!(gone["type"], "DELETE", "{}: {gone}", house.kind());
        assert_eq!(gone["old_record"]["judgment_id"], judged["judgment_id"], "{}: {gone}", house.kind());
        assert!(gone.get("record").is_none_or(|record| record.is_null() || record == &json!({})), "{}: {gone}", house.kind());

        house.shutdown.cancel();
        for job in jobs {
            job.await.unwrap();
        }
        handle.stop(false).await;
    }
}
