//! The budget optimiser over HTTP: from two lines to the largest request, and what is refused.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::{GROCER, bench, call, send};

#[actix_web::test]
async fn the_optimiser_answers_and_names_what_is_wrong() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let problem = json!({"budget": 10.0, "spend_all": true, "arms": [{"id": "a", "beta": 10.0, "alpha": 1.0, "k": 5.0}, {"id": "b", "beta": 10.0, "alpha": 1.0, "k": 5.0}]});
    let (status, answer) = call(&app, GROCER, "POST", "/v1/optimize", Some(problem)).await;
    assert_eq!((status, answer["status"].as_str()), (StatusCode::OK, Some("optimal")), "{answer}");
    // Equal concave arms share equally.
    assert!((answer["allocation"]["a"].as_f64().unwrap() - 5.0).abs() < 1e-3);
    let (status, answer) = call(&app, GROCER, "POST", "/v1/optimize", Some(json!({"budget": -1.0, "arms": []}))).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("budget")));
}

/// Lines with every field, in groups and under limits of every kind.
fn large(lines: usize) -> Value {
    let arms: Vec<Value> = (0..lines)
        .map(|at| {
            let spread = (at * 7_919 % 1_000) as f64 / 1_000.0;
            let alpha = if at % 3 == 0 { 1.0 } else { 0.7 + spread };
            json!({"id": format!("retailer-{}/placement-{}/line-{at:06}", at % 40, at % 25), "beta": 900.0 + 4_000.0 * spread, "alpha": alpha,
                "k": 150.0 + 600.0 * spread, "min": 0.5, "max": 900.0 + spread, "value": 0.3 + spread / 10.0, "order_value": 25.0 + spread,
                "excluded": at % 500 == 499, "retailer": format!("retailer-{}", at % 40), "placement": format!("placement-{}", at % 25),
                "audience": format!("audience-{}", at % 30), "sku": format!("sku-{at}"), "mean_spend": 100.0 * spread, "margin": 0.3, "oos_probability": 0.01})
        })
        .collect();
    let budget = 120.0 * lines as f64;
    let mut limits: Vec<Value> = Vec::new();
    for (by, count) in [("retailer", 40), ("placement", 25), ("audience", 30)] {
        let share = 1.0 / f64::from(count);
        limits
            .extend((0..count).map(|at| json!({"by": by, "of": format!("{by}-{at}"), "min_share": 0.5 * share, "max_share": 1.5 * share})));
    }
    let members = |group: usize| (0..lines).filter(|at| at / 7 % 20 == group).collect::<Vec<usize>>();
    let groups: Vec<Value> = (0..20).map(|at| json!({"name": format!("group {at}"), "arms": members(at), "max": 0.06 * budget})).collect();
    let present: serde_json::Map<String, Value> = arms.iter().map(|arm| (arm["id"].as_str().unwrap().to_owned(), json!(60.0))).collect();
    json!({"budget": budget, "min_roas": 1.2, "max_cpa": 200.0, "groups": groups, "limits": limits, "present": present,
        "out_of_stock_skus": ["sku-7", "sku-4711"], "arms": arms})
}

#[actix_web::test]
async fn ten_thousand_lines_with_all_their_fields_are_solved_and_one_more_is_refused() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let problem = large(10_000);
    assert!(problem.to_string().len() > 3 << 20, "the request is larger than other bodies may be");
    let (status, answer) = call(&app, GROCER, "POST", "/v1/optimize", Some(problem.clone())).await;
    assert_eq!(status, StatusCode::OK, "{answer:.500}");
    assert_ne!(answer["status"], "infeasible", "{}", answer["conflict"]);
    let allocation = answer["allocation"].as_object().unwrap();
    let spend = |id: &Value| allocation[id.as_str().unwrap()].as_f64().unwrap();
    assert_eq!(allocation.len(), 10_000);
    let (budget, arms) = (1_200_000.0, problem["arms"].as_array().unwrap());
    assert!(arms.iter().map(|arm| spend(&arm["id"])).sum::<f64>() <= budget * 1.000_001);
    for limit in problem["limits"].as_array().unwrap() {
        let by = limit["by"].as_str().unwrap();
        let sum: f64 = arms.iter().filter(|arm| arm[by] == limit["of"]).map(|arm| spend(&arm["id"])).sum();
        let share = |side: &str| limit[side].as_f64().unwrap() * budget;
        assert!(sum >= share("min_share") * 0.999_99 && sum <= share("max_share") * 1.000_01, "{limit}: {sum}");
    }
    assert_eq!(answer["allocation"][arms[4_711]["id"].as_str().unwrap()], 0.0, "out of stock");
    assert!(answer["gap"].as_f64().unwrap() < 1e-3, "{}", answer["gap"]);
    assert!(answer["present"]["is_feasible"] == false || answer["present"]["gain"].as_f64().unwrap() >= 0.0);

    let (status, answer) = call(&app, GROCER, "POST", "/v1/optimize", Some(large(10_001))).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("arms")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("at most 10000 arms"), "{answer}");
}

#[actix_web::test]
async fn a_body_beyond_the_limit_of_the_route_is_refused_and_other_routes_keep_theirs() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let padded = |bytes: usize| {
        let problem = json!({"budget": 10.0, "name": "x".repeat(bytes), "arms": [{"id": "a", "beta": 10.0, "alpha": 1.0, "k": 5.0}]});
        problem.to_string()
    };
    let post = |path: &str, body: String| {
        let request = TestRequest::post().uri(path).insert_header(("apikey", GROCER)).insert_header(("Content-Type", "application/json"));
        request.set_payload(body)
    };
    let (status, text) = send(&app, post("/v1/optimize", padded((16 << 20) - 1_000))).await;
    assert_eq!(status, StatusCode::OK, "{text:.300}");
    let (status, text) = send(&app, post("/v1/optimize", padded(16 << 20))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.contains("body_too_large") && text.contains("16777216"), "{text}");
    let (status, _) = send(&app, post("/v1/experiments/power", padded(2 << 20))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "another route accepts no more than before");
}

#[actix_web::test]
async fn what_cannot_hold_together_comes_with_a_checked_way_out() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let problem = json!({"budget": 100.0, "limits": [{"by": "placement", "of": "a", "min": 150.0}],
        "arms": [{"id": "x", "beta": 400.0, "alpha": 1.0, "k": 30.0, "placement": "a", "max": 500.0}]});
    let (status, answer) = call(&app, GROCER, "POST", "/v1/optimize", Some(problem)).await;
    assert_eq!((status, answer["status"].as_str()), (StatusCode::OK, Some("infeasible")), "{answer}");
    let ways = answer["relaxation"].as_array().unwrap();
    assert!(ways.iter().all(|way| way["is_smallest"] == true), "{answer}");
    assert!(ways.iter().any(|way| way["text"].as_str().unwrap().starts_with("raise budget from 100 to 150")), "{answer}");
    assert_eq!((&answer["unproven"], &answer["relaxation_reason"]), (&json!([]), &Value::Null));
}
