//! Events become deliveries exactly once, whatever is killed or committed late; an attempt is made by one process; what failed is sent again.

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::scope::Scope;
use serde_json::json;
use storage::connection::{Connection, execute};
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent, OutboxEvent};
use storage::page::Page;
use storage::webhooks::deliveries::{self, Delivery, DeliveryFilter};
use storage::webhooks::queue::{self, Attempt, Ended, Outcome, Places};
use storage::webhooks::reading::{self, Audience, Carried, Told};
use storage::webhooks::{self, NewWebhook, Webhook, WebhookPatch};
use testkit::database::TestDatabase;

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

pub(crate) fn of(tenant: &str) -> Scope {
    Scope::for_caller("acc_admin", Role::TenantAdmin, Some(tenant))
}

pub(crate) fn platform() -> Scope {
    Scope::for_caller("acc_platform", Role::PlatformAdmin, None)
}

pub(crate) fn hook(conn: &mut Connection, id: &str, tenant: Option<&str>, types: &[&str]) -> Webhook {
    let new = NewWebhook {
        webhook_id: id.to_owned(),
        tenant_id: tenant.map(str::to_owned),
        url: format!("https://{id}.example.com/"),
        description: String::new(),
        event_types: types.iter().map(|one| (*one).to_owned()).collect(),
        secret_sealed: "v1:k:n:t".to_owned(),
        is_enabled: true,
    };
    webhooks::insert(conn, &platform(), &new, at(0)).unwrap()
}

pub(crate) fn event(conn: &mut Connection, name: &str, tenant: Option<&str>) -> String {
    let new = NewEvent {
        destination: Destination::Realtime,
        topic: "campaigns".to_owned(),
        event: name.to_owned(),
        payload: json!({"n": 1}),
        tenant_id: tenant.map(str::to_owned),
    };
    outbox::push(conn, &new, at(0)).unwrap()
}

/// `moved` is a tenant's, `model` everybody's; nothing else is told.
fn tell(event: &OutboxEvent) -> Option<Told> {
    let (event_type, audience) = match event.event.as_str() {
        "moved" => ("campaign.moved", Audience::Tenant),
        "model" => ("model.activated", Audience::Everyone),
        _ => return None,
    };
    Some(Told { event_type, audience, payload: json!({"id": event.event_id}).to_string() })
}

pub(crate) fn carry_with(conn: &mut Connection, most: i64, seconds: i64) -> Carried {
    storage::store::transaction(conn, |conn| reading::carry(conn, &tell, most, at(seconds))).unwrap()
}

pub(crate) fn carry(conn: &mut Connection, seconds: i64) -> Carried {
    carry_with(conn, 1_000, seconds)
}

pub(crate) fn all(conn: &mut Connection, scope: &Scope) -> Vec<Delivery> {
    let mut rows = deliveries::list(conn, scope, &DeliveryFilter::default(), &Page::first(500)).unwrap().rows;
    rows.reverse();
    rows
}

fn places(at_once: usize, of_each: usize) -> Places {
    Places { at_once, of_tenant: at_once, of_each, busy: Vec::new() }
}

pub(crate) fn take(conn: &mut Connection, limit: usize, seconds: i64) -> Vec<Attempt> {
    let hold = TimeDelta::seconds(40);
    storage::store::transaction(conn, |conn| queue::take(conn, &places(limit, 4), hold, at(seconds))).unwrap()
}

pub(crate) fn finish(conn: &mut Connection, attempt: &Attempt, outcome: Outcome, seconds: i64) -> bool {
    let error = (outcome != Outcome::Delivered).then(|| "the receiver answered 500".to_owned());
    let ended = Ended { outcome, http_status: Some(if error.is_some() { 500 } else { 200 }), error, duration_ms: 12 };
    storage::store::transaction(conn, |conn| queue::finish(conn, attempt, &ended, at(seconds))).unwrap()
}

