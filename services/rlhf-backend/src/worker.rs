//! The one worker of this process: takes jobs (training, choosing what to judge next, key figures) under a lease, holds the lease while it
//! works, and stores model and outcome together.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use learning::reward::progress::Progress;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::jobs::{self as stored, Finish, Job};
use storage::outbox::{self, Destination, NewEvent};
use storage::{model_predictions, reward_models};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::artifacts;
use crate::key_figures::schedule::{self, COMPUTE, ComputeInput};
use crate::reflection;
use crate::scoring::active::find_model;
use crate::selection::CHOOSE;
use crate::selection::round::{self, RoundInput};
use crate::state::State;
use crate::training::{self, Active, TrainingError, TrainingInput};
use crate::watch::report;

/// Kind of the jobs that train reward models.
pub const TRAIN: &str = "train_reward_model";

/// What this worker does, first things first: what to judge next depends on the models.
pub const KINDS: &[&str] = &[TRAIN, CHOOSE, COMPUTE];

/// How long a job is held without a word from its worker.
const HOLD: TimeDelta = TimeDelta::seconds(60);

/// How often a working worker says so.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Progress is noted when so much more of the work is done.
const NOTED_SHARE: f64 = 0.05;

/// How often an idle worker looks for jobs of other processes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Takes jobs until `shutdown`.
pub async fn work(state: State, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match work_once(&state).await {
            Ok(true) => {}
            Ok(false) => wait(&state, &shutdown).await,
            Err(error) => {
                tracing::warn!(%error, "the worker could not take or finish a job and will look again");
                wait(&state, &shutdown).await;
            }
        }
    }
}

async fn wait(state: &State, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = state.job_queued.notified() => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
}

/// Takes and does one job; `false` when there was none.
///
/// # Errors
/// When the database does not answer. The job is taken up again when its lease is over.
pub async fn work_once(state: &State) -> Result<bool, StorageError> {
    let now = state.clock.now();
    let taken = state.storage.transaction(move |conn| stored::take_next(conn, KINDS, now, HOLD));
    let Some(job) = taken.await? else { return Ok(false) };
    let work = async {
        match job.kind.as_str() {
            CHOOSE => choose(state, &job).await,
            COMPUTE => compute(state, &job).await,
            _ => train(state, &job).await,
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        lost = keep_holding(state, &job) => Err(TrainingError::Storage(lost)),
    };
    match outcome {
        Ok(()) => tracing::info!(job_id = job.job_id, kind = job.kind, "a job is done"),
        Err(TrainingError::Storage(StorageError::Conflict { code: "lease_lost", why })) => {
            tracing::warn!(job_id = job.job_id, why, "gave the job up")
        }
        Err(TrainingError::Storage(error)) => return Err(error),
        Err(refused) => {
            let reason = refused.to_string();
            tracing::info!(job_id = job.job_id, kind = job.kind, reason, "a job was not possible");
            fail(state, &job, reason).await?;
        }
    }
    Ok(true)
}

/// Renews the lease until it is lost or cannot be renewed.
async fn keep_holding(state: &State, job: &Job) -> StorageError {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let (held, now) = (job.clone(), state.clock.now());
        if let Err(error) = state.storage.transaction(move |conn| stored::hold_on(conn, &held, now, HOLD)).await {
            return error;
        }
    }
}

async fn train(state: &State, job: &Job) -> Result<(), TrainingError> {
    let input: TrainingInput = serde_json::from_value(job.input.0.clone()).map_err(|error| TrainingError::Input(error.to_string()))?;
    note(state, job, 0.05, "Reading judgments and feedback").await?;
    let material = training::material::collect(&state.storage, &input, training::material::MAX_PAIRS).await?;
    note(state, job, 0.4, &format!("Training on {} pairs", material.rows.len())).await?;
    let active = active_of(state, &input).await?;
    let (tell, mut told) = watch::channel(None);
    let work = training::fit(material, input, active, tell);
    tokio::pin!(work);
    let mut noted = 0.0;
    let new = loop {
        tokio::select! {
            new = &mut work => break new?,
            // Over when the work is.
            Ok(()) = told.changed() => {
                let progress = *told.borrow_and_update();
                if let Some(progress) = progress.filter(|progress: &Progress| progress.share - noted >= NOTED_SHARE) {
                    noted = progress.share;
                    note(state, job, 0.4 + 0.5 * progress.share, progress.step).await?;
                }
            }
        }
    };
    note(state, job, 0.9, "Storing the model").await?;
    let (job, now) = (job.clone(), state.clock.now());
    let parameters = new.parameters.clone();
    let model = state
        .storage
        .transaction(move |conn| {
            let model = reward_models::insert(conn, &new, now)?;
            let result = json!({
                "model_id": model.model_id, "version": model.version, "validation_accuracy": model.validation_accuracy,
                "training_pairs_count": model.training_pairs_count,
            });
            stored::finish(conn, &job, now, Finish::Succeeded(&result))?;
            announce(conn, &job, json!({ "state": "succeeded", "progress": 1.0, "message": "Done", "model_id": model.model_id }), now)?;
            Ok(model)
        })
        .await?;
    artifacts::models::keep(state, model, &parameters).await;
    Ok(())
}

