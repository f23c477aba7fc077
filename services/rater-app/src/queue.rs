//! Why a task comes first for a rater: the score by which the queue is ordered, part by part. No I/O.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use learning::judgment::GoldRecord;
use learning::overlap::information_gain;
use serde::Serialize;
use serde_json::Value;
use storage::queue::{Waiting, Weights, uncertainty_of};
use storage::raters::Rater;
use storage::tasks::Task;

/// Tasks given out lately by this process that the quota of retailers looks at.
const REMEMBERED: usize = 500;

/// What the score of a task is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `priority`, `age`, `uncertainty`, `selection`, `skill` or `quota`.
    pub name: &'static str,
    /// In its own unit.
    pub value: f64,
    /// How much one unit counts.
    pub weight: f64,
    /// In words for the rater; they say nothing that changes with the rater's record.
    pub words: String,
}

/// What is known of a task when its score is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known<'a> {
    /// Task type word.
    pub task_type: &'a str,
    /// Retailer.
    pub retailer_id: Option<&'a str>,
    /// 0 to 100.
    pub priority: i32,
    /// What the model does not know, 0 to 1.
    pub model_uncertainty: Option<f64>,
    /// Probability of the leading choice, once there are judgments.
    pub leading_posterior: Option<f64>,
    /// When the task was made.
    pub created_at: DateTime<Utc>,
    /// What it is worth to ask it now, for the reward model; 0 when it was not chosen.
    pub selection: f64,
}

impl<'a> From<&'a Waiting> for Known<'a> {
    fn from(waiting: &'a Waiting) -> Self {
        Self {
            task_type: &waiting.task_type,
            retailer_id: waiting.retailer_id.as_deref(),
            priority: waiting.priority,
            model_uncertainty: waiting.uncertainty_score,
            leading_posterior: waiting.leading_posterior,
            created_at: waiting.created_at.0,
            selection: waiting.selection,
        }
    }
}

impl<'a> Known<'a> {
    /// Of a task that was given out, for its rater, with what the queue knew of its judgments. What a model thinks of it is left out: a rater
    /// who knew that would judge otherwise, and golden items, of which no model was asked, would stand out.
    #[must_use]
    pub fn of_task(task: &'a Task, leading_posterior: Option<f64>) -> Self {
        Self {
            task_type: &task.task_type,
            retailer_id: task.retailer_id.as_deref(),
            priority: task.priority,
            model_uncertainty: None,
            leading_posterior,
            created_at: task.created_at.0,
            selection: 0.0,
        }
    }
}

/// The score of a task for a rater, part by part; the score is the sum of value times weight.
#[must_use]
pub fn parts(task: &Known<'_>, rater: &Rater, shares: &Shares, weights: &Weights, now: DateTime<Utc>) -> Vec<Part> {
    let days = ((now - task.created_at).num_seconds().max(0) as f64) / 86_400.0;
    let uncertainty = uncertainty_of(task.model_uncertainty, task.leading_posterior, task.selection);
    let accuracy = accuracy(rater, task.task_type);
    let gain = gain(task.leading_posterior, accuracy);
    let quota = shares.lack_of(task.retailer_id);
    let part = |name, value, weight, words: String| Part { name, value, weight, words };
    vec![
        part("priority", f64::from(task.priority) / 100.0, weights.priority, format!("priority {} of 100", task.priority)),
        part("age", days, weights.age, waited(days)),
        part(
            "uncertainty",
            uncertainty,
            weights.uncertainty,
            match task.leading_posterior {
                Some(_) => "other raters' answers leave it open".to_owned(),
                None => "nobody has judged it yet".to_owned(),
            },
        ),
        part("selection", task.selection, weights.selection, "what the reward model would learn from it".to_owned()),
        part("skill", gain, weights.skill, "your answer is expected to tell more here than elsewhere".to_owned()),
        part("quota", quota, weights.quota, quota_words(quota).to_owned()),
    ]
}

/// The sum of all parts.
#[must_use]
pub fn score(parts: &[Part]) -> f64 {
    parts.iter().map(|part| part.value * part.weight).sum()
}

fn waited(days: f64) -> String {
    let hours = days * 24.0;
    match hours {
        _ if hours < 1.0 => "new".to_owned(),
        _ if hours < 48.0 => format!("waiting for {hours:.0} h"),
        _ => format!("waiting for {days:.0} days"),
    }
}

