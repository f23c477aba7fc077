//! Every attempt stays in the log, within a bound; what waits can be sent now; the log is found by type and time.

use storage::connection::{Connection, execute};
use storage::error::StorageError;
use storage::page::Page;
use storage::webhooks::attempts;
use storage::webhooks::deliveries::{self, Delivery, DeliveryFilter};
use storage::webhooks::queue::Outcome;

use crate::webhooks::{all, at, carry, event, finish, hook, of, platform, take};

fn row(conn: &mut Connection, id: &str) -> Delivery {
    deliveries::find(conn, &platform(), id).unwrap()
}

fn send_now(conn: &mut Connection, tenant: &str, id: &str, seconds: i64) -> Result<Delivery, StorageError> {
    storage::store::transaction(conn, |conn| deliveries::send_now(conn, &of(tenant), id, at(seconds)))
}

#[test]
fn every_attempt_is_kept_and_what_waits_can_be_sent_now() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        hook(conn, "h", Some("tnt-a"), &["campaign.moved"]);
        event(conn, "moved", Some("tnt-a"));
        carry(conn, 1);
        let id = all(conn, &platform()).remove(0).delivery_id;
        assert!(attempts::of(&row(conn, &id)).is_empty(), "{kind}");
        // Due already: nothing to hurry.
        assert_eq!(send_now(conn, "tnt-a", &id, 2).unwrap().next_attempt_at.unwrap().0, at(1), "{kind}");
        let first = take(conn, 1, 10).remove(0);
        let busy = send_now(conn, "tnt-a", &id, 11);
        assert!(matches!(&busy, Err(StorageError::Conflict { .. })), "{kind}: it is being sent: {busy:?}");
        assert!(finish(conn, &first, Outcome::Again(at(1_000)), 12), "{kind}");
        let stranger = send_now(conn, "tnt-b", &id, 13);
        assert!(matches!(stranger, Err(StorageError::NotFound { .. })), "{kind}");
        assert!(take(conn, 1, 20).is_empty(), "{kind}: its pause is not over");
        assert_eq!(send_now(conn, "tnt-a", &id, 21).unwrap().next_attempt_at.unwrap().0, at(21), "{kind}");
        let second = take(conn, 1, 21).remove(0);
        assert_eq!(second.delivery.attempts, 2, "{kind}: it counts as any other");
        assert!(finish(conn, &second, Outcome::Delivered, 22), "{kind}");
        let done = send_now(conn, "tnt-a", &id, 23);
        assert!(matches!(&done, Err(StorageError::Conflict { why, .. }) if why.contains("replay")), "{kind}: {done:?}");
        let kept = attempts::of(&row(conn, &id));
        let told: Vec<_> = kept.iter().map(|one| (one.replay, one.number, one.at, one.http_status, one.error.is_some())).collect();
        assert_eq!(told, [(0, 1, at(10), Some(500), true), (0, 2, at(21), Some(200), false)], "{kind}");

        // A process that dies while it sends leaves a gap, and what it held can be sent now once its lease is over.
        storage::store::transaction(conn, |conn| deliveries::replay(conn, &of("tnt-a"), &id, at(100))).unwrap();
        assert_eq!(take(conn, 1, 100).len(), 1, "{kind}");
        let after = take(conn, 1, 141).remove(0);
        assert!(finish(conn, &after, Outcome::Again(at(9_000)), 142), "{kind}");
        let last = attempts::of(&row(conn, &id)).pop().unwrap();
        assert_eq!((last.replay, last.number), (1, 2), "{kind}: the first of this replay has no end");

        // However often it is sent, the last of them are kept.
        for n in 0..attempts::MOST as i64 {
            send_now(conn, "tnt-a", &id, 10_000 + 10 * n).unwrap();
            let attempt = take(conn, 1, 10_000 + 10 * n).remove(0);
            assert!(finish(conn, &attempt, Outcome::Again(at(1_000_000)), 10_001 + 10 * n), "{kind}");
        }
        let kept = attempts::of(&row(conn, &id));
        assert_eq!((kept.len(), kept[0].number), (attempts::MOST, 3), "{kind}");

        // A row from before attempts were kept: it waits, and can be sent now a minute after it was tried.
        execute(conn, "UPDATE webhook_deliveries SET history = NULL").unwrap();
        let tried = 10_000 + 10 * (attempts::MOST as i64 - 1);
        assert!(send_now(conn, "tnt-a", &id, tried + 60).is_err(), "{kind}");
        assert!(send_now(conn, "tnt-a", &id, tried + 61).is_ok(), "{kind}");
        let logged = storage::audit::list(conn, &of("tnt-a"), &storage::audit::AuditFilter::default(), &Page::first(500)).unwrap().rows;
        assert_eq!(
            logged.iter().filter(|entry| entry.action == "webhook.sent_now").count(),
            1 + attempts::MOST,
            "{kind}: what was due is not told"
        );
    }
}

#[test]
fn the_log_is_found_by_type_and_time() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        hook(conn, "h", Some("tnt-a"), &["campaign.moved", "model.activated"]);
        for (name, made) in [("moved", 10), ("model", 20), ("moved", 30)] {
            event(conn, name, Some("tnt-a"));
            carry(conn, made);
        }
        let mut found = |filter: DeliveryFilter| -> Vec<i64> {
            let rows = deliveries::list(conn, &of("tnt-a"), &filter, &Page::first(10)).unwrap().rows;
            rows.into_iter().map(|row| (row.created_at.0 - at(0)).num_seconds()).collect()
        };
        let of_type = |name: &str| DeliveryFilter { event_type: Some(name.to_owned()), ..DeliveryFilter::default() };
        assert_eq!(found(of_type("campaign.moved")), [30, 10], "{kind}");
        assert_eq!(found(of_type("model.activated")), [20], "{kind}");
        let between = DeliveryFilter { from: Some(at(20)), to: Some(at(30)), ..DeliveryFilter::default() };
        assert_eq!(found(between), [20], "{kind}: the end is not in it");
        assert_eq!(found(DeliveryFilter { from: Some(at(11)), ..of_type("campaign.moved") }), [30], "{kind}");
    }
}
