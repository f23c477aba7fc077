//! A rater's own judgments and the facts of quality figures, on every configured database.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use storage::assignments;
use storage::connection::Connection;
use storage::consensus::{self, NewConsensus};
use storage::history::{self, HistoryFilter, Outcome};
use storage::judgments;
use storage::quality_facts::{self, FactFilter};
use storage::store::transaction;
use storage::tasks::{self, NewTask};
use testkit::database;

use crate::{new_task, noon, rater, record, work};

/// Leases whatever comes next, judges it for the first candidate, and gives the task's id.
fn judge(conn: &mut Connection, rater_id: &str, at: DateTime<Utc>) -> String {
    transaction(conn, |tx| {
        let held = super::given(assignments::lease_next(tx, &work(rater_id), &|_| 0.0, at)?).unwrap();
        record(tx, &held, at)?;
        Ok(held.task_id)
    })
    .unwrap()
}

fn decide(conn: &mut Connection, task_id: &str, choice: &str, is_final: bool) {
    let new = NewConsensus {
        task_id: task_id.to_owned(),
        choice: Some(choice.to_owned()),
        posterior: Some(0.9),
        posteriors: json!({}),
        method: "weighted_vote".to_owned(),
        judgments_count: 3,
        agreement: Some(1.0),
        is_final,
        decided_by: None,
        rationale: None,
    };
    consensus::save(conn, &new, noon()).unwrap();
}

#[test]
fn what_became_of_each_judgment_newest_first_and_each_once() {
    for db in database::all() {
        let mut conn = db.connect();
        let rater_id = rater(&mut conn, "rita");
        let mut judged = Vec::new();
        for n in 0..5 {
            let task_id = format!("task-{n}");
            tasks::create(&mut conn, &NewTask { title: format!("Title of {task_id}"), ..new_task(&task_id, 3) }, noon()).unwrap();
            // The last three fall into the same instant.
            judged.push(judge(&mut conn, &rater_id, noon() + TimeDelta::seconds(n.min(2))));
        }
        decide(&mut conn, &judged[0], "candidate_a", true);
        decide(&mut conn, &judged[1], "candidate_b", true);
        decide(&mut conn, &judged[2], "candidate_b", false);
        judgments::note_review(&mut conn, &judged[3], "candidate_b", "It breaks the budget.", noon()).unwrap();

        let all = history::of_rater(&mut conn, &rater_id, &HistoryFilter::default(), None, 50, noon()).unwrap();
        let outcomes: Vec<Outcome> = all.iter().map(storage::history::OwnJudgment::outcome).collect();
        let expected = [Outcome::Waiting, Outcome::Expert, Outcome::Waiting, Outcome::Differed, Outcome::Agreed];
        assert_eq!(outcomes, expected, "{}: a consensus that is not final tells nothing", db.kind());
        assert_eq!((all[1].title.as_str(), all[1].judgment.expert_agrees), (format!("Title of {}", judged[3]).as_str(), Some(false)));

        let mut paged = Vec::new();
        let mut after = None;
        while let Some(row) = history::of_rater(&mut conn, &rater_id, &HistoryFilter::default(), after, 1, noon()).unwrap().pop() {
            after = Some(row.key());
            paged.push(row);
        }
        assert_eq!(paged, all, "{}", db.kind());
        for outcome in Outcome::ALL {
            let filter = HistoryFilter { task_type: Some("plan_quality".to_owned()), outcome: Some(outcome) };
            let found = history::of_rater(&mut conn, &rater_id, &filter, None, 50, noon()).unwrap();
            let wanted: Vec<_> = all.iter().filter(|row| row.outcome() == outcome).cloned().collect();
            assert_eq!(found, wanted, "{}: {outcome:?}", db.kind());
        }

        let facts = quality_facts::newest(&mut conn, &FactFilter::since(noon() + TimeDelta::seconds(1)), None, 3).unwrap();
        assert_eq!(facts.len(), 3, "{}", db.kind());
        let all_facts = quality_facts::newest(&mut conn, &FactFilter::since(noon()), None, 50).unwrap();
        let mut paged = Vec::new();
        let mut place = None;
        while let Some(fact) = quality_facts::newest(&mut conn, &FactFilter::since(noon()), place, 1).unwrap().pop() {
            place = Some(fact.place());
            paged.push(fact);
        }
        assert_eq!(paged, all_facts, "{}: page by page it is the same", db.kind());
        for (task_type, of, n) in
            [("plan_quality", rater_id.as_str(), 5), ("tool_call_qa", rater_id.as_str(), 0), ("plan_quality", "rtr-x", 0)]
        {
            let filter = FactFilter { since: noon(), task_type: Some(task_type.to_owned()), rater_id: Some(of.to_owned()) };
            assert_eq!(quality_facts::newest(&mut conn, &filter, None, 50).unwrap().len(), n, "{}: {filter:?}", db.kind());
        }
        let decisions: Vec<Option<&str>> = all_facts.iter().map(|fact| fact.decision.as_deref()).collect();
        assert_eq!(decisions, [None, None, None, Some("candidate_b"), Some("candidate_a")], "{}", db.kind());
    }
}

#[test]
fn judgments_are_read_along_an_index_whatever_the_filter() {
    for db in database::all() {
        let mut conn = db.connect();
        let (busy, rare) = (rater(&mut conn, "busy"), rater(&mut conn, "rare"));
        transaction(&mut conn, |tx| {
            (0..600).try_for_each(|n| tasks::create(tx, &new_task(&format!("task-{n}"), 3), noon() + TimeDelta::seconds(n)).map(drop))
        })
        .unwrap();
        let given = format!("CASE WHEN id <= 5 THEN '{rare}' ELSE '{busy}' END");
        let held = format!(
            "INSERT INTO task_assignments (assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, \
             heartbeat_at, created_at, updated_at) SELECT task_id, task_id, {given}, 'submitted', 'work', '[0, 1]', created_at, created_at, \
             created_at, created_at, created_at FROM rating_tasks"
        );
        let judged = format!(
            "INSERT INTO judgments (judgment_id, assignment_id, task_id, rater_id, choice, display_order, reasons, confidence, rubric_scores, \
             time_spent_seconds, is_escalated, expert_reviewed, rubric_version, created_at, updated_at) SELECT task_id, task_id, task_id, \
             {given}, 'tie', '[0, 1]', '[]', 0.5, '{{}}', 1, FALSE, FALSE, 1, created_at, created_at FROM rating_tasks"
        );
        let analyze = if db.kind() == "mysql" { "ANALYZE TABLE rating_tasks, judgments, task_assignments" } else { "ANALYZE" };
        for statement in [held.as_str(), judged.as_str(), analyze] {
            storage::connection::execute(&mut conn, statement).unwrap();
        }
        let late = FactFilter::since(noon() + TimeDelta::seconds(590));
        let of_type = FactFilter { task_type: Some("plan_quality".to_owned()), ..late.clone() };
        let of_rare = FactFilter { rater_id: Some(rare.clone()), ..FactFilter::since(noon()) };
        for (filter, index) in [
            (late, "judgments_created_at_idx"),
            (of_type, "judgments_created_at_idx"),
            (of_rare.clone(), "judgments_rater_id_created_at_idx"),
        ] {
            let plan = quality_facts::explain(&mut conn, &filter, None, 10).unwrap().join("\n");
            assert!(plan.contains(index), "{}: {filter:?}: {plan}", db.kind());
        }
        let found = quality_facts::newest(&mut conn, &of_rare, None, 10).unwrap();
        assert_eq!(found.len(), 5, "{}: who judged little and long ago is found behind everybody's newer judgments", db.kind());
    }
}
