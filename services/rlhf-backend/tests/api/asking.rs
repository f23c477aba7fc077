//! Disliked outputs become rating tasks by the brand's rule: paired, asked about once, at most so many a day, kept while the rater app is down.

use std::sync::{Arc, Mutex};

use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpResponse, HttpServer};
use chrono::TimeDelta;
use domain::role::Role;
use domain::scope::Scope;
use rlhf_backend::feedback::asking::{ask, deliver};
use serde_json::{Value, json};
use storage::feedback::tasks::{self, FeedbackTaskFilter};
use storage::page::Page;
use storage::plans::{self, NewPlan};

use crate::Service;

type Taken = Arc<Mutex<Vec<Value>>>;

/// A rater app that keeps what it is sent, or refuses what names a forbidden word.
fn rater_app() -> (String, Taken) {
    let taken = Taken::default();
    let kept = Data::new(taken.clone());
    let take = |kept: Data<Taken>, task: Json<Value>| async move {
        if task.to_string().contains("forbidden") {
            return HttpResponse::UnprocessableEntity().json(json!({ "code": "invalid", "detail": "no" }));
        }
        kept.lock().unwrap().push(task.0.clone());
        HttpResponse::Ok().json(json!({ "task_id": task["task_id"], "status": "pending", "auto_checks": [], "created": true }))
    };
    let server = HttpServer::new(move || App::new().app_data(kept.clone()).route("/internal/v1/tasks", post().to(take)))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    (address, taken)
}

