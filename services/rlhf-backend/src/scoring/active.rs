//! Which reward models are active, as this process knows it, and the models themselves.
//!
//! The list of active models is read about twice a second in the background, so that every replica follows a switch within two seconds and
//! no request waits for the database. A model that takes over from one that is in use is loaded before the switch is seen here, and one
//! request scores with one model. Without the background reader (in tests) the list is read when it is older than a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::task::TaskType;
use learning::reward::model::{InvalidModel, RewardModel};
use learning::reward::standard_errors::WordPlaces;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::reward_models as stored;
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// How long the list of active models is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// How often it is read in the background.
const READ_EVERY: Duration = Duration::from_millis(400);

/// Loaded models kept; the one unused for longest goes first.
const MAX_LOADED: usize = 16;

/// Models remembered as usable or not; when there are more, all are forgotten and looked at again.
const MAX_JUDGED: usize = 10_000;

/// A model that can score.
pub(crate) struct Loaded {
    pub(crate) model_id: String,
    pub(crate) version: i32,
    pub(crate) model: RewardModel,
    pub(crate) word_places: WordPlaces,
}

type BySlot = HashMap<String, (String, i32)>;

/// The list as it was read.
struct Known {
    read: Instant,
    by_slot: Arc<BySlot>,
}

/// The active models as this process knows them.
#[derive(Default)]
pub struct ActiveModels {
    known: Mutex<Option<Known>>,
    loaded: Mutex<Vec<Arc<Loaded>>>,
    /// Why this program cannot use a model, of those that it has looked at: neither changes while it runs.
    judged: Mutex<HashMap<String, Option<String>>>,
    /// One reads, the others wait for what it read.
    reading: tokio::sync::Mutex<()>,
    /// One loads, the others wait: a model is large, and all who ask at the start want the same.
    loading: tokio::sync::Mutex<()>,
}

impl ActiveModels {
    fn believed(&self, for_how_long: Duration) -> Option<Arc<BySlot>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.read.elapsed() < for_how_long).map(|known| Arc::clone(&known.by_slot))
    }

    fn last(&self) -> Option<Arc<BySlot>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|known| Arc::clone(&known.by_slot))
    }

    fn publish(&self, read: Instant, by_slot: Arc<BySlot>) {
        self.show(&by_slot);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { read, by_slot });
    }

    /// The versions in use, for whoever watches; 0 where no model is active any more.
    fn show(&self, by_slot: &BySlot) {
        let set = |slot: &str, version: i32| {
            let (task_type, retailer) = slot.split_once('/').unwrap_or((slot, ""));
            let labels = [("task_type", task_type.to_owned()), ("retailer", retailer.to_owned())];
            metrics::gauge!("endcap_reward_model_version", &labels).set(version);
        };
        for slot in self.last().iter().flat_map(|before| before.keys()).filter(|slot| !by_slot.contains_key(*slot)) {
            set(slot, 0);
        }
        for (slot, (_, version)) in by_slot {
            set(slot, *version);
        }
    }

    fn find_loaded(&self, model_id: &str) -> Option<Arc<Loaded>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let place = loaded.iter().position(|model| model.model_id == model_id)?;
        let model = loaded.remove(place);
        loaded.push(Arc::clone(&model));
        Some(model)
    }

    fn is_loaded(&self, model_id: &str) -> bool {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|model| model.model_id == model_id)
    }

    /// Whether this program can use a model, or why not; `None` before it has looked.
    fn judged(&self, model_id: &str) -> Option<Option<String>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).get(model_id).cloned()
    }

    /// Why this program cannot use a model, if it has looked at it and cannot.
    pub(crate) fn unusable(&self, model_id: &str) -> Option<String> {
        self.judged(model_id).flatten()
    }

    /// Remembers what was found, and tells the log of a model that cannot be used, once.
    fn judge(&self, model_id: &str, unusable: Option<&InvalidModel>) {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged.len() >= MAX_JUDGED {
            judged.clear();
        }
        let before = judged.insert(model_id.to_owned(), unusable.map(InvalidModel::to_string));
        if let (None, Some(error)) = (before, unusable) {
            tracing::error!(model_id, %error, "a reward model cannot be used");
        }
    }

    fn keep(&self, entry: &Arc<Loaded>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.len() >= MAX_LOADED {
            loaded.remove(0);
        }
        loaded.push(Arc::clone(entry));
    }
}

/// Reads the list of active models until `shutdown`.
pub async fn follow(state: State, shutdown: CancellationToken) {
    match by_slot(&state, READ_EVERY / 2).await {
        Ok(active) => load_ahead(&state, &active).await,
        Err(error) => tracing::warn!(%error, "which reward models are active could not be read; tried again soon"),
    }
    while !shutdown.is_cancelled() {
        if let Err(error) = by_slot(&state, READ_EVERY / 2).await {
            tracing::warn!(%error, "which reward models are active could not be read; tried again soon");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(READ_EVERY) => {}
        }
    }
}

/// Loads the active models of a process that starts, as many as are kept, so that no first request waits for one.
async fn load_ahead(state: &State, active: &BySlot) {
    for (model_id, version) in active.values().take(MAX_LOADED) {
        if let Err(error) = load(state, model_id, *version).await {
            return tracing::warn!(%error, "a reward model is loaded when it is asked for");
        }
    }
}

