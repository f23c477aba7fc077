//! Rating tasks: creating them, one or many, and looking at them. Raters see tasks only through assignments.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use domain::invalid::{FieldError, Invalid};
use domain::role::Role;
use domain::scope::Scope;
use domain::task::{TaskStatus, TaskType};
use peers::tasks::{CheckResult, NewTask, TaskCreated};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};
use storage::tasks::{Task, TaskFilter};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, parse_json};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::server::ServiceCaller;

use crate::intake::{self, Intake};
use crate::presentation;
use crate::state::State;

/// Most tasks in one request.
pub const MAX_BATCH: usize = 500;

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TaskQuery {
    /// One task type.
    pub task_type: Option<TaskType>,
    /// One status.
    #[param(inline)]
    pub status: Option<TaskStatus>,
    /// One retailer.
    pub retailer_id: Option<String>,
    /// What the tasks came from.
    pub source: Option<String>,
    /// Golden items only, or none; reviewers only.
    pub is_golden: Option<bool>,
}

/// What became of one row of a request.
enum Row {
    Stored(Box<Task>, bool),
    Refused(&'static str, Vec<FieldError>),
}

/// Creates one task, or up to 500. Rows that are wrong are reported by index and the others are kept; repeating an equal task under the same task_id answers the stored one.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", params(("Idempotency-Key" = Option<String>, Header)), request_body(content = Object, description = "A task, or a list of tasks: task_id?, task_type, retailer_id?, tenant_id?, adapter_id?, title, prompt, context_snippets?, candidate_a, candidate_b, candidate_c?, priority?, uncertainty_score?, required_judgments?, source?"), responses((status = 201, description = "The task; of a list {received, created, existing, rejected, data, errors}"), (status = 409, description = "The task_id has other content"), (status = 422, description = "Wrong fields")))]
pub async fn create_tasks(state: Data<State>, caller: Caller, key: RepeatKey, body: JsonBytes<Value>) -> Result<HttpResponse, Problem> {
    caller.require(may_create)?;
    let request = key.of(&caller, &body.bytes);
    let scope = caller.scope();
    let is_list = body.value.is_array();
    let rows: Vec<Result<NewTask, Problem>> = match &body.value {
        Value::Array(rows) => rows.iter().map(|row| parse_json(row.to_string().as_bytes())).collect(),
        // Parsed from what was sent, so that a mistake is named with its place.
        _ => vec![Ok(parse_json(&body.bytes)?)],
    };
    if rows.is_empty() || rows.len() > MAX_BATCH {
        return Err(Problem::invalid_field("", format!("send 1 to {MAX_BATCH} tasks, not {}", rows.len())));
    }
    let intake = Intake::new(&state.settings);
    let mut prepared: Vec<Result<storage::tasks::NewTask, Vec<FieldError>>> = rows
        .into_iter()
        .map(|row| {
            let row = row.map_err(|problem| field_errors(&problem))?;
            let row = claim(row, &scope).map_err(|invalid| invalid.fields)?;
            intake::prepare(&row, &intake).map_err(|invalid| invalid.fields)
        })
        .collect();
    if let Some(remote) = &state.remote_checks {
        remote.check(prepared.iter_mut().flatten()).await;
    }
    let now = state.clock.now();
    let answer = repeat::create(&state.storage_of(&scope), request, now, move |tx| {
        let mut outcome = Vec::with_capacity(prepared.len());
        for row in &prepared {
            outcome.push(match row {
                Ok(new) => store(tx, new, now)?,
                Err(fields) => Row::Refused("invalid_input", fields.clone()),
            });
        }
        if is_list { batch_answer(&outcome) } else { single_answer(outcome) }
    })
    .await?;
    state.after_commit();
    Ok(answer)
}

/// Tasks of the caller's tenant, newest first; reviewers see all.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", params(TaskQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::TaskRow>, description = "{data, next_cursor}")))]
pub async fn list_tasks(state: Data<State>, caller: Caller, query: ListQuery<TaskQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_create)?;
    let (scope, role) = (caller.scope(), caller.role);
    let filter = TaskFilter {
        task_type: query.filter.task_type.map(|word| word.as_ref().to_owned()),
        statuses: query.filter.status.map(|word| word.as_ref().to_owned()).into_iter().collect(),
        retailer_id: query.filter.retailer_id,
        source: query.filter.source,
        is_golden: query.filter.is_golden,
    };
    if filter.is_golden.is_some() && !role.may_review() {
        return Err(Problem::forbidden("Only reviewers may filter by is_golden."));
    }
    let page = storage::page::Page::try_from(&query.page)?;
    let slice = state.storage_of(&scope).read(move |conn| storage::tasks::list(conn, &scope, &filter, &page)).await?;
    Ok(HttpResponse::Ok().json(Slice::from(slice).map(|task| presentation::task_for_owner(&task, role))))
}

/// One task with its checks and rubric, in the stored order.
#[utoipa::path(get, path = "/v1/tasks/{task_id}", tag = "tasks", params(("task_id" = String, Path)), responses((status = 200, body = crate::rows::TaskRow, description = "The task"), (status = 404, description = "Not there, or not yours")))]
pub async fn get_task(state: Data<State>, caller: Caller, path: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_create)?;
    let (scope, task_id) = (caller.scope(), path.into_inner());
    let task = state.storage_of(&scope).read(move |conn| storage::tasks::find(conn, &scope, &task_id)).await?;
    Ok(HttpResponse::Ok().json(presentation::task_for_owner(&task, caller.role)))
}

