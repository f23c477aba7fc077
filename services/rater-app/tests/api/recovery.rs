//! New passwords by mail, where people sign in at a hosted project: who gets a mail, where its link leads, and what nobody learns from asking.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use storage::accounts::{self, NewAccount};
use storage::raters::{self, NewRater};
use supabase::auth::admin::Arrival;
use testkit::http::Client;
use testkit::supabase::{Fault, Part, Project, SERVICE_KEY};

use crate::hosted_sign_in::{PASSWORD, bearer, forget, houses, sign_up, token};
use crate::house::{House, as_person, get};

const OLD: &str = "the password from before";
const OUR_PAGE: &str = "http://localhost:8002/new-password";

fn recover(email: &str) -> TestRequest {
    // With what supabase-js sends beside it.
    let body = json!({"email": email, "code_challenge": null, "code_challenge_method": null, "gotrue_meta_security": {}});
    TestRequest::post().uri("/auth/v1/recover").set_json(body)
}

fn from(request: TestRequest, address: &str) -> TestRequest {
    request.peer_addr(format!("{address}:4711").parse().unwrap())
}

fn sign_in(email: &str, password: &str) -> TestRequest {
    token("password", json!({"email": email, "password": password}))
}

/// Asks all at once, and reads status and body of each answer.
macro_rules! together {
    ($app:expr, $requests:expr) => {{
        let app = &$app;
        let answers = $requests.into_iter().map(|request: TestRequest| async move {
            let reply = ask!(*app, request);
            (reply.status.as_u16(), reply.body)
        });
        join_all(answers).await
    }};
}

/// A rater with a password of this installation.
async fn add_account(house: &House, email: &str) -> (String, String) {
    let (email, now, hash) = (email.to_owned(), house.now(), web::password::hash(OLD).unwrap());
    let add = move |tx: &mut storage::connection::Connection| {
        let rater = NewRater { name: email.clone(), email: Some(email.clone()), is_simulated: false, is_calibrated: true };
        let rater_id = raters::insert(tx, &rater, now)?.rater_id;
        let account = NewAccount {
            email: email.clone(),
            password_hash: Some(hash.clone()),
            role: "rater".to_owned(),
            tenant_id: None,
            rater_id: Some(rater_id.clone()),
            display_name: email.clone(),
            user_metadata: json!({}),
        };
        Ok((accounts::insert(tx, &account, now)?.account_id, rater_id))
    };
    house.state.storage.transaction(add).await.unwrap()
}

/// What `endcap supabase sync` does of an account: a user without a password, linked.
async fn bring(house: &House, hosted: &Project, email: &str) -> String {
    let (account_id, rater_id) = add_account(house, email).await;
    let service = supabase::project::Project::for_service(&hosted.url, SERVICE_KEY.into()).unwrap();
    let known = json!({"account_id": account_id, "rater_id": rater_id, "role": "rater"});
    let user = service.bring_user(email, Arrival::Created, known.as_object().unwrap(), &Map::new()).await.unwrap();
    let now = house.now();
    house.state.storage.transaction(move |tx| accounts::link_auth_user(tx, &account_id, &user.id, now)).await.unwrap();
    rater_id
}

/// Opens the link of the last mail: the page it leads to, and what stands behind the `#`.
async fn follow(hosted: &Project) -> (String, Map<String, Value>) {
    let link = hosted.held().mails.last().unwrap().link.clone();
    let (address, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let answer = Client::new(address.parse().unwrap()).send("GET", &format!("/{path}"), &[], None).await.unwrap();
    let (page, said) = answer.header("location").unwrap().split_once('#').unwrap();
    let said = form_urlencoded::parse(said.as_bytes()).map(|(name, value)| (name.into_owned(), json!(value)));
    (page.to_owned(), said.collect())
}

fn set_password(session: &Value, password: &str) -> TestRequest {
    as_person(TestRequest::put().uri("/auth/v1/user").set_json(json!({"password": password})), &bearer(session))
}

#[actix_web::test]
async fn somebody_who_was_brought_without_a_password_sets_one_and_signs_in() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        forget(&hosted);
        let (app, kind) = (app!(house), house.kind());
        let rater_id = bring(&house, &hosted, "ada@example.com").await;
        assert_eq!(ask!(app, sign_in("ada@example.com", OLD)).body["error_code"], "invalid_credentials", "{kind}: the old one stays here");
        let asked = ask!(app, recover(" Ada@Example.com"));
        assert_eq!((asked.status.as_u16(), &asked.body), (200, &json!({})), "{kind}");
        assert_eq!(hosted.held().mails.last().unwrap().to, "ada@example.com", "{kind}");

        let (page, said) = follow(&hosted).await;
        assert_eq!((page.as_str(), said["type"].as_str()), (OUR_PAGE, Some("recovery")), "{kind}");
        let session = Value::Object(said);
        let weak = ask!(app, set_password(&session, "password123"));
        assert_eq!((weak.status.as_u16(), weak.body["error_code"].as_str()), (422, Some("weak_password")), "{kind}: {}", weak.body);
        let set = ask!(app, set_password(&session, PASSWORD));
        assert_eq!((set.status.as_u16(), set.body["email"].as_str()), (200, Some("ada@example.com")), "{kind}: {}", set.body);
        assert_eq!(ask!(app, set_password(&session, PASSWORD)).body["error_code"], "same_password", "{kind}");

        let signed_in = ask!(app, sign_in("ada@example.com", PASSWORD));
        assert_eq!(signed_in.status, 200, "{kind}: {}", signed_in.body);
        let me = ask!(app, get("/v1/raters/me", &bearer(&signed_in.body)));
        assert_eq!(me.body["rater_id"], rater_id, "{kind}: the account that was brought");
        assert_eq!(follow(&hosted).await.1["error_code"], "otp_expired", "{kind}: a link works once");
    }
}

