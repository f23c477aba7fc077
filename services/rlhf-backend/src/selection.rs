//! What people are asked next, so that the reward models learn most from their time: chosen in rounds by a job, brought forward by the rater
//! app, and measured against tasks that were drawn at random. The maths is in `learning::selection`.

pub mod measure;
pub mod round;
pub mod view;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use chrono::TimeDelta;
use domain::role::Role;
use domain::scope::Scope;
use domain::task::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::jobs::{self, Job, JobFilter, NewJob};
use storage::page::Page;
use storage::reward_models::{self, RewardModelFilter};
use storage::selections::{self, ArmCount, Next};
use storage::types::Timestamp;
use strum::VariantArray as _;
use tokio_util::sync::CancellationToken;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBytes, QueryOf};
use web::problem::Problem;
use web::tabular::{Format, Kind};

use crate::state::State;
use crate::tables;
use round::{RoundInput, RoundReport, TypeReport};

/// Kind of the jobs that choose.
pub const CHOOSE: &str = "choose_tasks";

/// Chosen tasks shown of each type.
const SHOWN: i64 = 10;

/// Finished rounds are kept so long.
const KEPT: TimeDelta = TimeDelta::days(7);

/// Which tasks to choose from.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundBody {
    /// Only this kind of task; all kinds without it.
    pub task_type: Option<TaskType>,
}

/// Active learning of one kind of task.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// The kind of task.
    pub task_type: TaskType,
    /// What the last round saw and chose; absent before the first.
    pub last_round: Option<TypeReport>,
    /// What there is of each arm: `informative`, `random` and `none`.
    pub arms: HashMap<String, ArmCount>,
    /// Chosen tasks that wait, first to be asked first.
    pub next: Vec<Next>,
}

/// Active learning of all kinds of tasks.
#[derive(Debug, Clone, Serialize)]
pub struct Overviews {
    /// When the last round ended.
    pub chosen_at: Option<Timestamp>,
    /// One a kind.
    pub data: Vec<Overview>,
}

/// Queues a round: the tasks to be judged next are chosen anew.
#[utoipa::path(post, path = "/v1/active-learning/rounds", tag = "active learning", request_body = RoundBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, description = "`{job_id}`; follow it at `/v1/jobs/{job_id}`", body = crate::rows::QueuedRow), (status = 403, description = "Only the platform chooses"), (status = 422, description = "Fields that are wrong")))]
pub async fn choose_tasks(state: Data<State>, caller: Caller, key: RepeatKey, body: JsonBytes<RoundBody>) -> Result<HttpResponse, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let task_type = body.value.task_type;
    let request = key.of(&caller, &body.bytes);
    let (scope, now) = (caller.scope(), state.clock.now());
    let answer = repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let job = enqueue(conn, &scope, task_type, now)?;
        Ok(Answer { status: StatusCode::ACCEPTED, body: json!({ "job_id": job.job_id }) })
    })
    .await?;
    state.job_queued.notify_one();
    Ok(answer)
}