/// The retailer's active model, else the general one, else why there is none.
pub(crate) async fn find_model(
    state: &State,
    task_type: TaskType,
    retailer_id: Option<&str>,
) -> Result<Result<Arc<Loaded>, String>, StorageError> {
    let active = by_slot(state, BELIEVED_FOR).await?;
    let mut reason = format!("no reward model is active for {task_type}");
    for retailer in retailer_id.map(Some).into_iter().chain([None]) {
        let Some((model_id, version)) = active.get(&stored::slot(task_type.as_ref(), retailer)) else { continue };
        match load(state, model_id, *version).await? {
            Ok(loaded) => return Ok(Ok(loaded)),
            Err(unusable) => reason = unusable,
        }
    }
    Ok(Err(reason))
}

/// Looks at those of these models that this process has not looked at yet. The list of models and a card say what was found.
///
/// # Errors
/// As any query.
pub(crate) async fn look_at(state: &State, model_ids: impl Iterator<Item = String>) -> Result<(), StorageError> {
    let unknown: Vec<String> = model_ids.filter(|id| state.models.judged(id).is_none()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let read = move |conn: &mut Connection| unknown.into_iter().map(|id| Ok((stored_model(conn, &id)?.err(), id))).collect();
    let found: Vec<(Option<InvalidModel>, String)> = state.storage.read(read).await?;
    for (unusable, id) in found {
        state.models.judge(&id, unusable.as_ref());
    }
    Ok(())
}

/// Refuses a model that this program cannot use, whichever gates it passes.
///
/// # Errors
/// [`StorageError::Conflict`] (`model_unusable`); [`StorageError::NotFound`].
pub(crate) fn require_usable(conn: &mut Connection, model_id: &str) -> Result<(), StorageError> {
    stored_model(conn, model_id)?.map(drop).map_err(|error| StorageError::conflict("model_unusable", cannot_be_used(model_id, &error)))
}

fn stored_model(conn: &mut Connection, model_id: &str) -> Result<Result<RewardModel, InvalidModel>, StorageError> {
    Ok(RewardModel::from_json(&stored::find_parameters(conn, model_id)?.0.to_string()))
}

fn cannot_be_used(model_id: &str, why: impl std::fmt::Display) -> String {
    format!("reward model {model_id} cannot be used: {why}")
}

/// A model by its id, which never changes; or why this program cannot use it.
pub(crate) async fn load(state: &State, model_id: &str, version: i32) -> Result<Result<Arc<Loaded>, String>, StorageError> {
    if let Some(model) = state.models.find_loaded(model_id) {
        return Ok(Ok(model));
    }
    if let Some(why) = state.models.unusable(model_id) {
        return Ok(Err(cannot_be_used(model_id, why)));
    }
    let _one = state.models.loading.lock().await;
    if let Some(model) = state.models.find_loaded(model_id) {
        return Ok(Ok(model));
    }
    if let Some(why) = state.models.unusable(model_id) {
        return Ok(Err(cannot_be_used(model_id, why)));
    }
    let id = model_id.to_owned();
    // Read and understood on the database's thread: it takes some milliseconds, in which no request is to wait.
    let read = state.storage.read(move |conn| stored_model(conn, &id)).await?;
    state.models.judge(model_id, read.as_ref().err());
    match read {
        Ok(model) => {
            let entry = Arc::new(Loaded { model_id: model_id.to_owned(), version, word_places: model.word_places(), model });
            state.models.keep(&entry);
            Ok(Ok(entry))
        }
        Err(error) => Ok(Err(cannot_be_used(model_id, error))),
    }
}

/// The active models by slot, read anew when what is known is older than `believed_for`. A list that cannot be read leaves the one before.
async fn by_slot(state: &State, believed_for: Duration) -> Result<Arc<BySlot>, StorageError> {
    if let Some(known) = state.models.believed(believed_for) {
        return Ok(known);
    }
    let _one = state.models.reading.lock().await;
    if let Some(known) = state.models.believed(believed_for) {
        return Ok(known);
    }
    let (read, before) = (Instant::now(), state.models.last());
    match (state.storage.read(stored::list_active).await, before) {
        (Ok(active), before) => {
            let slots = active.into_iter().filter_map(|model| Some((model.active_slot?, (model.model_id, model.version))));
            let by_slot: BySlot = slots.collect();
            for (slot, (former, _)) in before.iter().flat_map(|before| before.iter()) {
                let Some((model_id, version)) = by_slot.get(slot).filter(|(id, _)| id != former) else { continue };
                if state.models.is_loaded(former) {
                    // Only to have it at hand; what is wrong with it is said when it is used.
                    let _at_hand = load(state, model_id, *version).await?;
                }
            }
            let by_slot = Arc::new(by_slot);
            state.models.publish(read, Arc::clone(&by_slot));
            Ok(by_slot)
        }
        (Err(error), Some(before)) => {
            tracing::warn!(%error, "which reward models are active could not be read; the ones known last go on scoring");
            state.models.publish(Instant::now(), Arc::clone(&before));
            Ok(before)
        }
        (Err(error), None) => Err(error),
    }
}
