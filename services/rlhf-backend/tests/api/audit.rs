//! Decisions leave a trace: why in the reflection log, who in the audit log, whose chain shows every change.

use domain::role::Role;
use domain::scope::Scope;
use serde_json::json;
use storage::audit::{self, Chain, NewEntry};
use storage::page::Page;
use storage::reflections::{self, ReflectionFilter};

use crate::Service;
use crate::models::train;

#[actix_web::test]
async fn activation_and_rollback_are_explained_and_audited() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let mut models = Vec::new();
    for _ in 0..2 {
        let model = train(&service, &admin).await["result"]["model_id"].as_str().unwrap().to_owned();
        assert_eq!(service.post(&admin, &format!("/v1/reward-models/{model}/activate"), json!({})).await.status, 200);
        while rlhf_backend::worker::work_once(&service.state).await.unwrap() {}
        models.push(model);
    }
    assert_eq!(service.post(&admin, &format!("/v1/reward-models/{}/rollback", models[1]), json!({})).await.status, 200);

    let mut conn = service.database.connect();
    let system = Scope::system("test");
    let of = |search: &str| ReflectionFilter { search: Some(search.to_owned()), ..ReflectionFilter::default() };
    let logs = reflections::list(&mut conn, &system, &of("ROLLED back"), &Page::first(10)).unwrap().rows;
    assert_eq!((logs.len(), logs[0].session_id.as_str()), (1, models[0].as_str()));
    assert_eq!(logs[0].decision["former_model_id"], json!(models[1]));
    let passed = reflections::list(&mut conn, &system, &of("passes the gate"), &Page::first(10)).unwrap().rows;
    assert_eq!(passed.len(), 2);
    assert!(passed.iter().all(|log| log.confidence_value.is_some() && log.tenant_id.is_none()));
    let early = ReflectionFilter { to: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..of("gate") };
    assert!(reflections::list(&mut conn, &system, &early, &Page::first(10)).unwrap().rows.is_empty());

    let entries = service.get(&admin, "/v1/audit-log").await.json();
    let actions: Vec<&str> = entries["data"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["reward_model.rolled_back", "reward_model.activated", "reward_model.activated"], "{entries}");
    assert_eq!(
        (&entries["data"][0]["actor"], &entries["data"][0]["detail"]["former_model_id"]),
        (&json!("acc_platform_admin"), &json!(models[1]))
    );
    let one = service.get(&admin, &format!("/v1/audit-log?subject=reward_model:{}&action=reward_model.activated", models[0])).await.json();
    assert_eq!(one["data"].as_array().map(Vec::len), Some(1), "{one}");
    let file = service.get(&admin, "/v1/audit-log?format=csv").await.text();
    assert_eq!(file.lines().count(), 4, "{file}");
    assert_eq!(service.get(&service.token(Role::TenantAdmin, Some("tnt-a")), "/v1/audit-log").await.json()["data"], json!([]));
    assert_eq!(service.get(&service.token(Role::Analyst, Some("tnt-a")), "/v1/audit-log").await.status, 403);
    assert_eq!(audit::verify(&mut conn).unwrap(), Chain::Whole { entries: 3 });
}

#[actix_web::test]
async fn every_change_to_the_chain_shows() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let service = Service::on(database, &[]);
        let (mut conn, now) = (service.database.connect(), service.state.clock.now());
        assert_eq!(audit::verify(&mut conn).unwrap(), Chain::Whole { entries: 0 });
        // Eight writers at once still make one chain.
        let write = |number: usize| {
            let storage = service.database.storage.scoped(&Scope::for_caller("acc", Role::TenantAdmin, Some("tnt-a")));
            async move {
                let scope = Scope::for_caller("acc", Role::TenantAdmin, Some("tnt-a"));
                let new = NewEntry {
                    tenant_id: Some("tnt-a".into()),
                    action: "test.done",
                    subject: format!("n:{number}"),
                    detail: json!({ "é": 1.5, "a": [1, null] }),
                };
                storage.transaction(move |conn| audit::append(conn, &scope, &new, now)).await.unwrap()
            }
        };
        let mut numbers = futures_util::future::join_all((0..8).map(write)).await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<i64>>(), "{kind}");
        assert_eq!(audit::verify(&mut conn).unwrap(), Chain::Whole { entries: 8 }, "{kind}");
        let mut broken = |statement: &str, undo: &str, at: i64| {
            service.sql(statement);
            match audit::verify(&mut conn).unwrap() {
                Chain::Broken { number, .. } => assert_eq!(number, at, "{kind}: {statement}"),
                whole => panic!("{kind}: {statement}: {whole:?}"),
            }
            service.sql(undo);
            assert_eq!(audit::verify(&mut conn).unwrap(), Chain::Whole { entries: 8 }, "{kind}: {undo}");
        };
        broken("UPDATE audit_log SET actor = 'acc_other' WHERE number = 3", "UPDATE audit_log SET actor = 'acc' WHERE number = 3", 3);
        broken("UPDATE audit_log SET number = 99 WHERE number = 5", "UPDATE audit_log SET number = 5 WHERE number = 99", 5);
        broken("UPDATE audit_log SET number = 99 WHERE number = 8", "UPDATE audit_log SET number = 8 WHERE number = 99", 8);
        broken("UPDATE audit_chain SET number = 7", "UPDATE audit_chain SET number = 8", 7);
    }
}
