//! Golden items: experts write down the answer of a task, new or existing.

pub mod questions;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::rubric;
use domain::scope::Scope;
use domain::task::{Choice, Difficulty, TaskType};
use peers::tasks::NewTask;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::audit;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::golden::{GoldenItem, NewGoldenItem};
use storage::tasks::{self, Task};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::assignments::rules;
use crate::intake::{self, Intake};
use crate::state::State;
use crate::submission::MAX_REASONS;
use crate::wrong_key;

const MAX_RATIONALE_CHARS: usize = 5_000;
const MAX_RETIRE_REASON_CHARS: usize = 500;

/// Which items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Proposed by a decision, given to nobody yet.
    Candidate,
    /// Given out.
    Active,
    /// Not given out any more.
    Retired,
    /// Given out, and raters have asked for an expert on it.
    Questioned,
}

/// Filters of the list.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GoldenQuery {
    /// `candidate`, `active`, `retired` or `questioned`; without it all but candidates.
    #[param(inline)]
    pub state: Option<ItemState>,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// How hard it is; absent leaves it as proposed.
    #[serde(default)]
    pub difficulty: Option<Difficulty>,
    /// Raters to whom it is given at most; absent is any number.
    #[serde(default)]
    pub max_exposures: Option<i32>,
}

/// Why an item is taken out of use.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retirement {
    /// In a few words.
    pub reason: String,
    /// Whether its own answer is wrong or cannot be held to: then the answers that raters gave count for nothing. Of an item that is
    /// retired already this can be said later.
    #[serde(default)]
    pub wrong_key: bool,
}

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
#[utoipa::path(post, path = "/v1/golden", tag = "golden", params(("Idempotency-Key" = Option<String>, Header)), request_body(content = Object, description = "{task | task_id, choice, reasons?, rationale, difficulty?, edge_case_type?}"), responses((status = 201, body = crate::rows::GoldenRow, description = "The golden item"), (status = 403, description = "Experts and administrators only"), (status = 409, description = "It is one already, or raters are at it")))]
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
            let mut task = intake::prepare(task, &Intake::new(&state.settings))?;
            // As for every other task: who checked must not tell golden items from work.
            if let Some(remote) = &state.remote_checks {
                remote.check(std::iter::once(&mut task)).await;
            }
            Some(task)
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
        let detail = json!({"choice": item.expert_choice, "difficulty": item.difficulty_level});
        let entry = audit::entry(task.tenant_id.as_deref(), "golden_item.made", format!("task:{}", task.task_id), detail);
        audit::append(tx, &scope, &entry, now)?;
        Ok(Answer::created(view(&item)))
    })
    .await
}

/// Golden items, newest first, with how raters did on them; `state=candidate` lists what decisions proposed, `state=questioned` those on which raters asked for an expert, each with `questions`.
#[utoipa::path(get, path = "/v1/golden", tag = "golden", params(GoldenQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::GoldenRow>, description = "{data, next_cursor}"), (status = 403, description = "Experts and administrators only")))]
pub async fn list_golden(state: Data<State>, caller: Caller, query: ListQuery<GoldenQuery>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let page = storage::page::Page::try_from(&query.page)?;
    let word = match query.filter.state {
        None => None,
        Some(ItemState::Candidate) => Some("candidate"),
        Some(ItemState::Active) => Some("active"),
        Some(ItemState::Retired) => Some("retired"),
        Some(ItemState::Questioned) => return questions::list_questioned(&state, page).await,
    };
    let slice = state.storage.read(move |conn| storage::golden::list(conn, word, &page)).await?;
    Ok(HttpResponse::Ok().json(Slice::from(slice).map(|item| view(&item))))
}

/// Gives out a candidate from now on, or again an item that was retired. Send `{}` to leave all as proposed.
#[utoipa::path(post, path = "/v1/golden/{task_id}/promote", tag = "golden", params(("task_id" = String, Path)), request_body = Promotion, responses((status = 200, body = crate::rows::GoldenRow, description = "The golden item"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "No item of such a task"), (status = 409, description = "It is given out already")))]
pub async fn promote_golden(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<Promotion>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, promotion, now) = (caller.scope(), path.into_inner(), body.0, state.clock.now());
    if let Some(most) = promotion.max_exposures.filter(|most| *most < 1) {
        return Err(Problem::invalid_field("max_exposures", format!("must be at least 1, not {most}; leave it out for any number")));
    }
    let item = state
        .storage
        .transaction(move |tx| {
            let tenant = tasks::find(tx, &scope, &task_id)?.tenant_id;
            tasks::lock(tx, &task_id)?;
            let item = storage::golden::lock(tx, &task_id)?;
            if item.state == "active" {
                return Err(StorageError::conflict("already_exists", format!("task {task_id:?} is a golden item already")));
            }
            let difficulty = promotion.difficulty.map_or_else(|| item.difficulty_level.clone(), |given| given.as_ref().to_owned());
            let promoted = storage::golden::promote(tx, &item, &difficulty, promotion.max_exposures, now)?;
            let detail = json!({"choice": promoted.expert_choice, "difficulty": difficulty});
            audit::append(tx, &scope, &audit::entry(tenant.as_deref(), "golden_item.promoted", format!("task:{task_id}"), detail), now)?;
            Ok(promoted)
        })
        .await?;
    Ok(HttpResponse::Ok().json(view(&item)))
}

/// Takes an item out of use, or drops a candidate. Its task does not become work again. With `wrong_key` the answers that raters gave on it count for nothing.
#[utoipa::path(post, path = "/v1/golden/{task_id}/retire", tag = "golden", params(("task_id" = String, Path)), request_body = Retirement, responses((status = 200, body = crate::rows::GoldenRow, description = "The golden item"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "No item of such a task"), (status = 409, description = "It is retired already")))]
pub async fn retire_golden(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<Retirement>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (scope, task_id, now) = (caller.scope(), path.into_inner(), state.clock.now());
    let (reason, is_wrong, rules) = (body.0.reason.trim().to_owned(), body.0.wrong_key, rules(&state.settings));
    if reason.is_empty() || reason.chars().count() > MAX_RETIRE_REASON_CHARS {
        return Err(Problem::invalid_field("reason", format!("must be 1 to {MAX_RETIRE_REASON_CHARS} characters")));
    }
    let item = state
        .storage
        .transaction(move |tx| {
            let tenant = tasks::find(tx, &scope, &task_id)?.tenant_id;
            let task = tasks::lock_state(tx, &task_id)?;
            let item = storage::golden::lock(tx, &task_id)?;
            let stepped_back = if is_wrong { wrong_key::step_back(tx, &task, &rules, now)? } else { 0 };
            if item.state == "retired" && stepped_back == 0 {
                let why = format!("the golden item of task {task_id:?} is retired: {}", item.retire_reason.unwrap_or_default());
                return Err(StorageError::conflict("transition_not_allowed", why));
            }
            let retired = storage::golden::retire(tx, &item, &reason, now)?;
            let detail = json!({"reason": reason, "wrong_key": is_wrong, "answers_stepped_back": stepped_back});
            let entry = audit::entry(tenant.as_deref(), "golden_item.retired", format!("task:{task_id}"), detail);
            audit::append(tx, &scope, &entry, now)?;
            Ok(retired)
        })
        .await?;
    Ok(HttpResponse::Ok().json(view(&item)))
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
