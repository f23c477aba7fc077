//! Work given to several raters with one statement, and judgments written from rows that nobody has locked: on PostgreSQL, whose rows have
//! versions. The other databases say that they do neither.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use storage::assignments::{self, Claim, Wish};
use storage::batch::Batch;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::integrity::Effect;
use storage::store::transaction;
use storage::{queue, raters, tasks};
use testkit::database;

use crate::{new_task, noon, rater, work};

fn lease() -> TimeDelta {
    TimeDelta::minutes(5)
}

fn wish(place: usize, rater_id: &str) -> Wish {
    Wish { place, rater_id: rater_id.to_owned(), task_type: None }
}

/// A claim of a rater as the row stands now.
fn claim_of(conn: &mut Connection, rater_id: &str, task_ids: &[&str]) -> Option<Claim> {
    let (_, version) = assignments::raters_who_ask(conn, &[rater_id]).unwrap().pop()?;
    Some(Claim { rater_id: rater_id.to_owned(), version, task_ids: task_ids.iter().map(|id| (*id).to_owned()).collect() })
}

#[test]
fn several_raters_are_given_work_within_the_slots() {
    for db in database::all() {
        let mut conn = db.connect();
        for task_id in ["first", "second"] {
            tasks::create(&mut conn, &new_task(task_id, 1), noon()).unwrap();
        }
        let ids: Vec<String> = (0..3).map(|n| rater(&mut conn, &format!("rater {n}"))).collect();
        let wishes: Vec<Wish> = ids.iter().enumerate().map(|(place, id)| wish(place, id)).collect();
        let found = assignments::look_for(&mut conn, &wishes).unwrap();
        let claims: Vec<Claim> = ids.iter().filter_map(|id| claim_of(&mut conn, id, &["first", "second"])).collect();
        let given = assignments::claim(&mut conn, &claims, lease(), noon()).unwrap();
        if db.kind() != "postgres" {
            assert!(found.is_empty() && given.iter().all(Option::is_none), "{}", db.kind());
            continue;
        }
        let seen: HashMap<usize, Vec<&str>> = found.iter().fold(HashMap::new(), |mut all, (place, waiting, was_held)| {
            assert!(!was_held);
            all.entry(*place).or_insert_with(Vec::new).push(&waiting.task_id);
            all
        });
        assert!((0..3).all(|place| seen[&place] == ["first", "second"]), "{seen:?}");
        let given: Vec<_> = given.into_iter().flatten().collect();
        let of: Vec<&str> = given.iter().map(|(_, task)| task.task_id.as_str()).collect();
        assert_eq!(of, ["first", "second"], "two places for three");
        for (assignment, task) in &given {
            let stored = assignments::find_of_rater(&mut conn, &assignment.rater_id, &assignment.assignment_id).unwrap();
            assert_eq!(stored, *assignment, "what is answered is what is stored");
            let stored = tasks::read(&mut conn, &task.task_id).unwrap();
            assert_eq!(stored, *task);
            let place = queue::find(&mut conn, &task.task_id).unwrap().unwrap();
            assert_eq!(place.open_leases, 1);
        }
        let again = assignments::claim(&mut conn, &claims, lease(), noon()).unwrap();
        assert!(again.iter().all(Option::is_none), "nothing is left");
    }
}

