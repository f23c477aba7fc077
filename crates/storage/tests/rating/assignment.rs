//! Accounts, tasks, leases and judgments on every configured database.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::scope::Scope;
use serde_json::json;
use storage::assignments::{self, LeaseRequest, Nothing, Purpose};
use storage::batch::Batch;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::golden::{self, NewGoldenItem};
use storage::judgments;
use storage::page::Page;
use storage::queue::{self, Progress};
use storage::raters::{self, Answer, Step};
use storage::store::{Storage, transaction};
use storage::tasks::{self, NewTask, TaskFilter};
use testkit::database;

use crate::{new_task, noon, rater, record, work};

/// Leases the next task for a rater, all tasks of equal worth.
fn lease(tx: &mut Connection, request: &LeaseRequest, now: DateTime<Utc>) -> Result<Option<assignments::Assignment>, StorageError> {
    raters::lock_one(tx, &request.rater_id)?;
    if let Some(open) = assignments::leased_of_rater(tx, &request.rater_id)? {
        return Ok(Some(open));
    }
    Ok(super::given(assignments::lease_next(tx, request, &|_| 0.0, now)?))
}

/// Judges a task that is held, as the service does: the lease's place becomes the judgment's.
fn judge(tx: &mut Connection, held: &assignments::Assignment) -> Result<String, StorageError> {
    let mut task = tasks::lock_state(tx, &held.task_id)?;
    raters::lock_one(tx, &held.rater_id)?;
    let judgment = record(tx, held, noon())?;
    task.judgments_count += 1;
    let mut batch = Batch::default();
    let mut place = None;
    if task.judgments_count >= task.required_judgments {
        task.status = "completed".to_owned();
        queue::remove(tx, &task.task_id)?;
    } else {
        let progress = Progress {
            judgments: task.judgments_count,
            required: task.required_judgments,
            leases: -1,
            leading_posterior: None,
            position: 0.0,
        };
        place = Some(queue::enter_progress(tx, &mut batch, &task.task_id, &progress, &queue::Weights::default(), noon())?);
    }
    tasks::enter_state(tx, &mut batch, &task, None, noon())?;
    let counts = batch.finish(tx)?;
    assert!(place.is_none_or(|place| counts.of(place) == 1));
    Ok(judgment.judgment_id)
}

