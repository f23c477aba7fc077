//! Accounts, tasks, leases, judgments and what became of them, on every configured database.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod assignment;
mod gauges;
mod history;
mod model_predictions;
mod rules;
mod selections;
mod together;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use storage::assignments::{self, Assignment, LeaseRequest, Leased, Purpose};
use storage::batch::Batch;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::judgments::{self, Judgment, NewJudgment};
use storage::raters::{self, NewRater};
use storage::tasks::NewTask;

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn new_task(task_id: &str, required: i32) -> NewTask {
    NewTask {
        task_id: Some(task_id.to_owned()),
        tenant_id: None,
        task_type: "plan_quality".to_owned(),
        status: "pending".to_owned(),
        retailer_id: None,
        adapter_id: None,
        title: "Which plan?".to_owned(),
        prompt: "Choose the plan to run.".to_owned(),
        context_snippets: json!([]),
        candidates: vec![json!({"n": 1}), json!({"n": 2})],
        auto_checks: json!([]),
        rubric_checklist: json!([]),
        reason_codes: json!([]),
        priority: 50,
        uncertainty_score: None,
        required_judgments: required,
        max_judgments: required,
        source: None,
        weights: storage::queue::Weights::default(),
    }
}

fn rater(conn: &mut Connection, name: &str) -> String {
    let new = NewRater { name: name.to_owned(), email: None, is_simulated: true, is_calibrated: true };
    raters::insert(conn, &new, noon()).unwrap().rater_id
}

fn given(leased: Leased) -> Option<Assignment> {
    match leased {
        Leased::Task(assignment, ..) => Some(*assignment),
        Leased::Held(_) | Leased::Nothing => None,
    }
}

fn work(rater_id: &str) -> LeaseRequest {
    LeaseRequest { rater_id: rater_id.to_owned(), task_types: Vec::new(), purpose: Purpose::Work, lease: TimeDelta::minutes(5) }
}

/// Stores a judgment for an assignment, which is over with it.
fn record(tx: &mut Connection, held: &Assignment, at: DateTime<Utc>) -> Result<Judgment, StorageError> {
    let judgment = Judgment::new(judgment(held), at);
    let mut batch = Batch::default();
    assignments::submit(tx, &mut batch, held, at)?;
    judgments::enter(tx, &mut batch, &judgment)?;
    batch.finish(tx)?;
    Ok(judgment)
}

/// A judgment of a held task for its first candidate.
fn judgment(assignment: &Assignment) -> NewJudgment {
    NewJudgment {
        assignment_id: assignment.assignment_id.clone(),
        task_id: assignment.task_id.clone(),
        rater_id: assignment.rater_id.clone(),
        choice: "candidate_a".to_owned(),
        display_order: assignment.display_order.0.clone(),
        reasons: json!([]),
        free_text_feedback: None,
        confidence: 0.75,
        rubric_scores: json!({}),
        time_spent_seconds: 12.5,
        active_ms: Some(9000),
        is_escalated: false,
        escalation_reason: None,
        matches_golden: None,
        rubric_version: 1,
    }
}
