use actix_web::test::TestRequest;
use domain::role::Role;
use rlhf_backend::training::TrainingInput;
use rlhf_backend::training::material::collect;
use rlhf_backend::worker;
use serde_json::{Value, json};
use storage::error::StorageError;
use storage::jobs;

use crate::{Service, T};

fn judged() -> Service {
    let service = Service::new();
    service.judge_plans();
    service
}

pub(crate) async fn train(service: &Service, admin: &str) -> Value {
    let answer = service.post(admin, "/v1/reward-models/train", json!({ "task_type": "plan_quality", "seed": 7 })).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert!(worker::work_once(&service.state).await.unwrap());
    service.get(admin, &format!("/v1/jobs/{}", answer.json()["job_id"].as_str().unwrap())).await.json()
}

fn question(high_first: bool) -> Value {
    let (a, b) = (json!({ "summary": "a plan", "roas": 2.6 }), json!({ "summary": "a plan", "roas": 1.1 }));
    json!({ "task_type": "plan_quality", "context": {}, "candidates": if high_first { [a, b] } else { [b, a] } })
}

#[actix_web::test]
async fn a_model_is_trained_activated_asked_and_rolled_back() {
    let service = judged();
    let admin = service.token(Role::PlatformAdmin, None);
    let before = service.post(&admin, "/v1/score", question(true)).await.json();
    assert_eq!((&before["fallback"], &before["model_id"]), (&json!(true), &Value::Null));
    assert_eq!(before["scores"][0], before["scores"][1], "both fail the same checks");

    let job = train(&service, &admin).await;
    assert_eq!((&job["state"], &job["progress"]), (&json!("succeeded"), &json!(1.0)), "{job}");
    let first = job["result"]["model_id"].as_str().unwrap().to_owned();
    let card = service.get(&admin, &format!("/v1/reward-models/{first}")).await.json();
    assert_eq!((&card["version"], &card["is_active"], &card["failed_gates"]), (&json!(1), &json!(false), &json!([])), "{card}");
    assert_eq!((&card["training_judgments_count"], &card["config"]["judgments_by_simulated_raters"]), (&json!(120), &json!(40)));
    assert!(card["validation_accuracy"].as_f64().unwrap() > 0.9, "the higher return always wins");
    assert!(card["inter_rater_agreement"].as_f64().unwrap() > 0.9);
    let activate = format!("/v1/reward-models/{first}/activate");
    assert_eq!(service.post(&admin, &activate, json!({ "reason": "none" })).await.status, 422, "a body is read when there is one");
    assert_eq!(service.send(&admin, TestRequest::post().uri(&activate)).await.status, 200, "and may be left out");
    let list = service.get(&admin, "/models").await.text();
    assert!(
        list.contains(&format!("<a class=\"small\" href=\"/models/{first}\">Its card</a>")),
        "a training leads to what it made: {list}"
    );

    // The answer "none is active" is believed for a second in this process; a process that starts now knows at once.
    let fresh = service.restarted();
    for high_first in [true, false] {
        let scored = fresh.post(&admin, "/v1/score", question(high_first)).await.json();
        assert_eq!((&scored["fallback"], scored["model_id"].as_str()), (&json!(false), Some(first.as_str())));
        let chance = scored["win_probabilities"][0][1].as_f64().unwrap();
        assert!(if high_first { chance > 0.7 } else { chance < 0.3 }, "{scored}");
        assert!((chance + scored["win_probabilities"][1][0].as_f64().unwrap() - 1.0).abs() < 1e-9);
        let error = scored["standard_errors"][0][1].as_f64().unwrap();
        assert!(error > 0.0 && error < 0.3 && scored["standard_errors"][1][0] == error, "{scored}");
        assert_eq!(fresh.internal("/internal/v1/score", question(high_first)).await.json(), scored);
    }

    let analyst = fresh.token(Role::Analyst, Some("tnt-a"));
    let page = fresh.get(&analyst, &format!("/models/{first}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    for words in ["Plan quality v1", "The gate is passed", "Does it mean what it says?", "The longer text wins", "40 pairs of 40 prompts"] {
        assert!(page.text().contains(words), "{words:?} is not in {}", page.text());
    }
    assert_eq!(fresh.get(&analyst, "/models/mdl-none").await.status, 404);
    assert_eq!(fresh.get(&fresh.token(Role::Rater, None), &format!("/models/{first}")).await.status, 403);
    let told = card["metrics"]["card"]["all"]["metrics"].clone();
    assert_eq!(told, card["metrics"]["held_out"], "the card and the gate speak of the same pairs");

    let second = train(&fresh, &admin).await["result"]["model_id"].as_str().unwrap().to_owned();
    let (a, b) = (
        fresh.get(&admin, &format!("/v1/reward-models/{first}")).await.json(),
        fresh.get(&admin, &format!("/v1/reward-models/{second}")).await.json(),
    );
    assert_eq!(b["metrics"]["against_active"]["model_id"].as_str(), Some(first.as_str()), "compared with the one that was active");
    assert_eq!((&b["version"], b["parent_model_id"].as_str()), (&json!(2), Some(first.as_str())));
    assert_eq!((&a["dataset_hash"], &a["metrics"]["held_out"]), (&b["dataset_hash"], &b["metrics"]["held_out"]), "same data, same figures");
    assert_eq!(fresh.post(&admin, &format!("/v1/reward-models/{second}/rollback"), json!({})).await.status, 409, "it is not active");
    assert_eq!(fresh.post(&admin, &format!("/v1/reward-models/{second}/activate"), json!({})).await.status, 200);
    let back = fresh.post(&admin, &format!("/v1/reward-models/{second}/rollback"), json!({})).await.json();
    assert_eq!((back["model_id"].as_str(), &back["is_active"]), (Some(first.as_str()), &json!(true)));
    let nothing = fresh.post(&admin, &format!("/v1/reward-models/{first}/rollback"), json!({})).await;
    assert_eq!((nothing.status.as_u16(), nothing.text().contains("nothing is older")), (409, true), "{}", nothing.text());
    let active = fresh.get(&admin, "/v1/reward-models?is_active=true").await.json();
    assert_eq!(active["data"].as_array().unwrap().len(), 1);
}

/// The newest judgments must count: a model that cannot learn what people say now is of no use.
#[actix_web::test]
async fn of_more_pairs_than_are_taken_the_oldest_are_left_out_and_counted() {
    let service = Service::new();
    for (number, day) in [(1, "01"), (2, "02"), (3, "04")] {
        let id = format!("t{number}");
        service.task(&id, &format!("p{number}"), "\"one text\"", "\"another text\"", "candidate_a", 0.9);
        service.judgment(&id, "rtr_1", "candidate_a", 0);
        service.sql(&format!("UPDATE rating_tasks SET created_at = '2026-01-{day}T08:00:00.000000Z' WHERE task_id = '{id}'"));
    }
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let said = json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "q", "feedback_type": "preference", "preferred_output": "good", "rejected_output": "bad" });
    assert_eq!(service.post(&analyst, "/v1/feedback", said).await.status, 201);
    service.sql("UPDATE feedback SET created_at = '2026-01-03T08:00:00.000000Z'");
    let input = TrainingInput { task_type: "plan_quality".to_owned(), retailer_id: None, seed: 0, note: None };
    let kept = async |most: usize| {
        let material = collect(&service.database.storage, &input, most).await.unwrap();
        let sources: Vec<String> =
            material.rows.iter().map(|row| if row.source.starts_with("fbk") { "said".to_owned() } else { row.source.clone() }).collect();
        (sources, material)
    };
    let (all, material) = kept(10).await;
    assert_eq!((all, material.judgments.len(), material.left_out.len()), (["t1", "t2", "t3", "said"].map(str::to_owned).to_vec(), 3, 0));
    let (two, material) = kept(2).await;
    assert_eq!(two, ["t3", "said"], "the newest task and the feedback that came before it");
    assert_eq!((material.judgments.len(), material.judgments_used, material.feedback_used), (1, 3, 1));
    assert_eq!(material.left_out.get("pairs_of_older_tasks"), Some(&2), "{:?}", material.left_out);
    let (one, material) = kept(1).await;
    assert_eq!((one, material.left_out.get("pairs_of_older_feedback")), (vec!["t3".to_owned()], Some(&1)));
}