#[test]
fn who_is_not_active_or_holds_a_lease_is_given_nothing_and_who_had_a_task_before_is_told() {
    for db in database::all().into_iter().filter(|db| db.kind() == "postgres") {
        let mut conn = db.connect();
        for task_id in ["first", "second", "third"] {
            tasks::create(&mut conn, &new_task(task_id, 3), noon()).unwrap();
        }
        let (busy, away, back) = (rater(&mut conn, "busy"), rater(&mut conn, "away"), rater(&mut conn, "back"));
        transaction(&mut conn, |tx| {
            raters::lock_one(tx, &busy)?;
            assignments::lease_next(tx, &work(&busy), &|_| 0.0, noon())?;
            let given = super::given(assignments::lease_next(tx, &work(&back), &|_| 0.0, noon())?).unwrap();
            assignments::release(tx, &back, &given.assignment_id, noon()).map(drop)
        })
        .unwrap();
        let pause = Effect { rung: "pause".to_owned(), golden_rate_factor: 1.0, paused_reason: Some("a pause".to_owned()) };
        storage::integrity::apply(&mut conn, &away, &pause, noon()).unwrap();
        let found = assignments::look_for(&mut conn, &[wish(0, &busy), wish(1, &back)]).unwrap();
        assert!(found.iter().all(|(place, ..)| *place == 1), "who holds a lease finds nothing");
        assert!(found.iter().any(|(_, waiting, was_held)| waiting.task_id == "first" && *was_held), "{found:?}");
        let mut claims: Vec<Claim> = [&busy, &away].map(|id| claim_of(&mut conn, id, &["second"]).unwrap()).to_vec();
        claims.push(Claim { rater_id: "nobody".to_owned(), ..claims[0].clone() });
        let given = assignments::claim(&mut conn, &claims, lease(), noon()).unwrap();
        assert!(given.iter().all(Option::is_none), "{given:?}");
        // A task that the rater has had: nobody is given anything, and all is done again one by one.
        let new = rater(&mut conn, "new");
        let claims = [claim_of(&mut conn, &new, &["third"]).unwrap(), claim_of(&mut conn, &back, &["first"]).unwrap()];
        let raced = assignments::claim(&mut conn, &claims, lease(), noon());
        assert!(matches!(raced, Err(StorageError::Raced(_))), "{raced:?}");
        assert_eq!(assignments::leased_of_rater(&mut conn, &new).unwrap(), None);
        assert_eq!(queue::find(&mut conn, "third").unwrap().unwrap().open_leases, 0);
        // Somebody wrote the rater's row since work was found to be due: perhaps a golden item is due now.
        raters::show_name(&mut conn, &new, true, noon()).unwrap();
        let given = assignments::claim(&mut conn, &claims[..1], lease(), noon()).unwrap();
        assert_eq!(given, [None]);
        // Somebody has the lock of the row: nobody waits.
        let claims = [claim_of(&mut conn, &new, &["third"]).unwrap()];
        let given = transaction(&mut conn, |tx| {
            raters::lock_one(tx, &new)?;
            assignments::claim(&mut db.connect(), &claims, lease(), noon())
        });
        assert_eq!(given.unwrap(), [None]);
        assert!(assignments::claim(&mut conn, &claims, lease(), noon()).unwrap()[0].is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_at_the_same_moment_never_exceed_the_slots_or_give_a_rater_two() {
    const SLOTS: i32 = 2;
    const TASKS: usize = 6;
    for db in database::all().into_iter().filter(|db| db.kind() == "postgres") {
        let mut conn = db.connect();
        let names: Vec<String> = (0..TASKS).map(|n| format!("task-{n}")).collect();
        for name in &names {
            tasks::create(&mut conn, &new_task(name, SLOTS), noon()).unwrap();
        }
        let ids: Vec<String> = (0..16).map(|n| rater(&mut conn, &format!("rater {n}"))).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        // Every rater is in four claims at once, in another order in each.
        let each: Vec<Claim> = ids.iter().map(|id| claim_of(&mut conn, id, &all).unwrap()).collect();
        let claims = |turn: usize| -> Vec<Claim> {
            let mut some = each.clone();
            some.rotate_left(turn * 3);
            if turn % 2 == 1 {
                some.reverse();
            }
            some
        };
        let asked: Vec<_> = (0..4)
            .map(|turn| {
                let (storage, claims) = (db.storage.clone(), claims(turn));
                tokio::spawn(async move { storage.read_and_write(move |conn| assignments::claim(conn, &claims, lease(), noon())).await })
            })
            .collect();
        let mut given = Vec::new();
        for answer in asked {
            match answer.await.unwrap() {
                Ok(some) => given.extend(some.into_iter().flatten().map(|(assignment, _)| assignment)),
                Err(StorageError::Raced(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        let by: HashSet<&str> = given.iter().map(|one| one.rater_id.as_str()).collect();
        assert_eq!(by.len(), given.len(), "a rater was given two tasks");
        let mut places: HashMap<&str, i32> = HashMap::new();
        given.iter().for_each(|one| *places.entry(&one.task_id).or_default() += 1);
        assert!(places.values().all(|n| *n <= SLOTS), "{places:?}");
        for name in &names {
            let counted = queue::find(&mut conn, name).unwrap().unwrap().open_leases;
            assert_eq!(counted, places.get(name.as_str()).copied().unwrap_or(0), "{name}");
        }
        // Everybody asks once more: all places are taken in the end, whoever lost a race before.
        assignments::claim(&mut conn, &each, lease(), noon()).unwrap();
        let taken: i32 = names.iter().map(|name| queue::find(&mut conn, name).unwrap().unwrap().open_leases).sum();
        assert_eq!(taken, SLOTS * TASKS as i32);
    }
}

/// Writes that a rater and a task are as they were, from what was seen.
fn write(conn: &mut Connection, seen: &assignments::Seen) -> Result<(), StorageError> {
    let mut batch = Batch::default();
    tasks::enter_state(conn, &mut batch, &seen.task, Some(&seen.task_version), noon())?;
    for one in &seen.raters {
        raters::enter_record(conn, &mut batch, one, seen.version_of(one))?;
    }
    assignments::submit(conn, &mut batch, &seen.assignment, noon())?;
    assignments::write_as_seen(conn, batch)
}

#[test]
fn what_was_seen_is_written_only_when_nobody_wrote_in_between() {
    for db in database::all() {
        let mut conn = db.connect();
        tasks::create(&mut conn, &new_task("task", 2), noon()).unwrap();
        let own = rater(&mut conn, "own");
        let held = transaction(&mut conn, |tx| {
            raters::lock_one(tx, &own)?;
            assignments::lease_next(tx, &work(&own), &|_| 0.0, noon())
        });
        let held = super::given(held.unwrap()).unwrap();
        let see = |conn: &mut Connection| assignments::see(conn, &own, &held.assignment_id).unwrap();
        if db.kind() != "postgres" {
            assert!(see(&mut conn).is_none());
            continue;
        }
        assert!(assignments::see(&mut conn, "somebody else", &held.assignment_id).unwrap().is_none());
        let state = |conn: &mut Connection| assignments::find_of_rater(conn, &own, &held.assignment_id).unwrap().state;

        let seen = see(&mut conn).unwrap();
        assert_eq!((seen.assignment.clone(), seen.max_judgments), (held.clone(), Some(2)));
        assert_eq!(seen.raters.iter().map(|one| one.rater_id.as_str()).collect::<Vec<_>>(), [own.as_str()]);
        raters::show_name(&mut conn, &own, true, noon()).unwrap();
        assert!(matches!(write(&mut conn, &seen), Err(StorageError::Raced(_))), "the rater was written");
        assert_eq!(state(&mut conn), "leased", "and nothing of it was kept");

        let seen = see(&mut conn).unwrap();
        let task = transaction(&mut conn, |tx| tasks::lock_state(tx, "task")).unwrap();
        let mut batch = Batch::default();
        tasks::enter_state(&mut conn, &mut batch, &task, None, noon()).unwrap();
        batch.finish(&mut conn).unwrap();
        assert!(matches!(write(&mut conn, &seen), Err(StorageError::Raced(_))), "the task was written, with the same values");
        assert_eq!(state(&mut conn), "leased");

        // Locks alone are no writes.
        let seen = see(&mut conn).unwrap();
        transaction(&mut conn, |tx| {
            raters::lock_one(tx, &own)?;
            tasks::lock_state(tx, "task").map(drop)
        })
        .unwrap();
        write(&mut conn, &seen).unwrap();
        assert_eq!(state(&mut conn), "submitted");
        assert!(matches!(write(&mut conn, &seen), Err(StorageError::Raced(_))), "it was judged already");
    }
}
