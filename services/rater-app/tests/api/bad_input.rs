//! Mistakes get an answer that names them, and leave nothing behind.

use actix_web::test::TestRequest;
use domain::role::Role;
use serde_json::json;

use crate::house::{House, as_person, get, plan_task, post};

#[actix_web::test]
async fn an_oversized_body_is_413() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let mut task = plan_task("big", 3);
    task["prompt"] = json!("x".repeat(70_000));
    let refused = ask!(app, post("/v1/tasks", &admin, task));
    assert_eq!((refused.status.as_u16(), refused.code()), (413, "body_too_large"));
    assert_eq!(ask!(app, get("/v1/tasks/big", &admin)).status, 404);
    let sign_up = json!({"email": "a@example.com", "password": "p".repeat(70_000)});
    assert_eq!(ask!(app, TestRequest::post().uri("/auth/v1/signup").set_json(sign_up)).status, 413);
}

#[actix_web::test]
async fn unknown_words_and_fields_are_422_by_name() {
    let house = House::new(&[]);
    let app = app!(house);
    let rater = house.person("rita", Role::Rater, true).await;
    for (body, field) in [
        (json!({"task_types": ["poetry"]}), "task_types[0]"),
        (json!({"task_type": "plan_quality"}), "task_type"),
        (json!({"purpose": "fun"}), "purpose"),
    ] {
        let refused = ask!(app, post("/v1/assignments/next", &rater, body));
        assert_eq!((refused.status.as_u16(), refused.body["errors"][0]["field"].as_str()), (422, Some(field)), "{}", refused.body);
    }
    let broken = as_person(
        TestRequest::post().uri("/v1/assignments/next").insert_header(("content-type", "application/json")).set_payload("{"),
        &rater,
    );
    assert_eq!(ask!(app, broken).code(), "malformed_json");
    assert_eq!(ask!(app, get("/v1/leaderboard?limit=1000", &rater)).status, 422);
    assert_eq!(ask!(app, TestRequest::get().uri("/v1/leaderboard")).status, 401);
}

#[actix_web::test]
async fn a_judgment_that_breaks_rules_is_not_kept() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
    for (body, field) in [
        (json!({"choice": "candidate_d", "confidence": 0.5}), "choice"),
        (json!({"choice": "candidate_c", "confidence": 0.5}), "choice"),
        (json!({"choice": "tie", "confidence": 7}), "confidence"),
        (json!({"choice": "tie", "confidence": 0.5, "reasons": ["higher_return"]}), "reasons[0]"),
        (json!({"choice": "tie"}), "confidence"),
        (json!({"choice": "tie", "confidence": 0.5, "score": 1}), "score"),
    ] {
        let refused = ask!(app, post(&path, &rater, body));
        assert_eq!((refused.status.as_u16(), refused.body["errors"][0]["field"].as_str()), (422, Some(field)), "{}", refused.body);
    }
    assert_eq!(ask!(app, get("/v1/raters/me", &rater)).body["total_judgments"], 0);
    let somebody_else = house.person("bob", Role::Rater, true).await;
    assert_eq!(ask!(app, post(&path, &somebody_else, json!({"choice": "tie", "confidence": 0.5}))).status, 404);
}