/// Takes a task from another service.
pub async fn create_task_internally(state: Data<State>, caller: ServiceCaller, body: JsonBody<NewTask>) -> Result<HttpResponse, Problem> {
    let new = claim(body.0, &caller.scope())?;
    let mut new = intake::prepare(&new, &Intake::new(&state.settings))?;
    if let Some(remote) = &state.remote_checks {
        remote.check(std::iter::once(&mut new)).await;
    }
    let now = state.clock.now();
    let (task, created) = state
        .storage
        .transaction(move |tx| {
            let (task, created) = storage::tasks::create(tx, &new, now)?;
            if created {
                announce(tx, &task.task_type, now)?;
            }
            Ok((task, created))
        })
        .await?;
    state.after_commit();
    let status: TaskStatus =
        task.status.parse().map_err(|_| Problem::internal(format!("task {} has status {:?}", task.task_id, task.status)))?;
    let auto_checks: Vec<CheckResult> = serde_json::from_value(task.auto_checks.0).map_err(Problem::internal)?;
    let answer = TaskCreated { task_id: task.task_id, status, auto_checks, created };
    Ok(if created { HttpResponse::Created() } else { HttpResponse::Ok() }.json(answer))
}

/// Tells listeners that a task is new or has moved on. The payload says so little that a golden item looks like any other task.
///
/// # Errors
/// As any query.
pub fn announce(tx: &mut Connection, task_type: &str, now: chrono::DateTime<chrono::Utc>) -> Result<(), StorageError> {
    outbox::push(tx, &changed(task_type), now)?;
    Ok(())
}

/// The event of [`announce`].
#[must_use]
pub fn changed(task_type: &str) -> NewEvent {
    NewEvent {
        destination: Destination::Realtime,
        topic: "tasks".to_owned(),
        event: "task_changed".to_owned(),
        // No id: one that returns for many raters would be known as golden.
        payload: json!({"task_type": task_type}),
        tenant_id: None,
    }
}

fn may_create(role: Role) -> bool {
    role.may_plan() || role.may_review()
}

/// A task of a caller with a tenant is that tenant's.
fn claim(mut new: NewTask, scope: &Scope) -> Result<NewTask, Invalid> {
    if let Some(own) = storage::tasks::visible_tenant(scope) {
        if new.tenant_id.as_deref().is_some_and(|named| named != own) {
            return Err(Invalid::one("tenant_id", "is not your tenant; leave it out"));
        }
        if own.is_empty() {
            return Err(Invalid::one("tenant_id", "your account belongs to no tenant, so it cannot own tasks"));
        }
        new.tenant_id = Some(own.to_owned());
    }
    Ok(new)
}

fn store(tx: &mut Connection, new: &storage::tasks::NewTask, now: chrono::DateTime<chrono::Utc>) -> Result<Row, StorageError> {
    match storage::tasks::create(tx, new, now) {
        Ok((task, created)) => {
            if created {
                announce(tx, &task.task_type, now)?;
            }
            Ok(Row::Stored(Box::new(task), created))
        }
        Err(StorageError::Invalid(invalid)) => Ok(Row::Refused("invalid_input", invalid.fields)),
        Err(StorageError::Conflict { code, why }) => Ok(Row::Refused(code, vec![FieldError { field: "task_id".to_owned(), message: why }])),
        Err(other) => Err(other),
    }
}

fn single_answer(mut outcome: Vec<Row>) -> Result<Answer, StorageError> {
    match outcome.pop() {
        Some(Row::Stored(task, created)) => Ok(Answer { status: status(created), body: created_view(&task, created) }),
        Some(Row::Refused("invalid_input", fields)) => Err(Invalid { fields }.into()),
        Some(Row::Refused(code, fields)) => Err(StorageError::conflict(code, fields.first().map_or("", |field| field.message.as_str()))),
        None => Err(StorageError::Corrupt("a request without rows".to_owned())),
    }
}

/// A list of which not one row is right is refused as a whole.
fn batch_answer(outcome: &[Row]) -> Result<Answer, StorageError> {
    let mut data = Vec::new();
    let mut errors = Vec::new();
    let mut created = 0;
    for (index, row) in outcome.iter().enumerate() {
        match row {
            Row::Stored(task, is_new) => {
                created += usize::from(*is_new);
                data.push(created_view(task, *is_new));
            }
            Row::Refused(code, fields) => errors.push(json!({"index": index, "code": code, "errors": fields})),
        }
    }
    if data.is_empty() {
        let named = outcome.iter().enumerate().flat_map(|(index, row)| match row {
            Row::Refused(_, fields) => {
                fields.iter().map(|f| FieldError { field: format!("[{index}].{}", f.field), message: f.message.clone() }).collect()
            }
            Row::Stored(..) => Vec::new(),
        });
        return Err(Invalid { fields: named.collect() }.into());
    }
    let body = json!({
        "received": outcome.len(), "created": created, "existing": data.len() - created, "rejected": errors.len(), "data": data, "errors": errors,
    });
    Ok(Answer { status: status(created > 0), body })
}

fn status(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

fn created_view(task: &Task, created: bool) -> Value {
    json!({
        "task_id": task.task_id, "task_type": task.task_type, "status": task.status, "required_judgments": task.required_judgments,
        "auto_checks": task.auto_checks, "created": created,
    })
}

fn field_errors(problem: &Problem) -> Vec<FieldError> {
    let body = problem.body();
    let named: Vec<FieldError> = body.get("errors").cloned().and_then(|errors| serde_json::from_value(errors).ok()).unwrap_or_default();
    if named.is_empty() { vec![FieldError { field: String::new(), message: problem.detail().to_owned() }] } else { named }
}
