//! What a session that has ended may not do any more, and what a right password is not kept from.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use rater_app::hashing::Hashing;
use rater_app::state::State;
use serde_json::{Value, json};
use storage::access_ends;
use storage::accounts::{self, AccountPatch, Duties};
use storage::api_keys::{self, NewApiKey};
use storage::connection::Connection;

use crate::house::{House, Person, Reply, as_person, get, post};
use crate::replicas::replica;

const PASSWORD: &str = "correct horse battery";
const NEW_PASSWORD: &str = "another horse battery";

/// What `app!` takes of another process.
struct Other {
    state: State,
}

fn sign_up(email: &str) -> TestRequest {
    TestRequest::post().uri("/auth/v1/signup").set_json(json!({"email": email, "password": PASSWORD}))
}

fn sign_in(email: &str, password: &str) -> TestRequest {
    TestRequest::post().uri("/auth/v1/token?grant_type=password").set_json(json!({"email": email, "password": password}))
}

fn refresh(session: &Value) -> TestRequest {
    let body = json!({"refresh_token": session["refresh_token"]});
    TestRequest::post().uri("/auth/v1/token?grant_type=refresh_token").set_json(body)
}

fn new_password(session: &Value) -> TestRequest {
    as_person(TestRequest::put().uri("/auth/v1/user").set_json(json!({"password": NEW_PASSWORD})), &bearer(session))
}

fn bearer(session: &Value) -> Person {
    let token = session["access_token"].as_str().unwrap_or_else(|| panic!("no session: {session}"));
    Person { token: token.to_owned(), rater_id: String::new() }
}

fn said(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.body["error_code"].as_str().unwrap_or(""))
}

/// Whoever waits for a turn at hashing has it kept from them until `work` is done.
async fn while_one_waits(state: &State, work: impl Future<Output = ()>, turns: Vec<impl Sized>) {
    while state.hashing.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    work.await;
    drop(turns);
}

/// All turns at hashing.
async fn all_turns(state: &State) -> Vec<impl Sized + use<>> {
    vec![state.hashing.turn().await.unwrap(), state.hashing.turn().await.unwrap()]
}

/// As `endcap accounts` does it.
async fn change(house: &House, work: impl Fn(&mut Connection) -> Result<(), storage::error::StorageError> + Send + 'static) {
    house.state.storage.transaction(work).await.unwrap();
}

#[actix_web::test]
async fn a_sign_in_under_way_begins_no_session_with_an_old_password_or_for_a_closed_account() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let made = ask!(app, sign_up("ada@example.com")).body;
        let id = made["user"]["id"].as_str().unwrap().to_owned();
        let now = house.now();
        let hash = web::password::hash(NEW_PASSWORD).unwrap();

        let turns = all_turns(&house.state).await;
        let of = id.clone();
        let set_password = change(&house, move |tx| {
            let patch = AccountPatch { password_hash: Some(hash.clone()), ..AccountPatch::default() };
            accounts::update(tx, &of, &patch, now)?;
            accounts::revoke_all_sessions(tx, &of, None, now).map(drop)
        });
        let (reply, ()) =
            join(async { ask!(app, sign_in("ada@example.com", PASSWORD)) }, while_one_waits(&house.state, set_password, turns)).await;
        assert_eq!(said(&reply), (400, "invalid_credentials"), "{kind}: {}", reply.body);
        assert_eq!(ask!(app, sign_in("ada@example.com", NEW_PASSWORD)).status, 200, "{kind}");

        let turns = all_turns(&house.state).await;
        let of = id.clone();
        let close = change(&house, move |tx| {
            accounts::set_duties(tx, &of, &Duties { role: "rater".to_owned(), tenant_id: None, is_active: false }, now)?;
            accounts::revoke_all_sessions(tx, &of, None, now).map(drop)
        });
        let (reply, ()) =
            join(async { ask!(app, sign_in("ada@example.com", NEW_PASSWORD)) }, while_one_waits(&house.state, close, turns)).await;
        assert_eq!(said(&reply), (400, "invalid_credentials"), "{kind}: {}", reply.body);
    }
}

