//! The conversation against frames captured from the unmodified clients, and the cases that the
//! captures do not contain.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::authority::Refusal;
use crate::broadcast::{Body, Broadcast};
use crate::frame::{Frame, Version};
use crate::limits::Limits;
use crate::outgoing::{ChangeType, Outgoing, Topic};
use crate::testing::{Client, NOW, at, events, hub, normal};

const JS_V1: &str = include_str!("captures/supabase-js-2.119.1_node20ws_vsn1.jsonl");
const JS_V2: &str = include_str!("captures/supabase-js-2.119.1_node22_vsn2.jsonl");
const PY_V1: &str = include_str!("captures/supabase-py-2.34.1_vsn1.jsonl");

#[test]
fn captured_sessions_get_the_frames_their_clients_accepted() {
    for (name, version, capture) in
        [("supabase-js 1.0.0", Version::V1, JS_V1), ("supabase-js 2.0.0", Version::V2, JS_V2), ("supabase-py 1.0.0", Version::V1, PY_V1)]
    {
        let hub = hub(Limits::default());
        let mut client = Client::new(&hub, version, "sb_publishable_stub");
        let (mut expected, mut said) = (HashMap::new(), HashMap::new());
        for line in capture.lines().filter(|line| !line.starts_with('#')) {
            let step: Value = serde_json::from_str(line).unwrap();
            let text = step["txt"].as_str();
            match step["dir"].as_str().unwrap() {
                "out" => {
                    let frame = text.map_or_else(|| step["bin"].clone(), |t| normal(version, t));
                    *expected.entry(comparable(frame)).or_insert(0) += 1;
                    continue;
                }
                "http" => request(&hub, &step),
                _ => {
                    let answer = match text {
                        Some(text) => client.protocol.receive_text(text, at(0)),
                        None => client.protocol.receive_binary(&bytes(&step["bin"]), at(0)),
                    };
                    for frame in &answer.frames {
                        *said.entry(comparable(client.read(frame))).or_insert(0) += 1;
                    }
                }
            }
            for frame in client.heard() {
                *said.entry(comparable(frame)).or_insert(0) += 1;
            }
        }
        let said: std::collections::BTreeMap<_, _> = said.into_iter().collect();
        let expected: std::collections::BTreeMap<_, _> = expected.into_iter().collect();
        assert!(expected.len() >= 10, "{name}: the capture is short");
        assert_eq!(said, expected, "{name}");
    }
}

/// Carries out what the capture did over HTTP.
fn request(hub: &crate::hub::Hub, step: &Value) {
    let body: Value = serde_json::from_str(step["body"].as_str().unwrap()).unwrap();
    let url = step["url"].as_str().unwrap();
    if url.ends_with("/change") {
        hub.publish(change(&body, None));
    } else if url.ends_with("/events/score") {
        let message =
            Broadcast { topic: Topic::public("camp:42"), event: "score".to_owned(), body: Body::Json(body.to_string()), sequence: None };
        hub.broadcast(message, None);
    }
}

fn change(body: &Value, tenant: Option<&str>) -> Outgoing {
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    Outgoing::Change {
        schema: text("schema"),
        table: text("table"),
        change_type: match body["type"].as_str().unwrap() {
            "INSERT" => ChangeType::Insert,
            "UPDATE" => ChangeType::Update,
            _ => ChangeType::Delete,
        },
        record: body.get("record").cloned(),
        old_record: body.get("old_record").cloned(),
        commit_timestamp: "2026-11-22T15:20:54.467Z".to_owned(),
        tenant: tenant.map(str::to_owned),
        sequence: body.get("sequence").and_then(Value::as_i64),
    }
}

fn bytes(hex: &Value) -> Bytes {
    let hex = hex.as_str().unwrap().as_bytes();
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.chunks(2).map(digit).collect()
}

