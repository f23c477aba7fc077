//! From sign-up to work: calibration on golden items.

use domain::role::Role;
use serde_json::{Value, json};

use crate::house::{House, get, other, plan_task, post, shown_first};

#[actix_web::test]
async fn a_newcomer_calibrates_and_then_works() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("newcomer", Role::Rater, false).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("work", 1)));
    let refused = ask!(app, post("/v1/assignments/next", &rater, json!({"purpose": "work"})));
    assert_eq!((refused.status.as_u16(), refused.reason()), (204, "needs_calibration"));
    assert_eq!(ask!(app, post("/v1/assignments/next", &rater, json!({}))).reason(), "no_tasks", "there are no golden items yet");
    for n in 0..12 {
        let gold = json!({"task": plan_task(&format!("g{n}"), 3), "choice": "candidate_a", "rationale": "It keeps the budget.", "difficulty": "easy"});
        assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
    }
    let mut answered = 0;
    let passed = loop {
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        assert_eq!(held["purpose"], "calibration");
        let shown = shown_first(&held);
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        // The second answer is wrong: the item says so, and what the expert chose as this rater saw it.
        let choice = if answered == 1 { other(shown) } else { shown };
        let answer = ask!(app, post(&path, &rater, json!({"choice": choice, "confidence": 0.75})));
        assert_eq!(answer.body["correct"], json!(choice == shown));
        assert_eq!((answer.body["expert_choice"].as_str(), answer.body["rationale"].as_str()), (Some(shown), Some("It keeps the budget.")));
        answered += 1;
        assert_eq!(
            (&answer.body["calibration"]["total"], answer.body["calibration"]["task_type"].as_str()),
            (&json!(answered), Some("plan_quality"))
        );
        let undo = format!("/v1/judgments/{}/undo", answer.body["judgment_id"].as_str().unwrap());
        assert_eq!(ask!(app, post(&undo, &rater, json!({}))).code(), "undo_expired", "the answer was shown");
        match answer.body["calibration"]["state"].as_str().unwrap() {
            "continue" => assert!(answered < 12),
            state => break state == "passed",
        }
    };
    // Wald's test at 0.60 / 0.85 and 10 % / 10 %: pass at ln 9 = 2.197; a right answer adds 0.348, the wrong one takes 0.981 away.
    assert!(passed && answered == 11, "{answered}");
    assert_eq!(ask!(app, get("/v1/raters/me", &rater)).body["calibration"]["state"], "passed");
    let held: Value = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    assert_eq!(held["purpose"], "work");
    let stats = ask!(app, get(&format!("/v1/raters/{}/stats", rater.rater_id), &rater)).body;
    assert_eq!((stats["golden_accuracy"]["n"].as_u64(), stats["golden_accuracy"]["count"].as_u64()), (Some(11), Some(10)));
    assert!(stats["golden_accuracy"]["low"].as_f64().unwrap() < 10.0 / 11.0);
    let board = ask!(app, get("/v1/leaderboard", &rater)).body;
    assert_eq!(
        (&board["data"][0]["rank"], board["data"][0]["is_simulated"].as_bool()),
        (&Value::Null, Some(false)),
        "calibration is no work"
    );
}

#[actix_web::test]
async fn who_fails_gets_no_work_and_experts_need_no_calibration() {
    let house = House::new(&[("ENDCAP_CALIBRATION_CAP", "2")]);
    let app = app!(house);
    let (admin, rater, expert) =
        (house.admin(), house.person("guesser", Role::Rater, false).await, house.person("expert", Role::Expert, false).await);
    for n in 0..3 {
        let gold = json!({"task": plan_task(&format!("g{n}"), 3), "choice": "tie", "rationale": "No difference that matters."});
        ask!(app, post("/v1/golden", &admin, gold));
    }
    ask!(app, post("/v1/tasks", &admin, plan_task("work", 1)));
    for _ in 0..2 {
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        ask!(app, post(&path, &rater, json!({"choice": "both_bad", "confidence": 0.25})));
    }
    assert_eq!(ask!(app, post("/v1/assignments/next", &rater, json!({}))).reason(), "calibration_failed");
    assert_eq!(ask!(app, post("/v1/assignments/next", &expert, json!({}))).body["purpose"], "work");
}

#[actix_web::test]
async fn a_test_without_further_items_is_decided_exactly_and_a_type_named_twice_opens_no_other() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("newcomer", Role::Rater, false).await);
    // Six right of six: 2.09 of 2.20 sequentially, and by chance only in 0.60^6 = 4.7 % of cases, which is under 10 %.
    for n in 0..6 {
        let gold = json!({"task": plan_task(&format!("g{n}"), 3), "choice": "tie", "rationale": "No difference that matters."});
        ask!(app, post("/v1/golden", &admin, gold));
    }
    ask!(app, post("/v1/tasks", &admin, plan_task("work", 1)));
    let tag = json!({"task_id": "other", "task_type": "tagging_normalization", "title": "Tag", "prompt": "Which?",
        "candidate_a": {"tag": "frozen_ice"}, "candidate_b": {"tag": "ice"}});
    ask!(app, post("/v1/tasks", &admin, tag));
    for _ in 0..6 {
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        assert_eq!(held["purpose"], "calibration");
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        let answer = ask!(app, post(&path, &rater, json!({"choice": "tie", "confidence": 0.75}))).body;
        assert_eq!(answer["calibration"]["state"], "continue", "{answer}");
    }
    let six = json!({"purpose": "work", "task_types": ["plan_quality", "plan_quality", "plan_quality", "plan_quality", "plan_quality", "plan_quality"]});
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    assert_eq!((held["purpose"].as_str(), held["task"]["task_type"].as_str()), (Some("work"), Some("plan_quality")), "{held}");
    let skip = format!("/v1/assignments/{}/skip", held["assignment_id"].as_str().unwrap());
    ask!(app, post(&skip, &rater, json!({"reason": "not my field"})));
    let none = ask!(app, post("/v1/assignments/next", &rater, six));
    assert_eq!((none.status.as_u16(), none.reason()), (204, "all_done_by_you"), "{}", none.body);
}
