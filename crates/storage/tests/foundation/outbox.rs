//! Events are there exactly when their transaction is, in order, and are tried again after a failure.

use chrono::TimeDelta;
use domain::time::now;
use serde_json::json;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};

fn event(destination: Destination, name: &str) -> NewEvent {
    NewEvent { destination, topic: "tasks".into(), event: name.into(), payload: json!({"task_id": name}), tenant_id: None }
}

#[tokio::test]
async fn events_of_a_failed_transaction_are_never_seen() {
    for database in testkit::database::all() {
        let failed: Result<(), StorageError> = database
            .storage
            .transaction(|conn| {
                outbox::push(conn, &event(Destination::Realtime, "lost"), now())?;
                Err(StorageError::conflict("test", "no"))
            })
            .await;
        assert!(failed.is_err());
        database
            .storage
            .transaction(|conn| {
                outbox::push(conn, &event(Destination::Realtime, "first"), now())?;
                outbox::push(conn, &event(Destination::RlhfBackend, "elsewhere"), now())?;
                outbox::push(conn, &event(Destination::Realtime, "second"), now())?;
                Ok(())
            })
            .await
            .unwrap();
        let seen = database.storage.read(|conn| outbox::after(conn, 0, &[], 10)).await.unwrap();
        assert_eq!(seen.iter().map(|e| e.event.as_str()).collect::<Vec<_>>(), ["first", "second"], "{}", database.kind());
        let (last, newest) = (seen[1].id, database.storage.read(outbox::newest).await.unwrap());
        assert_eq!(last, newest);
        assert!(database.storage.read(move |conn| outbox::after(conn, last, &[], 10)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_failed_delivery_waits_and_a_done_one_is_gone() {
    for database in testkit::database::all() {
        let at = now();
        let due = |when| move |conn: &mut storage::connection::Connection| outbox::due(conn, Destination::RlhfBackend, when, 10);
        database
            .storage
            .transaction(move |conn| outbox::push(conn, &event(Destination::RlhfBackend, "judged"), at).map(|_| ()))
            .await
            .unwrap();
        let first = database.storage.read(due(at)).await.unwrap().remove(0);
        let failed = first.clone();
        database.storage.transaction(move |conn| outbox::failed(conn, &failed, "refused", at)).await.unwrap();
        assert!(database.storage.read(due(at)).await.unwrap().is_empty(), "{}: it waits", database.kind());
        let again = database.storage.read(due(at + TimeDelta::seconds(2))).await.unwrap();
        assert_eq!(again.iter().map(|e| e.attempts).collect::<Vec<_>>(), [1]);
        assert_eq!(database.storage.read(|conn| outbox::waiting(conn, Destination::RlhfBackend)).await.unwrap(), 1);
        let id = first.id;
        database.storage.transaction(move |conn| outbox::delivered(conn, id, at)).await.unwrap();
        assert_eq!(database.storage.read(|conn| outbox::waiting(conn, Destination::RlhfBackend)).await.unwrap(), 0);
        // The newest one stays, whatever it is.
        let later = at + TimeDelta::hours(1);
        database
            .storage
            .transaction(move |conn| outbox::push(conn, &event(Destination::Realtime, "later"), later).map(|_| ()))
            .await
            .unwrap();
        let swept = database.storage.transaction(move |conn| outbox::sweep(conn, at + TimeDelta::seconds(1))).await.unwrap();
        assert_eq!(swept, 1, "{}", database.kind());
    }
}
