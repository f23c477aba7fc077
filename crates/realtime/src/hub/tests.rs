//! Who hears what: rooms, changes, presence, slow readers and memory.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::authority::{Authority, Refusal};
use crate::frame::Version;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::outgoing::{ChangeType, Outgoing, Topic};
use crate::testing::{Client, People, events, hub};

fn broadcast(topic: Topic, number: i64, sequence: Option<i64>) -> Outgoing {
    Outgoing::Broadcast { topic, event: "tick".to_owned(), payload: json!({ "n": number }), sequence }
}

fn change(change_type: ChangeType, row: Value, tenant: Option<&str>) -> Outgoing {
    let deleted = change_type == ChangeType::Delete;
    Outgoing::Change {
        schema: "public".to_owned(),
        table: "campaigns".to_owned(),
        change_type,
        record: (!deleted).then(|| row.clone()),
        old_record: deleted.then_some(row),
        commit_timestamp: "2026-11-22T15:23:46.426Z".to_owned(),
        tenant: tenant.map(str::to_owned),
        sequence: None,
    }
}

fn listener(hub: &Hub, token: &str, bindings: &Value) -> (Client, Vec<u64>) {
    let mut client = Client::new(hub, Version::V2, token);
    let frames = client.join("realtime:changes", &json!({ "postgres_changes": bindings }));
    let echo = &frames[0]["payload"]["response"]["postgres_changes"];
    let ids = echo.as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap());
    let ids = ids.collect();
    (client, ids)
}

#[test]
fn both_versions_on_one_topic_get_equal_content() {
    let hub = hub(Limits::default());
    let mut old = Client::new(&hub, Version::V1, "sb_key");
    let mut new = Client::new(&hub, Version::V2, "sb_key");
    let config = json!({"postgres_changes": [{"event": "*", "table": "campaigns"}]});
    old.join("realtime:x", &config);
    new.join("realtime:x", &config);
    hub.publish(broadcast(Topic::public("x"), 1, Some(7)));
    hub.publish(change(ChangeType::Insert, json!({"id": 1}), None));
    let (old, new) = (old.heard(), new.heard());
    assert_eq!(events(&old), ["broadcast", "postgres_changes"]);
    for (old, new) in old.iter().zip(&new) {
        for key in ["topic", "event", "payload", "ref"] {
            assert_eq!(old[key], new[key]);
        }
    }
    assert_eq!(old[0]["payload"]["meta"], json!({"id": "7", "sequence": 7}));
    assert!(old[0].get("ref").unwrap().is_null());
}

#[test]
fn private_and_public_rooms_of_one_name_are_separate() {
    let hub = hub(Limits::default());
    let mut public = Client::new(&hub, Version::V2, "<jwt>");
    let mut private = Client::new(&hub, Version::V2, "<jwt>");
    public.join("realtime:x", &json!({}));
    private.join("realtime:x", &json!({"private": true}));
    hub.publish(broadcast(Topic::private("x"), 1, None));
    assert!(public.heard().is_empty());
    assert_eq!(private.heard().len(), 1);
    hub.publish(broadcast(Topic::public("x"), 2, None));
    assert_eq!(public.heard().len(), 1);
    assert!(private.heard().is_empty());
}

#[test]
fn a_change_reaches_the_bindings_that_match_and_only_owners() {
    let hub = hub(Limits::default());
    let bindings = json!([
        {"event": "INSERT", "schema": "public", "table": "campaigns", "filter": "retailer_id=eq.5"},
        {"event": "*", "schema": "*"},
        {"event": "DELETE", "schema": "public", "table": "campaigns"},
        {"event": "INSERT", "schema": "public", "table": "raters"}]);
    let (mut five, ids) = listener(&hub, "<jwt>", &bindings);
    let (mut six, _) = listener(&hub, "member:6:2000000000", &bindings);
    let row = json!({"id": 1, "retailer_id": 5, "name": "x"});
    hub.publish(change(ChangeType::Insert, row.clone(), Some("5")));
    let heard = five.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["payload"]["ids"], json!([ids[0], ids[1]]));
    assert_eq!(
        heard[0]["payload"]["data"],
        json!({"schema": "public", "table": "campaigns", "type": "INSERT", "errors": null,
               "commit_timestamp": "2026-11-22T15:23:46.426Z", "record": row,
               "columns": [{"name": "id", "type": "int8"}, {"name": "name", "type": "text"},
                           {"name": "retailer_id", "type": "int8"}]})
    );
    hub.publish(change(ChangeType::Insert, json!({"id": 2, "retailer_id": 9}), Some("5")));
    assert_eq!(five.heard()[0]["payload"]["ids"], json!([ids[1]]));
    hub.publish(change(ChangeType::Delete, json!({"id": 2}), Some("5")));
    let heard = five.heard();
    assert_eq!(heard[0]["payload"]["ids"], json!([ids[1], ids[2]]));
    assert_eq!(heard[0]["payload"]["data"]["old_record"], json!({"id": 2}));
    assert!(heard[0]["payload"]["data"].get("record").is_none());
    assert!(six.heard().is_empty(), "another tenant's rows");
}

