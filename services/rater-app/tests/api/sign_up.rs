//! Signing up: bounded, and where an administrator confirms accounts nobody learns who has one. Signing in is bounded over all processes.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use rater_app::state::State;
use serde_json::{Value, json};

use crate::house::{House, Reply, as_person, get};
use crate::replicas::replica;

const PASSWORD: &str = "correct horse battery";

/// What `app!` takes of another process.
struct Other {
    state: State,
}

fn from(request: TestRequest, address: &str) -> TestRequest {
    request.peer_addr(format!("{address}:4711").parse().unwrap())
}

fn sign_up(email: &str) -> TestRequest {
    TestRequest::post().uri("/auth/v1/signup").set_json(json!({"email": email, "password": PASSWORD, "data": {"name": "Ada"}}))
}

fn sign_in(email: &str, password: &str) -> TestRequest {
    TestRequest::post().uri("/auth/v1/token?grant_type=password").set_json(json!({"email": email, "password": password}))
}

fn said(reply: &Reply) -> (u16, &str, &str) {
    let header = reply.headers.get("retry-after").map_or("", |value| value.to_str().unwrap());
    (reply.status.as_u16(), reply.body["error_code"].as_str().unwrap_or(""), header)
}

#[actix_web::test]
async fn sign_ups_are_bounded_for_an_address_and_in_all() {
    for house in House::everywhere(&[
        ("ENDCAP_SIGNUPS_PER_ADDRESS", "2"),
        ("ENDCAP_SIGNUPS_PER_HOUR", "3"),
        ("ENDCAP_TRUSTED_PROXIES", "10.0.0.0/8"),
    ]) {
        let (app, kind) = (app!(house), house.kind());
        assert_eq!(ask!(app, from(sign_up("a@example.com"), "203.0.113.7")).status, 200, "{kind}");
        // Behind the proxy it is the same one; what it writes itself changes nothing.
        let forwarded = from(sign_up("b@example.com"), "10.0.0.1").insert_header(("x-forwarded-for", "198.51.100.1, 203.0.113.7"));
        assert_eq!(ask!(app, forwarded).status, 200, "{kind}");
        let forged = || from(sign_up("c@example.com"), "203.0.113.7").insert_header(("x-forwarded-for", "198.51.100.1"));
        assert_eq!(said(&ask!(app, forged())), (429, "over_request_rate_limit", "1800"), "{kind}");
        assert_eq!(ask!(app, from(sign_up("d@example.com"), "203.0.113.8")).status, 200, "{kind}: another address");
        assert_eq!(
            said(&ask!(app, from(sign_up("e@example.com"), "203.0.113.9"))),
            (429, "over_request_rate_limit", "1200"),
            "{kind}: all together"
        );
        let form = TestRequest::post().uri("/login/create").set_form([("email", "f@example.com"), ("password", PASSWORD)]);
        assert_eq!(ask!(app, from(form, "203.0.113.9")).status, 429, "{kind}: the page as well");
        house.hand.advance(TimeDelta::seconds(1_800));
        assert_eq!(ask!(app, forged()).status, 200, "{kind}");
    }
}

#[actix_web::test]
async fn guesses_are_counted_over_all_processes_and_a_success_takes_them_back() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let (state, _stopping) = replica(&house, "1000");
        let other = Other { state };
        let other = app!(other);
        assert_eq!(ask!(app, sign_up("ada@example.com")).status, 200, "{kind}");
        for n in 0..4 {
            let guess = sign_in("ada@example.com", "a wrong password");
            let reply = if n % 2 == 0 { ask!(app, guess) } else { ask!(other, guess) };
            assert_eq!(said(&reply).1, "invalid_credentials", "{kind}");
        }
        assert_eq!(ask!(other, sign_in("ada@example.com", PASSWORD)).status, 200, "{kind}");
        for _ in 0..5 {
            assert_eq!(said(&ask!(app, sign_in("ada@example.com", "a wrong password"))).1, "invalid_credentials", "{kind}: counted anew");
        }
        for reply in [ask!(app, sign_in("ada@example.com", PASSWORD)), ask!(other, sign_in("ada@example.com", PASSWORD))] {
            assert_eq!(said(&reply), (429, "over_request_rate_limit", "12"), "{kind}");
        }
        house.hand.advance(TimeDelta::seconds(12));
        assert_eq!(ask!(other, sign_in("ada@example.com", PASSWORD)).status, 200, "{kind}");
    }
}

