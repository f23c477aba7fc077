//! Creating and reading tasks.

use actix_web::test::TestRequest;
use domain::role::Role;
use serde_json::json;

use crate::house::{House, as_person, get, plan_task, post};

#[actix_web::test]
async fn one_task_or_many_with_errors_by_row() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let made = ask!(app, post("/v1/tasks", &admin, plan_task("t1", 3)));
    assert_eq!((made.status.as_u16(), made.body["created"].as_bool()), (201, Some(true)), "{}", made.body);
    assert!(made.body["auto_checks"].is_array());
    assert_eq!(ask!(app, post("/v1/tasks", &admin, plan_task("t1", 3))).status, 200, "an equal repeat");
    let other = ask!(app, post("/v1/tasks", &admin, plan_task("t1", 2)));
    assert_eq!((other.status.as_u16(), other.code()), (409, "already_exists"));

    let mut wrong = plan_task("t3", 3);
    wrong["task_type"] = json!("poetry");
    let mut unknown = plan_task("t4", 3);
    unknown["candidate_d"] = json!({});
    let rows = json!([plan_task("t1", 3), plan_task("t2", 3), wrong, unknown, plan_task("t1", 1)]);
    let many = ask!(app, post("/v1/tasks", &admin, rows));
    assert_eq!(many.status, 201);
    let figures = ["received", "created", "existing", "rejected"].map(|name| many.body[name].as_u64().unwrap());
    assert_eq!(figures, [5, 1, 1, 3], "{}", many.body);
    let named: Vec<(u64, &str)> = many.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["index"].as_u64().unwrap(), e["errors"][0]["field"].as_str().unwrap()))
        .collect();
    assert_eq!(named, [(2, "task_type"), (3, "candidate_d"), (4, "task_id")]);

    let listed = ask!(app, get("/v1/tasks?limit=1&status=pending", &admin));
    assert_eq!(listed.body["data"][0]["task_id"], "t2");
    let cursor = listed.body["next_cursor"].as_str().unwrap();
    let rest = ask!(app, get(&format!("/v1/tasks?limit=1&status=pending&cursor={cursor}"), &admin));
    assert_eq!((rest.body["data"][0]["task_id"].as_str(), rest.body["next_cursor"].is_null()), (Some("t1"), true));
}

#[actix_web::test]
async fn an_idempotency_key_makes_one_task() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let mut body = plan_task("x", 3);
    body.as_object_mut().unwrap().remove("task_id");
    let send = |body: serde_json::Value| {
        as_person(TestRequest::post().uri("/v1/tasks").insert_header(("Idempotency-Key", "k1")).set_json(body), &admin)
    };
    let first = ask!(app, send(body.clone()));
    let second = ask!(app, send(body.clone()));
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    body["title"] = json!("Another");
    assert_eq!(ask!(app, send(body)).code(), "idempotency_key_reused");
}

#[actix_web::test]
async fn raters_see_no_tasks_and_tenants_only_their_own() {
    let house = House::new(&[]);
    let app = app!(house);
    let analyst_a = house.sign("acc_a", Role::Analyst, None, Some("brand-a"));
    let analyst_b = house.sign("acc_b", Role::Analyst, None, Some("brand-b"));
    let rater = house.person("rita", Role::Rater, true).await;
    assert_eq!(ask!(app, post("/v1/tasks", &analyst_a, plan_task("t1", 3))).status, 201);
    let own = ask!(app, get("/v1/tasks/t1", &analyst_a));
    assert_eq!((own.body["tenant_id"].as_str(), own.body.get("is_golden")), (Some("brand-a"), None));
    assert_eq!(ask!(app, get("/v1/tasks/t1", &analyst_b)).status, 404);
    assert_eq!(ask!(app, get("/v1/quality/consensus/t1", &analyst_b)).status, 404);
    assert_eq!(ask!(app, get("/v1/tasks", &analyst_b)).body["data"], json!([]));
    assert_eq!(ask!(app, get("/v1/tasks/t1", &rater)).status, 403);
    assert_eq!(ask!(app, get("/v1/golden", &rater)).status, 403);
    let mut foreign = plan_task("t2", 3);
    foreign["tenant_id"] = json!("brand-a");
    assert_eq!(ask!(app, post("/v1/tasks", &analyst_b, foreign)).status, 422);
}

#[actix_web::test]
async fn personal_data_are_masked_or_refused_before_a_task_is_stored() {
    let personal = |id: &str| {
        let mut task = plan_task(id, 3);
        task["prompt"] = json!("Ann (ann@example.com, 212-555-0100) asked about SKU 829123 at 12.50 USD.");
        task["context_snippets"] = json!([{"kind": "note", "text": "paid with 4111 1111 1111 1111"}]);
        task["candidate_a"]["note"] = json!("from 192.0.2.1");
        task
    };
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    assert_eq!(ask!(app, post("/v1/tasks", &admin, personal("t1"))).status, 201);
    assert_eq!(ask!(app, post("/v1/tasks", &admin, personal("t1"))).status, 200, "an equal repeat is masked alike");
    let task = ask!(app, get("/v1/tasks/t1", &admin)).body;
    assert_eq!(task["prompt"], "Ann ([email], [phone]) asked about SKU 829123 at 12.50 USD.", "{task}");
    let text = task.to_string();
    assert!(text.contains("paid with [card number]") && text.contains("from [ip address]"), "{text}");

    let house = House::new(&[("ENDCAP_PII", "refuse")]);
    let app = app!(house);
    let admin = house.admin();
    let refused = ask!(app, post("/v1/tasks", &admin, personal("t1")));
    let fields: Vec<&str> = refused.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(
        (refused.status.as_u16(), fields),
        (422, vec!["prompt", "context_snippets[0].text", "candidate_a.note"]),
        "{}",
        refused.body
    );
    assert!(!refused.body.to_string().contains("ann@"), "a refusal does not repeat what it refuses");
    assert_eq!(ask!(app, get("/v1/tasks/t1", &admin)).status, 404);

    let house = House::new(&[("ENDCAP_PII", "off")]);
    let app = app!(house);
    let admin = house.admin();
    assert_eq!(ask!(app, post("/v1/tasks", &admin, personal("t1"))).status, 201);
    assert!(ask!(app, get("/v1/tasks/t1", &admin)).body.to_string().contains("ann@example.com"));
}
