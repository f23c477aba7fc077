//! Who is let in: by token, by key, by cookie, and from where.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, ResponseError, dev::Payload, test::TestRequest};
use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::time::Clock;
use futures_util::future::BoxFuture;
use web::access::{Access, KeyIdentity, KeyLookup, hash_key};
use web::caller::{Caller, Credential, MaybeCaller, PageCaller, SESSION_COOKIE};
use web::problem::Problem;
use web::settings::{ServiceName, Settings};
use web::token::{ServiceTokens, Subject, TokenError, Tokens};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const HOSTED: &str = "supabase-supabase-supabase-supabase";

/// Knows `ek_good`.
pub struct OneKey;
impl KeyLookup for OneKey {
    fn find<'a>(&'a self, key_hash: &'a str) -> BoxFuture<'a, Result<Option<KeyIdentity>, Problem>> {
        let identity = KeyIdentity {
            key_id: "key_1".to_owned(),
            role: Role::Analyst,
            tenant: Some("tnt-a".to_owned()),
            rater_id: None,
            scopes: Vec::new(),
        };
        let found = (key_hash == hash_key("ek_good")).then_some(identity);
        Box::pin(async move { Ok(found) })
    }
}

fn clock_at(seconds: i64) -> Clock {
    Clock::from_fn(move || DateTime::<Utc>::from_timestamp(1_800_000_000 + seconds, 0).unwrap())
}

fn access() -> Access {
    let variables = [("ENDCAP_JWT_SECRET", SECRET), ("SUPABASE_JWT_SECRET", HOSTED)];
    Access::new(&Settings::from_variables(variables).unwrap(), ServiceName::RlhfBackend, clock_at(0), Arc::new(OneKey))
}

