//! Accounts and sessions in the shapes of Supabase Auth, and the cookies of our own pages.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::house::{House, Person, as_person, get, post};

const PASSWORD: &str = "correct horse battery";

fn token(grant: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(&format!("/auth/v1/token?grant_type={grant}")).set_json(body)
}

fn sign_up(email: &str, password: &str, data: Value) -> TestRequest {
    TestRequest::post().uri("/auth/v1/signup").set_json(json!({"email": email, "password": password, "data": data}))
}

fn bearer(session: &Value) -> Person {
    Person { token: session["access_token"].as_str().unwrap().to_owned(), rater_id: String::new() }
}

#[actix_web::test]
async fn sign_up_then_sign_in_then_read_and_change_oneself() {
    let house = House::new(&[]);
    let app = app!(house);
    let made = ask!(app, sign_up("Ada@Example.com", PASSWORD, json!({"name": "Ada", "simulated": true})));
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["user"]["email"], "ada@example.com");
    assert_eq!(made.body["user"]["app_metadata"]["role"], "rater");
    assert_eq!((made.body["token_type"].as_str(), made.body["expires_in"].as_u64()), (Some("bearer"), Some(3600)));

    let session = ask!(app, token("password", json!({"email": "ADA@example.com", "password": PASSWORD})));
    assert_eq!(session.status, 200, "{}", session.body);
    let me = bearer(&session.body);
    assert_eq!(ask!(app, get("/auth/v1/user", &me)).body["id"], made.body["user"]["id"]);
    let rater = ask!(app, get("/v1/raters/me", &me));
    assert_eq!((rater.body["name"].as_str(), rater.body["is_simulated"].as_bool()), (Some("Ada"), Some(true)));
    assert_eq!(rater.body["calibration"]["state"], "continue");

    let change =
        as_person(TestRequest::put().uri("/auth/v1/user").set_json(json!({"data": {"name": "Lovelace", "simulated": false}})), &me);
    assert_eq!(ask!(app, change).body["user_metadata"], json!({"name": "Lovelace", "simulated": true}));
    assert_eq!(ask!(app, get("/v1/raters/me", &me)).body["name"], "Lovelace");
}

#[actix_web::test]
async fn refusals_have_the_shape_that_supabase_clients_read() {
    let house = House::new(&[]);
    let app = app!(house);
    ask!(app, sign_up("ada@example.com", PASSWORD, json!({})));
    let again = ask!(app, sign_up("ada@example.com", PASSWORD, json!({})));
    assert_eq!((again.status.as_u16(), again.body["error_code"].as_str()), (422, Some("user_already_exists")));
    let weak = ask!(app, sign_up("bob@example.com", "short", json!({})));
    assert_eq!(
        (weak.status.as_u16(), weak.body["code"].as_u64(), weak.body["error_code"].as_str()),
        (422, Some(422), Some("weak_password"))
    );
    assert_eq!(weak.headers.get("x-sb-error-code").unwrap(), "weak_password");
    assert_eq!(ask!(app, sign_up("no-address", PASSWORD, json!({}))).body["error_code"], "validation_failed");
    assert_eq!(ask!(app, token("magic", json!({}))).status, 400);
    assert_eq!(ask!(app, TestRequest::get().uri("/auth/v1/user")).body["error_code"], "no_authorization");

    let unknown = ask!(app, token("password", json!({"email": "nobody@example.com", "password": PASSWORD})));
    let wrong = ask!(app, token("password", json!({"email": "ada@example.com", "password": "another password"})));
    assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body), "one answer for both");
    assert_eq!(wrong.body["error_code"], "invalid_credentials");
}

#[actix_web::test]
async fn guessing_has_to_wait() {
    let house = House::new(&[]);
    let app = app!(house);
    let guess = || token("password", json!({"email": "ada@example.com", "password": "a wrong password"}));
    for _ in 0..5 {
        assert_eq!(ask!(app, guess()).status, 400);
    }
    let refused = ask!(app, guess());
    assert_eq!((refused.status.as_u16(), refused.body["error_code"].as_str()), (429, Some("over_request_rate_limit")));
    assert_eq!(refused.headers.get("retry-after").unwrap(), "12");
    house.hand.advance(TimeDelta::seconds(12));
    assert_eq!(ask!(app, guess()).status, 400);
    assert_eq!(ask!(app, guess()).status, 429, "one guess in twelve seconds");
}

#[actix_web::test]
async fn closed_sign_up_is_refused() {
    let house = House::new(&[("ENDCAP_SIGNUP", "closed")]);
    let app = app!(house);
    assert_eq!(ask!(app, sign_up("ada@example.com", PASSWORD, json!({}))).body["error_code"], "signup_disabled");
}

