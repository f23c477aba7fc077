//! The endpoint over a real socket: upgrade, join, broadcast, change, eviction and drain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bounds;
mod failures;
mod handover;
mod server;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, test};
use futures_util::{SinkExt, StreamExt};
use realtime::hub::Hub;
use realtime::limits::Limits;
use realtime::outgoing::{ChangeType, Outgoing};
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_util::sync::CancellationToken;

use server::{PATIENCE, People, Server, closed, hear, next, publish, refusal, say, serve, until_open};

#[actix_web::test]
async fn a_client_joins_broadcasts_hears_changes_and_is_sent_away_at_the_end() {
    let server = serve(Limits::default()).await;
    let changes = json!([{"event": "*", "schema": "public", "table": "campaigns"}]);
    let config = json!({"broadcast": {"ack": true}, "postgres_changes": changes});
    let mut amy = server.joined("realtime:room", config).await;
    assert_eq!(hear(&mut amy).await[4]["message"], "Subscribed to PostgreSQL");
    let mut bob = server.joined("realtime:room", json!({})).await;
    assert_eq!(server.hub.connections(), 2);

    let frame = b"\x03\x01\x01\x0d\x05\x00\x0112realtime:roomscore{\"v\":1}";
    amy.send(Message::binary(frame.to_vec())).await.unwrap();
    assert_eq!(
        hear(&mut amy).await,
        json!(["1", "2", "realtime:room", "phx_reply",
        {"status": "ok", "response": {}}])
    );
    assert_eq!(
        hear(&mut bob).await,
        json!([null, null, "realtime:room", "broadcast",
        {"type": "broadcast", "event": "score", "payload": {"v": 1}}])
    );

    for tenant in [Some("other".to_owned()), None] {
        server.hub.publish(Outgoing::Change {
            schema: "public".to_owned(),
            table: "campaigns".to_owned(),
            change_type: ChangeType::Insert,
            record: Some(json!({"id": 1, "tenant": tenant})),
            old_record: None,
            commit_timestamp: "2026-11-22T15:23:46.426Z".to_owned(),
            tenant,
            sequence: Some(1),
        });
    }
    let heard = hear(&mut amy).await;
    assert_eq!(heard[3], "postgres_changes");
    assert_eq!(heard[4]["data"]["record"], json!({"id": 1, "tenant": null}));

    server.shutdown.cancel();
    for socket in [&mut amy, &mut bob] {
        let told = hear(socket).await;
        assert_eq!((told[3].as_str(), told[4]["status"].as_str()), (Some("system"), Some("ok")), "{told}");
        let hint = told[4]["reconnect_after_ms"].as_u64().unwrap();
        assert!((1_000..5_000).contains(&hint), "{told}");
        let (code, reason) = closed(socket).await;
        assert_eq!(code, CloseCode::Restart);
        assert!(reason.contains(&format!("reconnect in {hint} ms")), "{reason}");
    }
    assert!(server.hub.drained(PATIENCE).await);
    assert_eq!(server.hub.connections(), 0);
    let late = server.open("/realtime/v1/websocket?apikey=key").await;
    assert_eq!(refusal(late), (503, "Realtime is restarting, please standby".to_owned()));
}

#[actix_web::test]
async fn refused_upgrades_are_plain_http_that_says_why() {
    let server = serve(Limits { connections: 1, ..Limits::default() }).await;
    let invalid = "The token provided is not a valid JWT";
    for (path, status, text) in [
        ("/realtime/v1/websocket", 401, "API key is missing"),
        ("/realtime/v1/websocket?apikey=made-up", 401, invalid),
        ("/socket/websocket?apikey=made-up&vsn=1.0.0", 401, invalid),
        ("/realtime/v1/websocket?apikey=key&vsn=9", 403, "Unknown protocol version; use vsn=1.0.0 or vsn=2.0.0"),
    ] {
        assert_eq!(refusal(server.open(path).await), (status, text.to_owned()));
    }
    let _first = server.open("/socket/websocket?apikey=key").await.unwrap();
    let second = server.open("/socket/websocket?apikey=key").await;
    assert_eq!(refusal(second), (429, "Too many connected users".to_owned()));
}

