//! Events reach a Supabase project in order and without loss, also when it is down or the process that carries them dies.

use chrono::TimeDelta;
use rater_app::live::bridge::Carrier;
use serde_json::json;
use supabase::project::Project;
use testkit::supabase::{ANON_KEY, Fault, Part, Project as StandIn, SERVICE_KEY};

use crate::house::{House, plan_task, post};

fn project(hosted: &StandIn) -> Project {
    Project::from_settings(&hosted.url, ANON_KEY.into(), Some(SERVICE_KEY.into()), None).unwrap()
}

fn sequences(hosted: &StandIn) -> Vec<i64> {
    hosted.held().messages.iter().map(|message| message["payload"]["endcap"]["sequence"].as_i64().unwrap()).collect()
}

fn houses(hosted: &StandIn) -> Vec<House> {
    House::everywhere(&[
        ("SUPABASE_URL", &hosted.url),
        ("SUPABASE_KEY", "sb_publishable_x"),
        ("SUPABASE_SERVICE_KEY", "sb_secret_x"),
        ("ENDCAP_SUPABASE_PUBLISH", "tasks,rater:*"),
    ])
}

#[actix_web::test]
async fn events_wait_while_the_project_is_down_and_then_come_in_order() {
    let hosted = StandIn::start();
    for house in houses(&hosted) {
        hosted.held().messages.clear();
        let (app, kind) = (app!(house), house.kind());
        let mut carrier = Carrier::new(house.state.clone(), project(&hosted));
        assert_eq!(carrier.carry().await.unwrap(), Some(0), "{kind}: it begins with what is new");
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
        hosted.break_down(Part::Realtime, Fault::Status(503));
        let refused = carrier.carry().await.unwrap_err().to_string();
        assert!(refused.contains("answered 503"), "{kind}: {refused}");
        for n in 2..=70 {
            ask!(app, post("/v1/tasks", &house.admin(), plan_task(&format!("t{n}"), 1)));
        }
        hosted.mend(Part::Realtime);
        assert_eq!(carrier.carry().await.unwrap(), Some(70), "{kind}: more than fits into one request");
        assert_eq!(carrier.carry().await.unwrap(), Some(0), "{kind}: each once");
        let sequences = sequences(&hosted);
        assert_eq!(sequences.len(), 70, "{kind}");
        assert!(sequences.is_sorted(), "{kind}: {sequences:?}");
        let first = hosted.held().messages[0].clone();
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
    let hosted = StandIn::start();
    for house in houses(&hosted) {
        hosted.held().messages.clear();
        let (app, kind) = (app!(house), house.kind());
        let mut first = Carrier::new(house.state.clone(), project(&hosted));
        let mut second = Carrier::new(house.state.clone(), project(&hosted));
        assert_eq!(first.carry().await.unwrap(), Some(0), "{kind}");
        assert_eq!(second.carry().await.unwrap(), None, "{kind}: another holds it");
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
        assert_eq!(first.carry().await.unwrap(), Some(1), "{kind}");
        // It dies with an event not carried.
        ask!(app, post("/v1/tasks", &house.admin(), plan_task("t2", 1)));
        house.hand.advance(TimeDelta::seconds(16));
        assert_eq!(second.carry().await.unwrap(), Some(1), "{kind}: what the first had not carried, and nothing else");
        assert_eq!(first.carry().await.unwrap(), None, "{kind}: it was not dead, and learns that it has lost the bridge");
        assert_eq!(sequences(&hosted).len(), 2, "{kind}");
    }
}

#[actix_web::test]
async fn what_is_not_chosen_stays_here() {
    let hosted = StandIn::start();
    let chosen = [
        ("SUPABASE_URL", hosted.url.as_str()),
        ("SUPABASE_KEY", "sb_publishable_x"),
        ("SUPABASE_SERVICE_KEY", "sb_secret_x"),
        ("ENDCAP_SUPABASE_PUBLISH", "leaderboard"),
    ];
    let house = House::new(&chosen);
    let app = app!(house);
    let mut carrier = Carrier::new(house.state.clone(), project(&hosted));
    carrier.carry().await.unwrap();
    ask!(app, post("/v1/tasks", &house.admin(), plan_task("t1", 1)));
    assert_eq!(carrier.carry().await.unwrap(), Some(1), "it is looked at");
    assert!(sequences(&hosted).is_empty(), "and not sent");
}
