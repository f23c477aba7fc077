//! What to judge next: a round chooses when a model is active, says why when it cannot, and measures itself once enough is judged.

use std::collections::HashSet;

use chrono::TimeDelta;
use domain::role::Role;
use domain::scope::Scope;
use rlhf_backend::selection::{CHOOSE, enqueue_if_due};
use rlhf_backend::worker;
use serde_json::{Value, json};
use storage::jobs::{self, JobFilter};
use storage::page::Page;
use storage::queue::Weights;
use storage::tasks::{self, NewTask};

use crate::Service;
use crate::models::train;

/// Tasks that nobody has judged: every third compares plans that differ much.
fn waiting(service: &Service, from: usize, n: usize) {
    let mut conn = service.database.connect();
    for number in from..from + n {
        let gap = if number % 3 == 0 { 1.5 } else { 0.01 };
        let roas = 1.0 + (number % 7) as f64 / 10.0;
        let new = NewTask {
            task_id: Some(format!("w{number}")),
            tenant_id: None,
            task_type: "plan_quality".to_owned(),
            status: "pending".to_owned(),
            retailer_id: None,
            adapter_id: None,
            title: format!("Waiting {number}"),
            prompt: format!("Plan for week {number}"),
            context_snippets: json!([]),
            candidates: vec![json!({ "summary": "a plan", "roas": roas }), json!({ "summary": "a plan", "roas": roas + gap })],
            auto_checks: json!([]),
            rubric_checklist: json!([]),
            reason_codes: json!([]),
            priority: 50,
            uncertainty_score: None,
            required_judgments: 3,
            max_judgments: 3,
            source: None,
            weights: Weights::default(),
        };
        tasks::create(&mut conn, &new, service.state.clock.now()).unwrap();
    }
}

async fn choose(service: &Service, admin: &str) -> Value {
    let answer = service.post(admin, "/v1/active-learning/rounds", json!({ "task_type": "plan_quality" })).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let path = format!("/v1/jobs/{}", answer.json()["job_id"].as_str().unwrap());
    while worker::work_once(&service.state).await.unwrap() {}
    let job = service.get(admin, &path).await.json();
    assert_eq!(job["state"], "succeeded", "{job}");
    plans(&service.get(admin, "/v1/active-learning").await.json())
}

/// What is said of plan quality.
fn plans(all: &Value) -> Value {
    all["data"].as_array().unwrap().iter().find(|one| one["task_type"] == "plan_quality").unwrap().clone()
}

