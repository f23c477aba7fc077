//! Many raters at once against one service, on a clock that runs their leases out: nothing is given out, counted or lost wrongly at any
//! moment, and in the end every task has exactly the judgments it asked for.

use std::cell::RefCell;

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use domain::role::Role;
use futures_util::future::{join_all, join3};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use storage::connection::Connection;
use testkit::database;

use crate::actor::{Actor, Answer, Door};
use crate::house::{House, Person, Reply, plan_task};
use crate::ledger;

const RATERS: usize = 24;
const TASKS: usize = 40;
/// Things that each rater does before all work off what is left.
const STEPS: usize = 40;
/// Uncalibrated raters among them.
const NEWCOMERS: usize = 4;
const GOLDEN: usize = 6;

/// The way to a router in this process.
pub struct Inside<F>(pub F);

impl<F> Door for Inside<F>
where
    F: AsyncFn(TestRequest) -> Reply,
{
    async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let request = TestRequest::with_uri(path).method(method.parse().unwrap()).set_json(body);
        let reply = (self.0)(request.insert_header(("Authorization", format!("Bearer {token}")))).await;
        Answer { status: reply.status.as_u16(), reason: reply.reason().to_owned(), body: reply.body, repeated: false }
    }
}

/// The door of a house: `let door = inside!(app);`.
macro_rules! inside {
    ($app:expr) => {
        $crate::together::Inside(async |request: actix_web::test::TestRequest| {
            $crate::house::read(actix_web::test::call_service(&$app, request.to_request()).await).await
        })
    };
}

async fn everything_holds(kind: &str) {
    for seed in crate::seeds(&[12, 14]) {
        holds(kind, seed).await;
    }
}

async fn holds(kind: &str, seed: u64) {
    let Some(db) = database::of_kind(kind) else { return };
    println!("{kind}: RACE_SEED={seed}");
    let variables = [
        ("ENDCAP_LEASE_SECONDS", "60"),
        ("ENDCAP_UNDO_SECONDS", "60"),
        ("ENDCAP_GOLDEN_RATE", "0.2"),
        // Else a task that many pass over waits for an expert.
        ("ENDCAP_MAX_SKIPS_PER_TASK", "100"),
        ("ENDCAP_INTEGRITY_ACTIONS", "by_hand"),
    ];
    let house = House::on(db, "2096-01-15T12:00:00Z", &variables);
    let app = app!(house);
    let door = inside!(app);
    let mut rng = StdRng::seed_from_u64(seed);
    prepare(&house, &door, &mut rng).await;
    let mut actors = Vec::new();
    for n in 0..RATERS {
        let person = house.person(&format!("rater {n}"), Role::Rater, n >= NEWCOMERS).await;
        actors.push(Actor::new(person.rater_id, person.token, rng.random()));
    }
    let conn = RefCell::new(house.db.connect());
    let all = join_all(actors.into_iter().map(|actor| act(actor, &door, &house, &conn))).await;
    let actors = work_off(all, &door, &house).await;

    let mut conn = conn.into_inner();
    let promised: Vec<_> = actors.iter().flat_map(Actor::acknowledged).collect();
    let mut breaches = ledger::slots(&mut conn, || house.now());
    breaches.extend(ledger::promises(&mut conn, &promised, true));
    breaches.extend(ledger::books(&mut conn));
    breaches.extend(unfinished(&mut conn));
    assert!(breaches.is_empty(), "{kind}, RACE_SEED={seed}:\n{}", breaches.join("\n"));
    assert!(promised.len() > TASKS, "{} judgments are no race", promised.len());
}

/// Tasks for two and three candidates that ask for one to four judgments, and golden items.
async fn prepare(house: &House, door: &impl Door, rng: &mut StdRng) {
    let admin = house.admin().token;
    let tasks: Vec<Value> = (0..TASKS).map(|n| named(&format!("task-{n}"), rng)).collect();
    let stored = door.send("POST", "/v1/tasks", &admin, json!(tasks)).await;
    assert_eq!((stored.status, stored.body["created"].as_u64()), (201, Some(TASKS as u64)), "{}", stored.body);
    for n in 0..GOLDEN {
        let item = json!({"task": named(&format!("gold-{n}"), rng), "choice": "candidate_a", "rationale": "It keeps the budget."});
        let stored = door.send("POST", "/v1/golden", &admin, item).await;
        assert_eq!(stored.status, 201, "{}", stored.body);
    }
}