#[actix_web::test]
async fn the_session_cookie_opens_a_socket_only_for_our_own_pages() {
    let server = serve(Limits::default()).await;
    let attempt = async |origin: String| {
        let url = format!("ws://{}/realtime/v1/websocket?vsn=2.0.0", server.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", "endcap_session=key".parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request).await.map(|(socket, _)| socket)
    };
    assert!(attempt(format!("http://{}", server.address)).await.is_ok());
    assert_eq!(refusal(attempt("http://evil.example".to_owned()).await).0, 403);
}

#[actix_web::test]
async fn a_disconnected_identity_is_told_to_come_back() {
    let server = serve(Limits::default()).await;
    let mut socket = server.joined("realtime:room", json!({})).await;
    assert_eq!(server.hub.disconnect(|identity| identity.subject == "nobody"), 0);
    assert_eq!(server.hub.disconnect(|identity| identity.subject == "key"), 1);
    assert_eq!(closed(&mut socket).await.0, CloseCode::Restart);
}

#[actix_web::test]
async fn a_frame_beyond_the_limit_closes_the_socket() {
    let server = serve(Limits { payload_bytes: 1024, ..Limits::default() }).await;
    let mut socket = server.joined("realtime:room", json!({})).await;
    socket.send(Message::text("x".repeat(64 * 1024))).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, CloseCode::Size);
}

#[actix_web::test]
async fn broadcasts_by_http_reach_the_room() {
    let server = serve(Limits::default()).await;
    let mut socket = server.joined("realtime:a b", json!({})).await;
    let hub = server.hub.clone();
    let app = App::new().configure(|config| realtime::http::configure(config, hub));
    let app = test::init_service(app).await;
    let url = "/realtime/v1/api/broadcast";
    let batch = json!({"messages": [{"topic": "a b", "event": "e", "payload": {"n": 1}},
        {"topic": "a b", "event": "e", "payload": {"n": 2}, "private": true}]});
    let post = |url: &str| test::TestRequest::post().uri(url);
    let request = post(url).insert_header(("apikey", "key")).set_json(&batch);
    assert_eq!(test::call_service(&app, request.to_request()).await.status(), 202);
    assert_eq!(hear(&mut socket).await[4]["payload"], json!({"n": 1}));

    let one = format!("{url}/a%20b/events/one?apikey=key&vsn=2.0.0");
    let request = post(&one).set_json(json!({"n": 3}));
    assert_eq!(test::call_service(&app, request.to_request()).await.status(), 202);
    let heard = hear(&mut socket).await;
    assert_eq!(heard[4], json!({"type": "broadcast", "event": "one", "payload": {"n": 3}}));

    let bytes = post(&one).insert_header(("content-type", "application/octet-stream"));
    let request = bytes.set_payload(vec![1, 2]).to_request();
    assert_eq!(test::call_service(&app, request).await.status(), 202);
    assert_eq!(next(&mut socket).await, Message::binary(b"\x04\x0c\x03\0\0realtime:a bone\x01\x02".to_vec()));

    for (request, status, part) in [
        (post(url).set_json(&batch), 401, "Unauthorized"),
        (post(url).insert_header(("apikey", "key")).set_json(json!({})), 422, r#"{"errors":{"messages":["is missing: "#),
        (post(url).insert_header(("apikey", "key")).set_payload("{"), 422, "the body is not JSON"),
        (post(url).insert_header(("apikey", "key")).set_json(json!([1])), 422, "must be an object"),
        (
            post(url).insert_header(("apikey", "key")).set_json(json!({"messages": [{"topic": "t", "event": 7}]})),
            422,
            r#"{"messages.0.event":["must be text"]}"#,
        ),
        (
            post(url).insert_header(("apikey", "key")).set_json(json!({"messages": [{"topic": "t", "event": "e"}]})),
            422,
            "messages.0.payload",
        ),
        (post(&one).set_payload("x").insert_header(("content-type", "text/html")), 415, "application/json"),
        (post(&one).set_payload("{").insert_header(("content-type", "application/json")), 422, "payload"),
    ] {
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), status);
        let body = test::read_body(response).await;
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains(part) && !body.contains("struct"), "{body}");
    }
}

#[actix_web::test]
async fn a_reader_that_stops_does_not_stop_the_others() {
    let server = serve(Limits::default()).await;
    let _stopped = server.joined("realtime:room", json!({})).await;
    let mut reader = server.joined("realtime:room", json!({})).await;
    let text = "x".repeat(64 * 1024);
    for number in 0..300 {
        publish(&server.hub, number, &text);
        assert_eq!(hear(&mut reader).await[4]["payload"]["number"], number);
    }
}

#[actix_web::test]
async fn a_burst_of_one_reaches_all_who_read() {
    let server = serve(Limits::default()).await;
    let [mut listener, mut sender] = [server.joined("realtime:r", json!({})).await, server.joined("realtime:r", json!({})).await];
    let word = |n| json!(["1", "2", "realtime:r", "broadcast", {"type": "broadcast", "event": "e", "payload": {"n": n}}]).to_string();
    sender.send_all(&mut futures_util::stream::iter((0..900).map(|n| Ok(Message::text(word(n)))))).await.unwrap();
    for n in 0..900 {
        assert_eq!(hear(&mut listener).await[4]["payload"]["n"], n);
    }
}

