//! Token buckets grant no more than there is, however many processes draw; places are shared fairly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::scope::Scope;
use storage::error::StorageError;
use storage::rate_limits::{self, Drawn, Rule};
use storage::share::FairShare;
use storage::store::{PoolOptions, Storage};
use tokio::sync::{Barrier, Mutex};

fn start() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_together_are_granted_no_more_than_capacity_and_refill() {
    const RULE: Rule = Rule { capacity: 100.0, per_second: 10.0 };
    for database in testkit::database::all() {
        let granted = Arc::new(AtomicU32::new(0));
        let mut tasks = Vec::new();
        // Each replica has pools of its own; clocks are up to three seconds apart and move on by two seconds in all.
        for replica in 0..3_i64 {
            let options = PoolOptions { min: 1, max: 4, sqlite_readers: 1, acquire_timeout: Duration::from_secs(60) };
            let storage = Storage::new(database.storage.url().clone(), options);
            for task in 0..4_i64 {
                let (storage, granted) = (storage.clone(), Arc::clone(&granted));
                tasks.push(tokio::spawn(async move {
                    let mut spare = 0;
                    for round in 0..10_i64 {
                        let now = start() + TimeDelta::milliseconds(replica * 1_000 + round * 200 + task * 7);
                        let returned = spare;
                        let drawn = storage.transaction(move |tx| rate_limits::draw(tx, "caller:k", RULE, 7, returned, now)).await;
                        let Ok(Drawn { granted: new, left }) = drawn else {
                            // Many writers at once: nothing was granted, and what was to be given back is lost.
                            assert!(matches!(drawn, Err(StorageError::Busy(_))), "{drawn:?}");
                            spare = 0;
                            continue;
                        };
                        assert!((0.0..=100.0).contains(&left) && new <= 7);
                        // One of each draw is not spent and given back.
                        spare = u32::from(new > 3);
                        granted.fetch_add(new - spare, Ordering::SeqCst);
                    }
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        // The latest clock any of them had, over the earliest.
        let span = 2.0 + 1.8 + 0.021;
        let most = 100.0 + 10.0 * span;
        let total = granted.load(Ordering::SeqCst);
        assert!(f64::from(total) <= most, "{}: {total} granted, at most {most}", database.kind());
        assert!(total >= 80, "{}: only {total} granted", database.kind());
    }
}

#[test]
fn a_bucket_empties_fills_and_is_swept() {
    const RULE: Rule = Rule { capacity: 10.0, per_second: 2.0 };
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let kind = database.kind();
        let mut draw = |wanted, returned, ms| {
            let now = start() + TimeDelta::milliseconds(ms);
            storage::store::transaction(&mut conn, |tx| rate_limits::draw(tx, "b", RULE, wanted, returned, now)).unwrap()
        };
        assert_eq!(draw(7, 0, 0), Drawn { granted: 7, left: 3.0 }, "{kind}");
        assert_eq!(draw(7, 0, 0), Drawn { granted: 3, left: 0.0 }, "{kind}");
        assert_eq!(draw(7, 0, 250), Drawn { granted: 0, left: 0.5 }, "{kind}");
        assert_eq!(draw(7, 0, 1_250), Drawn { granted: 2, left: 0.5 }, "{kind}: a half and two");
        assert_eq!(draw(7, 4, 1_250), Drawn { granted: 4, left: 0.5 }, "{kind}: what was given back");
        assert_eq!(draw(1, 0, 0), Drawn { granted: 0, left: 0.5 }, "{kind}: a clock that is behind brings nothing");
        assert_eq!(draw(1, 0, 1_250), Drawn { granted: 0, left: 0.5 }, "{kind}: and nothing twice");
        assert_eq!(draw(1, 0, 3_600_000), Drawn { granted: 1, left: 9.0 }, "{kind}: never over the capacity");
        let mut conn = database.connect();
        let at = |s| start() + TimeDelta::seconds(s);
        assert_eq!(rate_limits::sweep(&mut conn, at(3_600)).unwrap(), 0, "{kind}");
        assert_eq!(rate_limits::sweep(&mut conn, at(3_601)).unwrap(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_flooding_tenant_holds_its_share_and_waits_behind_itself() {
    let places = FairShare::new(4);
    assert_eq!((places.share(), places.max_waiting()), (2, 64));
    // Flood: two get in, the rest waits.
    let mut held = vec![places.acquire(Some("a")).await.unwrap(), places.acquire(Some("a")).await.unwrap()];
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for _ in 0..places.max_waiting() {
        let (places, served) = (places.clone(), Arc::clone(&served));
        waiting.push(tokio::spawn(async move {
            let place = places.acquire(Some("a")).await.unwrap();
            served.lock().await.push("a");
            drop(place);
        }));
    }
    // One thread, so all of them stand in line after a few rounds.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(places.acquire(Some("a")).await, Err(StorageError::Crowded)), "one more than may wait");
    // B comes last and is served at once, twice, while A's queue stands.
    let b = (places.acquire(Some("b")).await.unwrap(), places.acquire(Some("b")).await.unwrap());
    served.lock().await.push("b");
    drop(b);
    // The platform too.
    drop(places.acquire(None).await.unwrap());
    held.clear();
    for task in waiting {
        task.await.unwrap();
    }
    let served = served.lock().await;
    assert_eq!((served[0], served.len()), ("b", 1 + places.max_waiting()));
    drop(places.acquire(Some("a")).await.unwrap());
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_no_trace() {
    let places = FairShare::new(1);
    let held = places.acquire(Some("a")).await.unwrap();
    for _ in 0..200 {
        assert!(tokio::time::timeout(Duration::ZERO, places.acquire(Some("a"))).await.is_err());
    }
    drop(held);
    drop(places.acquire(Some("a")).await.unwrap());
}

/// Tenant A floods the pool with work that does not end before it is told to; B's requests are answered meanwhile, on every database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_tenants_slow_reads_leave_connections_for_the_others() {
    for database in testkit::database::all() {
        let options = PoolOptions { min: 1, max: 4, sqlite_readers: 4, acquire_timeout: Duration::from_secs(60) };
        let storage = Storage::new(database.storage.url().clone(), options);
        let of = |tenant| storage.scoped(&Scope::for_caller("acc", Role::Analyst, Some(tenant)));
        let begun = Arc::new(Barrier::new(3));
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let is_over = Arc::new(AtomicU32::new(0));
        let mut flood = Vec::new();
        for _ in 0..40 {
            let (a, begun, released, is_over) = (of("a"), Arc::clone(&begun), Arc::clone(&released), Arc::clone(&is_over));
            flood.push(tokio::spawn(async move {
                let handle = tokio::runtime::Handle::current();
                a.read(move |_| {
                    if is_over.load(Ordering::SeqCst) == 0 {
                        handle.block_on(begun.wait());
                        let _ = released.lock().unwrap().recv();
                    }
                    Ok(())
                })
                .await
            }));
        }
        // Two of them hold their connections now, and 38 wait.
        begun.wait().await;
        let mut answered = BTreeSet::new();
        for n in 0..20 {
            of("b").read(|_| Ok(())).await.unwrap();
            answered.insert(n);
        }
        assert_eq!(answered.len(), 20, "{}", database.kind());
        assert!(flood.iter().all(|task| !task.is_finished()), "{}: A is still waiting", database.kind());
        is_over.store(1, Ordering::SeqCst);
        drop(release);
        for task in flood {
            task.await.unwrap().unwrap();
        }
    }
}
