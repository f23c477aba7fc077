//! Clients of several processes are in one room: what one says and shows reaches those of the others, whichever process they have come to.

use std::time::Duration;

use diesel::prelude::*;
use domain::role::Role;
use futures_util::{SinkExt, StreamExt};
use rater_app::live::messenger::{Messenger, Pace};
use rater_app::state::State;
use serde_json::{Value, json};
use storage::connection::execute;
use storage::on;
use storage::schema::realtime_messages;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::house::{House, Person, post};
use crate::live::{Socket, hear, join_with, serve};
use crate::replicas::replica;

const ROOM: &str = "desk:7";
const SETTINGS: [(&str, &str); 2] = [("ENDCAP_REALTIME_POLL_MS", "20"), ("ENDCAP_REALTIME_ROOMS", "desk:*")];

/// A process whose messenger goes when the test says so.
struct Process {
    messenger: Messenger,
    address: String,
    server: actix_web::dev::ServerHandle,
}

impl Process {
    fn of(state: &State) -> Self {
        let pace = Pace { gone_after: Duration::ZERO, anew_after: Duration::ZERO, ..Pace::default() };
        let (address, server) = serve(state);
        Self { messenger: Messenger::new(state.clone(), pace), address, server }
    }

    async fn write(&mut self) {
        while self.messenger.send().await.unwrap() {}
    }

    async fn join(&self, person: &Person, config: Value) -> Socket {
        let (socket, status) = join_with(&self.address, person, ROOM, config).await;
        assert_eq!(status, "ok");
        socket
    }
}

/// Both write, then both read.
async fn exchange(one: &mut Process, other: &mut Process) {
    one.write().await;
    other.write().await;
    one.messenger.read().await.unwrap();
    other.messenger.read().await.unwrap();
}

