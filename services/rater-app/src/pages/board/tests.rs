//! What the statistics board says of a handful of judgments.

#![allow(clippy::unwrap_used)]
use serde_json::json;
use storage::types::{Json, Timestamp};

use super::*;

fn fact(rater: &str, task: &str, choice: &str) -> Fact {
    Fact {
        id: 0,
        judgment_id: format!("{rater}-{task}"),
        task_id: task.to_owned(),
        rater_id: rater.to_owned(),
        choice: choice.to_owned(),
        display_order: Json(json!([0, 1])),
        active_ms: Some(60_000),
        is_escalated: false,
        matches_golden: None,
        in_calibration: false,
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
fn nobody_is_accused_by_a_few_answers_or_by_calibration() {
    // One wrong answer of one: who is right 85 % of the time has that with 15 % chance.
    let rows = raters(&[golden("new", 0, false)], &HashMap::new(), 0.85);
    assert_eq!((rows[0].attention.len(), rows[0].golden.as_ref().unwrap().n), (0, 1));
    // Nineteen answers are fewer than what the page leans on; twenty are enough.
    let wrong = |n: usize| -> Vec<Fact> { (0..n).map(|n| golden("r", n, n % 2 == 0)).collect() };
    assert!(raters(&wrong(19), &HashMap::new(), 0.85)[0].attention.is_empty());
    assert!(raters(&wrong(20), &HashMap::new(), 0.85)[0].attention[0].contains("n = 20, p < 0.001"));
    let taught: Vec<Fact> = wrong(40).into_iter().map(|fact| Fact { in_calibration: true, ..fact }).collect();
    let row = &raters(&taught, &HashMap::new(), 0.85)[0];
    assert_eq!((row.attention.len(), row.golden.is_none()), (0, true));
    let [quality, ..] = headlines(&taught, Waiting::default(), noon(), 28);
    assert_eq!(quality.value, "–", "calibration says nothing of quality held");
}

#[test]
fn one_alarm_among_many_raters_needs_more_than_among_few() {
    // 14 of 20 at 85 %: P(X <= 14) is 0.067 for 14 and 0.022 for 13 (binomial table).
    let of = |rater: &str, right: usize| -> Vec<Fact> { (0..20).map(|n| golden(rater, n, n < right)).collect() };
    let mut facts = of("low", 13);
    assert!(raters(&facts, &HashMap::new(), 0.85)[0].attention[0].contains("p = 0.022"));
    for other in ["a", "b", "c"] {
        facts.extend(of(other, 18));
    }
    assert!(raters(&facts, &HashMap::new(), 0.85).iter().all(|row| row.attention.is_empty()), "4 times 0.022 is over 0.05");
}

#[test]
fn a_perfect_record_is_not_a_bias_and_abstaining_is_not_disagreeing() {
    let decided = |choice: &str| Fact { decision: Some("candidate_a".to_owned()), ..fact("r", choice, choice) };
    let rows = places(&[decided("candidate_a"), decided("candidate_b"), decided("unsure")]);
    assert_eq!((rows[0].by.title(), rows[0].differs.n, rows[0].differs.percent.as_str()), ("Task type", 2, "50 %"));
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