/// What somebody said again yesterday is of yesterday.
#[actix_web::test]
async fn of_what_a_person_says_twice_the_last_time_counts() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for (day, good) in [("01", "again"), ("02", "once"), ("03", "again")] {
        let said = json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "q", "feedback_type": "preference", "preferred_output": good, "rejected_output": "bad" });
        let id = service.post(&analyst, "/v1/feedback", said).await.json()["feedback_id"].as_str().unwrap().to_owned();
        service.sql(&format!("UPDATE feedback SET created_at = '2026-01-{day}T08:00:00.000000Z' WHERE feedback_id = '{id}'"));
    }
    let input = TrainingInput { task_type: "plan_quality".to_owned(), retailer_id: None, seed: 0, note: None };
    for (most, kept, older) in [(10, vec!["once", "again"], None), (2, vec!["once", "again"], None), (1, vec!["again"], Some(&1))] {
        let material = collect(&service.database.storage, &input, most).await.unwrap();
        assert_eq!(material.rows.iter().map(|row| row.a.as_str().unwrap()).collect::<Vec<_>>(), kept, "of {most}");
        assert_eq!(material.left_out.get("feedback_said_before_by_the_same_person"), Some(&1), "of {most}: {:?}", material.left_out);
        assert_eq!(material.left_out.get("pairs_of_older_feedback"), older, "of {most}: {:?}", material.left_out);
    }
}