#[test]
fn whoever_is_concerned_and_has_subscribed_is_told_once() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        event(conn, "moved", Some("tnt-a"));
        assert_eq!(carry(conn, 0), Carried::default(), "{kind}: what was before the first reading is past");
        for (id, tenant, types) in [
            ("a-both", Some("tnt-a"), &["campaign.moved", "model.activated"] as &[&str]),
            ("a-models", Some("tnt-a"), &["model.activated"]),
            ("b-both", Some("tnt-b"), &["campaign.moved", "model.activated"]),
            ("platform", None, &["campaign.moved"]),
            ("off", Some("tnt-a"), &["campaign.moved"]),
        ] {
            hook(conn, id, tenant, types);
        }
        let off = WebhookPatch { is_enabled: Some(false), ..WebhookPatch::default() };
        storage::store::transaction(conn, |conn| webhooks::update(conn, &of("tnt-a"), "off", &off, at(0))).unwrap();
        let moved = event(conn, "moved", Some("tnt-a"));
        let model = event(conn, "model", None);
        event(conn, "secret", Some("tnt-a"));
        assert!(reading::is_behind(conn).unwrap(), "{kind}");
        assert_eq!(carry(conn, 1), Carried { events: 3, deliveries: 5, has_more: false }, "{kind}");
        assert!(!reading::is_behind(conn).unwrap(), "{kind}");
        assert_eq!(carry(conn, 2).deliveries, 0, "{kind}: nothing is told twice");
        let told: Vec<(String, String)> = all(conn, &platform()).into_iter().map(|row| (row.webhook_id, row.event_id)).collect();
        let expected = [("a-both", &moved), ("a-both", &model), ("a-models", &model), ("b-both", &model), ("platform", &moved)];
        assert_eq!(told, expected.map(|(hook, event)| (hook.to_owned(), event.clone())), "{kind}");
        assert_eq!(all(conn, &of("tnt-b")).len(), 1, "{kind}: a tenant sees its own log");
        let of_a = all(conn, &of("tnt-a"));
        assert!(of_a.len() == 3 && deliveries::find(conn, &of("tnt-b"), &of_a[0].delivery_id).is_err(), "{kind}");
        assert!(webhooks::find(conn, &of("tnt-b"), "a-both").is_err() && webhooks::find(conn, &of("tnt-a"), "platform").is_err());
        for refused in [
            storage::store::transaction(conn, |conn| webhooks::update(conn, &of("tnt-b"), "a-both", &off, at(3)).map(drop)),
            storage::store::transaction(conn, |conn| webhooks::remove(conn, &of("tnt-b"), "a-both", at(3))),
            storage::store::transaction(conn, |conn| webhooks::rotate(conn, &of("tnt-b"), "a-both", "x", Some(at(9)), at(3)).map(drop)),
            storage::store::transaction(conn, |conn| deliveries::replay_failed(conn, &of("tnt-b"), "a-both", at(0), at(3)).map(drop)),
        ] {
            assert!(matches!(refused, Err(StorageError::NotFound { .. })), "{kind}: {refused:?}");
        }
    }
}

#[test]
fn a_reader_that_is_killed_loses_nothing_and_repeats_nothing() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        hook(conn, "h", Some("tnt-a"), &["campaign.moved"]);
        let events: Vec<String> = (0..30).map(|_| event(conn, "moved", Some("tnt-a"))).collect();
        // Killed after all was written and before it was committed: the deliveries and how far are one.
        let killed: Result<(), StorageError> = storage::store::transaction(conn, |conn| {
            assert_eq!(reading::carry(conn, &tell, 1_000, at(1))?.deliveries, 30);
            Err(StorageError::conflict("killed", "between"))
        });
        assert!(killed.is_err() && all(conn, &platform()).is_empty(), "{kind}");
        assert_eq!(carry(conn, 2).deliveries, 30, "{kind}");
        assert_eq!(carry(conn, 3).deliveries, 0, "{kind}");
        let told: Vec<String> = all(conn, &platform()).into_iter().map(|row| row.event_id).collect();
        assert_eq!(told, events, "{kind}");
    }
}

#[test]
fn what_is_committed_late_is_told_all_the_same() {
    // SQLite has one writer: sequences are committed in their order.
    for database in testkit::database::all().into_iter().filter(|database| database.kind() != "sqlite") {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        hook(conn, "h", Some("tnt-a"), &["campaign.moved"]);
        let slow = &mut database.connect();
        execute(slow, "BEGIN").unwrap();
        let late = event(slow, "moved", Some("tnt-a"));
        let lost = &mut database.connect();
        execute(lost, "BEGIN").unwrap();
        event(lost, "moved", Some("tnt-a"));
        let early = event(conn, "moved", Some("tnt-a"));
        assert_eq!(carry(conn, 1).deliveries, 1, "{kind}");
        execute(slow, "COMMIT").unwrap();
        execute(lost, "ROLLBACK").unwrap();
        assert!(reading::is_behind(conn).unwrap(), "{kind}: a gap is looked for");
        assert_eq!(carry(conn, 2).deliveries, 1, "{kind}");
        let told: Vec<String> = all(conn, &platform()).into_iter().map(|row| row.event_id).collect();
        assert_eq!(told, [early, late], "{kind}");
        assert_eq!(carry(conn, 3).deliveries, 0, "{kind}");
        carry(conn, 700);
        assert!(!reading::is_behind(conn).unwrap(), "{kind}: what was rolled back is given up after ten minutes");
    }
}

