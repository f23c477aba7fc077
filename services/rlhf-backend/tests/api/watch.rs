use domain::role::Role;
use rlhf_backend::watch;
use serde_json::{Value, json};

use crate::Service;
use crate::models::train;
use crate::pages::file_of;

/// What is decided after training: newer than every model of these tests.
const LATER: &str = "'2026-01-20T08:00:00.000000Z'";

/// People decide a task for the plan with the higher return, or for the other one, and the rater app tells of it.
async fn decide(service: &Service, i: usize, prefers_higher: bool) {
    let id = format!("later{i}");
    let (high, low) = ("{\"summary\":\"a plan\",\"roas\":2.50}", "{\"summary\":\"a plan\",\"roas\":1.20}");
    let choice = if prefers_higher { "candidate_a" } else { "candidate_b" };
    service.task(&id, &format!("Later plan {i}"), high, low, choice, 0.95);
    service.sql(&format!("UPDATE task_consensus SET created_at = {LATER}, updated_at = {LATER} WHERE task_id = '{id}'"));
    tell(service, &format!("evt_{i}"), &id).await;
}

async fn tell(service: &Service, event: &str, task: &str) {
    let news = json!({ "event_id": event, "task_id": task, "task_type": "plan_quality", "status": "completed", "choice": "candidate_a", "judgments": 3, "decided_at": "2026-01-20T08:00:00Z" });
    let answer = service.internal("/internal/v1/judgments-ready", news).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn trained(service: &Service, admin: &str) -> String {
    train(service, admin).await["result"]["model_id"].as_str().unwrap().to_owned()
}

async fn activate(service: &Service, admin: &str, model: &str) {
    let answer = service.post(admin, &format!("/v1/reward-models/{model}/activate"), json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn watched(service: &Service, admin: &str, model: &str) -> Value {
    service.get(admin, &format!("/v1/reward-models/{model}/watch")).await.json()
}

#[actix_web::test]
async fn a_model_that_people_disagree_with_is_found_and_told_once() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let model = trained(&service, &admin).await;
    assert_eq!(watched(&service, &admin, &model).await["doing"], "nothing");
    activate(&service, &admin, &model).await;

    for i in 0..30 {
        decide(&service, i, true).await;
    }
    assert_eq!(watch::look(&service.state).await.unwrap(), Vec::<String>::new());
    let steady = watched(&service, &admin, &model).await;
    assert_eq!((&steady["doing"], &steady["drift"]["verdict"], &steady["drift"]["n"]), (&json!("active"), &json!("steady"), &json!(30)));
    assert_eq!(steady["card"]["all"]["metrics"]["accuracy"], 1.0);

    for i in 30..60 {
        decide(&service, i, false).await;
    }
    assert_eq!(watch::look(&service.state).await.unwrap(), std::slice::from_ref(&model));
    decide(&service, 60, false).await;
    assert_eq!(watch::look(&service.state).await.unwrap(), Vec::<String>::new(), "told once");
    let fallen = watched(&service, &admin, &model).await;
    assert_eq!((&fallen["drift"]["verdict"], &fallen["drift"]["n"]), (&json!("retest"), &json!(61)));
    assert_eq!(fallen["course"].as_array().unwrap().len(), 10);
    let events = service.database.storage.read(|conn| storage::outbox::after(conn, 0, &[], 500)).await.unwrap();
    let alarms: Vec<_> = events.iter().filter(|event| event.event == "model_drifted").collect();
    assert_eq!((alarms.len(), alarms[0].payload.0["model_id"].as_str()), (1, Some(model.as_str())));
    let page = service.get(&admin, &format!("/models/{model}")).await.text();
    for words in ["Since it was put to work", "drifted", "Worse than its card for a time: right in 30 of 61 decided pairs", "Roll back"] {
        assert_eq!(page.contains(words), words != "Roll back", "{words:?}: there was no model before this one");
    }
}

#[actix_web::test]
async fn a_task_counts_once_as_it_was_decided_last_and_not_when_it_was_learnt_from() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let model = trained(&service, &admin).await;
    activate(&service, &admin, &model).await;
    tell(&service, "evt_old", "t1").await;
    assert_eq!(watched(&service, &admin, &model).await["drift"]["n"], 0, "the model was trained on it");
    decide(&service, 1, true).await;
    service.sql("UPDATE task_consensus SET choice = 'candidate_b', posteriors = '{\"candidate_b\":1.0}', updated_at = '2026-01-21T08:00:00.000000Z' WHERE task_id = 'later1'");
    tell(&service, "evt_again", "later1").await;
    let seen = watched(&service, &admin, &model).await;
    assert_eq!((&seen["drift"]["n"], &seen["card"]["all"]["metrics"]["accuracy"]), (&json!(1), &json!(0.0)), "an expert decided otherwise");
    service.sql("UPDATE rating_tasks SET is_golden = 1 WHERE task_id = 'later1'");
    tell(&service, "evt_golden", "later1").await;
    tell(&service, "evt_nothing", "no-such-task").await;
}

#[actix_web::test]
async fn a_shadow_predicts_beside_the_active_model_and_must_not_be_worse() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let good = trained(&service, &admin).await;
    activate(&service, &admin, &good).await;
    let second = trained(&service, &admin).await;
    // A model that has learnt the opposite, with the card of one that has not.
    let opposite = format!(
        "UPDATE reward_models SET parameters = json_set(parameters, '$.numbers', (SELECT json_group_array(json_set(value, '$.weight', -json_extract(value, '$.weight'))) FROM json_each(parameters, '$.numbers')), '$.words', json('{{}}'), '$.members', json('[]')) WHERE model_id = '{second}'"
    );
    service.sql(&opposite);
    let (shadow, analyst) = (format!("/v1/reward-models/{second}/shadow"), service.token(Role::Analyst, Some("tnt-a")));
    assert_eq!(service.post(&analyst, &shadow, json!({})).await.status, 403);
    assert_eq!(service.post(&admin, "/v1/reward-models/mdl-none/shadow", json!({})).await.status, 404);
    assert_eq!(service.post(&admin, &format!("/v1/reward-models/{good}/shadow"), json!({})).await.status, 409, "it works");
    assert_eq!(service.post(&admin, &shadow, json!({})).await.status, 200);

    for i in 0..30 {
        decide(&service, i, true).await;
    }
    let seen = watched(&service, &admin, &second).await;
    assert_eq!((&seen["doing"], &seen["against_active"]["same_choice"]), (&json!("shadow"), &json!(0.0)), "{seen}");
    assert_eq!(seen["against_active"]["model_id"].as_str(), Some(good.as_str()));
    assert!(seen["against_active"]["difference"]["accuracy"]["value"].as_f64().unwrap() < -0.9, "{seen}");
    // The list tells the same, for whoever looks for what to activate.
    let listed = service.get(&admin, "/v1/reward-models").await.json();
    let of = |model: &str| listed["data"].as_array().unwrap().iter().find(|row| row["model_id"] == *model).unwrap()["shadow"].clone();
    let beside = json!({ "model_id": good, "n_pairs": 30, "n_same_choice": 0, "n_decided": 30, "accuracy": 0.0, "active_accuracy": 1.0 });
    assert_eq!((&of(&second)["n_decided"], &of(&second)["accuracy"], &of(&second)["beside_active"]), (&json!(30), &json!(0.0), &beside));
    assert_eq!(of(&good), Value::Null, "only shadows");
    assert_eq!(service.get(&admin, &format!("/v1/reward-models/{second}")).await.json()["shadow"], of(&second));
    let file = service.get(&admin, "/v1/reward-models?format=csv").await.text();
    assert!(file.lines().next().unwrap().ends_with("beside_n_decided,beside_accuracy,beside_active_accuracy"), "{file}");
    assert!(file.lines().any(|line| line.contains(&second) && line.contains(&format!(",30,0.0,{good},30,0,30,0.0,1.0"))), "{file}");
    let list = service.get(&analyst, "/models").await.text();
    for words in [
        "right in 0.0\u{a0}% of 30 decided pairs",
        "0.0\u{a0}% against the active model’s 100.0\u{a0}%",
        "the same choice as the active model in 0 of 30 pairs",
    ] {
        assert!(list.contains(words), "{words:?} is not in {list}");
    }
    let question =
        json!({ "task_type": "plan_quality", "candidates": [{ "summary": "a plan", "roas": 2.6 }, { "summary": "a plan", "roas": 1.1 }] });
    let scored = service.restarted().post(&admin, "/v1/score", question).await.json();
    assert_eq!(scored["model_id"].as_str(), Some(good.as_str()), "nobody asks a shadow");

    let refused = service.post(&admin, &format!("/v1/reward-models/{second}/activate"), json!({})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("gate_failed")), "{}", refused.text());
    assert!(refused.text().contains("while it was in the shadow"), "{}", refused.text());
    let page = service.get(&admin, &format!("/models/{second}")).await.text();
    for words in ["In the shadow of the active model", "Take out of the shadow", "Same choice", "while it was in the shadow"] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
    let beside = file_of(&page, &format!("{second}-beside-active.csv"));
    assert!(beside.starts_with("active_model_id,same_choice,accuracy_difference,"), "{beside}");
    assert!(beside.lines().nth(1).unwrap().starts_with(&format!("{good},0.0,-1.0,")), "{beside}");
    let compared = file_of(&page, &format!("{second}-compared.csv"));
    assert!(compared.starts_with("compared_with,model_id,") && compared.contains("\nlonger_text_wins,,"), "{compared}");
    let left = service.delete(&admin, &shadow).await.json();
    assert_eq!(left["shadow_since"], Value::Null);
    assert_eq!(
        service.post(&admin, &format!("/v1/reward-models/{second}/activate"), json!({})).await.status,
        200,
        "nothing speaks against it any more"
    );
}