fn token(secret: &str, issued_at: i64) -> String {
    let subject = Subject {
        account_id: "acc_1".to_owned(),
        email: "rita@example.com".to_owned(),
        role: Role::Rater,
        tenant_id: None,
        rater_id: Some("rtr_1".to_owned()),
        session_id: "ses_1".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    Tokens::new(&secret.to_owned().into(), clock_at(issued_at)).issue_access(&subject, Duration::from_secs(3600)).unwrap().0
}

fn request(method: Method, headers: &[(&str, String)]) -> HttpRequest {
    let start = TestRequest::default().method(method).uri("/dashboard?day=1&x=a%20b").app_data(access());
    headers.iter().fold(start, |request, (name, value)| request.insert_header((*name, value.as_str()))).to_http_request()
}

async fn call(method: Method, headers: &[(&str, String)]) -> Result<Caller, String> {
    Caller::from_request(&request(method, headers), &mut Payload::None).await.map_err(|problem| problem.code().to_owned())
}

#[actix_web::test]
async fn tokens_and_keys_are_told_apart() {
    let bearer = |token: String| [("authorization", format!("Bearer {token}"))];
    let refused = |code: &str| Err(code.to_owned());
    assert_eq!(call(Method::GET, &[]).await, refused("unauthenticated"));
    assert_eq!(call(Method::GET, &bearer(token(SECRET, -3600))).await, refused("token_expired"));
    assert_eq!(call(Method::GET, &bearer(token("another-another-another-another-x", 0))).await, refused("token_invalid"));
    assert_eq!(call(Method::GET, &bearer("a.b.c".to_owned())).await, refused("token_invalid"));
    assert_eq!(call(Method::GET, &[("authorization", "Basic abc".to_owned())]).await, refused("token_invalid"));
    assert_eq!(call(Method::GET, &[("apikey", "ek_bad".to_owned())]).await, refused("key_invalid"));
    let rater = call(Method::POST, &bearer(token(SECRET, 0))).await.unwrap();
    assert_eq!((rater.role, rater.rater_id.as_deref(), rater.credential), (Role::Rater, Some("rtr_1"), Credential::Token));
    assert!(!rater.scope().may_see(Some("tnt-a")));
    assert_eq!(rater.require(Role::may_review).unwrap_err().code(), "forbidden");
    assert_eq!(call(Method::GET, &bearer(token(HOSTED, 0))).await.unwrap().account_id, "acc_1", "the hosted project's tokens are accepted");
    for headers in
        [vec![("apikey", "ek_good".to_owned())], vec![("x-api-key", "ek_good".to_owned())], bearer("ek_good".to_owned()).to_vec()]
    {
        let caller = call(Method::POST, &headers).await.unwrap();
        assert_eq!((caller.credential, caller.scope().tenant()), (Credential::Key, Some("tnt-a")));
    }
}

#[actix_web::test]
async fn unsigned_tokens_are_refused() {
    // {"alg":"none"} with the claims of a good token.
    let good = token(SECRET, 0);
    let claims = good.split('.').nth(1).unwrap();
    let forged = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    assert_eq!(call(Method::GET, &[("authorization", format!("Bearer {forged}"))]).await, Err("token_invalid".to_owned()));
}

#[actix_web::test]
async fn cookies_work_only_from_our_own_pages() {
    let with = |extra: &[(&'static str, &str)]| {
        let mut headers = vec![("cookie", format!("{SESSION_COOKIE}={}", token(SECRET, 0)))];
        headers.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    };
    let refused = || Err("cross_site_request".to_owned());
    assert_eq!(call(Method::GET, &with(&[])).await.unwrap().credential, Credential::Cookie);
    assert_eq!(call(Method::POST, &with(&[])).await, refused());
    assert_eq!(call(Method::POST, &with(&[("origin", "https://evil.example")])).await, refused());
    assert_eq!(call(Method::POST, &with(&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8002")])).await, refused());
    assert_eq!(call(Method::GET, &with(&[("upgrade", "websocket"), ("origin", "https://evil.example")])).await, refused());
    let same_site = ("sec-fetch-site", "same-site");
    assert_eq!(call(Method::POST, &with(&[same_site])).await, refused(), "anybody's page on another port or host of the domain");
    assert_eq!(call(Method::POST, &with(&[same_site, ("origin", "http://localhost:9999")])).await, refused());
    assert_eq!(call(Method::POST, &with(&[same_site, ("origin", "null")])).await, refused());
    for good in [
        vec![("sec-fetch-site", "same-origin")],
        vec![same_site, ("origin", "http://localhost:8002")],
        vec![("origin", "http://localhost:8002")],
    ] {
        assert!(call(Method::POST, &with(&good)).await.is_ok(), "{good:?}");
    }
}

#[actix_web::test]
async fn pages_send_strangers_to_the_login_page_and_back() {
    let refusal = PageCaller::from_request(&request(Method::GET, &[]), &mut Payload::None).await.unwrap_err();
    let response = refusal.error_response();
    assert_eq!(response.status(), 303);
    let address = response.headers().get(header::LOCATION).unwrap().to_str().unwrap();
    assert_eq!(address, "http://localhost:8002/login?return_to=http%3A%2F%2Flocalhost%3A8001%2Fdashboard%3Fday%3D1%26x%3Da%2520b");
    let access = access();
    assert_eq!(access.return_address("http://localhost:8001/dashboard"), "http://localhost:8001/dashboard");
    assert_eq!(access.return_address("/rate"), "/rate");
    for bad in ["https://evil.example/", "//evil.example", "/\\evil.example", "http://localhost:8001.evil.example/", "javascript:alert(1)"]
    {
        assert_eq!(access.return_address(bad), "/", "{bad}");
    }
    let MaybeCaller(nobody) = MaybeCaller::from_request(&request(Method::GET, &[]), &mut Payload::None).await.unwrap();
    assert_eq!(nobody, None);
}

#[test]
fn service_tokens_are_for_one_audience_and_a_minute() {
    let at = |seconds| ServiceTokens::new(&SECRET.to_owned().into(), clock_at(seconds));
    let token = at(0).issue("campaign-runtime", "rlhf-backend", Some("tnt-a"), Some("acc_1")).unwrap();
    let claims = at(59).verify(&token, "rlhf-backend").unwrap();
    assert_eq!((claims.iss.as_str(), claims.tenant_id.as_deref()), ("campaign-runtime", Some("tnt-a")));
    assert_eq!(at(0).verify(&token, "rater-app"), Err(TokenError::Malformed));
    assert_eq!(at(66).verify(&token, "rlhf-backend"), Err(TokenError::Expired));
    let other = ServiceTokens::new(&HOSTED.to_owned().into(), clock_at(0));
    assert_eq!(other.verify(&token, "rlhf-backend"), Err(TokenError::WrongSignature));
    assert_eq!(at(0).verify("", "rlhf-backend"), Err(TokenError::Missing));
}
