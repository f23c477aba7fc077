//! What raters ask about golden items: those that wait for an expert, and the expert's word that the answer is right.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Utc};
use domain::role::Role;
use serde::Deserialize;
use serde_json::json;
use storage::error::StorageError;
use storage::golden::{GoldenItem, Question};
use storage::page::Page;
use storage::{audit, golden, tasks};
use web::caller::Caller;
use web::json::JsonBody;
use web::paging::Slice;
use web::problem::Problem;

use crate::state::State;

/// Newest questions shown with a page of questioned items.
const MOST_QUESTIONS: i64 = 500;

/// An item stays in use with its answer.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// `asked_at` of the newest question that was read; absent takes all that were asked until now as read.
    #[serde(default)]
    pub read_until: Option<DateTime<Utc>>,
}

/// Escalations of golden items: they look like work, so they may be escalated like work, and an expert is to hear of it.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn list_questioned(state: &State, page: Page) -> Result<HttpResponse, Problem> {
    let read = state.storage.read(move |conn| {
        let slice = golden::questioned(conn, &page)?;
        let task_ids: Vec<String> = slice.rows.iter().map(|item| item.task_id.clone()).collect();
        let questions = golden::questions(conn, &task_ids, MOST_QUESTIONS)?;
        Ok((slice, questions, tasks::titles(conn, &task_ids)?))
    });
    let (slice, questions, titles) = read.await?;
    Ok(HttpResponse::Ok().json(Slice::from(slice).map(|item| {
        let own: Vec<&Question> = questions.iter().filter(|question| waits(&item, question)).collect();
        let mut view = json!(item);
        view["title"] = json!(titles.get(&item.task_id));
        view["questions"] = json!(own);
        view
    })))
}

fn waits(item: &GoldenItem, question: &Question) -> bool {
    question.task_id == item.task_id && item.questions_seen_at.is_none_or(|seen| question.asked_at.0 > seen.0)
}

/// Keeps an item in use with the answer that it has: the questions that raters asked about it are read, and only newer ones are listed
/// under `state=questioned`.
#[utoipa::path(post, path = "/v1/golden/{task_id}/keep", tag = "golden", params(("task_id" = String, Path)), request_body = Kept, responses((status = 200, body = crate::rows::GoldenRow, description = "The golden item"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "No item of such a task"), (status = 409, description = "It is not in use")))]
pub async fn keep_golden(state: Data<State>, caller: Caller, path: Path<String>, body: JsonBody<Kept>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, kept, now) = (caller.scope(), path.into_inner(), body.0, state.clock.now());
    let until = kept.read_until.unwrap_or(now).min(now);
    let item = state
        .storage
        .transaction(move |tx| {
            let tenant = tasks::find(tx, &scope, &task_id)?.tenant_id;
            tasks::lock(tx, &task_id)?;
            let item = golden::lock(tx, &task_id)?;
            if item.state != "active" {
                let why = format!("the golden item of task {task_id:?} is {}: only one in use can be kept", item.state);
                return Err(StorageError::conflict("transition_not_allowed", why));
            }
            let kept = golden::note_questions_seen(tx, &item, until, now)?;
            let detail = json!({"read_until": until});
            audit::append(tx, &scope, &audit::entry(tenant.as_deref(), "golden_item.kept", format!("task:{task_id}"), detail), now)?;
            Ok(kept)
        })
        .await?;
    Ok(HttpResponse::Ok().json(item))
}
