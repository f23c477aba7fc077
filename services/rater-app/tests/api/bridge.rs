//! Events reach a Supabase project in order and without loss, also when it is down or the process that carries them dies.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::TimeDelta;
use rater_app::live::bridge::Carrier;
use serde_json::{Value, json};
use supabase::project::Project;

use crate::house::{House, plan_task, post};

/// A project that takes broadcasts, or answers with another status.
struct Hosted {
    url: String,
    answer: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Value>>>,
    _server: actix_web::dev::ServerHandle,
}

impl Hosted {
    fn start() -> Self {
        let (answer, taken) = (Arc::new(AtomicU16::new(202)), Arc::new(Mutex::new(Vec::new())));
        let (answer_now, taken_now) = (answer.clone(), taken.clone());
        let take = move |request: HttpRequest, body: web::Json<Value>| {
            assert_eq!(request.headers().get("apikey").unwrap(), "sb_secret_x");
            let status = answer_now.load(Ordering::SeqCst);
            if status == 202 {
                taken_now.lock().unwrap().extend(body["messages"].as_array().unwrap().iter().cloned());
            }
            async move { HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish() }
        };
        let server = HttpServer::new(move || App::new().route("/realtime/v1/api/broadcast", web::post().to(take.clone())));
        let server = server.bind("127.0.0.1:0").unwrap().workers(1).disable_signals();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, answer, taken, _server: handle }
    }

    fn project(&self) -> Project {
        Project::from_settings(&self.url, "sb_publishable_x".into(), Some("sb_secret_x".into()), None).unwrap()
    }

    fn sequences(&self) -> Vec<i64> {
        self.taken.lock().unwrap().iter().map(|message| message["payload"]["endcap"]["sequence"].as_i64().unwrap()).collect()
    }
}

fn houses(hosted: &Hosted) -> Vec<House> {
    House::everywhere(&[
        ("SUPABASE_URL", &hosted.url),
        ("SUPABASE_KEY", "sb_publishable_x"),
        ("SUPABASE_SERVICE_KEY", "sb_secret_x"),
        ("ENDCAP_SUPABASE_PUBLISH", "tasks,rater:*"),
    ])
}

#[actix_web::test]
async fn events_wait_while_the_project_is_down_and_then_come_in_order() {
    let hosted = Hosted::start();
    for house in houses(&hosted) {
        hosted.taken.lock().unwrap().clear();
        let (app, kind) = (app!(house), house.kind());
        let mut carrier = Carrier::new(house.state.clone(), hosted.project());
        assert_eq!(carrier.carry().await.unwrap(), Some(0), "{kind}: it begins with what is new");
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
        hosted.answer.store(503, Ordering::SeqCst);
        let refused = carrier.carry().await.unwrap_err().to_string();
        assert!(refused.contains("answered 503"), "{kind}: {refused}");
        for n in 2..=70 {
            ask!(app, post("/v1/tasks", &house.admin(), plan_task(&format!("t{n}"), 1)));
        }
        hosted.answer.store(202, Ordering::SeqCst);
        assert_eq!(carrier.carry().await.unwrap(), Some(70), "{kind}: more than fits into one request");
        assert_eq!(carrier.carry().await.unwrap(), Some(0), "{kind}: each once");
        let sequences = hosted.sequences();
        assert_eq!(sequences.len(), 70, "{kind}");
        assert!(sequences.is_sorted(), "{kind}: {sequences:?}");
        let first = hosted.taken.lock().unwrap()[0].clone();
        assert_eq!(
            (&first["topic"], &first["event"], &first["private"]),
            (&json!("tasks"), &json!("task_changed"), &json!(true)),
            "{kind}"
        );
        assert_eq!(first["payload"]["task_type"], "plan_quality", "{kind}");
    }
}

#[actix_web::test]
async fn one_process_carries_and_another_goes_on_when_it_dies() {
    let hosted = Hosted::start();
    for house in houses(&hosted) {
        hosted.taken.lock().unwrap().clear();
        let (app, kind) = (app!(house), house.kind());
        let mut first = Carrier::new(house.state.clone(), hosted.project());
        let mut second = Carrier::new(house.state.clone(), hosted.project());
        assert_eq!(first.carry().await.unwrap(), Some(0), "{kind}");
        assert_eq!(second.carry().await.unwrap(), None, "{kind}: another holds it");
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
        assert_eq!(first.carry().await.unwrap(), Some(1), "{kind}");
        // It dies with an event not carried.
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t2", 1)));
        house.hand.advance(TimeDelta::seconds(16));
        assert_eq!(second.carry().await.unwrap(), Some(1), "{kind}: what the first had not carried, and nothing else");
        assert_eq!(first.carry().await.unwrap(), None, "{kind}: it was not dead, and learns that it has lost the bridge");
        assert_eq!(hosted.sequences().len(), 2, "{kind}");
    }
}

#[actix_web::test]
async fn what_is_not_chosen_stays_here() {
    let hosted = Hosted::start();
    let chosen = [
        ("SUPABASE_URL", hosted.url.as_str()),
        ("SUPABASE_KEY", "sb_publishable_x"),
        ("SUPABASE_SERVICE_KEY", "sb_secret_x"),
        ("ENDCAP_SUPABASE_PUBLISH", "leaderboard"),
    ];
    let house = House::new(&chosen);
    let app = app!(house);
    let mut carrier = Carrier::new(house.state.clone(), hosted.project());
    carrier.carry().await.unwrap();
    ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
    assert_eq!(carrier.carry().await.unwrap(), Some(1), "it is looked at");
    assert!(hosted.sequences().is_empty(), "and not sent");
}
