//! Orders of events that chance seldom makes, made on purpose with a row that is locked from outside.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::role::Role;
use futures_util::future::{Either, join, select};
use serde_json::json;
use storage::connection::{Connection, execute};
use storage::on;
use testkit::database;

use crate::actor::Door;
use crate::house::{House, plan_task};
use crate::ledger;

/// Longest wait for a request to reach its lock.
const SOON: Duration = Duration::from_secs(20);

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// Sessions of this database that wait for a lock.
fn waiting(conn: &mut Connection) -> i64 {
    let query = match conn {
        Connection::Postgres(_) => {
            "SELECT COUNT(*) AS value FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
        _ => {
            // A transaction whose first lock is waited for is not listed as one: what counts is a statement that does not come back.
            "SELECT COUNT(*) AS value FROM information_schema.PROCESSLIST \
             WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND COMMAND IN ('Execute', 'Query') AND TIME_MS > 100"
        }
    };
    let number: Number = on!(conn, c => diesel::sql_query(query).get_result(c)).unwrap();
    number.value
}

async fn until_waiting(conn: &mut Connection, count: i64) {
    let begun = Instant::now();
    while waiting(conn) < count {
        assert!(begun.elapsed() < SOON, "nobody waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A sign of life that was sent before the lease ended, and is carried out when somebody else was given the slot: only one of the two may
/// hold it. SQLite, where everybody waits in one line, cannot come to this order.
async fn a_sign_of_life_is_overtaken(kind: &str, heartbeat: bool) {
    let Some(db) = database::of_kind(kind) else { return };
    let house = House::on(db, "2096-01-15T12:00:00Z", &[("ENDCAP_LEASE_SECONDS", "60"), ("ENDCAP_GOLDEN_RATE", "0")]);
    let app = app!(house);
    let door = inside!(app);
    let (rita, bob) = (house.person("rita", Role::Rater, true).await, house.person("bob", Role::Rater, true).await);
    assert_eq!(door.send("POST", "/v1/tasks", &house.admin().token, plan_task("t1", 1)).await.status, 201);
    let held = door.send("POST", "/v1/assignments/next", &rita.token, json!({})).await.body;
    let id = held["assignment_id"].as_str().unwrap();
    house.hand.advance(TimeDelta::seconds(59));

    let (mut other, mut watch) = (house.db.connect(), house.db.connect());
    execute(&mut other, "BEGIN").unwrap();
    execute(&mut other, &format!("UPDATE task_assignments SET updated_at = updated_at WHERE assignment_id = '{id}'")).unwrap();
    let path = if heartbeat { format!("/v1/assignments/{id}/heartbeat") } else { "/v1/assignments/next".to_owned() };
    let sign_of_life = door.send("POST", &path, &rita.token, json!({}));
    let overtake = async {
        until_waiting(&mut watch, 1).await;
        house.hand.advance(TimeDelta::seconds(2));
        let next = Box::pin(door.send("POST", "/v1/assignments/next", &bob.token, json!({})));
        // Either it is done beside the lock, or it waits for it too.
        let next = match select(next, Box::pin(until_waiting(&mut watch, 2))).await {
            Either::Left((answer, _)) => Either::Left(answer),
            Either::Right(((), next)) => Either::Right(next),
        };
        execute(&mut other, "COMMIT").unwrap();
        match next {
            Either::Left(answer) => answer,
            Either::Right(next) => next.await,
        }
    };
    let (first, second) = join(sign_of_life, overtake).await;
    let breaches = ledger::slots(&mut watch, || house.now());
    assert!(breaches.is_empty(), "{kind}: {} {}, then {}: {}", first.status, first.body, second.status, breaches.join("\n"));
    let holders = usize::from(first.status == 200) + usize::from(second.status == 200);
    assert_eq!(holders, 1, "{kind}: {} {}, then {} {}", first.status, first.body, second.status, second.body);
}

#[actix_web::test]
async fn a_heartbeat_is_overtaken_on_postgres() {
    a_sign_of_life_is_overtaken("postgres", true).await;
}

#[actix_web::test]
async fn a_heartbeat_is_overtaken_on_mariadb() {
    a_sign_of_life_is_overtaken("mysql", true).await;
}

#[actix_web::test]
async fn asking_again_is_overtaken_on_postgres() {
    a_sign_of_life_is_overtaken("postgres", false).await;
}

#[actix_web::test]
async fn asking_again_is_overtaken_on_mariadb() {
    a_sign_of_life_is_overtaken("mysql", false).await;
}