fn quota_words(quota: f64) -> &'static str {
    match quota {
        _ if quota > 0.1 => "its retailer was served less than others lately",
        _ if quota < -0.1 => "its retailer was served more than others lately",
        _ => "its retailer had its turn like others",
    }
}

/// How often this rater is right on a task type: golden items of the type, with the rater's overall record as what to expect.
fn accuracy(rater: &Rater, task_type: &str) -> f64 {
    let figure = |name: &str| {
        let figure = rater.reliability_by_task_type.get(task_type).and_then(|figures| figures.get(name)).and_then(Value::as_i64);
        figure.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    };
    let of_type = GoldRecord { correct: figure("golden_correct"), total: figure("golden_total") };
    let overall = GoldRecord { correct: rater.golden_correct.max(0).unsigned_abs(), total: rater.golden_total.max(0).unsigned_abs() };
    // Five items' worth of the overall record.
    let expected = overall.smoothed_accuracy();
    (f64::from(of_type.correct) + 5.0 * expected) / (f64::from(of_type.total) + 5.0)
}

/// Bits that one more answer is expected to tell. Only the leading choice's probability is known here; the rest is taken as even over the
/// other three, and before any answer all four choices are.
fn gain(leading_posterior: Option<f64>, accuracy: f64) -> f64 {
    let leading = leading_posterior.map_or(0.25, |p| p.clamp(0.0, 1.0));
    let other = (1.0 - leading) / 3.0;
    information_gain(&[leading, other, other, other], accuracy)
}

/// How much each retailer was served lately, by this process. Approximate on purpose: it spreads work, nothing depends on it.
#[derive(Debug, Clone, Default)]
pub struct Served(Arc<Mutex<VecDeque<Option<String>>>>);

impl Served {
    /// Notes that a task was given out.
    pub fn note(&self, retailer_id: Option<&str>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= REMEMBERED {
            list.pop_front();
        }
        list.push_back(retailer_id.map(str::to_owned));
    }

    /// Shares as they are now.
    #[must_use]
    pub fn shares(&self) -> Shares {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = std::collections::HashMap::new();
        for retailer in list.iter().flatten() {
            *counts.entry(retailer.clone()).or_insert(0_usize) += 1;
        }
        Shares { total: counts.values().sum(), counts }
    }
}

/// How much each retailer was served at one moment.
#[derive(Debug, Clone, Default)]
pub struct Shares {
    counts: std::collections::HashMap<String, usize>,
    total: usize,
}

impl Shares {
    /// How much less than the others a retailer was served: the mean share less its own; 0 for tasks of nobody and until there is something
    /// to compare.
    #[must_use]
    pub fn lack_of(&self, retailer_id: Option<&str>) -> f64 {
        let Some(retailer_id) = retailer_id else { return 0.0 };
        let own = self.counts.get(retailer_id).copied().unwrap_or(0);
        let known = self.counts.len() + usize::from(own == 0);
        if known < 2 || self.total < 20 {
            return 0.0;
        }
        1.0 / known as f64 - own as f64 / self.total as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_most_where_the_others_disagree_and_nothing_from_a_coin() {
        assert!((gain(None, 1.0) - 2.0).abs() < 1e-12, "one of four, told for sure");
        assert!(gain(Some(0.5), 0.8) > gain(Some(0.9), 0.8));
        assert!(gain(Some(0.5), 0.9) > gain(Some(0.5), 0.7));
        assert!(gain(Some(0.7), 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_retailer_that_was_passed_over_comes_forward() {
        let served = Served::default();
        (0..30).for_each(|_| served.note(Some("big")));
        let shares = served.shares();
        assert!((shares.lack_of(Some("small")) - 0.5).abs() < 1e-12 && (shares.lack_of(Some("big")) - 0.0).abs() < 1e-12);
        (0..10).for_each(|_| served.note(Some("small")));
        let shares = served.shares();
        assert!((shares.lack_of(Some("small")) - 0.25).abs() < 1e-12 && (shares.lack_of(Some("big")) + 0.25).abs() < 1e-12);
        assert!((0..2 * REMEMBERED).map(|_| served.note(None)).count() > 0 && served.shares().total == 0, "the past is forgotten");
    }
}
