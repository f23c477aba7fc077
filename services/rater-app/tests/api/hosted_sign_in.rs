//! Sign-in with a hosted project behind our own paths and pages: the same answers either way, whole and broken.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use serde_json::{Value, json};
use storage::accounts::{self, NewAccount};
use testkit::supabase::{Fault, Part, Project, Signer};

use crate::house::{House, Person, as_person, get, post};

pub const PASSWORD: &str = "correct horse battery";

fn variables(hosted: &Project) -> Vec<(&'static str, String)> {
    let mut all = hosted.variables();
    all.push(("ENDCAP_SIGN_IN", "supabase".to_owned()));
    all
}

/// Houses whose people sign in at the project, on each database.
pub fn houses(hosted: &Project) -> Vec<House> {
    let all = variables(hosted);
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let houses = House::everywhere(&all);
    let mut held = hosted.held();
    held.signer = Signer::Es256("es-1");
    held.served_keys = vec!["es-1"];
    held.tokens_until = houses[0].now().timestamp() + 3_600;
    houses
}

pub fn forget(hosted: &Project) {
    hosted.held().users.clear();
}

pub fn sign_up(email: &str, data: Value) -> TestRequest {
    TestRequest::post().uri("/auth/v1/signup").set_json(json!({"email": email, "password": PASSWORD, "data": data}))
}

pub fn token(grant: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(&format!("/auth/v1/token?grant_type={grant}")).set_json(body)
}

fn sign_in(email: &str) -> TestRequest {
    token("password", json!({"email": email, "password": PASSWORD}))
}

pub fn bearer(session: &Value) -> Person {
    Person { token: session["access_token"].as_str().unwrap().to_owned(), rater_id: String::new() }
}

#[actix_web::test]
async fn a_user_of_the_project_is_a_rater_here_from_the_first_sign_in() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let made = ask!(app, sign_up("Ada@Example.com", json!({"name": "Ada", "role": "platform_admin", "rater_id": "rtr_other"})));
        assert_eq!(made.status, 200, "{kind}: {}", made.body);
        let known = &made.body["user"]["app_metadata"];
        assert_eq!((&known["role"], made.body["token_type"].as_str()), (&json!("rater"), Some("bearer")), "{kind}: {known}");
        let me = bearer(&made.body);
        let rater = ask!(app, get("/v1/raters/me", &me));
        assert_eq!((rater.body["name"].as_str(), &rater.body["rater_id"]), (Some("Ada"), &known["rater_id"]), "{kind}: {}", rater.body);
        assert_eq!(ask!(app, get("/auth/v1/user", &me)).body["email"], "ada@example.com", "{kind}");
        assert_eq!(ask!(app, get("/v1/tasks", &me)).status, 403, "{kind}: what people say of themselves gives no role");

        let again = ask!(app, sign_in("ada@example.com"));
        assert_eq!(again.body["user"]["app_metadata"], *known, "{kind}: the same account");
        let next = ask!(app, token("refresh_token", json!({"refresh_token": again.body["refresh_token"]})));
        assert_eq!(next.status, 200, "{kind}: {}", next.body);
        let reused = ask!(app, token("refresh_token", json!({"refresh_token": again.body["refresh_token"]})));
        assert_eq!((reused.status.as_u16(), reused.body["error_code"].as_str()), (400, Some("refresh_token_already_used")), "{kind}");
        let change = TestRequest::put().uri("/auth/v1/user").set_json(json!({"data": {"name": "Lovelace"}}));
        assert_eq!(ask!(app, as_person(change, &me)).body["user_metadata"]["name"], "Lovelace", "{kind}");
        assert_eq!(ask!(app, get("/v1/raters/me", &me)).body["name"], "Lovelace", "{kind}");
        assert_eq!(ask!(app, post("/auth/v1/logout", &me, json!({}))).status, 204, "{kind}");
        let gone = ask!(app, token("refresh_token", json!({"refresh_token": next.body["refresh_token"]})));
        assert_eq!(gone.body["error_code"], "refresh_token_not_found", "{kind}");
    }
}

