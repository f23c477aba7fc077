//! Access that is taken away closes what was opened with it, on every process, and opens nothing any more.

use std::time::Duration;

use actix_web::test::TestRequest;
use futures_util::{SinkExt, StreamExt};
use rater_app::state::State;
use serde_json::{Value, json};
use storage::accounts::{self, Duties};
use storage::api_keys::{self, NewApiKey};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::house::{House, Person, as_person, post};
use crate::live::{Socket, hear, join, serve};
use crate::replicas::replica;

const PASSWORD: &str = "correct horse battery";
const LONGEST: Duration = Duration::from_secs(20);

/// A process with sockets and all that runs beside them.
struct Process {
    address: String,
    server: actix_web::dev::ServerHandle,
    jobs: Vec<tokio::task::JoinHandle<()>>,
    stopping: CancellationToken,
}

impl Process {
    fn start(state: &State, stopping: CancellationToken) -> Self {
        let (address, server) = serve(state);
        Self { address, server, jobs: rater_app::jobs::start(state, &stopping), stopping }
    }

    async fn stop(self) {
        self.stopping.cancel();
        for job in self.jobs {
            job.await.unwrap();
        }
        self.server.stop(false).await;
    }

    /// A socket in a room, opened with this token or key.
    async fn open(&self, token: &str, topic: &str) -> Socket {
        let person = Person { token: token.to_owned(), rater_id: String::new() };
        let (socket, joined) = join(&self.address, &person, topic).await;
        assert_eq!(joined, "ok");
        socket
    }

    /// What an upgrade is answered: 101, or the status of a refusal.
    async fn knock(&self, token: &str) -> u16 {
        match connect_async(format!("ws://{}/realtime/v1/websocket?apikey={token}&vsn=1.0.0", self.address)).await {
            Ok(_) => 101,
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The code with which a socket is closed.
async fn closed(mut socket: Socket) -> u16 {
    let wait = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("an end without a word: {other:?}"),
            }
        }
    };
    tokio::time::timeout(LONGEST, wait).await.expect("closed within 20 seconds")
}

/// The socket is answered still.
async fn lives(socket: &mut Socket) {
    let beat = json!({"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": "9"});
    socket.send(Message::text(beat.to_string())).await.unwrap();
    hear(socket, "phx_reply").await;
}

fn token_of(session: &Value) -> String {
    session["access_token"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned()
}

fn bearer(session: &Value) -> Person {
    Person { token: token_of(session), rater_id: String::new() }
}

fn grant(kind: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(&format!("/auth/v1/token?grant_type={kind}")).set_json(body)
}

fn sign_in(email: &str) -> TestRequest {
    grant("password", json!({"email": email, "password": PASSWORD}))
}

fn sign_up(email: &str) -> TestRequest {
    TestRequest::post().uri("/auth/v1/signup").set_json(json!({"email": email, "password": PASSWORD}))
}

#[actix_web::test]
async fn signing_out_closes_the_sockets_of_those_sessions_on_every_process() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        let (app, kind) = (app!(house), house.kind());
        let (state, stopping) = replica(&house, "20");
        let (here, there) = (Process::start(&house.state, house.shutdown.clone()), Process::start(&state, stopping));
        let one = ask!(app, sign_up("ada@example.com")).body;
        let two = ask!(app, sign_in("ada@example.com")).body;
        let three = ask!(app, sign_in("ada@example.com")).body;
        let other = ask!(app, sign_up("bob@example.com")).body;
        let mut bystander = there.open(&token_of(&other), "leaderboard").await;

        let (first, mut second) = (there.open(&token_of(&one), "leaderboard").await, there.open(&token_of(&two), "leaderboard").await);
        assert_eq!(ask!(app, post("/auth/v1/logout?scope=local", &bearer(&one), json!({}))).status, 204, "{kind}");
        assert_eq!(closed(first).await, 1012, "{kind}: this session");
        assert_eq!(there.knock(&token_of(&one)).await, 401, "{kind}: its token opens no socket any more");
        lives(&mut second).await;

        let third = here.open(&token_of(&three), "leaderboard").await;
        assert_eq!(ask!(app, post("/auth/v1/logout?scope=others", &bearer(&two), json!({}))).status, 204, "{kind}");
        assert_eq!(closed(third).await, 1012, "{kind}: the others, on the process that was asked");
        lives(&mut second).await;

        let again = ask!(app, sign_in("ada@example.com")).body;
        let fourth = here.open(&token_of(&again), "leaderboard").await;
        assert_eq!(ask!(app, post("/auth/v1/logout", &bearer(&two), json!({}))).status, 204, "{kind}");
        assert_eq!((closed(second).await, closed(fourth).await), (1012, 1012), "{kind}: all of them");
        for session in [&two, &three, &again] {
            assert_eq!((here.knock(&token_of(session)).await, there.knock(&token_of(session)).await), (401, 401), "{kind}");
        }
        lives(&mut bystander).await;

        // Whoever signs in again is in again, also in the second of the end.
        let anew = ask!(app, sign_in("ada@example.com")).body;
        lives(&mut there.open(&token_of(&anew), "leaderboard").await).await;
        // A process that starts later knows as well.
        let (state, stopping) = replica(&house, "20");
        let late = Process::start(&state, stopping);
        let knocks = async {
            while late.knock(&token_of(&two)).await != 401 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONGEST, knocks).await.unwrap_or_else(|_| panic!("{kind}: a process that started later lets it in"));
        assert_eq!(late.knock(&token_of(&anew)).await, 101, "{kind}");
        for process in [here, there, late] {
            process.stop().await;
        }
    }
}

