//! Where a task stands after its judgments have changed: status, consensus, place in the queue, and the records of its raters.

use chrono::{DateTime, Utc};
use domain::task::{Choice, TaskStatus};
use serde_json::json;
use storage::batch::{Batch, Counts, Entered};
use storage::connection::Connection;
use storage::consensus::{self, NewConsensus};
use storage::error::StorageError;
use storage::judgments::Opinion;
use storage::outbox::{Destination, NewEvent};
use storage::queue::{self, Progress};
use storage::raters::{self, Rater, Step};
use storage::tasks::{self, TaskState};
use storage::types::Timestamp;
use storage::version::Version;

use crate::decision::{self, Bars, Votes};
use crate::dispatch::Rules;
use crate::reviews::deadline;

/// What has changed about the judgments of a task.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// All its judgments now; none for golden items, which only count.
    pub given: &'a [Opinion],
    /// Who gave them, locked.
    pub raters: &'a [Rater],
    /// By how much the number of leases on it changes.
    pub leases: i32,
    /// How many judgments the task may get, where that was read; else it is looked up when it matters.
    pub at_most: Option<i32>,
    /// Whether a judgment came in or was taken back.
    pub step: Step,
}

/// Where a task goes when its judgments have changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    before: String,
    after: TaskState,
    consensus: Option<NewConsensus>,
    is_counted_only: bool,
    progress: Progress,
}

/// Decides where a task goes: status, count, consensus and place in the queue; nothing is written. Golden items, and tasks that an expert
/// has decided, only count. The task and the raters must be locked.
///
/// # Errors
/// As any query.
pub fn decide(
    tx: &mut Connection,
    task: &TaskState,
    change: &Change<'_>,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Moved, StorageError> {
    let (before, mut after) = (task.status.clone(), task.clone());
    let is_counted_only = task.is_golden || task.status == "validated";
    let mut consensus = None;
    if is_counted_only {
        after.judgments_count = (task.judgments_count + if change.step == Step::Forward { 1 } else { -1 }).max(0);
    } else {
        after.judgments_count = i32::try_from(change.given.len()).unwrap_or(i32::MAX);
        let votes = Votes {
            task_id: &task.task_id,
            n_candidates: task.candidate_count(),
            required: task.required_judgments,
            at_most: at_most(tx, task, change.at_most, after.judgments_count)?,
            judgments: change.given,
            raters: change.raters,
            known: rules.evidence.of(&task.task_type, task.candidate_count()),
        };
        let decision = decision::decide(&votes, Bars { threshold: rules.threshold, enough: rules.enough });
        after.status = decision.status.as_ref().to_owned();
        after.required_judgments = decision.required;
        after.completed_at = (decision.status == TaskStatus::Completed).then_some(Timestamp(now));
        consensus = decision.consensus;
    }
    let leading_posterior = consensus.as_ref().and_then(|consensus| consensus.posterior);
    let uncertainty = queue::uncertainty_of(after.uncertainty_score, leading_posterior, 0.0);
    let progress = Progress {
        judgments: after.judgments_count,
        required: after.required_judgments,
        leases: change.leases,
        leading_posterior,
        position: queue::position(&rules.weights, after.priority, uncertainty, after.created_at.0),
    };
    Ok(Moved { before, after, consensus, is_counted_only, progress })
}

impl Moved {
    /// The choice that the task is decided with by this step.
    #[must_use]
    pub fn decided(&self) -> Option<&str> {
        self.consensus.as_ref().filter(|consensus| consensus.is_final).and_then(|consensus| consensus.choice.as_deref())
    }

    /// The event to be told when the task is decided.
    #[must_use]
    pub fn event(&self, now: DateTime<Utc>) -> Option<NewEvent> {
        let (consensus, after) = (self.consensus.as_ref()?, &self.after);
        self.decided()?;
        let (retailer, tenant) = (after.retailer_id.as_deref(), after.tenant_id.as_deref());
        Some(decision_event(&after.task_id, &after.task_type, retailer, tenant, &after.status, consensus, now))
    }

