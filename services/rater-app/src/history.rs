//! One's own judgments with what became of them.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::task::{Choice, TaskType};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::history::{self, HistoryFilter, HistoryKey, Outcome, OwnJudgment};
use web::caller::Caller;
use web::paging::{ListQuery, Page, Slice};
use web::problem::Problem;

use crate::presentation::as_shown;
use crate::state::State;
use crate::submission;

/// Which of one's judgments are wanted.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Of this task type.
    pub task_type: Option<TaskType>,
    /// With this outcome: `waiting`, `agreed`, `differed`, `expert` or `calibration`.
    #[param(value_type = Option<String>)]
    pub outcome: Option<Outcome>,
}

/// One's own judgments, newest first, with what became of each. Golden items among the work are told by nothing here.
#[utoipa::path(get, path = "/v1/judgments", tag = "judgments", params(HistoryQuery, Page), responses((status = 200, description = "{data: [{judgment_id, task_type, title, choice, confidence, outcome, decision, expert_agrees, note, ..}], next_cursor}"), (status = 403, description = "The account has no rater profile")))]
pub async fn list_own_judgments(state: Data<State>, caller: Caller, query: ListQuery<HistoryQuery>) -> Result<HttpResponse, Problem> {
    let rater_id = caller.require_rater()?.to_owned();
    let slice = page_of(&state, rater_id, &query.filter, &query.page).await?;
    Ok(HttpResponse::Ok().json(slice.map(|own| view(&own))))
}

/// A page of somebody's judgments, for pages too.
///
/// # Errors
/// 422 for a cursor of another list; 503 when the database does not answer.
pub async fn page_of(state: &State, rater_id: String, query: &HistoryQuery, page: &Page) -> Result<Slice<OwnJudgment>, Problem> {
    let filter = HistoryFilter { task_type: query.task_type.map(|word| word.as_ref().to_owned()), outcome: query.outcome };
    let (after, limit) = (page.after::<HistoryKey>()?, page.limit_and_one());
    let now = state.clock.now();
    let rows = state.storage.read(move |conn| history::of_rater(conn, &rater_id, &filter, after, limit, now)).await?;
    Ok(Slice::of_rows(rows, page, OwnJudgment::key))
}

/// A stored choice word as this judgment's rater saw it.
#[must_use]
pub fn shown(own: &OwnJudgment, stored: &str) -> Choice {
    let order: Vec<usize> = serde_json::from_value(own.judgment.display_order.0.clone()).unwrap_or_default();
    as_shown(stored.parse().unwrap_or(Choice::Unsure), &order)
}

/// A judgment as its rater sees it later. Notes of experts are shown when there are any.
#[must_use]
pub fn view(own: &OwnJudgment) -> Value {
    let judgment = &own.judgment;
    let outcome = own.outcome();
    let is_work = outcome == Outcome::Expert;
    let (expert_choice, rationale) = own.expert_answer().unzip();
    let mut body = submission::of_judgment(judgment).draft();
    let more = json!({
        "judgment_id": judgment.judgment_id,
        "assignment_id": judgment.assignment_id,
        "task_type": own.task_type,
        "title": own.title,
        "rubric_version": judgment.rubric_version,
        "time_spent_seconds": judgment.time_spent_seconds,
        "created_at": judgment.created_at,
        "outcome": outcome.word(),
        "decision": own.decision().or(expert_choice).map(|stored| shown(own, stored)),
        "expert_agrees": match outcome {
            Outcome::Expert => judgment.expert_agrees,
            Outcome::Calibration => judgment.matches_golden,
            _ => None,
        },
        "note": judgment.expert_feedback.as_deref().filter(|_| is_work).or(rationale),
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}
