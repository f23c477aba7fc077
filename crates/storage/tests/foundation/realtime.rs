//! Processes know of each other, and hear what each says once, in its order.

use chrono::{DateTime, Utc};
use storage::connection::{Connection, execute};
use storage::error::StorageError;
use storage::realtime::{self, Message, Process};
use storage::store::{transaction, transaction_of};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn message(number: i64) -> Message {
    Message { number, head: format!(r#"{{"n":{number},"text":"\u0000é"}}"#), body: vec![0, 255, u8::try_from(number % 250).unwrap()] }
}

fn write(conn: &mut Connection, process: &str, numbers: std::ops::RangeInclusive<i64>, second: i64) {
    let messages: Vec<_> = numbers.map(message).collect();
    transaction(conn, |tx| realtime::write(tx, process, &messages, at(second))).unwrap();
}

fn numbers(conn: &mut Connection, process: &str, number: i64, behind: i64, limit: i64) -> Vec<i64> {
    realtime::after(conn, process, number, behind, limit).unwrap().iter().map(|one| one.number).collect()
}

#[test]
fn processes_enter_beat_are_taken_out_and_leave() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        assert_eq!(transaction(conn, |tx| realtime::enter(tx, "a", None, at(0))).unwrap(), 0, "{kind}");
        let beat = |conn: &mut Connection, who: &str, second| transaction(conn, |tx| realtime::beat(tx, who, at(second))).unwrap();
        assert_eq!(beat(conn, "a", 1), Some(vec![]), "{kind}: alone");
        transaction(conn, |tx| realtime::enter(tx, "b", None, at(2))).unwrap();
        let seen = beat(conn, "b", 3).unwrap();
        assert_eq!(seen, [Process { process_id: "a".to_owned(), beats: 1 }], "{kind}");
        // It beats again in the moment in which it is given up: it stays. The second time it does not.
        beat(conn, "a", 4);
        assert!(!transaction(conn, |tx| realtime::take_out(tx, &seen[0])).unwrap(), "{kind}");
        let seen = beat(conn, "b", 5).unwrap();
        assert!(transaction(conn, |tx| realtime::take_out(tx, &seen[0])).unwrap(), "{kind}");
        assert_eq!(beat(conn, "a", 6), None, "{kind}: it finds out");
        transaction(conn, |tx| realtime::enter(tx, "b again", Some("b"), at(7))).unwrap();
        transaction(conn, |tx| realtime::enter(tx, "c", None, at(7))).unwrap();
        assert_eq!(beat(conn, "c", 8).unwrap().iter().map(|one| one.process_id.as_str()).collect::<Vec<_>>(), ["b again"], "{kind}");
        transaction(conn, |tx| realtime::leave(tx, "b again")).unwrap();
        assert_eq!(beat(conn, "c", 9), Some(vec![]), "{kind}");
    }
}

#[test]
fn messages_are_there_once_in_the_order_of_their_process_and_for_a_while() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        write(conn, "a", 1..=3, 0);
        write(conn, "b", 1..=2, 1);
        let behind = transaction(conn, |tx| realtime::enter(tx, "c", None, at(2))).unwrap();
        write(conn, "a", 4..=6, 3);
        // Nobody knew whether these were there: what is there stays as it is.
        write(conn, "a", 4..=7, 4);
        assert_eq!(numbers(conn, "a", 0, 0, 100), [1, 2, 3, 4, 5, 6, 7], "{kind}");
        assert_eq!(numbers(conn, "a", 0, behind, 100), [4, 5, 6, 7], "{kind}: who came later");
        assert_eq!(numbers(conn, "a", 2, 0, 3), [3, 4, 5], "{kind}: in batches");
        assert_eq!(numbers(conn, "b", 2, 0, 100), Vec::<i64>::new(), "{kind}");
        assert_eq!(realtime::after(conn, "a", 6, 0, 1).unwrap(), [message(7)], "{kind}: as it was written, whatever its bytes");
        // One statement takes the largest batch, and a message as large as any may be.
        let large = Message { head: "h".repeat(1_500_000), body: vec![7; 300_000], number: 400 };
        transaction(conn, |tx| realtime::write(tx, "d", std::slice::from_ref(&large), at(50))).unwrap();
        assert_eq!(realtime::after(conn, "d", 0, 0, 1).unwrap(), [large], "{kind}");
        write(conn, "e", 1..=200, 50);
        assert_eq!(numbers(conn, "e", 0, 0, 1_000).len(), 200, "{kind}");
        assert_eq!(realtime::sweep(conn, at(3)).unwrap(), 5, "{kind}");
        assert_eq!(numbers(conn, "a", 0, 0, 100), [4, 5, 6, 7], "{kind}");
    }
}

#[test]
fn what_a_process_said_is_found_by_its_index() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        for process in ["a", "b", "c", "d"] {
            write(conn, process, 1..=200, 0);
        }
        if let Connection::Postgres(_) = conn {
            // A small table is read whole otherwise.
            execute(conn, "ANALYZE realtime_messages").unwrap();
            execute(conn, "SET enable_seqscan = off").unwrap();
            execute(conn, "SET enable_bitmapscan = off").unwrap();
        }
        let plan = realtime::explain(conn, "b", 150, 0).unwrap();
        let is_indexed = ["realtime_messages_number_key", "sqlite_autoindex_realtime_messages_1"].iter().any(|index| plan.contains(index));
        assert!(is_indexed && !plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{kind}: {plan}");
    }
}

/// Rooms of all tenants cross in one table: no tenant's own queries reach it.
#[test]
fn no_tenant_reads_what_crosses() {
    let Some(database) = testkit::database::of_kind("postgres") else { return };
    let conn = &mut database.connect();
    write(conn, "a", 1..=1, 0);
    let found = transaction_of(conn, Some("tnt-a"), |tx| realtime::after(tx, "a", 0, 0, 10)).unwrap();
    assert_eq!(found, []);
    let written = transaction_of(conn, Some("tnt-a"), |tx| realtime::write(tx, "b", &[message(1)], at(0)));
    assert!(matches!(written, Err(StorageError::Query(_))), "{written:?}");
    assert_eq!(numbers(conn, "a", 0, 0, 10), [1]);
}
