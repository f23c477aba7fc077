use serde_json::json;
use storage::accounts::{self, NewAccount};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::raters::{self, NewRater};
use storage::reward_models::{self, NewRewardModel, RewardModelFilter, Switch, history};
use storage::rlhf_metrics::day::{Day, deployments};

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
        assert!(reward_models::activate(conn, &first, Switch::Activation(None), now).unwrap().is_none());
        let second = store(conn);
        let card = reward_models::find(conn, &second).unwrap();
        assert_eq!(
            (card.version, card.parent_model_id.as_deref(), card.is_active),
            (2, Some(first.as_str()), false),
            "{}",
            database.kind()
        );
        assert_eq!(reward_models::find_parameters(conn, &second).unwrap().0, json!({ "weights": [1.5] }));
        let former = reward_models::activate(conn, &second, Switch::Activation(Some(&json!({ "why": "better" }))), now).unwrap().unwrap();
        assert_eq!(former.model_id, first);
        assert_eq!(reward_models::find(conn, &second).unwrap().config.0, json!({ "why": "better", "active_before": [first] }));
        assert!(
            reward_models::activate(conn, &second, Switch::Activation(None), now).unwrap().is_none(),
            "activating twice changes nothing"
        );
        assert!(matches!(reward_models::activate(conn, "rwm_none", Switch::Activation(None), now), Err(StorageError::NotFound { .. })));
    }
}

/// What a page shows first: models that score or are tried; and then every other one, newest first.
#[test]
fn models_at_work_and_the_others_are_two_lists_without_a_gap() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let now = at("2026-01-15T12:00:00Z");
        let ids: Vec<String> = (0..5).map(|_| store(conn)).collect();
        reward_models::activate(conn, &ids[1], Switch::Activation(None), now).unwrap();
        reward_models::begin_shadow(conn, &ids[3], now).unwrap();
        let mut list = |is_at_work, after| {
            let filter = RewardModelFilter { is_at_work: Some(is_at_work), ..RewardModelFilter::default() };
            let slice = reward_models::list(conn, &filter, &Page { after, limit: 2 }).unwrap();
            (slice.rows.into_iter().map(|model| model.model_id).collect::<Vec<_>>(), slice.next)
        };
        assert_eq!(list(true, None), (vec![ids[3].clone(), ids[1].clone()], None), "{}", database.kind());
        let (first, next) = list(false, None);
        assert_eq!(first, [ids[4].clone(), ids[2].clone()], "{}", database.kind());
        assert_eq!(list(false, next), (vec![ids[0].clone()], None), "{}", database.kind());
    }
}

/// Who judges and gives feedback with one account is one person.
#[test]
fn raters_are_known_by_their_oldest_account() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let now = at("2026-01-15T12:00:00Z");
        let mut rater = |name: &str| {
            let new = NewRater { name: name.to_owned(), email: None, is_simulated: false, is_calibrated: true };
            raters::insert(conn, &new, now).unwrap().rater_id
        };
        let (with, without) = (rater("with"), rater("without"));
        let mut account = |email: &str, rater_id: Option<&String>| {
            let new = NewAccount {
                email: email.to_owned(),
                password_hash: None,
                role: "rater".to_owned(),
                tenant_id: None,
                rater_id: rater_id.cloned(),
                display_name: "R".to_owned(),
                user_metadata: json!({}),
            };
            accounts::insert(conn, &new, now).unwrap().account_id
        };
        let first = account("a@example.org", Some(&with));
        account("b@example.org", Some(&with));
        account("c@example.org", None);
        let found = accounts::of_raters(conn, &[with.clone(), without]).unwrap();
        assert_eq!(found, std::collections::HashMap::from([(with, first)]), "{}", database.kind());
    }
}

/// Figures of past days rest on when a model first worked; a roll back must not move them.
#[test]
fn hours_from_model_to_model_stay_when_one_is_rolled_back() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let day = |date: &str| Day { from: at(&format!("{date}T00:00:00Z")), to: at(&format!("{date}T23:59:59Z")), retailer_id: None };
        let first = store(conn);
        reward_models::activate(conn, &first, Switch::Activation(None), at("2026-01-15T12:00:00Z")).unwrap();
        let second = store(conn);
        reward_models::activate(conn, &second, Switch::Activation(None), at("2026-01-16T15:00:00Z")).unwrap();
        let said = deployments(conn, &day("2026-01-16")).unwrap();
        assert_eq!(said.iter().map(|(at, before)| (at.0 - before.0).num_hours()).collect::<Vec<_>>(), [27], "{}", database.kind());
        history::roll_back(conn, &second, at("2026-01-18T00:00:00Z")).unwrap();
        assert_eq!(deployments(conn, &day("2026-01-16")).unwrap(), said, "{}", database.kind());
        assert_eq!(deployments(conn, &day("2026-01-18")).unwrap(), [], "{}: nothing new was put to work", database.kind());
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
                    storage
                        .transaction(move |conn| reward_models::activate(conn, &id, Switch::Activation(None), at("2026-01-15T13:00:00Z")))
                        .await
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

