//! Resources: bad bodies are named, other tenants see nothing, campaigns move as the rules say.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::{GROCER, OTHER, PLATFORM, bench, call, send};

#[actix_web::test]
async fn bad_bodies_are_refused_by_field() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let cases = [
        ("/v1/campaigns", json!({"retailer_id": "rtl-grocer-cj", "name": "A", "colour": 1}), "colour"),
        ("/v1/campaigns", json!({"retailer_id": "rtl-grocer-cj", "name": " "}), "name"),
        ("/v1/campaigns", json!({"retailer_id": "rtl-none", "name": "A"}), "retailer_id"),
        ("/v1/campaigns", json!({"retailer_id": "rtl-grocer-cj", "name": "A", "total_budget": "12"}), "currency"),
        (
            "/v1/campaigns",
            json!({"retailer_id": "rtl-grocer-cj", "name": "A", "start_date": "2026-02-02", "end_date": "2026-02-01"}),
            "end_date",
        ),
        ("/v1/brands", json!({"name": "B", "tenant_id": "tnt-somebody"}), "tenant_id"),
        ("/v1/skus", json!({"retailer_id": "rtl-grocer-cj", "name": "S", "brand_id": "brd-m2-national"}), "brand_id"),
        ("/v1/campaigns/cmp-mailer/performance", json!({"rows": []}), "rows"),
        ("/v1/campaigns/cmp-mailer/performance", json!({"rows": [{"date": "2017-01-01", "clicks": -1}]}), "rows[0].clicks"),
        ("/v1/reflection-logs", json!({"session_id": "s", "task_type": "t", "phase": "sleep", "decision_rationale": "x"}), "phase"),
    ];
    for (path, body, field) in cases {
        let (status, answer) = call(&app, GROCER, "POST", path, Some(body)).await;
        assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(field)), "{path}: {answer}");
    }
    let (status, _) = call(&app, GROCER, "POST", "/v1/retailers", Some(json!({"name": "R"}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = call(&app, "ek_nobody", "GET", "/v1/campaigns", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn another_tenants_things_are_not_there() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let paths = [
        ("GET", "/v1/campaigns/cmp-mailer", None),
        ("PATCH", "/v1/campaigns/cmp-mailer", Some(json!({"name": "mine"}))),
        ("DELETE", "/v1/campaigns/cmp-mailer", None),
        ("POST", "/v1/campaigns/cmp-mailer/transitions", Some(json!({"to": "archived"}))),
        ("GET", "/v1/campaigns/cmp-mailer/pacing", None),
        ("GET", "/v1/campaigns/cmp-mailer/plans", None),
        ("POST", "/v1/campaigns/cmp-mailer/plans", Some(json!({"total_budget": "10"}))),
        ("POST", "/v1/campaigns/cmp-mailer/performance", Some(json!({"rows": [{"date": "2017-01-01"}]}))),
        ("GET", "/v1/brands/brd-m69-private", None),
        ("GET", "/v1/skus/cj-829123", None),
    ];
    for (method, path, body) in paths {
        let (status, answer) = call(&app, OTHER, method, path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
    }
    let (_, all) = call(&app, OTHER, "GET", "/v1/campaigns", None).await;
    assert_eq!(all["data"], json!([]));
}

#[actix_web::test]
async fn resources_are_written_read_changed_and_put_away() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let body = json!({"sku_id": "s1", "retailer_id": "rtl-grocer-cj", "name": "Soap", "brand_id": "brd-m2-national", "price": {"amount": "2.5", "currency": "USD"}});
    let (status, sku) = call(&app, OTHER, "POST", "/v1/skus", Some(body.clone())).await;
    assert_eq!((status, &sku["price"]), (StatusCode::CREATED, &json!({"amount": "2.500000", "currency": "USD"})), "{sku}");
    let (status, again) = call(&app, OTHER, "POST", "/v1/skus", Some(body)).await;
    assert_eq!((status, again["code"].as_str()), (StatusCode::CONFLICT, Some("already_exists")));
    let (_, sku) = call(&app, OTHER, "PATCH", "/v1/skus/s1", Some(json!({"price": null, "category": "CARE"}))).await;
    assert_eq!((&sku["price"], sku["category"].as_str(), sku["name"].as_str()), (&json!(null), Some("CARE"), Some("Soap")));
    let (status, _) = call(&app, OTHER, "DELETE", "/v1/skus/s1", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, OTHER, "GET", "/v1/skus/s1", None).await.0, StatusCode::NOT_FOUND);
    let (_, page) = call(&app, PLATFORM, "GET", "/v1/brands?limit=10", None).await;
    let path = format!("/v1/brands?limit=500&cursor={}", page["next_cursor"].as_str().unwrap());
    let (_, rest) = call(&app, PLATFORM, "GET", &path, None).await;
    assert_eq!((page["data"].as_array().unwrap().len(), rest["data"].as_array().unwrap().len()), (10, 14));
}

#[actix_web::test]
async fn an_api_key_is_shown_once_and_stops_when_revoked() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let (status, made) = call(&app, OTHER, "POST", "/v1/api-keys", Some(json!({"name": "robot", "role": "analyst"}))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("ek_") && key.len() > 60);
    assert_eq!(call(&app, &key, "GET", "/v1/brands/brd-m2-national", None).await.0, StatusCode::OK);
    let (_, listed) = call(&app, OTHER, "GET", "/v1/api-keys", None).await;
    assert!(!listed.to_string().contains(&key));
    let path = format!("/v1/api-keys/{}", made["key_id"].as_str().unwrap());
    assert_eq!(call(&app, OTHER, "DELETE", &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, &key, "GET", "/v1/brands", None).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = call(&app, OTHER, "POST", "/v1/api-keys", Some(json!({"name": "x", "role": "platform_admin"}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[actix_web::test]
async fn a_campaign_moves_only_as_the_rules_say() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let body = json!({"campaign_id": "c1", "retailer_id": "rtl-grocer-cj", "name": "Spring"});
    let (status, campaign) = call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await;
    assert_eq!((status, campaign["status"].as_str()), (StatusCode::CREATED, Some("draft")), "{campaign}");
    let to = |state: &str| Some(json!({"to": state}));
    let (status, refused) = call(&app, GROCER, "POST", "/v1/campaigns/c1/transitions", to("active")).await;
    assert_eq!((status, &refused["allowed"]), (StatusCode::CONFLICT, &json!(["scheduled", "archived"])));
    let (status, missing) = call(&app, GROCER, "POST", "/v1/campaigns/c1/transitions", to("scheduled")).await;
    let fields: Vec<&str> = missing["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!((status, fields), (StatusCode::UNPROCESSABLE_ENTITY, vec!["start_date", "end_date", "total_budget", "target_skus"]));
    let change = json!({"start_date": "2026-02-01", "end_date": "2026-02-28", "total_budget": {"amount": "100", "currency": "USD"}, "target_skus": ["cj-829123"]});
    let (_, changed) = call(&app, GROCER, "PATCH", "/v1/campaigns/c1", Some(change)).await;
    assert_eq!(changed["version"], 2, "{changed}");
    let (status, moved) = call(&app, GROCER, "POST", "/v1/campaigns/c1/transitions", to("scheduled")).await;
    assert_eq!((status, moved["status"].as_str(), moved["version"].as_i64()), (StatusCode::OK, Some("scheduled"), Some(3)));
    let stale = TestRequest::patch().uri("/v1/campaigns/c1").insert_header(("apikey", GROCER)).insert_header(("If-Match", "\"1\""));
    assert_eq!(send(&app, stale.set_json(json!({"name": "x"}))).await.0, StatusCode::PRECONDITION_FAILED);
}
