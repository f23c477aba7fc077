//! Clients whose connections are cut again and again lose no event and hear none twice. `ENDCAP_SOAK_SECONDS` sets for how long (5).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::role::Role;
use futures_util::StreamExt;
use serde_json::{Value, json};
use storage::outbox::{self, Destination, NewEvent};

use crate::house::{House, Person};
use crate::live::{serve, try_join};

/// Clients at once.
const CLIENTS: usize = 8;
/// How long a connection lasts, at most.
const LASTS: Duration = Duration::from_millis(1_500);
/// Only a failing test waits so long for what was committed last.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one client heard, by the place of each event in the outbox.
#[derive(Default)]
struct Heard {
    sequences: HashSet<i64>,
    numbers: HashSet<i64>,
    last: Option<i64>,
    connections: usize,
}

impl Heard {
    /// Takes a message; `false` when the process had not read its memory yet, and the client has to ask again.
    fn hear(&mut self, message: &Value) -> bool {
        if message["payload"]["event"] != "task_changed" {
            let is_incomplete = message["payload"].get("replay_incomplete").is_some();
            assert!(message["payload"].get("missed").is_none() && (!is_incomplete || self.last.is_none()), "{message}");
            return !is_incomplete;
        }
        let sequence = message["payload"]["meta"]["sequence"].as_i64().unwrap();
        assert!(self.sequences.insert(sequence), "event {sequence} came twice: {message}");
        self.numbers.insert(message["payload"]["payload"]["n"].as_i64().unwrap());
        self.last = Some(sequence);
        true
    }
}

/// Listens on one connection after the other, until everything up to `all` was heard.
async fn listen(address: String, person: Arc<Person>, which: usize, all: Arc<AtomicI64>) -> Heard {
    let mut heard = Heard::default();
    let mut until = None;
    loop {
        let config = heard
            .last
            .map_or_else(|| json!({"broadcast": {"replay": {"after": 0}}}), |last| json!({"broadcast": {"replay": {"after": last}}}));
        // It may be dropped with everybody else at this very moment.
        let Some((mut socket, joined)) = try_join(&address, &person, "tasks", config).await else { continue };
        assert_eq!(joined, "ok");
        heard.connections += 1;
        let length = LASTS.mul_f64(0.2 + 0.8 * ((which * 7 + heard.connections * 3) % 10) as f64 / 10.0);
        let ends_at = tokio::time::Instant::now() + length;
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(ends_at, socket.next()).await {
            let Ok(text) = message.into_text() else { continue };
            if serde_json::from_str::<Value>(&text).is_ok_and(|value| !heard.hear(&value)) {
                break;
            }
            let last = all.load(Ordering::SeqCst);
            if last > 0 && heard.numbers.len() >= usize::try_from(last).unwrap() {
                return heard;
            }
        }
        // Without a word of farewell: the connection is simply gone.
        drop(socket);
        let last = all.load(Ordering::SeqCst);
        if last > 0 {
            // All may have come before it was known to be all.
            if heard.numbers.len() >= usize::try_from(last).unwrap() {
                return heard;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE);
            assert!(Instant::now() < until, "client {which} heard {} of {last}", heard.numbers.len());
        }
    }
}

#[actix_web::test]
async fn nothing_is_lost_and_nothing_comes_twice_over_many_cuts() {
    let seconds = std::env::var("ENDCAP_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let house = House::new(&[("ENDCAP_REALTIME_POLL_MS", "50")]);
    let (address, server) = serve(&house.state);
    let jobs = rater_app::jobs::start(&house.state, &house.shutdown);
    let rater = Arc::new(house.person("rita", Role::Rater, true).await);
    let all = Arc::new(AtomicI64::new(0));
    let listening: Vec<_> =
        (0..CLIENTS).map(|which| actix_web::rt::spawn(listen(address.clone(), Arc::clone(&rater), which, Arc::clone(&all)))).collect();
    let (mut n, ends_at) = (0, Instant::now() + Duration::from_secs(seconds));
    while Instant::now() < ends_at {
        n += 1;
        let event = NewEvent {
            destination: Destination::Realtime,
            topic: "tasks".to_owned(),
            event: "task_changed".to_owned(),
            payload: json!({ "n": n }),
            tenant_id: None,
        };
        let now = house.now();
        house.state.storage.transaction(move |tx| outbox::push(tx, &event, now)).await.unwrap();
        house.state.after_commit();
        // The server drops everybody as well, now and then.
        if n % 150 == 0 {
            house.state.hub.disconnect(|_| true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    all.store(n, Ordering::SeqCst);
    let mut connections = 0;
    for client in listening {
        let heard = client.await.unwrap();
        assert_eq!(heard.numbers.len(), usize::try_from(n).unwrap());
        connections += heard.connections;
    }
    assert!(connections > CLIENTS * 2, "{connections} connections: nothing was cut");
    println!("{n} events to {CLIENTS} clients over {connections} connections in {seconds} s: none lost, none twice");
    house.shutdown.cancel();
    for job in jobs {
        job.await.unwrap();
    }
    server.stop(false).await;
}