async fn activate(service: &Service, admin: &str) {
    let model = train(service, admin).await["result"]["model_id"].as_str().unwrap().to_owned();
    let answer = service.post(admin, &format!("/v1/reward-models/{model}/activate"), json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn rounds(service: &Service) -> usize {
    let filter = JobFilter { kind: Some(CHOOSE.to_owned()), state: None };
    jobs::list(&mut service.database.connect(), &Scope::system("test"), &filter, &Page::first(50)).unwrap().rows.len()
}

#[actix_web::test]
async fn a_round_chooses_among_what_nobody_has_judged() {
    let service = Service::with(&[("ENDCAP_SELECTION_BATCH", "10"), ("ENDCAP_SELECTION_RANDOM_SHARE", "0.2")]);
    service.judge_plans();
    waiting(&service, 0, 60);
    let admin = service.token(Role::PlatformAdmin, None);
    let before = choose(&service, &admin).await;
    assert_eq!(before["last_round"]["reason"], "no reward model is active for plan_quality", "{before}");
    assert!(before["next"].as_array().unwrap().is_empty());

    activate(&service, &admin).await;
    assert_eq!(rounds(&service), 2, "activation asks for a round");
    let service = service.restarted();
    let after = choose(&service, &admin).await;
    let round = &after["last_round"];
    assert_eq!(
        (&round["unjudged"], &round["seen"], &round["informative"], &round["random"]),
        (&json!(60), &json!(60), &json!(8), &json!(2)),
        "{round}"
    );
    assert!(round["mean_information_chosen"].as_f64() > round["mean_information"].as_f64(), "{round}");
    assert!(round["no_lift"].as_str().unwrap().contains("0 chosen and 0 drawn"), "{round}");
    let next: Vec<&Value> = after["next"].as_array().unwrap().iter().collect();
    assert_eq!(next.len(), 10);
    let ids: HashSet<&str> = next.iter().map(|row| row["task_id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), next.iter().filter(|row| row["arm"] == "random").count()), (10, 2));
    assert_eq!((&after["arms"]["none"]["waiting"], &after["arms"]["informative"]["waiting"]), (&json!(50), &json!(8)));

    let page = service.get(&admin, "/active-learning").await;
    assert_eq!(page.status, 200, "{}", page.text());
    for words in ["Plan quality", "8 chosen, 2 drawn", "Lift is not known yet", "Waiting "] {
        assert!(page.text().contains(words), "{words:?} is not in the page");
    }
    for (role, tenant) in [(Role::Analyst, Some("tnt-a")), (Role::TenantAdmin, Some("tnt-a")), (Role::Rater, None)] {
        let other = service.token(role, tenant);
        assert_eq!(service.get(&other, "/v1/active-learning").await.status, 403, "{role}");
        assert_eq!(service.post(&other, "/v1/active-learning/rounds", json!({})).await.status, 403, "{role}");
        assert_eq!(service.get(&other, "/active-learning").await.status, 403, "{role}");
    }
    for wrong in [json!({ "task_type": "taste" }), json!({ "batch": 3 }), json!([])] {
        let refused = service.post(&admin, "/v1/active-learning/rounds", wrong.clone()).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{wrong}: {}", refused.text());
    }
}

#[actix_web::test]
async fn the_lift_is_measured_when_enough_is_judged_and_kept_until_more_is() {
    let service = Service::with(&[("ENDCAP_SELECTION_BATCH", "90"), ("ENDCAP_SELECTION_RANDOM_SHARE", "0.5")]);
    service.judge_plans();
    waiting(&service, 0, 150);
    let admin = service.token(Role::PlatformAdmin, None);
    activate(&service, &admin).await;
    let service = service.restarted();
    choose(&service, &admin).await;
    // Raters judge all that was chosen: the higher return is better.
    service.sql(&format!(
        "INSERT INTO task_consensus (task_id, choice, posterior, posteriors, method, judgments_count, is_final, decided_by, created_at, updated_at) \
         SELECT task_id, 'candidate_b', 0.95, '{{\"candidate_a\":0.05,\"candidate_b\":0.95}}', 'gold-vote', 3, 1, 'raters', {}, {} \
         FROM task_selections WHERE arm <> 'none'",
        crate::T,
        crate::T
    ));
    service.sql("UPDATE rating_tasks SET status = 'completed', judgments_count = 3 WHERE task_id IN (SELECT task_id FROM task_selections WHERE arm <> 'none')");
    service.sql("DELETE FROM task_queue WHERE task_id IN (SELECT task_id FROM task_selections WHERE arm <> 'none')");
    let measured = choose(&service, &admin).await;
    let lift = &measured["last_round"]["lift"];
    assert_eq!((&lift["n_informative"], &lift["n_random"], &lift["n_earlier"]), (&json!(45), &json!(45), &json!(40)), "{measured}");
    for figure in ["accuracy_lift", "log_loss_lift"] {
        let [low, value, high] = ["low", "value", "high"].map(|end| lift[figure][end].as_f64().unwrap());
        assert!(low <= value && value <= high, "{lift}");
    }
    let page = service.get(&admin, "/active-learning").await.text();
    assert!(page.contains("45 chosen and 45 drawn judged prompts"), "{page}");
    let file = crate::pages::file_of(&page, "plan_quality-lift.csv");
    assert!(file.starts_with("figure,chosen,drawn,lift,lift_low,lift_high\naccuracy,") && file.contains("\nlog_loss,"), "{file}");
    let again = choose(&service, &admin).await;
    assert_eq!(&again["last_round"]["lift"], lift, "nothing new was judged");
}

#[actix_web::test]
async fn rounds_come_by_the_clock_once_a_model_is_active() {
    let service = Service::new();
    let every = TimeDelta::seconds(300);
    let due = |at: TimeDelta| enqueue_if_due(&mut service.database.connect(), service.state.clock.now() + at, every).unwrap();
    assert!(!due(TimeDelta::zero()), "no model, nothing to choose by");
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    activate(&service, &admin).await;
    assert!(!due(TimeDelta::seconds(100)), "activation has asked just now");
    assert!(due(TimeDelta::seconds(300)) && !due(TimeDelta::seconds(400)) && due(TimeDelta::seconds(600)));
    assert!(due(TimeDelta::days(8)));
    assert_eq!(rounds(&service), 4, "what still waits is never forgotten");
    while worker::work_once(&service.state).await.unwrap() {}
    assert!(due(TimeDelta::days(16)));
    assert_eq!(rounds(&service), 1, "finished rounds are forgotten after a week");
}
