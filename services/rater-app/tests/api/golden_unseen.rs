//! Golden items among the work: nothing that a rater is told differs from work, and what is no answer does not count.

use chrono::TimeDelta;
use domain::role::Role;
use serde_json::{Value, json};

use crate::house::{House, get, plan_task, post, shown_first};

fn judgment_path(held: &Value) -> String {
    format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap())
}

fn gold(task_id: &str) -> Value {
    json!({"task": plan_task(task_id, 3), "choice": "candidate_a", "rationale": "It keeps the budget."})
}

fn urgent(task_id: &str, required: i32) -> Value {
    let mut task = plan_task(task_id, required);
    task["priority"] = json!(80);
    task
}

#[actix_web::test]
async fn no_reason_for_a_task_tells_golden_items_from_work() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        for n in 0..2 {
            assert_eq!(ask!(app, post("/v1/golden", &admin, gold(&format!("gold-{n}")))).status, 201);
        }
        house.hand.advance(TimeDelta::hours(70));
        for n in 0..3 {
            ask!(app, post("/v1/tasks", &admin, urgent(&format!("work-{n}"), 3)));
        }
        house.hand.advance(TimeDelta::hours(3));
        let mut told = Vec::new();
        for _ in 0..5 {
            let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
            let again = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
            assert_eq!(held["why_parts"], again["why_parts"], "{}: asked twice, told the same", house.kind());
            told.push((held["why"].clone(), held["why_parts"].clone()));
            assert_eq!(ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.5}))).status, 201);
        }
        assert!(told[0].0.as_str().unwrap().contains("priority 80 of 100, waiting for 3 h"), "{}: {}", house.kind(), told[0].0);
        assert!(told.iter().all(|one| *one == told[0]), "{}: two of five were golden: {told:?}", house.kind());
        let used = ask!(app, get("/v1/golden", &admin)).body;
        assert!(used["data"].as_array().unwrap().iter().all(|item| item["times_used"] == 1), "{}: {used}", house.kind());
    }
}

#[actix_web::test]
async fn history_shows_golden_items_as_decided_when_the_task_is_that_they_were_given_instead_of() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        ask!(app, post("/v1/golden", &admin, gold("gold-1")));
        ask!(app, post("/v1/tasks", &admin, urgent("work-1", 1)));
        let of = |outcome: &str| format!("/v1/judgments?outcome={outcome}");
        let mut shown = Vec::new();
        for n in 0..2 {
            let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
            shown.push(shown_first(&held));
            ask!(app, post(&judgment_path(&held), &rater, json!({"choice": shown[n], "confidence": 0.95})));
            let waiting = ask!(app, get(&of("waiting"), &rater)).body["data"].as_array().unwrap().len();
            assert_eq!(waiting, 1 - n, "{}: it waits as long as the task does", house.kind());
        }
        let agreed = ask!(app, get(&of("agreed"), &rater)).body;
        let told: Vec<_> = agreed["data"].as_array().unwrap().iter().rev().map(|one| one["decision"].as_str().unwrap()).collect();
        assert_eq!(told, shown, "{}: {agreed}", house.kind());
        for (outcome, n) in [("waiting", 0), ("differed", 0), ("expert", 0)] {
            assert_eq!(ask!(app, get(&of(outcome), &rater)).body["data"].as_array().unwrap().len(), n, "{}: {outcome}", house.kind());
        }
        // One that was given while no task waited looks decided after two days.
        ask!(app, post("/v1/golden", &admin, gold("gold-2")));
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        ask!(app, post(&judgment_path(&held), &rater, json!({"choice": "tie", "confidence": 0.95})));
        assert_eq!(ask!(app, get(&of("waiting"), &rater)).body["data"].as_array().unwrap().len(), 1, "{}", house.kind());
        house.hand.advance(TimeDelta::hours(49));
        let differed = ask!(app, get(&of("differed"), &rater)).body;
        assert_eq!(differed["data"][0]["decision"].as_str(), Some(shown_first(&held)), "{}: {differed}", house.kind());
    }
}

#[actix_web::test]
async fn who_asks_about_a_golden_item_or_is_unsure_has_not_answered_it() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let app = app!(house);
        let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
        for n in 0..3 {
            ask!(app, post("/v1/golden", &admin, gold(&format!("gold-{n}"))));
        }
        for (body, counted) in [
            (json!({"choice": "tie", "confidence": 0.5, "escalate": true, "escalation_reason": "The key is wrong"}), 0),
            (json!({"choice": "unsure", "confidence": 0.25}), 0),
            (json!({"choice": "tie", "confidence": 0.5}), 1),
        ] {
            let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
            assert_eq!(ask!(app, post(&judgment_path(&held), &rater, body)).status, 201, "{}", house.kind());
            let stats = ask!(app, get(&format!("/v1/raters/{}/stats", rater.rater_id), &admin)).body;
            assert_eq!(stats["golden_accuracy"]["n"], counted, "{}: {stats}", house.kind());
        }
        let asked = ask!(app, get("/v1/golden?state=questioned", &admin)).body;
        assert_eq!(asked["data"][0]["questions"][0]["reason"], "The key is wrong", "{}: an expert hears of it", house.kind());
    }
}

