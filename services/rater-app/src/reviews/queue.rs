//! The queue of experts: the task due first at the front, and which one to look at next when several experts work at once.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;
use domain::task::TaskType;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::reviews::{self, Looking, QueueFilter, QueueState, Review, Waiting};
use storage::{accounts, tasks};
use web::caller::Caller;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use super::deadline::sla;
use super::view::{LOOK_ENDS_AFTER, is_overdue, others, reason, review_view};
use crate::state::State;

/// Tasks at the front of the queue among which `next` chooses.
const LOOK_AHEAD: i64 = 50;

/// Which part of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListState {
    /// All that wait, the one due first at the front.
    #[default]
    Waiting,
    /// Those past their due time.
    Overdue,
    /// What experts decided, the newest first.
    Decided,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReviewQuery {
    /// `waiting` (default), `overdue` or `decided`.
    #[serde(default)]
    #[param(inline)]
    pub state: Option<ListState>,
    /// One task type.
    pub task_type: Option<TaskType>,
}

/// Tasks that wait for an expert, with due time, age, reason and who looks at them; or what experts decided.
#[utoipa::path(get, path = "/v1/reviews", tag = "reviews", params(ReviewQuery, web::paging::Page), responses((status = 200, description = "{data, next_cursor}; waiting and overdue: task_id, task_type, title, reason, judgments_count, escalated_at, due_at, is_overdue, age_seconds, looked_at_by_others; decided: the review"), (status = 403, description = "Experts and administrators only")))]
pub async fn list_reviews(state: Data<State>, caller: Caller, query: ListQuery<ReviewQuery>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, now, sla) = (caller.scope(), state.clock.now(), sla(&state.settings));
    let (after, limit) = (query.page.after::<(DateTime<Utc>, i64)>()?, query.page.limit_and_one());
    let task_type = query.filter.task_type.map(|word| word.as_ref().to_owned());
    let part = match query.filter.state.unwrap_or_default() {
        ListState::Waiting => QueueState::Waiting,
        ListState::Overdue => QueueState::OverdueAt(now),
        ListState::Decided => {
            let read = state.storage.read(move |conn| {
                let rows = reviews::decided(conn, &scope, task_type.as_deref(), after, limit)?;
                let experts: Vec<&str> = rows.iter().map(|(review, _)| review.expert_id.as_str()).collect();
                let names: Vec<(String, String)> = accounts::display_names(conn, &experts)?.into_iter().collect();
                Ok((rows, names))
            });
            let (rows, names) = read.await?;
            let key = |(review, _): &(Review, String)| (review.decided_at.map_or(review.updated_at.0, |at| at.0), review.id);
            let slice = Slice::of_rows(rows, &query.page, key);
            return Ok(HttpResponse::Ok().json(slice.map(|(review, title)| decided_view(&review, &title, &names))));
        }
    };
    // Nearly always there is nothing to date, and reading alone waits for no writer.
    if state.storage.read(reviews::has_undated).await? {
        state.storage.transaction(move |tx| reviews::give_deadlines(tx, sla, now)).await?;
    }
    let filter = QueueFilter { state: part, task_type };
    let (rows, looking) = state
        .storage
        .read(move |conn| {
            let rows = reviews::waiting(conn, &scope, &filter, after, limit)?;
            let looking = reviews::looking(conn, &ids_of(&rows), now - LOOK_ENDS_AFTER)?;
            Ok((rows, looking))
        })
        .await?;
    let key = |row: &Waiting| (row.review_due_at.map_or(now, |at| at.0), row.id);
    let slice = Slice::of_rows(rows, &query.page, key);
    Ok(HttpResponse::Ok().json(slice.map(|row| waiting_view(&row, &looking, &caller.account_id, now))))
}

