//! Imports and analytics: figures are those that a person sums up from the file.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::{GROCER, OTHER, PLATFORM, bench, call, data, send};

#[actix_web::test]
async fn analytics_are_the_sums_of_the_file() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let path = "/v1/analytics/performance?group_by=placement_type&campaign_id=cmp-dm-09";
    let (status, answer) = call(&app, PLATFORM, "GET", path, None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    // By hand from the file: 23.50 spend, 58.79 revenue, 43 redemptions; deliveries and redemptions are on different rows.
    let row = &answer["data"][0];
    assert_eq!(row["spend"], json!({"amount": "23.500000", "currency": "USD"}));
    assert_eq!((row["conversions"].as_i64(), row["impressions"].as_i64(), &row["clicks"]), (Some(43), Some(176), &json!(null)));
    assert_eq!((&row["ctr"], row["reasons"]["ctr"].as_str()), (&json!(null), Some("not_measured")));
    assert_eq!((&row["purchase_rate"], row["reasons"]["purchase_rate"].as_str()), (&json!(null), Some("not_measured")));
    let request = TestRequest::get().uri("/v1/analytics/performance?group_by=retailer").insert_header(("apikey", PLATFORM));
    let (_, text) = send(&app, request.insert_header(("Accept", "text/csv"))).await;
    let onsite = text.lines().find(|line| line.starts_with("rtl-fashion-zz")).unwrap();
    // 10 clicks in 202 impressions.
    assert!(onsite.contains(&format!(",{},", 10.0 / 202.0)), "{text}");
    assert_eq!(call(&app, OTHER, "GET", path, None).await.0, StatusCode::NOT_FOUND, "another tenant's campaign");
    let (status, wrong) = call(&app, PLATFORM, "GET", "/v1/analytics/performance?group_by=colour", None).await;
    assert_eq!((status, wrong["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("group_by")));
}

#[actix_web::test]
async fn performance_is_repeatable_and_adding_needs_a_key() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let path = "/v1/campaigns/cmp-mailer/performance";
    let body = json!({"rows": [{"date": "2017-03-01", "placement_type": "mailer", "clicks": 2, "spend": "1.10"}]});
    let (status, first) = call(&app, GROCER, "POST", path, Some(body.clone())).await;
    assert_eq!((status, first["inserted"].as_i64()), (StatusCode::OK, Some(1)), "{first}");
    let (_, second) = call(&app, GROCER, "POST", path, Some(body)).await;
    assert_eq!((second["inserted"].as_i64(), second["unchanged"].as_i64()), (Some(0), Some(1)));
    let add = json!({"mode": "add", "rows": [{"date": "2017-03-01", "placement_type": "mailer", "clicks": 3, "spend": "0.90"}]});
    assert_eq!(call(&app, GROCER, "POST", path, Some(add.clone())).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    for _ in 0..2 {
        let request = TestRequest::post().uri(path).insert_header(("apikey", GROCER)).insert_header(("Idempotency-Key", "k1"));
        assert_eq!(send(&app, request.set_json(&add)).await.0, StatusCode::OK);
    }
    let (_, sums) = call(&app, GROCER, "GET", "/v1/analytics/performance?campaign_id=cmp-mailer", None).await;
    assert_eq!((sums["data"][0]["clicks"].as_i64(), sums["data"][0]["spend"]["amount"].as_str()), (Some(5), Some("2.000000")));
}

#[actix_web::test]
async fn an_import_is_streamed_counted_and_refused_whole() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let import = |path: &str, body: Vec<u8>| {
        let request = TestRequest::post().uri(path).insert_header(("apikey", PLATFORM)).insert_header(("Content-Type", "text/csv"));
        request.set_payload(body)
    };
    let (status, text) = send(&app, import("/v1/imports/performance", std::fs::read(data("performance_metrics")).unwrap())).await;
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, answer["received"].as_i64(), answer["unchanged"].as_i64()), (StatusCode::OK, Some(161), Some(161)), "{text}");
    let wrong = b"retailer_id,name\nrtl-new,New\nrtl bad,Bad\n".to_vec();
    let (status, text) = send(&app, import("/v1/imports/retailers", wrong.clone())).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("line 3: retailer_id"), "{text}");
    assert_eq!(call(&app, PLATFORM, "GET", "/v1/retailers/rtl-new", None).await.0, StatusCode::NOT_FOUND);
    let (status, text) = send(&app, import("/v1/imports/retailers?on_error=skip", wrong)).await;
    assert!(status == StatusCode::OK && text.contains("\"inserted\":1"), "{text}");
    assert_eq!(send(&app, import("/v1/imports/planets", Vec::new())).await.0, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn rows_that_no_database_should_meet_are_refused() {
    for database in testkit::database::all() {
        let bench = crate::bench_on(database, None).await;
        let app = bench.app().await;
        let campaign = json!({"campaign_id": "c-bounds", "retailer_id": "rtl-grocer-cj", "name": "Bounds", "currency": "USD"});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(campaign)).await.0, StatusCode::CREATED);
        let named = json!({"retailer_id": "rtl-grocer-cj", "name": "N\u{0}L", "currency": "USD"});
        let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns", Some(named)).await;
        assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("name")), "{answer}");
        let many: Vec<_> = (0..121)
            .map(|month| json!({"date": format!("{}-{:02}-01", 2000 + month / 12, month % 12 + 1), "placement_type": "search"}))
            .collect();
        let wrong = [
            (json!([{"date": "1899-12-31", "placement_type": "search"}]), "rows[0].date"),
            (json!([{"date": "3000-01-01", "placement_type": "search"}]), "rows[0].date"),
            (json!([{"date": "2017-01-01", "placement_type": "sea\u{0}rch"}]), "rows[0].placement_type"),
            (json!(many), "rows"),
        ];
        for (rows, field) in wrong {
            let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c-bounds/performance", Some(json!({"rows": rows}))).await;
            assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(field)), "{answer}");
        }
    }
}
