//! The service killed with SIGKILL in the middle of everybody's work, again and again: what it acknowledged is there, once, and what its
//! raters held is given out again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use domain::role::Role;
use domain::time::Clock;
use futures_util::future::{join, join_all};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;
use serde_json::{Value, json};
use storage::raters::NewRater;
use testkit::database::{self, TestDatabase};
use testkit::http::Client;
use testkit::service::Service;
use tokio::sync::watch;
use web::token::{Subject, Tokens};

use crate::actor::{Actor, Answer, Door};
use crate::ledger;
use crate::together::{named, unfinished};

const SECRET: &str = "a secret of the crash tests, of more than 32 bytes";
const RATERS: usize = 12;
const TASKS: usize = 60;
const KILLS: usize = 4;
/// The shortest lease that can be configured.
const LEASE_SECONDS: u64 = 10;
/// Longest time in which everything must be done; in practice far less.
const DEADLINE: Duration = Duration::from_secs(120);

/// The way to a service that may die at any moment: what got no answer is sent again when the service is back, as a page does.
struct Outside {
    address: watch::Receiver<SocketAddr>,
    idle: Rc<RefCell<Vec<(SocketAddr, Client)>>>,
    answers: Rc<RefCell<usize>>,
    began: Instant,
}

impl Door for Outside {
    async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        let (authorization, body) = (format!("Bearer {token}"), body.to_string());
        let mut repeated = false;
        loop {
            let address = *self.address.borrow();
            let known = self.idle.borrow_mut().pop().filter(|(to, _)| *to == address);
            let mut client = known.map_or_else(|| Client::new(address), |(_, client)| client);
            match client.send(method, path, &[("Authorization", &authorization)], Some(body.as_bytes())).await {
                Ok(answer) => {
                    self.idle.borrow_mut().push((address, client));
                    *self.answers.borrow_mut() += 1;
                    let reason = answer.header("endcap-reason").unwrap_or("").to_owned();
                    return Answer { status: answer.status, reason, body: answer.json(), repeated };
                }
                Err(error) => {
                    assert!(self.began.elapsed() < DEADLINE, "no answer: {error:#}");
                    repeated = true;
                    // The service is dead or dying; its successor has another address.
                    let mut address_of_next = self.address.clone();
                    address_of_next.wait_for(|next| *next != address).await.unwrap();
                }
            }
        }
    }
}

async fn nothing_is_lost(kind: &str) {
    let Some(db) = database::of_kind(kind) else { return };
    let seed = crate::seeds(&[3_141])[0];
    println!("{kind}: RACE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut service = Some(start(&db));
    let (tell, address) = watch::channel(service.as_ref().unwrap().address);
    let answers = Rc::new(RefCell::new(0));
    let door = Outside { address, idle: Rc::default(), answers: answers.clone(), began: Instant::now() };
    let tasks: Vec<Value> = (0..TASKS).map(|n| named(&format!("task-{n}"), &mut rng)).collect();
    let admin = token("acc_admin", Role::PlatformAdmin, None);
    assert_eq!(door.send("POST", "/v1/tasks", &admin, json!(tasks)).await.status, 201);
    let mut actors = Vec::new();
    for n in 0..RATERS {
        let rater_id = rater(&db, &format!("rater {n}")).await;
        let token = token(&format!("acc_{n}"), Role::Rater, Some(&rater_id));
        actors.push(Actor::new(rater_id, token, rng.random()));
    }
    // The last one takes a task and is never heard of again.
    let mut gone = actors.pop().unwrap();
    assert!(gone.next(&door).await);

    let is_over = RefCell::new(false);
    let at_work = join_all(actors.into_iter().map(|mut actor| async {
        while !*is_over.borrow() {
            actor.step(&door).await;
            // A rater without a task does not ask in a loop.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        actor
    }));
    let killing = async {
        for _ in 0..KILLS {
            // After so many answers, in the middle of whatever is on its way then.
            let until = *answers.borrow() + rng.random_range(20..80);
            while *answers.borrow() < until {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            service.take().unwrap().kill().unwrap();
            let next = service.insert(start(&db));
            tell.send_replace(next.address);
        }
        is_over.replace(true);
    };
    let (mut actors, ()) = join(at_work, killing).await;

    // Whoever is left finishes, and waits for the leases of those who are gone to end.
    loop {
        actors = join_all(actors.into_iter().map(|mut actor| async {
            while actor.work(&door).await {}
            actor
        }))
        .await;
        let left = unfinished(&mut db.connect());
        if left.is_empty() {
            break;
        }
        assert!(
            door.began.elapsed() < DEADLINE,
            "{kind}, RACE_SEED={seed}: never finished:\n{}\n{}",
            left.join("\n"),
            service.as_ref().unwrap().log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    actors.push(gone);

    let mut conn = db.connect();
    let promised: Vec<_> = actors.iter().flat_map(Actor::acknowledged).collect();
    let mut breaches = ledger::slots(&mut conn, domain::time::now);
    breaches.extend(ledger::promises(&mut conn, &promised, true));
    breaches.extend(ledger::books(&mut conn));
    assert!(breaches.is_empty(), "{kind}, RACE_SEED={seed}:\n{}", breaches.join("\n"));
}

fn start(db: &TestDatabase) -> Service {
    let lease = LEASE_SECONDS.to_string();
    let variables = [
        ("DATABASE_URL", db.url.as_str()),
        ("ENDCAP_JWT_SECRET", SECRET),
        ("ENDCAP_LEASE_SECONDS", &lease),
        ("ENDCAP_GOLDEN_RATE", "0"),
        ("ENDCAP_MAX_SKIPS_PER_TASK", "100"),
        // Raters who answer at random at once are not to be paused here.
        ("ENDCAP_INTEGRITY_ACTIONS", "by_hand"),
        ("ENDCAP_DATABASE_POOL_MIN", "2"),
        ("ENDCAP_DATABASE_POOL_MAX", "8"),
        ("ENDCAP_RATE_LIMITS", "off"),
        // Nobody listens there.
        ("ENDCAP_RLHF_BACKEND_PRIVATE_URL", "http://127.0.0.1:9"),
        ("RUST_LOG", "info"),
    ];
    Service::start(Path::new(env!("CARGO_BIN_EXE_rater-app")), &variables).unwrap()
}

async fn rater(db: &TestDatabase, name: &str) -> String {
    let new = NewRater { name: name.to_owned(), email: None, is_simulated: true, is_calibrated: true };
    let now = domain::time::now();
    db.storage.transaction(move |tx| storage::raters::insert(tx, &new, now)).await.unwrap().rater_id
}

fn token(account_id: &str, role: Role, rater_id: Option<&str>) -> String {
    let subject = Subject {
        account_id: account_id.to_owned(),
        email: format!("{account_id}@example.com"),
        role,
        tenant_id: None,
        rater_id: rater_id.map(str::to_owned),
        session_id: "ses_test".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    let tokens = Tokens::new(&SecretString::from(SECRET), Clock::system());
    tokens.issue_access(&subject, Duration::from_secs(3600)).unwrap().0
}

#[actix_web::test]
async fn nothing_is_lost_on_sqlite() {
    nothing_is_lost("sqlite").await;
}

#[actix_web::test]
async fn nothing_is_lost_on_postgres() {
    nothing_is_lost("postgres").await;
}

#[actix_web::test]
async fn nothing_is_lost_on_mariadb() {
    nothing_is_lost("mysql").await;
}
