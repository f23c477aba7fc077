//! What the RLHF backend chooses and the rater app takes over, on every configured database.

use chrono::TimeDelta;
use domain::role::Role;
use domain::scope::Scope;
use storage::assignments;
use storage::batch::Batch;
use storage::connection::Connection;
use storage::consensus::{self, NewConsensus};
use storage::queue::{self, Weights};
use storage::selections::{self, Selected};
use storage::store::transaction;
use storage::tasks::{self, NewTask};
use testkit::database;

use crate::{new_task, noon, rater, record, work};

fn seen(task_id: &str, arm: &'static str, worth: f64) -> Selected {
    Selected { task_id: task_id.to_owned(), model_id: "mdl-1".to_owned(), arm, worth, information: worth / 4.0, uncertainty: 0.9 }
}

fn record_round(conn: &mut Connection, round: &str, rows: &[Selected]) -> usize {
    transaction(conn, |tx| {
        let n = selections::record(tx, round, "plan_quality", rows, noon())?;
        selections::withdraw_others(tx, round, "plan_quality", noon())?;
        Ok(n)
    })
    .unwrap()
}

fn apply(conn: &mut Connection) -> usize {
    transaction(conn, |tx| selections::apply(tx, &Weights::default(), 50, noon())).unwrap()
}

/// Leases and judges whatever comes first, with a consensus; its id.
fn judge_next(conn: &mut Connection, rater_id: &str) -> String {
    transaction(conn, |tx| {
        let held = super::given(assignments::lease_next(tx, &work(rater_id), &|_| 0.0, noon())?).unwrap();
        record(tx, &held, noon())?;
        let progress = queue::Progress { judgments: 1, required: 3, leases: -1, leading_posterior: Some(0.7), position: 0.0 };
        let mut batch = Batch::default();
        let place = queue::enter_progress(tx, &mut batch, &held.task_id, &progress, &Weights::default(), noon())?;
        assert_eq!(batch.finish(tx)?.of(place), 1);
        let new = NewConsensus {
            task_id: held.task_id.clone(),
            choice: Some("candidate_a".to_owned()),
            posterior: Some(0.7),
            posteriors: serde_json::json!({}),
            method: "weighted_vote".to_owned(),
            judgments_count: 1,
            agreement: None,
            is_final: false,
            decided_by: None,
            rationale: None,
        };
        consensus::save(tx, &new, noon())?;
        Ok(held.task_id)
    })
    .unwrap()
}