#[test]
fn selected_columns_are_the_only_ones_sent() {
    let hub = hub(Limits::default());
    let bindings = json!([{"event": "*", "table": "campaigns", "select": ["name"]},
                          {"event": "*", "table": "campaigns"}]);
    let (mut client, ids) = listener(&hub, "<jwt>", &bindings);
    hub.publish(change(ChangeType::Insert, json!({"id": 1, "name": "x", "secret": 2}), None));
    let heard = client.heard();
    assert_eq!(heard[0]["payload"]["ids"], json!([ids[0]]));
    assert_eq!(heard[0]["payload"]["data"]["record"], json!({"id": 1, "name": "x"}));
    assert_eq!(heard[1]["payload"]["ids"], json!([ids[1]]));
    assert_eq!(heard[1]["payload"]["data"]["record"]["secret"], 2);
}

#[test]
fn a_huge_row_is_cut_to_its_short_values() {
    let hub = hub(Limits::default());
    let (mut client, _) = listener(&hub, "<jwt>", &json!([{"event": "*", "table": "campaigns"}]));
    let row = json!({"id": 1, "text": "x".repeat(1024 * 1024)});
    hub.publish(change(ChangeType::Insert, row, None));
    let data = &client.heard()[0]["payload"]["data"];
    assert_eq!(data["record"], json!({"id": 1}));
    assert_eq!(data["errors"], json!(["Error 413: Payload Too Large"]));
}

#[test]
fn a_full_queue_tells_the_slow_reader_and_a_second_one_gives_it_up() {
    let hub = hub(Limits::default());
    let mut slow = Client::new(&hub, Version::V2, "sb_key");
    let mut quick = Client::new(&hub, Version::V2, "sb_key");
    slow.join("realtime:x", &json!({"presence": {"enabled": true}}));
    quick.join("realtime:x", &json!({}));
    hub.publish(broadcast(Topic::public("x"), 0, Some(41)));
    assert_eq!(slow.heard().len(), 1);
    quick.heard();
    for number in 1..=300 {
        hub.publish(broadcast(Topic::public("x"), number, Some(41 + number)));
        assert_eq!(quick.heard().len(), 1, "a slow neighbour must not disturb");
    }
    let told = slow.heard();
    assert_eq!(events(&told), ["system", "presence_state"], "{told:?}");
    assert_eq!(told[0]["payload"]["status"], "error");
    assert_eq!(told[0]["payload"]["missed"], 300);
    assert_eq!(told[0]["payload"]["sequence"], 41);
    hub.publish(broadcast(Topic::public("x"), 1, None));
    assert_eq!(events(&slow.heard()), ["broadcast"], "it goes on after being told");
    for number in 0..=256 {
        hub.publish(broadcast(Topic::public("x"), number, None));
    }
    assert_eq!(slow.heard(), [json!("hopeless")]);
}

#[test]
fn the_queue_holds_exactly_its_bound() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({}));
    for number in 0..256 {
        hub.publish(broadcast(Topic::public("x"), number, None));
    }
    let heard = client.heard();
    assert_eq!(heard.len(), 256);
    let numbers = heard.iter().map(|frame| frame["payload"]["payload"]["n"].as_i64().unwrap());
    assert!(numbers.eq(0..256));
}