/// Takes out what servers choose freely: ids, presence references, times and column types. The
/// stand-in also did not honour `select`, which an UPDATE in the capture asks for.
fn comparable(mut frame: Value) -> String {
    if frame.is_string() {
        return frame.to_string();
    }
    let payload = &mut frame["payload"];
    if let Some(list) = payload.pointer_mut("/response/postgres_changes") {
        for entry in list.as_array_mut().unwrap() {
            assert!(entry["id"].as_u64().unwrap() > 0);
            entry["id"] = json!("id");
        }
    }
    if let Some(data) = payload.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("columns").unwrap();
        data.remove("commit_timestamp").unwrap();
        if data["type"] == "UPDATE" {
            data["record"].as_object_mut().unwrap().remove("retailer_id");
        }
        payload["ids"] = json!(payload["ids"].as_array().unwrap().len());
    }
    for side in ["joins", "leaves"] {
        let metas = payload.get_mut(side).and_then(Value::as_object_mut);
        for meta in metas.into_iter().flat_map(|keys| keys.values_mut()) {
            for meta in meta["metas"].as_array_mut().unwrap() {
                for reference in ["phx_ref", "phx_ref_prev"] {
                    if meta.get(reference).is_some() {
                        meta[reference] = json!("reference");
                    }
                }
            }
        }
    }
    frame.to_string()
}

#[test]
fn a_join_answers_in_order_and_echoes_the_bindings_verbatim() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "<jwt>");
    let wanted = json!([{"event": "INSERT", "schema": "public", "table": "b", "filter": "id=eq.5"},
                        {"event": "*", "schema": "public", "table": "a"}, null]);
    let config = json!({"presence": {"enabled": true}, "postgres_changes": wanted});
    let frames = client.join("realtime:x", &config);
    assert_eq!(events(&frames), ["phx_reply", "presence_state", "system"]);
    let echo = &frames[0]["payload"]["response"]["postgres_changes"];
    assert_eq!(echo.as_array().unwrap().len(), 2);
    for (echoed, asked) in echo.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
        for key in ["event", "schema", "table", "filter"] {
            assert_eq!(echoed.get(key), asked.get(key));
        }
    }
    assert_ne!(echo[0]["id"], echo[1]["id"]);
    assert_eq!(frames[2]["payload"]["message"], "Subscribed to PostgreSQL");
}

#[test]
fn refused_joins_say_why() {
    let hub = hub(Limits { channels: 1, ..Limits::default() });
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    let reason = |frames: &[Value]| {
        assert_eq!(frames[0]["payload"]["status"], "error");
        frames[0]["payload"]["response"]["reason"].as_str().unwrap().to_owned()
    };
    let private = json!({"private": true});
    let expired = format!("member:5:{}", NOW - 60);
    for (topic, payload, expected) in [
        ("realtime:p", json!({"config": private}), "Unauthorized: You do not have permissions to read from this Channel topic: p"),
        ("realtime:p", json!({"config": private, "access_token": "forged"}), "JwtSignatureError: Failed to validate JWT signature"),
        ("realtime:p", json!({"config": private, "access_token": "nonsense"}), "MalformedJWT: The token provided is not a valid JWT"),
        ("realtime:p", json!({"config": private, "access_token": expired}), "InvalidJWTToken: Token has expired 60 seconds ago"),
        ("realtime:", json!({}), "TopicNameRequired: You must provide a topic name"),
        (
            "realtime:r",
            json!({"config": {"broadcast": {"replay": {"since": 1}}}}),
            "UnableToReplayMessages: Replay is not allowed for public channels",
        ),
    ] {
        assert_eq!(reason(&client.say(topic, "phx_join", &payload)), expected);
    }
    client.join("realtime:one", &json!({}));
    let frames = client.join("realtime:two", &json!({}));
    assert_eq!(reason(&frames), "ChannelRateLimitReached: Too many channels");
    hub.shutdown().cancel();
    let frames = client.join("realtime:three", &json!({}));
    assert_eq!(reason(&frames), "RealtimeRestarting: Realtime is restarting, please standby");
}

