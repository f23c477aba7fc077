//! Accounts that wait for an administrator, and limits that several processes share.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use storage::accounts::{self, Duties, NewAccount};
use storage::error::StorageError;
use storage::page::Page;
use storage::rate_limits::{self, Empty, Rule};
use storage::raters;
use storage::store::transaction;
use testkit::database;

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn new(email: &str) -> NewAccount {
    NewAccount {
        email: email.to_owned(),
        password_hash: Some("hash".to_owned()),
        role: "rater".to_owned(),
        tenant_id: None,
        rater_id: None,
        display_name: "Ada".to_owned(),
        user_metadata: json!({"simulated": true}),
    }
}

#[test]
fn who_signed_up_waits_until_somebody_confirms_and_is_forgotten_if_nobody_does() {
    for db in database::all() {
        let (mut conn, kind) = (db.connect(), db.kind());
        let conn = &mut conn;
        let listed = |conn: &mut _| -> Vec<String> {
            accounts::list_waiting(conn, "", &Page::first(10)).unwrap().rows.into_iter().map(|account| account.email).collect()
        };
        let mut ids = Vec::new();
        for email in ["a@example.com", "b@example.com", "c@example.com"] {
            let account = accounts::insert_waiting(conn, &new(email), noon()).unwrap();
            assert!(account.waits() && !account.is_active, "{kind}");
            ids.push(account.account_id);
        }
        let active = accounts::insert(conn, &new("d@example.com"), noon()).unwrap();
        assert_eq!(listed(conn), ["a@example.com", "b@example.com", "c@example.com"], "{kind}");

        let confirmed = transaction(conn, |tx| accounts::confirm(tx, &ids[0], noon())).unwrap();
        let rater = raters::find(conn, confirmed.rater_id.as_deref().unwrap()).unwrap();
        assert!(confirmed.is_active && rater.is_simulated, "{kind}");
        for gone in [&ids[0], &active.account_id, &"acc_unknown".to_owned()] {
            let again = transaction(conn, |tx| accounts::confirm(tx, gone, noon()));
            assert!(matches!(again, Err(StorageError::NotFound { .. })), "{kind}: {gone} does not wait");
            assert!(matches!(transaction(conn, |tx| accounts::refuse(tx, gone)), Err(StorageError::NotFound { .. })), "{kind}");
        }
        // Shut out later: not to be confused with those that wait.
        let shut_out = Duties { role: "rater".to_owned(), tenant_id: None, is_active: false };
        accounts::set_duties(conn, &ids[0], &shut_out, noon()).unwrap();
        assert_eq!(listed(conn), ["b@example.com", "c@example.com"], "{kind}");

        transaction(conn, |tx| accounts::refuse(tx, &ids[1])).unwrap();
        assert!(accounts::find_by_email(conn, "b@example.com").unwrap().is_none(), "{kind}");
        assert_eq!(accounts::sweep_waiting(conn, noon()).unwrap(), 0, "{kind}");
        assert_eq!(accounts::sweep_waiting(conn, noon() + TimeDelta::days(30)).unwrap(), 1, "{kind}");
        assert_eq!(listed(conn).len(), 0, "{kind}");
    }
}

#[test]
fn of_several_buckets_one_is_taken_of_each_or_none_of_any() {
    for db in database::all() {
        let (mut conn, kind) = (db.connect(), db.kind());
        let conn = &mut conn;
        let (small, large) = (Rule { capacity: 2.0, per_second: 0.1 }, Rule { capacity: 10.0, per_second: 1.0 });
        let both = |mine: &str| [(mine.to_owned(), small), ("all".to_owned(), large)];
        let mut take = |mine: &str, seconds: i64| {
            let buckets = both(mine);
            transaction(conn, |tx| rate_limits::take_one_of_each(tx, &buckets, noon() + TimeDelta::seconds(seconds))).unwrap()
        };
        assert_eq!((take("a", 0), take("a", 0)), (Ok(()), Ok(())), "{kind}");
        for _ in 0..20 {
            assert_eq!(take("a", 0), Err(Empty { bucket: "a".to_owned(), seconds: 10 }), "{kind}: and nothing of the other is used up");
        }
        assert_eq!(take("a", 4), Err(Empty { bucket: "a".to_owned(), seconds: 6 }), "{kind}");
        for n in 0..10 {
            assert_eq!(take(&format!("b{n}"), 4), Ok(()), "{kind}");
        }
        assert_eq!(take("c", 4), Err(Empty { bucket: "all".to_owned(), seconds: 1 }), "{kind}");
        assert_eq!(take("a", 10), Ok(()), "{kind}");
        transaction(conn, |tx| rate_limits::give_back(tx, "a", small, 100, noon() + TimeDelta::seconds(10))).unwrap();
        let drawn = transaction(conn, |tx| rate_limits::draw(tx, "a", small, 5, 0, noon() + TimeDelta::seconds(10))).unwrap();
        assert_eq!(drawn.granted, 2, "{kind}: never more than it holds");
    }
}
