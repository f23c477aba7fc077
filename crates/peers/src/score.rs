//! Scoring candidates with the active reward model: campaign-runtime and rater-app ask, rlhf-backend answers.

use domain::invalid::Invalid;
use domain::task::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tasks::CheckResult;

/// Where rlhf-backend takes a [`ScoreRequest`] (POST, private listener).
pub const PATH: &str = "/internal/v1/score";

/// Fewest candidates that can be compared.
pub const MIN_CANDIDATES: usize = 2;

/// Most candidates in one request; the answer's probability table grows with the square.
pub const MAX_CANDIDATES: usize = 20;

/// Candidates to be compared by the reward model of a task type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreRequest {
    /// Chooses the model, together with `retailer_id`.
    pub task_type: TaskType,
    /// A model trained for this retailer is preferred to the general one.
    #[serde(default)]
    pub retailer_id: Option<String>,
    /// In whose name is asked.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// What the candidates answer: objective, constraints, intent.
    #[serde(default)]
    pub context: Value,
    /// [`MIN_CANDIDATES`] to [`MAX_CANDIDATES`] candidates, in the caller's order.
    pub candidates: Vec<Value>,
    /// Results of the auto-checks, one list per candidate; empty when none were run.
    #[serde(default)]
    pub checks: Vec<Vec<CheckResult>>,
}

impl ScoreRequest {
    /// Checks what serde cannot: number and kind of candidates, one list of checks per candidate if there is any, and the retailer's id.
    ///
    /// # Errors
    /// [`Invalid`] naming each field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let n_candidates = self.candidates.len();
        if !(MIN_CANDIDATES..=MAX_CANDIDATES).contains(&n_candidates) {
            invalid.add("candidates", format!("must hold {MIN_CANDIDATES} to {MAX_CANDIDATES} candidates, not {n_candidates}"));
        }
        for (place, candidate) in self.candidates.iter().enumerate().take(MAX_CANDIDATES) {
            let why = match candidate {
                Value::Object(members) if members.is_empty() => "must not be an empty object",
                Value::String(text) if text.trim().is_empty() => "must not be an empty text",
                Value::Object(_) | Value::String(_) => continue,
                Value::Null => "must be an object or a text, not null",
                Value::Bool(_) => "must be an object or a text, not a boolean",
                Value::Number(_) => "must be an object or a text, not a number",
                Value::Array(_) => "must be an object or a text, not a list",
            };
            invalid.add(format!("candidates[{place}]"), why);
        }
        if let Some(retailer) = &self.retailer_id {
            invalid.merge(domain::id::check("retailer_id", retailer));
        }
        if !self.checks.is_empty() && self.checks.len() != n_candidates {
            invalid.add("checks", format!("must be empty or hold one list per candidate: {n_candidates}, not {}", self.checks.len()));
        }
        invalid.into_result()
    }
}

/// Scores in the order of the request's candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreResponse {
    /// The model that scored; `None` with a fallback.
    pub model_id: Option<String>,
    /// Its version; `None` with a fallback.
    pub model_version: Option<i32>,
    /// One score per candidate, higher is better, on the model's log-odds scale; with a fallback by automatic checks, less the failed ones.
    pub scores: Vec<f64>,
    /// Square table: `win_probabilities[row][column]` is the probability that `row` is preferred to `column`; .5 on the diagonal.
    pub win_probabilities: Vec<Vec<f64>>,
    /// Bootstrap standard errors of `win_probabilities`, in the same places; `None` where nothing that the model could know of tells the two
    /// apart. Empty without a model, or from one that was stored without an ensemble.
    #[serde(default)]
    pub standard_errors: Vec<Vec<Option<f64>>>,
    /// Why a standard error is missing, in a sentence; `None` when none is.
    #[serde(default)]
    pub standard_errors_reason: Option<String>,
    /// Per candidate, what the score is made of; with a fallback the failed checks.
    pub explanation: Vec<Vec<Contribution>>,
    /// Whether no model took part: then the scores tell broken from sound at best, and the caller decides by its own rule.
    pub fallback: bool,
    /// Why no model took part, in a sentence.
    pub fallback_reason: Option<String>,
}

impl ScoreResponse {
    /// The answer when nothing can score: nobody is preferred to anybody.
    #[must_use]
    pub fn without_model(n_candidates: usize, reason: impl Into<String>) -> Self {
        Self {
            model_id: None,
            model_version: None,
            scores: vec![0.0; n_candidates],
            win_probabilities: vec![vec![0.5; n_candidates]; n_candidates],
            standard_errors: Vec::new(),
            standard_errors_reason: None,
            explanation: vec![Vec::new(); n_candidates],
            fallback: true,
            fallback_reason: Some(reason.into()),
        }
    }
}

/// One feature's share of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Name of the feature.
    pub feature: String,
    /// The candidate's value of it.
    pub value: f64,
    /// Weight times value: how far it moved the score.
    pub contribution: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request(n_candidates: usize, checks: Vec<Vec<CheckResult>>) -> ScoreRequest {
        let candidates = vec![Value::from("plan"); n_candidates];
        ScoreRequest { task_type: TaskType::PlanQuality, retailer_id: None, tenant_id: None, context: Value::Null, candidates, checks }
    }

    #[test]
    fn candidates_and_checks_are_counted() {
        request(2, Vec::new()).check().unwrap();
        request(20, vec![Vec::new(); 20]).check().unwrap();
        assert_eq!(request(1, Vec::new()).check().unwrap_err().fields[0].field, "candidates");
        assert_eq!(request(21, Vec::new()).check().unwrap_err().fields[0].field, "candidates");
        assert_eq!(request(3, vec![Vec::new(); 2]).check().unwrap_err().fields[0].field, "checks");
    }

    #[test]
    fn candidates_are_objects_or_texts_and_what_is_not_is_named_by_its_place() {
        let with = |candidates: Vec<Value>| ScoreRequest { candidates, ..request(2, Vec::new()) };
        with(vec![serde_json::json!({ "roas": 2 }), Value::from("a plan")]).check().unwrap();
        let wrong = ["{}", "\" \"", "null", "true", "7", "[{}]"].map(|json| serde_json::from_str(json).unwrap());
        let invalid = with([vec![Value::from("a plan")], wrong.to_vec()].concat()).check().unwrap_err();
        let named: Vec<&str> = invalid.fields.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, (1..=6).map(|place| format!("candidates[{place}]")).collect::<Vec<_>>());
        assert!(invalid.fields[4].message.contains("not a number"), "{invalid}");
    }

    #[test]
    fn without_a_model_nobody_is_preferred() {
        let response = ScoreResponse::without_model(3, "no active reward model for plan_quality");
        assert!(response.fallback);
        assert_eq!(response.scores, [0.0; 3]);
        assert_eq!(response.win_probabilities, vec![vec![0.5; 3]; 3]);
    }
}