    /// Whether [`Moved::enter`] leaves everything to the batch: the task is no golden item, and its clock for experts neither runs nor begins.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let waits = deadline::waits(&self.before) || deadline::waits(&self.after.status);
        !self.is_counted_only && !waits && self.consensus.is_some() && queue::is_open_status(&self.before)
    }

    /// Writes it with other changes, up to the raters' records. [`Moved::settle`] must follow when the batch is finished.
    ///
    /// # Errors
    /// As any query.
    pub fn enter<'a>(
        &'a self,
        tx: &mut Connection,
        batch: &mut Batch<'a>,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Result<Option<Entered>, StorageError> {
        self.enter_state(tx, batch, None, now)?;
        self.enter_place(tx, batch, rules, now)
    }

    /// The first part of [`Moved::enter`]: the task's row; `as_seen` where it is not locked.
    ///
    /// # Errors
    /// As any query.
    pub fn enter_state<'a>(
        &'a self,
        tx: &mut Connection,
        batch: &mut Batch<'a>,
        as_seen: Option<&'a Version>,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        tasks::enter_state(tx, batch, &self.after, as_seen, now)
    }

    /// The second part of [`Moved::enter`]: consensus and place in the queue.
    ///
    /// # Errors
    /// As any query.
    pub fn enter_place<'a>(
        &'a self,
        tx: &mut Connection,
        batch: &mut Batch<'a>,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Result<Option<Entered>, StorageError> {
        if self.is_counted_only {
            return Ok(None);
        }
        let after = &self.after;
        deadline::keep(tx, &after.task_id, &self.before, &after.status, rules.review_sla, now)?;
        match &self.consensus {
            Some(consensus) => consensus::enter(tx, batch, consensus, now)?,
            None => consensus::delete(tx, &after.task_id)?,
        }
        // An open task gets its new place, a decided one leaves.
        match (queue::is_open_status(&self.before), queue::is_open_status(&after.status)) {
            (_, true) => queue::enter_progress(tx, batch, &after.task_id, &self.progress, &rules.weights, now).map(Some),
            (true, false) => queue::enter_removal(tx, batch, &after.task_id).map(|()| None),
            (false, false) => Ok(None),
        }
    }

    /// Brings a task that is open and was not in the queue in again: its decision was taken back.
    ///
    /// # Errors
    /// As any query.
    pub fn settle(
        &self,
        tx: &mut Connection,
        counts: &Counts,
        place: Option<Entered>,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        if place.is_some_and(|place| counts.of(place) == 0) {
            // Its leases are counted from the assignments, which are up to date.
            let task = tasks::read(tx, &self.after.task_id)?;
            queue::sync(tx, &task, &rules.weights, now)?;
        }
        Ok(())
    }
}

/// Moves a task on: status, count, consensus, place in the queue, and when it is decided the records of its raters. The task and the
/// raters must be locked. The event to be told when it is decided.
///
/// # Errors
/// As any query.
pub fn move_on(
    tx: &mut Connection,
    task: &TaskState,
    change: &Change<'_>,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Option<NewEvent>, StorageError> {
    let moved = decide(tx, task, change, rules, now)?;
    let mut batch = Batch::default();
    let place = moved.enter(tx, &mut batch, rules, now)?;
    let counts = batch.finish(tx)?;
    moved.settle(tx, &counts, place, rules, now)?;
    if let Some(choice) = moved.decided() {
        note_choice(tx, choice, change.given, Step::Forward, now)?;
    }
    Ok(moved.event(now))
}

/// How many judgments a task may get; looked up only when it matters.
fn at_most(tx: &mut Connection, task: &TaskState, known: Option<i32>, count: i32) -> Result<i32, StorageError> {
    if count < task.required_judgments {
        return Ok(task.required_judgments);
    }
    if let Some(known) = known {
        return Ok(known);
    }
    Ok(queue::find(tx, &task.task_id)?.map_or(task.required_judgments, |row| row.max_judgments))
}

/// Enters the final consensus of a task into the records of all who judged it, or takes it back. Abstentions are left out. The
/// raters must be locked.
///
/// # Errors
/// As any query.
pub fn note_decision(
    tx: &mut Connection,
    task_id: &str,
    judgments: &[Opinion],
    step: Step,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let decided = consensus::find(tx, task_id)?.filter(|consensus| consensus.is_final).and_then(|consensus| consensus.choice);
    match decided {
        Some(choice) => note_choice(tx, &choice, judgments, step, now),
        None => Ok(()),
    }
}

fn note_choice(tx: &mut Connection, choice: &str, judgments: &[Opinion], step: Step, now: DateTime<Utc>) -> Result<(), StorageError> {
    let voted = judgments.iter().filter(|judgment| judgment.choice != Choice::Unsure.as_ref());
    let (agreeing, other): (Vec<&Opinion>, Vec<&Opinion>) = voted.partition(|judgment| judgment.choice == choice);
    for (raters, agrees) in [(agreeing, true), (other, false)] {
        let ids: Vec<&str> = raters.iter().map(|judgment| judgment.rater_id.as_str()).collect();
        raters::note_decision(tx, &ids, agrees, step, now)?;
    }
    Ok(())
}

/// Tells the RLHF backend that a task is decided.
#[must_use]
pub fn decision_event(
    task_id: &str,
    task_type: &str,
    retailer_id: Option<&str>,
    tenant_id: Option<&str>,
    status: &str,
    decided: &NewConsensus,
    now: DateTime<Utc>,
) -> NewEvent {
    NewEvent {
        destination: Destination::RlhfBackend,
        topic: "judgments_ready".to_owned(),
        event: "judgments_ready".to_owned(),
        payload: json!({
            "task_id": task_id, "task_type": task_type, "retailer_id": retailer_id, "tenant_id": tenant_id,
            "status": status, "choice": decided.choice, "posterior": decided.posterior, "judgments": decided.judgments_count,
            "decided_at": now,
        }),
        tenant_id: tenant_id.map(str::to_owned),
    }
}
