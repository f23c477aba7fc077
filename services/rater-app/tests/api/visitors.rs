//! Pages of other origins come with a key that everybody may know: it opens a socket and signs people in, and shows nothing by itself.

use actix_web::test::TestRequest;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::house::House;
use crate::live::{Socket, hear, serve};

const KEY: &str = "sb_publishable_a1b2c3d4e5f6a7b8c9d0";

fn house() -> House {
    House::new(&[("ENDCAP_PUBLISHABLE_KEY", KEY), ("ENDCAP_REALTIME_ROOMS", "desk:*"), ("ENDCAP_REALTIME_VISITOR_ROOMS", "lobby")])
}

async fn open(address: &str, key: &str) -> Socket {
    tokio_tungstenite::connect_async(format!("ws://{address}/realtime/v1/websocket?apikey={key}&vsn=1.0.0")).await.unwrap().0
}

/// Joins; the status, and the reason of a refusal.
async fn join(socket: &mut Socket, topic: &str, payload: Value) -> (Value, Value) {
    let join = json!({"topic": format!("realtime:{topic}"), "event": "phx_join", "ref": "1", "join_ref": "1", "payload": payload});
    socket.send(Message::text(join.to_string())).await.unwrap();
    let reply = hear(socket, "phx_reply").await["payload"].take();
    (reply["status"].clone(), reply["response"]["reason"].clone())
}

#[actix_web::test]
async fn a_page_with_the_publishable_key_signs_somebody_in_and_hears_what_they_may() {
    let house = house();
    let app = app!(house);
    let (address, server) = serve(&house.state);
    let mut socket = open(&address, KEY).await;
    for (topic, private, status) in [
        ("lobby", false, "ok"),
        ("lobby2", false, "error"),
        ("desk:1", false, "error"),
        ("leaderboard", false, "error"),
        ("lobby", true, "error"),
    ] {
        let (joined, reason) = join(&mut socket, topic, json!({"config": {"private": private}, "access_token": KEY})).await;
        assert_eq!(joined, status, "{topic}: {reason}");
    }
    // As supabase-js does it: the key twice, then the key beside the person's token.
    let with_key = |request: TestRequest, bearer: &str| {
        request.insert_header(("apikey", KEY)).insert_header(("authorization", format!("Bearer {bearer}")))
    };
    let credentials = json!({"email": "ada@example.com", "password": "correct horse battery"});
    let made = ask!(app, with_key(TestRequest::post().uri("/auth/v1/signup").set_json(&credentials), KEY));
    assert_eq!(made.status, 200, "{}", made.body);
    let session = ask!(app, with_key(TestRequest::post().uri("/auth/v1/token?grant_type=password").set_json(&credentials), KEY)).body;
    let token = session["access_token"].as_str().unwrap();
    let user = ask!(app, with_key(TestRequest::get().uri("/auth/v1/user"), token));
    assert_eq!((user.status.as_u16(), user.body["email"].as_str()), (200, Some("ada@example.com")));
    for topic in ["leaderboard", "desk:1"] {
        let (joined, reason) = join(&mut socket, topic, json!({"config": {}, "access_token": token})).await;
        assert_eq!(joined, "ok", "{topic}: {reason}");
    }
    assert_eq!(ask!(app, with_key(TestRequest::post().uri("/auth/v1/logout"), token)).status, 204);
    server.stop(false).await;
}

#[actix_web::test]
async fn the_publishable_key_opens_nothing_else() {
    let house = house();
    let app = app!(house);
    let (address, server) = serve(&house.state);
    for path in ["/v1/leaderboard", "/v1/tasks", "/v1/raters/me", "/auth/v1/user"] {
        for header in ["apikey", "x-api-key"] {
            assert_eq!(ask!(app, TestRequest::get().uri(path).insert_header((header, KEY))).status, 401, "{path}");
        }
        assert_eq!(ask!(app, TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {KEY}")))).status, 401, "{path}");
    }
    let mut listener = open(&address, KEY).await;
    join(&mut listener, "lobby", json!({"config": {}})).await;
    let say = |topic: &str, event: &str| {
        let messages = json!({"messages": [{"topic": topic, "event": event, "payload": {}}]});
        TestRequest::post().uri("/realtime/v1/api/broadcast").insert_header(("apikey", KEY)).set_json(messages)
    };
    for (topic, event) in [("leaderboard", "forged"), ("desk:1", "forged"), ("lobby", "word")] {
        assert_eq!(ask!(app, say(topic, event)).status, 202);
    }
    assert_eq!(hear(&mut listener, "broadcast").await["payload"]["event"], "word");
    // Rows may be asked for, and none is told.
    let changes = json!({"config": {"postgres_changes": [{"event": "*", "schema": "public", "table": "campaigns"}]}});
    assert_eq!(join(&mut listener, "lobby", changes).await.0, "ok");
    for wrong in ["sb_publishable_another_key_of_somebody", "sb_secret_a1b2c3d4e5f6a7b8c9d0"] {
        let refused = tokio_tungstenite::connect_async(format!("ws://{address}/realtime/v1/websocket?apikey={wrong}")).await;
        assert!(matches!(refused, Err(tokio_tungstenite::tungstenite::Error::Http(response)) if response.status() == 401), "{wrong}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn pages_of_other_origins_may_call_where_there_is_such_a_key() {
    let preflight = || {
        TestRequest::with_uri("/auth/v1/token?grant_type=password")
            .method(actix_web::http::Method::OPTIONS)
            .insert_header(("origin", "https://shop.example"))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header(("access-control-request-headers", "apikey,authorization,content-type,x-client-info,x-supabase-api-version"))
    };
    let house = house();
    let app = app!(house);
    let allowed = ask!(app, preflight());
    let header = |reply: &crate::house::Reply, name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!((allowed.status.as_u16(), header(&allowed, "access-control-allow-origin").as_deref()), (204, Some("*")));
    let names = header(&allowed, "access-control-allow-headers").unwrap();
    for name in ["apikey", "authorization", "content-type", "x-client-info", "x-supabase-api-version"] {
        assert!(names.contains(name), "{name} in {names}");
    }
    assert_eq!(header(&allowed, "access-control-allow-credentials"), None, "never with cookies");
    let wrong = TestRequest::post().uri("/auth/v1/token?grant_type=password").insert_header(("origin", "https://shop.example"));
    let wrong = ask!(app, wrong.set_json(json!({"email": "nobody@example.com", "password": "x"})));
    assert_eq!(
        (wrong.status.as_u16(), header(&wrong, "access-control-allow-origin").as_deref()),
        (400, Some("*")),
        "refusals are read as well"
    );
    assert_eq!(
        header(
            &ask!(app, TestRequest::get().uri("/v1/leaderboard").insert_header(("origin", "https://shop.example"))),
            "access-control-allow-origin"
        ),
        None
    );

    let without = House::new(&[]);
    let app = app!(without);
    assert_eq!(header(&ask!(app, preflight()), "access-control-allow-origin"), None, "nothing is opened unasked");
}