/// One person with an account that gives feedback and judges is one person, and so is whoever says nothing that enters a pair nobody.
#[actix_web::test]
async fn people_behind_a_model_are_counted_by_their_accounts_and_by_what_entered_pairs() {
    let service = Service::new();
    let account = format!("acc_{}", Role::Analyst);
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let said = json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "q", "feedback_type": "preference", "preferred_output": "good", "rejected_output": "bad" });
    assert_eq!(service.post(&analyst, "/v1/feedback", said).await.status, 201);
    for id in ["t1", "t2", "t3"] {
        service.task(id, id, "\"one text\"", "\"another text\"", "candidate_a", 0.9);
    }
    service.sql("UPDATE task_consensus SET posteriors = '{\"unsure\": 1.0}', choice = 'unsure' WHERE task_id = 't3'");
    for id in ["t1", "t2"] {
        service.judgment(id, "rtr_1", "candidate_a", 0);
    }
    service.judgment("t1", "rtr_unsure", "unsure", 0);
    service.judgment("t3", "rtr_without_pair", "candidate_b", 0);
    service.sql(&format!(
        "INSERT INTO accounts (account_id, email, role, tenant_id, rater_id, display_name, user_metadata, is_active, created_at, updated_at) \
         VALUES ('{account}', 'a@example.org', 'analyst', 'tnt-a', 'rtr_1', 'Ann', '{{}}', TRUE, {T}, {T})"
    ));
    let input = TrainingInput { task_type: "plan_quality".to_owned(), retailer_id: None, seed: 0, note: None };
    let people = async || Vec::from_iter(collect(&service.database.storage, &input, 100).await.unwrap().people);
    assert_eq!(people().await, std::slice::from_ref(&account));
    // A simulated rater stands for a person, as the card says; a rater without an account is known by its profile.
    service.judgment("t2", "rtr_simulated", "candidate_b", 1);
    assert_eq!(people().await, [account, "rtr_simulated".to_owned()]);
}

