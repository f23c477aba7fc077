use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::reward_models::{self, NewRewardModel, RewardModelFilter};

use crate::at;

fn store(conn: &mut Connection) -> String {
    let new = NewRewardModel {
        base_model: "linear".into(),
        retailer_id: None,
        task_type: "plan_quality".into(),
        training_judgments_count: 9,
        training_feedback_count: 1,
        training_pairs_count: 10,
        config: json!({}),
        metrics: json!({}),
        parameters: json!({ "weights": [1.5] }),
        validation_accuracy: Some(0.8),
        inter_rater_agreement: None,
        auto_check_correlation: None,
        dataset_hash: "00".into(),
        seed: 1,
    };
    reward_models::insert(conn, &new, at("2026-01-15T12:00:00Z")).unwrap().model_id
}

#[test]
fn versions_count_up_and_the_parent_is_the_active_model() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let now = at("2026-01-15T12:00:00Z");
        let first = store(conn);
        assert!(reward_models::activate(conn, &first, None, now).unwrap().is_none());
        let second = store(conn);
        let card = reward_models::find(conn, &second).unwrap();
        assert_eq!(
            (card.version, card.parent_model_id.as_deref(), card.is_active),
            (2, Some(first.as_str()), false),
            "{}",
            database.kind()
        );
        assert_eq!(reward_models::find_parameters(conn, &second).unwrap().0, json!({ "weights": [1.5] }));
        let former = reward_models::activate(conn, &second, Some(&json!({ "why": "better" })), now).unwrap().unwrap();
        assert_eq!(former.model_id, first);
        assert_eq!(reward_models::find(conn, &second).unwrap().config.0, json!({ "why": "better" }));
        assert!(reward_models::activate(conn, &second, None, now).unwrap().is_none(), "activating twice changes nothing");
        assert!(matches!(reward_models::activate(conn, "rwm_none", None, now), Err(StorageError::NotFound { .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_model_is_active_however_many_are_activated_at_once() {
    for database in testkit::database::all() {
        let storage = &database.storage;
        let ids = storage.transaction(|conn| Ok((0..6).map(|_| store(conn)).collect::<Vec<_>>())).await.unwrap();
        let racers: Vec<_> = ids
            .iter()
            .cloned()
            .map(|id| {
                let storage = storage.clone();
                tokio::spawn(async move {
                    storage.transaction(move |conn| reward_models::activate(conn, &id, None, at("2026-01-15T13:00:00Z"))).await
                })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap().unwrap_or_else(|error| panic!("{}: {error:?}", database.kind()));
        }
        let filter = RewardModelFilter { is_active: Some(true), ..RewardModelFilter::default() };
        let active = storage.read(move |conn| reward_models::list(conn, &filter, &Page::first(10))).await.unwrap();
        assert_eq!(active.rows.len(), 1, "{}", database.kind());
        let slot = storage.read(|conn| reward_models::find_active(conn, "plan_quality", None)).await.unwrap().unwrap();
        assert_eq!(slot.model_id, active.rows[0].model_id);
    }
}
