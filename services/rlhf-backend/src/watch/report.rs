//! How a model does on what people decided since it works, or since it is in the shadow: the card's figures on later pairs, drift from what the
//! card promised, and for a shadow the comparison with the active model on the same pairs.

use learning::drift::{Drift, DriftTest};
use learning::reward::Outcome;
use learning::reward::card::{Card, CardRow, Comparison, card, compare};
use learning::reward::metrics::Prediction;
use serde::Serialize;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::model_predictions::{self as stored, ModelPrediction};
use storage::reward_models::{self, RewardModel};
use storage::store::Storage;
use storage::types::Timestamp;

use super::shadows::{is_same_choice, seen_by_both};
use crate::training::CardFigures;

/// Pairs looked at, the newest.
pub const MAX_PAIRS: i64 = 2_000;

/// By how much the share of right predictions must have fallen for the test to look for it.
pub const FALL: f64 = 0.1;

/// At which sum of log likelihood ratios the drift test speaks: ln 200. Mean decided pairs until a false alarm, by simulation, for a model that
/// is as good as the low end of its card's interval, .75: over 2,000; until a fall of 10 points is found: about 150 (a test holds it so).
pub const THRESHOLD: f64 = 5.3;

/// What a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It scores.
    Active,
    /// It predicts beside the active model.
    Shadow,
    /// Neither.
    Nothing,
}

/// What is known of a model since it works or is in the shadow.
#[derive(Debug, Clone, Serialize)]
pub struct Watch {
    /// The model.
    pub model_id: String,
    /// What it is doing.
    pub doing: Doing,
    /// Since when; absent when it does nothing.
    pub since: Option<Timestamp>,
    /// The card's figures on pairs decided since, the newest 2,000; absent before the first.
    pub card: Option<Card>,
    /// Whether it has become worse than its card.
    pub drift: DriftReport,
    /// For a shadow: less the active model, on the same pairs.
    pub against_active: Option<AgainstActive>,
    /// Share right by tenths of the pairs, oldest first; empty under 20 decided pairs.
    pub course: Vec<f64>,
}

/// A shadow beside the active model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgainstActive {
    /// The active model.
    pub model_id: String,
    /// The shadow less the active model.
    pub difference: Comparison,
    /// Share of pairs in which both give the same candidate the higher score.
    pub same_choice: f64,
}

/// The drift test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftReport {
    /// `steady`, `watch` or `retest`; absent when there is nothing to test.
    pub verdict: Option<Drift>,
    /// Sum of log likelihood ratios; the test speaks at `threshold`.
    pub sum: f64,
    /// Where it speaks.
    pub threshold: f64,
    /// Accuracy that the card promises at least: the low end of its interval.
    pub promised: Option<f64>,
    /// Decided pairs tested.
    pub n: usize,
    /// What it means, in a sentence.
    pub says: String,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The computation stopped.
    #[error("the figures could not be computed")]
    Stopped(#[from] tokio::task::JoinError),
}

/// What is stored of a model since it works or is in the shadow.
pub(super) struct Seen {
    doing: Doing,
    pub(super) since: Option<Timestamp>,
    pub(super) rows: Vec<ModelPrediction>,
    /// The active model of a shadow, with what it said of the same tasks.
    pub(super) active: Option<(String, Vec<ModelPrediction>)>,
}

/// Reads it, and computes on a thread of its own, since intervals take some milliseconds.
///
/// # Errors
/// [`WatchError`].
pub async fn read(storage: &Storage, model: &RewardModel) -> Result<Watch, WatchError> {
    let of = model.clone();
    let seen = storage.read(move |conn| see(conn, &of)).await?;
    let model = model.clone();
    Ok(tokio::task::spawn_blocking(move || compute(&model, seen)).await?)
}

