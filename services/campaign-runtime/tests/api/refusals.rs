//! What must be refused when it is sent, because it could not be mended afterwards: keys that outlive their maker, observations that no
//! reading could use, comparisons that tell what is hidden. And what must not be refused: a plan, because of another campaign's size.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::{OTHER, bench_on, call};

fn field(answer: &Value) -> Option<&str> {
    answer["errors"][0]["field"].as_str()
}

#[actix_web::test]
async fn a_key_made_by_a_key_ends_with_it() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let ask = async |key: &str, expires_at: Value| {
            let body = json!({"name": "k", "role": "tenant_admin", "expires_at": expires_at});
            call(&app, key, "POST", "/v1/api-keys", Some(body)).await
        };
        let (_, short) = ask(OTHER, json!("2026-01-15T12:10:00Z")).await;
        let short = short["key"].as_str().unwrap();
        let (status, made) = ask(short, Value::Null).await;
        assert_eq!((status, made["expires_at"].as_str()), (StatusCode::CREATED, Some("2026-01-15T12:10:00Z")), "{made}");
        let child = made["key"].as_str().unwrap();
        for key in [short, child] {
            let (status, late) = ask(key, json!("2026-01-15T12:10:01Z")).await;
            assert_eq!((status, field(&late)), (StatusCode::UNPROCESSABLE_ENTITY, Some("expires_at")), "{late}");
            assert!(late["errors"][0]["message"].as_str().unwrap().contains("2026-01-15T12:10:00Z"), "{late}");
            assert_eq!(ask(key, json!("2026-01-15T12:10:00Z")).await.0, StatusCode::CREATED, "as long as its maker");
        }
        assert_eq!(ask(OTHER, Value::Null).await.1["expires_at"], Value::Null, "a key without an end gives keys without one");
        bench.hand.advance(chrono::TimeDelta::minutes(10));
        assert_eq!(call(&app, child, "GET", "/v1/campaigns", None).await.0, StatusCode::UNAUTHORIZED);
    }
}