#[test]
fn presence_shows_joins_updates_and_leaves_once() {
    let hub = hub(Limits::default());
    let presence = |key: &str| json!({"presence": {"key": key, "enabled": true}});
    let track = |state: Value| json!({"type": "presence", "event": "track", "payload": state});
    let mut amy = Client::new(&hub, Version::V2, "sb_key");
    let mut bob = Client::new(&hub, Version::V2, "sb_key");
    amy.join("realtime:x", &presence("amy"));
    amy.say("realtime:x", "presence", &track(json!({"step": 1})));
    assert_eq!(amy.heard()[0]["payload"]["joins"]["amy"]["metas"][0]["step"], 1);
    let state = &bob.join("realtime:x", &presence("bob"))[1]["payload"];
    assert_eq!(state["amy"]["metas"][0]["step"], 1);
    amy.say("realtime:x", "presence", &track(json!({"step": 1})));
    assert!(bob.heard().is_empty(), "the same state again is no news");
    amy.say("realtime:x", "presence", &track(json!({"step": 2})));
    let heard = bob.heard();
    assert_eq!(heard.len(), 1);
    let (joins, leaves) = (&heard[0]["payload"]["joins"], &heard[0]["payload"]["leaves"]);
    assert_eq!(joins["amy"]["metas"][0]["phx_ref_prev"], leaves["amy"]["metas"][0]["phx_ref"]);
    drop(amy);
    assert_eq!(bob.heard()[0]["payload"]["leaves"]["amy"]["metas"][0]["step"], 2);
}

#[test]
fn two_sockets_under_one_key_are_two_entries() {
    let hub = hub(Limits::default());
    let config = json!({"presence": {"key": "shared", "enabled": true}});
    let track = json!({"event": "TRACK", "payload": {}});
    let mut clients = [0, 1].map(|_| Client::new(&hub, Version::V2, "sb_key"));
    for client in &mut clients {
        client.join("realtime:x", &config);
        client.say("realtime:x", "presence", &track);
    }
    let metas = |hub: &Hub| {
        let state = hub.presence_state(&Topic::public("x"));
        state["shared"]["metas"].as_array().map(Vec::len)
    };
    assert_eq!(metas(&hub), Some(2));
    clients[0].say("realtime:x", "presence", &json!({"event": "untrack"}));
    assert_eq!(metas(&hub), Some(1));
}

#[test]
fn tracking_begins_presence_for_a_channel_that_had_none() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({}));
    let frames = client.say("realtime:x", "presence", &json!({"event": "track", "payload": {}}));
    assert_eq!(events(&frames), ["phx_reply", "presence_state"]);
    assert_eq!(events(&client.heard()), ["presence_diff"]);
}

#[test]
fn what_was_missed_can_be_asked_for() {
    let hub = hub(Limits::default());
    for number in 1..=30 {
        hub.publish(broadcast(Topic::private("x"), number, Some(number)));
    }
    let mut client = Client::new(&hub, Version::V2, "<jwt>");
    let config = json!({"private": true, "broadcast": {"replay": {"after": 28}}});
    let frames = client.join("realtime:x", &config);
    assert_eq!(events(&frames), ["phx_reply", "broadcast", "broadcast"]);
    let meta = &frames[1]["payload"]["meta"];
    assert_eq!(*meta, json!({"id": "29", "sequence": 29, "replayed": true}));
    let config = json!({"private": true, "broadcast": {"replay": {"since": 0, "limit": 100}}});
    assert_eq!(client.join("realtime:x", &config).len(), 2 + 25);
    let config = json!({"private": true, "broadcast": {"replay": {"after": -1}}});
    let frames = client.join("realtime:x", &config);
    assert_eq!(frames.last().unwrap()["payload"]["replay_incomplete"], true);
}

#[test]
fn missed_changes_are_replayed_to_those_who_may_see_them() {
    let hub = hub(Limits::default());
    for number in 1..=3 {
        let mut message = change(ChangeType::Insert, json!({"id": number}), Some("5"));
        if let Outgoing::Change { sequence, .. } = &mut message {
            *sequence = Some(number);
        }
        hub.publish(message);
    }
    let config = json!({"postgres_changes": [{"event": "*", "table": "campaigns"}],
                        "postgres_changes_options": {"after": 1}});
    let mut owner = Client::new(&hub, Version::V2, "<jwt>");
    let frames = owner.join("realtime:x", &config);
    assert_eq!(events(&frames), ["phx_reply", "system", "postgres_changes", "postgres_changes"]);
    assert_eq!(frames[2]["payload"]["data"]["sequence"], 2);
    let mut stranger = Client::new(&hub, Version::V2, "sb_key");
    assert_eq!(events(&stranger.join("realtime:x", &config)), ["phx_reply", "system"]);
}