#[actix_web::test]
async fn administrators_of_the_project_give_roles() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    ask!(app, sign_up("eve@example.com", json!({})));
    hosted.held().users.values_mut().for_each(|user| drop(user.app_metadata.insert("role".to_owned(), json!("expert"))));
    let expert = ask!(app, sign_in("eve@example.com")).body;
    assert_eq!(ask!(app, get("/v1/reviews", &bearer(&expert))).status, 200);
    hosted.held().users.values_mut().for_each(|user| drop(user.app_metadata.insert("role".to_owned(), json!("king"))));
    let refused = ask!(app, sign_in("eve@example.com"));
    assert_eq!((refused.status.as_u16(), refused.body["error_code"].as_str()), (403, Some("role_unknown")), "{}", refused.body);
}

#[actix_web::test]
async fn refusals_of_the_project_come_as_they_are() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    let wrong = ask!(app, sign_in("nobody@example.com"));
    assert_eq!((wrong.status.as_u16(), wrong.body["error_code"].as_str()), (400, Some("invalid_credentials")));
    assert_eq!(wrong.headers.get("x-sb-error-code").unwrap(), "invalid_credentials");
    ask!(app, sign_up("ada@example.com", json!({})));
    assert_eq!(ask!(app, sign_up("ada@example.com", json!({}))).body["error_code"], "user_already_exists");
    hosted.held().confirms_email = true;
    let made = ask!(app, sign_up("bob@example.com", json!({})));
    assert_eq!(
        (made.status.as_u16(), made.body["email"].as_str(), &made.body["email_confirmed_at"]),
        (200, Some("bob@example.com"), &Value::Null)
    );
    let early = ask!(app, sign_in("bob@example.com"));
    assert_eq!((early.status.as_u16(), early.body["error_code"].as_str()), (400, Some("email_not_confirmed")));
    let form = TestRequest::post().uri("/login/create").set_form([("email", "cleo@example.com"), ("password", PASSWORD), ("name", "Cleo")]);
    let page = ask!(app, form);
    assert_eq!(page.headers.get("location").map(|to| to.to_str().unwrap()), Some("/login?error=email_not_confirmed"), "{}", page.status);
}

#[actix_web::test]
async fn while_the_project_is_down_open_sessions_and_local_accounts_work() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let now = house.now();
        let hash = web::password::hash(PASSWORD).unwrap();
        let local = NewAccount {
            email: "local@example.com".to_owned(),
            password_hash: Some(hash),
            role: "platform_admin".to_owned(),
            tenant_id: None,
            rater_id: None,
            display_name: "Local".to_owned(),
            user_metadata: json!({}),
        };
        house.state.storage.transaction(move |tx| accounts::insert(tx, &local, now)).await.unwrap();
        let open = ask!(app, sign_up("ada@example.com", json!({}))).body;
        let me = bearer(&open);
        assert_eq!(ask!(app, get("/v1/raters/me", &me)).status, 200, "{kind}");
        for fault in [Fault::Drop, Fault::Status(503), Fault::Malformed, Fault::ExpiredKey] {
            hosted.break_down(Part::Auth, fault);
            for request in [
                sign_in("ada@example.com"),
                sign_up("new@example.com", json!({})),
                token("refresh_token", json!({"refresh_token": open["refresh_token"]})),
            ] {
                let reply = ask!(app, request);
                assert_eq!(
                    (reply.status.as_u16(), reply.body["error_code"].as_str()),
                    (503, Some("auth_unavailable")),
                    "{kind}: {fault:?} {}",
                    reply.body
                );
                assert!(reply.headers.contains_key("retry-after"), "{kind}");
            }
            assert_eq!(ask!(app, get("/v1/raters/me", &me)).status, 200, "{kind}: {fault:?}");
            let session = ask!(app, sign_in("local@example.com"));
            assert_eq!(session.status, 200, "{kind}: {fault:?} {}", session.body);
            assert_eq!(ask!(app, get("/v1/tasks", &bearer(&session.body))).status, 200, "{kind}: {fault:?}");
            let renewed = ask!(app, token("refresh_token", json!({"refresh_token": session.body["refresh_token"]})));
            assert_eq!(renewed.status, 200, "{kind}: {fault:?}");
        }
        hosted.mend(Part::Auth);
        let renewed = ask!(app, token("refresh_token", json!({"refresh_token": open["refresh_token"]})));
        assert_eq!(renewed.status, 200, "{kind}: the token was not used up: {}", renewed.body);
    }
}