/// The shape of an answer: its keys, and what is the same for everybody.
fn shape(reply: &Reply) -> Value {
    let mut body = reply.body.clone();
    for name in ["id", "created_at", "updated_at"] {
        assert!(body[name].is_string(), "{body}");
        body[name] = Value::Null;
    }
    let identity = &mut body["identities"][0];
    for name in ["id", "identity_id", "user_id", "created_at", "updated_at"] {
        identity[name] = Value::Null;
    }
    identity["identity_data"]["sub"] = Value::Null;
    json!({"status": reply.status.as_u16(), "body": body})
}

#[actix_web::test]
async fn where_accounts_are_confirmed_nobody_learns_who_has_one() {
    for house in House::everywhere(&[("ENDCAP_SIGNUP", "approval")]) {
        let (app, kind) = (app!(house), house.kind());
        let first = ask!(app, sign_up("ada@example.com"));
        assert_eq!(
            (first.status.as_u16(), first.body.get("access_token"), &first.body["email_confirmed_at"]),
            (200, None, &Value::Null),
            "{kind}"
        );
        let again = ask!(app, sign_up("ada@example.com"));
        assert_eq!(shape(&again), shape(&first), "{kind}: one that waits");
        assert_ne!(again.body["id"], first.body["id"], "{kind}: nor does the id tell");

        let early = ask!(app, sign_in("ada@example.com", PASSWORD));
        let unknown = ask!(app, sign_in("nobody@example.com", PASSWORD));
        assert_eq!((early.status, &early.body), (unknown.status, &unknown.body), "{kind}");
        assert!(early.body["msg"].as_str().unwrap().contains("has not confirmed"), "{kind}: {}", early.body);

        let admin = house.admin();
        let page = actix_web::test::call_and_read_body(&app, get("/accounts", &admin).to_request()).await;
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("ada@example.com") && page.contains("Decide"), "{kind}");
        let one = format!("/accounts/{}", first.body["id"].as_str().unwrap());
        let page = actix_web::test::call_and_read_body(&app, get(&one, &admin).to_request()).await;
        assert!(String::from_utf8_lossy(&page).contains("Refuse and delete"), "{kind}");
        let found = actix_web::test::call_and_read_body(&app, get("/accounts?q=EXAMPLE.com", &admin).to_request()).await;
        assert!(String::from_utf8_lossy(&found).contains("ada@example.com"), "{kind}");
        let found = actix_web::test::call_and_read_body(&app, get("/accounts?q=%25x", &admin).to_request()).await;
        assert!(!String::from_utf8_lossy(&found).contains("ada@example.com"), "{kind}: a wildcard is a sign like others");
        let rater = house.person("rita", domain::role::Role::Rater, true).await;
        assert_eq!(ask!(app, get("/accounts", &rater)).status, 403, "{kind}");
        let path = format!("/accounts/{}/confirm", first.body["id"].as_str().unwrap());
        assert_eq!(ask!(app, as_person(TestRequest::post().uri(&path), &rater)).status, 403, "{kind}");
        let signed_out = ask!(app, TestRequest::post().uri(&path));
        assert_eq!(signed_out.headers.get("location").unwrap(), &format!("/login?return_to={}", one.replace('/', "%2F")), "{kind}");
        let confirmed = format!("confirmed&account={}", first.body["id"].as_str().unwrap());
        for (path, done) in [(path.as_str(), confirmed.as_str()), (path.as_str(), "gone"), ("/accounts/acc_unknown/refuse", "gone")] {
            let reply = ask!(app, as_person(TestRequest::post().uri(path), &admin));
            assert_eq!(
                reply.headers.get("location").unwrap().to_str().unwrap(),
                format!("/accounts?done={done}"),
                "{kind}: {}",
                reply.body
            );
        }
        let told = actix_web::test::call_and_read_body(&app, get(&format!("/accounts?done={confirmed}"), &admin).to_request()).await;
        assert!(String::from_utf8_lossy(&told).contains("ada@example.com is confirmed"), "{kind}");
        assert_eq!(ask!(app, get(&one, &admin)).headers.get("location").unwrap(), "/accounts?done=gone", "{kind}");
        let id = first.body["id"].as_str().unwrap();
        assert_eq!(house.audited().await.last().unwrap(), &format!("acc_admin account.confirmed account:{id}"), "{kind}");

        let session = ask!(app, sign_in("ada@example.com", PASSWORD));
        assert_eq!(session.status, 200, "{kind}: {}", session.body);
        assert!(session.body["user"]["app_metadata"]["rater_id"].is_string(), "{kind}: a rater from now on");
        assert_eq!(shape(&ask!(app, sign_up("ada@example.com"))), shape(&first), "{kind}: one that works");

        let second = ask!(app, sign_up("bob@example.com"));
        let path = format!("/accounts/{}/refuse", second.body["id"].as_str().unwrap());
        assert_eq!(ask!(app, as_person(TestRequest::post().uri(&path), &admin)).status, 303, "{kind}");
        assert_eq!(ask!(app, sign_in("bob@example.com", PASSWORD)).status, 400, "{kind}");
        let form = TestRequest::post().uri("/login/create").set_form([("email", "eve@example.com"), ("password", PASSWORD)]);
        assert_eq!(ask!(app, form).headers.get("location").unwrap(), "/login?error=awaits_approval", "{kind}");
    }
}