#[test]
fn connections_are_bounded_and_places_are_given_back() {
    let hub = hub(Limits { connections: 1, ..Limits::default() });
    let identity = Arc::new(People.authenticate("sb_key").unwrap());
    let first = hub.connect(Arc::clone(&identity), Version::V2, &Arc::default()).unwrap();
    let second = hub.connect(Arc::clone(&identity), Version::V2, &Arc::default());
    assert_eq!(second.err(), Some(Refusal::TooManyConnections));
    assert_eq!(hub.connections(), 1);
    drop(first);
    assert_eq!(hub.connections(), 0);
    hub.shutdown().cancel();
    assert_eq!(hub.connect(identity, Version::V2, &Arc::default()).err(), Some(Refusal::Restarting));
}

#[test]
fn rooms_close_when_the_last_member_is_gone() {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:x", &json!({}));
    assert_eq!(hub.state().rooms.len(), 1);
    drop(client);
    assert!(hub.state().rooms.is_empty());
}

#[test]
fn public_rooms_are_replayed_by_sequence_and_know_where_memory_begins() {
    let hub = hub(Limits::default());
    hub.remember_from(10);
    for sequence in 11..=13 {
        hub.remember(broadcast(Topic::public("x"), sequence, Some(sequence)));
    }
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    let after = |sequence: i64| json!({"broadcast": {"replay": {"after": sequence}}});
    let replayed = |frames: &[Value]| frames.iter().filter_map(|f| f["payload"]["meta"]["sequence"].as_i64()).collect::<Vec<_>>();
    let frames = client.join("realtime:x", &after(11));
    assert_eq!((events(&frames), replayed(&frames)), (vec!["phx_reply", "broadcast", "broadcast"], vec![12, 13]));
    assert!(client.heard().is_empty(), "what is remembered is sent to nobody");
    assert_eq!(events(&client.join("realtime:quiet", &after(12))), ["phx_reply"], "nothing was said there, and that is known");
    let frames = client.join("realtime:early", &after(9));
    assert_eq!(frames.last().unwrap()["payload"]["replay_incomplete"], true, "before the memory begins");
}

#[test]
fn a_tenant_takes_its_share_and_leaves_the_others_theirs() {
    let limits = Limits { tenant_connections: 2, tenant_joins_per_second: 1, tenant_messages_per_second: 1, ..Limits::default() };
    let hub = hub(limits);
    let [mut one, mut two] = [0, 1].map(|_| Client::new(&hub, Version::V2, "member:5:2000000000"));
    let identity = |token: &str| Arc::new(People.authenticate(token).unwrap());
    let third = hub.connect(identity("member:5:2000000000"), Version::V2, &Arc::default());
    assert_eq!(third.err(), Some(Refusal::TooManyOfTenant));
    let mut other = Client::new(&hub, Version::V2, "member:6:2000000000");
    let status = |frames: Vec<Value>| frames[0]["payload"]["status"].as_str().unwrap().to_owned();
    assert_eq!(status(one.join("realtime:a", &json!({}))), "ok");
    assert_eq!(status(two.join("realtime:a", &json!({}))), "ok", "twice the rate in one burst");
    let refused = one.join("realtime:b", &json!({}));
    assert_eq!(refused[0]["payload"]["response"]["reason"], "ClientJoinRateLimitReached: Too many joins per second of this tenant");
    assert_eq!(status(other.join("realtime:a", &json!({}))), "ok", "another tenant joins");
    let word = json!({"type": "broadcast", "event": "e", "payload": {}});
    for _ in 0..10 {
        assert!(one.say("realtime:a", "broadcast", &word).is_empty());
    }
    let refused = two.say("realtime:a", "broadcast", &word);
    let reason = "MessageRateLimitReached: Too many messages per second of this tenant; this one was not sent";
    assert_eq!(refused[0]["payload"]["response"]["reason"], reason, "the tenant's other sockets count as well");
    assert!(other.say("realtime:a", "broadcast", &word).is_empty(), "another tenant speaks");
    assert_eq!(hub.tenants().count(), 2);
    let by_http = |tenant, subject, messages, at| hub.tenants().may_send_by_http(tenant, subject, messages, Duration::from_secs(at));
    assert!(by_http(Some("a"), "x", 6, 10) && !by_http(Some("a"), "y", 6, 10), "all of a batch or none, whoever of the tenant sends");
    assert!(by_http(Some("a"), "y", 4, 10) && by_http(Some("b"), "x", 10, 10) && by_http(Some("a"), "x", 3, 13));
    assert!(
        by_http(None, "x", 1_000, 10) && !by_http(None, "x", 1, 10) && by_http(None, "y", 1, 10),
        "who has no tenant is a sender alone"
    );
    drop((one, two, other));
    assert_eq!(hub.tenants().count(), 0);
}