/// A model of another version of the program scores nothing, whatever the gate says of its figures.
#[actix_web::test]
async fn a_model_that_this_program_cannot_read_is_not_put_to_work_and_every_page_says_so() {
    let service = judged();
    let admin = service.token(Role::PlatformAdmin, None);
    let mut models = Vec::new();
    for _ in 0..3 {
        models.push(train(&service, &admin).await["result"]["model_id"].as_str().unwrap().to_owned());
    }
    let [first, second, third] = [0, 1, 2].map(|place| models[place].as_str());
    let post = async |service: &Service, model: &str, what: &str| {
        let answer = service.post(&admin, &format!("/v1/reward-models/{model}/{what}"), json!({})).await;
        (answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    for model in [first, second] {
        assert_eq!(post(&service, model, "activate").await.0, 200);
    }
    let good = service
        .database
        .storage
        .read({
            let id = first.to_owned();
            move |conn| storage::reward_models::find_parameters(conn, &id)
        })
        .await;
    let older = |model: &str| {
        service.sql(&format!(
            "UPDATE reward_models SET parameters = '{{\"model_version\":0,\"feature_version\":0}}' WHERE model_id = '{model}'"
        ))
    };
    older(first);
    older(third);
    let unusable = (409, "model_unusable".to_owned());
    let fresh = service.restarted();
    assert_eq!(post(&fresh, third, "activate").await, unusable);
    let forced = fresh.post(&admin, &format!("/v1/reward-models/{third}/activate"), json!({ "override_reason": "now" })).await;
    assert_eq!((forced.status.as_u16(), &forced.json()["code"]), (409, &json!("model_unusable")), "no reason makes it readable");
    assert_eq!(post(&fresh, second, "rollback").await, unusable, "the one before it cannot be used");
    let card = fresh.get(&admin, &format!("/v1/reward-models/{second}")).await.json();
    assert_eq!((&card["is_active"], card.get("unusable")), (&json!(true), None), "and the active one stays: {card}");
    let card = fresh.get(&admin, &format!("/v1/reward-models/{third}")).await.json();
    assert!(card["unusable"].as_str().unwrap().contains("version 0"), "{card}");
    let page = fresh.get(&admin, &format!("/models/{third}")).await.text();
    assert!(page.contains("This program cannot use the model") && !page.contains("data-activate"), "{page}");
    let list = fresh.get(&admin, "/models").await.text();
    assert_eq!(list.matches("cannot be used").count(), 2, "{list}");
    assert!(!list.contains(&format!("data-activate=\"{third}\"")), "{list}");

    // One that was active before this program came: it is read once, and scores come from the checks.
    older(second);
    let fresh = service.restarted();
    for _ in 0..2 {
        let scored = fresh.post(&admin, "/v1/score", question(true)).await.json();
        assert!(scored["fallback_reason"].as_str().unwrap().contains("cannot be used"), "{scored}");
        let mended = good.as_ref().unwrap().0.to_string();
        service.sql(&format!("UPDATE reward_models SET parameters = '{mended}' WHERE model_id = '{second}'"));
    }
    let page = fresh.get(&admin, &format!("/models/{second}")).await.text();
    assert!(page.contains("This program cannot use the model"), "{page}");
}

#[actix_web::test]
async fn a_model_that_is_no_better_than_a_coin_needs_a_reason() {
    let service = Service::new();
    for i in 0..8 {
        let choice = if i % 2 == 0 { "candidate_a" } else { "candidate_b" };
        service.task(&format!("t{i}"), &format!("p{i}"), "\"same words\"", "\"same words\"", choice, 0.9);
    }
    let admin = service.token(Role::PlatformAdmin, None);
    let model = train(&service, &admin).await["result"]["model_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/reward-models/{model}/activate");
    let refused = service.post(&admin, &path, json!({})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("gate_failed")), "{}", refused.text());
    assert!(refused.json()["reasons"].as_array().unwrap().len() >= 2, "{}", refused.text());
    let card = service.post(&admin, &path, json!({ "override_reason": "a drill" })).await.json();
    assert_eq!((&card["is_active"], &card["config"]["overrides"][0]["reason"]), (&json!(true), &json!("a drill")));
    // The card names who did it; the dialog, which model it is about.
    let who = format!("acc_{}", Role::PlatformAdmin);
    let shown = async || service.get(&admin, &format!("/models/{model}")).await.text();
    assert!(shown().await.contains(&format!("{who} on 2026-01-15 12:00 UTC: a drill")), "an account that is not there by its id");
    service.sql(&format!(
        "INSERT INTO accounts (account_id, email, role, display_name, user_metadata, is_active, created_at, updated_at) \
         VALUES ('{who}', 'a@example.org', 'platform_admin', 'Ada of the platform', '{{}}', TRUE, {T}, {T})"
    ));
    assert!(shown().await.contains("Ada of the platform on 2026-01-15 12:00 UTC: a drill"));
    let other = train(&service, &admin).await["result"]["model_id"].as_str().unwrap().to_owned();
    let list = service.get(&admin, "/models").await.text();
    assert!(list.contains(&format!("data-activate=\"{other}\" data-title=\"Plan quality v2 for all retailers\"")), "{list}");
}

#[actix_web::test]
async fn too_few_pairs_fail_the_job_with_a_reason() {
    let service = Service::new();
    let admin = service.token(Role::PlatformAdmin, None);
    let job = train(&service, &admin).await;
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("too few"), "{job}");
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    assert_eq!(service.post(&analyst, "/v1/reward-models/train", json!({ "task_type": "plan_quality" })).await.status, 403);
    assert_eq!(service.post(&admin, "/v1/reward-models/train", json!({ "task_type": "taste" })).await.status, 422);
    let unknown = json!({ "task_type": "plan_quality", "retailer_id": "RET-0" });
    assert_eq!(service.post(&admin, "/v1/reward-models/train", unknown).await.status, 422);
}

