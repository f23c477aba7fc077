//! One round: looks at tasks that nobody has judged, chooses what to ask next, and measures what choosing has brought so far.

use std::collections::HashMap;
use std::sync::Arc;

use domain::task::TaskType;
use learning::selection::lift::Lift;
use learning::selection::{Arm, Pick, Rules, View, choose};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::error::StorageError;
use storage::jobs::Job;
use storage::selections::{self, Selected, Unjudged};
use strum::VariantArray as _;

use super::measure::{self, Judged};
use super::view::view_of;
use crate::scoring::active::{Loaded, find_model};
use crate::state::State;
use crate::training::TrainingError;

/// Tasks that are looked at in one round, a random part of more: bounds time and memory.
const MOST_SEEN: usize = 2_000;

/// Ids read to draw them from.
const MOST_UNJUDGED: i64 = 200_000;

/// Tasks read or written at once.
const CHUNK: usize = 200;

/// What a round is to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RoundInput {
    /// Only this kind of task.
    #[serde(default)]
    pub task_type: Option<TaskType>,
}

/// What a round did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RoundReport {
    /// One a kind of task; kinds that were not asked for as the round before saw them.
    pub task_types: Vec<TypeReport>,
}

/// What a round did about one kind of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeReport {
    /// The kind of task.
    pub task_type: TaskType,
    /// Tasks that nobody had judged or held.
    pub unjudged: usize,
    /// Of them, how many a model was asked about.
    pub seen: usize,
    /// Chosen for what the model would learn.
    pub informative: usize,
    /// Drawn at random.
    pub random: usize,
    /// Mean information of the tasks seen, in nats.
    pub mean_information: Option<f64>,
    /// Mean information of those chosen for it.
    pub mean_information_chosen: Option<f64>,
    /// Why nothing was chosen.
    pub reason: Option<String>,
    /// What choosing has brought over drawing at random.
    pub lift: Option<Lift>,
    /// Why that is not known.
    pub no_lift: Option<String>,
    /// The judged tasks behind it.
    #[serde(default)]
    pub judged: Judged,
}

/// Runs a round for each kind of task asked for. `note` is told how far it is, 0 to 1.
///
/// # Errors
/// As any query; [`TrainingError::Stopped`] when a computation ended unexpectedly.
pub async fn run(state: &State, job: &Job, input: &RoundInput) -> Result<RoundReport, TrainingError> {
    let mut former = state.storage.read(super::last_round).await?.as_ref().map(super::report_of).unwrap_or_default();
    let mut report = RoundReport::default();
    for &task_type in TaskType::VARIANTS {
        let before = former.remove(task_type.as_ref());
        let is_asked = input.task_type.is_none_or(|asked| asked == task_type);
        match before {
            Some(before) if !is_asked => report.task_types.push(before),
            before if is_asked => report.task_types.push(run_type(state, &job.job_id, task_type, before).await?),
            _ => {}
        }
    }
    Ok(report)
}

async fn run_type(state: &State, round_id: &str, task_type: TaskType, before: Option<TypeReport>) -> Result<TypeReport, TrainingError> {
    let unjudged = state.storage.read(move |conn| selections::unjudged(conn, task_type.as_ref(), MOST_UNJUDGED)).await?;
    let seed = seed_of(round_id, task_type);
    let n_unjudged = unjudged.len();
    let Seen { tasks, views, reason } = look(state, task_type, draw(unjudged, seed)).await?;
    let settings = state.settings.rating.selection;
    let rules = Rules { batch: settings.batch, random_share: settings.random_share, seed };
    let (picks, views) = compute(move || (choose(&views, &rules), views)).await?;
    let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let of_arm = |arm: Arm| picks.iter().filter(|pick| pick.arm == arm).map(|pick| views[pick.index].information).collect::<Vec<_>>();
    let (informative, random) = (of_arm(Arm::Informative), of_arm(Arm::Random));
    let measured = measure::lift(state, task_type, before, seed).await?;
    let report = TypeReport {
        task_type,
        unjudged: n_unjudged,
        seen: views.len(),
        informative: informative.len(),
        random: random.len(),
        mean_information: mean(&views.iter().map(|view| view.information).collect::<Vec<_>>()),
        mean_information_chosen: mean(&informative),
        reason: (picks.is_empty()).then(|| reason.unwrap_or_else(|| "no task waits for its first judgment".to_owned())),
        lift: measured.lift,
        no_lift: measured.no_lift,
        judged: measured.judged,
    };
    record(state, round_id, task_type, selected(&tasks, &views, &picks)).await?;
    Ok(report)
}

