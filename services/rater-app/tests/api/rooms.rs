//! Rooms in which people talk themselves, and changes of rows, as the service permits them.

use domain::role::Role;
use futures_util::SinkExt;
use serde_json::{Value, json};
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, NewCampaign};
use storage::retailers::NewRetailer;
use tokio_tungstenite::tungstenite::Message;

use crate::house::{House, Person};
use crate::live::{Socket, hear, join, join_with, serve};

async fn say(socket: &mut Socket, topic: &str, event: &str) {
    let payload = json!({"type": "broadcast", "event": event, "payload": {}});
    let message = json!({"topic": format!("realtime:{topic}"), "event": "broadcast", "ref": "2", "join_ref": "1", "payload": payload});
    socket.send(Message::text(message.to_string())).await.unwrap();
}

#[actix_web::test]
async fn people_talk_in_the_rooms_that_are_open_to_their_tenant_and_nowhere_else() {
    let house = House::new(&[("ENDCAP_REALTIME_ROOMS", "desk:*,notes:{tenant}:*")]);
    let (address, server) = serve(&house.state);
    let planner = |tenant: &str| house.sign(&format!("acc_{tenant}"), Role::Analyst, None, Some(tenant));
    let (one, two, rater) = (planner("t1"), planner("t2"), house.person("rita", Role::Rater, true).await);
    let may = async |person: &Person, topic: &str| join(&address, person, topic).await.1;
    for (person, topic, status) in [
        (&one, "notes:t1:x", "ok"),
        (&two, "notes:t1:x", "error"),
        (&rater, "notes:t1:x", "error"),
        (&one, "desk:7", "error"),
        (&rater, "desk:7", "ok"),
        (&rater, "elsewhere", "error"),
    ] {
        assert_eq!(may(person, topic).await, status, "{topic}");
    }
    let (mut speaker, _) = join(&address, &one, "notes:t1:x").await;
    let (mut listener, _) = join_with(&address, &one, "notes:t1:x", json!({})).await;
    say(&mut speaker, "notes:t1:x", "word").await;
    hear(&mut listener, "word").await;
    // In a room of the system the same people only listen.
    let (mut board, _) = join(&address, &rater, "leaderboard").await;
    let (mut speaker, _) = join_with(&address, &rater, "leaderboard", json!({"broadcast": {"self": true}})).await;
    say(&mut speaker, "leaderboard", "leaderboard_changed").await;
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(300), hear(&mut board, "leaderboard_changed")).await;
    assert!(quiet.is_err(), "a rater spoke as the system");
    server.stop(false).await;
}

fn campaign(name: &str, tenant: &str) -> NewCampaign {
    NewCampaign {
        campaign_id: format!("cmp_{name}_{tenant}"),
        tenant_id: tenant.to_owned(),
        retailer_id: "ret_1".to_owned(),
        brand_id: None,
        name: name.to_owned(),
        objective: None,
        start_date: None,
        end_date: None,
        total_budget_micros: Some(5_000_000),
        currency: Some("USD".to_owned()),
        allocated_budget: None,
        placement_types: json!([]).into(),
        target_audiences: json!([]).into(),
        target_skus: json!([]).into(),
        constraints: json!({}).into(),
        attributes: json!({"wide": "left out"}).into(),
        status: "draft".to_owned(),
    }
}

fn retailer() -> NewRetailer {
    NewRetailer { retailer_id: "ret_1".to_owned(), name: "Retailer".to_owned(), ..NewRetailer::default() }
}

#[actix_web::test]
async fn changes_of_campaigns_reach_their_tenant_with_the_chosen_columns_on_every_database() {
    for house in House::everywhere(&[("ENDCAP_REALTIME_POLL_MS", "20"), ("ENDCAP_REALTIME_ROOMS", "notes:{tenant}:*")]) {
        let (address, server) = serve(&house.state);
        let jobs = rater_app::jobs::start(&house.state, &house.shutdown);
        let [mut own, mut other] = {
            let mut sockets = Vec::new();
            for tenant in ["t1", "t2"] {
                let planner = house.sign(&format!("acc_{tenant}"), Role::Analyst, None, Some(tenant));
                let wanted = json!([{"event": "*", "schema": "public", "table": "campaigns", "filter": "name=in.(wanted,last)", "select": ["name", "version"]}]);
                let (mut socket, joined) =
                    join_with(&address, &planner, &format!("notes:{tenant}:x"), json!({ "postgres_changes": wanted })).await;
                assert_eq!(joined, "ok");
                hear(&mut socket, "system").await;
                sockets.push(socket);
            }
            <[Socket; 2]>::try_from(sockets).ok().unwrap()
        };
        let (scope, now) = (domain::scope::Scope::system("test"), house.now());
        house
            .state
            .storage
            .transaction(move |tx| {
                storage::retailers::insert(tx, &retailer(), now)?;
                let change = Change::of(Action::Create);
                campaigns::insert(tx, &scope, &campaign("other", "t1"), &change, now)?;
                let row = campaigns::insert(tx, &scope, &campaign("wanted", "t1"), &change, now)?;
                let renamed = NewCampaign { total_budget_micros: Some(6_000_000), ..campaign("wanted", "t1") };
                campaigns::update(tx, &scope, &row, &renamed, &Change::of(Action::Update), now)?;
                campaigns::insert(tx, &scope, &campaign("last", "t2"), &change, now)
            })
            .await
            .unwrap();
        let mut data: Vec<Value> = Vec::new();
        for _ in 0..2 {
            data.push(hear(&mut own, "postgres_changes").await["payload"]["data"].clone());
        }
        let told = |data: &Value| (data["type"].clone(), data["record"].clone());
        assert_eq!(told(&data[0]), (json!("INSERT"), json!({"name": "wanted", "version": 1})), "{}", house.kind());
        assert_eq!(told(&data[1]), (json!("UPDATE"), json!({"name": "wanted", "version": 2})), "{}", house.kind());
        let theirs = hear(&mut other, "postgres_changes").await;
        assert_eq!(theirs["payload"]["data"]["record"]["name"], "last", "{}: nothing of another tenant came before", house.kind());
        house.shutdown.cancel();
        for job in jobs {
            job.await.unwrap();
        }
        server.stop(false).await;
    }
}