/// What was chosen, and what choosing brings over drawing at random.
#[utoipa::path(get, path = "/v1/active-learning", tag = "active learning", params(SelectionQuery),
    responses((status = 200, description = "`{chosen_at, data: [{task_type, last_round: {.., lift, no_lift}, arms, next}]}`", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"))), (status = 403, description = "Only the platform sees it")))]
pub async fn get_active_learning(state: Data<State>, caller: Caller, query: QueryOf<SelectionQuery>) -> Result<HttpResponse, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let scope = caller.scope();
    let all = state.storage.read(move |conn| overviews(conn, &scope)).await?;
    let Some(format) = query.0.format else { return Ok(HttpResponse::Ok().json(all)) };
    let text = ["task_type", "task_id", "title", "retailer_id", "arm"].map(|name| (name, Kind::Text));
    let columns = tables::columns(&[&text[..], &["information", "uncertainty"].map(|name| (name, Kind::Real))].concat());
    let rows: Vec<Vec<Value>> = all
        .data
        .iter()
        .flat_map(|kind| kind.next.iter().map(|next| (kind.task_type, next)))
        .map(|(task_type, next)| {
            let mut row = json!(next);
            row["task_type"] = json!(task_type);
            tables::cells(&columns, &row)
        })
        .collect();
    tables::whole("to-judge-next", format, columns.clone(), &rows)
}

/// How it is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SelectionQuery {
    /// The tasks to be judged next as a file: `csv`, `ndjson` or `parquet`; JSON with all figures when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// Reads it for pages too.
///
/// # Errors
/// As any query.
pub fn overviews(conn: &mut Connection, scope: &Scope) -> Result<Overviews, StorageError> {
    let last = last_round(conn)?;
    let mut reports = last.as_ref().map(report_of).unwrap_or_default();
    let mut data = Vec::with_capacity(TaskType::VARIANTS.len());
    for &task_type in TaskType::VARIANTS {
        data.push(Overview {
            task_type,
            last_round: reports.remove(task_type.as_ref()),
            arms: selections::arms(conn, task_type.as_ref())?,
            next: selections::next(conn, scope, task_type.as_ref(), SHOWN)?,
        });
    }
    Ok(Overviews { chosen_at: last.and_then(|job| job.finished_at), data })
}

/// Queues a round in a transaction of the caller.
///
/// # Errors
/// As any query.
pub fn enqueue(
    conn: &mut Connection,
    scope: &Scope,
    task_type: Option<TaskType>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Job, StorageError> {
    jobs::sweep(conn, CHOOSE, now - KEPT)?;
    jobs::enqueue(conn, scope, &NewJob { kind: CHOOSE, tenant_id: None, input: json!(RoundInput { task_type }) }, now)
}

/// The newest round that succeeded.
pub(crate) fn last_round(conn: &mut Connection) -> Result<Option<Job>, StorageError> {
    let filter = JobFilter { kind: Some(CHOOSE.to_owned()), state: Some("succeeded".to_owned()) };
    Ok(jobs::list(conn, &Scope::system("active learning"), &filter, &Page::first(1))?.rows.into_iter().next())
}

/// What a round reported, by kind of task.
pub(crate) fn report_of(job: &Job) -> HashMap<String, TypeReport> {
    let report = job.result.as_ref().and_then(|result| serde_json::from_value::<RoundReport>(result.0.clone()).ok());
    report.into_iter().flat_map(|report| report.task_types).map(|report| (report.task_type.to_string(), report)).collect()
}

/// Queues rounds by the clock until `shutdown`; at once when there is none.
pub async fn schedule(state: State, shutdown: CancellationToken) {
    let Some(every) = state.settings.rating.selection.every else { return };
    while !shutdown.is_cancelled() {
        match state
            .storage
            .transaction({
                let (now, every) = (state.clock.now(), TimeDelta::from_std(every).unwrap_or(TimeDelta::days(1)));
                move |conn| enqueue_if_due(conn, now, every)
            })
            .await
        {
            Ok(true) => state.job_queued.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the tasks to be judged next could not be chosen by the clock; tried again later"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Queues a round when a model is active and no round was asked for within `every`; whether it did. Two replicas at the same moment may both
/// do, which costs one needless round.
///
/// # Errors
/// As any query.
pub fn enqueue_if_due(conn: &mut Connection, now: chrono::DateTime<chrono::Utc>, every: TimeDelta) -> Result<bool, StorageError> {
    let active = RewardModelFilter { is_active: Some(true), ..RewardModelFilter::default() };
    if reward_models::list(conn, &active, &Page::first(1))?.rows.is_empty() {
        return Ok(false);
    }
    let system = Scope::system("active learning");
    let newest = JobFilter { kind: Some(CHOOSE.to_owned()), state: None };
    let newest = jobs::list(conn, &system, &newest, &Page::first(1))?.rows;
    // A tenth of tolerance, so that the clock that queued the last round does not miss its own next one by a hair.
    if newest.first().is_some_and(|job| now - job.created_at.0 < every * 9 / 10) {
        return Ok(false);
    }
    enqueue(conn, &system, None, now)?;
    Ok(true)
}
