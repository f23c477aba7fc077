//! No problem holds a processor for long: work is bounded, and the answer says where the bound cut
//! a proof short.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use planning::optimizer::problem::Problem;
use planning::optimizer::work::Work;
use planning::optimizer::{Status, conflict, report, solve};
use serde_json::{Value, json};

/// Longest time until an answer over HTTP begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines (S-shaped where the shape is above 1) whose shares and least return cannot hold together, with many limits
/// beside them.
fn contradictory(lines: usize, audiences: usize, step: Option<f64>, most_alpha: f64) -> Value {
    let arms: Vec<Value> = (0..lines)
        .map(|at| {
            let spread = (at * 7_919 % 1_000) as f64 / 1_000.0;
            let placement = ["search", "display", "video"][at % 3];
            json!({"id": format!("line-{at}"), "beta": 500.0 + 3_000.0 * spread, "alpha": most_alpha - 0.7 * ((at * 31 % 97) as f64 / 97.0),
                "k": 100.0 + 700.0 * spread, "min": if at % 5 == 0 { 3.0 } else { 0.0 }, "max": 400.0 + spread,
                "placement": placement, "audience": format!("audience-{}", at % audiences)})
        })
        .collect();
    let mut limits: Vec<Value> = (0..audiences)
        .map(|at| json!({"by": "audience", "of": format!("audience-{at}"), "min_share": 0.5 / audiences as f64, "max_share": 3.0 / audiences as f64}))
        .collect();
    limits.push(json!({"by": "placement", "of": "search", "min_share": 0.6}));
    limits.push(json!({"by": "placement", "of": "display", "min_share": 0.3}));
    json!({"budget": 60.0 * lines as f64, "spend_all": true, "min_roas": 9.5, "step": step, "limits": limits, "arms": arms})
}

fn read(value: &Value) -> Problem {
    Problem::from_json(&value.to_string()).unwrap()
}

#[test]
fn a_large_contradiction_is_explained_within_the_bound() {
    for (lines, audiences, step) in [(10_000, 190, None), (3_000, 12, Some(0.01))] {
        let began = Instant::now();
        let solution = solve(&read(&contradictory(lines, audiences, step, 2.0))).unwrap();
        assert!(began.elapsed() < PATIENCE, "{lines} lines took {:?}", began.elapsed());
        assert_eq!(solution.status, Status::Infeasible);
        assert!(!solution.conflict.is_empty());
        // Either there is a way out, or the answer says why there is none.
        assert!(!solution.relaxation.is_empty() || solution.relaxation_reason.is_some(), "{:?}", solution.conflict);
    }
}

#[test]
fn little_work_gives_less_proof_and_says_so() {
    let problem = read(&contradictory(300, 10, None, 1.0));
    let program = problem.program();
    let plenty = Work::for_explaining(&program);
    let full = conflict::explain(&program, &plenty).unwrap();
    assert!(full.is_irreducible && !plenty.is_used_up(), "{:?}", full.words);
    let scarce = Work::up_to(plenty.done() / 3);
    let part = conflict::explain(&program, &scarce).unwrap();
    assert!(!part.is_irreducible && part.words.len() >= full.words.len(), "{:?}", part.words);
    // One question may end a little late: what it cost last is over, not what it would have cost.
    assert!(scarce.done() < scarce.most() + scarce.most() / 4, "{} of {}", scarce.done(), scarce.most());

    let plenty = Work::for_explaining(&program);
    let ways = report::relax(&problem, &full.rows, &plenty);
    assert!(!plenty.is_used_up() && ways.ways.iter().any(|way| way.is_smallest), "{ways:?}");
    let scarce = Work::up_to(plenty.done() / 10);
    let fewer = report::relax(&problem, &full.rows, &scarce);
    let is_open = fewer.reason.as_ref().is_some_and(|reason| reason.contains("bound on work"));
    assert!(is_open || fewer.ways.iter().any(|way| !way.is_smallest), "{fewer:?}");
    assert!(scarce.done() < 2 * scarce.most(), "{} of {}", scarce.done(), scarce.most());
    // A move that is not the smallest is enough all the same.
    for way in &fewer.ways {
        let mut moved = program.clone();
        for change in &way.changes {
            moved.rows.iter_mut().filter(|row| row.name == change.constraint).for_each(|row| row.move_to(change.to));
        }
        assert_eq!(planning::optimizer::branch::is_possible(&moved, &Work::for_explaining(&moved)), Some(true), "{}", way.text);
    }
}

#[test]
fn steps_far_smaller_than_the_budget_do_not_count_one_by_one() {
    let arms: Vec<Value> =
        (0..40).map(|at| json!({"id": format!("line-{at}"), "beta": 4e9, "alpha": 1.0, "k": 1e8 * f64::from(at + 1)})).collect();
    let began = Instant::now();
    let solution = solve(&read(&json!({"budget": 1e9, "step": 0.01, "spend_all": true, "arms": arms}))).unwrap();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let total: f64 = solution.allocation.values().sum();
    assert!(solution.status != Status::Infeasible && (total - 1e9).abs() < 1.0, "{total}");
    assert!(solution.gap.unwrap() <= 1e-6, "{:?}", solution.gap);
}

#[test]
fn many_limits_do_not_hold_the_search() {
    let mut problem = contradictory(2_000, 190, None, 2.0);
    problem["min_roas"] = Value::Null;
    problem["limits"].as_array_mut().unwrap().truncate(190);
    let members = |at: usize| (0..2_000).filter(|arm| (arm * 13 + at * 7) % 40 < 3).collect::<Vec<usize>>();
    let groups: Vec<Value> =
        (0..200).map(|at| json!({"name": format!("g{at}"), "arms": members(at), "max": 10_000.0, "min": 100.0})).collect();
    problem["groups"] = json!(groups);
    let began = Instant::now();
    let solution = solve(&read(&problem)).unwrap();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(solution.status != Status::Infeasible, "{:?}", solution.conflict);
}
