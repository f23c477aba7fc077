//! Work in the background: campaigns begin and end with the day, rating tasks are delivered to the rater app, and plan sets are settled when people have decided.

use std::time::{Duration, Instant};

use domain::scope::Scope;
use peers::context::RequestContext;
use peers::tasks::NewTask;
use serde_json::{Value, json};
use storage::campaigns;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, OutboxEvent};
use storage::plans::{self, Choice, JudgedSet, Plan};
use storage::reflections::NewReflectionLog;
use tokio_util::sync::CancellationToken;

use crate::life::advance::{Advanced, advance};
use crate::plans::feedback;
use crate::plans::record::{CREATE_TASK, blank_log, choose};
use crate::plans::study;
use crate::retention;
use crate::state::State;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// Pause between two looks at which campaigns begin or end.
const CAMPAIGN_CLOCK: Duration = Duration::from_secs(30);
/// Pause between two looks at what is no longer kept.
const RETENTION_CLOCK: Duration = Duration::from_secs(3_600);
/// Most tasks delivered in one round.
const TASKS_PER_ROUND: i64 = 20;
/// Most plan sets settled in one round.
const SETS_PER_ROUND: i64 = 20;

/// Works in rounds until `shutdown`. A round that fails is logged, and what it did not do is done by a later one.
pub async fn work(state: State, shutdown: CancellationToken) {
    let (mut looked, mut swept): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        if looked.is_none_or(|at| at.elapsed() >= CAMPAIGN_CLOCK) {
            looked = Some(Instant::now());
            match advance(&state.storage, state.clock.now()).await {
                Ok(done) if done == Advanced::default() => {}
                Ok(done) => tracing::info!(begun = done.begun, ended = done.ended, blocked = done.blocked, "campaigns moved by the clock"),
                Err(error) => tracing::warn!(%error, "campaigns could not be moved by the clock"),
            }
        }
        if swept.is_none_or(|at| at.elapsed() >= RETENTION_CLOCK) {
            swept = Some(Instant::now());
            match retention::sweep(&state).await {
                Ok(done) if done.months == 0 && done.rows == 0 => {}
                Ok(done) => tracing::info!(months = done.months, rows = done.rows, "performance that is no longer kept was dropped"),
                Err(error) => tracing::warn!(%error, "performance that is no longer kept could not be dropped"),
            }
            match retention::sweep_reflection_logs(&state).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "reflection logs that are no longer kept were dropped"),
                Err(error) => tracing::warn!(%error, "reflection logs that are no longer kept could not be dropped"),
            }
        }
        if let Err(error) = deliver(&state).await {
            tracing::warn!(%error, "rating tasks could not be delivered");
        }
        if let Err(error) = feedback::deliver(&state).await {
            tracing::warn!(%error, "feedback could not be passed on");
        }
        if let Err(error) = settle(&state).await {
            tracing::warn!(%error, "plan sets could not be settled");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Delivers the rating tasks that are due; the plan sets whose task exists now. A task that is not taken waits longer each time.
///
/// # Errors
/// When the outbox cannot be read or written.
pub async fn deliver(state: &State) -> Result<Vec<String>, StorageError> {
    let now = state.clock.now();
    let due = state.storage.read(move |conn| outbox::due_on(conn, Destination::RaterApp, CREATE_TASK, now, TASKS_PER_ROUND)).await?;
    let mut delivered = Vec::new();
    for event in due {
        match create_task(state, &event).await {
            Ok((task_id, plan_set_id)) => {
                let set = plan_set_id.clone();
                state
                    .storage
                    .transaction(move |conn| {
                        plans::set_task(conn, &set, &task_id, now)?;
                        outbox::delivered(conn, event.id, now)
                    })
                    .await?;
                delivered.push(plan_set_id);
            }
            Err(reason) => {
                tracing::warn!(event_id = %event.event_id, %reason, "a rating task was not taken");
                state.storage.transaction(move |conn| outbox::failed(conn, &event, &reason, now)).await?;
            }
        }
    }
    Ok(delivered)
}

async fn create_task(state: &State, event: &OutboxEvent) -> Result<(String, String), String> {
    let task: NewTask = serde_json::from_value(event.payload.0.clone()).map_err(|error| error.to_string())?;
    let plan_set_id = task.source.clone().ok_or("the task does not name its plan set")?;
    let created = state.rater_app.create_task(&RequestContext::for_background_work(), &task).await.map_err(|error| error.to_string())?;
    Ok((created.task_id, plan_set_id))
}

/// Settles plan sets whose rating task has a final answer, each in a transaction of its own; how many.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn settle(state: &State) -> Result<usize, StorageError> {
    let now = state.clock.now();
    let judged = state.storage.read(move |conn| plans::judged_sets(conn, SETS_PER_ROUND)).await?;
    let mut settled = 0;
    for (plan_set_id, answer) in judged {
        let done = state.storage.transaction(move |conn| settle_one(conn, &plan_set_id, &answer, now)).await;
        match done {
            Ok(()) => settled += 1,
            // A person chose meanwhile: theirs stands.
            Err(StorageError::Conflict { why, .. }) => tracing::info!(%why, "a plan set was decided before it was settled"),
            Err(error) => return Err(error),
        }
    }
    Ok(settled)
}

