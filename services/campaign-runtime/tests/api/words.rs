//! Errors in words of the product: the field that is meant, and what to write instead.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::{GROCER, PLATFORM, bench, call, send};

fn first(answer: &Value) -> (String, String) {
    let text = |name: &str| answer["errors"][0][name].as_str().unwrap_or_default().to_owned();
    (text("field"), text("message"))
}

#[actix_web::test]
async fn each_wrong_body_is_answered_with_its_field_and_a_way_to_write_it() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let campaign = |change: Value| {
        let mut body = json!({"name": "Spring", "retailer_id": "rtl-grocer-cj", "currency": "USD"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let cases = [
        ("/v1/campaigns", campaign(json!({"total_budget": 12.5})), "total_budget", "\"12.34\""),
        ("/v1/campaigns", campaign(json!({"total_budget": ["12", "USD"]})), "total_budget", "\"12.34\""),
        ("/v1/campaigns", campaign(json!({"total_budget": {"amount": "1"}})), "total_budget.currency", "required"),
        ("/v1/campaigns", campaign(json!({"start_date": "2026-02"})), "start_date", "2026-01-31"),
        ("/v1/campaigns", campaign(json!({"campaign_id": "bulk"})), "campaign_id", "another id"),
        ("/v1/campaigns", campaign(json!({"campaign_id": ".."})), "campaign_id", "address"),
        ("/v1/campaigns", campaign(json!({"name": "\u{200b}\u{2060} "})), "name", "empty"),
        ("/v1/campaigns", campaign(json!({"constraints": {"min_roas": "high"}})), "constraints.min_roas", "a number"),
        ("/v1/campaigns", campaign(json!({"constraints": {"max_share_per_arm": 1.5}})), "constraints.max_share_per_arm", "0 to 1"),
        ("/v1/campaigns", campaign(json!({"constraints": {"max_cpa": "-1"}})), "constraints.max_cpa", "above 0"),
        (
            "/v1/campaigns",
            campaign(json!({"constraints": {"min_share_per_arm": 0.5, "max_share_per_arm": 0.2}})),
            "constraints.min_share_per_arm",
            "above max_share_per_arm",
        ),
        (
            "/v1/experiments/power",
            json!({"test": "means", "standard_deviation": 1, "effect": 0.2, "demand": {"power": 2}}),
            "demand.power",
            "between 0 and 1",
        ),
        ("/v1/experiments/power", json!({"test": "means", "standard_deviation": "x"}), "standard_deviation", "a number"),
        ("/v1/experiments/power", json!({"test": "means", "effect": 1}), "standard_deviation", "required"),
        ("/v1/experiments/power", json!({"effect": 1}), "test", "proportions"),
        ("/v1/experiments/power", json!({"test": "median"}), "test", "proportions"),
        ("/v1/optimize", json!({"budget": 1, "arms": [["a", 1, 1, 1]]}), "arms[0]", "an object, not a list"),
        ("/v1/optimize", json!({"budget": 1e308, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1}]}), "budget", "1e13"),
    ];
    for (path, body, field, word) in cases {
        let (status, answer) = call(&app, GROCER, "POST", path, Some(body.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer}");
        let (named, message) = first(&answer);
        assert_eq!(named, field, "{body}: {answer}");
        assert!(message.contains(word), "{body}: {message}");
        assert!(!["untagged", "enum ", "struct ", "f64", "invalid type"].iter().any(|word| message.contains(word)), "{message}");
    }
}

#[actix_web::test]
async fn other_members_of_constraints_are_kept_and_a_list_is_no_object() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let body = json!({"campaign_id": "cmp-words", "name": "Spring", "retailer_id": "rtl-grocer-cj", "constraints": {"tone": "calm", "min_roas": 2}});
    let (status, made) = call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await;
    assert_eq!((status, &made["constraints"]["tone"]), (StatusCode::CREATED, &json!("calm")), "{made}");
    let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns", Some(json!(["cmp-list", "Spring", "rtl-grocer-cj"]))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("must be an object, not a list"), "{answer}");
    let (status, answer) = call(&app, GROCER, "PATCH", "/v1/campaigns/cmp-words", Some(json!({"constraints": {"min_roas": -1}}))).await;
    assert_eq!((status, first(&answer).0.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "constraints.min_roas"), "{answer}");
    let (status, answer) = call(&app, GROCER, "GET", "/v1/analytics/performance?from=2026-13-01", None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(first(&answer).0, "from");
    assert!(first(&answer).1.contains("must be a day such as 2026-01-31, not"), "{answer}");
}

#[actix_web::test]
async fn a_file_without_the_column_that_rows_need_is_refused_once() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let send_csv = |text: &'static str| {
        let request = TestRequest::post().uri("/v1/imports/performance").insert_header(("apikey", GROCER));
        send(&app, request.insert_header(("Content-Type", "text/csv")).set_payload(text))
    };
    let (status, text) = send_csv("campaign_id;date;spend\ncmp-mailer;2031-01-01;1.50\n").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    assert!(text.contains("has no column \\\"date\\\"") && text.contains("commas"), "{text}");
    let (status, text) = send_csv("campaign_id,day,spend\ncmp-mailer,2031-01-01,1.50\n").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    assert!(text.contains("its header has \\\"campaign_id\\\", \\\"day\\\", \\\"spend\\\""), "{text}");
}

#[actix_web::test]
async fn funnel_and_anomalies_say_what_they_rest_on() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let (status, funnel) = call(&app, PLATFORM, "GET", "/v1/analytics/funnel?campaign_id=cmp-dm-09&from=2016-01-01", None).await;
    assert_eq!(status, StatusCode::OK, "{funnel}");
    assert_eq!((&funnel["from"], funnel["metrics"][0]["basis"].as_str()), (&json!("2016-01-01"), Some("impression")));
    assert!(funnel["source"].is_string() && funnel["data"][0].get("attribution").is_some(), "{funnel}");
    let (status, answer) = call(&app, PLATFORM, "GET", "/v1/analytics/funnel?top=3", None).await;
    assert_eq!((status, first(&answer).0.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "top"));
    let (status, found) = call(&app, PLATFORM, "GET", "/v1/analytics/anomalies?campaign_id=cmp-dm-09", None).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert!(found["source"].is_string() && found["attributions"].is_array(), "{found}");
}