async fn send(socket: &mut Socket, event: &str, payload: Value) {
    let message = json!({"topic": format!("realtime:{ROOM}"), "event": event, "ref": "2", "join_ref": "1", "payload": payload});
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// Says a number, and waits until the process has it.
async fn say(socket: &mut Socket, n: i64) {
    send(socket, "broadcast", json!({"type": "broadcast", "event": "word", "payload": {"n": n}})).await;
    assert_eq!(hear(socket, "phx_reply").await["payload"]["status"], "ok");
}

async fn track(socket: &mut Socket, n: i64) {
    send(socket, "presence", json!({"type": "presence", "event": "track", "payload": {"n": n}})).await;
    assert_eq!(hear(socket, "phx_reply").await["payload"]["status"], "ok");
}

async fn word(socket: &mut Socket) -> i64 {
    hear(socket, "word").await["payload"]["payload"]["n"].as_i64().unwrap()
}

/// The next difference: keys and numbers of those who join and leave.
async fn difference(socket: &mut Socket) -> (Vec<String>, Vec<String>) {
    let difference = hear(socket, "presence_diff").await["payload"].take();
    (shown(&difference["joins"]), shown(&difference["leaves"]))
}

/// `key n` of all metas.
fn shown(state: &Value) -> Vec<String> {
    let metas = |(key, entry): (&String, &Value)| {
        let metas = entry["metas"].as_array().unwrap();
        metas.iter().map(|meta| format!("{key} {}", meta["n"])).collect::<Vec<_>>()
    };
    state.as_object().unwrap().iter().flat_map(metas).collect()
}

fn with_key(key: &str) -> Value {
    json!({"presence": {"enabled": true, "key": key}, "broadcast": {"ack": true}})
}

async fn written(state: &State) -> i64 {
    let count = |conn: &mut storage::connection::Connection| Ok(on!(conn, c => realtime_messages::table.count().get_result(c))?);
    state.storage.read(count).await.unwrap()
}

#[actix_web::test]
async fn broadcasts_of_clients_reach_the_others_once_on_every_database() {
    for house in House::everywhere(&SETTINGS) {
        let kind = house.kind();
        let (other, _) = replica(&house, "20");
        let (mut here, mut there) = (Process::of(&house.state), Process::of(&other));
        let rita = house.person("rita", Role::Rater, true).await;
        let mut speaker = here.join(&rita, json!({"broadcast": {"ack": true}})).await;
        let mut echo = here.join(&rita, json!({"broadcast": {"self": true, "ack": true}})).await;
        here.messenger.beat().await.unwrap();
        say(&mut speaker, 1).await;
        assert!(!here.messenger.has_company() && !here.messenger.send().await.unwrap());
        assert_eq!(written(&other).await, 0, "{kind}: alone, nothing is written");
        assert_eq!(word(&mut echo).await, 1);

        let mut old = there.join(&rita, json!({})).await;
        let url = format!("ws://{}/realtime/v1/websocket?apikey={}&vsn=2.0.0", there.address, rita.token);
        let (mut new, _) = connect_async(url).await.unwrap();
        new.send(Message::text(json!(["1", "1", format!("realtime:{ROOM}"), "phx_join", {"config": {}}]).to_string())).await.unwrap();
        new.next().await.unwrap().unwrap();
        there.messenger.beat().await.unwrap();
        here.messenger.beat().await.unwrap();
        exchange(&mut here, &mut there).await;
        for n in 2..5 {
            say(&mut speaker, n).await;
            exchange(&mut here, &mut there).await;
        }
        send(&mut echo, "broadcast", json!({"type": "broadcast", "event": "word", "payload": {"n": 5}})).await;
        for n in 2..=5 {
            assert_eq!(word(&mut echo).await, n, "{kind}: its own too, since it asked for it");
        }
        let app = app!(house);
        let admin = house.admin();
        let message = json!({"topic": ROOM, "event": "word", "payload": {"n": 6}});
        assert_eq!(ask!(app, post("/realtime/v1/api/broadcast", &admin, json!({"messages": [message]}))).status, 202);
        let path = format!("/realtime/v1/api/broadcast/{ROOM}/events/word");
        assert_eq!(ask!(app, post(&path, &admin, json!({"n": 7}))).status, 202);
        let bytes = post(&format!("/realtime/v1/api/broadcast/{ROOM}/events/blob"), &admin, json!({}));
        let bytes = bytes.insert_header(("content-type", "application/octet-stream")).set_payload(&b"\x00\xff7"[..]);
        assert_eq!(ask!(app, bytes).status, 202);
        say(&mut speaker, 8).await;
        for _ in 0..3 {
            exchange(&mut here, &mut there).await;
        }
        for (socket, first) in [(&mut old, 2), (&mut echo, 6)] {
            for n in first..=8 {
                assert_eq!(word(socket).await, n, "{kind}: each once, in order");
            }
        }
        let mut heard = Vec::new();
        while heard.len() < 8 {
            match tokio::time::timeout(Duration::from_secs(20), new.next()).await.unwrap().unwrap().unwrap() {
                Message::Text(text) => heard.push(serde_json::from_str::<Value>(&text).unwrap()[4]["payload"]["n"].as_i64().unwrap()),
                Message::Binary(bytes) => {
                    assert!(bytes.starts_with(&[4]) && bytes.ends_with(b"blob\x00\xff7"), "{kind}: {bytes:?}");
                    heard.push(0);
                }
                _ => {}
            }
        }
        assert_eq!(heard, [2, 3, 4, 5, 6, 7, 0, 8], "{kind}");
        for process in [here, there] {
            process.server.stop(false).await;
        }
    }
}

#[actix_web::test]
async fn presence_is_one_state_and_the_members_of_a_killed_process_leave_on_every_database() {
    for house in House::everywhere(&SETTINGS) {
        let kind = house.kind();
        let (other, _) = replica(&house, "20");
        let (mut here, mut there) = (Process::of(&house.state), Process::of(&other));
        let rita = house.person("rita", Role::Rater, true).await;
        here.messenger.beat().await.unwrap();
        let mut amy = here.join(&rita, with_key("amy")).await;
        track(&mut amy, 1).await;
        there.messenger.beat().await.unwrap();
        here.messenger.beat().await.unwrap();
        exchange(&mut here, &mut there).await;

        // Whoever comes to the other process finds Amy, and who is Amy as well is her second meta.
        let mut amy_too = there.join(&rita, with_key("amy")).await;
        assert_eq!(shown(&hear(&mut amy_too, "presence_state").await["payload"]), ["amy 1"], "{kind}");
        track(&mut amy_too, 2).await;
        let mut bob = there.join(&rita, with_key("bob")).await;
        track(&mut bob, 3).await;
        exchange(&mut here, &mut there).await;
        assert_eq!(difference(&mut amy).await, (vec!["amy 1".to_owned()], vec![]), "{kind}: her own");
        assert_eq!(difference(&mut amy).await.0, ["amy 2", "bob 3"], "{kind}");
        let mut eve = here.join(&rita, with_key("eve")).await;
        assert_eq!(shown(&hear(&mut eve, "presence_state").await["payload"]), ["amy 1", "amy 2", "bob 3"], "{kind}");

        // The other process is killed: nobody hears of it again, so it beats no more.
        for _ in 0..3 {
            here.messenger.beat().await.unwrap();
            assert!(here.messenger.has_company(), "{kind}: it may be slow");
        }
        here.messenger.beat().await.unwrap();
        assert!(!here.messenger.has_company(), "{kind}");
        assert_eq!(difference(&mut amy).await, (vec![], vec!["amy 2".to_owned(), "bob 3".to_owned()]), "{kind}");

        // It was not dead but out of reach. Bob has gone meanwhile, and does not come back with it.
        bob.close(None).await.unwrap();
        assert_eq!(difference(&mut amy_too).await.0, ["amy 2"], "{kind}: her own");
        assert_eq!(difference(&mut amy_too).await.0, ["bob 3"], "{kind}");
        assert_eq!(difference(&mut amy_too).await.1, ["bob 3"], "{kind}");
        assert_eq!(there.messenger.read().await.unwrap(), 0);
        there.messenger.beat().await.unwrap();
        assert_eq!(difference(&mut amy_too).await.1, ["amy 1"], "{kind}: it knows nothing of the others any more");
        there.messenger.beat().await.unwrap();
        here.messenger.beat().await.unwrap();
        exchange(&mut here, &mut there).await;
        assert_eq!(difference(&mut amy).await, (vec!["amy 2".to_owned()], vec![]), "{kind}");
        assert_eq!(difference(&mut amy_too).await, (vec!["amy 1".to_owned()], vec![]), "{kind}");

        // It goes in good order: its members leave at once.
        there.messenger.leave().await.unwrap();
        here.messenger.read().await.unwrap();
        assert_eq!(difference(&mut amy).await, (vec![], vec!["amy 2".to_owned()]), "{kind}");
        here.messenger.beat().await.unwrap();
        assert!(!here.messenger.has_company(), "{kind}");
        for process in [here, there] {
            process.server.stop(false).await;
        }
    }
}

#[actix_web::test]
async fn while_the_database_is_out_of_reach_rooms_go_on_and_afterwards_nothing_old_is_told_on_every_database() {
    for house in House::everywhere(&SETTINGS) {
        let kind = house.kind();
        let (other, _) = replica(&house, "20");
        let (mut here, mut there) = (Process::of(&house.state), Process::of(&other));
        let rita = house.person("rita", Role::Rater, true).await;
        let mut amy = here.join(&rita, with_key("amy")).await;
        let mut bob = there.join(&rita, with_key("bob")).await;
        track(&mut amy, 1).await;
        track(&mut bob, 2).await;
        for process in [&mut here, &mut there] {
            process.messenger.beat().await.unwrap();
        }
        here.messenger.beat().await.unwrap();
        exchange(&mut here, &mut there).await;
        assert_eq!(difference(&mut amy).await.0, ["amy 1"], "{kind}: her own");
        assert_eq!(difference(&mut amy).await.0, ["bob 2"], "{kind}");
        let away = "ALTER TABLE realtime_messages RENAME TO realtime_messages_away";
        let back = "ALTER TABLE realtime_messages_away RENAME TO realtime_messages";
        let change = |statement: &str| execute(&mut house.db.connect(), statement).unwrap();

        // For a moment: what was said is written again, and told once.
        change(away);
        say(&mut amy, 1).await;
        for _ in 0..2 {
            assert!(here.messenger.send().await.is_err(), "{kind}");
        }
        change(back);
        say(&mut amy, 2).await;
        here.write().await;
        there.messenger.read().await.unwrap();
        assert_eq!((word(&mut bob).await, word(&mut bob).await), (1, 2), "{kind}");

        // For long: rooms go on, without those whom nobody knows to be there.
        change(away);
        say(&mut amy, 3).await;
        assert!(here.messenger.send().await.is_err(), "{kind}");
        here.messenger.give_up_when_cut_off();
        assert_eq!(difference(&mut amy).await.1, ["bob 2"], "{kind}");
        say(&mut amy, 4).await;
        change(back);
        here.messenger.beat().await.unwrap();
        there.messenger.beat().await.unwrap();
        exchange(&mut here, &mut there).await;
        assert_eq!(difference(&mut amy).await.0, ["bob 2"], "{kind}");
        say(&mut amy, 5).await;
        exchange(&mut here, &mut there).await;
        assert_eq!(word(&mut bob).await, 5, "{kind}: what was said meanwhile is old");
        for process in [here, there] {
            process.server.stop(false).await;
        }
    }
}

/// As it runs: found by itself, in order, each once; and drained.
#[actix_web::test]
async fn processes_find_each_other_and_part_on_every_database() {
    for house in House::everywhere(&SETTINGS) {
        let kind = house.kind();
        let (other, stopping) = replica(&house, "20");
        let start = |state: &State, token: &CancellationToken| rater_app::jobs::start(state, token);
        let (jobs, other_jobs) = (start(&house.state, &house.shutdown), start(&other, &stopping));
        let ((address, server), (other_address, other_server)) = (serve(&house.state), serve(&other));
        let rita = house.person("rita", Role::Rater, true).await;
        let (mut amy, _) = join_with(&address, &rita, ROOM, with_key("amy")).await;
        let (mut bob, _) = join_with(&other_address, &rita, ROOM, with_key("bob")).await;
        track(&mut bob, 1).await;
        assert_eq!(difference(&mut amy).await.0, ["bob 1"], "{kind}");
        // Each may have found the other at another time, so the first words may be too early for one of them.
        let mut n = 0;
        loop {
            n += 1;
            say(&mut bob, n).await;
            if let Ok(mut heard) = tokio::time::timeout(Duration::from_secs(1), word(&mut amy)).await {
                while heard < n {
                    heard = word(&mut amy).await;
                }
                break;
            }
            assert!(n < 30, "{kind}: nothing was heard");
        }
        for n in n + 1..n + 30 {
            say(&mut bob, n).await;
            assert_eq!(word(&mut amy).await, n, "{kind}");
        }
        stopping.cancel();
        assert_eq!(difference(&mut amy).await.1, ["bob 1"], "{kind}: at once, and not when it is missed");
        for job in other_jobs {
            job.await.unwrap();
        }
        house.shutdown.cancel();
        for job in jobs {
            job.await.unwrap();
        }
        server.stop(false).await;
        other_server.stop(false).await;
    }
}