fn said(kind: &str, extra: Value) -> Value {
    let mut body = json!({ "brand_id": "brand-a", "task_type": "policy_compliance", "prompt": "Write an ad for oats", "model_output": "Oats are oats.", "feedback_type": kind });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn say(service: &Service, token: &str, kind: &str, extra: Value) -> String {
    let answer = service.post(token, "/v1/feedback", said(kind, extra)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["feedback_id"].as_str().unwrap().to_owned()
}

async fn set(service: &Service, token: &str, rule: Value) -> Value {
    let request = actix_web::test::TestRequest::put().uri("/v1/feedback/rules/brand-a").set_json(rule);
    let answer = service.send(token, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn rule(daily_limit: i32) -> Value {
    json!({ "is_on": true, "max_rating": 2, "thumbs_down": true, "corrections": true, "preferences": true, "daily_limit": daily_limit })
}

/// State and reason of each piece of feedback, in the order in which they came.
fn states(service: &Service) -> Vec<(String, String)> {
    let page = Page::first(100);
    let rows = tasks::list(&mut service.database.connect(), &Scope::system("test"), &FeedbackTaskFilter::default(), &page).unwrap().rows;
    rows.into_iter().rev().map(|row| (row.state, row.reason.unwrap_or_default())).collect()
}

#[actix_web::test]
async fn what_people_dislike_is_put_to_raters_once_with_a_second_text_or_says_why_not() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let (address, taken) = rater_app();
        let service = Service::on(database, &[("ENDCAP_RATER_APP_PRIVATE_URL", &address)]);
        let analyst = service.token(Role::Analyst, Some("tnt-a"));

        // Without a rule nothing is asked about.
        say(&service, &analyst, "thumbs_down", json!({})).await;
        assert_eq!(ask(&service.state).await.unwrap(), 0, "{kind}");
        assert!(states(&service).is_empty(), "{kind}");

        set(&service, &analyst, rule(20)).await;
        say(&service, &analyst, "thumbs_up", json!({ "model_output": "Oats, slowly." })).await;
        say(&service, &analyst, "rating", json!({ "rating": 5, "model_output": "Oats for mornings." })).await;
        say(&service, &analyst, "rating", json!({ "rating": 3, "model_output": "Oats for mornings." })).await;
        say(&service, &analyst, "rating", json!({ "rating": 3 })).await;
        say(&service, &analyst, "thumbs_down", json!({})).await;
        say(&service, &analyst, "rating", json!({ "rating": 1 })).await;
        say(&service, &analyst, "correction", json!({ "preferred_output": "Oats, rolled." })).await;
        say(&service, &analyst, "preference", json!({ "preferred_output": "Better oats.", "rejected_output": "Worse oats." })).await;
        say(&service, &analyst, "thumbs_down", json!({ "prompt": "Another request" })).await;
        say(&service, &analyst, "thumbs_down", json!({ "task_type": "haiku" })).await;
        say(&service, &analyst, "correction", json!({ "prompt": "A third request", "preferred_output": "a forbidden text" })).await;
        assert_eq!(ask(&service.state).await.unwrap(), 4, "{kind}");
        assert_eq!(deliver(&service.state).await.unwrap(), 3, "{kind}");
        let word = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
        let wanted = [
            word("created", ""),
            word("left_out", "already_asked"),
            word("created", ""),
            word("created", ""),
            word("left_out", "no_second_text"),
            word("left_out", "unknown_task_type"),
            word("left_out", "refused"),
        ];
        assert_eq!(states(&service), wanted, "{kind}");
        assert_eq!((ask(&service.state).await.unwrap(), deliver(&service.state).await.unwrap()), (0, 0), "{kind}: nothing is asked twice");

        let taken = taken.lock().unwrap().clone();
        assert_eq!(taken.len(), 3);
        let texts: Vec<&str> = ["candidate_a", "candidate_b"].iter().map(|name| taken[0][*name].as_str().unwrap()).collect();
        // The thumb up counts as five stars; the other liked text has four on average.
        assert!(texts.contains(&"Oats are oats.") && texts.contains(&"Oats, slowly."), "{kind}: {texts:?}");
        assert_eq!(
            (&taken[0]["prompt"], &taken[0]["tenant_id"], &taken[0]["task_type"]),
            (&json!("Write an ad for oats"), &json!("tnt-a"), &json!("policy_compliance"))
        );

        let now = service.get(&analyst, "/v1/feedback/rules/brand-a").await.json();
        assert_eq!((&now["states"], &now["daily_limit"]), (&json!({ "created": 3, "left_out": 4 }), &json!(20)), "{kind}: {now}");
        assert_eq!(now["left_out"]["no_second_text"], 1);
        let listed = service.get(&analyst, "/v1/feedback/tasks?brand_id=brand-a&state=created").await.json();
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(3), "{kind}: {listed}");
        let file = service.get(&analyst, "/v1/feedback/tasks?state=left_out&format=csv").await.text();
        assert_eq!((file.lines().count(), file.contains("no_second_text")), (5, true), "{kind}: {file}");
        let unknown = service.get(&analyst, "/v1/feedback/tasks?state=lost").await;
        assert_eq!((unknown.status.as_u16(), &unknown.json()["errors"][0]["field"]), (422, &json!("state")), "{kind}: {}", unknown.text());
        assert!(unknown.text().contains("waiting, asked, created, left_out"), "{kind}: {}", unknown.text());
        let other = service.token(Role::TenantAdmin, Some("tnt-b"));
        assert_eq!(service.get(&other, "/v1/feedback/tasks").await.json()["data"], json!([]));
        assert_eq!(service.get(&other, "/v1/feedback/rules/brand-a").await.status, 404);
    }
}

#[actix_web::test]
async fn a_day_has_its_limit_and_a_rater_app_that_is_down_loses_nothing() {
    let service = Service::with(&[("ENDCAP_RATER_APP_PRIVATE_URL", "http://127.0.0.1:1")]);
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    set(&service, &analyst, rule(2)).await;
    for number in 0..3 {
        say(&service, &analyst, "correction", json!({ "preferred_output": format!("Oats number {number}") })).await;
    }
    assert_eq!(ask(&service.state).await.unwrap(), 2);
    assert_eq!(deliver(&service.state).await.unwrap(), 0);
    let of = |state: &str| states(&service).iter().filter(|(word, _)| word == state).count();
    assert_eq!((of("asked"), of("left_out")), (2, 1));
    assert_eq!(states(&service)[2].1, "daily_limit");

    let (address, taken) = rater_app();
    let again = service.reconfigured(&[("ENDCAP_RATER_APP_PRIVATE_URL", &address)], TimeDelta::hours(24));
    assert_eq!(deliver(&again.state).await.unwrap(), 2);
    assert_eq!(taken.lock().unwrap().len(), 2);
    let analyst = again.token(Role::Analyst, Some("tnt-a"));
    say(&again, &analyst, "correction", json!({ "preferred_output": "Oats of the next day" })).await;
    assert_eq!(ask(&again.state).await.unwrap(), 1, "another day has room again");
}

/// Several that wait at once: the same pair is asked about once and takes no room, and the limit of the day is exact.
#[actix_web::test]
async fn what_waits_together_is_asked_about_up_to_the_limit_and_repeats_take_no_room() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let service = Service::on(database, &[]);
        let analyst = service.token(Role::Analyst, Some("tnt-a"));
        set(&service, &analyst, rule(2)).await;
        for text in ["Oats one", "Oats one", "Oats two", "Oats three"] {
            say(&service, &analyst, "correction", json!({ "preferred_output": text })).await;
        }
        assert_eq!(ask(&service.state).await.unwrap(), 2, "{kind}");
        let found = states(&service);
        let word = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
        let wanted = [word("asked", ""), word("left_out", "already_asked"), word("asked", ""), word("left_out", "daily_limit")];
        assert_eq!(found, wanted, "{kind}");
        // With no room left nothing is looked for, and nothing waits for ever.
        say(&service, &analyst, "thumbs_down", json!({ "prompt": "A request with no other text" })).await;
        assert_eq!(ask(&service.state).await.unwrap(), 0, "{kind}");
        assert_eq!(states(&service)[4], word("left_out", "daily_limit"), "{kind}");
    }
}

