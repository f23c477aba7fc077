//! What people said, as material for training and exports: judged tasks with their consensus, single judgments, and feedback.
//! Read-only, in pages by primary key, so that a set of any size passes through little memory.

pub mod judged;
pub mod pages;
mod pieces;
pub mod repeats;
pub mod said;

use chrono::{DateTime, Utc};

/// Which tasks, judgments and feedback are wanted; absent parts do not filter.
#[derive(Debug, Clone, Default)]
pub struct TrainingFilter {
    /// Of this task type.
    pub task_type: Option<String>,
    /// Of this retailer; for feedback, of a brand of this retailer.
    pub retailer_id: Option<String>,
    /// Created at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Created before this instant.
    pub to: Option<DateTime<Utc>>,
}