/// One rater works until nothing is left; the ids of judgments that were acknowledged.
async fn work_until_done(storage: Storage, rater_id: String) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let request = work(&rater_id);
        let leased = storage.transaction(move |tx| lease(tx, &request, noon())).await;
        let assignment = match leased {
            Ok(Some(assignment)) => assignment,
            Ok(None) => return acknowledged,
            Err(StorageError::Busy(_)) => continue,
            Err(other) => panic!("{other:?}"),
        };
        loop {
            let held = assignment.clone();
            match storage.transaction(move |tx| judge(tx, &held)).await {
                Ok(id) => break acknowledged.push(id),
                Err(StorageError::Busy(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_raters_never_exceed_the_slots_and_lose_nothing() {
    const REQUIRED: i32 = 3;
    const TASKS: usize = 5;
    for db in database::all() {
        let mut conn = db.connect();
        for n in 0..TASKS {
            tasks::create(&mut conn, &new_task(&format!("task-{n}"), REQUIRED), noon()).unwrap();
        }
        let names: Vec<String> = (0..12).map(|n| rater(&mut conn, &format!("rater {n}"))).collect();
        let working: Vec<_> = names.iter().map(|id| tokio::spawn(work_until_done(db.storage.clone(), id.clone()))).collect();
        let mut acknowledged = HashSet::new();
        for worker in working {
            acknowledged.extend(worker.await.unwrap());
        }
        let mut stored = HashSet::new();
        for n in 0..TASKS {
            let given = judgments::of_task(&mut conn, &format!("task-{n}")).unwrap();
            assert_eq!(given.len(), REQUIRED as usize, "{}: task {n}", db.kind());
            let by: HashSet<&str> = given.iter().map(|j| j.rater_id.as_str()).collect();
            assert_eq!(by.len(), given.len(), "{}: a rater judged task {n} twice", db.kind());
            stored.extend(given.into_iter().map(|j| j.judgment_id));
        }
        assert_eq!(acknowledged, stored, "{}", db.kind());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tabs_of_one_rater_get_the_same_lease() {
    for db in database::all() {
        let mut conn = db.connect();
        for n in 0..4 {
            tasks::create(&mut conn, &new_task(&format!("task-{n}"), 3), noon()).unwrap();
        }
        let rater_id = rater(&mut conn, "two tabs");
        let ask = || {
            let (storage, request) = (db.storage.clone(), work(&rater_id));
            tokio::spawn(async move { storage.transaction(move |tx| lease(tx, &request, noon())).await })
        };
        let asked: Vec<_> = (0..6).map(|_| ask()).collect();
        let mut ids = HashSet::new();
        for answer in asked {
            ids.insert(answer.await.unwrap().unwrap().unwrap().assignment_id);
        }
        assert_eq!(ids.len(), 1, "{}", db.kind());
    }
}

#[test]
fn leases_end_come_again_or_never() {
    for db in database::all() {
        let mut conn = db.connect();
        tasks::create(&mut conn, &new_task("only", 1), noon()).unwrap();
        let (first, second) = (rater(&mut conn, "first"), rater(&mut conn, "second"));
        let next = |conn: &mut Connection, rater_id: &str, at| transaction(conn, |tx| lease(tx, &work(rater_id), at)).unwrap();
        let held = next(&mut conn, &first, noon()).unwrap();
        assert!(held.order() == [0, 1] || held.order() == [1, 0]);
        assert!(next(&mut conn, &second, noon()).is_none(), "{}: the only slot is held", db.kind());
        assert_eq!(assignments::nothing_because(&mut conn, &work(&second)).unwrap(), Nothing::AllHeld);

        // Past its time the slot is free at once: who finds nothing else ends what is over.
        let later = noon() + TimeDelta::minutes(6);
        let taken = next(&mut conn, &second, later).unwrap();
        assert_eq!(taken.task_id, "only");
        assert!(matches!(
            assignments::extend(&mut conn, &first, &held.assignment_id, TimeDelta::minutes(5), later),
            Err(StorageError::Conflict { code: "lease_expired", .. })
        ));
        assert!(assignments::sweep_expired(&mut conn, later, 10).unwrap().is_empty(), "{}: nothing is left to end", db.kind());
        assert_eq!(queue::find(&mut conn, "only").unwrap().unwrap().open_leases, 1);

        // Given back, it comes again to the first rater, as the same assignment with its draft.
        assignments::save_draft(&mut conn, &first, &held.assignment_id, json!({"choice": "tie"}), later).unwrap();
        assignments::release(&mut conn, &second, &taken.assignment_id, later).unwrap();
        let again = next(&mut conn, &first, later).unwrap();
        assert_eq!((again.assignment_id, again.draft.map(|d| d.0)), (held.assignment_id.clone(), Some(json!({"choice": "tie"}))));

        // Passed over, it never comes again; and nobody else's assignment can be touched.
        assert!(matches!(assignments::skip(&mut conn, &second, &held.assignment_id, "x", later), Err(StorageError::NotFound { .. })));
        assignments::skip(&mut conn, &first, &held.assignment_id, "not my field", later).unwrap();
        assert!(next(&mut conn, &first, later).is_none());
        assert_eq!(assignments::nothing_because(&mut conn, &work(&first)).unwrap(), Nothing::AllDoneByYou);
        let other_type = LeaseRequest { task_types: vec!["tool_call_qa".to_owned()], ..work(&first) };
        assert_eq!(assignments::nothing_because(&mut conn, &other_type).unwrap(), Nothing::NoTasks);
    }
}

#[test]
fn higher_priority_comes_first_then_the_older() {
    for db in database::all() {
        let mut conn = db.connect();
        for (id, priority) in [("old", 50), ("urgent", 90), ("new", 50)] {
            tasks::create(&mut conn, &NewTask { priority, ..new_task(id, 3) }, noon()).unwrap();
        }
        let rater_id = rater(&mut conn, "r");
        let mut order = Vec::new();
        while let Some(held) = transaction(&mut conn, |tx| lease(tx, &work(&rater_id), noon())).unwrap() {
            assignments::skip(&mut conn, &rater_id, &held.assignment_id, "next", noon()).unwrap();
            order.push(held.task_id);
        }
        assert_eq!(order, ["urgent", "old", "new"], "{}", db.kind());
    }
}

#[test]
fn golden_items_have_no_slots_and_are_not_work() {
    for db in database::all() {
        let mut conn = db.connect();
        let (task, _) = tasks::create(&mut conn, &NewTask { status: "validated".to_owned(), ..new_task("gold", 1) }, noon()).unwrap();
        let item = NewGoldenItem {
            task_id: task.task_id,
            expert_id: "acc_expert".to_owned(),
            expert_choice: "candidate_b".to_owned(),
            expert_reasons: json!([]),
            expert_rationale: "The second keeps the budget.".to_owned(),
            difficulty_level: "easy".to_owned(),
            edge_case_type: None,
        };
        golden::insert(&mut conn, &item, noon()).unwrap();
        assert!(matches!(golden::insert(&mut conn, &item, noon()), Err(StorageError::Conflict { code: "already_exists", .. })));
        for name in ["a", "b", "c"] {
            let rater_id = rater(&mut conn, name);
            assert!(transaction(&mut conn, |tx| lease(tx, &work(&rater_id), noon())).unwrap().is_none());
            let request = LeaseRequest { purpose: Purpose::Calibration, ..work(&rater_id) };
            let held = transaction(&mut conn, |tx| lease(tx, &request, noon())).unwrap().unwrap();
            assert_eq!(held.purpose, "calibration", "{}", db.kind());
        }
        golden::note_answer(&mut conn, "gold", true, Step::Forward, noon()).unwrap();
        golden::note_answer(&mut conn, "gold", false, Step::Forward, noon()).unwrap();
        let stored = golden::find(&mut conn, "gold").unwrap().unwrap();
        assert_eq!((stored.times_used, stored.rater_correct, stored.rater_accuracy_rate), (2, 1, Some(0.5)));
    }
}

#[test]
fn an_equal_task_is_the_same_task_and_tenants_see_their_own() {
    for db in database::all() {
        let mut conn = db.connect();
        let own = NewTask { tenant_id: Some("brand-a".to_owned()), ..new_task("t1", 3) };
        assert!(tasks::create(&mut conn, &own, noon()).unwrap().1);
        assert!(!tasks::create(&mut conn, &own, noon()).unwrap().1, "{}: repeated", db.kind());
        let other = NewTask { title: "Another".to_owned(), ..own.clone() };
        assert!(matches!(tasks::create(&mut conn, &other, noon()), Err(StorageError::Conflict { code: "already_exists", .. })));
        let unknown = NewTask { retailer_id: Some("nobody".to_owned()), ..new_task("t2", 3) };
        assert!(matches!(tasks::create(&mut conn, &unknown, noon()), Err(StorageError::Invalid(_))));

        let see = |conn: &mut Connection, role, tenant| {
            let scope = Scope::for_caller("acc_1", role, tenant);
            let listed = tasks::list(conn, &scope, &TaskFilter::default(), &Page::first(10)).unwrap().rows.len();
            (tasks::find(conn, &scope, "t1").is_ok(), listed)
        };
        for (role, tenant, visible) in [
            (Role::Analyst, Some("brand-a"), true),
            (Role::Analyst, Some("brand-b"), false),
            (Role::Analyst, None, false),
            (Role::Rater, None, false),
            (Role::Expert, None, true),
            (Role::Expert, Some("brand-b"), false),
            (Role::PlatformAdmin, None, true),
        ] {
            assert_eq!(see(&mut conn, role, tenant), (visible, usize::from(visible)), "{}: {role} of {tenant:?}", db.kind());
        }
    }
}

#[test]
fn a_record_goes_forward_and_back() {
    for db in database::all() {
        let mut conn = db.connect();
        let rater_id = rater(&mut conn, "r");
        let answer = |confidence, matches_golden| Answer {
            task_type: "plan_quality".to_owned(),
            confidence,
            time_spent_seconds: 10.0,
            matches_golden,
            in_calibration: false,
        };
        let before = raters::find(&mut conn, &rater_id).unwrap();
        let one = raters::note_answer(&mut conn, &before, &answer(0.5, Some(true)), Step::Forward, noon()).unwrap();
        let two = raters::note_answer(&mut conn, &one, &answer(1.0, None), Step::Forward, noon()).unwrap();
        assert_eq!((two.total_judgments, two.golden_correct, two.golden_total, two.avg_confidence), (2, 1, 1, Some(0.75)), "{}", db.kind());
        assert_eq!(two.reliability_by_task_type.0["plan_quality"], json!({"judgments": 2, "golden_correct": 1, "golden_total": 1}));
        let back = raters::note_answer(&mut conn, &two, &answer(1.0, None), Step::Back, noon()).unwrap();
        assert_eq!((back.total_judgments, back.avg_confidence), (1, Some(0.5)));
        raters::note_decision(&mut conn, &[&rater_id], true, Step::Forward, noon()).unwrap();
        raters::note_decision(&mut conn, &[&rater_id], false, Step::Forward, noon()).unwrap();
        assert_eq!(raters::find(&mut conn, &rater_id).unwrap().inter_rater_agreement, Some(0.5));
    }
}

#[test]
fn an_expert_marks_the_judgments_of_a_task() {
    for db in database::all() {
        let mut conn = db.connect();
        let mut choices = HashMap::new();
        for id in ["first", "second"] {
            let (task, _) = tasks::create(&mut conn, &new_task(id, 1), noon()).unwrap();
            let rater_id = rater(&mut conn, id);
            let held = transaction(&mut conn, |tx| lease(tx, &work(&rater_id), noon())).unwrap().unwrap();
            record(&mut conn, &held, noon()).unwrap();
            tasks::set_progress(&mut conn, &task, "expert_review", 1, None, noon()).unwrap();
            choices.insert(id, held.task_id);
        }
        judgments::note_review(&mut conn, "first", "candidate_b", "B keeps the budget", noon()).unwrap();
        let marked = judgments::of_task(&mut conn, "first").unwrap();
        assert_eq!((marked[0].expert_reviewed, marked[0].expert_agrees), (true, Some(false)), "{}", db.kind());
        assert_eq!(judgments::newest_votes(&mut conn, 10).unwrap().len(), 2);
    }
}

#[test]
fn the_next_task_is_the_first_of_an_index() {
    for db in database::all() {
        let mut conn = db.connect();
        let rater_id = rater(&mut conn, "r");
        transaction(&mut conn, |tx| (0..600).try_for_each(|n| tasks::create(tx, &new_task(&format!("task-{n}"), 3), noon()).map(drop)))
            .unwrap();
        // As in a system at work: nearly all assignments are done.
        let done = format!(
            "INSERT INTO task_assignments (assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, \
             heartbeat_at, created_at, updated_at) SELECT task_id, task_id, '{rater_id}', 'submitted', 'work', '[0, 1]', created_at, created_at, \
             created_at, created_at, created_at FROM rating_tasks WHERE id <= 100"
        );
        let analyze = if db.kind() == "mysql" { "ANALYZE TABLE task_queue, task_assignments" } else { "ANALYZE" };
        for statement in [done.as_str(), analyze] {
            storage::connection::execute(&mut conn, statement).unwrap();
        }
        let plan = queue::explain_look(&mut conn, &rater_id, None).unwrap().join("\n");
        let sorts = plan.to_lowercase().contains("sort") || plan.contains("TEMP B-TREE");
        assert!(plan.contains("task_queue_is_open_position_id_idx") && !sorts, "{}: {plan}", db.kind());
    }
}
