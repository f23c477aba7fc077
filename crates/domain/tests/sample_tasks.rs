//! The golden items and open tasks that ship with Endcap: readable, unambiguous to the machine where it can tell, and as many as promised.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use domain::checks::{Finding, run};
use domain::rubric::reason_fits;
use domain::task::{Choice, Difficulty, TaskType};
use serde::Deserialize;
use serde_json::Value;
use strum::VariantArray;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    task: Task,
    golden: Golden,
}

/// The form of a task as rater-app takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    task_id: String,
    task_type: TaskType,
    retailer_id: Option<String>,
    title: String,
    prompt: String,
    context_snippets: Vec<Value>,
    candidate_a: Value,
    candidate_b: Value,
    #[serde(default)]
    candidate_c: Option<Value>,
    priority: i32,
    #[serde(default)]
    uncertainty_score: Option<f64>,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    expert_choice: Choice,
    expert_reasons: Vec<String>,
    expert_rationale: String,
    difficulty_level: Difficulty,
    edge_case_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    task: Task,
}

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../deploy/sample-data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn golden() -> Vec<Entry> {
    serde_json::from_str(&file("golden.json")).unwrap()
}

fn open() -> Vec<Open> {
    serde_json::from_str(&file("tasks.json")).unwrap()
}

fn findings(task: &Task) -> Vec<Finding> {
    let candidates: Vec<&Value> = [&task.candidate_a, &task.candidate_b].into_iter().chain(&task.candidate_c).collect();
    run(task.task_type, &task.context_snippets, &task.prompt, &candidates)
}

fn n_passed(findings: &[Finding], candidate: usize) -> usize {
    findings.iter().filter(|f| f.candidate == candidate && f.passed).count()
}

fn failed(findings: &[Finding], candidate: usize) -> Vec<&Finding> {
    findings.iter().filter(|f| f.candidate == candidate && !f.passed).collect()
}

#[test]
fn ids_are_unique_and_texts_are_there() {
    let (golden, open) = (golden(), open());
    let mut ids = BTreeSet::new();
    let tasks = golden.iter().map(|e| ("tsk_gold_", &e.task)).chain(open.iter().map(|e| ("tsk_demo_", &e.task)));
    for (prefix, task) in tasks {
        let id = &task.task_id;
        domain::id::check("task_id", id).unwrap();
        assert!(id.starts_with(prefix) && ids.insert(id.clone()), "{id} is there twice or begins otherwise");
        assert!(task.title.len() > 3 && task.prompt.len() > 20 && !task.context_snippets.is_empty() && !task.source.is_empty(), "{id}");
        assert!(matches!(task.retailer_id.as_deref(), None | Some("rtl-grocer-cj" | "rtl-fashion-zz")), "{id}: {:?}", task.retailer_id);
        assert!((0..=100).contains(&task.priority) && task.uncertainty_score.is_none_or(|score| (0.0..=1.0).contains(&score)), "{id}");
        assert!(task.context_snippets.iter().all(|s| s["kind"].is_string() && s["title"].is_string()), "{id}");
        assert_ne!(task.candidate_a, task.candidate_b, "{id}");
    }
}

#[test]
fn there_are_enough_of_every_kind() {
    let (golden, open) = (golden(), open());
    assert!(golden.len() >= 30 && open.len() >= 36, "{} golden, {} open", golden.len(), open.len());
    for task_type in TaskType::VARIANTS {
        assert!(golden.iter().filter(|e| e.task.task_type == *task_type).count() >= 5, "golden {task_type}");
        assert!(open.iter().filter(|e| e.task.task_type == *task_type).count() >= 6, "open {task_type}");
    }
    let mut choices: BTreeMap<String, i32> = BTreeMap::new();
    for entry in &golden {
        *choices.entry(entry.golden.expert_choice.to_string()).or_default() += 1;
    }
    assert!(choices["tie"] >= 2 && choices["both_bad"] >= 2, "{choices:?}");
    assert!((choices["candidate_a"] - choices["candidate_b"]).abs() <= 2, "the right side is not balanced: {choices:?}");
    for difficulty in Difficulty::VARIANTS {
        assert!(golden.iter().any(|e| e.golden.difficulty_level == *difficulty), "{difficulty}");
    }
}

#[test]
fn expert_answers_are_explained_by_the_rubric() {
    for entry in golden() {
        let (id, golden) = (&entry.task.task_id, &entry.golden);
        assert!(!golden.expert_reasons.is_empty() && golden.expert_rationale.len() > 20, "{id}");
        for reason in &golden.expert_reasons {
            assert!(
                reason_fits(entry.task.task_type, golden.expert_choice, reason),
                "{id}: {reason} does not fit {}",
                golden.expert_choice
            );
        }
        if let Some(place) = golden.expert_choice.candidate() {
            assert!(place < 2 + usize::from(entry.task.candidate_c.is_some()), "{id}");
        }
    }
}

#[test]
fn the_checks_agree_with_the_expert_where_they_can_see() {
    for entry in golden() {
        let (id, found) = (&entry.task.task_id, findings(&entry.task));
        match entry.golden.expert_choice.candidate() {
            Some(better) => {
                assert!(failed(&found, better).is_empty(), "{id}: the expert's choice fails {:?}", failed(&found, better));
                if entry.golden.edge_case_type.as_deref() != Some("checks_blind") {
                    let worse = 1 - better;
                    assert!(n_passed(&found, better) >= n_passed(&found, worse), "{id}: {found:?}");
                }
            }
            None if entry.golden.expert_choice == Choice::BothBad => {
                assert!((0..2).all(|candidate| !failed(&found, candidate).is_empty()), "{id}: no check finds what is wrong: {found:?}");
            }
            None => assert!((0..2).all(|candidate| failed(&found, candidate).is_empty()), "{id}: {found:?}"),
        }
    }
}

#[test]
fn open_tasks_are_judged_by_people_not_by_the_machine() {
    for entry in open() {
        let found = findings(&entry.task);
        assert!(found.len() >= 4, "{}: {found:?}", entry.task.task_id);
        assert!(failed(&found, 0).is_empty(), "{}: {found:?}", entry.task.task_id);
    }
}
