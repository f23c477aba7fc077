//! Settings of judging: leases, overlap, calibration, the queue, the integrity of raters.

use std::time::Duration;

use super::key::DefaultValue::Value;
use super::key::Kind::Whole;
use super::key::{Key, key};

/// How long work is held without a word, which stands first in the table.
pub(super) const LEASE_SECONDS: Key = key(
    "ENDCAP_LEASE_SECONDS",
    Whole { min: 10, max: 86_400 },
    Value("300"),
    "300",
    "How long an assignment is held without a heartbeat, in seconds.",
);

/// When a rater counts as calibrated: a sequential test of accuracy `p1` against `p0` on golden items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Accuracy that is not enough.
    pub p0: f64,
    /// Accuracy that is enough.
    pub p1: f64,
    /// Accepted chance of passing a rater of accuracy `p0`.
    pub alpha: f64,
    /// Accepted chance of failing a rater of accuracy `p1`.
    pub beta: f64,
    /// Most golden items before a decision.
    pub cap: u32,
    /// How long after a failure the next attempt may begin.
    pub retry: Duration,
    /// Attempts per task type.
    pub attempts: u32,
}

/// How many judgments a task gets that names no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// At most so many, then an expert decides.
    pub max_judgments: u32,
    /// From this posterior probability on no further one is asked for.
    pub posterior: f64,
}

/// How much each part of a task's score counts in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueWeights {
    /// Of the priority, 0 to 1.
    pub priority: f64,
    /// Of each day of waiting.
    pub age: f64,
    /// Of the uncertainty, 0 to 1.
    pub uncertainty: f64,
    /// Of what it is worth to ask the task now, for the reward model, 0 to 1.
    pub selection: f64,
    /// Of the bits that a rater is expected to add.
    pub skill: f64,
    /// Of the retailer's lack, -1 to 1.
    pub quota: f64,
}

/// What is chosen to be judged next, for the reward model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// Tasks chosen of each type.
    pub batch: usize,
    /// Share of them that is drawn at random.
    pub random_share: f64,
    /// How often is chosen anew; `None` for only when asked.
    pub every: Option<Duration>,
}

/// How tasks are given out and judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rating {
    /// How long an assignment is held without a heartbeat.
    pub lease: Duration,
    /// Judgments asked for at first for a task that names no number.
    pub judgments_per_task: u32,
    /// How long a judgment may be taken back.
    pub undo: Duration,
    /// Until when an expert should have decided a task that waits for one.
    pub review_sla: Duration,
    /// Share of golden items among the tasks given out.
    pub golden_rate: f64,
    /// Posterior probability from which a task counts as decided.
    pub consensus_posterior: f64,
    /// A plan whose win probability lies nearer to one half than this is put to people.
    pub close_call_margin: f64,
    /// The calibration test.
    pub calibration: Calibration,
    /// Judgments of a task that names no number.
    pub overlap: Overlap,
    /// The order of the queue.
    pub queue: QueueWeights,
    /// What is judged next.
    pub selection: Selection,
    /// Judgments a rater may give in 24 hours; 0 is no bound.
    pub daily_judgments: u32,
    /// Raters who may pass over a task before an expert looks at it.
    pub max_skips: u32,
    /// What is done about raters whose judgments look dishonest.
    pub integrity: Integrity,
}

/// What is done about raters whose judgments look dishonest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrity {
    /// Whether actions are taken without a person.
    pub is_automatic: bool,
    /// How long a pause lasts before recent judgments are voided.
    pub pause: Duration,
    /// How far back judgments are voided.
    pub void_window: Duration,
}
