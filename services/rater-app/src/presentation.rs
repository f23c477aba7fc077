//! What a rater sees of a task: candidates in the assignment's own order, with nothing that tells where they come from or
//! whether the answer is known. No I/O.

use domain::checks::catalogue;
use domain::role::Role;
use domain::rubric::{self, Reason};
use domain::task::{CONFIDENCE_WORDS, Choice, TaskType};
use serde_json::{Map, Value, json};
use storage::tasks::Task;

use crate::dispatch::Given;
use crate::queue::Part;

/// `candidate_a` for place 0.
#[must_use]
pub fn key_of_place(place: usize) -> &'static str {
    match place {
        0 => "candidate_a",
        1 => "candidate_b",
        _ => "candidate_c",
    }
}

/// A choice in the stored order, as this assignment showed it.
#[must_use]
pub fn as_shown(choice: Choice, display_order: &[usize]) -> Choice {
    let shown = choice.candidate().and_then(|stored| display_order.iter().position(|place| *place == stored));
    shown.and_then(Choice::of_candidate).unwrap_or(choice)
}

/// An assignment with its task in the blind order: what `POST /v1/assignments/next` answers.
#[must_use]
pub fn assignment(given: &Given) -> Value {
    let Given { assignment, task, why } = given;
    let order = assignment.order();
    let stored = task.candidates();
    let task_type: Option<TaskType> = task.task_type.parse().ok();
    let mut shown = Map::new();
    for (place, from) in order.iter().enumerate() {
        shown.insert(key_of_place(place).to_owned(), stored.get(*from).cloned().map(without_origin).unwrap_or_default());
    }
    let mut view = json!({
        "task_type": task.task_type,
        "task_type_title": task_type.map(TaskType::title),
        "title": task.title,
        "prompt": task.prompt,
        "context_snippets": context(&task.context_snippets),
        "candidate_count": order.len(),
        "checks": checks(task_type, &task.auto_checks, &order),
        "rubric": task.rubric_checklist,
        "reasons": task_type.map(|task_type| reasons(task_type, order.len())),
        "guideline": task_type.map(|task_type| rubric::rubric(task_type).guideline),
        "example": task_type.map(|task_type| rubric::rubric(task_type).example),
    });
    if let Some(view) = view.as_object_mut() {
        view.extend(shown);
    }
    json!({
        "assignment_id": assignment.assignment_id,
        "purpose": if assignment.purpose == "calibration" { "calibration" } else { "work" },
        "lease_expires_at": assignment.expires_at,
        "leased_at": assignment.leased_at,
        "draft": assignment.draft,
        "confidence_words": CONFIDENCE_WORDS.map(|(word, value)| json!({"word": word, "value": value})),
        "why": words_of(why),
        "why_parts": parts_of(why),
        "task": view,
    })
}

/// A task for those who own or review it, in the stored order. Only reviewers learn which tasks are golden; where candidates come from is
/// not shown to experts, nor of golden items to any reviewer, because their answer is to be an opinion of the candidates alone.
#[must_use]
pub fn task_for_owner(task: &Task, role: Role) -> Value {
    let is_blind = role == Role::Expert || (role.may_review() && task.is_golden);
    let shown = |candidate: &Value| if is_blind { without_origin(candidate.clone()) } else { candidate.clone() };
    let snippets = if is_blind { Value::Array(context(&task.context_snippets)) } else { task.context_snippets.0.clone() };
    let mut view = json!({
        "task_id": task.task_id,
        "tenant_id": task.tenant_id,
        "task_type": task.task_type,
        "status": task.status,
        "retailer_id": task.retailer_id,
        "adapter_id": task.adapter_id,
        "title": task.title,
        "prompt": task.prompt,
        "context_snippets": snippets,
        "candidate_a": shown(&task.candidate_a),
        "candidate_b": shown(&task.candidate_b),
        "candidate_c": task.candidate_c.as_deref().map(shown),
        "auto_checks": task.auto_checks,
        "rubric_checklist": task.rubric_checklist,
        "reason_codes": task.reason_codes,
        "priority": task.priority,
        "uncertainty_score": task.uncertainty_score,
        "required_judgments": task.required_judgments,
        "judgments_count": task.judgments_count,
        "source": task.source,
        "assigned_at": task.assigned_at,
        "completed_at": task.completed_at,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
    });
    if let Some(view) = view.as_object_mut().filter(|_| role.may_review()) {
        view.insert("is_golden".to_owned(), json!(task.is_golden));
        view.insert("golden_choice".to_owned(), json!(task.golden_choice));
        view.insert("golden_reasons".to_owned(), json!(task.golden_reasons));
    }
    view
}

/// Members that tell where a candidate comes from, or what a machine thinks of it.
const ORIGINS: [&str; 8] = ["origin", "model", "model_id", "model_name", "provider", "adapter_id", "generated_by", "score"];

/// A candidate without what tells where it comes from.
#[must_use]
pub fn without_origin(mut candidate: Value) -> Value {
    if let Some(candidate) = candidate.as_object_mut() {
        candidate.retain(|name, _| !ORIGINS.contains(&name.as_str()));
    }
    candidate
}