#[test]
fn an_attempt_is_one_processs_until_its_lease_is_over() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        carry(conn, 0);
        for id in ["slow", "fast"] {
            hook(conn, id, Some("tnt-a"), &["campaign.moved"]);
        }
        for _ in 0..6 {
            event(conn, "moved", Some("tnt-a"));
        }
        carry(conn, 1);
        let first = take(conn, 100, 2);
        let of_slow = first.iter().filter(|one| one.webhook.webhook_id == "slow").count();
        assert_eq!((first.len(), of_slow), (8, 4), "{kind}: four to each");
        let second = take(conn, 100, 3);
        assert_eq!(second.len(), 4, "{kind}: the others");
        let ids = |attempts: &[Attempt]| attempts.iter().map(|one| one.delivery.id).collect::<std::collections::BTreeSet<_>>();
        assert!(ids(&first).is_disjoint(&ids(&second)), "{kind}: nobody takes what is taken");
        assert!(take(conn, 100, 4).is_empty() && !queue::is_due(conn, at(4)).unwrap(), "{kind}");
        // The process of the first one dies; another one takes it over, and the first comes back from the dead.
        let again = take(conn, 1, 43);
        assert!(again[0].delivery.attempts == 2 && ids(&again).is_subset(&ids(&first)), "{kind}");
        let zombie = first.iter().find(|one| one.delivery.id == again[0].delivery.id).unwrap();
        assert!(!finish(conn, zombie, Outcome::Delivered, 44), "{kind}: it is not its any more");
        assert!(finish(conn, &again[0], Outcome::Delivered, 45), "{kind}");
        assert!(!finish(conn, &again[0], Outcome::Failed, 46), "{kind}: done is done");
        let done = deliveries::find(conn, &platform(), &again[0].delivery.delivery_id).unwrap();
        assert_eq!((done.status.as_str(), done.attempts, done.last_http_status), ("delivered", 2, Some(200)), "{kind}");
    }
}

/// Many takers at the same time, on connections of their own.
#[tokio::test]
async fn takers_at_the_same_time_share_and_never_double() {
    for database in testkit::database::all() {
        let kind = database.kind();
        {
            let conn = &mut database.connect();
            carry(conn, 0);
            for n in 0..10 {
                hook(conn, &format!("h{n}"), Some("tnt-a"), &["campaign.moved"]);
            }
            for _ in 0..20 {
                event(conn, "moved", Some("tnt-a"));
            }
            assert_eq!(carry(conn, 1).deliveries, 200, "{kind}");
        }
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let storage = database.storage.clone();
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    loop {
                        let some = storage.transaction(|conn| queue::take(conn, &places(7, 7), TimeDelta::hours(1), at(2))).await.unwrap();
                        if some.is_empty() && !storage.read(|conn| queue::is_due(conn, at(2))).await.unwrap() {
                            return taken;
                        }
                        taken.extend(some.into_iter().map(|one| one.delivery.delivery_id));
                    }
                })
            })
            .collect();
        let mut taken = Vec::new();
        for taker in takers {
            taken.extend(taker.await.unwrap());
        }
        let once: std::collections::BTreeSet<&String> = taken.iter().collect();
        assert_eq!((taken.len(), once.len()), (200, 200), "{kind}");
    }
}

/// A webhook with one delivery that failed for good.
fn failed(database: &TestDatabase) -> (Connection, Delivery) {
    let mut conn = database.connect();
    carry(&mut conn, 0);
    hook(&mut conn, "h", Some("tnt-a"), &["campaign.moved"]);
    event(&mut conn, "moved", Some("tnt-a"));
    carry(&mut conn, 1);
    let attempt = take(&mut conn, 1, 2).remove(0);
    assert!(finish(&mut conn, &attempt, Outcome::Failed, 3));
    let row = deliveries::find(&mut conn, &platform(), &attempt.delivery.delivery_id).unwrap();
    (conn, row)
}