#[actix_web::test]
async fn a_token_whose_session_has_ended_changes_no_password_and_ends_no_other() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let old = ask!(app, sign_up("ada@example.com")).body;
        assert_eq!(ask!(app, post("/auth/v1/logout", &bearer(&old), json!({}))).status, 204, "{kind}");
        let own = ask!(app, sign_in("ada@example.com", PASSWORD)).body;
        assert_eq!(said(&ask!(app, new_password(&old))), (403, "session_not_found"), "{kind}");
        for scope in ["others", "global", "local"] {
            let path = format!("/auth/v1/logout?scope={scope}");
            assert_eq!(said(&ask!(app, post(&path, &bearer(&old), json!({})))), (403, "session_not_found"), "{kind}: {scope}");
        }
        let own = ask!(app, refresh(&own)).body;
        assert!(own["access_token"].is_string(), "{kind}: the owner's session goes on: {own}");
        assert_eq!(ask!(app, sign_in("ada@example.com", PASSWORD)).status, 200, "{kind}: and the password is the owner's");

        // One that ends while the new password is hashed.
        let turns = all_turns(&house.state).await;
        let (id, now) = (own["user"]["id"].as_str().unwrap().to_owned(), house.now());
        let demote = change(&house, move |tx| {
            accounts::set_duties(tx, &id, &Duties { role: "expert".to_owned(), tenant_id: None, is_active: true }, now)?;
            accounts::revoke_all_sessions(tx, &id, None, now).map(drop)
        });
        let (reply, ()) = join(async { ask!(app, new_password(&own)) }, while_one_waits(&house.state, demote, turns)).await;
        assert_eq!(said(&reply), (403, "session_not_found"), "{kind}: {}", reply.body);
        assert_eq!(said(&ask!(app, new_password(&own))), (403, "session_not_found"), "{kind}: with what it was given before");
        let next = ask!(app, sign_in("ada@example.com", PASSWORD)).body;
        assert_eq!(ask!(app, new_password(&next)).status, 200, "{kind}");
        assert_eq!(ask!(app, get("/auth/v1/user", &bearer(&next))).status, 200, "{kind}");
    }
}

#[actix_web::test]
async fn right_passwords_that_come_together_lock_nobody_out() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let (state, _stopping) = replica(&house, "1000");
        let other = Other { state };
        let other = app!(other);
        ask!(app, sign_up("ada@example.com"));
        let turns = all_turns(&house.state).await;
        let all = join_all((0..8).map(|_| async { ask!(app, sign_in("ada@example.com", PASSWORD)).status.as_u16() }));
        let release = async {
            while house.state.hashing.waiting() < 5 {
                tokio::task::yield_now().await;
            }
            // Another process finds the bucket empty as well.
            assert_eq!(ask!(other, sign_in("ada@example.com", PASSWORD)).status, 429, "{kind}");
            drop(turns);
        };
        let (mut answers, ()) = join(all, release).await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 200, 200, 200, 200, 429, 429, 429], "{kind}");
        assert_eq!(ask!(app, sign_in("ada@example.com", PASSWORD)).status, 200, "{kind}: a success forgets it");
        house.hand.advance(TimeDelta::seconds(2));
        assert_eq!(ask!(other, sign_in("ada@example.com", PASSWORD)).status, 200, "{kind}: and the other process asks again soon");
    }
}

#[actix_web::test]
async fn a_password_that_nobody_looked_at_is_no_failure() {
    for mut house in House::everywhere(&[]) {
        house.state.hashing = Arc::new(Hashing::new(Duration::from_millis(1)));
        let (app, kind) = (app!(house), house.kind());
        let turns = all_turns(&house.state).await;
        for _ in 0..8 {
            let reply = ask!(app, sign_in("ada@example.com", PASSWORD));
            assert_eq!(said(&reply), (429, "over_request_rate_limit"), "{kind}");
            assert_eq!(reply.headers.get("retry-after").unwrap(), "1", "{kind}: not for a failure");
        }
        drop(turns);
        assert_eq!(said(&ask!(app, sign_in("ada@example.com", PASSWORD))), (400, "invalid_credentials"), "{kind}: looked at now");
    }
}

