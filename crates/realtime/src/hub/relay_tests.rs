//! Two hubs with letters carried between them by hand: what crosses, what is merged, and what happens when there is no room.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use serde_json::{Value, json};

use crate::frame::Version;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::outgoing::{Outgoing, Topic};
use crate::relay::{Letter, Relay};
use crate::testing::{Client, at, events, hub};

/// Two processes that know of each other.
fn two() -> (Hub, Hub) {
    let (here, there) = (hub(Limits::default()), hub(Limits::default()));
    here.relay().open();
    there.relay().open();
    (here, there)
}

/// Carries all that waits; how many letters.
fn carry(from: &Hub, to: &Hub) -> usize {
    let letters = from.relay().take(usize::MAX, usize::MAX);
    let count = letters.len();
    to.relay().hear("p1", letters);
    count
}

fn member(hub: &Hub, version: Version, topic: &str, config: &Value) -> Client {
    let mut client = Client::new(hub, version, "<jwt>");
    client.join(topic, config);
    client.heard();
    client
}

fn word(n: i64) -> Value {
    json!({"type": "broadcast", "event": "word", "payload": {"n": n}})
}

fn track(client: &mut Client, shown: &Value) {
    client.say("realtime:x", "presence", &json!({"type": "presence", "event": "track", "payload": shown}));
}

fn with_key(key: &str) -> Value {
    json!({"presence": {"enabled": true, "key": key}})
}

/// The `n` of the metas of a key, in a state or one half of a difference.
fn shown(state: &Value, key: &str) -> Vec<i64> {
    state[key]["metas"].as_array().into_iter().flatten().map(|meta| meta["n"].as_i64().unwrap()).collect()
}

#[test]
fn what_a_client_says_crosses_and_what_the_service_says_does_not() {
    let (here, there) = two();
    let mut speaker = member(&here, Version::V2, "realtime:x", &json!({}));
    let mut old = member(&there, Version::V1, "realtime:x", &json!({}));
    let mut new = member(&there, Version::V2, "realtime:x", &json!({}));
    let mut private = member(&there, Version::V2, "realtime:x", &json!({"private": true}));

    speaker.say("realtime:x", "broadcast", &word(1));
    let binary: Vec<u8> = [&[3, 1, 1, 10, 4, 0, 0][..], b"11realtime:xblob", &[0, 255, 7][..]].concat();
    speaker.protocol.receive_binary(&Bytes::from(binary), at(0));
    here.publish(Outgoing::Broadcast { topic: Topic::public("x"), event: "ours".to_owned(), payload: json!({}), sequence: Some(1) });
    assert_eq!(carry(&here, &there), 2, "every process reads the outbox itself");

    assert_eq!(events(&speaker.heard()), ["broadcast"], "ours only, since it did not ask for its own");
    let heard = old.heard();
    assert_eq!(events(&heard), ["broadcast"], "1.0.0 knows no bytes");
    assert_eq!(heard[0]["payload"], word(1));
    let heard = new.heard();
    assert_eq!(heard[0]["payload"], word(1));
    assert!(heard[1].as_str().unwrap().ends_with("00ff07") && heard.len() == 2, "{heard:?}");
    assert_eq!(private.heard(), Vec::<Value>::new());
    assert_eq!(carry(&there, &here), 0, "nothing goes back");
}

#[test]
fn a_name_of_any_characters_arrives() {
    let (here, there) = two();
    let topic = "realtime:a\u{0}\"\\é😀";
    let mut speaker = member(&here, Version::V2, topic, &json!({}));
    let mut listener = member(&there, Version::V2, topic, &json!({}));
    speaker.say(topic, "broadcast", &json!({"event": "w\u{0}\n", "payload": {"text": "\u{0}"}}));
    let letters = here.relay().take(1, usize::MAX);
    assert!(!letters[0].head.contains(char::is_control), "a database could refuse it: {}", letters[0].head);
    there.relay().hear("p1", letters);
    let heard = listener.heard();
    assert_eq!(heard[0]["payload"]["event"], "w\u{0}\n");
    assert_eq!(heard[0]["payload"]["payload"], json!({"text": "\u{0}"}));
}

