use chrono::TimeDelta;
use domain::scope::Scope;
use serde_json::json;
use storage::error::StorageError;
use storage::jobs::{self, Finish, NewJob};

use crate::{analyst, at};

const HOLD: TimeDelta = TimeDelta::seconds(60);

fn new_job() -> NewJob {
    NewJob { kind: "train_reward_model", tenant_id: None, input: json!({ "task_type": "plan_quality" }) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_never_hold_the_same_job() {
    for database in testkit::database::all() {
        let storage = &database.storage;
        let now = at("2026-01-15T12:00:00Z");
        storage
            .transaction(move |conn| (0..10).try_for_each(|_| jobs::enqueue(conn, &Scope::system("test"), &new_job(), now).map(drop)))
            .await
            .unwrap();
        let take = || {
            let storage = storage.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                // A lease passes over rows that the other worker holds at this moment, so nothing once is not the end.
                for _ in 0..20 {
                    let job = storage.transaction(move |conn| jobs::take_next(conn, &["train_reward_model"], now, HOLD)).await.unwrap();
                    taken.extend(job.map(|job| job.job_id));
                }
                taken
            })
        };
        let (first, second) = (take(), take());
        let mut all = [first.await.unwrap(), second.await.unwrap()].concat();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!((all.len(), count), (10, 10), "{}", database.kind());
    }
}

#[test]
fn the_job_of_a_killed_worker_is_taken_up_again_and_its_first_worker_stores_nothing() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let start = at("2026-01-15T12:00:00Z");
        jobs::enqueue(conn, &Scope::system("test"), &new_job(), start).unwrap();
        let first = jobs::take_next(conn, &["train_reward_model"], start, HOLD).unwrap().unwrap();
        assert!(jobs::take_next(conn, &["train_reward_model"], start + HOLD, HOLD).unwrap().is_none(), "the lease still holds");
        let later = start + HOLD + TimeDelta::seconds(1);
        let second = jobs::take_next(conn, &["train_reward_model"], later, HOLD).unwrap().unwrap();
        assert_eq!((second.job_id.as_str(), second.attempts), (first.job_id.as_str(), 2));
        let lost = jobs::finish(conn, &first, later, Finish::Succeeded(&json!({})));
        assert!(matches!(lost, Err(StorageError::Conflict { code: "lease_lost", .. })), "{}", database.kind());
        jobs::note_progress(conn, &second, 0.5, "half", later, HOLD).unwrap();
        jobs::finish(conn, &second, later, Finish::Succeeded(&json!({ "model_id": "m" }))).unwrap();
        let done = jobs::find(conn, &Scope::system("test"), &first.job_id).unwrap();
        assert_eq!((done.state.as_str(), done.progress, done.result.unwrap().0), ("succeeded", 1.0, json!({ "model_id": "m" })));
        assert!(jobs::find(conn, &analyst("tnt-a"), &first.job_id).is_err(), "a tenant sees no job of the platform");
    }
}

#[test]
fn a_job_that_kills_its_workers_is_given_up() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let mut now = at("2026-01-15T12:00:00Z");
        let job = jobs::enqueue(conn, &Scope::system("test"), &new_job(), now).unwrap();
        for _ in 0..jobs::MAX_ATTEMPTS {
            assert!(jobs::take_next(conn, &["train_reward_model"], now, HOLD).unwrap().is_some());
            now += HOLD * 2;
        }
        assert!(jobs::take_next(conn, &["train_reward_model"], now, HOLD).unwrap().is_none());
        let failed = jobs::find(conn, &Scope::system("test"), &job.job_id).unwrap();
        assert_eq!(failed.state, "failed");
        assert!(failed.error.unwrap().contains("begun 3 times"), "{}", database.kind());
    }
}

#[test]
fn the_first_kind_that_waits_is_done_first_whatever_was_asked_for_earlier() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        let now = at("2026-01-15T12:00:00Z");
        for kind in ["compute_key_figures", "choose_tasks", "train_reward_model", "choose_tasks"] {
            jobs::enqueue(conn, &Scope::system("test"), &NewJob { kind, ..new_job() }, now).unwrap();
        }
        let kinds = ["train_reward_model", "choose_tasks"];
        let order: Vec<String> = std::iter::from_fn(|| jobs::take_next(conn, &kinds, now, HOLD).unwrap().map(|job| job.kind)).collect();
        assert_eq!(order, ["train_reward_model", "choose_tasks", "choose_tasks"], "{}", database.kind());
    }
}
