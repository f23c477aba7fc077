//! Feedback that people gave on a page of another service: it goes to the RLHF backend, which keeps all feedback.

use chrono::{DateTime, Utc};
use domain::feedback::FeedbackType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where rlhf-backend takes a [`GivenFeedback`] (POST, private listener).
pub const PATH: &str = "/internal/v1/feedback";

/// One piece of feedback. The kinds that need a second text are given on the backend's own pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenFeedback {
    /// Id of the event; the receiver stores once per id, so repeating is safe.
    pub event_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The brand it is about.
    #[serde(default)]
    pub brand_id: Option<String>,
    /// Who gave it.
    pub user_id: String,
    /// Kind of output, such as `plan_quality`.
    pub task_type: String,
    /// What the software was asked.
    pub prompt: String,
    /// What it answered.
    pub model_output: String,
    /// The kind of feedback.
    pub feedback_type: FeedbackType,
    /// 1 to 5, for ratings.
    #[serde(default)]
    pub rating: Option<i32>,
    /// A comment and what the feedback is on: an object.
    pub metadata: Value,
    /// What belongs together, such as a plan set.
    #[serde(default)]
    pub session_id: Option<String>,
    /// When it was given.
    pub given_at: DateTime<Utc>,
}

/// Answer to a [`GivenFeedback`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackTaken {
    /// The event that was taken.
    pub event_id: String,
    /// The stored feedback.
    pub feedback_id: String,
    /// Whether it had been stored before; nothing was done this time.
    pub duplicate: bool,
}

/// What a plan was asked for, as the prompt of feedback on it: the same text wherever the feedback is given, so that texts for the same
/// request are found together, and JSON, so that training reads objective and budget as the context.
#[must_use]
pub fn plan_prompt(campaign_name: &str, objective: Option<&str>, budget_micros: i64, currency: &str, horizon_days: i32) -> String {
    pretty(&json!({
        "campaign_name": campaign_name, "objective": objective, "budget": domain::money::format_micros(budget_micros),
        "currency": currency, "horizon_days": horizon_days,
    }))
}

/// A plan as the output that feedback is on: the form in which plans are judged and scored, so that feedback and judgments teach about the
/// same text.
#[must_use]
pub fn plan_output(plan: &Value) -> String {
    pretty(plan.get("judged_form").unwrap_or(plan))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