#[test]
fn too_many_joins_close_the_socket() {
    let hub = hub(Limits { joins_per_second: 3, ..Limits::default() });
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    for _ in 0..3 {
        let answer = client.answer("realtime:x", "phx_join", &json!({}));
        assert_eq!(answer.close, None);
    }
    let answer = client.answer("realtime:x", "phx_join", &json!({}));
    assert_eq!(answer.close, Some(Refusal::TooManyJoins));
}

#[test]
fn a_second_join_closes_the_first() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({}));
    assert_eq!(events(&client.join("realtime:x", &json!({}))), ["phx_close", "phx_reply"]);
    assert_eq!(events(&client.say("realtime:x", "phx_leave", &json!({}))), ["phx_reply", "phx_close"]);
    let frames = client.say("realtime:x", "broadcast", &json!({"event": "e"}));
    assert_eq!(frames[0]["payload"]["response"]["reason"], "unmatched topic");
}

#[test]
fn heartbeats_are_answered_with_and_without_a_reference() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V1, "sb_key");
    let text = r#"{"event":"heartbeat","payload":{},"topic":"phoenix","ref":null,"join_ref":null}"#;
    let answer = client.protocol.receive_text(text, at(0));
    let expected = json!({"event": "phx_reply", "payload": {"status": "ok", "response": {}},
                          "ref": null, "topic": "phoenix"});
    assert_eq!(client.read(&answer.frames[0]), expected);
}

#[test]
fn what_is_not_a_message_is_ignored() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    for text in ["", "{", "[]", "[1,2,3]", "{\"topic\":\"x\"}", "[null,null,1,2,3]", "null"] {
        assert_eq!(client.protocol.receive_text(text, at(0)).frames, []);
    }
    for bytes in [&[][..], &[3], &[3, 255, 255, 255, 255, 255, 1], &[4, 0, 0, 0, 0, 0, 0]] {
        let answer = client.protocol.receive_binary(&Bytes::copy_from_slice(bytes), at(0));
        assert_eq!(answer.frames, []);
    }
}

#[test]
fn a_token_can_be_renewed_and_ends_its_channel_when_it_does_not() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    let join = json!({"config": {"private": true}, "access_token": format!("member:5:{}", NOW + 10)});
    client.say("realtime:p", "phx_join", &join);
    assert_eq!(client.protocol.next_expiry(), NOW + 10);
    let renewal = json!({"access_token": format!("member:5:{}", NOW + 100)});
    assert!(client.say("realtime:p", "access_token", &renewal).is_empty());
    for ignored in [json!({"access_token": "sb_key"}), json!({"access_token": null}), json!({})] {
        assert!(client.say("realtime:p", "access_token", &ignored).is_empty());
    }
    assert!(client.protocol.expire(at(99)).is_empty());
    let ended = client.protocol.expire(at(103));
    let ended: Vec<_> = ended.iter().map(|frame| client.read(frame)).collect();
    assert_eq!(events(&ended), ["system", "phx_close"]);
    assert_eq!(ended[0]["payload"]["message"], "Token has expired 3 seconds ago");
    assert_eq!(ended[1]["ref"], "1");
}

#[test]
fn a_garbage_token_ends_the_channel() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "<jwt>");
    client.join("realtime:p", &json!({"private": true}));
    let frames = client.say("realtime:p", "access_token", &json!({"access_token": "not.a.jwt"}));
    assert_eq!(events(&frames), ["system", "phx_close"]);
    assert_eq!(frames[0]["payload"]["status"], "error");
}