pub(super) fn see(conn: &mut Connection, model: &RewardModel) -> Result<Seen, StorageError> {
    let (doing, since) = match (model.is_active, model.shadow_since) {
        (true, _) => (Doing::Active, model.deployed_at),
        (false, Some(since)) => (Doing::Shadow, Some(since)),
        (false, None) => (Doing::Nothing, None),
    };
    let rows = match since {
        Some(since) => stored::newest(conn, &model.model_id, since.0, MAX_PAIRS)?,
        None => Vec::new(),
    };
    let active = match doing {
        Doing::Shadow => active_beside(conn, model, &rows)?,
        Doing::Active | Doing::Nothing => None,
    };
    Ok(Seen { doing, since, rows, active })
}

fn active_beside(
    conn: &mut Connection,
    shadow: &RewardModel,
    rows: &[ModelPrediction],
) -> Result<Option<(String, Vec<ModelPrediction>)>, StorageError> {
    let active = match reward_models::find_active(conn, &shadow.task_type, shadow.retailer_id.as_deref())? {
        Some(active) => Some(active),
        None => reward_models::find_active(conn, &shadow.task_type, None)?,
    };
    let Some(active) = active else { return Ok(None) };
    let ids: Vec<String> = rows.iter().map(|row| row.task_id.clone()).collect();
    let theirs = stored::of_tasks(conn, &active.model_id, &ids)?;
    Ok(Some((active.model_id, theirs)))
}

fn compute(model: &RewardModel, seen: Seen) -> Watch {
    let Seen { doing, since, rows, active } = seen;
    let figures: Option<CardFigures> = serde_json::from_value(model.metrics.0.clone()).ok();
    let card_rows: Vec<CardRow> = rows.iter().map(|row| card_row(row, &model.task_type)).collect();
    let answers: Vec<bool> = card_rows.iter().filter_map(|row| is_right(&row.prediction)).collect();
    Watch {
        model_id: model.model_id.clone(),
        doing,
        since,
        card: (!card_rows.is_empty()).then(|| card(&card_rows, 0)),
        drift: drift(promised(figures.as_ref()), &answers),
        against_active: active.and_then(|(active, theirs)| against_active(model, &rows, active, &theirs)),
        course: course(&answers),
    }
}

/// What a shadow says beside the active model; `None` without a pair that both have seen.
fn against_active(shadow: &RewardModel, rows: &[ModelPrediction], active: String, theirs: &[ModelPrediction]) -> Option<AgainstActive> {
    let (own, other): (Vec<CardRow>, Vec<Prediction>) =
        seen_by_both(rows, theirs).into_iter().map(|(row, other)| (card_row(row, &shadow.task_type), other)).unzip();
    let same = own.iter().zip(&other).filter(|(own, other)| is_same_choice(&own.prediction, other)).count();
    let difference = compare(&own, &other, 0).ok().filter(|difference| difference.n_pairs > 0)?;
    Some(AgainstActive { model_id: active, same_choice: same as f64 / difference.n_pairs as f64, difference })
}

pub(super) fn outcome(row: &ModelPrediction) -> Outcome {
    Outcome { a: row.said_a, tie: row.said_tie, b: row.said_b }
}

/// A stored prediction as figures take it.
pub(crate) fn prediction(row: &ModelPrediction) -> Prediction {
    Prediction {
        difference: row.difference,
        probability: Outcome { a: row.predicted_a, tie: row.predicted_tie, b: row.predicted_b },
        outcome: outcome(row),
    }
}

fn card_row(row: &ModelPrediction, task_type: &str) -> CardRow {
    CardRow {
        prediction: prediction(row),
        longer: row.longer,
        prompt_key: row.prompt_key.clone(),
        task_type: Some(task_type.to_owned()),
        retailer: row.retailer_id.clone(),
    }
}

/// Whether the preferred candidate got the strictly higher score; `None` when people preferred neither.
pub(super) fn is_right(prediction: &Prediction) -> Option<bool> {
    prediction.outcome.winner_is_a().map(|is_a| if is_a { prediction.difference > 0.0 } else { prediction.difference < 0.0 })
}

/// The accuracy that a card promises at least.
fn promised(figures: Option<&CardFigures>) -> Option<f64> {
    let all = &figures?.card.as_ref()?.all;
    Some(all.accuracy.map(|interval| interval.low).or(all.metrics.accuracy)?.min(0.95))
}

