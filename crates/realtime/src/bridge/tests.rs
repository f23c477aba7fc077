//! The bridge beside a project that refuses, falls silent, drops and comes back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::link::Replays;
use super::mark::marked;
use super::{BridgeSettings, Listen, Standing, listen};
use crate::frame::Version;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::testing::{Client, hub};

/// A project with switchable faults, which speaks to whoever has joined.
struct Project {
    url: String,
    faults: Arc<Faults>,
    say: broadcast::Sender<String>,
    joins: Arc<Mutex<Vec<Value>>>,
}

#[derive(Default)]
struct Faults {
    refuses: AtomicBool,
    is_mute: AtomicBool,
    connections: AtomicUsize,
    /// A new token for each cut.
    cut: Mutex<CancellationToken>,
}

impl Faults {
    fn cut(&self) {
        std::mem::take(&mut *self.cut.lock().unwrap()).cancel();
    }
}

impl Project {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/realtime/v1/websocket", listener.local_addr().unwrap());
        let (say, _) = broadcast::channel(64);
        let (faults, joins) = (Arc::new(Faults::default()), Arc::new(Mutex::new(Vec::new())));
        let (all_faults, all_say, all_joins) = (faults.clone(), say.clone(), joins.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, all_faults.clone(), all_say.subscribe(), all_joins.clone()));
            }
        });
        Self { url, faults, say, joins }
    }

    fn say(&self, event: &str, payload: &Value, meta: &Value) {
        let body = json!({ "type": "broadcast", "event": event, "payload": payload, "meta": meta });
        self.say.send(json!([null, null, "realtime:news", "broadcast", body]).to_string()).unwrap();
    }
}