/// Context without origins, and without what is meant for the machine alone: the expected answer of a tricky input.
#[must_use]
pub fn context(snippets: &Value) -> Vec<Value> {
    let mut snippets = snippets.as_array().cloned().unwrap_or_default();
    for snippet in snippets.iter_mut().filter_map(Value::as_object_mut) {
        snippet.retain(|name, _| name != "expects" && !ORIGINS.contains(&name.as_str()));
    }
    snippets
}

/// Findings with their candidate in the place where it is shown, by place; failed ones with the check's rule in words.
fn checks(task_type: Option<TaskType>, findings: &Value, order: &[usize]) -> Vec<Value> {
    let mut shown: Vec<(usize, Value)> = findings
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finding| {
            let stored = usize::try_from(finding.get("candidate")?.as_u64()?).ok()?;
            let place = order.iter().position(|from| *from == stored)?;
            let mut finding = finding.as_object()?.clone();
            finding.insert("candidate".to_owned(), json!(key_of_place(place)));
            let name = finding.get("check").and_then(Value::as_str).filter(|_| finding.get("passed") == Some(&Value::Bool(false)));
            if let Some(check) = task_type.zip(name).and_then(|(task_type, name)| catalogue::find(task_type, name)) {
                finding.insert("rule".to_owned(), json!(check.rule));
            }
            Some((place, Value::Object(finding)))
        })
        .collect();
    shown.sort_by_key(|(place, _)| *place);
    shown.into_iter().map(|(_, finding)| finding).collect()
}

fn reasons(task_type: TaskType, n_candidates: usize) -> Value {
    let of = |choice: Choice| -> Vec<Reason> {
        rubric::rubric(task_type).reasons.iter().filter(|reason| rubric::is_offered(reason.side, choice)).copied().collect()
    };
    let better = of(Choice::CandidateA);
    let mut by_choice: Map<String, Value> = (0..n_candidates).map(|place| (key_of_place(place).to_owned(), json!(better))).collect();
    for choice in [Choice::Tie, Choice::BothBad, Choice::Unsure] {
        by_choice.insert(choice.as_ref().to_owned(), json!(of(choice)));
    }
    Value::Object(by_choice)
}

/// The parts of the score, without the value of the rater's skill: it changes with each golden item, and would tell which was one. Ages in
/// whole hours and uncertainties in tenths, so that a golden item and the task that it stands for are not told by one figure of both.
fn parts_of(why: &[Part]) -> Vec<Value> {
    let rounded = |value: f64, steps: f64| (value * steps).round() / steps;
    why.iter()
        .map(|part| {
            let value = match part.name {
                "skill" => None,
                "age" => Some(rounded(part.value, 24.0)),
                "uncertainty" => Some(rounded(part.value, 10.0)),
                _ => Some(part.value),
            };
            json!({"name": part.name, "weight": part.weight, "value": value, "words": part.words})
        })
        .collect()
}

/// Why this task, in words that are the same for work and for golden items among it.
fn words_of(why: &[Part]) -> String {
    if why.is_empty() {
        return "Calibration: an expert has answered this one; you see the expert's answer after yours.".to_owned();
    }
    let words: Vec<&str> = why.iter().filter(|part| part.weight > 0.0).map(|part| part.words.as_str()).collect();
    format!("Next in the queue for you: {}. You have not judged it yet.", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_and_stored_choices_are_inverse() {
        for order in [vec![0, 1], vec![1, 0], vec![2, 0, 1], vec![1, 2, 0]] {
            for place in 0..order.len() {
                let stored = Choice::of_candidate(place).unwrap_or(Choice::Tie);
                assert_eq!(as_shown(stored, &order).unblind(&order), Some(stored), "{order:?}");
            }
            assert_eq!(as_shown(Choice::BothBad, &order), Choice::BothBad);
        }
    }

    #[test]
    fn findings_follow_their_candidate() {
        let findings = json!([{"check": "x", "candidate": 0, "passed": true}, {"check": "x", "candidate": 1, "passed": false}]);
        let shown = checks(Some(TaskType::TaggingNormalization), &findings, &[1, 0]);
        assert_eq!(shown[0], json!({"check": "x", "candidate": "candidate_a", "passed": false}));
        assert_eq!(shown[1], json!({"check": "x", "candidate": "candidate_b", "passed": true}));
    }

    #[test]
    fn a_failed_finding_comes_with_its_rule() {
        let findings =
            json!([{"check": "snake_case", "candidate": 0, "passed": true}, {"check": "snake_case", "candidate": 1, "passed": false}]);
        let shown = checks(Some(TaskType::TaggingNormalization), &findings, &[0, 1]);
        assert!(shown[0].get("rule").is_none());
        assert!(shown[1]["rule"].as_str().is_some_and(|rule| rule.contains("small letters")));
    }

    #[test]
    fn nobody_reads_where_a_candidate_comes_from() {
        let candidate = json!({"text": "Fresh", "origin": "model-1", "model": "m", "score": 0.3});
        assert_eq!(without_origin(candidate), json!({"text": "Fresh"}));
        assert_eq!(without_origin(json!("plain")), json!("plain"));
    }

    #[test]
    fn the_expected_answer_stays_with_the_machine() {
        let snippets = json!([{"kind": "input", "input": "…", "expects": {"mentions": ["not measured"]}}]);
        assert_eq!(context(&snippets), vec![json!({"kind": "input", "input": "…"})]);
    }
}
