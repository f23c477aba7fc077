//! Answers that programs rely on: tags of what was made, 404 for what is not there, refusals that name the rows.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::life::{made, ready};
use crate::{GROCER, OTHER, PLATFORM, bench_on, call};

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

#[actix_web::test]
async fn what_was_made_comes_with_the_tag_that_reading_it_gives() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let experiment = crate::experiments::ab("exp-1", "fixed");
        for (path, body, id) in [
            ("/v1/campaigns", ready("c1"), "/v1/campaigns/c1"),
            ("/v1/campaigns/c1/clone", json!({"campaign_id": "c2"}), "/v1/campaigns/c2"),
            ("/v1/experiments", experiment, "/v1/experiments/exp-1"),
        ] {
            let post = || {
                let request = TestRequest::post().uri(path).insert_header(("apikey", GROCER)).insert_header(("idempotency-key", "k1"));
                app.with_headers(request.set_json(body.clone()))
            };
            let (status, headers, text) = post().await;
            let tag = headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            assert_eq!(status, StatusCode::CREATED, "{path}: {text}");
            let (_, read, _) = app.with_headers(TestRequest::get().uri(id).insert_header(("apikey", GROCER))).await;
            assert_eq!(tag.as_deref(), Some(read.get("etag").unwrap().to_str().unwrap()), "{path}");
            let (_, again, _) = post().await;
            assert_eq!(again.get("etag").map(|tag| tag.to_str().unwrap().to_owned()), tag, "{path}: asked again");
            // It serves for the next change, which then has another one.
            let change = TestRequest::patch().uri(id).insert_header(("apikey", GROCER)).insert_header(("if-match", tag.unwrap()));
            assert_eq!(app.with_headers(change.set_json(json!({"name": "Other"}))).await.0, StatusCode::OK, "{path}");
        }
    }
}

#[actix_web::test]
async fn a_question_about_a_campaign_that_is_not_there_is_not_answered_with_nothing() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let paths = ["/v1/analytics/performance?campaign_id=", "/v1/analytics/funnel?campaign_id=", "/v1/analytics/anomalies?campaign_id="];
        for path in paths {
            for (key, id, wanted) in [
                (GROCER, "cmp-nowhere", StatusCode::NOT_FOUND),
                (PLATFORM, "cmp-nowhere", StatusCode::NOT_FOUND),
                (OTHER, "cmp-mailer", StatusCode::NOT_FOUND),
                (GROCER, "cmp-mailer", StatusCode::OK),
            ] {
                let (status, answer) = call(&app, key, "GET", &format!("{path}{id}"), None).await;
                assert_eq!(status, wanted, "{path}{id}: {answer}");
                assert!(wanted == StatusCode::OK || answer["detail"].as_str().unwrap().contains(id), "{answer}");
            }
        }
    }
}

#[actix_web::test]
async fn a_key_is_made_for_a_tenant_that_is_there() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let body = |tenant: &str| Some(json!({"name": "robot", "role": "analyst", "tenant_id": tenant}));
        let (status, refused) = call(&app, PLATFORM, "POST", "/v1/api-keys", body("tnt-mistyped")).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (UNPROCESSABLE, &json!("tenant_id")), "{refused}");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("brand"), "it says how a tenant comes to be: {refused}");
        // Of a brand, of a retailer, and one that was made a moment ago.
        let brand = json!({"brand_id": "brd-new", "name": "New", "tenant_id": "tnt-new"});
        assert_eq!(call(&app, PLATFORM, "POST", "/v1/brands", Some(brand)).await.0, StatusCode::CREATED);
        for tenant in ["tnt-m2-national", "rtl-grocer-cj", "tnt-new"] {
            let (status, key) = call(&app, PLATFORM, "POST", "/v1/api-keys", body(tenant)).await;
            assert_eq!(status, StatusCode::CREATED, "{tenant}: {key}");
        }
    }
}

fn row(day: &str, placement: &str, clicks: i64) -> Value {
    json!({"date": day, "placement_type": placement, "impressions": 100, "clicks": clicks})
}

#[actix_web::test]
async fn rows_of_one_request_that_are_the_same_row_are_refused() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        made(&app, ready("c1")).await;
        let path = "/v1/campaigns/c1/performance";
        let rows = json!([row("2026-01-10", "search", 1), row("2026-01-10", "display", 2), row("2026-01-10", "search", 3)]);
        let (status, refused) = call(&app, GROCER, "POST", path, Some(json!({"rows": rows}))).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (UNPROCESSABLE, &json!("rows[2]")), "{refused}");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("rows[0]"), "both are named: {refused}");
        assert_eq!(call(&app, GROCER, "GET", path, None).await.1["data"], json!([]), "nothing is kept");
        // Added rows are added, both of them: nothing of either is lost.
        let add = TestRequest::post().uri(path).insert_header(("apikey", GROCER)).insert_header(("idempotency-key", "k1"));
        let (status, text) = crate::send(&app, add.set_json(json!({"mode": "add", "rows": rows}))).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let (_, stored) = call(&app, GROCER, "GET", &format!("{path}?placement_type=search"), None).await;
        assert_eq!(stored["data"][0]["clicks"], 4, "{stored}");
    }
}