/// What a round saw of a kind of task: the id and the model of each task beside its view.
struct Seen {
    tasks: Vec<(String, Arc<Loaded>)>,
    views: Vec<View>,
    /// Why some were not seen.
    reason: Option<String>,
}

async fn look(state: &State, task_type: TaskType, ids: Vec<String>) -> Result<Seen, TrainingError> {
    let mut seen = Seen { tasks: Vec::with_capacity(ids.len()), views: Vec::with_capacity(ids.len()), reason: None };
    let mut models: HashMap<String, u32> = HashMap::new();
    for some in ids.chunks(CHUNK) {
        let some = some.to_vec();
        let tasks = state.storage.read(move |conn| selections::read(conn, &some)).await?;
        let mut with_models: Vec<(Unjudged, Arc<Loaded>)> = Vec::with_capacity(tasks.len());
        for task in tasks {
            match find_model(state, task_type, task.retailer_id.as_deref()).await? {
                Ok(model) => with_models.push((task, model)),
                Err(reason) => seen.reason = Some(reason),
            }
        }
        let views = compute(move || {
            with_models.into_iter().map(|(task, model)| (view_of(&task, &model.model), task.task_id, model)).collect::<Vec<_>>()
        })
        .await?;
        for (view, task_id, model) in views {
            let number = models.len() as u32;
            let place = *models.entry(model.model_id.clone()).or_insert(number);
            match view {
                Some(view) => {
                    seen.views.push(view.of_model(place));
                    seen.tasks.push((task_id, model));
                }
                None => {
                    seen.reason = Some(format!("model {} was stored without an ensemble; train it again", model.model_id));
                }
            }
        }
    }
    Ok(seen)
}

/// Everything that was seen as it is written down, chosen ones first. Worth falls from 1 to one half over the batch.
fn selected(tasks: &[(String, Arc<Loaded>)], views: &[View], picks: &[Pick]) -> Vec<Selected> {
    let row = |index: usize, arm: &'static str, worth: f64| Selected {
        task_id: tasks[index].0.clone(),
        model_id: tasks[index].1.model_id.clone(),
        arm,
        worth,
        information: views[index].information,
        uncertainty: views[index].uncertainty,
    };
    let mut rest = vec![true; views.len()];
    let mut rows = Vec::with_capacity(views.len());
    for (place, pick) in picks.iter().enumerate() {
        rest[pick.index] = false;
        let arm = match pick.arm {
            Arm::Informative => "informative",
            Arm::Random => "random",
        };
        rows.push(row(pick.index, arm, 1.0 - 0.5 * place as f64 / picks.len() as f64));
    }
    rows.extend(rest.iter().enumerate().filter(|(_, is_left)| **is_left).map(|(index, _)| row(index, "none", 0.0)));
    rows
}

async fn record(state: &State, round_id: &str, task_type: TaskType, rows: Vec<Selected>) -> Result<(), StorageError> {
    for some in rows.chunks(CHUNK) {
        let (round_id, some, now) = (round_id.to_owned(), some.to_vec(), state.clock.now());
        state.storage.transaction(move |conn| selections::record(conn, &round_id, task_type.as_ref(), &some, now)).await?;
    }
    let (round_id, now) = (round_id.to_owned(), state.clock.now());
    state.storage.transaction(move |conn| selections::withdraw_others(conn, &round_id, task_type.as_ref(), now)).await?;
    Ok(())
}

fn draw(mut ids: Vec<String>, seed: u64) -> Vec<String> {
    if ids.len() <= MOST_SEEN {
        return ids;
    }
    let chosen = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(seed), ids.len(), MOST_SEEN);
    chosen.into_iter().map(|index| std::mem::take(&mut ids[index])).collect()
}

/// Another draw each round, the same when the round is taken up again after a crash.
fn seed_of(round_id: &str, task_type: TaskType) -> u64 {
    let digest = Sha256::new().chain_update(round_id).chain_update(task_type.as_ref()).finalize();
    digest.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// Computes on a blocking thread.
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrainingError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "choosing tasks stopped");
        TrainingError::Stopped
    })
}
