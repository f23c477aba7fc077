//! A rater's day: the next task in blind order, judging, repeating, taking back, being late.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use domain::role::Role;
use serde_json::{Value, json};

use crate::house::{House, as_person, get, other, plan_task, post, shown_first};

fn judgment_path(held: &Value) -> String {
    format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap())
}

#[actix_web::test]
async fn what_is_shown_as_b_is_stored_as_a_when_swapped() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    let mut orders = std::collections::HashSet::new();
    for n in 0..12 {
        ask!(app, post("/v1/tasks", &admin, plan_task(&format!("t{n}"), 1)));
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let shown = shown_first(&held);
        orders.insert(shown);
        let answer =
            ask!(app, post(&judgment_path(&held), &rater, json!({"choice": shown, "confidence": 0.95, "reasons": ["higher_return"]})));
        assert_eq!((answer.status.as_u16(), answer.body["choice"].as_str()), (201, Some(shown)), "{}", answer.body);
        let came_to = ask!(app, get(&format!("/v1/quality/consensus/t{n}"), &admin)).body;
        assert_eq!(came_to["votes"], json!({"candidate_a": 1}), "the candidate stored first was chosen, wherever it was shown");
    }
    assert_eq!(orders.len(), 2, "both orders occur");
}

#[actix_web::test]
async fn the_payload_tells_neither_origin_nor_whether_the_answer_is_known() {
    let house = House::new(&[("ENDCAP_GOLDEN_RATE", "1")]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    let mut work = plan_task("work-1", 3);
    work["source"] = json!("plan-set-77");
    work["adapter_id"] = json!("adapter-9");
    ask!(app, post("/v1/tasks", &admin, work));
    let gold = json!({"task": plan_task("gold-1", 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
    assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
    let mut shapes = Vec::new();
    for _ in 0..2 {
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({})));
        let text = held.body.to_string();
        for secret in ["golden", "gold-1", "work-1", "plan-set-77", "adapter-9", "source", "display_order"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        shapes.push((keys(&held.body), keys(&held.body["task"]), held.body["purpose"].clone(), held.body["why"].clone()));
        let answer = ask!(app, post(&judgment_path(&held.body), &rater, json!({"choice": "tie", "confidence": 0.5})));
        shapes.push((keys(&answer.body), Vec::new(), Value::Null, Value::Null));
    }
    assert_eq!(shapes[0], shapes[2], "a golden item looks like work");
    assert_eq!(shapes[1], shapes[3], "and its answer too");
    let golden = ask!(app, get("/v1/golden", &admin)).body;
    assert_eq!((golden["data"][0]["times_used"].as_i64(), golden["data"][0]["rater_correct"].as_i64()), (Some(1), Some(0)));
}

#[actix_web::test]
async fn chosen_tasks_come_first_and_raters_do_not_learn_why() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        for n in 0..4 {
            let mut task = plan_task(&format!("t{n}"), 1);
            task["title"] = json!(format!("t{n}"));
            ask!(app, post("/v1/tasks", &admin, task));
        }
        let now = house.now();
        let chosen = |n: u8, arm: &'static str, worth: f64, uncertainty: f64| storage::selections::Selected {
            task_id: format!("t{n}"),
            model_id: "mdl-1".to_owned(),
            arm,
            worth,
            information: 0.1,
            uncertainty,
        };
        // A drawn task of which the model is sure stands before one that the model doubts and did not choose.
        let rows = vec![chosen(3, "informative", 1.0, 0.99), chosen(2, "random", 0.75, 0.01), chosen(1, "none", 0.0, 0.95)];
        let write = move |tx: &mut storage::connection::Connection| storage::selections::record(tx, "job-1", "plan_quality", &rows, now);
        house.state.storage.transaction(write).await.unwrap();
        assert_eq!(rater_app::jobs::apply_selections(&house.state).await.unwrap(), 3);
        let mut order = Vec::new();
        for _ in 0..4 {
            let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
            let told = held["why"].to_string() + &held["why_parts"].to_string();
            assert!(!told.contains("selection") && !told.contains("model") && !told.contains("0.99"), "{}: {told}", house.kind());
            ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.5})));
            order.push(held["task"]["title"].as_str().unwrap().to_owned());
        }
        assert_eq!(order, ["t3", "t2", "t1", "t0"], "{}", house.kind());
    }
}

#[actix_web::test]
async fn a_repeat_is_the_same_judgment_and_another_answer_is_409() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 3)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let again = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    assert_eq!(held["assignment_id"], again["assignment_id"], "one lease at a time");
    let body = json!({"choice": "candidate_a", "confidence": 0.75, "active_ms": 4000});
    let first = ask!(app, post(&judgment_path(&held), &rater, body.clone()));
    house.hand.advance(TimeDelta::seconds(10));
    let second = ask!(app, post(&judgment_path(&held), &rater, body));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 200));
    assert_eq!(first.body, second.body);
    let changed = ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "candidate_b", "confidence": 0.75})));
    assert_eq!((changed.status.as_u16(), changed.code()), (409, "judgment_exists"));
    assert_eq!(ask!(app, get("/v1/raters/me", &rater)).body["total_judgments"], 1);
}

