//! The statistics page as a programme manager uses it: files that hold what is shown, where raters stand, and acting on them by forms.

use actix_web::test::{TestRequest, call_and_read_body};
use domain::role::Role;
use rater_app::integrity::act;
use serde_json::json;
use storage::integrity::NewAction;
use storage::qualifications::{self, Qualification};

use crate::house::{House, Person, as_person, get, plan_task, post};

/// A page or file as text.
macro_rules! text {
    ($app:expr, $path:expr, $person:expr) => {{
        let bytes = call_and_read_body(&$app, get($path, $person).to_request()).await;
        String::from_utf8(bytes.to_vec()).unwrap()
    }};
}

fn form(path: &str, person: &Person, fields: &[(&str, &str)]) -> TestRequest {
    as_person(TestRequest::post().uri(path).set_form(fields), person)
}

#[actix_web::test]
async fn the_file_of_judgments_has_all_that_is_listed_and_nothing_else() {
    for house in House::everywhere(&[("ENDCAP_GOLDEN_RATE", "1")]) {
        let (app, kind) = (app!(house), house.kind());
        let expert = house.person("eve", Role::Expert, true).await;
        let (rita, otto) = (house.person("rita", Role::Rater, true).await, house.person("otto", Role::Rater, true).await);
        for n in 0..3 {
            let gold = json!({"task": plan_task(&format!("g{n}"), 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
            assert_eq!(ask!(app, post("/v1/golden", &expert, gold)).status, 201);
        }
        let tasks: Vec<_> = (0..105).map(|n| plan_task(&format!("t{n}"), 1)).collect();
        assert_eq!(ask!(app, post("/v1/tasks", &expert, json!(tasks))).status, 201);
        for n in 0..106 {
            let person = if n == 0 { &otto } else { &rita };
            let held = ask!(app, post("/v1/assignments/next", person, json!({})));
            assert_eq!(held.status, 200, "{kind}: {n}: {}", held.reason());
            let path = format!("/v1/assignments/{}/judgment", held.body["assignment_id"].as_str().unwrap());
            assert_eq!(ask!(app, post(&path, person, json!({"choice": "tie", "confidence": 0.5}))).status, 201);
        }
        let rows = |text: String| text.lines().count() - 1;
        assert_eq!(rows(text!(app, "/stats/judgments.csv", &expert)), 106, "{kind}: not only the hundred that the page lists");
        assert_eq!(rows(text!(app, "/stats/judgments.csv?show=golden_wrong", &expert)), 4, "{kind}");
        let of_otto = format!("rater={}", otto.rater_id);
        assert_eq!(rows(text!(app, &format!("/stats/judgments.csv?show=golden_wrong&{of_otto}"), &expert)), 1, "{kind}");
        for (part, n) in [
            ("by=task_type&part=plan_quality", 106),
            ("by=task_type&part=tool_call_qa", 0),
            ("by=retailer", 106),
            ("by=retailer&part=rtl-x", 0),
        ] {
            assert_eq!(rows(text!(app, &format!("/stats/judgments.csv?show=all&{part}"), &expert)), n, "{kind}: {part}");
        }
        let page = text!(app, &format!("/stats?show=golden_wrong&{of_otto}"), &expert);
        let link = page.split("href=\"").find(|part| part.starts_with("/stats/judgments.csv")).unwrap().split('"').next().unwrap();
        let link = link.replace("&amp;", "&").replace("&#38;", "&");
        assert_eq!(rows(text!(app, &link, &expert)), 1, "{kind}: the button gives what is shown: {link}");
        assert_eq!(ask!(app, get("/stats/judgments.csv", &rita)).status, 404);
    }
}

#[actix_web::test]
async fn a_paused_rater_is_seen_with_what_happens_next_and_is_let_go_by_a_form() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let expert = house.person("eve", Role::Expert, true).await;
        let (sam, rita) = (house.person("sam", Role::Rater, true).await, house.person("rita", Role::Rater, true).await);
        let signal = json!({"name": "side_bias", "n": 50, "value": 1.0, "p": 1e-12, "adjusted": 1e-10, "interval": null, "is_large": true,
            "words": "the left candidate was chosen 50 of 50 times"});
        let new = NewAction {
            rater_id: sam.rater_id.clone(),
            kind: "pause".to_owned(),
            signals: json!([signal]),
            reason: "the left candidate was chosen 50 of 50 times".to_owned(),
            actor: "system".to_owned(),
            is_finished: true,
        };
        let now = house.now();
        let paused = house.state.storage.transaction(move |tx| act(tx, &new, now)).await.unwrap();
        let page = text!(app, "/stats", &expert);
        for words in ["Paused", "50 of 50 times", "of the 7 days before are voided on 16 January 2096, 12:00 UTC"] {
            assert!(page.contains(words), "{kind}: {words} is missing though nobody judged");
        }
        let act_path = format!("/stats/raters/{}/act", sam.rater_id);
        assert_eq!(ask!(app, form(&act_path, &rita, &[("kind", "lift"), ("reason", "looked")])).status, 403, "{kind}");
        assert_eq!(ask!(app, form(&act_path, &expert, &[("kind", "lift"), ("reason", " ")])).status, 422, "{kind}: a reason is told");
        assert_eq!(ask!(app, form(&act_path, &expert, &[("kind", "flog"), ("reason", "x")])).status, 422, "{kind}");
        let foreign = form(&act_path, &expert, &[("kind", "lift"), ("reason", "x")]).insert_header(("Origin", "https://evil.example"));
        assert_eq!(ask!(app, foreign).status, 403, "{kind}: a form of another site");

        let path = format!("/stats/actions/{}/reverse", paused.action_id);
        let own = text!(app, &format!("/stats?rater={}", sam.rater_id), &expert);
        assert!(own.contains(&path) && own.contains(&act_path), "{kind}");
        assert_eq!(ask!(app, form(&path, &expert, &[("reason", "a mouse that sticks")])).status, 303, "{kind}");
        assert!(!text!(app, "/stats", &expert).contains("Paused"), "{kind}");
        assert_eq!(ask!(app, form(&act_path, &expert, &[("kind", "pause"), ("reason", "asks for a break")])).status, 303, "{kind}");
        let page = text!(app, "/stats", &expert);
        assert!(page.contains("asks for a break") && page.contains("nothing happens by itself"), "{kind}: no evidence, no voiding");
        assert_eq!(ask!(app, form(&act_path, &expert, &[("kind", "lift"), ("reason", "is back")])).status, 303, "{kind}");
        assert!(!text!(app, "/stats", &expert).contains("asks for a break"), "{kind}");
    }
}

#[actix_web::test]
async fn who_did_not_pass_is_given_another_try() {
    for house in House::everywhere(&[]) {
        let (app, kind) = (app!(house), house.kind());
        let expert = house.person("eve", Role::Expert, true).await;
        let rita = house.person("rita", Role::Rater, false).await;
        let path = format!("/v1/raters/{}/qualifications/plan_quality/reset", rita.rater_id);
        assert_eq!(ask!(app, post(&path, &expert, json!({}))).status, 404, "{kind}: not begun");
        let failed = Qualification {
            state: "failed".to_owned(),
            total: 12,
            correct: 5,
            attempt: 3,
            ..Qualification::new(&rita.rater_id, "plan_quality")
        };
        let now = house.now();
        house.state.storage.transaction(move |tx| qualifications::save(tx, &failed, now)).await.unwrap();
        let find = || {
            let id = rita.rater_id.clone();
            house.state.storage.read(move |conn| qualifications::find(conn, &id, "plan_quality"))
        };
        assert!(!find().await.unwrap().unwrap().may_be_tried(now), "{kind}");
        assert_eq!(ask!(app, post(&path, &rita, json!({}))).status, 403, "{kind}");
        assert!(text!(app, &format!("/stats?rater={}", rita.rater_id), &expert).contains("Give another try"), "{kind}");
        assert_eq!(ask!(app, post(&path, &expert, json!({}))).status, 200, "{kind}");
        assert!(find().await.unwrap().unwrap().may_be_tried(now), "{kind}");
        // All of it, although it is one more than everybody has.
        for n in 0..2 {
            let gold = json!({"task": plan_task(&format!("g{n}"), 3), "choice": "candidate_a", "rationale": "It keeps the budget."});
            assert_eq!(ask!(app, post("/v1/golden", &expert, gold)).status, 201, "{kind}");
        }
        for n in 0..2 {
            let held = ask!(app, post("/v1/assignments/next", &rita, json!({"purpose": "calibration"})));
            assert_eq!(held.status, 200, "{kind}: item {n}: {}", held.reason());
            let path = format!("/v1/assignments/{}/judgment", held.body["assignment_id"].as_str().unwrap());
            assert_eq!(ask!(app, post(&path, &rita, json!({"choice": "tie", "confidence": 0.5}))).status, 201, "{kind}: item {n}");
        }
        let passed = Qualification { state: "passed".to_owned(), ..Qualification::new(&rita.rater_id, "plan_quality") };
        house.state.storage.transaction(move |tx| qualifications::save(tx, &passed, now)).await.unwrap();
        assert_eq!(ask!(app, post(&path, &expert, json!({}))).code(), "transition_not_allowed", "{kind}");
        assert!(house.audited().await.iter().any(|line| line.contains("rater.another_try")), "{kind}");
    }
}
