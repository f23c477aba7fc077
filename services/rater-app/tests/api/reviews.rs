//! Escalation, expert review, agreement.

use domain::role::Role;
use serde_json::json;

use crate::house::{House, get, plan_task, post};

#[actix_web::test]
async fn an_escalated_task_goes_to_the_expert_and_may_become_golden() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let (rita, expert) = (house.person("rita", Role::Rater, true).await, house.person("eve", Role::Expert, true).await);
    assert_eq!(ask!(app, get("/v1/reviews/next", &expert)).reason(), "no_reviews");
    assert_eq!(ask!(app, get("/v1/reviews/next", &rita)).status, 403);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 3)));
    let early = ask!(app, post("/v1/reviews/t1", &expert, json!({"choice": "tie", "rationale": "x"})));
    assert_eq!(early.code(), "transition_not_allowed");
    let held = ask!(app, post("/v1/assignments/next", &rita, json!({}))).body;
    let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
    let body = json!({"choice": "unsure", "confidence": 0.25, "escalate": true, "escalation_reason": "two currencies"});
    assert_eq!(ask!(app, post(&path, &rita, body)).status, 201);

    let review = ask!(app, get("/v1/reviews/next", &expert)).body;
    assert_eq!((review["task"]["task_id"].as_str(), review["task"]["status"].as_str()), (Some("t1"), Some("escalated")));
    assert_eq!(review["judgments"][0]["escalation_reason"], "two currencies");
    assert!(!review.to_string().contains(&rita.rater_id), "who judged is not shown");
    assert_eq!(ask!(app, post("/v1/reviews/t1", &expert, json!({"choice": "unsure", "rationale": "?"}))).status, 422);
    let decision = json!({"choice": "candidate_b", "rationale": "B keeps one currency.", "make_golden": true, "difficulty": "hard"});
    let decided = ask!(app, post("/v1/reviews/t1", &expert, decision));
    assert_eq!((decided.status.as_u16(), decided.body["status"].as_str()), (200, Some("validated")), "{}", decided.body);
    assert_eq!(
        (decided.body["consensus"]["decided_by"].as_str(), decided.body["golden"]["difficulty_level"].as_str()),
        (Some("acc_eve"), Some("hard"))
    );
    let told = house
        .state
        .storage
        .read(|c| storage::outbox::due(c, storage::outbox::Destination::RlhfBackend, "2097-01-01T00:00:00Z".parse().unwrap(), 10))
        .await
        .unwrap();
    assert_eq!(
        (told.len(), told[0].payload.0["choice"].as_str(), told[0].payload.0["status"].as_str()),
        (1, Some("candidate_b"), Some("validated"))
    );
}

#[actix_web::test]
async fn agreement_is_given_with_n_or_with_the_reason_why_not() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let empty = ask!(app, get("/v1/quality/agreement", &admin)).body;
    assert!(empty["overall"]["krippendorff_alpha"]["value"].is_null());
    assert!(empty["overall"]["krippendorff_alpha"]["undefined_because"].is_string());
    let raters = [house.person("a", Role::Rater, true).await, house.person("b", Role::Rater, true).await];
    for (n, choice) in ["tie", "both_bad", "tie", "both_bad"].into_iter().enumerate() {
        ask!(app, post("/v1/tasks", &admin, plan_task(&format!("t{n}"), 2)));
        for rater in &raters {
            let held = ask!(app, post("/v1/assignments/next", rater, json!({}))).body;
            let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
            assert_eq!(ask!(app, post(&path, rater, json!({"choice": choice, "confidence": 0.75}))).status, 201);
        }
    }
    let full = ask!(app, get("/v1/quality/agreement", &admin)).body;
    let alpha = &full["by_task_type"]["plan_quality"]["krippendorff_alpha"];
    assert_eq!(
        (alpha["value"].as_f64(), alpha["n_judgments"].as_u64(), full["window"]["judgments"].as_u64()),
        (Some(1.0), Some(8), Some(8))
    );
    assert_eq!(full["overall"]["percent"]["value"], 1.0);
    let rater = &raters[0];
    assert_eq!(ask!(app, get("/v1/quality/agreement", rater)).status, 403);
    assert_eq!(ask!(app, get(&format!("/v1/raters/{}/stats", raters[1].rater_id), rater)).status, 404, "another rater's figures");
}