/// Page's test (see [`DriftTest`]) for a fall of [`FALL`] below what is promised, over all decided pairs in the order of their decisions.
#[must_use]
pub fn drift(promised: Option<f64>, answers: &[bool]) -> DriftReport {
    let n = answers.len();
    let none = |says: String| DriftReport { verdict: None, sum: 0.0, threshold: THRESHOLD, promised, n, says };
    let Some(good) = promised else { return none("Not tested: its card has no accuracy on held-out pairs.".to_owned()) };
    let Ok(test) = DriftTest::new(good, good - FALL, THRESHOLD) else {
        return none(format!("Not tested: its card promises an accuracy of {:.0} % only.", good * 100.0));
    };
    if answers.is_empty() {
        return none("Nothing was decided yet that it could be tried on.".to_owned());
    }
    let (verdict, sum) = test.of_series(answers.iter().copied());
    let right = answers.iter().filter(|is_right| **is_right).count();
    let facts = format!(
        "right in {right} of {n} decided pairs ({:.0} %); its card promises at least {:.0} %",
        100.0 * right as f64 / n as f64,
        good * 100.0
    );
    let says = match verdict {
        Drift::Steady => format!("As good as its card: {facts}."),
        Drift::Watch => format!("Perhaps worse than its card: {facts}. More decisions will tell."),
        Drift::Retest => {
            format!("Worse than its card for a time: {facts}. Train again on what was decided since, or roll back.")
        }
    };
    DriftReport { verdict: Some(verdict), sum, threshold: THRESHOLD, promised, n, says }
}

fn course(answers: &[bool]) -> Vec<f64> {
    const PARTS: usize = 10;
    if answers.len() < 2 * PARTS {
        return Vec::new();
    }
    let cut = |part: usize| part * answers.len() / PARTS;
    let share = |part: usize| {
        let some = answers.get(cut(part)..cut(part + 1)).unwrap_or_default();
        some.iter().filter(|is_right| **is_right).count() as f64 / some.len().max(1) as f64
    };
    (0..PARTS).map(share).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Mean number of pairs until the alarm, at most 20,000 each.
    fn mean_run(accuracy: f64, promised: f64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let test = DriftTest::new(promised, promised - FALL, THRESHOLD).unwrap();
        let runs = 200;
        let mut total = 0.0;
        for _ in 0..runs {
            let (mut sum, mut n) = (0.0, 0);
            while sum < THRESHOLD && n < 20_000 {
                sum = test.step(sum, random.random_bool(accuracy));
                n += 1;
            }
            total += f64::from(n);
        }
        total / f64::from(runs)
    }

    #[test]
    fn a_fall_is_found_soon_and_false_alarms_are_rare() {
        let (steady, fallen, coin) = (mean_run(0.75, 0.75), mean_run(0.65, 0.75), mean_run(0.5, 0.75));
        assert!(steady > 2_000.0, "{steady}");
        assert!(fallen < 200.0, "{fallen}");
        assert!(coin < 60.0, "{coin}");
    }

    #[test]
    fn it_says_what_it_found() {
        assert!(drift(None, &[true]).says.contains("no accuracy"));
        assert_eq!(drift(Some(0.1), &[true]).verdict, None);
        assert_eq!(drift(Some(0.8), &[]).verdict, None);
        let steady = drift(Some(0.8), &[[true; 9].as_slice(), &[false]].concat().repeat(5));
        assert_eq!(steady.verdict, Some(Drift::Steady), "{}", steady.says);
        let fallen = drift(Some(0.8), &[true, false].repeat(40));
        assert_eq!(fallen.verdict, Some(Drift::Retest), "{}", fallen.says);
        assert!(fallen.says.contains("right in 40 of 80"), "{}", fallen.says);
    }

    #[test]
    fn the_course_is_told_in_tenths() {
        assert_eq!(course(&[true; 19]), Vec::<f64>::new());
        let answers = [vec![true; 15], vec![false; 15]].concat();
        assert_eq!(course(&answers), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