#[actix_web::test]
async fn news_of_a_decided_task_is_taken_once() {
    let service = judged();
    let event = json!({ "event_id": "evt_1", "task_id": "t1", "task_type": "plan_quality", "status": "completed", "choice": "candidate_a", "judgments": 3, "decided_at": "2026-01-15T12:00:00Z" });
    let first = service.internal("/internal/v1/judgments-ready", event.clone()).await;
    assert_eq!((first.status.as_u16(), first.json()), (200, json!({ "event_id": "evt_1", "duplicate": false })));
    assert_eq!(service.internal("/internal/v1/judgments-ready", event).await.json()["duplicate"], true);
    let events = service.database.storage.read(|conn| storage::outbox::after(conn, 0, &[], 100)).await.unwrap();
    let ready: Vec<_> = events.iter().filter(|event| event.event == "training_data_ready").collect();
    assert_eq!((ready.len(), &ready[0].payload.0["decided_tasks"]), (1, &json!(40)));
}

#[actix_web::test]
async fn key_figures_are_computed_once_per_day_and_say_what_is_missing() {
    let service = judged();
    let admin = service.token(Role::PlatformAdmin, None);
    let row = service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "date": "2026-01-10" })).await.json();
    assert_eq!((&row["total_judgments"], &row["active_raters"], &row["golden_set_accuracy"]), (&json!(80), &json!(2), &Value::Null));
    assert!(row["definitions"]["incremental_roas"]["absent_because"].is_string());
    assert!(row["inter_rater_reliability"].as_f64().unwrap() > 0.9);
    service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "date": "2026-01-10" })).await;
    assert_eq!(service.get(&admin, "/v1/rlhf-metrics").await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "date": "2030-01-01" })).await.status, 422);
}

#[actix_web::test]
async fn a_training_whose_process_was_killed_is_taken_up_again_and_stored_once() {
    let service = judged();
    let admin = service.token(Role::PlatformAdmin, None);
    let queued = service.post(&admin, "/v1/reward-models/train", json!({ "task_type": "plan_quality" })).await.json();
    let path = format!("/v1/jobs/{}", queued["job_id"].as_str().unwrap());
    // A process takes the job, and is killed.
    let (now, hold) = (service.state.clock.now(), chrono::TimeDelta::seconds(60));
    let taken = service.database.storage.transaction(move |conn| jobs::take_next(conn, worker::KINDS, now, hold)).await.unwrap().unwrap();
    assert_eq!(service.get(&admin, &path).await.json()["state"], "running");
    assert!(!worker::work_once(&service.state).await.unwrap(), "nobody takes a job that is held");

    let later = service.at("2026-01-15T12:01:01Z");
    assert!(worker::work_once(&later.state).await.unwrap(), "its time is over");
    let job = service.get(&admin, &path).await.json();
    assert_eq!((&job["state"], &job["progress"]), (&json!("succeeded"), &json!(1.0)), "{job}");
    let stored = service.get(&admin, "/v1/reward-models").await.json();
    assert_eq!(stored["data"].as_array().unwrap().len(), 1, "the model of the finished job and no other");

    // It was only slow, and comes back: what it has is not stored a second time.
    let late = later.state.clock.now();
    let result =
        service.database.storage.transaction(move |conn| jobs::finish(conn, &taken, late, jobs::Finish::Succeeded(&json!({})))).await;
    assert!(matches!(result, Err(StorageError::Conflict { code: "lease_lost", .. })), "{result:?}");
}
