//! What models have shown in the shadow so far, beside the active ones: shares without intervals, for lists and cards.

use std::collections::HashMap;

use learning::reward::metrics::Prediction;
use serde::Serialize;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::model_predictions::{self as stored, ModelPrediction};
use storage::reward_models::{self, RewardModel};
use storage::types::Timestamp;

use super::report::{MAX_PAIRS, Seen, is_right, outcome, prediction, see};

/// What a shadow has shown so far, without intervals: for lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InShadow {
    /// Since when.
    pub since: Timestamp,
    /// Decided pairs since, of the newest 2,000, in which people preferred one.
    pub n_decided: usize,
    /// Share of them that it had right; absent before the first.
    pub accuracy: Option<f64>,
    /// Beside the active model; absent when none is active or nothing was seen by both.
    pub beside_active: Option<BesideActive>,
}

/// A shadow and the active model on the pairs that both have seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BesideActive {
    /// The active model.
    pub model_id: String,
    /// Pairs that both have seen.
    pub n_pairs: usize,
    /// Of these, pairs in which both give the same candidate the higher score.
    pub n_same_choice: usize,
    /// Of these, pairs in which people preferred one.
    pub n_decided: usize,
    /// Share of the decided that the shadow had right.
    pub accuracy: Option<f64>,
    /// Share of the decided that the active model had right.
    pub active_accuracy: Option<f64>,
}

/// What a model has shown in the shadow; `None` for one that is not there.
///
/// # Errors
/// As any query.
pub fn in_shadow(conn: &mut Connection, model: &RewardModel) -> Result<Option<InShadow>, StorageError> {
    if model.is_active || model.shadow_since.is_none() {
        return Ok(None);
    }
    let Seen { since, rows, active, .. } = see(conn, model)?;
    Ok(since.map(|since| shown(since, &rows, active)))
}

fn shown(since: Timestamp, rows: &[ModelPrediction], active: Option<(String, Vec<ModelPrediction>)>) -> InShadow {
    let own: Vec<Prediction> = rows.iter().map(prediction).collect();
    let (n_decided, accuracy) = right(&own);
    let beside_active = active.and_then(|(active, theirs)| beside_active(rows, active, &theirs));
    InShadow { since, n_decided, accuracy, beside_active }
}

/// The same of every model of a list, in its order; as many queries for many models as for one.
///
/// # Errors
/// As any query.
pub fn all_in_shadow(conn: &mut Connection, models: &[RewardModel]) -> Result<Vec<Option<InShadow>>, StorageError> {
    let since = |model: &RewardModel| model.shadow_since.filter(|_| !model.is_active);
    let shadows: Vec<_> = models.iter().filter_map(|model| Some((model.model_id.as_str(), since(model)?.0))).collect();
    if shadows.is_empty() {
        return Ok(models.iter().map(|_| None).collect());
    }
    let mut rows = stored::newest_of_all(conn, &shadows, usize::try_from(MAX_PAIRS).unwrap_or(usize::MAX))?;
    let working: HashMap<String, String> =
        reward_models::list_active(conn)?.into_iter().filter_map(|model| Some((model.active_slot?, model.model_id))).collect();
    let beside = |model: &RewardModel| {
        let of = |retailer| working.get(&reward_models::slot(&model.task_type, retailer));
        of(model.retailer_id.as_deref()).or_else(|| of(None)).cloned()
    };
    let mut ids: Vec<String> = models.iter().filter(|model| since(model).is_some()).filter_map(beside).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut tasks: Vec<&str> = rows.values().flatten().map(|row| row.task_id.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut theirs: HashMap<String, Vec<ModelPrediction>> = HashMap::new();
    for row in stored::of_models_and_tasks(conn, &ids, &tasks)? {
        theirs.entry(row.model_id.clone()).or_default().push(row);
    }
    let one = |model: &RewardModel| {
        let since = since(model)?;
        let own = rows.remove(&model.model_id).unwrap_or_default();
        let active = beside(model).map(|id| (id.clone(), theirs.get(&id).cloned().unwrap_or_default()));
        Some(shown(since, &own, active))
    };
    Ok(models.iter().map(one).collect())
}

fn beside_active(rows: &[ModelPrediction], active: String, theirs: &[ModelPrediction]) -> Option<BesideActive> {
    let (own, other): (Vec<Prediction>, Vec<Prediction>) =
        seen_by_both(rows, theirs).into_iter().map(|(row, other)| (prediction(row), other)).unzip();
    let (n_decided, accuracy) = right(&own);
    (!own.is_empty()).then(|| BesideActive {
        model_id: active,
        n_pairs: own.len(),
        n_same_choice: own.iter().zip(&other).filter(|(own, other)| is_same_choice(own, other)).count(),
        n_decided,
        accuracy,
        active_accuracy: right(&other).1,
    })
}

/// How many are decided, and the share of them that is right.
fn right(predictions: &[Prediction]) -> (usize, Option<f64>) {
    let answers: Vec<bool> = predictions.iter().filter_map(is_right).collect();
    let right = answers.iter().filter(|is_right| **is_right).count();
    (answers.len(), (!answers.is_empty()).then(|| right as f64 / answers.len() as f64))
}

/// Each pair that both models have seen, with what the other says of it. Both speak of what people say now.
pub(super) fn seen_by_both<'a>(rows: &'a [ModelPrediction], theirs: &[ModelPrediction]) -> Vec<(&'a ModelPrediction, Prediction)> {
    let theirs: HashMap<(&str, i32), &ModelPrediction> = theirs.iter().map(|row| ((row.task_id.as_str(), row.pair), row)).collect();
    let both = |row: &'a ModelPrediction| {
        let their = theirs.get(&(row.task_id.as_str(), row.pair))?;
        Some((row, Prediction { outcome: outcome(row), ..prediction(their) }))
    };
    rows.iter().filter_map(both).collect()
}

pub(super) fn is_same_choice(own: &Prediction, other: &Prediction) -> bool {
    own.difference.partial_cmp(&0.0) == other.difference.partial_cmp(&0.0)
}