#[test]
fn an_impossible_filter_is_reported_and_the_channel_stays() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "<jwt>");
    let config = json!({"postgres_changes": [{"event": "*", "table": "t", "filter": "no_such_column=eq.1"}]});
    let frames = client.join("realtime:x", &config);
    assert_eq!(frames[0]["payload"]["status"], "ok");
    assert_eq!(frames[1]["payload"]["status"], "error");
    assert_eq!(frames[1]["payload"]["message"], "invalid column for filter no_such_column");

    let frames = client.join("realtime:y", &json!({"postgres_changes": [{"event": "UPSERT", "table": "t"}]}));
    assert_eq!(frames[1]["payload"]["status"], "ok", "another word is taken for *, as Supabase does");
    let frames = client.join("realtime:z", &json!({"postgres_changes": [{"event": "insert", "table": "t"}]}));
    assert_eq!(frames[1]["payload"]["status"], "ok", "in any case");
}

#[test]
fn a_payload_is_passed_on_as_it_was_written() {
    let written = r#"{"z":1,"a":[1.50,1e3,null],"n":12345678901234567890123}"#;
    let hub = hub(Limits::default());
    for version in [Version::V1, Version::V2] {
        let mut client = Client::new(&hub, version, "sb_key");
        client.join("realtime:x", &json!({"broadcast": {"self": true}}));
        let text = match version {
            Version::V1 => format!(
                r#"{{"topic":"realtime:x","event":"broadcast","payload":{{"event":"e","payload":{written}}},"ref":"2","join_ref":"1"}}"#
            ),
            Version::V2 => format!(r#"["1","2","realtime:x","broadcast",{{"type":"broadcast","event":"e","payload":{written}}}]"#),
        };
        client.protocol.receive_text(&text, at(0));
        let mut delivered = Vec::new();
        client.connection.inbox.take(|delivery| {
            delivered.push(delivery.frame);
            true
        });
        let Some(Frame::Text(text)) = delivered.pop() else {
            panic!("expected text");
        };
        assert!(text.contains(&format!(r#""payload":{written}"#)), "{text}");
    }
}

#[test]
fn an_oversized_broadcast_is_refused_by_name() {
    let hub = hub(Limits { payload_bytes: 100, ..Limits::default() });
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({"broadcast": {"ack": "True", "self": true}}));
    let message = json!({"event": "e", "payload": {"text": "x".repeat(100)}});
    let frames = client.say("realtime:x", "broadcast", &message);
    assert_eq!(frames[0]["payload"]["response"]["error"], "payload_size_exceeded");
    assert!(client.heard().is_empty());
}

#[test]
fn a_flood_ends_the_channel() {
    let hub = hub(Limits { messages_per_second: 1, ..Limits::default() });
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({}));
    let message = json!({"event": "e", "payload": {}});
    for _ in 0..10 {
        assert!(client.say("realtime:x", "broadcast", &message).is_empty());
    }
    let frames = client.say("realtime:x", "broadcast", &message);
    assert_eq!(frames[0]["payload"]["message"], "Too many messages per second");
    assert_eq!(events(&frames), ["system", "phx_close"]);
}

#[test]
fn without_permission_a_broadcast_vanishes() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:read-only", &json!({"broadcast": {"ack": true, "self": true}}));
    let message = json!({"event": "e", "payload": {}});
    assert!(client.say("realtime:read-only", "broadcast", &message).is_empty());
    assert!(client.heard().is_empty());
}

#[test]
fn a_payload_that_not_every_client_can_read_is_passed_to_none() {
    let hub = hub(Limits::default());
    for version in [Version::V1, Version::V2] {
        let mut client = Client::new(&hub, version, "sb_key");
        client.join("realtime:x", &json!({"broadcast": {"self": true}}));
        let payload = r#"{"type":"broadcast","event":"e","payload":{"half":"\ud800"}}"#;
        let text = match version {
            Version::V1 => format!(r#"{{"topic":"realtime:x","event":"broadcast","payload":{payload},"ref":"2","join_ref":"1"}}"#),
            Version::V2 => format!(r#"["1","2","realtime:x","broadcast",{payload}]"#),
        };
        assert!(client.protocol.receive_text(&text, at(0)).frames.is_empty());
        assert!(client.heard().is_empty());
    }
}
