//! Models are watched where it counts: on what people decide after a model was trained. When the rater app tells that a task was decided, every
//! model that works in the task's slots, or in their shadow, is asked what it would have said; [`report`] compares that with what people said,
//! and [`schedule`] tells when an active model has become worse than its card promised.

pub mod report;
pub mod shadows;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::scope::Scope;
use learning::drift::Drift;
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::model_predictions::{self as stored, Decided, ModelPrediction};
use storage::outbox::{self, Destination, NewEvent};
use storage::reward_models::{self, InSlot, RewardModel};
use storage::training_data::TrainingFilter;
use storage::training_data::judged::{self, JudgedTask};
use tokio_util::sync::CancellationToken;

use crate::reflection;
use crate::scoring::active::{Loaded, load};
use crate::state::State;
use crate::training::material::{Pair, pairs_of_task};
use crate::training::to_example;
use report::{Watch, WatchError};

/// How often models with new predictions are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Active models whose predictions are newer than the last look at them.
#[derive(Default)]
pub struct Touched(Mutex<BTreeSet<String>>);

impl Touched {
    fn add(&self, model_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(model_id.to_owned());
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the models in a decided task's slots say of it, to be recorded with the news of the decision. Empty for a task that is not decided, a
/// golden item, or one that every model has learnt from.
///
/// # Errors
/// As any query.
pub async fn predict(state: &State, task_id: &str) -> Result<Vec<ModelPrediction>, StorageError> {
    let id = task_id.to_owned();
    let found = state.storage.read(move |conn| find(conn, &id)).await?;
    let Some((decided, task, models)) = found else { return Ok(Vec::new()) };
    let pairs = pairs_of_task(&task);
    let mut said = Vec::new();
    for model in models {
        // A model that this program cannot use has nothing to say; scoring tells of it.
        if let Ok(loaded) = load(state, &model.model_id, model.version).await? {
            said.extend(pairs.iter().map(|pair| prediction(&loaded, &decided, pair)));
        }
    }
    Ok(said)
}

/// Writes predictions in a transaction of the caller.
///
/// # Errors
/// As any query.
pub fn record(
    conn: &mut Connection,
    task_id: &str,
    said: &[ModelPrediction],
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StorageError> {
    if said.is_empty() { Ok(()) } else { stored::record(conn, task_id, said, now) }
}

/// Notes which models have said something new.
pub fn touch(state: &State, said: &[ModelPrediction]) {
    said.iter().for_each(|one| state.touched.add(&one.model_id));
}

fn find(conn: &mut Connection, task_id: &str) -> Result<Option<(Decided, JudgedTask, Vec<InSlot>)>, StorageError> {
    let Some(decided) = stored::find_decided(conn, task_id)? else { return Ok(None) };
    let slots: Vec<String> = decided
        .retailer_id
        .as_deref()
        .map(Some)
        .into_iter()
        .chain([None])
        .map(|retailer| reward_models::slot(&decided.task_type, retailer))
        .collect();
    let mut models = reward_models::in_slots(conn, &slots)?;
    models.retain(|model| model.training_date < decided.known_since);
    if models.is_empty() {
        return Ok(None);
    }
    let filter = TrainingFilter { task_type: Some(decided.task_type.clone()), ..TrainingFilter::default() };
    let tasks = judged::tasks(conn, &Scope::system("watching models"), &filter, decided.id - 1, 1)?;
    Ok(tasks.into_iter().next().filter(|task| task.task_id == task_id).map(|task| (decided, task, models)))
}

fn prediction(loaded: &Loaded, decided: &Decided, pair: &Pair) -> ModelPrediction {
    let example = to_example(pair);
    let said = loaded.model.predict(&example);
    ModelPrediction {
        model_id: loaded.model_id.clone(),
        task_id: pair.source.clone(),
        pair: pair.place,
        retailer_id: pair.retailer.clone(),
        prompt_key: pair.prompt_key.clone(),
        difference: said.difference,
        predicted_a: said.probability.a,
        predicted_tie: said.probability.tie,
        predicted_b: said.probability.b,
        said_a: said.outcome.a,
        said_tie: said.outcome.tie,
        said_b: said.outcome.b,
        longer: example.longer(),
        decided_at: decided.decided_at,
    }
}

/// Looks at models with new predictions until `shutdown`.
pub async fn schedule(state: State, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = look(&state).await {
            tracing::warn!(%error, "the active reward models could not be watched; tried again later");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Looks at every active model that has said something new, and tells of those that have drifted, once each; which they are.
///
/// # Errors
/// [`WatchError`]; the models are looked at again.
pub async fn look(state: &State) -> Result<Vec<String>, WatchError> {
    let mut drifted = Vec::new();
    let mut touched = state.touched.take();
    while let Some(model_id) = touched.pop_first() {
        match look_at(state, &model_id).await {
            Ok(true) => drifted.push(model_id),
            Ok(false) => {}
            Err(error) => {
                touched.iter().chain([&model_id]).for_each(|model| state.touched.add(model));
                return Err(error);
            }
        }
    }
    Ok(drifted)
}

async fn look_at(state: &State, model_id: &str) -> Result<bool, WatchError> {
    let id = model_id.to_owned();
    let model = state.storage.read(move |conn| reward_models::find(conn, &id)).await?;
    if !model.is_active || model.drift_found_at.is_some() {
        return Ok(false);
    }
    let watch = report::read(&state.storage, &model).await?;
    if watch.drift.verdict != Some(Drift::Retest) {
        return Ok(false);
    }
    let now = state.clock.now();
    let is_news = state
        .storage
        .transaction(move |conn| {
            let is_news = reward_models::note_drift(conn, &model.model_id, now)?;
            if is_news {
                tell(conn, &model, &watch, now)?;
            }
            Ok(is_news)
        })
        .await?;
    if is_news {
        tracing::warn!(model_id, "an active reward model predicts worse than its card says");
    }
    Ok(is_news)
}

fn tell(conn: &mut Connection, model: &RewardModel, watch: &Watch, now: chrono::DateTime<chrono::Utc>) -> Result<(), StorageError> {
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "jobs".to_owned(),
        event: "model_drifted".to_owned(),
        payload: json!({ "model_id": model.model_id, "task_type": model.task_type, "retailer_id": model.retailer_id, "drift": watch.drift }),
        tenant_id: None,
    };
    outbox::push(conn, &event, now)?;
    reflection::model_drifted(conn, model, watch, now)
}