#[actix_web::test]
async fn what_the_system_does_not_take_at_once_comes_later_whole_and_in_order() {
    let server = serve(Limits { queue: 1_000, write_deadline: PATIENCE, ..Limits::default() }).await;
    let mut late = server.joined("realtime:room", json!({})).await;
    let mut reader = server.joined("realtime:room", json!({})).await;
    let text = "x".repeat(64 * 1024);
    // More than fits between two processes, so that writing stops in the middle of a frame.
    for number in 0..300 {
        publish(&server.hub, number, &text);
        assert_eq!(hear(&mut reader).await[4]["payload"]["number"], number);
    }
    for number in 0..300 {
        let heard = hear(&mut late).await;
        assert_eq!((&heard[4]["payload"]["number"], &heard[4]["payload"]["text"]), (&json!(number), &json!(text)));
    }
    say(&mut late, json!(["1", "2", "phoenix", "heartbeat", {}])).await;
    assert_eq!(hear(&mut late).await[3], "phx_reply");
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_given_up_after_the_write_deadline() {
    let limits = Limits { queue: 1_000, write_deadline: Duration::from_millis(200), ..Limits::default() };
    let server = serve(limits).await;
    let mut stopped = server.joined("realtime:room", json!({})).await;
    let mut reader = server.joined("realtime:room", json!({})).await;
    let text = "x".repeat(64 * 1024);
    for number in 0..300 {
        publish(&server.hub, number, &text);
        assert_eq!(hear(&mut reader).await[4]["payload"]["number"], number);
    }
    until_open(&server.hub, 1).await;
    let heard = async {
        let mut heard = 0;
        while let Some(Ok(Message::Text(_))) = stopped.next().await {
            heard += 1;
        }
        heard
    };
    let heard = tokio::time::timeout(PATIENCE, heard).await.expect("the end of the connection");
    assert!(heard < 300, "all {heard} messages came, so nothing was given up");
    publish(&server.hub, 300, "still here");
    assert_eq!(hear(&mut reader).await[4]["payload"]["number"], 300);
}

#[actix_web::test]
async fn a_silent_client_is_asked_and_then_closed_while_one_that_answers_stays() {
    let limits = Limits { ping: Duration::from_millis(50), silence: Duration::from_millis(400), ..Limits::default() };
    let server = serve(limits).await;
    let mut silent = server.joined("realtime:room", json!({})).await;
    let mut awake = server.joined("realtime:room", json!({})).await;
    // A client answers pings while it reads.
    let reading = actix_web::rt::spawn(async move { while let Ok(Message::Ping(_)) = awake.next().await.unwrap() {} });
    until_open(&server.hub, 1).await;
    assert_eq!(next(&mut silent).await, Message::Ping(Vec::new().into()));
    let end = loop {
        match next(&mut silent).await {
            Message::Ping(_) => {}
            Message::Close(Some(close)) => break close,
            other => panic!("expected pings and a close, got {other:?}"),
        }
    };
    assert_eq!((end.code, end.reason.as_str()), (CloseCode::Away, "nothing was heard for 0.4 seconds"));
    assert!(!reading.is_finished());
    assert_eq!(server.hub.connections(), 1);
}

#[actix_web::test]
async fn a_message_in_pieces_is_one_and_pings_between_them_are_answered() {
    let server = serve(Limits::default()).await;
    let mut socket = server.joined("realtime:room", json!({})).await;
    let piece = |bytes: &'static [u8], code, is_last| Message::Frame(Frame::message(bytes, OpCode::Data(code), is_last));
    socket.send(piece(b"[null,\"7\",\"phoenix\",", Data::Text, false)).await.unwrap();
    socket.send(Message::Ping(b"there?"[..].into())).await.unwrap();
    socket.send(piece(b"\"heartbeat\"", Data::Continue, false)).await.unwrap();
    socket.send(piece(b",{}]", Data::Continue, true)).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(b"there?"[..].into()));
    assert_eq!(hear(&mut socket).await, json!([null, "7", "phoenix", "phx_reply", {"status": "ok", "response": {}}]));
    socket.send(piece(b"\xff", Data::Text, true)).await.unwrap();
    assert_eq!(closed(&mut socket).await, (CloseCode::Invalid, "a text is not UTF-8".to_owned()));
}

#[actix_web::test]
async fn a_server_that_keeps_no_connections_refuses_sockets() {
    let hub = Hub::new(Arc::new(People), Limits::default(), CancellationToken::new());
    let shared = hub.clone();
    let server = HttpServer::new(move || App::new().configure(|config| realtime::http::configure(config, shared.clone())));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    let server = Server { hub, address, shutdown: CancellationToken::new() };
    let refused = refusal(server.open("/realtime/v1/websocket?apikey=key").await);
    assert_eq!(refused, (503, "This connection cannot become a socket; open a new one".to_owned()));
    assert_eq!(server.hub.connections(), 0);
}
