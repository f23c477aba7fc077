//! From sign-up to work: calibration on golden items.

use domain::role::Role;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::qualifications::{self, Qualification};

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
    for n in 1..=6 {
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        assert_eq!(held["purpose"], "calibration");
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        let answer = ask!(app, post(&path, &rater, json!({"choice": "tie", "confidence": 0.75}))).body;
        let state = if n == 6 { "passed" } else { "continue" };
        assert_eq!(answer["calibration"]["state"], state, "the last item there is decides: {answer}");
    }
    let six = json!({"purpose": "work", "task_types": ["plan_quality", "plan_quality", "plan_quality", "plan_quality", "plan_quality", "plan_quality"]});
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    assert_eq!((held["purpose"].as_str(), held["task"]["task_type"].as_str()), (Some("work"), Some("plan_quality")), "{held}");
    let skip = format!("/v1/assignments/{}/skip", held["assignment_id"].as_str().unwrap());
    ask!(app, post(&skip, &rater, json!({"reason": "not my field"})));
    let none = ask!(app, post("/v1/assignments/next", &rater, six));
    assert_eq!((none.status.as_u16(), none.reason()), (204, "all_done_by_you"), "{}", none.body);
}

#[actix_web::test]
async fn who_has_passed_some_kinds_is_told_what_stands_before_the_others() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("newcomer", Role::Rater, false).await);
        let tag = |id: &str| {
            json!({"task_id": id, "task_type": "tagging_normalization", "title": "Tag", "prompt": "Which?",
                "candidate_a": {"tag": "frozen_ice"}, "candidate_b": {"tag": "ice"}})
        };
        ask!(app, post("/v1/tasks", &admin, tag("work")));
        let id = rater.rater_id.clone();
        let now = house.now();
        let set = move |state: &'static str, task_type: &'static str, reason: Option<&'static str>| {
            let reason = reason.map(str::to_owned);
            Qualification { state: state.to_owned(), reason, ..Qualification::new(&id, task_type) }
        };
        let (passed, failed, again) = (
            set("passed", "plan_quality", None),
            set("failed", "tagging_normalization", None),
            set("open", "tagging_normalization", Some("less sure")),
        );
        let id = rater.rater_id.clone();
        let write = move |tx: &mut Connection| {
            qualifications::save(tx, &passed, now)?;
            qualifications::save(tx, &failed, now)?;
            storage::raters::pass_calibration(tx, &id, now)
        };
        house.state.storage.transaction(write).await.unwrap();
        let next = || post("/v1/assignments/next", &rater, json!({"purpose": "work"}));
        assert_eq!(ask!(app, next()).reason(), "not_qualified", "{}", house.kind());
        assert_eq!(ask!(app, get("/v1/raters/me", &rater)).body["notices"], json!([]), "{}", house.kind());

        house.state.storage.transaction(move |tx| qualifications::save(tx, &again, now)).await.unwrap();
        let gold = json!({"task": tag("gold"), "choice": "candidate_a", "rationale": "Snake case."});
        assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
        assert_eq!(ask!(app, next()).reason(), "needs_calibration", "{}", house.kind());
        let notices = ask!(app, get("/v1/raters/me", &rater)).body["notices"].clone();
        assert_eq!(
            (notices[0]["kind"].as_str(), notices[0]["task_type"].as_str(), notices[0]["reason"].as_str()),
            (Some("calibrate_again"), Some("tagging_normalization"), Some("less sure")),
            "{}: {notices}",
            house.kind()
        );
        let plan = json!({"purpose": "work", "task_types": ["plan_quality"]});
        assert_eq!(ask!(app, post("/v1/assignments/next", &rater, plan)).reason(), "no_tasks", "{}: only that was asked for", house.kind());
        for (path, words) in
            [("/", "1 task waits for judgments, of kinds for which calibration comes first."), ("/calibration", "is to be taken again")]
        {
            let page = actix_web::test::call_service(&app, get(path, &rater).to_request()).await;
            let text = String::from_utf8(actix_web::test::read_body(page).await.to_vec()).unwrap();
            assert!(text.contains(words), "{}: {words} in {text}", house.kind());
        }
    }
}