#[actix_web::test]
async fn a_switch_is_seen_by_every_replica_within_two_seconds_and_scores_never_fail() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let first = trained(&service, &admin).await;
    activate(&service, &admin, &first).await;
    let second = trained(&service, &admin).await;

    let replica = service.restarted();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let follower = actix_web::rt::spawn(rlhf_backend::scoring::active::follow(replica.state.clone(), shutdown.clone()));
    let question =
        json!({ "task_type": "plan_quality", "candidates": [{ "summary": "a plan", "roas": 2.6 }, { "summary": "a plan", "roas": 1.1 }] });
    let asked = |service: Value| service["model_id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(asked(replica.post(&admin, "/v1/score", question.clone()).await.json()), first);

    activate(&service, &admin, &second).await;
    let began = std::time::Instant::now();
    loop {
        let scored = replica.post(&admin, "/v1/score", question.clone()).await;
        assert_eq!(scored.status, 200, "{}", scored.text());
        let scored = scored.json();
        assert_eq!(scored["fallback"], false, "there is a model at every moment");
        if asked(scored) == second {
            break;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "the switch was not seen within two seconds");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    shutdown.cancel();
    follower.await.unwrap();
    assert_eq!(asked(service.restarted().post(&admin, "/v1/score", question).await.json()), second, "also after a restart");
}

#[actix_web::test]
async fn without_a_model_the_automatic_checks_speak() {
    let service = Service::new();
    let admin = service.token(Role::PlatformAdmin, None);
    let context = json!({ "kind": "schema", "schema": { "type": "object", "required": ["name"] } });
    let question = |checks: Value| json!({ "task_type": "tool_call_qa", "context": context, "candidates": [{ "name": "ok" }, { "name": 3 }], "checks": checks });
    let brought = json!([[{ "check": "schema_valid", "candidate": 0, "passed": true, "message": "", "version": 4 }], [{ "check": "schema_valid", "candidate": 1, "passed": false, "message": "no", "version": 4 }]]);
    let scored = service.post(&admin, "/v1/score", question(brought)).await.json();
    assert_eq!((&scored["fallback"], &scored["scores"]), (&json!(true), &json!([0.0, -1.0])), "{scored}");
    assert!(scored["win_probabilities"][0][1].as_f64().unwrap() > 0.7, "{scored}");
    assert_eq!(scored["explanation"][1][0]["feature"], "failed check schema_valid");
    assert!(scored["fallback_reason"].as_str().unwrap().contains("no reward model is active"), "{scored}");
    // Without any, they are run here: a text is no call of a tool.
    let run = json!({ "task_type": "tool_call_qa", "candidates": ["just words", "other words"] });
    let scored = service.post(&admin, "/v1/score", run).await.json();
    assert!(scored["scores"][0].as_f64().unwrap() < 0.0, "{scored}");
}