#[actix_web::test]
async fn what_supabase_auth_has_and_we_have_not_is_said_in_its_shape() {
    let house = House::new(&[]);
    let app = app!(house);
    for (method, path, status, code) in [
        ("POST", "/auth/v1/recover", 422, "otp_disabled"),
        ("POST", "/auth/v1/otp", 422, "otp_disabled"),
        ("POST", "/auth/v1/verify", 422, "otp_disabled"),
        ("GET", "/auth/v1/authorize?provider=github", 422, "provider_disabled"),
        ("POST", "/auth/v1/sso", 422, "saml_provider_disabled"),
        ("POST", "/auth/v1/factors", 422, "mfa_totp_enroll_not_enabled"),
        ("GET", "/auth/v1/admin/users", 403, "not_admin"),
        ("GET", "/auth/v1/nothing", 404, "not_found"),
    ] {
        let reply = ask!(app, TestRequest::with_uri(path).method(method.parse().unwrap()).set_json(json!({})));
        assert_eq!(
            (reply.status.as_u16(), reply.body["code"].as_u64(), reply.body["error_code"].as_str()),
            (status, Some(status.into()), Some(code)),
            "{path}"
        );
        assert!(!reply.body["msg"].as_str().unwrap().is_empty() && reply.headers.get("x-sb-error-code").unwrap() == code, "{path}");
    }
    let wrong_method = ask!(app, TestRequest::get().uri("/auth/v1/token"));
    assert_eq!((wrong_method.status.as_u16(), wrong_method.headers.get("allow").unwrap().to_str().unwrap()), (405, "POST"));
    let anonymous = ask!(app, TestRequest::post().uri("/auth/v1/signup").set_json(json!({"data": {}, "gotrue_meta_security": {}})));
    assert_eq!(said(&anonymous), (422, "anonymous_provider_disabled", ""));
}