#[actix_web::test]
async fn nothing_there_says_why() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let (rita, bob) = (house.person("rita", Role::Rater, true).await, house.person("bob", Role::Rater, true).await);
    let next = |who| post("/v1/assignments/next", who, json!({"task_types": ["plan_quality"]}));
    let none = ask!(app, next(&rita));
    assert_eq!((none.status.as_u16(), none.reason()), (204, "no_tasks"));
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, next(&rita)).body;
    assert_eq!(ask!(app, next(&bob)).reason(), "all_held");
    let skip = format!("/v1/assignments/{}/skip", held["assignment_id"].as_str().unwrap());
    assert_eq!(ask!(app, post(&skip, &rita, json!({"reason": "not my field"}))).body["state"], "skipped");
    assert_eq!(ask!(app, next(&rita)).reason(), "all_done_by_you");
    let calibrate = post("/v1/assignments/next", &rita, json!({"purpose": "calibration"}));
    assert_eq!(ask!(app, calibrate).reason(), "already_calibrated");
    let analyst = house.sign("acc_a", Role::Analyst, None, Some("brand-a"));
    assert_eq!(ask!(app, next(&analyst)).status, 403);
}

#[actix_web::test]
async fn a_late_judgment_counts_while_the_slot_is_free_and_is_kept_as_draft_when_not() {
    let house = House::new(&[("ENDCAP_LEASE_SECONDS", "60")]);
    let app = app!(house);
    let admin = house.admin();
    let (rita, bob) = (house.person("rita", Role::Rater, true).await, house.person("bob", Role::Rater, true).await);
    let body = json!({"choice": "tie", "confidence": 0.5, "free_text_feedback": "an hour of thought"});
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rita, json!({}))).body;
    house.hand.advance(TimeDelta::seconds(40));
    let heartbeat = format!("/v1/assignments/{}/heartbeat", held["assignment_id"].as_str().unwrap());
    assert_eq!(ask!(app, post(&heartbeat, &rita, json!({}))).status, 200);
    house.hand.advance(TimeDelta::seconds(40));
    assert_eq!(ask!(app, post("/v1/assignments/next", &bob, json!({}))).reason(), "all_held", "the heartbeat held it");
    house.hand.advance(TimeDelta::seconds(40));
    assert_eq!(ask!(app, post(&heartbeat, &rita, json!({}))).code(), "lease_expired");
    assert_eq!(ask!(app, post(&judgment_path(&held), &rita, body.clone())).status, 201, "nobody else had taken it");

    ask!(app, post("/v1/tasks", &admin, plan_task("t2", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rita, json!({}))).body;
    house.hand.advance(TimeDelta::seconds(61));
    let taken = ask!(app, post("/v1/assignments/next", &bob, json!({}))).body;
    let late = ask!(app, post(&judgment_path(&held), &rita, body));
    assert_eq!((late.status.as_u16(), late.code()), (409, "lease_expired"));
    let release = format!("/v1/assignments/{}/release", taken["assignment_id"].as_str().unwrap());
    ask!(app, post(&release, &bob, json!({})));
    let again = ask!(app, post("/v1/assignments/next", &rita, json!({}))).body;
    assert_eq!(again["draft"]["free_text_feedback"], "an hour of thought", "no work is lost");
}

#[actix_web::test]
async fn a_judgment_can_be_taken_back_within_its_time() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 2)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let shown = shown_first(&held);
    let first = ask!(app, post(&judgment_path(&held), &rater, json!({"choice": shown, "confidence": 0.5}))).body;
    let undo = format!("/v1/judgments/{}/undo", first["judgment_id"].as_str().unwrap());
    let back = ask!(app, post(&undo, &rater, json!({})));
    assert_eq!((back.status.as_u16(), &back.body["assignment_id"]), (200, &held["assignment_id"]), "{}", back.body);
    assert_eq!(back.body["draft"]["choice"], shown, "as it was shown");
    assert_eq!(ask!(app, get("/v1/raters/me", &rater)).body["total_judgments"], 0);
    assert_eq!(ask!(app, get("/v1/quality/consensus/t1", &admin)).body["votes"], json!({}));
    assert_eq!(ask!(app, post(&undo, &rater, json!({}))).status, 404);

    let second = ask!(app, post(&judgment_path(&held), &rater, json!({"choice": other(shown), "confidence": 0.5}))).body;
    house.hand.advance(TimeDelta::seconds(61));
    let undo = format!("/v1/judgments/{}/undo", second["judgment_id"].as_str().unwrap());
    assert_eq!(ask!(app, post(&undo, &rater, json!({}))).code(), "undo_expired");
}

