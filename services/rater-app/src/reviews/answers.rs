//! The answer back to the raters: everybody who judged a task that an expert decided hears of it, in the order in which they saw it.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use domain::task::Choice;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::judgments::Judgment;
use storage::outbox::{self, Destination, NewEvent};
use storage::reviews::{self, Answered, Review};
use storage::tasks::Task;
use web::caller::Caller;
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use super::view::class_view;
use crate::presentation::as_shown;
use crate::state::State;

/// Own judgments that an expert has answered, the newest answer first: the decision in the order in which this rater saw the candidates, whether it agrees (null for unsure), what went wrong and the expert's note.
#[utoipa::path(get, path = "/v1/raters/me/answers", tag = "raters", params(web::paging::Page), responses((status = 200, description = "{data: [{judgment_id, task_type, title, your_choice, decision, agreed, error_class, note, rationale, judged_at, answered_at}], next_cursor}"), (status = 403, description = "The account has no rater profile")))]
pub async fn list_answers(state: Data<State>, caller: Caller, query: ListQuery<NoFilter>) -> Result<HttpResponse, Problem> {
    let rater_id = caller.require_rater()?.to_owned();
    let (after, limit) = (query.page.after::<(DateTime<Utc>, i64)>()?, query.page.limit_and_one());
    let rows = state.storage.read(move |conn| reviews::answers_of_rater(conn, &rater_id, after, limit)).await?;
    let key = |row: &Answered| (row.judgment.answered_at.map_or(row.judgment.updated_at.0, |at| at.0), row.id);
    Ok(HttpResponse::Ok().json(Slice::of_rows(rows, &query.page, key).map(|row| answer_view(&row))))
}

/// Tells each rater of a decided task, in the rater's own room.
///
/// # Errors
/// As any query.
pub fn tell(tx: &mut Connection, given: &[Judgment], task: &Task, review: &Review, now: DateTime<Utc>) -> Result<(), StorageError> {
    for judgment in given {
        let choice = review.choice.as_deref();
        let event = NewEvent {
            destination: Destination::Realtime,
            topic: format!("rater:{}", judgment.rater_id),
            event: "escalation_answered".to_owned(),
            payload: json!({
                "judgment_id": judgment.judgment_id,
                "task_type": task.task_type,
                "decision": choice.map(|choice| shown(choice, judgment)),
                "agreed": agreed(judgment, choice),
                "error_class": review.error_class.as_deref().map(class_view),
                "note": review.note_to_raters,
                "answered_at": now,
            }),
            tenant_id: None,
        };
        outbox::push(tx, &event, now)?;
    }
    Ok(())
}

fn answer_view(row: &Answered) -> Value {
    let (judgment, decision) = (&row.judgment, row.decision.as_ref());
    let choice = decision.and_then(|review| review.choice.as_deref());
    json!({
        "judgment_id": judgment.judgment_id,
        "task_type": row.task_type,
        "title": row.title,
        "your_choice": shown(&judgment.choice, judgment),
        "you_escalated": judgment.is_escalated,
        "decision": choice.map(|choice| shown(choice, judgment)),
        "agreed": if choice.is_some() { agreed(judgment, choice) } else { judgment.expert_agrees },
        "error_class": decision.and_then(|review| review.error_class.as_deref()).map(class_view),
        "note": decision.and_then(|review| review.note_to_raters.as_deref()),
        "rationale": decision.map_or(judgment.expert_feedback.as_deref(), |review| review.rationale.as_deref()),
        "judged_at": judgment.created_at,
        "answered_at": judgment.answered_at,
    })
}

/// A stored choice as this rater saw the candidates.
fn shown(choice: &str, judgment: &Judgment) -> Choice {
    let order: Vec<usize> = serde_json::from_value(judgment.display_order.0.clone()).unwrap_or_default();
    as_shown(choice.parse().unwrap_or(Choice::Unsure), &order)
}

/// Whether the rater chose as the expert did; whoever was unsure did neither.
fn agreed(judgment: &Judgment, choice: Option<&str>) -> Option<bool> {
    choice.filter(|_| judgment.choice != Choice::Unsure.as_ref()).map(|choice| judgment.choice == choice)
}
