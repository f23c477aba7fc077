//! What people say about a plan: kept at once, passed on when the RLHF backend answers, stored there once.

use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpResponse, HttpServer};
use campaign_runtime::plans::feedback::deliver;
use chrono::TimeDelta;
use serde_json::{Value, json};
use storage::outbox::{self, Destination};

use crate::plans::with_history;
use crate::{Bench, GROCER, OTHER, bench, call};

type Taken = Arc<Mutex<Vec<Value>>>;

/// An RLHF backend that keeps what it is told.
fn backend() -> (String, Taken) {
    let taken = Taken::default();
    let kept = Data::new(taken.clone());
    let take = |kept: Data<Taken>, given: Json<Value>| async move {
        let is_known = kept.lock().unwrap().iter().any(|one| one["event_id"] == given["event_id"]);
        kept.lock().unwrap().push(given.0.clone());
        HttpResponse::Ok().json(json!({ "event_id": given["event_id"], "feedback_id": "fbk_1", "duplicate": is_known }))
    };
    let server = HttpServer::new(move || App::new().app_data(kept.clone()).route("/internal/v1/feedback", post().to(take)))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    (address, taken)
}

async fn waiting(bench: &Bench) -> i64 {
    bench.state.storage.read(|conn| outbox::waiting(conn, Destination::RlhfBackend)).await.unwrap()
}

#[actix_web::test]
async fn feedback_on_a_plan_waits_for_the_backend_and_reaches_it_once() {
    let mut bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let body = json!({"total_budget": {"amount": "1000", "currency": "USD"}, "ask_people": "never"});
    let (_, set) = call(&app, GROCER, "POST", path, Some(body)).await;
    let plan = &set["plans"][0];
    let to = format!("{path}/{}/feedback", plan["plan_id"].as_str().unwrap());

    for (wrong, field) in [
        (json!({"feedback_type": "rating"}), "rating"),
        (json!({"feedback_type": "rating", "rating": 6}), "rating"),
        (json!({"feedback_type": "thumbs_up", "rating": 3}), "rating"),
        (json!({"feedback_type": "correction"}), "feedback_type"),
        (json!({"feedback_type": "thumbs_down", "comment": "x".repeat(2001)}), "comment"),
    ] {
        let (status, refused) = call(&app, GROCER, "POST", &to, Some(wrong)).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{refused}");
    }
    let good = json!({"feedback_type": "rating", "rating": 2, "comment": "too much in one line, ask ann@example.com"});
    assert_eq!(call(&app, OTHER, "POST", &to, Some(good.clone())).await.0, StatusCode::NOT_FOUND, "another tenant");
    assert_eq!(waiting(&bench).await, 0, "nothing of a refused request is kept");

    // The backend is down: it is kept, with the failure.
    let (status, said) = call(&app, GROCER, "POST", &to, Some(good)).await;
    assert_eq!((status, &said["is_delivered"]), (StatusCode::CREATED, &json!(false)), "{said}");
    assert_eq!((waiting(&bench).await, deliver(&bench.state).await.unwrap().len()), (1, 0));

    let (address, taken) = backend();
    bench.connect(&address);
    bench.hand.advance(TimeDelta::minutes(10));
    assert_eq!(deliver(&bench.state).await.unwrap(), [said["event_id"].as_str().unwrap()]);
    assert_eq!((waiting(&bench).await, deliver(&bench.state).await.unwrap().len()), (0, 0), "once");
    let taken = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 1);
    let given = &taken[0];
    assert_eq!((&given["event_id"], &given["tenant_id"], &given["rating"]), (&said["event_id"], &json!("rtl-grocer-cj"), &json!(2)));
    assert_eq!((&given["session_id"], &given["metadata"]["plan_id"]), (&set["plan_set_id"], &plan["plan_id"]));
    assert_eq!(given["metadata"]["comment"], "too much in one line, ask [email]");
    let output: Value = serde_json::from_str(given["model_output"].as_str().unwrap()).unwrap();
    assert_eq!(output, plan["judged_form"], "feedback and judgments are about the same text");
}