#[test]
fn what_failed_is_sent_again_when_somebody_asks() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let (mut conn, row) = failed(&database);
        let conn = &mut conn;
        assert_eq!((row.status.as_str(), row.last_error.as_deref()), ("failed", Some("the receiver answered 500")), "{kind}");
        assert!(take(conn, 10, 100).is_empty(), "{kind}");
        let own = of("tnt-a");
        let replay = |conn: &mut Connection, seconds| {
            storage::store::transaction(conn, |conn| deliveries::replay(conn, &own, &row.delivery_id, at(seconds)))
        };
        let again = replay(conn, 110).unwrap();
        assert_eq!((again.status.as_str(), again.attempts, again.replays, &again.event_id), ("pending", 0, 1, &row.event_id), "{kind}");
        assert!(matches!(replay(conn, 111), Err(StorageError::Conflict { .. })), "{kind}: it is on its way");
        let attempt = take(conn, 1, 112).remove(0);
        assert!(finish(conn, &attempt, Outcome::Again(at(120)), 113), "{kind}");
        assert!(take(conn, 1, 119).is_empty(), "{kind}: it waits");
        let attempt = take(conn, 1, 120).remove(0);
        assert_eq!(attempt.delivery.attempts, 2, "{kind}");
        assert!(finish(conn, &attempt, Outcome::Failed, 121), "{kind}");
        let all = |conn: &mut Connection, since| {
            storage::store::transaction(conn, |conn| deliveries::replay_failed(conn, &of("tnt-a"), "h", at(since), at(200))).unwrap()
        };
        assert_eq!(all(conn, 2).replayed, 0, "{kind}: it was made before");
        assert_eq!((all(conn, 0).replayed, all(conn, 0).replayed), (1, 0), "{kind}");
        let attempt = take(conn, 1, 201).remove(0);
        assert!(finish(conn, &attempt, Outcome::Delivered, 202), "{kind}");
        let done = replay(conn, 300).unwrap();
        assert_eq!((done.replays, done.delivered_at), (3, None), "{kind}: what was delivered may be sent again too");
        let logged = storage::audit::list(conn, &own, &storage::audit::AuditFilter::default(), &Page::first(10)).unwrap().rows;
        assert_eq!(logged.iter().filter(|entry| entry.action == "webhook.replayed").count(), 3, "{kind}");
    }
}

#[test]
fn a_receiver_that_is_gone_or_fails_for_days_is_left_alone() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let (mut conn, row) = failed(&database);
        let conn = &mut conn;
        let find = |conn: &mut Connection| webhooks::find(conn, &platform(), "h").unwrap();
        assert_eq!(find(conn).failing_since.map(|since| since.0), Some(at(3)), "{kind}");
        let day = 86_400;
        for _ in 0..3 {
            event(conn, "moved", Some("tnt-a"));
        }
        carry(conn, 4);
        let attempts = take(conn, 2, 4 * day);
        assert!(finish(conn, &attempts[0], Outcome::Again(at(6 * day)), 4 * day) && find(conn).is_enabled, "{kind}: four days");
        assert!(finish(conn, &attempts[1], Outcome::Again(at(6 * day)), 5 * day + 3), "{kind}");
        let off = find(conn);
        assert!(!off.is_enabled && off.disabled_reason.unwrap().contains("5 days"), "{kind}");
        let waiting = deliveries::waiting(conn, at(9 * day)).unwrap();
        assert_eq!(waiting.pending, 0, "{kind}: what waited is given up");
        let refused = storage::store::transaction(conn, |conn| deliveries::replay(conn, &platform(), &row.delivery_id, at(6 * day)));
        assert!(matches!(refused, Err(StorageError::Conflict { .. })), "{kind}: it is off");
        event(conn, "moved", Some("tnt-a"));
        assert_eq!(carry(conn, 6 * day).deliveries, 0, "{kind}: nothing is kept for one that is off");
        // Switched on it begins anew, and what was given up can be had.
        let on = WebhookPatch { is_enabled: Some(true), ..WebhookPatch::default() };
        let row = storage::store::transaction(conn, |conn| webhooks::update(conn, &of("tnt-a"), "h", &on, at(7 * day))).unwrap();
        assert_eq!((row.disabled_reason, row.failing_since), (None, None), "{kind}");
        let replayed = storage::store::transaction(conn, |conn| deliveries::replay_failed(conn, &platform(), "h", at(0), at(7 * day)));
        assert_eq!(replayed.unwrap().replayed, 4, "{kind}");
        let attempts = take(conn, 2, 7 * day);
        assert!(finish(conn, &attempts[0], Outcome::Delivered, 7 * day), "{kind}");
        assert!(finish(conn, &attempts[1], Outcome::Gone, 7 * day), "{kind}");
        let gone = find(conn);
        assert!(!gone.is_enabled && gone.disabled_reason.unwrap().contains("410"), "{kind}");
        let audit = storage::audit::AuditFilter { action: Some("webhook.disabled".to_owned()), ..Default::default() };
        assert_eq!(storage::audit::list(conn, &of("tnt-a"), &audit, &Page::first(10)).unwrap().rows.len(), 2, "{kind}");
    }
}
