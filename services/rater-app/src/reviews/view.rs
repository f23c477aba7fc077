//! What an expert sees of a task: before the own view nothing that raters thought, afterwards all of it without names. Where the
//! candidates come from is in neither.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::rubric;
use domain::task::TaskType;
use serde_json::{Map, Value, json};
use storage::connection::Connection;
use storage::consensus::{self, Consensus};
use storage::error::StorageError;
use storage::judgments::{self, Judgment};
use storage::raters::{self, Rater};
use storage::reviews::{self, Looking, Review};
use storage::tasks::Task;
use storage::{accounts, assignments};
use web::settings::Calibration;

use super::deadline::waits;
use super::error_class::sentence_of;
use crate::presentation;

/// A look that is older than this is over.
pub const LOOK_ENDS_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Golden answers from which a rater's record is worth a word.
const KNOWN_FROM: i32 = 5;

/// A task before an expert.
#[derive(Debug, Clone)]
pub struct Opened {
    task: Task,
    review: Option<Review>,
    names: Vec<(String, String)>,
    others: Vec<Looking>,
    /// Judgments, their raters, and the consensus: only once the expert may see them.
    revealed: Option<(Vec<Judgment>, Vec<Rater>, Option<Consensus>)>,
}

/// Reads what belongs to a task that this expert has opened, or that was decided. What raters thought is read only when it may be seen,
/// so that no later change of the view can show it.
///
/// # Errors
/// As any query.
pub fn read(
    conn: &mut Connection,
    task: Task,
    review: Option<Review>,
    account_id: &str,
    now: DateTime<Utc>,
) -> Result<Opened, StorageError> {
    let may_see = !waits(&task.status) || review.as_ref().is_some_and(|review| review.blind_at.is_some());
    let revealed = if may_see {
        let given = judgments::of_task(conn, &task.task_id)?;
        let ids: Vec<String> = given.iter().map(|judgment| judgment.rater_id.clone()).collect();
        let raters = raters::find_all(conn, &ids)?;
        Some((given, raters, consensus::find(conn, &task.task_id)?))
    } else {
        None
    };
    let others = reviews::looking(conn, std::slice::from_ref(&task.task_id), now - LOOK_ENDS_AFTER)?;
    let others: Vec<Looking> = others.into_iter().filter(|one| one.expert_id != account_id).collect();
    let expert = review.as_ref().map_or("", |review| review.expert_id.as_str());
    let names = accounts::display_names(conn, &[expert])?.into_iter().collect();
    Ok(Opened { task, review, names, others, revealed })
}

/// The answer of `next`, of opening a task and of the blind view.
#[must_use]
pub fn view(opened: &Opened, calibration: &Calibration, now: DateTime<Utc>) -> Value {
    let task = &opened.task;
    let mut body = json!({
        "task": task_view(task),
        "display_order": opened.review.as_ref().map(|review| display_order(review, task.candidate_count())),
        "reason": reason(opened.review.as_ref().map_or_else(|| reviews::kind_of(task), |review| review.kind.as_str())),
        "judgments_count": task.judgments_count,
        "escalated_at": task.escalated_at,
        "due_at": task.review_due_at,
        "is_overdue": is_overdue(&task.status, task.review_due_at.map(|at| at.0), now),
        "looked_at_by_others": others(&opened.others),
        "review": opened.review.as_ref().map(|review| review_view(review, &opened.names)),
    });
    if let (Some(body), Some((given, raters, consensus))) = (body.as_object_mut(), &opened.revealed) {
        let given: Vec<Value> = given.iter().enumerate().map(|(place, one)| judgment_view(place, one, raters, calibration)).collect();
        body.insert("judgments".to_owned(), json!(given));
        body.insert("consensus".to_owned(), json!(consensus));
    }
    body
}

/// Why a task came to the experts, in words.
#[must_use]
pub fn reason(kind: &str) -> Value {
    let words = match kind {
        "escalated" => "A rater asked for an expert",
        _ => "The raters do not agree enough, are unsure, or passed over it",
    };
    json!({"kind": kind, "words": words})
}

/// Whether a task that waits should have been decided by now.
#[must_use]
pub fn is_overdue(status: &str, due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    waits(status) && due.is_some_and(|due| due < now)
}