#[actix_web::test]
async fn a_golden_answer_that_is_taken_back_is_no_evidence_any_more() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        let gold = json!({"task": plan_task("gold-1", 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
        assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
        let mut conn = house.db.connect();
        let mut drift = || storage::qualifications::find(&mut conn, &rater.rater_id, "plan_quality").unwrap().map(|test| test.drift);
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let judged = ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.5})));
            assert_eq!(judged.status, 201, "{}: {}", house.kind(), judged.body);
            seen.push(drift().unwrap());
            let undo = format!("/v1/judgments/{}/undo", judged.body["judgment_id"].as_str().unwrap());
            assert_eq!(ask!(app, post(&undo, &rater, json!({}))).status, 200);
            assert_eq!(drift(), Some(0.0), "{}", house.kind());
        }
        assert!(seen[0] > 0.0 && (seen[0] - seen[1]).abs() < 1e-12, "{}: {seen:?}", house.kind());
    }
}

#[actix_web::test]
async fn drafts_are_kept_until_the_judgment() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let path = format!("/v1/assignments/{}/draft", held["assignment_id"].as_str().unwrap());
    let put = |body: Value| as_person(TestRequest::put().uri(&path).set_json(body), &rater);
    assert_eq!(ask!(app, put(json!({"choice": "tie"}))).status, 200);
    assert_eq!(ask!(app, put(json!(["no object"]))).status, 422);
    assert_eq!(ask!(app, post("/v1/assignments/next", &rater, json!({}))).body["draft"], json!({"choice": "tie"}));
    ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.5})));
    assert_eq!(ask!(app, put(json!({"choice": "tie"}))).code(), "judgment_exists");
}

#[actix_web::test]
async fn who_escalates_a_golden_item_is_heard_by_an_expert_and_learns_nothing() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let app = app!(house);
        let (admin, expert) = (house.admin(), house.person("eve", Role::Expert, true).await);
        let rater = house.person("rita", Role::Rater, true).await;
        let questioned = "/v1/golden?state=questioned";
        for id in ["gold-1", "gold-2"] {
            let gold = json!({"task": plan_task(id, 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
            assert_eq!(ask!(app, post("/v1/golden", &admin, gold)).status, 201);
        }
        assert_eq!(ask!(app, get(questioned, &expert)).body["data"], json!([]), "{}", house.kind());
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let body = json!({"choice": "tie", "confidence": 0.5, "escalate": true, "escalation_reason": "two currencies"});
        let answer = ask!(app, post(&judgment_path(&held), &rater, body));
        assert_eq!((answer.status.as_u16(), answer.body["escalate"].as_bool()), (201, Some(true)));
        let asked = ask!(app, get(questioned, &expert)).body;
        let items = asked["data"].as_array().unwrap();
        assert_eq!((items.len(), items[0]["questions"][0]["reason"].as_str()), (1, Some("two currencies")), "{}: {asked}", house.kind());
        assert_eq!(ask!(app, get(questioned, &rater)).status, 403);
        assert_eq!(items[0]["title"], "Which plan?", "the task says what it is about, not the answer");
        // The answer is right: it stays in use, and the question is read until somebody asks anew.
        let id = items[0]["task_id"].as_str().unwrap().to_owned();
        let on = |verb: &str| format!("/v1/golden/{id}/{verb}");
        assert_eq!(ask!(app, post(&on("keep"), &rater, json!({}))).status, 403);
        let read = json!({"read_until": items[0]["questions"][0]["asked_at"]});
        let kept = ask!(app, post(&on("keep"), &expert, read)).body;
        assert_eq!(kept["state"], "active", "{}: {kept}", house.kind());
        assert_eq!(ask!(app, get(questioned, &expert)).body["data"], json!([]), "{}", house.kind());
        house.hand.advance(TimeDelta::minutes(1));
        let other = house.person("otto", Role::Rater, true).await;
        for _ in 0..2 {
            let held = ask!(app, post("/v1/assignments/next", &other, json!({}))).body;
            let body = json!({"choice": "tie", "confidence": 0.5, "escalate": true, "escalation_reason": "taxes"});
            ask!(app, post(&judgment_path(&held), &other, body));
        }
        let again = ask!(app, get(questioned, &expert)).body;
        let own = again["data"].as_array().unwrap().iter().find(|item| item["task_id"] == id.as_str()).unwrap().clone();
        let reasons: Vec<_> = own["questions"].as_array().unwrap().iter().map(|one| one["reason"].as_str()).collect();
        assert_eq!(reasons, [Some("taxes")], "{}: only what was asked since", house.kind());
        // An expert who agrees takes it out of use; given out again, its old questions do not come back.
        house.hand.advance(TimeDelta::minutes(1));
        assert_eq!(ask!(app, post(&on("retire"), &expert, json!({"reason": "two currencies"}))).status, 200);
        assert_eq!(ask!(app, post(&on("keep"), &expert, json!({}))).code(), "transition_not_allowed");
        assert_eq!(ask!(app, post(&on("promote"), &expert, json!({}))).status, 200);
        let left = ask!(app, get(questioned, &expert)).body;
        assert!(left["data"].as_array().unwrap().iter().all(|item| item["task_id"] != id.as_str()), "{}: {left}", house.kind());
        assert!(house.audited().await.iter().any(|line| line.contains("golden_item.kept")), "{}", house.kind());
    }
}