#[actix_web::test]
async fn nobody_learns_from_asking_who_has_an_account() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    bring(&house, &hosted, "brought@example.com").await;
    ask!(app, sign_up("member@example.com", json!({})));
    add_account(&house, "local@example.com").await;
    // A user of the project with the address of somebody who signs in here.
    let direct = supabase::project::Project::from_settings(&hosted.url, "sb_publishable_x".into(), None, None).unwrap();
    direct.sign_up("local@example.com", &PASSWORD.into(), &Map::new()).await.unwrap();
    let everybody = || ["brought", "member", "local", "nobody"].map(|name| recover(&format!("{name}@example.com")));

    assert_eq!(together!(app, everybody()), vec![(200, json!({})); 4]);
    let mut to: Vec<String> = hosted.held().mails.iter().map(|mail| mail.to.clone()).collect();
    to.sort();
    assert_eq!(to, ["brought@example.com", "member@example.com"]);
    let asked: Vec<String> =
        hosted.held().requests.iter().filter(|one| one.path == "/auth/v1/recover").map(|one| one.json()["email"].to_string()).collect();
    assert!(!asked.iter().any(|email| email.contains("local")), "accounts of this installation never leave it: {asked:?}");
    assert_eq!(ask!(app, sign_in("local@example.com", OLD)).status, 200);

    hosted.held().mails_are_too_many = true;
    assert_eq!(together!(app, everybody()), vec![(200, json!({})); 4], "what the project says of an address stays with us");
    for fault in [Fault::Drop, Fault::Status(500), Fault::Malformed, Fault::ExpiredKey] {
        hosted.break_down(Part::Auth, fault);
        let answers = together!(app, everybody());
        assert!(answers.iter().all(|(status, body)| *status == 503 && body["error_code"] == "auth_unavailable"), "{fault:?}: {answers:?}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{fault:?}: {answers:?}");
    }
    hosted.mend(Part::Auth);
    assert_eq!(together!(app, everybody()), vec![(200, json!({})); 4], "what did not reach the project was not counted");
    for wrong in [json!({"email": "no address"}), json!({"email": 7}), json!({})] {
        let refused = ask!(app, TestRequest::post().uri("/auth/v1/recover").set_json(&wrong));
        assert_eq!((refused.status.as_u16(), refused.body["error_code"].as_str()), (422, Some("validation_failed")), "{wrong}");
    }
}

