//! Why the software decided as it did, written down with each decision: which model scores, what is judged next, and which model no longer does as it promised.

use chrono::{DateTime, Utc};
use domain::scope::Scope;
use serde_json::json;
use storage::audit::{self, NewEntry};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::reflections::{self, NewReflectionLog};
use storage::reward_models::RewardModel;

use crate::reward_models::Card;
use crate::selection::round::TypeReport;
use crate::watch::report::{self, Watch};

fn blank(session_id: &str, task_type: &str) -> NewReflectionLog {
    NewReflectionLog {
        log_id: domain::id::new("rfl"),
        tenant_id: None,
        campaign: None,
        session_id: session_id.to_owned(),
        task_type: task_type.to_owned(),
        phase: "decision".to_owned(),
        memory_references: json!([]).into(),
        alternate_frames: json!([]).into(),
        risk_factors: json!([]).into(),
        mitigation_strategies: json!([]).into(),
        confidence_value: None,
        confidence_rationale: None,
        decision_threshold: None,
        bias_checkpoint: json!({}).into(),
        decision: json!({}).into(),
        decision_rationale: String::new(),
    }
}

/// How a model came to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch<'a> {
    /// It passed the gate.
    Gate,
    /// Somebody overrode the gate, for this reason.
    Override(&'a str),
    /// The model after it was rolled back.
    Rollback,
}

/// Writes why a model was put to work, and that it was, into the reflection log and the audit log.
///
/// # Errors
/// As any query.
pub fn model_switched(
    conn: &mut Connection,
    scope: &Scope,
    model: &RewardModel,
    former: Option<&RewardModel>,
    how: Switch<'_>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let card = Card::from(model.clone());
    let former_id = former.map(|former| &former.model_id);
    let (action, why) = match how {
        Switch::Gate => ("reward_model.activated", format!("Version {} passes the gate and is put to work.", model.version)),
        Switch::Override(reason) => ("reward_model.activated_over_gate", format!("Put to work although the gate is not passed: {reason}")),
        Switch::Rollback => ("reward_model.rolled_back", format!("Rolled back to version {}.", model.version)),
    };
    let log = NewReflectionLog {
        memory_references: json!([{ "model_id": model.model_id, "dataset_hash": model.dataset_hash, "seed": model.seed }]).into(),
        alternate_frames: json!([{ "model_id": former_id, "validation_accuracy": former.and_then(|former| former.validation_accuracy) }])
            .into(),
        risk_factors: json!(card.failed_gates).into(),
        mitigation_strategies: json!(["the model before it can be put back in one call", "what is judged next is chosen anew"]).into(),
        confidence_value: model.validation_accuracy,
        confidence_rationale: model.validation_accuracy.map(|_| "accuracy on pairs that the model had not seen".to_owned()),
        decision: json!({
            "kind": action, "model_id": model.model_id, "version": model.version, "retailer_id": model.retailer_id,
            "former_model_id": former_id, "decided_by": scope.actor(),
        })
        .into(),
        decision_rationale: why.clone(),
        ..blank(&model.model_id, &model.task_type)
    };
    let written = reflections::insert(conn, &Scope::system("reward models"), &log, now)?;
    let entry = NewEntry {
        tenant_id: None,
        action,
        subject: format!("reward_model:{}", model.model_id),
        detail: json!({
            "task_type": model.task_type, "retailer_id": model.retailer_id, "version": model.version, "former_model_id": former_id,
            "failed_gates": card.failed_gates, "why": why, "log_id": written.log_id,
        }),
    };
    audit::append(conn, scope, &entry, now).map(drop)
}

/// Writes what a round chose to be judged next and why; nothing where it chose nothing.
///
/// # Errors
/// As any query.
pub fn tasks_chosen(conn: &mut Connection, job_id: &str, report: &TypeReport, now: DateTime<Utc>) -> Result<(), StorageError> {
    let chosen = report.informative + report.random;
    if chosen == 0 {
        return Ok(());
    }
    let times =
        report.mean_information_chosen.zip(report.mean_information).filter(|(_, mean)| *mean > 0.0).map(|(chosen, mean)| chosen / mean);
    let worth = times.map_or_else(String::new, |times| {
        format!(" A chosen task teaches the model {times:.1} times what the mean task does, by its own reckoning.")
    });
    let log = NewReflectionLog {
        memory_references: json!([{ "job_id": job_id }]).into(),
        alternate_frames: json!([{ "unjudged": report.unjudged, "seen": report.seen }]).into(),
        risk_factors: json!(["the model does not know what it does not know"]).into(),
        mitigation_strategies: json!([format!("{} of {chosen} are drawn at random", report.random)]).into(),
        bias_checkpoint: json!({ "drawn_at_random": report.random, "lift": report.lift, "no_lift": report.no_lift }).into(),
        decision: json!({ "kind": "tasks_chosen", "informative": report.informative, "random": report.random, "seen": report.seen }).into(),
        decision_rationale: format!("Of {} tasks that nobody has judged, {chosen} are asked first.{worth}", report.unjudged),
        ..blank(job_id, report.task_type.as_ref())
    };
    reflections::insert(conn, &Scope::system("active learning"), &log, now).map(drop)
}

/// Writes that an active model was found to predict worse than its card says, and what can be done.
///
/// # Errors
/// As any query.
pub fn model_drifted(conn: &mut Connection, model: &RewardModel, watch: &Watch, now: DateTime<Utc>) -> Result<(), StorageError> {
    let log = NewReflectionLog {
        phase: "reflection".to_owned(),
        memory_references: json!([{ "model_id": model.model_id, "decided_tasks_since": watch.since }]).into(),
        alternate_frames: json!(["roll back to the model before it", "train again on what was decided since", "leave it and look again"])
            .into(),
        risk_factors: json!([watch.drift.says]).into(),
        mitigation_strategies: json!(["a person is told on the models page and over realtime; nothing is switched without one"]).into(),
        decision_threshold: Some(report::THRESHOLD),
        decision: json!({ "alarm": "model_drifted", "model_id": model.model_id, "drift": watch.drift }).into(),
        decision_rationale: watch.drift.says.clone(),
        ..blank(&model.model_id, &model.task_type)
    };
    reflections::insert(conn, &Scope::system("watching models"), &log, now).map(drop)
}