#[actix_web::test]
async fn a_wrong_key_takes_back_what_its_answers_counted_for() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1"), ("ENDCAP_CALIBRATION_CAP", "2")]) {
        let app = app!(house);
        let (admin, rater, beginner) =
            (house.admin(), house.person("rita", Role::Rater, true).await, house.person("bea", Role::Rater, false).await);
        for n in 0..2 {
            ask!(app, post("/v1/golden", &admin, gold(&format!("gold-{n}"))));
        }
        for person in [&rater, &beginner] {
            for _ in 0..2 {
                let held = ask!(app, post("/v1/assignments/next", person, json!({}))).body;
                ask!(app, post(&judgment_path(&held), person, json!({"choice": "tie", "confidence": 0.5})));
            }
        }
        let me = |body: &Value| (body["calibration"]["state"].clone(), body["calibration"]["total"].clone());
        assert_eq!(me(&ask!(app, get("/v1/raters/me", &beginner)).body), (json!("failed"), json!(2)), "{}", house.kind());
        let retire = |task: &str, body: Value| post(&format!("/v1/golden/{task}/retire"), &admin, body);
        let plain = ask!(app, retire("gold-0", json!({"reason": "talked about"})));
        assert_eq!(plain.status, 200, "{}", house.kind());
        let stats = format!("/v1/raters/{}/stats", rater.rater_id);
        assert_eq!(ask!(app, get(&stats, &admin)).body["golden_accuracy"]["n"], 2, "{}: it was right while it was used", house.kind());

        let wrong = || json!({"reason": "B keeps it, too", "wrong_key": true});
        let retired = ask!(app, retire("gold-0", wrong()));
        assert_eq!((retired.status.as_u16(), retired.body["times_used"].as_i64()), (200, Some(0)), "{}: {}", house.kind(), retired.body);
        let after = ask!(app, get(&stats, &admin)).body;
        assert_eq!((&after["golden_accuracy"]["n"], &after["total_judgments"]), (&json!(1), &json!(2)), "{}: {after}", house.kind());
        assert_eq!(after["by_task_type"]["plan_quality"]["golden_accuracy"]["n"], 1, "{}: {after}", house.kind());
        assert_eq!(me(&ask!(app, get("/v1/raters/me", &beginner)).body), (json!("continue"), json!(1)), "{}: open again", house.kind());
        assert_eq!(ask!(app, retire("gold-0", wrong())).code(), "transition_not_allowed", "{}: once", house.kind());
    }
}

#[actix_web::test]
async fn experts_do_not_see_where_candidates_come_from() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, rater, expert) =
            (house.admin(), house.person("rita", Role::Rater, true).await, house.person("eve", Role::Expert, true).await);
        let mut task = plan_task("t1", 3);
        for name in ["candidate_a", "candidate_b"] {
            task[name]["model"] = json!("secret-model");
            task[name]["origin"] = json!("secret-origin");
            task[name]["score"] = json!(0.123_456);
        }
        task["context_snippets"] =
            json!([{"kind": "input", "text": "Budget", "model": "secret-model", "expects": {"mentions": ["secret"]}}]);
        assert_eq!(ask!(app, post("/v1/tasks", &admin, task)).status, 201);
        let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
        let body = json!({"choice": "tie", "confidence": 0.5, "escalate": true, "escalation_reason": "look"});
        ask!(app, post(&judgment_path(&held), &rater, body));
        let before = ask!(app, get("/v1/reviews/next", &expert)).body;
        let blind = json!({"choice": "candidate_a", "confidence": 0.95});
        let after = ask!(app, post("/v1/reviews/t1/blind", &expert, blind)).body;
        let listed = ask!(app, get("/v1/tasks/t1", &expert)).body;
        for told in [&before, &after, &listed] {
            let text = told.to_string();
            assert!(text.contains("stored first"), "{}: {text}", house.kind());
            assert!(!text.contains("secret") && !text.contains("0.123456"), "{}: {text}", house.kind());
        }
        assert_eq!(before["display_order"], after["display_order"], "{}: one order for one review", house.kind());
        let mut orders = std::collections::HashSet::new();
        for n in 0..12 {
            let other = house.person(&format!("expert {n}"), Role::Expert, true).await;
            orders.insert(ask!(app, get("/v1/reviews/t1", &other)).body["display_order"].to_string());
        }
        assert_eq!(orders.len(), 2, "{}: both orders occur among experts", house.kind());
        let owner = ask!(app, get("/v1/tasks/t1", &admin)).body.to_string();
        assert!(owner.contains("secret-model"), "{}: who owns a task sees it", house.kind());
    }
}