#[test]
fn alone_nothing_is_kept_and_cut_off_nothing_is_told_late() {
    let here = hub(Limits::default());
    let mut speaker = member(&here, Version::V2, "realtime:x", &with_key("a"));
    let talk = |speaker: &mut Client| {
        track(speaker, &json!({"n": 1}));
        speaker.say("realtime:x", "broadcast", &word(1));
        speaker.say("realtime:x", "presence", &json!({"event": "untrack"}));
    };
    talk(&mut speaker);
    assert!(!here.relay().has_letters());
    here.relay().open();
    talk(&mut speaker);
    assert!(here.relay().has_letters());
    here.relay().cut();
    talk(&mut speaker);
    here.relay().open();
    assert!(!here.relay().has_letters(), "what was said while nobody could hear it is old");
}

#[test]
fn presence_is_one_state_whatever_the_process() {
    let (here, there) = two();
    let mut amy = member(&here, Version::V2, "realtime:x", &with_key("amy"));
    track(&mut amy, &json!({"n": 1}));
    let mut amy_too = member(&there, Version::V2, "realtime:x", &with_key("amy"));
    track(&mut amy_too, &json!({"n": 2}));
    amy_too.heard();
    carry(&here, &there);
    let heard = amy_too.heard();
    assert_eq!(events(&heard), ["presence_diff"]);
    assert_eq!(shown(&heard[0]["payload"]["joins"], "amy"), [1]);

    let mut bob = Client::new(&there, Version::V2, "<jwt>");
    let joined = bob.join("realtime:x", &with_key("bob"));
    assert_eq!(shown(&joined[1]["payload"], "amy"), [2, 1], "both of them, merged: {joined:?}");

    // Another state in place of the first one: one difference, with both.
    track(&mut amy, &json!({"n": 3}));
    carry(&here, &there);
    let heard = bob.heard();
    assert_eq!(events(&heard), ["presence_diff"]);
    let (joins, leaves) = (&heard[0]["payload"]["joins"], &heard[0]["payload"]["leaves"]);
    assert_eq!((shown(joins, "amy"), shown(leaves, "amy")), (vec![3], vec![1]));
    assert_eq!(joins["amy"]["metas"][0]["phx_ref_prev"], leaves["amy"]["metas"][0]["phx_ref"]);

    amy.protocol.leave_all();
    carry(&here, &there);
    let heard = bob.heard();
    assert_eq!(shown(&heard[0]["payload"]["leaves"], "amy"), [3]);
    let mut eve = Client::new(&there, Version::V2, "<jwt>");
    assert_eq!(shown(&eve.join("realtime:x", &with_key("eve"))[1]["payload"], "amy"), [2]);
}

#[test]
fn a_process_that_comes_later_is_told_the_state_and_one_that_goes_takes_its_members_along() {
    let (here, there) = two();
    let mut amy = member(&here, Version::V2, "realtime:x", &with_key("amy"));
    track(&mut amy, &json!({"n": 1}));
    let mut bob = member(&here, Version::V2, "realtime:x", &with_key("bob"));
    track(&mut bob, &json!({"n": 2}));
    let mut eve = member(&there, Version::V2, "realtime:x", &with_key("eve"));

    there.relay().hear("p1", here.relay().state());
    assert!(!here.relay().has_letters(), "what waited is in the state");
    let heard = eve.heard();
    assert_eq!(events(&heard), ["presence_diff"], "one for all");
    assert_eq!(heard[0]["payload"]["joins"].as_object().unwrap().len(), 2);

    // Bob leaves and that letter is lost: the next state puts it right, and says of Amy nothing new.
    bob.protocol.leave_all();
    drop(here.relay().take(10, usize::MAX));
    there.relay().hear("p1", here.relay().state());
    let heard = eve.heard();
    assert_eq!(events(&heard), ["presence_diff"]);
    assert_eq!(heard[0]["payload"]["joins"], json!({}));
    assert_eq!(shown(&heard[0]["payload"]["leaves"], "bob"), [2]);

    there.relay().forget("another");
    assert_eq!(eve.heard(), Vec::<Value>::new());
    there.relay().forget("p1");
    assert_eq!(shown(&eve.heard()[0]["payload"]["leaves"], "amy"), [1]);
    assert_eq!(there.relay().state(), Relay::empty_state(), "Eve shows nothing");
}

