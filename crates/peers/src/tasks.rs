//! Creating rating tasks: campaign-runtime asks rater-app to have people compare candidates.

use domain::invalid::Invalid;
use domain::task::{TaskStatus, TaskType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where rater-app takes one [`NewTask`] (POST, private listener).
pub const PATH: &str = "/internal/v1/tasks";

/// Highest priority; 0 is the lowest.
pub const MAX_PRIORITY: i32 = 100;

/// Priority of a task that names none.
pub const DEFAULT_PRIORITY: i32 = 50;

/// A task to be created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// The caller's own id, which makes repeating safe: an equal task under the same id is answered, not created again.
    #[serde(default)]
    pub task_id: Option<String>,
    /// What raters compare; chooses rubric and auto-checks.
    pub task_type: TaskType,
    /// Whose policies the auto-checks use.
    #[serde(default)]
    pub retailer_id: Option<String>,
    /// To whom the task belongs.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The model adapter that wrote the candidates.
    #[serde(default)]
    pub adapter_id: Option<String>,
    /// One line that raters see first.
    pub title: String,
    /// The question to raters.
    pub prompt: String,
    /// What raters need to know to decide.
    #[serde(default)]
    pub context_snippets: Vec<Value>,
    /// First candidate.
    pub candidate_a: Value,
    /// Second candidate.
    pub candidate_b: Value,
    /// Third candidate, if any.
    #[serde(default)]
    pub candidate_c: Option<Value>,
    /// 0 to [`MAX_PRIORITY`], higher is judged sooner.
    #[serde(default = "default_priority")]
    pub priority: i32,
    /// How unsure the model was, 0 to 1: higher means that a judgment teaches more.
    #[serde(default)]
    pub uncertainty_score: Option<f64>,
    /// Judgments wanted; `None` asks for as many as it takes, within the rater-app's settings.
    #[serde(default)]
    pub required_judgments: Option<i32>,
    /// Judgments at most, when those wanted leave the answer open; as many as wanted without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_judgments: Option<i32>,
    /// What the task came from, such as the id of a plan set.
    #[serde(default)]
    pub source: Option<String>,
}

fn default_priority() -> i32 {
    DEFAULT_PRIORITY
}

impl NewTask {
    /// Checks what serde cannot: identifiers, texts that must not be empty, and ranges.
    ///
    /// # Errors
    /// [`Invalid`] naming each field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let ids = [
            ("task_id", &self.task_id),
            ("retailer_id", &self.retailer_id),
            ("tenant_id", &self.tenant_id),
            ("adapter_id", &self.adapter_id),
        ];
        for (field, id) in ids {
            if let Some(id) = id {
                invalid.merge(domain::id::check(field, id));
            }
        }
        for (field, text) in [("title", &self.title), ("prompt", &self.prompt)] {
            if text.trim().is_empty() {
                invalid.add(field, "must not be empty");
            }
        }
        for (field, candidate) in [("candidate_a", &self.candidate_a), ("candidate_b", &self.candidate_b)] {
            if candidate.is_null() {
                invalid.add(field, "must not be null");
            }
        }
        if !(0..=MAX_PRIORITY).contains(&self.priority) {
            invalid.add("priority", format!("must be 0 to {MAX_PRIORITY}, not {}", self.priority));
        }
        if let Some(score) = self.uncertainty_score.filter(|score| !(0.0..=1.0).contains(score)) {
            invalid.add("uncertainty_score", format!("must be 0 to 1, not {score}"));
        }
        if let Some(n_judgments) = self.required_judgments.filter(|n_judgments| *n_judgments < 1) {
            invalid.add("required_judgments", format!("must be at least 1, not {n_judgments}"));
        }
        if let Some(most) = self.max_judgments.filter(|most| *most < self.required_judgments.unwrap_or(1)) {
            let least = self.required_judgments.unwrap_or(1);
            invalid.add("max_judgments", format!("must be at least required_judgments ({least}), not {most}"));
        }
        invalid.into_result()
    }
}

/// What an auto-check found about one candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check, such as `budget_adds_up`.
    pub check: String,
    /// The candidate's place: 0, 1, 2.
    #[serde(default)]
    pub candidate: usize,
    /// Whether the candidate passed.
    pub passed: bool,
    /// What was found, in a sentence for raters.
    #[serde(default)]
    pub message: String,
    /// Where in the candidate, such as `lines[2].spend`.
    #[serde(default)]
    pub place: Option<String>,
    /// Version of the check's rule; figures of different versions are not compared.
    #[serde(default)]
    pub version: i32,
    /// Which one checked: [`IN_PROCESS`] or [`EDGE_FUNCTION`].
    #[serde(default = "in_process")]
    pub checked_by: String,
}

/// The program itself checked.
pub const IN_PROCESS: &str = "in_process";

/// An Edge Function of the hosted project checked.
pub const EDGE_FUNCTION: &str = "edge_function";

fn in_process() -> String {
    IN_PROCESS.to_owned()
}

/// Answer to a [`NewTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// Id of the task, the caller's own if one was given.
    pub task_id: String,
    /// Where the task stands now.
    pub status: TaskStatus,
    /// What the auto-checks found, all candidates together.
    pub auto_checks: Vec<CheckResult>,
    /// `false` when the id existed already with equal content.
    pub created: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn smallest() -> Value {
        json!({"task_type": "plan_quality", "title": "Which plan?", "prompt": "Choose.", "candidate_a": {"n": 1}, "candidate_b": {"n": 2}})
    }

    #[test]
    fn smallest_task_gets_the_defaults() {
        let task: NewTask = serde_json::from_value(smallest()).unwrap();
        assert_eq!((task.priority, task.required_judgments, task.context_snippets.len()), (50, None, 0));
        task.check().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let mut body = smallest();
        body["candidate_d"] = json!({});
        assert!(serde_json::from_value::<NewTask>(body).unwrap_err().to_string().contains("candidate_d"));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let mut task: NewTask = serde_json::from_value(smallest()).unwrap();
        task.task_id = Some("a b".to_owned());
        task.title = " ".to_owned();
        task.candidate_b = Value::Null;
        task.priority = 101;
        task.uncertainty_score = Some(f64::NAN);
        task.required_judgments = Some(0);
        let fields: Vec<String> = task.check().unwrap_err().fields.into_iter().map(|f| f.field).collect();
        assert_eq!(fields, ["task_id", "title", "candidate_b", "priority", "uncertainty_score", "required_judgments"]);
    }
}
