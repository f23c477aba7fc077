//! Several processes over one database: what one commits is heard at the sockets of the others.

use std::time::Duration;

use domain::role::Role;
use rater_app::state::State;
use serde_json::json;
use storage::connection::execute;
use storage::outbox::{self, Destination, NewEvent};
use storage::store::{PoolOptions, Storage};
use storage::url::DatabaseUrl;
use testkit::database;
use tokio_util::sync::CancellationToken;
use web::settings::Settings;

use crate::house::House;
use crate::live::{Socket, hear, join, join_with, serve};

/// Another process over the database of a house.
pub fn replica(house: &House, poll_ms: &str) -> (State, CancellationToken) {
    let storage = Storage::new(DatabaseUrl::parse(&house.db.url).unwrap(), PoolOptions { min: 1, max: 4, ..PoolOptions::default() });
    let settings = Settings::from_variables([("ENDCAP_REALTIME_POLL_MS", poll_ms), ("ENDCAP_REALTIME_ROOMS", "desk:*")]).unwrap();
    let shutdown = CancellationToken::new();
    (State::new(storage, settings, house.state.clock.clone(), shutdown.clone()).unwrap(), shutdown)
}

/// Commits an event in a process, as the business of any service would.
async fn commit(state: &State, number: i64) {
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "tasks".to_owned(),
        event: "task_changed".to_owned(),
        payload: json!({ "n": number }),
        tenant_id: None,
    };
    let now = state.clock.now();
    state.storage.transaction(move |tx| outbox::push(tx, &event, now)).await.unwrap();
}

async fn number(socket: &mut Socket) -> i64 {
    hear(socket, "task_changed").await["payload"]["payload"]["n"].as_i64().unwrap()
}

/// Commits one event after the other until one is heard; its number.
async fn heard_first(state: &State, socket: &mut Socket) -> i64 {
    for n in 1..=60 {
        commit(state, n).await;
        if let Ok(heard) = tokio::time::timeout(Duration::from_secs(1), number(socket)).await {
            // All up to this one are on their way, in order.
            let mut last = heard;
            while last < n {
                last = number(socket).await;
            }
            return n;
        }
    }
    panic!("nothing was heard of another process within a minute");
}

#[actix_web::test]
async fn processes_hear_each_other_on_every_database() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        let (other, stopping) = replica(&house, "20");
        let (address, server) = serve(&other);
        let jobs = rater_app::jobs::start(&other, &stopping);
        let rater = house.person("rita", Role::Rater, true).await;
        let (mut socket, joined) = join(&address, &rater, "tasks").await;
        assert_eq!(joined, "ok", "{}", house.kind());
        let first = heard_first(&house.state, &mut socket).await;
        for n in first + 1..first + 20 {
            commit(&house.state, n).await;
            assert_eq!(number(&mut socket).await, n, "{}", house.kind());
        }
        stopping.cancel();
        for job in jobs {
            job.await.unwrap();
        }
        server.stop(false).await;
    }
}

/// The database is asked once a minute only, so what is heard earlier was announced.
#[actix_web::test]
async fn postgres_announces_events_and_a_cut_connection_comes_back() {
    let Some(db) = database::of_kind("postgres") else { return };
    let house = House::on(db, "2096-01-15T12:00:00Z", &[]);
    let announcing = tokio::spawn(house.state.storage.clone().announce_until(house.shutdown.clone().cancelled_owned()));
    let (other, stopping) = replica(&house, "60000");
    let (address, server) = serve(&other);
    let jobs = rater_app::jobs::start(&other, &stopping);
    let rater = house.person("rita", Role::Rater, true).await;
    let (mut socket, _) = join(&address, &rater, "tasks").await;
    let mut n = heard_first(&house.state, &mut socket).await;

    for _ in 0..3 {
        let mut conn = house.db.connect();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'endcap-listen' AND datname = current_database()";
        execute(&mut conn, cut).unwrap();
        // Committed while nobody listens: heard as soon as the connection is back, and each once.
        for _ in 0..5 {
            n += 1;
            commit(&house.state, n).await;
        }
        for expected in n - 4..=n {
            assert_eq!(number(&mut socket).await, expected);
        }
    }
    n += 1;
    commit(&house.state, n).await;
    assert_eq!(number(&mut socket).await, n, "announced again after the cuts");
    for token in [&stopping, &house.shutdown] {
        token.cancel();
    }
    for job in jobs {
        job.await.unwrap();
    }
    announcing.await.unwrap();
    server.stop(false).await;
}

#[actix_web::test]
async fn a_process_that_starts_anew_replays_what_was_said_before() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        for n in 1..=5 {
            commit(&house.state, n).await;
        }
        let seen = house.state.storage.read(|conn| outbox::after(conn, 0, &[], 10)).await.unwrap();
        let (process, stopping) = replica(&house, "20");
        let (address, server) = serve(&process);
        let jobs = rater_app::jobs::start(&process, &stopping);
        let rater = house.person("rita", Role::Rater, true).await;
        // Its memory is there once it tells what is new.
        let (mut listening, _) = join(&address, &rater, "tasks").await;
        heard_first(&house.state, &mut listening).await;
        let config = json!({"broadcast": {"replay": {"after": seen[1].id}}});
        let (mut back, _) = join_with(&address, &rater, "tasks", config).await;
        for expected in 3..=5 {
            let message = hear(&mut back, "task_changed").await;
            assert_eq!(message["payload"]["payload"]["n"], expected, "{}: {message}", house.kind());
            assert_eq!(message["payload"]["meta"]["replayed"], true);
        }
        stopping.cancel();
        for job in jobs {
            job.await.unwrap();
        }
        server.stop(false).await;
    }
}