#[actix_web::test]
async fn mails_are_bounded_for_an_address_and_for_a_network_address() {
    let hosted = Project::start();
    for house in houses(&hosted) {
        let (app, kind) = (app!(house), house.kind());
        let statuses = |answers: Vec<(u16, Value)>| {
            let mut all: Vec<u16> = answers.into_iter().map(|(status, _)| status).collect();
            all.sort_unstable();
            all
        };
        let four = (0..4).map(|n| from(recover("ada@example.com"), &format!("203.0.113.{n}")));
        assert_eq!(statuses(together!(app, four)), [200, 200, 200, 429], "{kind}: whoever asks, and whether there is an account or not");
        let refused = ask!(app, from(recover("ADA@example.com"), "203.0.113.9"));
        assert_eq!(
            (refused.status.as_u16(), refused.body["error_code"].as_str(), refused.headers.get("retry-after").unwrap().to_str().unwrap()),
            (429, Some("over_request_rate_limit"), "1200"),
            "{kind}"
        );
        let many = (0..31).map(|n| from(recover(&format!("r{n}@example.com")), "198.51.100.7"));
        let answers = statuses(together!(app, many));
        assert_eq!((answers[29], answers[30]), (200, 429), "{kind}");
        let form = TestRequest::post().uri("/forgotten-password").set_form([("email", "bob@example.com")]);
        assert_eq!(ask!(app, from(form, "198.51.100.7")).status, 429, "{kind}: the page as well");
        assert_eq!(ask!(app, from(recover("bob@example.com"), "198.51.100.8")).status, 200, "{kind}: another network");
        house.hand.advance(TimeDelta::seconds(1_200));
        assert_eq!(ask!(app, from(recover("ada@example.com"), "203.0.113.9")).status, 200, "{kind}");
    }
}

#[actix_web::test]
async fn links_lead_to_our_own_pages_only() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    ask!(app, sign_up("ada@example.com", json!({})));
    for (n, (wanted, leads_to)) in [
        ("", OUR_PAGE),
        ("?redirect_to=http%3A%2F%2Flocalhost%3A8002%2Fnew-password%3Ffrom%3Dapp", "http://localhost:8002/new-password?from=app"),
        ("?redirect_to=https%3A%2F%2Fevil.example%2Fnew-password", OUR_PAGE),
        ("?redirect_to=http%3A%2F%2Flocalhost%3A8002.evil.example%2F", OUR_PAGE),
    ]
    .into_iter()
    .enumerate()
    {
        let request = recover("ada@example.com").uri(&format!("/auth/v1/recover{wanted}"));
        assert_eq!(ask!(app, from(request, &format!("203.0.113.{n}"))).status, 200, "{wanted}");
        assert_eq!(follow(&hosted).await.0, leads_to, "{wanted}");
        house.hand.advance(TimeDelta::hours(1));
    }
}

/// The text of a page, and where it sends on.
macro_rules! page {
    ($app:expr, $request:expr) => {{
        let response = actix_web::test::call_service(&$app, $request.to_request()).await;
        let to = response.headers().get("location").map_or_else(String::new, |to| to.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, to, String::from_utf8(actix_web::test::read_body(response).await.to_vec()).unwrap())
    }};
}

#[actix_web::test]
async fn pages_say_the_same_to_everybody_and_are_there_with_a_project_only() {
    let hosted = Project::start();
    let house = houses(&hosted).remove(0);
    let app = app!(house);
    ask!(app, sign_up("ada@example.com", json!({})));
    let form = |email: &str| TestRequest::post().uri("/forgotten-password").set_form([("email", email)]);
    let open = |path: &str| TestRequest::get().uri(path);
    assert!(page!(app, open("/login")).2.contains(r#"href="/forgotten-password""#));
    assert!(page!(app, open("/forgotten-password")).2.contains("Send the mail"));
    for email in ["ada@example.com", "nobody@example.com"] {
        let (status, to, _) = page!(app, form(email));
        assert_eq!((status, to.as_str()), (303, "/forgotten-password?asked"), "{email}");
    }
    assert!(page!(app, open("/forgotten-password?asked")).2.contains("If there is an account with that address, a mail"));
    assert_eq!(hosted.held().mails.len(), 1);

    let (status, _, text) = page!(app, form("<b>ada"));
    assert!(status == 422 && text.contains("That is no e-mail address") && text.contains("&#60;b&#62;ada"), "{status} {text}");
    let foreign = form("ada@example.com").insert_header(("origin", "https://evil.example"));
    assert_eq!(page!(app, foreign).0, 403);
    hosted.break_down(Part::Auth, Fault::Drop);
    let (status, _, text) = page!(app, form("ada@example.com"));
    assert!(status == 503 && text.contains("does not answer") && text.contains("ada@example.com"), "{status} {text}");
    let (_, _, text) = page!(app, open("/new-password"));
    assert!(text.contains("allow scripts for this site") && text.contains("/static/new-password.js?v="), "{text}");
    assert!(page!(app, open("/login?done=new-password")).2.contains("Your new password is set"));

    let without = House::new(&[]);
    let app = app!(without);
    assert!(!page!(app, open("/login")).2.contains("forgotten-password"));
    for request in [open("/forgotten-password"), open("/new-password"), form("ada@example.com")] {
        assert_eq!(page!(app, request).0, 404);
    }
}
