//! What is said of candidates when no reward model can score: the automatic checks of their kind of task, which every candidate can be put to.
//! They tell broken from sound, not good from better.

use domain::task::TaskType;
use peers::score::{Contribution, ScoreRequest, ScoreResponse};
use peers::tasks::CheckResult;
use serde_json::Value;

/// Failed checks named in an explanation, per candidate.
const EXPLAINED: usize = 8;

/// Scores each candidate with the checks it fails, 1 off the log-odds for each; `reason` says why no model took part. Checks that the request
/// brings are believed; without them they are run here.
#[must_use]
pub fn score(request: &ScoreRequest, reason: String) -> ScoreResponse {
    let failed: Vec<Vec<String>> = match request.checks.is_empty() {
        true => request.candidates.iter().map(|candidate| failures(request.task_type, &request.context, candidate)).collect(),
        false => request.checks.iter().map(|checks| failed_of(checks)).collect(),
    };
    let scores: Vec<f64> = failed.iter().map(|failed| 0.0 - failed.len() as f64).collect();
    let win = |own: f64, other: f64| 1.0 / (1.0 + (other - own).exp());
    ScoreResponse {
        win_probabilities: scores.iter().map(|own| scores.iter().map(|other| win(*own, *other)).collect()).collect(),
        explanation: failed.into_iter().map(explain).collect(),
        scores,
        ..ScoreResponse::without_model(request.candidates.len(), reason)
    }
}

fn failures(task_type: TaskType, context: &Value, candidate: &Value) -> Vec<String> {
    let context = match context {
        Value::Null => &[],
        Value::Array(snippets) => snippets.as_slice(),
        one => std::slice::from_ref(one),
    };
    let findings = domain::checks::run(task_type, context, "", &[candidate]);
    findings.into_iter().filter(|finding| !finding.passed).map(|finding| finding.check.to_owned()).collect()
}

fn failed_of(checks: &[CheckResult]) -> Vec<String> {
    checks.iter().filter(|check| !check.passed).map(|check| check.check.clone()).collect()
}

fn explain(failed: Vec<String>) -> Vec<Contribution> {
    let one = |check: String| Contribution { feature: format!("failed check {check}"), value: 1.0, contribution: -1.0 };
    failed.into_iter().take(EXPLAINED).map(one).collect()
}