/// A task whose title is its id.
pub fn named(task_id: &str, rng: &mut StdRng) -> Value {
    let mut task = plan_task(task_id, rng.random_range(1..=4));
    task["title"] = json!(task_id);
    task["priority"] = json!(rng.random_range(0..=100));
    if rng.random_bool(0.3) {
        task["candidate_c"] = json!({"summary": "stored third"});
    }
    task
}

/// A rater's day, with the clock moved, ended leases swept and the slots looked at in the middle of what the others do.
async fn act(mut actor: Actor, door: &impl Door, house: &House, conn: &RefCell<Connection>) -> Actor {
    for _ in 0..STEPS {
        actor.step(door).await;
        if actor.rng.random_bool(0.04) {
            house.hand.advance(TimeDelta::seconds(actor.rng.random_range(1..=40)));
        }
        if actor.rng.random_bool(0.04) {
            let now = house.now();
            house.state.storage.transaction(move |tx| storage::assignments::sweep_expired(tx, now, 200)).await.unwrap();
        }
        if actor.rng.random_bool(0.1) {
            let breaches = ledger::slots(&mut conn.borrow_mut(), || house.now());
            assert!(breaches.is_empty(), "while raters were at work:\n{}", breaches.join("\n"));
        }
    }
    actor
}

/// Lets all leases end and all raters work until nothing is left for anybody.
async fn work_off(mut actors: Vec<Actor>, door: &impl Door, house: &House) -> Vec<Actor> {
    loop {
        house.hand.advance(TimeDelta::seconds(61));
        let before: usize = actors.iter().map(Actor::count).sum();
        let finish = actors.into_iter().map(|mut actor| async move {
            actor.leave();
            while actor.work(door).await {}
            actor
        });
        actors = join_all(finish).await;
        if actors.iter().map(Actor::count).sum::<usize>() == before {
            return actors;
        }
    }
}

/// Tasks without exactly the judgments they asked for, except those that wait for an expert.
pub fn unfinished(conn: &mut Connection) -> Vec<String> {
    let escalated = ledger::escalated(conn);
    let tasks = ledger::progress(conn).into_iter().filter(|(id, (required, count, _))| required != count && !escalated.contains(id));
    tasks.map(|(id, (required, count, status))| format!("{id} is {status} with {count} of {required}")).collect()
}

/// Two requests of one rater at once are one: nobody holds two tasks.
async fn nobody_holds_two(kind: &str) {
    let Some(db) = database::of_kind(kind) else { return };
    let house = House::on(db, "2096-01-15T12:00:00Z", &[]);
    let app = app!(house);
    let door = inside!(app);
    let mut rng = StdRng::seed_from_u64(1);
    prepare(&house, &door, &mut rng).await;
    let mut people = Vec::new();
    for n in 0..8 {
        people.push(house.person(&format!("rater {n}"), Role::Rater, true).await);
    }
    let next = |person: &Person| {
        let token = person.token.clone();
        let door = &door;
        async move { door.send("POST", "/v1/assignments/next", &token, json!({})).await.body["assignment_id"].clone() }
    };
    let pairs = join_all(people.iter().map(|person| async { join3(next(person), next(person), next(person)).await })).await;
    for (first, second, third) in pairs {
        assert!(first.is_string() && first == second && second == third, "{kind}: {first}, {second} and {third}");
    }
}

#[actix_web::test]
async fn everything_holds_on_sqlite() {
    everything_holds("sqlite").await;
}

#[actix_web::test]
async fn everything_holds_on_postgres() {
    everything_holds("postgres").await;
}

#[actix_web::test]
async fn everything_holds_on_mariadb() {
    everything_holds("mysql").await;
}

#[actix_web::test]
async fn nobody_holds_two_on_any_database() {
    for kind in ["sqlite", "postgres", "mysql"] {
        nobody_holds_two(kind).await;
    }
}
