//! Sessions: lost answers lose nothing, copies are found out, and whatever ends is told to all processes.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::scope::Scope;
use serde_json::json;
use storage::access_ends::{self, AccessEnd};
use storage::accounts::{self, Account, AccountPatch, Exchange, HostedAccount, NewAccount, NewRefreshToken, Rotation};
use storage::api_keys::{self, NewApiKey};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox;
use storage::store::transaction;
use testkit::database::{self, TestDatabase};

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    noon() + TimeDelta::seconds(seconds)
}

fn account(conn: &mut Connection) -> Account {
    let new = NewAccount {
        email: "Ada@Example.com".to_owned(),
        password_hash: None,
        role: "rater".to_owned(),
        tenant_id: None,
        rater_id: None,
        display_name: "Ada".to_owned(),
        user_metadata: json!({}),
    };
    let account = accounts::insert(conn, &new, noon()).unwrap();
    assert!(accounts::find_by_email(conn, "ada@example.COM").unwrap().is_some());
    assert!(matches!(accounts::insert(conn, &new, noon()), Err(StorageError::Conflict { code: "account_exists", .. })));
    account
}

fn start(conn: &mut Connection, account: &Account, session: &str, token: &str, now: DateTime<Utc>) {
    let token = NewRefreshToken {
        token_hash: token.to_owned(),
        session_id: session.to_owned(),
        account_id: account.account_id.clone(),
        expires_at: noon() + TimeDelta::days(30),
    };
    transaction(conn, |tx| accounts::start_session(tx, &token, now)).unwrap();
}

/// What becomes of a token that is presented: `ok`, `reused` or `refused`.
fn rotate(conn: &mut Connection, presented: &str, next: &str, now: DateTime<Utc>) -> &'static str {
    let exchange = Exchange {
        presented_hash: presented.to_owned(),
        next_hash: next.to_owned(),
        expires_at: noon() + TimeDelta::days(30),
        let_off: TimeDelta::seconds(10),
    };
    match transaction(conn, |tx| accounts::rotate(tx, &exchange, now)).unwrap() {
        Rotation::Rotated { .. } => "ok",
        Rotation::Reused => "reused",
        Rotation::Refused => "refused",
    }
}

fn ends(conn: &mut Connection) -> Vec<AccessEnd> {
    let events = access_ends::since(conn, noon(), 0, 100).unwrap();
    events.iter().map(|event| access_ends::read(event).unwrap().0).collect()
}