#[actix_web::test]
async fn a_disliked_plan_is_compared_with_the_best_other_one_of_its_set() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    set(&service, &analyst, rule(5)).await;
    service.sql(
        "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
         VALUES ('rtl-a', 'A', '1', '{}', '{}', '{}', 'UTC', TRUE, '2026-01-05T00:00:00.000000Z', '2026-01-05T00:00:00.000000Z')",
    );
    service.sql(
        "INSERT INTO campaigns (id, campaign_id, tenant_id, retailer_id, name, placement_types, target_audiences, target_skus, constraints, attributes, status, created_at, updated_at) \
         VALUES (1, 'cmp-1', 'tnt-a', 'rtl-a', 'C', '[]', '[]', '[]', '{}', '{}', 'active', '2026-01-05T00:00:00.000000Z', '2026-01-05T00:00:00.000000Z')",
    );
    let plan = |id: &str, position: i32, net: i64| NewPlan {
        plan_id: id.to_owned(),
        plan_set_id: "pls-1".to_owned(),
        campaign: 1,
        tenant_id: "tnt-a".to_owned(),
        status: "candidate".to_owned(),
        strategy: "balanced".to_owned(),
        position,
        budget_micros: 1_000_000,
        currency: "USD".to_owned(),
        horizon_days: 28,
        plan: json!({ "judged_form": { "summary": id }, "expected_net_micros": net }).into(),
        score: None,
        win_probability: None,
        model_id: None,
    };
    let all = [plan("pln-1", 0, 5), plan("pln-2", 1, 7), plan("pln-3", 2, 6)];
    plans::insert_many(&mut service.database.connect(), &all, service.state.clock.now()).unwrap();
    let extra = json!({ "task_type": "plan_quality", "prompt": "{\"budget\":\"1\"}", "model_output": "{\"summary\":\"pln-1\"}", "metadata": { "plan_set_id": "pls-1", "plan_id": "pln-1" } });
    say(&service, &analyst, "thumbs_down", extra).await;
    assert_eq!(ask(&service.state).await.unwrap(), 1);
    let due = service.database.storage.read(|conn| {
        storage::outbox::due_on(
            conn,
            storage::outbox::Destination::RaterApp,
            "create_feedback_task",
            "2026-02-01T00:00:00Z".parse().unwrap(),
            10,
        )
    });
    let task = due.await.unwrap()[0].payload.0["task"].clone();
    let both: Vec<&Value> = vec![&task["candidate_a"]["summary"], &task["candidate_b"]["summary"]];
    assert!(both.contains(&&json!("pln-1")) && both.contains(&&json!("pln-2")), "{task}");
    assert_eq!(task["context_snippets"], json!([{ "budget": "1" }]));
}

#[actix_web::test]
async fn a_rule_that_makes_no_sense_is_refused_by_its_fields() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let proposed = service.get(&analyst, "/v1/feedback/rules/brand-a").await.json();
    assert_eq!((&proposed["is_on"], &proposed["updated_by"]), (&json!(false), &Value::Null));
    for (body, field) in [
        (
            json!({ "is_on": true, "max_rating": 5, "thumbs_down": true, "corrections": false, "preferences": false, "daily_limit": 5 }),
            "max_rating",
        ),
        (
            json!({ "is_on": true, "max_rating": 2, "thumbs_down": true, "corrections": false, "preferences": false, "daily_limit": 0 }),
            "daily_limit",
        ),
        (
            json!({ "is_on": true, "max_rating": null, "thumbs_down": false, "corrections": false, "preferences": false, "daily_limit": 5 }),
            "is_on",
        ),
    ] {
        let request = actix_web::test::TestRequest::put().uri("/v1/feedback/rules/brand-a").set_json(body);
        let refused = service.send(&analyst, request).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (422, &json!(field)), "{}", refused.text());
    }
    let request = actix_web::test::TestRequest::put().uri("/v1/feedback/rules/brand-b").set_json(rule(3));
    assert_eq!(service.send(&analyst, request).await.status, 404, "another tenant's brand");
}

#[actix_web::test]
async fn feedback_of_another_service_is_stored_once_for_its_tenant() {
    let service = Service::new();
    let given = json!({
        "event_id": "evt_1", "tenant_id": "tnt-a", "brand_id": "brand-b", "user_id": "acc_1", "task_type": "plan_quality", "prompt": "{}",
        "model_output": "a plan, ann@example.com", "feedback_type": "rating", "rating": 2, "metadata": { "plan_id": "pln_1" }, "session_id": "pls_1",
        "given_at": "2026-01-15T11:00:00Z",
    });
    let first = service.internal("/internal/v1/feedback", given.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = service.internal("/internal/v1/feedback", given.clone()).await.json();
    assert_eq!((&again["duplicate"], &again["feedback_id"]), (&json!(true), &first.json()["feedback_id"]));
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let listed = service.get(&analyst, "/v1/feedback?session_id=pls_1").await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    let row = &listed["data"][0];
    assert_eq!(
        (&row["brand_id"], &row["user_id"], &row["model_output"]),
        (&Value::Null, &json!("acc_1"), &json!("a plan, [email]")),
        "not the tenant's brand"
    );
    assert_eq!(service.get(&service.token(Role::Analyst, Some("tnt-b")), "/v1/feedback").await.json()["data"], json!([]));
    let mut wrong = given;
    (wrong["event_id"], wrong["rating"]) = (json!("evt_2"), json!(9));
    assert_eq!(service.internal("/internal/v1/feedback", wrong).await.status, 422);
}