#[test]
fn a_model_is_rolled_back_to_the_one_it_took_over_from() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let now = at("2026-01-15T12:00:00Z");
        // Both are trained before either works, so neither is the other's parent.
        let (first, second) = (store(conn), store(conn));
        let former = |conn: &mut Connection, id: &str| reward_models::find(conn, id).unwrap().former_model_id;
        reward_models::activate(conn, &first, Switch::Activation(None), now).unwrap();
        reward_models::activate(conn, &second, Switch::Activation(None), now).unwrap();
        reward_models::activate(conn, &second, Switch::Activation(None), now).unwrap();
        assert_eq!(former(conn, &second).as_deref(), Some(first.as_str()), "{}: also when it is activated again", database.kind());
        assert_eq!(history::roll_back(conn, &second, now).unwrap().1, first);
        assert_eq!(former(conn, &first), None, "{}: nothing was before the first", database.kind());
        let active: Vec<String> = reward_models::list_active(conn).unwrap().into_iter().map(|model| model.model_id).collect();
        assert_eq!(active, [first], "{}", database.kind());
    }
}

#[test]
fn rolling_back_again_goes_one_further_back_and_never_forward() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let now = at("2026-01-15T12:00:00Z");
        let (a, b, c) = (store(conn), store(conn), store(conn));
        // a and b take turns, then c comes: a, b, a, c.
        for model in [&a, &b, &a, &c] {
            reward_models::activate(conn, model, Switch::Activation(None), now).unwrap();
        }
        let back = |conn: &mut Connection, from: &str| history::roll_back(conn, from, now).map(|(_, to)| to);
        assert_eq!(back(conn, &c).unwrap(), a, "{kind}");
        assert_eq!(back(conn, &a).unwrap(), b, "{kind}: the one before it, not the one after");
        assert!(matches!(back(conn, &a), Err(StorageError::Conflict { .. })), "{kind}: not active");
        assert_eq!(back(conn, &b).unwrap(), a, "{kind}: where it began");
        let refused = back(conn, &a).unwrap_err();
        assert!(refused.to_string().contains("nothing is older"), "{kind}: {refused}");
        assert_eq!(reward_models::find_active(conn, "plan_quality", None).unwrap().unwrap().model_id, a, "{kind}: and nothing changed");
        // A decision begins anew from where one is.
        reward_models::activate(conn, &b, Switch::Activation(None), now).unwrap();
        assert_eq!(back(conn, &b).unwrap(), a, "{kind}");
    }
}

#[test]
fn models_put_to_work_by_an_earlier_program_are_rolled_back_without_turning_in_a_circle() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let now = at("2026-01-15T12:00:00Z");
        let (a, b) = (store(conn), store(conn));
        for model in [&a, &b, &a] {
            reward_models::activate(conn, model, Switch::Activation(None), now).unwrap();
        }
        // As it was: each knows the one before it alone.
        for (model, former) in [(&a, &b), (&b, &a)] {
            let sql = format!("UPDATE reward_models SET config = '{{}}', former_model_id = '{former}' WHERE model_id = '{model}'");
            storage::connection::execute(conn, &sql).unwrap();
        }
        assert_eq!(history::roll_back(conn, &a, now).unwrap().1, b, "{kind}");
        assert!(matches!(history::roll_back(conn, &b, now), Err(StorageError::Conflict { .. })), "{kind}: not forward to the first again");
    }
}

#[test]
fn one_model_is_in_the_shadow_and_leaves_it_when_it_is_put_to_work() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let now = at("2026-01-15T12:00:00Z");
        let (active, first, second) = (store(conn), store(conn), store(conn));
        reward_models::activate(conn, &active, Switch::Activation(None), now).unwrap();
        assert!(matches!(reward_models::begin_shadow(conn, &active, now), Err(StorageError::Conflict { .. })), "{kind}");
        reward_models::begin_shadow(conn, &first, now).unwrap();
        let later = at("2026-01-15T13:00:00Z");
        assert_eq!(reward_models::begin_shadow(conn, &first, later).unwrap().shadow_since.map(|since| since.0), Some(now), "{kind}");
        reward_models::begin_shadow(conn, &second, later).unwrap();
        let slots = [reward_models::slot("plan_quality", None)];
        let in_slot: Vec<String> = reward_models::in_slots(conn, &slots).unwrap().into_iter().map(|model| model.model_id).collect();
        assert_eq!(in_slot, [active.clone(), second.clone()], "{kind}");
        assert!(reward_models::note_drift(conn, &active, now).unwrap(), "{kind}");
        assert!(!reward_models::note_drift(conn, &active, now).unwrap(), "{kind}: told once");
        assert!(!reward_models::note_drift(conn, &second, now).unwrap(), "{kind}: only what works can drift");
        reward_models::activate(conn, &second, Switch::Activation(None), now).unwrap();
        let card = reward_models::find(conn, &second).unwrap();
        assert_eq!((card.is_active, card.shadow_since, card.drift_found_at), (true, None, None), "{kind}");
        assert_eq!(reward_models::end_shadow(conn, &first, now).unwrap().shadow_since, None, "{kind}");
    }
}
