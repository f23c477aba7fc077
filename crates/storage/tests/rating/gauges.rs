//! Figures for whoever is on call say what waits and since when, on every configured database.

use chrono::TimeDelta;
use domain::scope::Scope;
use serde_json::json;
use storage::assignments;
use storage::gauges::{self, Backlog};
use storage::jobs::{self, Finish, NewJob};
use storage::outbox::{self, Destination, NewEvent};
use storage::store::transaction;
use storage::tasks::{self, NewTask};
use storage::types::Timestamp;
use testkit::database;

use crate::{given, new_task, noon, rater, record, work};

fn backlog(kind: &str, count: i64, minutes: i64) -> Backlog {
    Backlog { kind: kind.to_owned(), count, oldest: Some(Timestamp(noon() + TimeDelta::minutes(minutes))) }
}

#[test]
fn what_waits_is_counted_with_the_age_of_the_oldest() {
    for db in database::all() {
        let mut conn = db.connect();
        assert_eq!(gauges::tasks_to_judge(&mut conn).unwrap(), []);
        let nothing = gauges::leases(&mut conn).unwrap();
        assert_eq!((nothing.count, nothing.age(noon())), (0, 0.0));

        for (n, status) in ["pending", "in_progress", "completed"].into_iter().enumerate() {
            let task = NewTask { status: status.to_owned(), ..new_task(&format!("task-{n}"), 1) };
            tasks::create(&mut conn, &task, noon() + TimeDelta::minutes(n as i64)).unwrap();
        }
        let other = NewTask { task_type: "policy_compliance".to_owned(), ..new_task("other", 3) };
        tasks::create(&mut conn, &other, noon() + TimeDelta::minutes(9)).unwrap();
        let mut waiting = gauges::tasks_to_judge(&mut conn).unwrap();
        waiting.sort_by(|a, b| a.kind.cmp(&b.kind));
        assert_eq!(waiting, [backlog("plan_quality", 2, 0), backlog("policy_compliance", 1, 9)], "{}", db.kind());
        assert_eq!(waiting[0].age(noon() + TimeDelta::minutes(2)), 120.0);
        assert_eq!(waiting[0].age(noon() - TimeDelta::minutes(2)), 0.0, "a clock behind the others makes no negative age");

        let rater_id = rater(&mut conn, "Somebody");
        let later = noon() + TimeDelta::minutes(10);
        let held = transaction(&mut conn, |tx| assignments::lease_next(tx, &work(&rater_id), &|_| 0.0, later)).unwrap();
        let held = given(held).unwrap();
        assert_eq!(gauges::leases(&mut conn).unwrap(), Backlog { kind: "lease".to_owned(), ..backlog("", 1, 10) });
        transaction(&mut conn, |tx| record(tx, &held, later)).unwrap();
        assert_eq!(gauges::leases(&mut conn).unwrap().count, 0, "{}: a judged task is not held", db.kind());
    }
}

#[test]
fn events_taken_and_jobs_done_no_longer_wait() {
    for db in database::all() {
        let mut conn = db.connect();
        let event = |destination| NewEvent { destination, topic: "t".into(), event: "e".into(), payload: json!({}), tenant_id: None };
        for (minute, destination) in [Destination::Realtime, Destination::RlhfBackend, Destination::RlhfBackend].into_iter().enumerate() {
            outbox::push(&mut conn, &event(destination), noon() + TimeDelta::minutes(minute as i64)).unwrap();
        }
        assert_eq!(gauges::undelivered(&mut conn).unwrap(), [backlog("rlhf_backend", 2, 1)], "{}", db.kind());
        let first = outbox::due(&mut conn, Destination::RlhfBackend, noon() + TimeDelta::hours(1), 1).unwrap().remove(0);
        outbox::delivered(&mut conn, first.id, noon()).unwrap();
        assert_eq!(gauges::undelivered(&mut conn).unwrap(), [backlog("rlhf_backend", 1, 2)], "{}", db.kind());

        let new = NewJob { kind: "train_reward_model", tenant_id: None, input: json!({}) };
        let job = jobs::enqueue(&mut conn, &Scope::system("test"), &new, noon()).unwrap();
        assert_eq!(gauges::unfinished_jobs(&mut conn).unwrap(), [backlog("train_reward_model", 1, 0)]);
        let taken = jobs::take_next(&mut conn, &["train_reward_model"], noon(), TimeDelta::minutes(1)).unwrap().unwrap();
        assert_eq!(taken.job_id, job.job_id);
        assert_eq!(gauges::unfinished_jobs(&mut conn).unwrap()[0].count, 1, "a job at work is not done");
        jobs::finish(&mut conn, &taken, noon(), Finish::Succeeded(&json!({}))).unwrap();
        assert_eq!(gauges::unfinished_jobs(&mut conn).unwrap(), [], "{}", db.kind());
    }
}
