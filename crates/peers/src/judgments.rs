//! Telling rlhf-backend that a task's judgments led to a decision: rater-app's outbox delivers, rlhf-backend learns.

use chrono::{DateTime, Utc};
use domain::task::{TaskStatus, TaskType};
use serde::{Deserialize, Serialize};

/// Where rlhf-backend takes a [`JudgmentsReady`] (POST, private listener).
pub const PATH: &str = "/internal/v1/judgments-ready";

/// A task has been decided, or is known to have no decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgmentsReady {
    /// Id of the outbox event; the receiver acts once per id, so repeating is safe.
    pub event_id: String,
    /// The task that was judged.
    pub task_id: String,
    /// Its type.
    pub task_type: TaskType,
    /// Retailer of the task.
    #[serde(default)]
    pub retailer_id: Option<String>,
    /// Tenant of the task.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// Where the task stands now.
    pub status: TaskStatus,
    /// The decision in the words of [`domain::task::Choice`], in stored (not blind) order; `None` without consensus.
    #[serde(default)]
    pub choice: Option<String>,
    /// Probability that the decision is right, 0 to 1.
    #[serde(default)]
    pub posterior: Option<f64>,
    /// Number of judgments that led to it.
    pub judgments: i64,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
}

/// Answer to a [`JudgmentsReady`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgmentsAccepted {
    /// The event that was accepted.
    pub event_id: String,
    /// Whether it had been accepted before; nothing was done this time.
    pub duplicate: bool,
}