/// How many other experts look at a task and since when; null when nobody does.
#[must_use]
pub fn others(looking: &[Looking]) -> Value {
    let Some(since) = looking.iter().map(|one| one.opened_at.0).min() else { return Value::Null };
    let words = format!(
        "being looked at by {} other{} since {}",
        looking.len(),
        if looking.len() == 1 { "" } else { "s" },
        since.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    json!({"count": looking.len(), "since": since, "words": words})
}

/// The order in which a review's expert sees the candidates: drawn with the review's id, so that it is the same at every look and another for
/// every expert. Choices and candidates are sent in the stored order; whoever shows them puts them into this one.
#[must_use]
pub fn display_order(review: &Review, n_candidates: usize) -> Vec<usize> {
    assignments::blind_order(&review.review_id, n_candidates)
}

/// A review with the name of its expert, where one is known.
#[must_use]
pub fn review_view(review: &Review, names: &[(String, String)]) -> Value {
    let name = names.iter().find(|(id, _)| *id == review.expert_id).map(|(_, name)| name.as_str());
    let blind = review.blind_at.map(|at| {
        json!({"choice": review.blind_choice, "reasons": review.blind_reasons, "confidence": review.blind_confidence, "recorded_at": at})
    });
    json!({
        "review_id": review.review_id,
        "task_id": review.task_id,
        "task_type": review.task_type,
        "state": review.state,
        "reason": reason(&review.kind),
        "expert": {"account_id": review.expert_id, "name": name},
        "was_blind": review.blind_at.is_some(),
        "blind": blind,
        "choice": review.choice,
        "error_class": review.error_class.as_deref().map(class_view),
        "reasons": review.reasons,
        "rationale": review.rationale,
        "note_to_raters": review.note_to_raters,
        "majority_choice": review.majority_choice,
        "changed_majority": changed_majority(review),
        "changed_after_reveal": review.changed_after_reveal,
        "guideline_version": review.rubric_version,
        "seconds": review.seconds,
        "opened_at": review.opened_at,
        "due_at": review.due_at,
        "decided_at": review.decided_at,
        "was_late": review.decided_at.zip(review.due_at).map(|(decided, due)| decided > due),
    })
}

/// Whether the expert decided against what the raters' votes came to; none without a decision or a majority.
#[must_use]
pub fn changed_majority(review: &Review) -> Option<bool> {
    Some(review.majority_choice.as_ref()? != review.choice.as_ref()?)
}

/// An error class with its words.
#[must_use]
pub fn class_view(word: &str) -> Value {
    json!({"code": word, "words": sentence_of(word)})
}

fn task_view(task: &Task) -> Value {
    let task_type: Option<TaskType> = task.task_type.parse().ok();
    let mut view = json!({
        "task_id": task.task_id,
        "task_type": task.task_type,
        "task_type_title": task_type.map(TaskType::title),
        "status": task.status,
        "retailer_id": task.retailer_id,
        "title": task.title,
        "prompt": task.prompt,
        "context_snippets": presentation::context(&task.context_snippets),
        "auto_checks": task.auto_checks,
        "rubric_checklist": task.rubric_checklist,
        "reason_codes": task.reason_codes,
        "guideline": task_type.map(|task_type| rubric::rubric(task_type).guideline),
        "required_judgments": task.required_judgments,
        "created_at": task.created_at,
    });
    if let Some(view) = view.as_object_mut() {
        let places = task.candidates().into_iter().map(presentation::without_origin).enumerate();
        view.extend(places.map(|(place, candidate)| (presentation::key_of_place(place).to_owned(), candidate)).collect::<Map<_, _>>());
    }
    view
}

fn judgment_view(place: usize, judgment: &Judgment, raters: &[Rater], calibration: &Calibration) -> Value {
    let rater = raters.iter().find(|rater| rater.rater_id == judgment.rater_id);
    json!({
        "rater": format!("Rater {}", place + 1),
        "is_simulated": rater.is_some_and(|rater| rater.is_simulated),
        "gold_band": rater.map_or("unknown", |rater| gold_band(rater.golden_correct, rater.golden_total, calibration)),
        "choice": judgment.choice,
        "reasons": judgment.reasons,
        "confidence": judgment.confidence,
        "rubric_scores": judgment.rubric_scores,
        "free_text_feedback": judgment.free_text_feedback,
        "is_escalated": judgment.is_escalated,
        "escalation_reason": judgment.escalation_reason,
        "time_spent_seconds": judgment.time_spent_seconds,
    })
}

/// A rater's record on golden items as a word, which tells how far to trust the vote and not whose it is: against the two accuracies of
/// the calibration test.
fn gold_band(correct: i32, total: i32, calibration: &Calibration) -> &'static str {
    if total < KNOWN_FROM {
        return "unknown";
    }
    let accuracy = f64::from(correct) / f64::from(total);
    if accuracy >= calibration.p1 {
        "strong"
    } else if accuracy >= calibration.p0 {
        "fair"
    } else {
        "weak"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_word_once_it_is_long_enough() {
        let calibration = Calibration { p0: 0.6, p1: 0.85, alpha: 0.1, beta: 0.1, cap: 40, retry: std::time::Duration::ZERO, attempts: 3 };
        let band = |correct, total| gold_band(correct, total, &calibration);
        assert_eq!((band(4, 4), band(5, 5), band(6, 10), band(5, 10)), ("unknown", "strong", "fair", "weak"));
    }
}
