//! Which automatic check predicts the verdict, on every configured database and over the route.

use chrono::{DateTime, Utc};
use domain::checks::VERSION;
use domain::role::Role;
use rater_app::intake::{self, Intake};
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::consensus::{self, NewConsensus};
use storage::queue::Weights;
use storage::{check_evidence, tasks};
use testkit::database;

use crate::house::{House, get};

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

/// A task of two tags of which only the first is snake_case.
fn make_task(conn: &mut Connection, task_id: &str, third: Option<Value>) {
    let mut new = json!({"task_id": task_id, "task_type": "tagging_normalization", "title": "Tag", "prompt": "Which tag?",
        "candidate_a": {"tag": "frozen_ice"}, "candidate_b": {"tag": "Frozen Ice"}});
    if let Some(third) = third {
        new["candidate_c"] = third;
    }
    let intake = Intake { judgments: 2, max_judgments: 5, weights: Weights::default(), pii: web::settings::PiiRule::Redact };
    let new = intake::prepare(&serde_json::from_value(new).unwrap(), &intake).unwrap();
    tasks::create(conn, &new, noon()).unwrap();
}

fn decide(conn: &mut Connection, task_id: &str, choice: Option<&str>, decided_by: Option<&str>) {
    let new = NewConsensus {
        task_id: task_id.to_owned(),
        choice: choice.map(str::to_owned),
        posterior: choice.map(|_| 0.9),
        posteriors: json!({}),
        method: "test".to_owned(),
        judgments_count: 3,
        agreement: Some(1.0),
        is_final: decided_by.is_some(),
        decided_by: decided_by.map(str::to_owned),
        rationale: None,
    };
    consensus::save(conn, &new, noon()).unwrap();
}

fn judged(conn: &mut Connection) {
    let decisions = [
        ("t1", Some("candidate_a"), Some("raters")),
        ("t2", Some("candidate_a"), Some("raters")),
        ("t3", Some("candidate_a"), Some("raters")),
        ("t4", Some("candidate_b"), Some("raters")),
        ("t5", Some("tie"), Some("raters")),
        ("t6", Some("candidate_b"), Some("acc_eve")),
        ("t7", Some("candidate_b"), None),
    ];
    for (task_id, choice, decided_by) in decisions {
        make_task(conn, task_id, None);
        decide(conn, task_id, choice, decided_by);
    }
    make_task(conn, "t8", Some(json!({"tag": "ice"})));
    decide(conn, "t8", Some("candidate_b"), Some("raters"));
    make_task(conn, "t9", None);
}

#[test]
fn decided_tasks_come_with_their_findings_newest_first() {
    for db in database::all() {
        let mut conn = db.connect();
        judged(&mut conn);
        let found = check_evidence::newest_decided(&mut conn, 100).unwrap();
        let choices: Vec<_> = found.iter().map(|task| task.choice.as_deref()).collect();
        let expected = ["tie", "candidate_b", "candidate_a", "candidate_a", "candidate_a"].map(Some);
        assert_eq!(choices, expected, "{}: neither experts' decisions nor open ones nor those of three", db.kind());
        let of_form = found[0].auto_checks.0.as_array().unwrap().iter().filter(|f| f["check"] == "snake_case").collect::<Vec<_>>();
        assert_eq!(of_form.iter().map(|f| f["passed"].as_bool().unwrap()).collect::<Vec<_>>(), [true, false], "{}", db.kind());
        assert!(
            of_form.iter().all(|f| f["version"] == VERSION) && of_form[1]["place"] == "/tag characters 1 to 1",
            "{}: {of_form:?}",
            db.kind()
        );
        assert_eq!(check_evidence::newest_decided(&mut conn, 2).unwrap().len(), 2, "{}: bounded", db.kind());
    }
}

#[actix_web::test]
async fn a_check_is_shown_with_how_often_raters_agree_or_why_not() {
    let house = House::new(&[]);
    let app = app!(house);
    let rater = house.person("rita", Role::Rater, true).await;
    let expert = house.person("eve", Role::Expert, true).await;
    assert_eq!(ask!(app, get("/v1/quality/checks", &rater)).status, 403);
    house
        .state
        .storage
        .transaction(|conn| {
            judged(conn);
            Ok(())
        })
        .await
        .unwrap();
    let reply = ask!(app, get("/v1/quality/checks", &expert));
    assert_eq!((reply.status.as_u16(), reply.body["version"].as_i64()), (200, Some(i64::from(VERSION))), "{}", reply.body);
    let of = |task_type: &str, check: &str| {
        let all = reply.body["checks"].as_array().unwrap();
        all.iter().find(|one| one["task_type"] == task_type && one["check"] == check).cloned().unwrap()
    };
    let form = of("tagging_normalization", "snake_case");
    assert_eq!((form["n"].as_u64(), form["agreeing"].as_u64(), form["undecided"].as_u64()), (Some(4), Some(3), Some(1)), "{form}");
    // 3 of 4: Wilson 95% is 0.300642 to 0.954413, the sign test's p is 10/16.
    let (low, high) = (form["interval_95"]["low"].as_f64().unwrap(), form["interval_95"]["high"].as_f64().unwrap());
    assert!((low - 0.300_642).abs() < 1e-5 && (high - 0.954_413).abs() < 1e-5, "{form}");
    assert_eq!((form["share"].as_f64(), form["p"].as_f64().map(|p| (p * 1e9).round() / 1e9)), (Some(0.75), Some(0.625)));
    assert!(form["rule"].as_str().unwrap().contains("small letters") && form["undefined_because"].is_null());
    let silent = of("tool_call_qa", "sql_parses");
    assert!(silent["share"].is_null() && silent["interval_95"].is_null() && silent["undefined_because"].is_string(), "{silent}");
    let first = reply.body["checks"].as_array().unwrap().iter().find(|one| one["task_type"] == "tagging_normalization").cloned().unwrap();
    assert_eq!(first["check"], "snake_case", "the best predictor comes first");
    assert_eq!(reply.body["window"]["tasks"], 5);
}
