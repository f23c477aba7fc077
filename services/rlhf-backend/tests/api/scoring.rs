use domain::role::Role;
use serde_json::{Value, json};

use crate::models::train;
use crate::{Service, T};

/// With an active model that knows the return of a plan, and a retailer.
async fn scoring() -> (Service, String) {
    let service = Service::new();
    service.judge_plans();
    service.sql(&format!(
        "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
         VALUES ('rtl-1', 'R', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
    ));
    let admin = service.token(Role::PlatformAdmin, None);
    let model = train(&service, &admin).await["result"]["model_id"].as_str().unwrap().to_owned();
    assert_eq!(service.post(&admin, &format!("/v1/reward-models/{model}/activate"), json!({})).await.status, 200);
    (service.restarted(), admin)
}

async fn asked(service: &Service, token: &str, candidates: Value) -> Value {
    let answer = service.post(token, "/v1/score", json!({ "task_type": "plan_quality", "candidates": candidates })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[actix_web::test]
async fn where_the_model_knows_nothing_of_the_difference_it_claims_no_certainty() {
    let (service, admin) = scoring().await;
    // A word that differs in nothing the model looks at: no size, no style, no number.
    let unknown = asked(&service, &admin, json!([{ "a": "plan" }, { "b": "plan" }, { "a": "plan" }])).await;
    assert_eq!(unknown["win_probabilities"][0][1], 0.5, "{unknown}");
    assert_eq!(
        unknown["standard_errors"],
        json!([[0.0, null, 0.0], [null, 0.0, null], [0.0, null, 0.0]]),
        "the first and the last are the same"
    );
    assert!(unknown["standard_errors_reason"].as_str().unwrap().contains("is no finding"), "{unknown}");

    // Numbers that it has never seen: one half, and far from sure.
    let new = asked(&service, &admin, json!([{ "summary": "a plan", "reach": 100 }, { "summary": "a plan", "reach": 900 }])).await;
    assert_eq!((&new["win_probabilities"][0][1], &new["standard_errors_reason"]), (&json!(0.5), &Value::Null), "{new}");
    assert!(new["standard_errors"][0][1].as_f64().unwrap() > 0.02, "{new}");

    let same = json!({ "summary": "a plan", "roas": 2.0 });
    let same = asked(&service, &admin, json!([same, same])).await;
    assert_eq!(
        (&same["standard_errors"][0][1], &same["standard_errors_reason"]),
        (&json!(0.0), &Value::Null),
        "the same plan twice is one half"
    );
}

#[actix_web::test]
async fn unknown_retailers_and_candidates_that_are_nothing_to_judge_are_named() {
    let (service, admin) = scoring().await;
    let plans = json!([{ "summary": "a plan", "roas": 2.6 }, "a plan in words"]);
    let with = |retailer: &str| json!({ "task_type": "plan_quality", "retailer_id": retailer, "candidates": plans });
    let known = service.post(&admin, "/v1/score", with("rtl-1")).await;
    assert_eq!((known.status.as_u16(), &known.json()["fallback"]), (200, &json!(false)), "the general model scores: {}", known.text());
    for path in ["/v1/score", "/internal/v1/score"] {
        for (body, field) in [
            (with("rtl-nowhere"), "retailer_id"),
            (with("no such id"), "retailer_id"),
            (json!({ "task_type": "plan_quality", "candidates": ["a plan", 7] }), "candidates[1]"),
            (json!({ "task_type": "plan_quality", "candidates": [["a plan"], "a plan"] }), "candidates[0]"),
            (json!({ "task_type": "tagging_normalization", "candidates": [" ", "snake_case"] }), "candidates[0]"),
            (json!({ "task_type": "schema_mapping", "candidates": [{ "mapping": {} }, { "mapping": {} }, null] }), "candidates[2]"),
        ] {
            let refused = match path {
                "/v1/score" => service.post(&admin, path, body).await,
                _ => service.internal(path, body).await,
            };
            assert_eq!(
                (refused.status.as_u16(), &refused.json()["errors"][0]["field"]),
                (422, &json!(field)),
                "{path}: {}",
                refused.text()
            );
        }
    }
    // A retailer that is known is not asked for again, so that scoring waits for no database.
    service.sql("DELETE FROM retailers");
    assert_eq!(service.post(&admin, "/v1/score", with("rtl-1")).await.status, 200);
    // One that was unknown and came since is found at once.
    service.sql(&format!(
        "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
         VALUES ('rtl-nowhere', 'R', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
    ));
    assert_eq!(service.post(&admin, "/v1/score", with("rtl-nowhere")).await.status, 200);
}
