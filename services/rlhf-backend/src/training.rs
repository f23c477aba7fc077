//! From pairs to a reward model with its card: what was trained on, how good it is on pairs it had not seen, and what it must beat.

pub mod gate;
pub mod material;
pub mod newest;

use std::collections::HashMap;

use learning::agreement::krippendorff::{Scale, alpha_with_interval};
use learning::agreement::{LabelCounts, gwet_ac1, percent};
use learning::features::Context;
use learning::intervals::Interval;
use learning::judgment::InvalidJudgments;
use learning::reward::card::{Card, CardRow, Comparison, card, compare};
use learning::reward::metrics::{Baseline, Metrics, Prediction};
use learning::reward::model::RewardModel;
use learning::reward::pairs::Pairs;
use learning::reward::progress::Progress;
use learning::reward::training::{HeldOutPair, TrainError, train_pairs};
use learning::reward::{Example, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::error::StorageError;
use storage::reward_models::NewRewardModel;
use tokio::sync::watch;

use crate::scoring::to_feature_checks;
use material::{Material, Pair};

/// Resamples behind the interval of alpha.
const REPLICATES: usize = 200;

/// What a training job is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainingInput {
    /// Kind of task.
    pub task_type: String,
    /// Only tasks of this retailer, and feedback on its brands.
    #[serde(default)]
    pub retailer_id: Option<String>,
    /// Seed of folds and resamples.
    #[serde(default)]
    pub seed: u64,
    /// For the reader.
    #[serde(default)]
    pub note: Option<String>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The pairs.
    #[error(transparent)]
    Pairs(#[from] TrainError),
    /// The judgments, for label quality.
    #[error(transparent)]
    Judgments(#[from] InvalidJudgments),
    /// The job itself.
    #[error("the job's input cannot be read: {0}")]
    Input(String),
    /// The computation stopped.
    #[error("the training stopped unexpectedly; see the service's log")]
    Stopped,
}

/// The figures of a card, as they are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardFigures {
    /// On pairs that the model had not seen; absent when there was one prompt only.
    pub held_out: Option<Metrics>,
    /// What simple rules reach on the same pairs.
    pub baselines: Vec<Baseline>,
    /// Agreement of the judgments.
    pub label_quality: Value,
    /// The same figures with intervals over prompts, for retailers apart, with reliability and length bias; absent as `held_out`, and in cards of
    /// earlier programs.
    #[serde(default)]
    pub card: Option<Card>,
    /// Less the model that was active when it was trained, on the same pairs. That model may have learnt from them, which flatters it.
    #[serde(default)]
    pub against_active: Option<AgainstActive>,
    /// The same on pairs that were decided after the active model was trained, as it predicted them then: neither has learnt from these. Absent
    /// before there are any.
    #[serde(default)]
    pub against_active_later: Option<AgainstActive>,
}

impl CardFigures {
    /// The 95 % interval of the accuracy: over prompts where the card has it, since pairs of one prompt tell less than pairs of many.
    #[must_use]
    pub fn accuracy_interval(&self) -> Option<Interval> {
        let over_prompts = self.card.as_ref().and_then(|card| card.all.accuracy);
        over_prompts.or_else(|| self.held_out.as_ref()?.accuracy_interval)
    }
}

/// A comparison with the active model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgainstActive {
    /// The active model.
    pub model_id: String,
    /// The new model less the active one.
    pub difference: Comparison,
}

/// The model that is active where a new one would be put to work.
#[derive(Debug, Clone)]
pub struct Active {
    /// Its id.
    pub model_id: String,
    /// The model.
    pub model: RewardModel,
    /// What it said of pairs that were decided after it was trained, by task and pair.
    pub later: HashMap<(String, i32), Prediction>,
}

/// Trains on a blocking thread.
///
/// # Errors
/// [`TrainingError`]: too few pairs, mostly.
pub async fn fit(
    material: Material,
    input: TrainingInput,
    active: Option<Active>,
    told: watch::Sender<Option<Progress>>,
) -> Result<NewRewardModel, TrainingError> {
    let work = tokio::task::spawn_blocking(move || fit_now(&material, &input, active.as_ref(), &told));
    work.await.map_err(|error| {
        tracing::error!(%error, "training stopped");
        TrainingError::Stopped
    })?
}

