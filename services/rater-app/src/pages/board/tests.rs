#![allow(clippy::unwrap_used)]
use serde_json::json;
use storage::types::{Json, Timestamp};

use super::*;

fn fact(rater: &str, task: &str, choice: &str) -> Fact {
    Fact {
        judgment_id: format!("{rater}-{task}"),
        task_id: task.to_owned(),
        rater_id: rater.to_owned(),
        choice: choice.to_owned(),
        display_order: Json(json!([0, 1])),
        active_ms: Some(60_000),
        is_escalated: false,
        matches_golden: None,
        expert_reviewed: false,
        expert_agrees: None,
        rubric_version: 1,
        created_at: Timestamp("2026-01-15T12:00:00Z".parse().unwrap()),
        task_type: "plan_quality".to_owned(),
        retailer_id: None,
        is_golden: false,
        title: "Which plan?".to_owned(),
        decision: None,
    }
}

fn golden(rater: &str, n: usize, is_right: bool) -> Fact {
    Fact { is_golden: true, matches_golden: Some(is_right), ..fact(rater, &format!("g{n}"), "candidate_a") }
}

fn noon() -> DateTime<Utc> {
    "2026-01-15T13:00:00Z".parse().unwrap()
}

#[test]
fn what_was_not_measured_is_said_and_not_zero() {
    let [quality, cost, blocked] = headlines(&[], Waiting { for_experts: 2, for_raters: 5 }, noon(), 28);
    assert_eq!((quality.value.as_str(), cost.value.as_str(), blocked.value.as_str()), ("–", "–", "2"));
    for note in [quality.note, cost.note, blocked.note] {
        assert!(note.contains("not defined because"), "{note}");
    }
}

#[test]
fn a_decision_costs_the_active_time_of_all_its_judgments() {
    let decided = |rater: &str, task: &str| Fact { decision: Some("candidate_a".to_owned()), ..fact(rater, task, "candidate_a") };
    // Two minutes on the first task and one on the second; the open task does not count.
    let facts = [decided("r1", "t1"), decided("r2", "t1"), decided("r1", "t2"), fact("r1", "t3", "tie")];
    let [_, cost, _] = headlines(&facts, Waiting::default(), noon(), 28);
    assert_eq!(cost.value, "1.5 min");
    // The standard deviation of 2 and 1 is 0.707, so 1.96 times its standard error is 0.98.
    assert!(cost.note.contains("0.5 to 2.5 min, n = 2"), "{}", cost.note);
}

#[test]
fn who_needs_attention_comes_first_however_little_they_did() {
    let mut facts: Vec<Fact> = (0..40).map(|n| golden("busy", n, true)).collect();
    facts.extend((0..25).map(|n| golden("weak", n, n < 10)));
    // Sixty choices of the left side: the interval leaves out one half.
    facts.extend((0..60).map(|n| fact("left", &format!("t{n}"), "candidate_a")));
    let rows = raters(&facts, &HashMap::new(), 0.85);
    let order: Vec<&str> = rows.iter().map(|row| row.rater_id.as_str()).collect();
    assert_eq!(order, ["weak", "left", "busy"]);
    assert!(rows[0].attention[0].contains("below 85 %") && rows[1].attention[0].contains("left side"));
    assert!(rows[2].attention.is_empty());
}

#[test]
fn a_perfect_record_is_not_a_bias_and_abstaining_is_not_disagreeing() {
    let decided = |choice: &str| Fact { decision: Some("candidate_a".to_owned()), ..fact("r", choice, choice) };
    let rows = places(&[decided("candidate_a"), decided("candidate_b"), decided("unsure")]);
    assert_eq!((rows[0].by, rows[0].differs.n, rows[0].differs.percent.as_str()), ("Task type", 2, "50 %"));
}

#[test]
fn a_new_rubric_is_said_with_its_date_and_a_single_one_is_not() {
    let later = |version: i32, at: &str| Fact {
        rubric_version: version,
        created_at: Timestamp(at.parse().unwrap()),
        ..fact("r", at, "candidate_a")
    };
    assert_eq!(version_note(&[fact("r", "t", "tie")]), None);
    let facts = [later(2, "2026-01-15T12:30:00Z"), later(2, "2026-01-15T12:10:00Z"), fact("r", "t", "tie")];
    assert!(version_note(&facts).unwrap().contains("rubric version 2 since 15 January 2026, 12:10"));
}
