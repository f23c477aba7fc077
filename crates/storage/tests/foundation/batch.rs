//! Changes that are made together: all or none, each counted, and what others have changed meanwhile is noticed.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use storage::batch::Batch;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};
use storage::raters::{self, NewRater, Rater};
use storage::store::transaction;
use testkit::database;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

fn event(name: &str) -> NewEvent {
    NewEvent {
        destination: Destination::Realtime,
        topic: "tasks".to_owned(),
        event: name.to_owned(),
        payload: serde_json::json!({"name": name}),
        tenant_id: None,
    }
}

/// Writes a record and two events together.
fn write(conn: &mut Connection, record: &Rater) -> Result<(), StorageError> {
    let events = [event("first"), event("second")];
    transaction(conn, |tx| {
        let mut batch = Batch::default();
        raters::enter_record(tx, &mut batch, record, None)?;
        outbox::enter_all(tx, &mut batch, &events, domain::time::now())?;
        batch.finish(tx).map(drop)
    })
}

#[test]
fn changes_are_made_together_or_not_at_all() {
    for database in database::all() {
        let mut conn = database.connect();
        let conn = &mut conn;
        let new = NewRater { name: "rita".to_owned(), email: None, is_simulated: true, is_calibrated: true };
        let rater = raters::insert(conn, &new, domain::time::now()).unwrap();
        for n in 1..=3 {
            write(conn, &Rater { total_judgments: n, ..rater.clone() }).unwrap();
            assert_eq!(raters::find(conn, &rater.rater_id).unwrap().total_judgments, n, "{}", database.kind());
            let events = outbox::after(conn, 0, &[], 100).unwrap();
            let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
            assert_eq!(names, ["first", "second"].repeat(usize::try_from(n).unwrap()), "{}: in their order", database.kind());
        }
        let gone = Rater { id: rater.id + 1, ..rater.clone() };
        assert!(matches!(write(conn, &gone), Err(StorageError::Raced(_))), "{}: nothing was there to be changed", database.kind());
        assert_eq!(outbox::after(conn, 0, &[], 100).unwrap().len(), 6, "{}: and nothing else was written", database.kind());
        if let Connection::Postgres(c) = conn {
            let kept = "SELECT COUNT(*) AS value FROM pg_prepared_statements WHERE statement LIKE 'WITH c0 AS (UPDATE \"rater_profiles\"%'";
            let kept: Number = diesel::sql_query(kept).get_result(c).unwrap();
            assert_eq!(kept.value, 1, "one statement, prepared once");
        }
    }
}
