//! Webhooks have bounds: of what waits, of how many there are, of how long they are remembered, and of what reading them costs.

use storage::connection::{Connection, execute};
use storage::error::StorageError;
use storage::page::Page;
use storage::webhooks::deliveries::{self, DeliveryFilter};
use storage::webhooks::queue::{self, Places};
use storage::webhooks::{self, NewWebhook};

use crate::webhooks::{at, carry, carry_with, event, hook, of, platform};

#[test]
fn a_queue_that_is_full_a_tenant_that_has_enough_and_a_log_that_is_old() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        hook(conn, "h", Some("tnt-a"), &["campaign.moved"]);
        for _ in 0..5 {
            event(conn, "moved", Some("tnt-a"));
        }
        assert_eq!(carry_with(conn, 5, 1).deliveries, 5, "{kind}");
        event(conn, "moved", Some("tnt-a"));
        assert_eq!(carry_with(conn, 5, 2).deliveries, 0, "{kind}");
        let off = webhooks::find(conn, &platform(), "h").unwrap();
        assert!(!off.is_enabled && off.disabled_reason.unwrap().contains("5 deliveries waited"), "{kind}");
        assert_eq!(deliveries::sweep(conn, at(1), 100).unwrap(), 0, "{kind}");
        assert_eq!((deliveries::sweep(conn, at(2), 3).unwrap(), deliveries::sweep(conn, at(2), 3).unwrap()), (3, 2), "{kind}");
        for n in 1..webhooks::MAX_OF_TENANT {
            hook(conn, &format!("h{n}"), Some("tnt-a"), &["campaign.moved"]);
        }
        let new = NewWebhook {
            webhook_id: "more".to_owned(),
            tenant_id: Some("tnt-a".to_owned()),
            url: "https://example.com/".to_owned(),
            description: String::new(),
            event_types: Vec::new(),
            secret_sealed: String::new(),
            is_enabled: true,
        };
        let refused = storage::store::transaction(conn, |conn| webhooks::insert(conn, &of("tnt-a"), &new, at(3)));
        assert!(matches!(refused, Err(StorageError::Conflict { .. })), "{kind}");
        storage::store::transaction(conn, |conn| webhooks::remove(conn, &of("tnt-a"), "h", at(4))).unwrap();
        storage::store::transaction(conn, |conn| webhooks::insert(conn, &of("tnt-a"), &new, at(5))).unwrap();
    }
}

/// One tenant's ten webhooks have much that is due for long; what another tenant waits for comes at once all the same.
#[test]
fn a_backlog_of_one_tenant_leaves_places_to_the_others() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        for n in 0..10 {
            hook(conn, &format!("a{n}"), Some("tnt-a"), &["campaign.moved"]);
        }
        hook(conn, "b", Some("tnt-b"), &["campaign.moved"]);
        for _ in 0..30 {
            event(conn, "moved", Some("tnt-a"));
        }
        assert_eq!(carry(conn, 1).deliveries, 300, "{kind}");
        event(conn, "moved", Some("tnt-b"));
        assert_eq!(carry(conn, 2).deliveries, 1, "{kind}");
        let mut busy: Vec<(String, Option<String>)> = Vec::new();
        for round in 0..3 {
            let places = Places { at_once: 32, of_tenant: 16, of_each: 4, busy: busy.clone() };
            let taken = storage::store::transaction(conn, |conn| queue::take(conn, &places, chrono::TimeDelta::hours(1), at(3))).unwrap();
            let of_b = taken.iter().filter(|attempt| attempt.webhook.webhook_id == "b").count();
            assert_eq!((taken.len(), of_b), if round == 0 { (17, 1) } else { (0, 0) }, "{kind}: {round}");
            busy.extend(taken.into_iter().map(|attempt| (attempt.webhook.webhook_id, attempt.webhook.tenant_id)));
            assert!(busy.iter().all(|(webhook, _)| busy.iter().filter(|(other, _)| other == webhook).count() <= 4), "{kind}");
        }
        // Two of a's end: their places go to a again, and no more than these.
        busy.retain({
            let mut ended = 0;
            move |(_, tenant)| {
                ended += usize::from(tenant.as_deref() == Some("tnt-a"));
                tenant.as_deref() != Some("tnt-a") || ended > 2
            }
        });
        let places = Places { at_once: 32, of_tenant: 16, of_each: 4, busy };
        let taken = storage::store::transaction(conn, |conn| queue::take(conn, &places, chrono::TimeDelta::hours(1), at(3))).unwrap();
        assert_eq!(taken.len(), 2, "{kind}");
    }
}

#[test]
fn the_log_and_the_queue_are_read_by_their_indexes() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        for n in 0..8 {
            hook(conn, &format!("h{n}"), Some(if n < 4 { "tnt-a" } else { "tnt-b" }), &["model.activated"]);
        }
        for _ in 0..60 {
            event(conn, "model", None);
        }
        carry(conn, 1);
        if let Connection::Postgres(_) = conn {
            // A small table is read whole otherwise, and sorted rather than walked.
            execute(conn, "ANALYZE webhook_deliveries").unwrap();
            execute(conn, "SET enable_seqscan = off").unwrap();
            execute(conn, "SET enable_bitmapscan = off").unwrap();
        }
        let filter = |webhook: Option<&str>, status: Option<&str>| DeliveryFilter {
            webhook_id: webhook.map(str::to_owned),
            status: status.map(str::to_owned),
            ..DeliveryFilter::default()
        };
        let of_type = DeliveryFilter { event_type: Some("model.activated".to_owned()), ..DeliveryFilter::default() };
        let of_time = DeliveryFilter { from: Some(at(0)), to: Some(at(9)), ..DeliveryFilter::default() };
        let page = Page { after: Some(300), limit: 20 };
        for (scope, filter) in [
            (platform(), filter(None, None)),
            (platform(), filter(None, Some("pending"))),
            (platform(), filter(Some("h1"), Some("failed"))),
            (of("tnt-a"), filter(None, None)),
            (of("tnt-a"), filter(None, Some("failed"))),
            (of("tnt-a"), filter(Some("h1"), None)),
            (of("tnt-a"), filter(Some("h1"), Some("failed"))),
            (platform(), of_type.clone()),
            (of("tnt-a"), of_type),
            (of("tnt-a"), of_time),
        ] {
            let plan = deliveries::explain(conn, &scope, &filter, &page).unwrap();
            let is_indexed = ["webhook_deliveries_", "PRIMARY", "INTEGER PRIMARY KEY"].iter().any(|index| plan.contains(index));
            assert!(
                is_indexed && !plan.contains("Seq Scan") && !plan.contains("type ALL") && !plan.contains("TEMP B-TREE"),
                "{kind}: {filter:?}: {plan}"
            );
        }
        let plan = queue::explain(conn, at(5)).unwrap();
        assert!(plan.contains("webhook_deliveries_status_next_attempt_at_idx"), "{kind}: {plan}");
    }
}
