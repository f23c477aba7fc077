//! Which method the amount of data can carry. Rich models overfit on few judgments: in simulations full
//! Dawid-Skene lost to a golden-weighted vote at 40 tasks and matched the one-coin model only at 600.

use super::{Evidence, Method};

const MIN_TASKS_FOR_FITTING: usize = 100;
const MIN_JUDGMENTS_FOR_MATRIX: usize = 30;

/// Golden-weighted vote below 100 tasks with two judgments; then the one-coin model; Dawid-Skene once the
/// median rater has at least `max(30, 3 K^2)` judgments.
pub(super) fn choose(evidence: &Evidence<'_>) -> (Method, String) {
    let mut per_task = vec![0usize; evidence.n_tasks];
    let mut per_rater = vec![0usize; evidence.n_raters];
    for judgment in evidence.judgments {
        per_task[judgment.task as usize] += 1;
        per_rater[judgment.rater as usize] += 1;
    }
    let overlapping = per_task.iter().filter(|count| **count >= 2).count();
    if overlapping < MIN_TASKS_FOR_FITTING {
        let reason = format!("{overlapping} tasks have two or more judgments; fitting rater models needs {MIN_TASKS_FOR_FITTING}");
        return (Method::GoldVote, reason);
    }
    per_rater.retain(|count| *count > 0);
    per_rater.sort_unstable();
    let median = per_rater.get(per_rater.len() / 2).copied().unwrap_or(0);
    let squared = evidence.n_labels.saturating_mul(evidence.n_labels);
    let need = MIN_JUDGMENTS_FOR_MATRIX.max(squared.saturating_mul(3));
    if median >= need {
        let reason = format!("the median rater has {median} judgments; a confusion matrix needs {need}");
        return (Method::DawidSkene, reason);
    }
    let reason = format!(
        "{overlapping} tasks have two or more judgments, but the median rater has only {median} of the {need} that a confusion matrix needs"
    );
    (Method::OneCoin, reason)
}