/// The model that is active where the new one would be put to work; `None` when there is none that can be used.
async fn active_of(state: &State, input: &TrainingInput) -> Result<Option<Active>, StorageError> {
    let Ok(task_type) = input.task_type.parse() else { return Ok(None) };
    let found = find_model(state, task_type, input.retailer_id.as_deref()).await?;
    let Ok(loaded) = found else { return Ok(None) };
    let id = loaded.model_id.clone();
    let later = state.storage.read(move |conn| model_predictions::newest(conn, &id, DateTime::UNIX_EPOCH, report::MAX_PAIRS)).await?;
    let later = later.iter().map(|row| ((row.task_id.clone(), row.pair), report::prediction(row))).collect();
    Ok(Some(Active { model_id: loaded.model_id.clone(), model: loaded.model.clone(), later }))
}

async fn choose(state: &State, job: &Job) -> Result<(), TrainingError> {
    let input: RoundInput = serde_json::from_value(job.input.0.clone()).map_err(|error| TrainingError::Input(error.to_string()))?;
    note(state, job, 0.05, "Looking at tasks that nobody has judged").await?;
    let report = round::run(state, job, &input).await?;
    let asked = input.task_type;
    let (job, now) = (job.clone(), state.clock.now());
    state
        .storage
        .transaction(move |conn| {
            stored::finish(conn, &job, now, Finish::Succeeded(&json!(report)))?;
            for one in report.task_types.iter().filter(|one| asked.is_none_or(|asked| asked == one.task_type)) {
                reflection::tasks_chosen(conn, &job.job_id, one, now)?;
            }
            announce(conn, &job, json!({ "state": "succeeded", "progress": 1.0, "message": "Done" }), now)
        })
        .await?;
    Ok(())
}

async fn compute(state: &State, job: &Job) -> Result<(), TrainingError> {
    let input: ComputeInput = serde_json::from_value(job.input.0.clone()).map_err(|error| TrainingError::Input(error.to_string()))?;
    let report = schedule::run(state, job, &input).await?;
    let (job, now) = (job.clone(), state.clock.now());
    state
        .storage
        .transaction(move |conn| {
            stored::finish(conn, &job, now, Finish::Succeeded(&json!(report)))?;
            announce(conn, &job, json!({ "state": "succeeded", "progress": 1.0, "message": "Done" }), now)
        })
        .await?;
    Ok(())
}

pub(crate) async fn note(state: &State, job: &Job, progress: f64, message: &str) -> Result<(), StorageError> {
    let (job, message, now) = (job.clone(), message.to_owned(), state.clock.now());
    state
        .storage
        .transaction(move |conn| {
            stored::note_progress(conn, &job, progress, &message, now, HOLD)?;
            announce(conn, &job, json!({ "state": "running", "progress": progress, "message": message }), now)
        })
        .await
}

async fn fail(state: &State, job: &Job, reason: String) -> Result<(), StorageError> {
    let (job, now) = (job.clone(), state.clock.now());
    state
        .storage
        .transaction(move |conn| {
            stored::finish(conn, &job, now, Finish::Failed(&reason))?;
            announce(conn, &job, json!({ "state": "failed", "progress": job.progress, "message": reason }), now)
        })
        .await
}

fn announce(conn: &mut Connection, job: &Job, mut payload: Value, now: chrono::DateTime<chrono::Utc>) -> Result<(), StorageError> {
    payload["job_id"] = json!(job.job_id);
    payload["kind"] = json!(job.kind);
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "jobs".to_owned(),
        event: "job_progressed".to_owned(),
        payload,
        tenant_id: job.tenant_id.clone(),
    };
    outbox::push(conn, &event, now).map(drop)
}
