//! Golden items: experts write down the answer of a task, new or existing.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::invalid::Invalid;
use domain::role::Role;
use domain::rubric;
use domain::scope::Scope;
use domain::task::{Choice, Difficulty, TaskType};
use peers::tasks::NewTask;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::golden::{GoldenItem, NewGoldenItem};
use storage::tasks::{self, Task};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use crate::intake::{self, Intake};
use crate::state::State;
use crate::submission::MAX_REASONS;

const MAX_RATIONALE_CHARS: usize = 5_000;

/// A golden item to be made, for a new task or an existing one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGolden {
    /// An existing task that nobody holds or judges at the moment.
    #[serde(default)]
    pub task_id: Option<String>,
    /// A new task.
    #[serde(default)]
    pub task: Option<NewTask>,
    /// The right choice, in the stored order.
    pub choice: Choice,
    /// Reason codes that fit the choice.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Why, in words that teach; raters see it in calibration.
    pub rationale: String,
    /// How hard it is.
    #[serde(default = "medium")]
    pub difficulty: Difficulty,
    /// What makes it special.
    #[serde(default)]
    pub edge_case_type: Option<String>,
}

fn medium() -> Difficulty {
    Difficulty::Medium
}

/// Makes a golden item.
#[utoipa::path(post, path = "/v1/golden", tag = "golden", request_body(content = Object, description = "{task | task_id, choice, reasons?, rationale, difficulty?, edge_case_type?}"), responses((status = 201, description = "The golden item"), (status = 403, description = "Experts and administrators only"), (status = 409, description = "It is one already, or raters are at it")))]
pub async fn create_golden(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<NewGolden>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let request = key.of(&caller, &body.bytes);
    let new = body.value;
    let prepared = match (&new.task, &new.task_id) {
        (Some(task), None) => {
            check(&new, task.task_type, 2 + usize::from(task.candidate_c.is_some()))?;
            Some(intake::prepare(task, &Intake::new(&state.settings))?)
        }
        (None, Some(_)) => None,
        _ => return Err(Problem::invalid_field("task", "give either task, a new one, or task_id, an existing one")),
    };
    let (scope, now) = (caller.scope(), state.clock.now());
    repeat::create(&state.storage, request, now, move |tx| {
        let task = match &prepared {
            Some(task) => make_task(tx, task, now)?,
            None => find_task(tx, &scope, &new)?,
        };
        let item = insert(tx, &task, scope.actor(), &new, now)?;
        Ok(Answer::created(view(&item)))
    })
    .await
}

/// Golden items, newest first, with how raters did on them.
#[utoipa::path(get, path = "/v1/golden", tag = "golden", params(web::paging::Page), responses((status = 200, description = "{data, next_cursor}"), (status = 403, description = "Experts and administrators only")))]
pub async fn list_golden(state: Data<State>, caller: Caller, query: ListQuery<NoFilter>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let page = storage::page::Page::try_from(&query.page)?;
    let slice = state.storage.read(move |conn| storage::golden::list(conn, &page)).await?;
    Ok(HttpResponse::Ok().json(Slice::from(slice).map(|item| view(&item))))
}

/// Stores the expert's answer; the task counts as decided by the expert from then on.
///
/// # Errors
/// [`StorageError::Conflict`] (`already_exists`).
pub fn insert(
    tx: &mut Connection,
    task: &Task,
    expert_id: &str,
    new: &NewGolden,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<GoldenItem, StorageError> {
    let item = NewGoldenItem {
        task_id: task.task_id.clone(),
        expert_id: expert_id.to_owned(),
        expert_choice: new.choice.as_ref().to_owned(),
        expert_reasons: json!(new.reasons),
        expert_rationale: new.rationale.clone(),
        difficulty_level: new.difficulty.as_ref().to_owned(),
        edge_case_type: new.edge_case_type.clone(),
    };
    let item = storage::golden::insert(tx, &item, now)?;
    if task.status == "pending" {
        tasks::set_progress(tx, task, "validated", task.judgments_count, Some(now), now)?;
    }
    Ok(item)
}

/// Checks an expert's answer against the kind of task it is about.
///
/// # Errors
/// [`Invalid`] with every field that is wrong.
pub fn check(new: &NewGolden, task_type: TaskType, n_candidates: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if new.choice.candidate().is_some_and(|place| place >= n_candidates) {
        invalid.add("choice", format!("the task has {n_candidates} candidates; {} is not one of them", new.choice));
    }
    if new.choice == Choice::Unsure {
        invalid.add("choice", "an expert's answer must be a decision, not unsure");
    }
    if new.reasons.len() > MAX_REASONS {
        invalid.add("reasons", format!("at most {MAX_REASONS}, not {}", new.reasons.len()));
    }
    for (place, code) in new.reasons.iter().enumerate() {
        if !rubric::reason_fits(task_type, new.choice, code) {
            invalid.add(format!("reasons[{place}]"), format!("{code:?} does not fit the choice {} of {task_type}", new.choice));
        }
    }
    if new.rationale.trim().is_empty() || new.rationale.chars().count() > MAX_RATIONALE_CHARS {
        invalid.add("rationale", format!("must be 1 to {MAX_RATIONALE_CHARS} characters: raters learn from it"));
    }
    if let Some(word) = &new.edge_case_type {
        invalid.merge(domain::id::check("edge_case_type", word));
    }
    invalid.into_result()
}

fn make_task(tx: &mut Connection, new: &tasks::NewTask, now: chrono::DateTime<chrono::Utc>) -> Result<Task, StorageError> {
    let (task, created) = tasks::create(tx, new, now)?;
    if created || task.status == "pending" {
        return Ok(task);
    }
    Err(StorageError::conflict("already_exists", format!("task {:?} exists; name it by task_id instead", task.task_id)))
}

fn find_task(tx: &mut Connection, scope: &Scope, new: &NewGolden) -> Result<Task, StorageError> {
    let task_id = new.task_id.as_deref().unwrap_or_default();
    tasks::find(tx, scope, task_id)?;
    let task = tasks::lock(tx, task_id)?;
    let task_type: TaskType =
        task.task_type.parse().map_err(|_| StorageError::Corrupt(format!("task {task_id} has type {:?}", task.task_type)))?;
    check(new, task_type, task.candidate_count())?;
    if matches!(task.status.as_str(), "pending" | "completed" | "validated") {
        return Ok(task);
    }
    let why = format!("task {task_id:?} is {}: raters or experts are at it; wait until it is decided", task.status);
    Err(StorageError::conflict("conflict", why))
}

fn view(item: &GoldenItem) -> Value {
    json!(item)
}
