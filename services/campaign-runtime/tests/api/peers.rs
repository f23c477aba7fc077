//! Stand-ins for the other services: a scorer with a fixed opinion, and a rater app that stores the tasks it is sent.

use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};
use storage::store::Storage;
use storage::tasks;

#[derive(Clone)]
struct Fake {
    storage: Storage,
    win: f64,
}

/// The model prefers the last candidate to all others with this probability.
async fn score(fake: Data<Fake>, request: Json<Value>) -> HttpResponse {
    let n = request["candidates"].as_array().unwrap().len();
    let win = |row: usize, column: usize| match (row == n - 1, column == n - 1) {
        (true, false) => fake.win,
        (false, true) => 1.0 - fake.win,
        _ => 0.5,
    };
    let table: Vec<Vec<f64>> = (0..n).map(|row| (0..n).map(|column| win(row, column)).collect()).collect();
    let scores: Vec<f64> = (0..n).map(|at| if at == n - 1 { 1.0 } else { 0.0 }).collect();
    HttpResponse::Ok().json(json!({
        "model_id": null, "model_version": 7, "scores": scores, "win_probabilities": table,
        "explanation": vec![Vec::<Value>::new(); n], "fallback": false, "fallback_reason": null,
    }))
}

async fn take_task(fake: Data<Fake>, task: Json<Value>) -> HttpResponse {
    let text = |name: &str| task[name].as_str().map(str::to_owned);
    let new = tasks::NewTask {
        task_id: text("task_id"),
        tenant_id: text("tenant_id"),
        task_type: text("task_type").unwrap(),
        status: "pending".into(),
        retailer_id: text("retailer_id"),
        adapter_id: None,
        title: text("title").unwrap(),
        prompt: text("prompt").unwrap(),
        context_snippets: task["context_snippets"].clone(),
        candidates: vec![task["candidate_a"].clone(), task["candidate_b"].clone()],
        auto_checks: json!([]),
        rubric_checklist: json!([]),
        reason_codes: json!([]),
        priority: 50,
        uncertainty_score: task["uncertainty_score"].as_f64(),
        required_judgments: 3,
        max_judgments: 3,
        weights: storage::queue::Weights::default(),
        source: text("source"),
    };
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    fake.storage.transaction(move |conn| tasks::create(conn, &new, now)).await.unwrap();
    HttpResponse::Ok().json(json!({"task_id": task["task_id"], "status": "pending", "auto_checks": [], "created": true}))
}

/// Starts both on one free port; its address.
pub fn start(storage: Storage, win: f64) -> String {
    let fake = Data::new(Fake { storage, win });
    let server = HttpServer::new(move || {
        App::new().app_data(fake.clone()).route("/internal/v1/score", post().to(score)).route("/internal/v1/tasks", post().to(take_task))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    address
}