#[test]
fn a_full_relay_drops_broadcasts_keeps_presence_and_holds_nobody_up() {
    let (here, there) = two();
    let mut speaker = member(&here, Version::V2, "realtime:x", &with_key("amy"));
    let mut neighbour = member(&here, Version::V2, "realtime:x", &json!({}));
    let mut listener = member(&there, Version::V2, "realtime:x", &with_key("bob"));
    for n in 0..6_000 {
        let message = crate::broadcast::Broadcast {
            topic: Topic::public("x"),
            event: "word".to_owned(),
            body: crate::broadcast::Body::Json(n.to_string()),
            sequence: None,
        };
        here.say(message, None);
        neighbour.heard();
    }
    track(&mut speaker, &json!({"n": 7}));
    assert_eq!(events(&neighbour.heard()), Vec::<&str>::new(), "it did not ask for presence");
    assert!(here.relay().has_lost_presence());
    let letters = here.relay().take(usize::MAX, usize::MAX);
    assert_eq!(letters.len(), 4_096);
    assert!(here.relay().has_letters(), "the state is still to be told");
    there.relay().hear("p1", here.relay().state());
    assert!(!here.relay().has_letters());
    assert_eq!(shown(&listener.heard()[0]["payload"]["joins"], "amy"), [7]);

    // Bytes are bounded as well, and a batch has at least one letter.
    for _ in 0..100 {
        speaker.say("realtime:x", "broadcast", &json!({"event": "big", "payload": "x".repeat(200_000)}));
    }
    assert_eq!(here.relay().take(10, 1).len(), 1);
    assert_eq!(here.relay().take(10, 700_000).len(), 3);
    assert_eq!(here.relay().take(usize::MAX, usize::MAX).len(), 8 * 1024 * 1024 / 200_000 - 4);
}

#[test]
fn what_is_remembered_of_others_is_bounded_and_a_letter_without_meaning_is_passed_over() {
    let there = hub(Limits::default());
    let mut listener = member(&there, Version::V2, "realtime:x", &with_key("bob"));
    let letter = |head: Value, body: &'static [u8]| Letter { head: head.to_string(), body: Bytes::from_static(body) };
    for (head, body) in [
        (json!("nothing"), &b""[..]),
        (json!({"kind": "of later"}), b""),
        (json!({"kind": "broadcast", "topic": "x", "private": false, "event": "e", "is_json": true}), &[0xff, 0xfe]),
        (json!({"kind": "shown", "topic": "x", "private": false, "member": 1, "key": "k"}), b"[]"),
        (json!({"kind": "hidden", "topic": "y", "private": false, "member": 1}), b""),
        (json!({"kind": "state_ends"}), b""),
    ] {
        there.relay().hear("p1", vec![letter(head, body)]);
    }
    assert_eq!(listener.heard(), Vec::<Value>::new());
    let meta = json!({"n": 1, "text": "x".repeat(1_000_000)}).to_string();
    let many = (0..100).map(|member| Letter {
        head: json!({"kind": "shown", "topic": "x", "private": false, "member": member, "key": "k"}).to_string(),
        body: Bytes::from(meta.clone()),
    });
    there.relay().hear("p1", many.collect());
    let mut late = Client::new(&there, Version::V2, "<jwt>");
    let state = late.join("realtime:x", &with_key("late"));
    assert_eq!(shown(&state[1]["payload"], "k").len(), 67, "64 MiB of it");
    there.relay().forget("p1");
    there.relay().hear(
        "p1",
        vec![Letter {
            head: json!({"kind": "shown", "topic": "x", "private": false, "member": 1, "key": "k"}).to_string(),
            body: meta.into(),
        }],
    );
    let mut later = Client::new(&there, Version::V2, "<jwt>");
    assert_eq!(shown(&later.join("realtime:x", &with_key("later"))[1]["payload"], "k").len(), 1, "what is forgotten makes room");
}

#[tokio::test]
async fn whoever_waits_for_letters_is_woken() {
    let (here, _) = two();
    let relay = here.relay();
    let waiting = tokio::spawn(async move { relay.waits().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let mut speaker = member(&here, Version::V2, "realtime:x", &json!({}));
    speaker.say("realtime:x", "broadcast", &word(1));
    waiting.await.unwrap();
}
