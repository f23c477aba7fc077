//! All or nothing, one writer after the other, and bounded waits.

use std::time::Duration;

use diesel::prelude::*;
use domain::time::now;
use serde_json::json;
use storage::error::StorageError;
use storage::idempotency::{self, IdempotentRequest};
use storage::on;
use storage::schema::jobs;
use storage::store::{PoolOptions, Storage};
use storage::types::{Json, Timestamp};

fn insert_counter(conn: &mut storage::connection::Connection, job_id: &str) -> Result<(), StorageError> {
    let row = (
        jobs::job_id.eq(job_id),
        jobs::kind.eq("count"),
        jobs::state.eq("queued"),
        jobs::progress.eq(0.0),
        jobs::message.eq("ü'\"\\ 🛒"),
        jobs::input.eq(Json(json!({"n": 1, "s": "ü'\"\\", "none": null}))),
        jobs::created_by.eq("test"),
        jobs::created_at.eq(Timestamp(now())),
        jobs::updated_at.eq(Timestamp(now())),
    );
    on!(conn, c => diesel::insert_into(jobs::table).values(row).execute(c))?;
    Ok(())
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    for database in testkit::database::all() {
        let at = now();
        let storage = &database.storage;
        storage
            .transaction(move |conn| {
                insert_counter(conn, "j")?;
                on!(conn, c => diesel::update(jobs::table).set(jobs::started_at.eq(Some(Timestamp(at)))).execute(c))?;
                Ok(())
            })
            .await
            .unwrap();
        type Row = (String, Json, Option<Timestamp>, Option<Json>);
        let (message, input, started, result): Row = storage
            .read(|conn| Ok(on!(conn, c => jobs::table.select((jobs::message, jobs::input, jobs::started_at, jobs::result)).first(c))?))
            .await
            .unwrap();
        assert_eq!(message, "ü'\"\\ 🛒", "{}", database.kind());
        assert_eq!(input.0, json!({"n": 1, "s": "ü'\"\\", "none": null}));
        assert_eq!(started, Some(Timestamp(at)), "{}: microseconds survive", database.kind());
        assert_eq!(result, None);
    }
}

#[tokio::test]
async fn a_failed_transaction_keeps_nothing() {
    for database in testkit::database::all() {
        let result: Result<(), StorageError> = database
            .storage
            .transaction(|conn| {
                insert_counter(conn, "kept-or-not")?;
                Err(StorageError::conflict("test", "changed my mind"))
            })
            .await;
        assert!(matches!(result, Err(StorageError::Conflict { code: "test", .. })));
        let count: i64 = database.storage.read(|conn| Ok(on!(conn, c => jobs::table.count().get_result(c))?)).await.unwrap();
        assert_eq!(count, 0, "{}", database.kind());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn read_then_write_by_many_loses_no_update() {
    const WRITERS: i64 = 16;
    const ROUNDS: i64 = 5;
    for database in testkit::database::all() {
        database.storage.transaction(|conn| insert_counter(conn, "counter")).await.unwrap();
        let writers = (0..WRITERS).map(|_| {
            let storage = database.storage.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    storage
                        .transaction(|conn| {
                            let row = jobs::table.filter(jobs::job_id.eq("counter")).select(jobs::attempts);
                            let attempts: Vec<i32> = storage::lock!(conn, row => i32)?;
                            on!(conn, c => diesel::update(jobs::table).set(jobs::attempts.eq(attempts[0] + 1)).execute(c))?;
                            Ok(())
                        })
                        .await
                        .unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let attempts: i32 = database.storage.read(|conn| Ok(on!(conn, c => jobs::table.select(jobs::attempts).first(c))?)).await.unwrap();
        assert_eq!(i64::from(attempts), WRITERS * ROUNDS, "{}", database.kind());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_pool_answers_busy_within_its_deadline() {
    for database in testkit::database::all() {
        let options = PoolOptions { min: 1, max: 1, sqlite_readers: 1, acquire_timeout: Duration::from_millis(300) };
        let storage = Storage::new(database.storage.url().clone(), options);
        storage.ping().await.unwrap();
        let (taken, is_taken) = tokio::sync::oneshot::channel::<()>();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let holder = {
            let storage = storage.clone();
            let mut taken = Some(taken);
            tokio::spawn(async move {
                storage
                    .read(move |_| {
                        taken.take().unwrap().send(()).unwrap();
                        released.recv().unwrap();
                        Ok(())
                    })
                    .await
            })
        };
        is_taken.await.unwrap();
        assert!(matches!(storage.ping().await, Err(StorageError::Busy(_))), "{}", database.kind());
        release.send(()).unwrap();
        holder.await.unwrap().unwrap();
        storage.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_kept_answer_is_given_again_and_another_body_is_refused() {
    for database in testkit::database::all() {
        let request =
            IdempotentRequest { caller: "acc_1 POST /v1/feedback".into(), key: "k1".into(), body_hash: "aa".into(), tenant: None };
        let first = request.clone();
        database
            .storage
            .transaction(move |conn| {
                assert_eq!(idempotency::find(conn, &first)?, None);
                idempotency::record(conn, &first, 201, &json!({"feedback_id": "fbk_1"}), now())
            })
            .await
            .unwrap();
        let same = request.clone();
        let kept = database.storage.read(move |conn| idempotency::find(conn, &same)).await.unwrap().unwrap();
        assert_eq!((kept.status, kept.response.0), (201, json!({"feedback_id": "fbk_1"})));
        let other = IdempotentRequest { body_hash: "bb".into(), ..request };
        let refused = database.storage.read(move |conn| idempotency::find(conn, &other)).await;
        assert!(matches!(refused, Err(StorageError::Conflict { code: "idempotency_key_reused", .. })), "{}", database.kind());
    }
}
