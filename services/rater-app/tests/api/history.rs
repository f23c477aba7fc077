//! One's own judgments: what became of them, in the letters that were shown, without telling which items are golden.

use domain::role::Role;
use serde_json::{Value, json};

use crate::house::{House, get, plan_task, post, shown_first};

fn judgment_path(held: &Value) -> String {
    format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap())
}

#[actix_web::test]
async fn outcomes_are_told_in_the_letters_that_were_shown() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater, expert) =
        (house.admin(), house.person("rita", Role::Rater, true).await, house.person("eva", Role::Expert, true).await);
    let mut shown = Vec::new();
    for n in 0..3 {
        ask!(app, post("/v1/tasks", &admin, plan_task(&format!("t{n}"), if n == 0 { 1 } else { 3 })));
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let first = shown_first(&held);
        let mut body = json!({"choice": first, "confidence": 0.95, "reasons": ["higher_return"]});
        if n == 1 {
            body["escalate"] = json!(true);
            body["escalation_reason"] = json!("Both?");
        }
        assert_eq!(ask!(app, post(&judgment_path(&held), &rater, body)).status, 201);
        house.hand.advance(chrono::TimeDelta::seconds(5));
        shown.push(first);
    }
    let review = json!({"choice": "candidate_b", "rationale": "The second keeps the budget."});
    assert!(ask!(app, post("/v1/reviews/t1", &expert, review)).status.is_success());

    let all = ask!(app, get("/v1/judgments", &rater)).body;
    let outcomes: Vec<&str> = all["data"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["waiting", "expert", "agreed"], "newest first: {all}");
    let of_expert = &all["data"][1];
    let decided = crate::house::other(shown[1]);
    assert_eq!((of_expert["choice"].as_str(), of_expert["decision"].as_str()), (Some(shown[1]), Some(decided)));
    assert_eq!((of_expert["expert_agrees"].as_bool(), of_expert["note"].as_str()), (Some(false), Some("The second keeps the budget.")));
    assert_eq!(all["data"][2]["decision"].as_str(), Some(shown[0]));

    for (outcome, n) in [("waiting", 1), ("agreed", 1), ("differed", 0), ("expert", 1), ("calibration", 0)] {
        let found = ask!(app, get(&format!("/v1/judgments?outcome={outcome}"), &rater)).body;
        assert_eq!(found["data"].as_array().unwrap().len(), n, "{outcome}");
    }
    let wrong = ask!(app, get("/v1/judgments?outcome=lost", &rater));
    assert_eq!(wrong.status, 422);
    assert!(ask!(app, get("/v1/judgments", &expert)).body["data"].as_array().unwrap().is_empty(), "only one's own");
}

#[actix_web::test]
async fn pages_hold_every_judgment_once() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    for n in 0..5 {
        ask!(app, post("/v1/tasks", &admin, plan_task(&format!("t{n}"), 3)));
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        // All in the same instant: the order must still be one.
        ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.5, "reasons": ["equivalent"]})));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut address = "/v1/judgments?limit=2".to_owned();
    for _ in 0..3 {
        let page = ask!(app, get(&address, &rater)).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["judgment_id"].as_str().unwrap().to_owned()));
        address = format!("/v1/judgments?limit=2&cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(seen.len(), 5);
}

#[actix_web::test]
async fn a_golden_item_among_the_work_looks_undecided_at_first_and_a_calibration_item_tells() {
    let house = House::new(&[("ENDCAP_GOLDEN_RATE", "1")]);
    let app = app!(house);
    let (admin, rater, beginner) =
        (house.admin(), house.person("rita", Role::Rater, true).await, house.person("bea", Role::Rater, false).await);
    let gold = json!({"task": plan_task("gold-1", 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
    assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
    let answer = json!({"choice": "tie", "confidence": 0.5, "reasons": ["equivalent"]});
    for person in [&rater, &beginner] {
        let held = ask!(app, post("/v1/assignments/next", person, json!({}))).body;
        assert_eq!(ask!(app, post(&judgment_path(&held), person, answer.clone())).status, 201);
    }
    let work = ask!(app, get("/v1/judgments", &rater)).body;
    assert_eq!(work["data"][0]["outcome"], "waiting", "as long as others could be at it");
    for secret in ["golden", "gold-1", "keeps the budget"] {
        assert!(!work.to_string().contains(secret), "{secret} in {work}");
    }
    assert!(ask!(app, get("/v1/judgments?outcome=waiting", &rater)).body["data"][0]["judgment_id"].is_string());
    let told = ask!(app, get("/v1/judgments?outcome=calibration", &beginner)).body;
    assert_eq!((told["data"][0]["expert_agrees"].as_bool(), told["data"][0]["note"].as_str()), (Some(false), Some("It keeps the budget.")));
}