#[test]
fn chosen_tasks_come_first_and_stay_as_they_were_chosen_once_judged() {
    for db in database::all() {
        let mut conn = db.connect();
        for n in 0..6 {
            // Older ones first, as long as nothing was chosen.
            tasks::create(&mut conn, &new_task(&format!("task-{n}"), 3), noon() + TimeDelta::minutes(n)).unwrap();
        }
        let other = NewTask { task_type: "policy_compliance".to_owned(), ..new_task("other", 3) };
        tasks::create(&mut conn, &other, noon()).unwrap();
        assert_eq!(selections::unjudged(&mut conn, "plan_quality", 10).unwrap().len(), 6);
        let shown = selections::read(&mut conn, &["task-2".to_owned(), "gone".to_owned()]).unwrap();
        assert_eq!(shown.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(), ["task-2"]);
        assert_eq!(shown[0].candidate_a.0["n"], 1);

        let rows = [seen("task-4", "informative", 1.0), seen("task-5", "random", 0.75), seen("task-0", "none", 0.0)];
        assert_eq!(record_round(&mut conn, "job-1", &rows), 3);
        let next = selections::next(&mut conn, &Scope::system("test"), "plan_quality", 10).unwrap();
        assert_eq!(
            next.iter().map(|row| (row.task_id.as_str(), row.arm.as_str())).collect::<Vec<_>>(),
            [("task-4", "informative"), ("task-5", "random")]
        );
        let stranger = Scope::for_caller("acc", Role::Analyst, Some("tnt-b"));
        assert!(selections::next(&mut conn, &stranger, "plan_quality", 10).unwrap().is_empty(), "another tenant's");
        assert_eq!((apply(&mut conn), apply(&mut conn)), (3, 0), "each once");
        let row = queue::find(&mut conn, "task-5").unwrap().unwrap();
        assert_eq!(
            (row.selection, row.uncertainty_score, row.uncertainty()),
            (0.75, Some(0.9), 0.5),
            "drawn ones stand by their worth alone"
        );
        assert_eq!(tasks::read(&mut conn, "task-0").unwrap().uncertainty_score, Some(0.9));

        let rater_id = rater(&mut conn, "rita");
        assert_eq!(judge_next(&mut conn, &rater_id), "task-4");
        let judged = queue::find(&mut conn, "task-4").unwrap().unwrap();
        assert!((judged.position + 0.5).abs() < 1e-9, "a chosen task keeps its worth while it is judged: {}", judged.position);
        assert!((judged.place(&Weights::default()) + 0.5 - queue_base(&judged)).abs() < 1e-9);

        // The next round sees other things: what was judged keeps its row, what was chosen before and is not now steps back.
        let rows = [seen("task-4", "none", 0.0), seen("task-1", "informative", 1.0)];
        assert_eq!(record_round(&mut conn, "job-2", &rows), 1);
        let next = selections::next(&mut conn, &Scope::system("test"), "plan_quality", 10).unwrap();
        assert_eq!(next.iter().map(|row| row.task_id.as_str()).collect::<Vec<_>>(), ["task-1"]);
        assert_eq!(apply(&mut conn), 2, "the new one and the one that steps back");
        assert_eq!(queue::find(&mut conn, "task-5").unwrap().unwrap().selection, 0.0);
        let arms = selections::judged_arms(&mut conn, "plan_quality", 10).unwrap();
        assert_eq!(arms.into_iter().collect::<Vec<_>>(), [("task-4".to_owned(), "informative".to_owned())]);
        let counts = selections::arms(&mut conn, "plan_quality").unwrap();
        assert_eq!((counts["informative"].waiting, counts["informative"].judged, counts["none"].waiting), (1, 1, 2));
        assert_eq!(counts["informative"].mean_information, Some(0.25));
        assert_eq!(judge_next(&mut conn, &rater_id), "task-1");

        // With other weights the order is written anew, and the same place comes out.
        let weights = Weights { selection: 2.0, ..Weights::default() };
        transaction(&mut conn, |tx| queue::reorder(tx, &weights, 0, 100)).unwrap();
        let row = queue::find(&mut conn, "task-1").unwrap().unwrap();
        assert!((row.position - row.place(&weights)).abs() < 1e-9);
    }
}

/// The place without what choosing adds.
fn queue_base(row: &queue::Waiting) -> f64 {
    queue::position(&Weights::default(), row.priority, row.uncertainty(), row.created_at.0)
}

#[test]
fn the_lists_of_a_round_use_their_indexes() {
    for db in database::all() {
        let mut conn = db.connect();
        for n in 0..3 {
            tasks::create(&mut conn, &new_task(&format!("task-{n}"), 3), noon()).unwrap();
        }
        record_round(&mut conn, "job-1", &[seen("task-0", "informative", 1.0)]);
        if let Connection::Postgres(_) = conn {
            // A small table is read whole otherwise.
            storage::connection::execute(&mut conn, "SET enable_seqscan = off").unwrap();
        }
        let [fresh, chosen] = selections::explain(&mut conn).unwrap().map(|plan| plan.join("\n"));
        assert!(fresh.contains("task_selections_is_applied_id_idx"), "{fresh}");
        assert!(chosen.contains("task_selections_task_type_arm_worth_id_idx"), "{chosen}");
    }
}