#[actix_web::test]
async fn a_refresh_whose_answer_was_lost_may_be_repeated_and_a_copy_ends_the_session() {
    let house = House::new(&[]);
    let app = app!(house);
    let first = ask!(app, sign_up("ada@example.com", PASSWORD, json!({}))).body;
    let refresh = |session: &Value| token("refresh_token", json!({"refresh_token": session["refresh_token"]}));
    ask!(app, refresh(&first));
    house.hand.advance(TimeDelta::minutes(50));
    let second = ask!(app, refresh(&first));
    assert_eq!(second.status, 200, "the answer did not arrive, and nobody has used it: {}", second.body);
    let third = ask!(app, refresh(&second.body));
    assert_eq!(third.status, 200, "{}", third.body);
    house.hand.advance(TimeDelta::seconds(9));
    assert_eq!(ask!(app, refresh(&first)).status, 200, "two tabs at once");
    house.hand.advance(TimeDelta::seconds(1));
    let reused = ask!(app, refresh(&first));
    assert_eq!((reused.status.as_u16(), reused.body["error_code"].as_str()), (400, Some("refresh_token_already_used")));
    assert_eq!(ask!(app, refresh(&third.body)).body["error_code"], "refresh_token_not_found", "the whole session is revoked");
}

#[actix_web::test]
async fn an_expired_token_is_named_and_logout_ends_the_refresh_token() {
    let house = House::new(&[]);
    let app = app!(house);
    let session = ask!(app, sign_up("ada@example.com", PASSWORD, json!({}))).body;
    let me = bearer(&session);
    assert_eq!(ask!(app, post("/auth/v1/logout", &me, json!({}))).status, 204);
    let refresh = token("refresh_token", json!({"refresh_token": session["refresh_token"]}));
    assert_eq!(ask!(app, refresh).body["error_code"], "refresh_token_not_found");
    house.hand.advance(TimeDelta::seconds(3601));
    let late = ask!(app, get("/v1/raters/me", &me));
    assert_eq!((late.status.as_u16(), late.code()), (401, "token_expired"));
    assert_eq!(ask!(app, get("/auth/v1/user", &me)).body["error_code"], "bad_jwt");
}

#[actix_web::test]
async fn pages_sign_in_by_cookies_that_no_script_reads() {
    let house = House::new(&[]);
    let app = app!(house);
    ask!(app, sign_up("ada@example.com", PASSWORD, json!({})));
    let form = |password: &str, return_to: &str| {
        TestRequest::post().uri("/session").set_form([("email", "ada@example.com"), ("password", password), ("return_to", return_to)])
    };
    let signed_in = ask!(app, form(PASSWORD, "/rate"));
    assert_eq!((signed_in.status.as_u16(), signed_in.headers.get("location").unwrap().to_str().unwrap()), (303, "/rate"));
    let cookies: Vec<String> = signed_in.headers.get_all("set-cookie").map(|value| value.to_str().unwrap().to_owned()).collect();
    assert!(
        cookies.iter().any(|c| c.starts_with("endcap_session=") && c.contains("HttpOnly") && c.contains("SameSite=Lax")),
        "{cookies:?}"
    );
    assert!(
        cookies.iter().any(|c| c.starts_with("endcap_refresh=") && c.contains("HttpOnly") && c.contains("Path=/session")),
        "{cookies:?}"
    );
    let elsewhere = ask!(app, form(PASSWORD, "https://evil.example/"));
    assert_eq!(elsewhere.headers.get("location").unwrap(), "/", "nobody is sent to another site");
    let wrong = ask!(app, form("a wrong password", "/rate"));
    assert_eq!(wrong.headers.get("location").unwrap(), "/login?error=invalid_credentials&return_to=%2Frate");

    let refresh = cookies.iter().find_map(|c| c.strip_prefix("endcap_refresh=")?.split(';').next()).unwrap().to_owned();
    let with_cookie = |request: TestRequest| request.insert_header(("cookie", format!("endcap_refresh={refresh}")));
    let foreign = with_cookie(TestRequest::post().uri("/session/refresh")).insert_header(("origin", "https://evil.example"));
    assert_eq!(ask!(app, foreign).status, 403);
    assert_eq!(ask!(app, with_cookie(TestRequest::delete().uri("/session"))).status, 204);
    assert_eq!(ask!(app, with_cookie(TestRequest::post().uri("/session/refresh"))).status, 400, "the session is over");
}