#[actix_web::test]
async fn nobody_takes_an_account_by_its_address() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    let now = house.now();
    let invited = NewAccount {
        email: "boss@example.com".to_owned(),
        password_hash: None,
        role: "platform_admin".to_owned(),
        tenant_id: None,
        rater_id: None,
        display_name: "Boss".to_owned(),
        user_metadata: json!({}),
    };
    house.state.storage.transaction(move |tx| accounts::insert(tx, &invited, now)).await.unwrap();
    assert_eq!(ask!(app, sign_up("boss@example.com", json!({}))).body["error_code"], "user_already_exists");
    // Signed up at the project itself, which lets everybody.
    let direct = supabase::project::Project::from_settings(&hosted.url, "sb_publishable_x".into(), None, None).unwrap();
    direct.sign_up("boss@example.com", &PASSWORD.into(), &serde_json::Map::new()).await.unwrap();
    let refused = ask!(app, sign_in("boss@example.com"));
    assert_eq!((refused.status.as_u16(), refused.body["error_code"].as_str()), (409, Some("account_not_linked")), "{}", refused.body);
}

#[actix_web::test]
async fn keys_that_rotate_are_followed_and_pages_sign_in_alike() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    ask!(app, sign_up("ada@example.com", json!({})));
    let form =
        || TestRequest::post().uri("/session").set_form([("email", "ada@example.com"), ("password", PASSWORD), ("return_to", "/rate")]);
    let signed_in = ask!(app, form());
    assert_eq!((signed_in.status.as_u16(), signed_in.headers.get("location").unwrap().to_str().unwrap()), (303, "/rate"));
    let cookies = |reply: &crate::house::Reply| {
        let all = reply.headers.get_all("set-cookie").map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        all.collect::<Vec<_>>().join("; ")
    };
    let page = ask!(app, TestRequest::get().uri("/v1/raters/me").insert_header(("cookie", cookies(&signed_in))));
    assert_eq!(page.status, 200, "{}", page.body);
    {
        let mut held = hosted.held();
        held.signer = Signer::Es256("es-2");
        held.served_keys = vec!["es-1", "es-2"];
    }
    house.hand.advance(TimeDelta::seconds(31));
    let rotated = ask!(app, sign_in("ada@example.com")).body;
    assert_eq!(ask!(app, get("/v1/raters/me", &bearer(&rotated))).status, 200);
    let ended = ask!(
        app,
        TestRequest::delete()
            .uri("/session")
            .insert_header(("cookie", cookies(&signed_in)))
            .insert_header(("origin", "http://localhost:8002"))
    );
    assert_eq!(ended.status, 204, "{}", ended.body);
    hosted.break_down(Part::Auth, Fault::Drop);
    let ended = ask!(
        app,
        TestRequest::delete()
            .uri("/session")
            .insert_header(("cookie", cookies(&signed_in)))
            .insert_header(("origin", "http://localhost:8002"))
    );
    assert_eq!(ended.status, 204, "who wants to go may go: {}", ended.body);
    let down = ask!(app, form());
    assert_eq!(down.headers.get("location").unwrap().to_str().unwrap(), "/login?error=auth_unavailable&return_to=%2Frate");
}