#[actix_web::test]
async fn one_account_has_one_new_password_hashed_at_a_time() {
    let house = House::new(&[]);
    let app = app!(house);
    let (ada, bob) = (ask!(app, sign_up("ada@example.com")).body, ask!(app, sign_up("bob@example.com")).body);
    let turns = all_turns(&house.state).await;
    let all = join_all((0..20).map(|_| async { ask!(app, new_password(&ada)).status.as_u16() }));
    let beside = async {
        let (reply, ()) = join(async { ask!(app, new_password(&bob)) }, async {
            while house.state.hashing.waiting() < 2 {
                tokio::task::yield_now().await;
            }
            drop(turns);
        })
        .await;
        assert_eq!(reply.status, 200, "another account's: {}", reply.body);
    };
    let (answers, ()) = join(all, beside).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count() + answers.iter().filter(|status| **status == 429).count(), 20);
    assert!(answers.contains(&200) && answers.contains(&429), "{answers:?}");
    assert_eq!(ask!(app, new_password(&ada)).status, 200, "and the next one when that is done");
}

#[actix_web::test]
async fn signing_a_key_out_ends_nothing() {
    for house in House::everywhere(&[]) {
        let (app, kind, now) = (app!(house), house.kind(), house.now());
        let key = NewApiKey {
            name: "shared".to_owned(),
            key_hash: web::access::hash_key("ek_shared"),
            key_prefix: "ek_".to_owned(),
            role: "analyst".to_owned(),
            tenant_id: Some("tnt-a".to_owned()),
            scopes: Vec::new(),
            expires_at: None,
        };
        let system = domain::scope::Scope::system("test");
        house.state.storage.transaction(move |tx| api_keys::insert(tx, &system, &key, now)).await.unwrap();
        for request in [
            TestRequest::post().uri("/auth/v1/logout").insert_header(("apikey", "ek_shared")),
            TestRequest::post().uri("/auth/v1/logout?scope=others").insert_header(("Authorization", "Bearer ek_shared")),
        ] {
            let reply = ask!(app, request);
            assert_eq!(said(&reply), (403, "session_not_found"), "{kind}: {}", reply.body);
            assert!(reply.body["msg"].as_str().unwrap().contains("revoke"), "{kind}: {}", reply.body);
        }
        let told = house.state.storage.read(move |conn| access_ends::since(conn, now, 0, 10)).await.unwrap();
        assert!(told.is_empty(), "{kind}: its sockets stay, and it opens others");
    }
}

#[actix_web::test]
async fn refresh_tokens_that_do_not_work_are_counted_and_good_ones_are_not_kept_from_anybody() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let from = |request: TestRequest, address: &str| request.peer_addr(format!("{address}:4711").parse().unwrap());
        let made_up = |n: u32| refresh(&json!({ "refresh_token": format!("made up {n}") }));
        let session = ask!(app, sign_up("ada@example.com")).body;
        for n in 0..30 {
            assert_eq!(said(&ask!(app, from(made_up(n), "203.0.113.7"))).1, "refresh_token_not_found", "{kind}: {n}");
        }
        let page = TestRequest::post().uri("/session/refresh").insert_header(("cookie", "endcap_refresh=made-up"));
        for request in [made_up(30), page] {
            let reply = ask!(app, from(request, "203.0.113.7"));
            assert_eq!(said(&reply), (429, "over_request_rate_limit"), "{kind}");
            assert_eq!(reply.headers.get("retry-after").unwrap(), "2", "{kind}");
        }
        assert_eq!(said(&ask!(app, from(made_up(31), "203.0.113.8"))).1, "refresh_token_not_found", "{kind}: another address");
        assert_eq!(ask!(app, from(refresh(&session), "203.0.113.7")).status, 200, "{kind}: a good one, from the same address");
        house.hand.advance(TimeDelta::seconds(2));
        assert_eq!(said(&ask!(app, from(made_up(32), "203.0.113.7"))).1, "refresh_token_not_found", "{kind}: one in two seconds");
    }
}
