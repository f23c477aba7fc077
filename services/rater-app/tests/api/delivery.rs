//! Decisions reach the RLHF backend, also when it was down at the time.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::TimeDelta;
use domain::role::Role;
use serde_json::{Value, json};
use storage::outbox::{self, Destination};

use crate::house::{House, plan_task, post};

/// An RLHF backend that takes decisions on a port of its own, once it is started.
struct Backend {
    listener: Option<std::net::TcpListener>,
    url: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Backend {
    /// A port that refuses nobody and answers nobody yet.
    fn down() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener: Some(listener), url, taken: Arc::default() }
    }

    fn start(&mut self) -> actix_web::dev::ServerHandle {
        let taken = self.taken.clone();
        let take = move |body: web::Json<Value>| {
            let answer = json!({"event_id": body["event_id"], "duplicate": false});
            taken.lock().unwrap().push(body.into_inner());
            async move { HttpResponse::Ok().json(answer) }
        };
        let server = HttpServer::new(move || App::new().route("/internal/v1/judgments-ready", web::post().to(take.clone())));
        let server = server.listen(self.listener.take().unwrap()).unwrap().workers(1).disable_signals().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        handle
    }
}

#[actix_web::test]
async fn a_decision_waits_in_the_outbox_while_the_backend_is_down() {
    let mut backend = Backend::down();
    let house = House::new(&[("ENDCAP_RLHF_BACKEND_PRIVATE_URL", &backend.url), ("ENDCAP_PEER_TIMEOUT_MS", "300")]);
    let app = app!(house);
    let (admin, rater) = (house.admin(), house.person("rita", Role::Rater, true).await);
    ask!(app, post("/v1/tasks", &admin, plan_task("t1", 1)));
    let held = ask!(app, post("/v1/assignments/next", &rater, json!({}))).body;
    let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
    assert_eq!(ask!(app, post(&path, &rater, json!({"choice": "tie", "confidence": 0.95}))).status, 201, "judging goes on");

    assert_eq!(rater_app::jobs::deliver(&house.state).await.unwrap(), 0);
    let waiting = || house.state.storage.read(|conn| outbox::waiting(conn, Destination::RlhfBackend));
    assert_eq!(waiting().await.unwrap(), 1);
    let handle = backend.start();
    assert_eq!(rater_app::jobs::deliver(&house.state).await.unwrap(), 0, "the next try comes a second later");
    house.hand.advance(TimeDelta::seconds(2));
    assert_eq!(rater_app::jobs::deliver(&house.state).await.unwrap(), 1);
    assert_eq!(waiting().await.unwrap(), 0);
    handle.stop(false).await;
    // The first try may have been waiting at the door when the backend opened it: the same event, which the backend drops as a repeat.
    let taken = backend.taken.lock().unwrap();
    let event = taken.last().unwrap();
    assert_eq!((event["task_id"].as_str(), event["choice"].as_str(), event["judgments"].as_i64()), (Some("t1"), Some("tie"), Some(1)));
    assert!(taken.iter().all(|other| other["event_id"] == event["event_id"]));
}