#[actix_web::test]
async fn a_new_password_a_copied_token_and_a_closed_account_close_sockets() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        let (app, kind) = (app!(house), house.kind());
        let (state, stopping) = replica(&house, "20");
        let there = Process::start(&state, stopping);
        let own = ask!(app, sign_up("ada@example.com")).body;
        let other = ask!(app, sign_in("ada@example.com")).body;
        let (mut mine, theirs) = (there.open(&token_of(&own), "leaderboard").await, there.open(&token_of(&other), "leaderboard").await);
        let change = TestRequest::put().uri("/auth/v1/user").set_json(json!({"password": "another horse battery"}));
        assert_eq!(ask!(app, as_person(change, &bearer(&own))).status, 200, "{kind}");
        assert_eq!(closed(theirs).await, 1012, "{kind}");
        lives(&mut mine).await;

        let refresh = |session: &Value| grant("refresh_token", json!({"refresh_token": session["refresh_token"]}));
        let next = ask!(app, refresh(&own)).body;
        ask!(app, refresh(&next));
        house.hand.advance(chrono::TimeDelta::seconds(11));
        assert_eq!(ask!(app, refresh(&own)).body["error_code"], "refresh_token_already_used", "{kind}");
        assert_eq!(closed(mine).await, 1012, "{kind}: the session of a token that somebody else has");

        // As `endcap accounts disable` and `set-role` do it.
        let session = ask!(app, sign_up("bob@example.com")).body;
        let socket = there.open(&token_of(&session), "leaderboard").await;
        let (id, now) = (session["user"]["id"].as_str().unwrap().to_owned(), house.now());
        let shut_out = move |tx: &mut storage::connection::Connection| {
            accounts::set_duties(tx, &id, &Duties { role: "rater".to_owned(), tenant_id: None, is_active: false }, now)?;
            accounts::revoke_all_sessions(tx, &id, None, now)
        };
        house.state.storage.transaction(shut_out).await.unwrap();
        assert_eq!(closed(socket).await, 1012, "{kind}");
        assert_eq!(there.knock(&token_of(&session)).await, 401, "{kind}");
        there.stop().await;
    }
}

#[actix_web::test]
async fn a_revoked_key_closes_its_sockets_and_opens_none() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20")]) {
        let kind = house.kind();
        let (state, stopping) = replica(&house, "20");
        let there = Process::start(&state, stopping);
        let (scope, now) = (domain::scope::Scope::system("test"), house.now());
        let key = |name: &'static str| NewApiKey {
            name: name.to_owned(),
            key_hash: web::access::hash_key(name),
            key_prefix: "ek_".to_owned(),
            role: "analyst".to_owned(),
            tenant_id: Some("tnt-a".to_owned()),
            scopes: Vec::new(),
            expires_at: None,
        };
        let system = scope.clone();
        let made = move |tx: &mut storage::connection::Connection| {
            api_keys::insert(tx, &system, &key("ek_kept"), now)?;
            api_keys::insert(tx, &system, &key("ek_gone"), now)
        };
        let gone = house.state.storage.transaction(made).await.unwrap();
        let mut kept = there.open("ek_kept", "campaigns:tnt-a").await;
        let socket = there.open("ek_gone", "campaigns:tnt-a").await;
        // With the eyes of the tenant that owns it, as the campaign runtime does.
        let tenant = domain::scope::Scope::for_caller("acc_1", domain::role::Role::TenantAdmin, Some("tnt-a"));
        let scoped = house.state.storage.scoped(&tenant);
        scoped.transaction(move |tx| api_keys::revoke(tx, &tenant, &gone.key_id, now)).await.unwrap();
        assert_eq!(closed(socket).await, 1012, "{kind}");
        assert_eq!(there.knock("ek_gone").await, 401, "{kind}: looked up before, and not taken from memory");
        lives(&mut kept).await;
        there.stop().await;
    }
}