fn settle_one(
    conn: &mut Connection,
    plan_set_id: &str,
    answer: &JudgedSet,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StorageError> {
    let scope = Scope::system("settle plans");
    let set = plans::find_set(conn, &scope, plan_set_id)?;
    let Some(first) = set.first() else { return Ok(()) };
    let campaign = campaigns::find_by_id(conn, &scope, first.campaign)?;
    let (winner, reason) = winner(&set, answer);
    let winner = winner.map(|plan| plan.plan_id.as_str());
    let over = study::over(&campaign);
    let reason = match &over {
        Some(over) => format!("{} {over}", reason.replace("is chosen", "is recommended")),
        None => reason,
    };
    let choice = Choice { plan_id: winner, reason: &reason, decided_by: "people" };
    let log = NewReflectionLog {
        memory_references: json!([{"task_id": answer.task_id}]).into(),
        confidence_value: answer.posterior,
        confidence_rationale: Some(format!("posterior of {} over {} judgments", answer.method, answer.judgments_count)),
        decision:
            json!({"plan_set_id": plan_set_id, "plan_id": winner, "is_applied": over.is_none() && winner.is_some(), "decided_by": "people",
            "choice": answer.choice, "task_id": answer.task_id})
            .into(),
        decision_rationale: reason.clone(),
        ..blank_log(domain::id::new("rfl"), &campaign, plan_set_id, "decision")
    };
    if over.is_some() {
        return study::set_aside(conn, &scope, &campaign, &choice, &log, now);
    }
    choose(conn, &scope, &campaign, plan_set_id, &choice, Some(&log), now)?;
    Ok(())
}

/// The plan that people's answer means, with the reason in words.
fn winner<'a>(set: &'a [Plan], answer: &JudgedSet) -> (Option<&'a Plan>, String) {
    let judged: Vec<&Plan> = set.iter().filter(|plan| plan.plan.get("judged_as").is_some()).collect();
    let better = || {
        let net = |plan: &&&Plan| plan.plan.get("expected_net_micros").and_then(Value::as_i64).unwrap_or(i64::MIN);
        judged.iter().max_by_key(net).copied()
    };
    let n = answer.judgments_count;
    match answer.choice.as_deref() {
        Some(choice @ ("candidate_a" | "candidate_b")) => {
            let plan = judged.iter().find(|plan| plan.plan.get("judged_as").and_then(Value::as_str) == Some(choice)).copied();
            (plan, format!("People prefer this plan ({n} judgments, {}).", answer.method))
        }
        Some("both_bad") => {
            (None, format!("People find both plans bad ({n} judgments, {}): none is chosen; ask for new plans.", answer.method))
        }
        Some("tie") | None => (better(), format!("People see a tie ({n} judgments): the plan with the better expected outcome is chosen.")),
        Some(_) => (better(), format!("People came to no answer ({n} judgments): the plan with the better expected outcome is chosen.")),
    }
}