#[test]
fn a_lost_answer_loses_no_session_and_a_copy_ends_it() {
    for db in database::all() {
        let (mut conn, kind) = (db.connect(), db.kind());
        let conn = &mut conn;
        let account = account(conn);
        start(conn, &account, "s1", "h1", noon());
        for (seconds, presented, next, became) in [
            (0, "h1", "h2-lost", "ok"),
            // Hours later: nobody has used what it was exchanged for.
            (7_200, "h1", "h2-lost-too", "ok"),
            (7_200, "h1", "h2", "ok"),
            (7_300, "h2", "h3", "ok"),
            // Let off for a moment, whichever of the siblings and of the parents it is.
            (7_309, "h2-lost", "h3b", "ok"),
            (7_309, "h1", "h3c", "ok"),
            (7_400, "h3", "h4", "ok"),
            (7_405, "h2", "h4b", "ok"),
            (7_406, "unknown", "h0", "refused"),
            // Somebody has kept a copy.
            (7_500, "h2", "stolen", "reused"),
            (7_501, "h4", "h5", "refused"),
            (7_501, "h2", "h5b", "refused"),
        ] {
            assert_eq!(rotate(conn, presented, next, at(seconds)), became, "{kind}: {presented} after {seconds} s");
        }
        assert_eq!(ends(conn), [AccessEnd::Session { session_id: "s1".to_owned() }], "{kind}");

        // The lost answer was not lost but read by somebody else, who comes second.
        start(conn, &account, "s2", "g1", noon());
        assert_eq!(rotate(conn, "g1", "g2-theirs", at(0)), "ok", "{kind}");
        assert_eq!(rotate(conn, "g1", "g2", at(3)), "ok", "{kind}");
        assert_eq!(rotate(conn, "g2", "g3", at(60)), "ok", "{kind}");
        assert_eq!(rotate(conn, "g2-theirs", "g4", at(3_600)), "reused", "{kind}: two hold tokens of one session");
        assert_eq!(rotate(conn, "g3", "g5", at(3_601)), "refused", "{kind}");

        start(conn, &account, "s3", "k1", noon());
        assert_eq!(rotate(conn, "k1", "k2", noon() + TimeDelta::days(30)), "refused", "{kind}: expired");
        // However often it is asked, the tokens that may be used stay few, and the newest is one of them.
        for n in 0..30 {
            assert_eq!(rotate(conn, "k1", &format!("k2-{n}"), at(n)), "ok", "{kind}");
        }
        assert_eq!(rotate(conn, "k2-29", "k3", at(100)), "ok", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tabs_that_ask_at_once_both_stay_signed_in() {
    for db in database::all() {
        let kind = db.kind();
        {
            let mut conn = db.connect();
            let account = account(&mut conn);
            start(&mut conn, &account, "s1", "h1", noon());
        }
        let asked: Vec<_> = (0..4)
            .map(|n| {
                let mut conn = db.connect();
                tokio::task::spawn_blocking(move || {
                    // SQLite has one writer, and says so.
                    let exchange = Exchange {
                        presented_hash: "h1".to_owned(),
                        next_hash: format!("tab-{n}"),
                        expires_at: noon() + TimeDelta::days(30),
                        let_off: TimeDelta::seconds(10),
                    };
                    loop {
                        match transaction(&mut conn, |tx| accounts::rotate(tx, &exchange, at(1))) {
                            Err(StorageError::Busy(_) | StorageError::Raced(_)) => {}
                            other => return matches!(other.unwrap(), Rotation::Rotated { .. }),
                        }
                    }
                })
            })
            .collect();
        for one in asked {
            assert!(one.await.unwrap(), "{kind}");
        }
        let mut conn = db.connect();
        assert_eq!(rotate(&mut conn, "tab-2", "next", at(3_600)), "ok", "{kind}");
    }
}

#[test]
fn whatever_takes_access_away_is_told_in_the_same_transaction() {
    for db in database::all() {
        let (mut conn, kind) = (db.connect(), db.kind());
        let conn = &mut conn;
        let account = account(conn);
        let id = account.account_id.clone();
        start(conn, &account, "old", "h1", at(-100));
        start(conn, &account, "new", "h2", noon());
        start(conn, &account, "own", "h3", at(-100));
        let failed: Result<(), StorageError> = transaction(conn, |tx| {
            accounts::revoke_session(tx, "old", noon())?;
            Err(StorageError::conflict("test", "no"))
        });
        assert!(failed.is_err() && ends(conn).is_empty(), "{kind}: what did not happen is not told");

        transaction(conn, |tx| accounts::revoke_all_sessions(tx, &id, Some("own"), noon())).unwrap();
        let spared =
            AccessEnd::Account { account_id: id.clone(), spared: Some("own".to_owned()), latest: BTreeSet::from(["new".to_owned()]) };
        assert_eq!(ends(conn), [spared], "{kind}: sessions of the last second by name");
        assert_eq!(rotate(conn, "h3", "h4", at(1)), "ok", "{kind}");

        let key = NewApiKey {
            name: "k".to_owned(),
            key_hash: "hash".to_owned(),
            key_prefix: "ek_".to_owned(),
            role: "analyst".to_owned(),
            tenant_id: Some("tnt-a".to_owned()),
            scopes: Vec::new(),
            expires_at: None,
        };
        let system = Scope::system("test");
        let key = transaction(conn, |tx| api_keys::insert(tx, &system, &key, noon())).unwrap();
        for _ in 0..2 {
            transaction(conn, |tx| api_keys::revoke(tx, &system, &key.key_id, noon())).unwrap();
        }
        assert_eq!(ends(conn)[1..], [AccessEnd::Key { key_id: key.key_id.clone() }], "{kind}: revoking twice is told once");

        // A hosted project gives another role; saying the same again is no news.
        let said = HostedAccount { email: account.email.clone(), role: "expert".to_owned(), tenant_id: None, rater_id: None };
        for _ in 0..2 {
            transaction(conn, |tx| accounts::note_hosted_sign_in(tx, &id, &said, noon(), noon())).unwrap();
        }
        let all = ends(conn);
        assert_eq!(all.len(), 3, "{kind}: {all:?}");
        assert_eq!(all[2], AccessEnd::Account { account_id: id, spared: None, latest: BTreeSet::new() }, "{kind}");
        assert_eq!(access_ends::since(conn, at(1), 0, 100).unwrap().len(), 0, "{kind}");
    }
}

#[test]
fn clearing_the_outbox_leaves_the_place_that_it_has_reached() {
    for db in database::all() {
        let (mut conn, kind) = (db.connect(), db.kind());
        let conn = &mut conn;
        for n in 0..5 {
            transaction(conn, |tx| accounts::revoke_session(tx, &format!("s{n}"), noon())).unwrap();
        }
        let newest = outbox::newest(conn).unwrap();
        assert_eq!(transaction(conn, |tx| outbox::sweep(tx, at(10))).unwrap(), 4, "{kind}");
        assert_eq!(transaction(conn, |tx| outbox::sweep(tx, at(10))).unwrap(), 0, "{kind}");
        assert_eq!(outbox::newest(conn).unwrap(), newest, "{kind}: whoever asks for what came after an earlier one is told of the gap");
    }
}

/// Does `second` beside `first`, which is written and not committed yet: `second` is waited for until the database makes it wait, or it is done.
fn beside<T: Send + 'static>(
    db: &TestDatabase,
    first: impl FnOnce(&mut Connection),
    second: impl FnOnce(&mut Connection) -> Result<T, StorageError> + Send + 'static,
) -> T {
    let (mut one, mut other, mut watch) = (db.connect(), db.connect(), db.connect());
    let mut under_way = None;
    transaction(&mut one, |tx| {
        first(tx);
        let done = std::thread::spawn(move || transaction(&mut other, second));
        // SQLite lets nobody begin to write meanwhile.
        while db.kind() != "sqlite" && !done.is_finished() && !somebody_waits(&mut watch) {
            // MariaDB looks anew only when it was not asked for a tenth of a second.
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
        under_way = Some(done);
        Ok(())
    })
    .unwrap();
    under_way.unwrap().join().unwrap().unwrap()
}

#[derive(diesel::QueryableByName)]
struct Waiting {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

fn somebody_waits(conn: &mut Connection) -> bool {
    use diesel::RunQueryDsl as _;
    let postgres = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mysql = "SELECT count(*) AS n FROM information_schema.innodb_trx t \
        JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = database()";
    let found: Waiting = match conn {
        Connection::Postgres(c) => diesel::sql_query(postgres).get_result(c).unwrap(),
        Connection::Mysql(c) => diesel::sql_query(mysql).get_result(c).unwrap(),
        Connection::Sqlite(_) => return false,
    };
    found.n > 0
}

#[test]
fn a_refresh_beside_a_sign_out_survives_nothing() {
    for db in database::all() {
        let kind = db.kind();
        let mut conn = db.connect();
        let account = account(&mut conn);
        let id = account.account_id.clone();
        for (session, ends_all) in [("s1", false), ("s2", true)] {
            let of = |n: u8| format!("{session}-{n}");
            start(&mut conn, &account, session, &of(1), noon());
            let exchange = Exchange {
                presented_hash: of(1),
                next_hash: of(2),
                expires_at: noon() + TimeDelta::days(30),
                let_off: TimeDelta::seconds(10),
            };
            let refresh = |tx: &mut Connection| {
                assert!(matches!(accounts::rotate(tx, &exchange, at(1)), Ok(Rotation::Rotated { .. })), "{kind}");
            };
            let id = id.clone();
            beside(&db, refresh, move |tx| match ends_all {
                true => accounts::revoke_all_sessions(tx, &id, None, at(1)),
                false => accounts::revoke_session(tx, session, at(1)),
            });
            assert_eq!(rotate(&mut conn, &of(2), &of(3), at(2)), "refused", "{kind}: {session}");
        }
    }
}

#[test]
fn what_was_read_of_an_account_a_while_ago_begins_no_session_and_brings_nothing_back() {
    for db in database::all() {
        let kind = db.kind();
        let mut conn = db.connect();
        let seen = account(&mut conn);
        let id = seen.account_id.clone();
        let set = |hash: &str| AccountPatch { password_hash: Some(hash.to_owned()), ..AccountPatch::default() };
        let (new_password, of) = (set("new"), id.clone());
        let before = seen.clone();
        let went_on = beside(
            &db,
            |tx| drop(accounts::update(tx, &of, &new_password, noon()).unwrap()),
            move |tx| accounts::lock_unchanged(tx, &before).map(|account| account.is_some()),
        );
        assert!(!went_on, "{kind}: with the old password");

        let (newer_password, of, rename) = (set("newer"), id.clone(), id.clone());
        let name = AccountPatch { display_name: Some("Lovelace".to_owned()), ..AccountPatch::default() };
        let renamed = beside(
            &db,
            |tx| drop(accounts::update(tx, &of, &newer_password, noon()).unwrap()),
            move |tx| accounts::update(tx, &rename, &name, noon()),
        );
        assert_eq!((renamed.password_hash.as_deref(), renamed.display_name.as_str()), (Some("newer"), "Lovelace"), "{kind}");
        assert!(accounts::lock_unchanged(&mut conn, &renamed).unwrap().is_some(), "{kind}: a name says nothing of who may sign in");
        for duties in [("expert", None, true), ("rater", Some("tnt-a"), true), ("rater", None, false)] {
            let (role, tenant_id, is_active) = duties;
            let duties = accounts::Duties { role: role.to_owned(), tenant_id: tenant_id.map(str::to_owned), is_active };
            accounts::set_duties(&mut conn, &id, &duties, noon()).unwrap();
            assert!(accounts::lock_unchanged(&mut conn, &renamed).unwrap().is_none(), "{kind}: {role} {tenant_id:?} {is_active}");
        }
    }
}
