//! What a rater submits, and the rules it must keep before anything is stored. No I/O.

use std::collections::BTreeMap;

use domain::invalid::Invalid;
use domain::rubric;
use domain::task::{Choice, TaskType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::judgments::Judgment;

/// Most reasons of one judgment.
pub const MAX_REASONS: usize = 3;

/// Longest active time believed, in milliseconds: one day.
pub const MAX_ACTIVE_MS: i64 = 86_400_000;

const MAX_TEXT_CHARS: usize = 5_000;

/// A judgment as the rater saw the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The choice as shown to this rater.
    pub choice: Choice,
    /// At most three reason codes that fit the choice.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// By criterion key, how well the chosen candidate (or the pair, without one) meets it: 0 to 1.
    #[serde(default)]
    pub rubric_scores: BTreeMap<String, f64>,
    /// In the rater's words.
    #[serde(default)]
    pub free_text_feedback: Option<String>,
    /// Time in which the rater was active, in milliseconds.
    #[serde(default)]
    pub active_ms: Option<i64>,
    /// Whether an expert should look at the task.
    #[serde(default)]
    pub escalate: bool,
    /// Why; needed with `escalate`.
    #[serde(default)]
    pub escalation_reason: Option<String>,
}

impl Submission {
    /// Checks all that can be checked without knowing what is stored.
    ///
    /// # Errors
    /// [`Invalid`] with every field that is wrong.
    pub fn check(&self, task_type: TaskType, n_candidates: usize) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if self.choice.candidate().is_some_and(|place| place >= n_candidates) {
            invalid.add("choice", format!("this task shows {n_candidates} candidates; {} is not one of them", self.choice));
        }
        self.check_reasons(task_type, &mut invalid);
        if !(0.0..=1.0).contains(&self.confidence) {
            invalid.add("confidence", format!("must be 0 to 1, not {}", self.confidence));
        }
        let criteria = rubric::rubric(task_type).criteria;
        for (key, score) in &self.rubric_scores {
            if !criteria.iter().any(|criterion| criterion.key == key) {
                let known: Vec<&str> = criteria.iter().map(|criterion| criterion.key).collect();
                invalid.add(format!("rubric_scores.{key}"), format!("is not a criterion of {task_type}; these are: {}", known.join(", ")));
            } else if !(0.0..=1.0).contains(score) {
                invalid.add(format!("rubric_scores.{key}"), format!("must be 0 to 1, not {score}"));
            }
        }
        if let Some(active_ms) = self.active_ms.filter(|ms| !(0..=MAX_ACTIVE_MS).contains(ms)) {
            invalid.add("active_ms", format!("must be 0 to {MAX_ACTIVE_MS}, not {active_ms}"));
        }
        for (field, text) in [("free_text_feedback", &self.free_text_feedback), ("escalation_reason", &self.escalation_reason)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
                invalid.add(field, format!("must be at most {MAX_TEXT_CHARS} characters"));
            }
        }
        let has_reason = self.escalation_reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        match (self.escalate, has_reason) {
            (true, false) => invalid.add("escalation_reason", "is needed with escalate: tell the expert what to look at"),
            (false, true) => invalid.add("escalation_reason", "belongs to escalate: true"),
            _ => {}
        }
        invalid.into_result()
    }

    /// As JSON: the draft of an assignment that is opened again.
    #[must_use]
    pub fn draft(&self) -> Value {
        json!(self)
    }

    /// Whether a stored judgment says the same.
    #[must_use]
    pub fn equals(&self, judgment: &Judgment) -> bool {
        *self == Self { active_ms: self.active_ms, ..of_judgment(judgment) }
    }

    fn check_reasons(&self, task_type: TaskType, invalid: &mut Invalid) {
        if self.reasons.len() > MAX_REASONS {
            invalid.add("reasons", format!("at most {MAX_REASONS}, not {}", self.reasons.len()));
        }
        for (place, code) in self.reasons.iter().enumerate().take(MAX_REASONS) {
            let field = format!("reasons[{place}]");
            if self.reasons.iter().take(place).any(|earlier| earlier == code) {
                invalid.add(field, format!("{code:?} is given twice"));
            } else if !rubric::reason_fits(task_type, self.choice, code) {
                let side = |code: &str| rubric::reason_fits(task_type, self.choice, code);
                let fitting: Vec<&str> =
                    rubric::rubric(task_type).reasons.iter().map(|reason| reason.code).filter(|code| side(code)).collect();
                invalid.add(field, format!("{code:?} does not fit the choice {}; these do: {}", self.choice, fitting.join(", ")));
            }
        }
    }
}

/// What the rater of a stored judgment submitted.
#[must_use]
pub fn of_judgment(judgment: &Judgment) -> Submission {
    let order: Vec<usize> = serde_json::from_value(judgment.display_order.0.clone()).unwrap_or_default();
    let stored: Choice = judgment.choice.parse().unwrap_or(Choice::Unsure);
    Submission {
        choice: crate::presentation::as_shown(stored, &order),
        reasons: serde_json::from_value(judgment.reasons.0.clone()).unwrap_or_default(),
        confidence: judgment.confidence,
        rubric_scores: serde_json::from_value(judgment.rubric_scores.0.clone()).unwrap_or_default(),
        free_text_feedback: judgment.free_text_feedback.clone(),
        active_ms: judgment.active_ms,
        escalate: judgment.is_escalated,
        escalation_reason: judgment.escalation_reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn submission(value: Value) -> Submission {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_plain_judgment_is_enough() {
        submission(json!({"choice": "tie", "confidence": 0.5})).check(TaskType::PlanQuality, 2).unwrap();
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = submission(json!({
            "choice": "candidate_c", "reasons": ["equivalent"], "confidence": 1.5, "rubric_scores": {"charm": 1.0, "spread": 2.0},
            "active_ms": -1, "escalate": true,
        }));
        let fields: Vec<String> = wrong.check(TaskType::PlanQuality, 2).unwrap_err().fields.into_iter().map(|f| f.field).collect();
        assert_eq!(
            fields,
            ["choice", "reasons[0]", "confidence", "rubric_scores.charm", "rubric_scores.spread", "active_ms", "escalation_reason"]
        );
    }
}