/// The task that this expert should look at next: the one at hand; else, by due time, one that nobody else looks at; what the expert has
/// judged as a rater comes last of all. None when nothing waits.
///
/// # Errors
/// As any query.
pub fn next(
    tx: &mut Connection,
    scope: &Scope,
    rater_id: Option<&str>,
    sla: chrono::TimeDelta,
    now: DateTime<Utc>,
) -> Result<Option<tasks::Task>, StorageError> {
    reviews::give_deadlines(tx, sla, now)?;
    let rows = reviews::waiting(tx, scope, &QueueFilter { state: QueueState::Waiting, task_type: None }, None, LOOK_AHEAD)?;
    let ids = ids_of(&rows);
    let looking = reviews::looking(tx, &ids, now - LOOK_ENDS_AFTER)?;
    let judged = rater_id.map(|rater_id| reviews::judged_by(tx, &ids, rater_id)).transpose()?.unwrap_or_default();
    best(&ids, &looking, &judged, scope.actor()).map(|task_id| tasks::read(tx, task_id)).transpose()
}

fn best<'a>(ids: &'a [String], looking: &[Looking], judged: &[String], account_id: &str) -> Option<&'a String> {
    // The first of equals wins, and ids come in the order of their due times.
    ids.iter().min_by_key(|id| {
        let looks = |own: bool| looking.iter().any(|one| one.task_id == **id && (one.expert_id == account_id) == own);
        (!looks(true), judged.contains(id), looks(false))
    })
}

fn ids_of(rows: &[Waiting]) -> Vec<String> {
    rows.iter().map(|row| row.task_id.clone()).collect()
}

fn waiting_view(row: &Waiting, looking: &[Looking], account_id: &str, now: DateTime<Utc>) -> Value {
    let at_it: Vec<Looking> = looking.iter().filter(|one| one.task_id == row.task_id).cloned().collect();
    let (own, other): (Vec<Looking>, Vec<Looking>) = at_it.into_iter().partition(|one| one.expert_id == account_id);
    let kind = if row.status == "escalated" { "escalated" } else { "disputed" };
    json!({
        "task_id": row.task_id,
        "task_type": row.task_type,
        "title": row.title,
        "retailer_id": row.retailer_id,
        "status": row.status,
        "reason": reason(kind),
        "judgments_count": row.judgments_count,
        "escalated_at": row.escalated_at,
        "due_at": row.review_due_at,
        "is_overdue": is_overdue(&row.status, row.review_due_at.map(|at| at.0), now),
        "age_seconds": row.escalated_at.map(|at| (now - at.0).num_seconds().max(0)),
        "looked_at_by_others": others(&other),
        "is_open_by_you": !own.is_empty(),
    })
}

fn decided_view(review: &Review, title: &str, names: &[(String, String)]) -> Value {
    let mut view = review_view(review, names);
    if let Some(view) = view.as_object_mut() {
        view.insert("title".to_owned(), json!(title));
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(task_id: &str, expert_id: &str) -> Looking {
        let opened_at = DateTime::<Utc>::UNIX_EPOCH.into();
        Looking { task_id: task_id.to_owned(), expert_id: expert_id.to_owned(), opened_at }
    }

    #[test]
    fn the_own_task_then_what_nobody_looks_at_then_the_rest() {
        let ids: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let judged = |id: &str| vec![id.to_owned()];
        let next = |looking: &[Looking], judged: &[String]| best(&ids, looking, judged, "me").map_or("", String::as_str).to_owned();
        assert_eq!(next(&[], &[]), "a");
        assert_eq!(next(&[look("a", "other")], &[]), "b");
        assert_eq!(next(&[look("a", "other"), look("c", "me")], &[]), "c");
        assert_eq!(next(&[look("a", "x"), look("b", "x"), look("c", "x")], &[]), "a", "nobody is locked out");
        assert_eq!(next(&[look("b", "x"), look("c", "x")], &judged("a")), "b", "what one has judged oneself comes last");
        assert_eq!(best(&[], &[], &[], "me"), None);
    }
}