async fn serve(stream: TcpStream, faults: Arc<Faults>, mut said: broadcast::Receiver<String>, joins: Arc<Mutex<Vec<Value>>>) {
    let cut = faults.cut.lock().unwrap().clone();
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    faults.connections.fetch_add(1, Ordering::SeqCst);
    loop {
        let text = tokio::select! {
            () = cut.cancelled() => return,
            Ok(text) = said.recv() => text,
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if faults.is_mute.load(Ordering::SeqCst) && frame[3] == "heartbeat" {
                    continue;
                }
                let refuses = faults.refuses.load(Ordering::SeqCst) && frame[3] == "phx_join";
                if frame[3] == "phx_join" {
                    joins.lock().unwrap().push(frame[4].clone());
                }
                let answer = if refuses { json!({ "status": "error", "response": { "reason": "Unauthorized: not you" } }) } else { json!({ "status": "ok", "response": {} }) };
                json!([frame[0], frame[1], frame[2], "phx_reply", answer]).to_string()
            }
        };
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

/// A bridge with a listener in its local room.
struct Bridged {
    hub: Hub,
    client: Client,
    standing: watch::Receiver<Standing>,
    _running: DropGuard,
}

fn bridge(project: &Project) -> Bridged {
    let hub = hub(Limits::default());
    let mut client = Client::new(&hub, Version::V2, "sb_key");
    client.join("realtime:local-news", &json!({}));
    let channels = vec![Listen { remote: "news".to_owned(), local: "local-news".to_owned() }];
    let mut settings = BridgeSettings::new(project.url.clone(), "sb_secret_x".into(), channels, "us".to_owned());
    settings.heartbeat = Duration::from_millis(100);
    settings.answer_within = Duration::from_secs(5);
    let (tell, standing) = watch::channel(Standing::Connecting);
    let shutdown = CancellationToken::new();
    tokio::spawn(listen(settings, hub.clone(), tell, shutdown.clone()));
    Bridged { hub, client, standing, _running: shutdown.drop_guard() }
}

impl Bridged {
    async fn until(&mut self, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let reached = tokio::time::timeout(Duration::from_secs(20), self.standing.wait_for(wanted)).await;
        reached.expect("the bridge did not get there").unwrap().clone()
    }

    async fn connected(&mut self) {
        self.until(|standing| *standing == Standing::Connected).await;
    }

    /// Waits until so many messages were heard, and returns their payloads.
    async fn heard(&mut self, count: usize) -> Vec<Value> {
        let mut heard = Vec::new();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while heard.len() < count {
            assert!(tokio::time::Instant::now() < deadline, "only {heard:?} was heard");
            tokio::task::yield_now().await;
            heard.extend(self.client.heard().into_iter().map(|frame| frame["payload"]["payload"].clone()));
        }
        heard
    }
}

#[tokio::test]
async fn what_is_said_in_the_project_is_heard_here_once() {
    let project = Project::start().await;
    let mut bridged = bridge(&project);
    bridged.connected().await;
    project.say("e", &json!({ "n": 1 }), &json!({ "id": "row-1" }));
    project.say("e", &json!({ "n": 1 }), &json!({ "id": "row-1" }));
    project.say("e", &marked(json!({ "n": 2 }), 7, "us"), &Value::Null);
    project.say("e", &marked(json!({ "n": 3 }), 7, "them"), &Value::Null);
    let heard = bridged.heard(2).await;
    assert_eq!((&heard[0]["n"], &heard[1]["n"]), (&json!(1), &json!(3)), "neither twice nor our own");
    let join = project.joins.lock().unwrap()[0].clone();
    assert_eq!((&join["config"]["private"], &join["config"]["broadcast"]["self"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_link_that_drops_is_made_again_and_asks_for_what_it_missed() {
    let project = Project::start().await;
    let mut bridged = bridge(&project);
    bridged.connected().await;
    project.say("e", &json!({ "n": 1 }), &json!({ "id": "row-1" }));
    bridged.heard(1).await;
    project.faults.cut();
    bridged.until(|standing| matches!(standing, Standing::Degraded(_))).await;
    bridged.hub.publish(crate::outgoing::Outgoing::Broadcast {
        topic: crate::outgoing::Topic::public("local-news"),
        event: "local".to_owned(),
        payload: json!({ "n": "local" }),
        sequence: None,
    });
    assert_eq!(bridged.heard(1).await, [json!({ "n": "local" })], "local rooms go on");
    bridged.connected().await;
    let joins = project.joins.lock().unwrap().clone();
    assert_eq!(joins.len(), 2);
    assert!(joins[0]["config"]["broadcast"].get("replay").is_none(), "there was nothing before");
    assert!(joins[1]["config"]["broadcast"]["replay"]["since"].as_u64().unwrap() > 1_700_000_000_000, "{joins:?}");
    // The project replays what was heard, and what was not.
    project.say("e", &json!({ "n": 1 }), &json!({ "id": "row-1", "replayed": true }));
    project.say("e", &json!({ "n": 2 }), &json!({ "id": "row-2", "replayed": true }));
    assert_eq!(bridged.heard(1).await, [json!({ "n": 2 })]);

    // As much as the project remembers, and nothing of it known: what came before may be lost, and the room is told.
    project.faults.cut();
    bridged.until(|standing| matches!(standing, Standing::Degraded(_))).await;
    bridged.connected().await;
    for n in 0..25 {
        project.say("e", &json!({ "n": n }), &json!({ "id": format!("later-{n}"), "replayed": true }));
    }
    let mut told = bridged.heard(26).await.split_off(24);
    assert_eq!(told.remove(0), json!({ "n": 24 }));
    assert_eq!(told[0]["channel"], "news");
    assert!(told[0]["since"].as_u64().is_some_and(|since| since > 1_700_000_000_000), "{told:?}");
}

#[test]
fn a_replay_that_reaches_back_to_what_was_heard_is_whole() {
    let mut replays = Replays::new(Some(7));
    assert!((0..24).all(|_| replays.note("a", false).is_none()));
    assert_eq!(replays.note("b", true), None);
    assert_eq!(replays.note("a", false), Some(7), "the twenty-fifth");
    assert_eq!(replays.note("a", false), None, "told once");
    assert!((0..40).all(|_| replays.note("b", false).is_none()), "it began with one that was known");
    assert!((0..40).all(|_| Replays::new(None).note("a", false).is_none()), "nothing was asked for");
}

#[tokio::test]
async fn a_gap_before_the_first_message_is_asked_for_and_own_echoes_hide_none() {
    let project = Project::start().await;
    let mut bridged = bridge(&project);
    bridged.connected().await;
    project.faults.cut();
    bridged.until(|standing| matches!(standing, Standing::Degraded(_))).await;
    bridged.connected().await;
    let joins = project.joins.lock().unwrap().clone();
    assert!(joins[1]["config"]["broadcast"]["replay"]["since"].is_u64(), "nothing was heard, and something may have been said: {joins:?}");
    for n in 0..25 {
        let payload = if n == 3 { marked(json!({}), 1, "us") } else { json!({ "n": n }) };
        project.say("e", &payload, &json!({ "id": format!("row-{n}"), "replayed": true }));
    }
    let told = bridged.heard(25).await;
    assert!(told.iter().any(|payload| payload["channel"] == "news" && payload["since"].is_u64()), "replay_incomplete: {told:?}");
}

#[tokio::test]
async fn silence_and_refusal_are_told_and_it_comes_back_alone() {
    let project = Project::start().await;
    project.faults.refuses.store(true, Ordering::SeqCst);
    let mut bridged = bridge(&project);
    let why = bridged.until(|standing| matches!(standing, Standing::Degraded(_))).await;
    assert_eq!(why, Standing::Degraded("the channel news was refused: Unauthorized: not you".to_owned()));
    project.faults.refuses.store(false, Ordering::SeqCst);
    bridged.connected().await;
    project.faults.is_mute.store(true, Ordering::SeqCst);
    let why = bridged.until(|standing| matches!(standing, Standing::Degraded(_))).await;
    assert_eq!(why, Standing::Degraded("the project did not answer a heartbeat".to_owned()));
    project.faults.is_mute.store(false, Ordering::SeqCst);
    bridged.connected().await;
    assert!(project.faults.connections.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn a_project_that_cannot_be_reached_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (say, _) = broadcast::channel(1);
    let project = Project { url: format!("ws://{address}/realtime/v1/websocket"), faults: Arc::default(), say, joins: Arc::default() };
    let why = bridge(&project).until(|standing| matches!(standing, Standing::Degraded(_))).await;
    assert!(matches!(&why, Standing::Degraded(why) if why.contains("refused or broke")), "{why:?}");
}