fn fit_now(
    material: &Material,
    input: &TrainingInput,
    active: Option<&Active>,
    told: &watch::Sender<Option<Progress>>,
) -> Result<NewRewardModel, TrainingError> {
    let mut pairs = Pairs::default();
    let example = |row: &Pair| Example {
        // All pairs of a retailer's own model are its own: a part of its own would say nothing.
        retailer: row.retailer.clone().filter(|_| input.retailer_id.is_none()),
        ..to_example(row)
    };
    pairs.push_all(&material.rows, example)?;
    let trained = train_pairs(&pairs, input.seed, &mut |progress| {
        told.send_replace(Some(progress));
    })?;
    let counts = LabelCounts::from_judgments(&material.judgments, material.n_judged_tasks, material::LABELS.len())?;
    let alpha = alpha_with_interval(&counts, Scale::Nominal, REPLICATES, input.seed);
    let rows: Vec<CardRow> = trained.held_out.iter().filter_map(|pair| card_row(material, input, pair)).collect();
    let report = trained.report;
    let figures = CardFigures {
        held_out: report.held_out,
        baselines: report.baselines,
        label_quality: json!({
            "krippendorff_alpha": alpha, "percent_agreement": percent(&counts), "gwet_ac1": gwet_ac1(&counts),
            "people": material.people.len(),
        }),
        card: (!rows.is_empty()).then(|| card(&rows, input.seed)),
        against_active: active.and_then(|active| {
            let pairs = trained.held_out.iter().filter_map(|pair| material.rows.get(pair.position));
            let other: Vec<Prediction> = pairs.map(|pair| active.model.predict(&example(pair))).collect();
            let difference = compare(&rows, &other, input.seed).ok()?;
            Some(AgainstActive { model_id: active.model_id.clone(), difference })
        }),
        against_active_later: active.and_then(|active| against_later(material, input, &trained.held_out, active)),
    };
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    Ok(NewRewardModel {
        base_model: "linear-bradley-terry-davidson".to_owned(),
        retailer_id: input.retailer_id.clone(),
        task_type: input.task_type.clone(),
        training_judgments_count: count(material.judgments_used),
        training_feedback_count: count(material.feedback_used),
        training_pairs_count: count(report.n_pairs),
        config: json!({
            "note": input.note, "seed": input.seed, "prompts": report.n_prompts, "folds": report.folds, "tried": report.tried,
            "setting": trained.model.setting, "temperature": trained.model.temperature, "left_out": material.left_out,
            "judgments_by_simulated_raters": material.simulated_judgments, "judgments_by_people": material.people_judgments,
        }),
        validation_accuracy: figures.held_out.as_ref().and_then(|metrics| metrics.accuracy),
        inter_rater_agreement: alpha.alpha.value,
        metrics: json!(figures),
        parameters: json!(trained.model),
        auto_check_correlation: auto_check_correlation(&material.rows),
        dataset_hash: dataset_hash(&material.rows),
        seed: i64::try_from(input.seed).unwrap_or(i64::MAX),
    })
}

/// A pair as the learning crate takes it.
pub(crate) fn to_example(pair: &Pair) -> Example {
    let context = Context::of(&pair.context);
    Example {
        prompt_key: pair.prompt_key.clone(),
        a: context.features(&pair.a, &to_feature_checks(pair.checks_a.iter())),
        b: context.features(&pair.b, &to_feature_checks(pair.checks_b.iter())),
        outcome: Outcome { a: pair.outcome[0], tie: pair.outcome[1], b: pair.outcome[2] },
        weight: pair.weight,
        retailer: pair.retailer.clone(),
    }
}

fn against_later(material: &Material, input: &TrainingInput, held_out: &[HeldOutPair], active: &Active) -> Option<AgainstActive> {
    let seen = held_out.iter().filter_map(|pair| {
        let row = material.rows.get(pair.position)?;
        let other = active.later.get(&(row.source.clone(), row.place))?;
        let own = card_row(material, input, pair)?;
        // Both speak of what people say now.
        let other = Prediction { outcome: own.prediction.outcome, ..*other };
        Some((own, other))
    });
    let (own, other): (Vec<CardRow>, Vec<Prediction>) = seen.unzip();
    let difference = compare(&own, &other, input.seed).ok().filter(|difference| difference.n_pairs > 0)?;
    Some(AgainstActive { model_id: active.model_id.clone(), difference })
}

fn card_row(material: &Material, input: &TrainingInput, pair: &HeldOutPair) -> Option<CardRow> {
    let row = material.rows.get(pair.position)?;
    Some(CardRow {
        prediction: pair.prediction,
        longer: pair.longer,
        prompt_key: row.prompt_key.clone(),
        task_type: Some(input.task_type.clone()),
        retailer: row.retailer.clone(),
    })
}

/// SHA-256 of the training rows, one line of JSON each, in the order of reading.
fn dataset_hash(rows: &[Pair]) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(json!(row).to_string().as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Pearson's correlation of "passes a larger share of automatic checks" with "is preferred"; `None` when either never varies.
fn auto_check_correlation(rows: &[Pair]) -> Option<f64> {
    let share = |checks: &[peers::tasks::CheckResult]| {
        (!checks.is_empty()).then(|| checks.iter().filter(|check| check.passed).count() as f64 / checks.len() as f64)
    };
    let points: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((share(&row.checks_a)? - share(&row.checks_b)?, row.outcome[0] - row.outcome[2]))).collect();
    let n = points.len() as f64;
    let (mean_x, mean_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}