#[actix_web::test]
async fn signing_out_while_the_project_is_down_ends_the_session_here_and_there_when_it_is_back() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let session = ask!(app, sign_up("ada@example.com", json!({}))).body;
        let (late, other) = (ask!(app, sign_in("ada@example.com")).body, ask!(app, sign_in("ada@example.com")).body);
        // From then on the keys of the project are known.
        assert_eq!(ask!(app, get("/v1/raters/me", &bearer(&session))).status, 200, "{kind}");
        for (fault, session) in [(Fault::Drop, &session), (Fault::Status(503), &late)] {
            hosted.break_down(Part::Auth, fault);
            let ended = ask!(app, post("/auth/v1/logout?scope=local", &bearer(session), json!({})));
            assert_eq!(ended.status, 200, "{kind}: {fault:?} {}", ended.body);
            assert!(ended.body["msg"].as_str().unwrap().contains("Supabase Auth does not answer"), "{kind}: {}", ended.body);
            let again = ask!(app, post("/auth/v1/logout?scope=others", &bearer(session), json!({})));
            assert_eq!((again.status.as_u16(), again.body["error_code"].as_str()), (403, Some("session_not_found")), "{kind}: it is over");
        }
        hosted.mend(Part::Auth);
        let is_refused = |back: &crate::house::Reply| {
            assert_eq!(
                (back.status.as_u16(), back.body["error_code"].as_str()),
                (400, Some("refresh_token_not_found")),
                "{kind}: {}",
                back.body
            );
        };
        for _ in 0..2 {
            is_refused(&ask!(app, token("refresh_token", json!({"refresh_token": session["refresh_token"]}))));
        }
        // Long after what ended is gone from memory and from the outbox.
        house.hand.advance(TimeDelta::days(40));
        let (now, before) = (house.now(), house.now() - TimeDelta::days(1));
        house.state.ended.forget_old(now);
        house.state.storage.transaction(move |tx| accounts::sweep_tokens(tx, before)).await.unwrap();
        hosted.held().tokens_until = now.timestamp() + 3_600;
        is_refused(&ask!(app, token("refresh_token", json!({"refresh_token": late["refresh_token"]}))));
        let goes_on = ask!(app, token("refresh_token", json!({"refresh_token": other["refresh_token"]})));
        assert_eq!(goes_on.status, 200, "{kind}: another session of the same person");
        hosted.held().tokens_until = house.now().timestamp() - 40 * 86_400 + 3_600;
    }
}

#[actix_web::test]
async fn a_session_that_the_project_has_ended_is_signed_out_of_here_and_ends_no_other() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let session = ask!(app, sign_up("ada@example.com", json!({}))).body;
        assert_eq!(ask!(app, get("/v1/raters/me", &bearer(&session))).status, 200, "{kind}");
        let direct = supabase::project::Project::from_settings(&hosted.url, "sb_publishable_x".into(), None, None).unwrap();
        direct.sign_out(&bearer(&session).token, "global").await.unwrap();
        let ended = ask!(app, post("/auth/v1/logout", &bearer(&session), json!({})));
        assert_eq!(ended.status, 204, "{kind}: {}", ended.body);
        let from = house.now();
        let told = house.state.storage.read(move |conn| storage::access_ends::since(conn, from, 0, 100)).await.unwrap();
        let told: Vec<_> = told.iter().map(|event| storage::access_ends::read(event).unwrap().0).collect();
        assert!(matches!(told.as_slice(), [storage::access_ends::AccessEnd::Session { .. }]), "{kind}: its sockets close: {told:?}");
    }
}

#[actix_web::test]
async fn made_up_refresh_tokens_do_not_go_on_to_the_project_for_long() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let from = |request: TestRequest, address: &str| request.peer_addr(format!("{address}:4711").parse().unwrap());
        let refresh = |refresh_token: &Value| token("refresh_token", json!({ "refresh_token": refresh_token }));
        let mut session = ask!(app, sign_up("ada@example.com", json!({}))).body;
        for _ in 0..40 {
            session = ask!(app, from(refresh(&session["refresh_token"]), "203.0.113.7")).body;
            assert!(session["refresh_token"].is_string(), "{kind}: what goes well is not counted: {session}");
        }
        for n in 0..30 {
            let reply = ask!(app, from(refresh(&json!(format!("made up {n}"))), "203.0.113.7"));
            assert_eq!(reply.body["error_code"], "refresh_token_not_found", "{kind}: {n}");
        }
        hosted.break_down(Part::Auth, Fault::Drop);
        let reply = ask!(app, from(refresh(&json!("made up")), "203.0.113.7"));
        assert_eq!((reply.status.as_u16(), reply.body["error_code"].as_str()), (429, Some("over_request_rate_limit")), "{kind}: not asked");
        assert_eq!(reply.headers.get("retry-after").unwrap(), "2", "{kind}");
        let elsewhere = || from(refresh(&json!("made up")), "203.0.113.8");
        for _ in 0..40 {
            assert_eq!(ask!(app, elsewhere()).status, 503, "{kind}: while the project is down nothing is counted");
        }
        hosted.mend(Part::Auth);
        assert_eq!(ask!(app, from(refresh(&session["refresh_token"]), "203.0.113.8")).status, 200, "{kind}: another address");
    }
}
