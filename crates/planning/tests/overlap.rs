//! Many limits that overlap on the same lines, against a greedy rule that any planner could follow
//! by hand and against the proven bound.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::optimizer::problem::Problem;
use planning::optimizer::{Solution, Status, solve};
use serde_json::{Value, json};

/// Numbers from 0 to 1 that look random and are the same each time (SplitMix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }
}

/// `lines` lines under `caps` caps, each over `members` lines that are drawn.
fn overlapping(seed: u64, lines: usize, caps: usize, members: usize, alpha: (f64, f64)) -> Value {
    let mut draw = Draw(seed);
    let arms: Vec<Value> = (0..lines)
        .map(|at| {
            json!({"id": format!("line-{at}"), "beta": draw.between(200.0, 3_000.0), "alpha": draw.between(alpha.0, alpha.1),
                "k": draw.between(50.0, 900.0), "max": draw.between(200.0, 900.0)})
        })
        .collect();
    let groups: Vec<Value> = (0..caps)
        .map(|cap| {
            let mut chosen: Vec<usize> = (0..members).map(|_| (draw.next() * lines as f64) as usize).collect();
            chosen.sort_unstable();
            chosen.dedup();
            json!({"name": format!("cap-{cap}"), "max": draw.between(20.0, 90.0) * chosen.len() as f64, "arms": chosen})
        })
        .collect();
    json!({"budget": 120.0 * lines as f64, "arms": arms, "groups": groups})
}

fn respond(arm: &Value, x: f64) -> f64 {
    let number = |key: &str| arm[key].as_f64().unwrap();
    let power = (x / number("k")).powf(number("alpha"));
    number("beta") * power / (1.0 + power)
}

/// Money in portions, each to the line that earns most for it and has room under its caps. A portion
/// may be larger, so that S-shaped lines get beyond their slow beginning.
fn greedy(problem: &Value, smallest: f64) -> f64 {
    let arms = problem["arms"].as_array().unwrap();
    let groups = problem["groups"].as_array().unwrap();
    let mut rooms: Vec<f64> = groups.iter().map(|group| group["max"].as_f64().unwrap()).collect();
    rooms.push(problem["budget"].as_f64().unwrap());
    let mut under = vec![vec![groups.len()]; arms.len()];
    for (at, group) in groups.iter().enumerate() {
        group["arms"].as_array().unwrap().iter().for_each(|arm| under[arm.as_u64().unwrap() as usize].push(at));
    }
    let mut spend = vec![0.0; arms.len()];
    loop {
        let mut best = (0.0, 0, 0.0);
        for (at, arm) in arms.iter().enumerate() {
            let room = under[at].iter().map(|&row| rooms[row]).fold(arm["max"].as_f64().unwrap() - spend[at], f64::min);
            let held = respond(arm, spend[at]);
            for portion in [smallest, 50.0, 150.0, 400.0] {
                let rate = (respond(arm, spend[at] + portion) - held) / portion;
                if portion <= room && rate > best.0 {
                    best = (rate, at, portion);
                }
            }
        }
        let (rate, at, portion) = best;
        if rate <= 0.0 {
            return arms.iter().zip(&spend).map(|(arm, &x)| respond(arm, x)).sum();
        }
        spend[at] += portion;
        under[at].iter().for_each(|&row| rooms[row] -= portion);
    }
}

/// Solves, and checks the answer by the problem alone.
fn solved(problem: &Value) -> Solution {
    let solution = solve(&Problem::from_json(&problem.to_string()).unwrap()).unwrap();
    if solution.status == Status::Infeasible {
        return solution;
    }
    let arms = problem["arms"].as_array().unwrap();
    let spend: Vec<f64> = arms.iter().map(|arm| solution.allocation[arm["id"].as_str().unwrap()]).collect();
    let earned: f64 = arms.iter().zip(&spend).map(|(arm, &x)| respond(arm, x)).sum();
    assert!((earned - solution.objective.unwrap()).abs() <= 1e-9 * earned);
    for group in problem["groups"].as_array().unwrap() {
        let most = group["max"].as_f64().unwrap();
        let total: f64 = group["arms"].as_array().unwrap().iter().map(|arm| spend[arm.as_u64().unwrap() as usize]).sum();
        assert!(total <= most * (1.0 + 1e-7), "{}: {total} of {most}", group["name"]);
    }
    assert!(spend.iter().sum::<f64>() <= problem["budget"].as_f64().unwrap() * (1.0 + 1e-7));
    solution
}

#[test]
fn concave_lines_under_many_overlapping_caps_are_solved_to_the_optimum() {
    for (seed, lines, caps, members) in [(1, 300, 30, 30), (2, 300, 30, 30), (3, 100, 30, 20), (4, 60, 60, 15), (5, 1_000, 150, 60)] {
        let problem = overlapping(seed, lines, caps, members, (0.4, 1.0));
        let solution = solved(&problem);
        let (objective, by_hand) = (solution.objective.unwrap(), greedy(&problem, if lines > 300 { 25.0 } else { 5.0 }));
        assert!(objective >= by_hand, "{lines} x {caps}: {objective} is below the greedy's {by_hand}");
        assert!(solution.gap.unwrap() <= 1e-6 && solution.status == Status::Optimal, "{lines} x {caps}: gap {:?}", solution.gap);
        let binding = solution.constraints.iter().filter(|row| row.shadow_price > 0.0).count();
        assert!(binding > 3, "{lines} x {caps}: only {binding} limits have a price, so this tests little");
    }
}

#[test]
fn s_shaped_lines_under_many_overlapping_caps_beat_the_greedy_with_a_small_gap() {
    for (seed, lines, caps, members) in [(11, 300, 30, 30), (12, 100, 30, 20), (13, 1_000, 100, 40)] {
        let problem = overlapping(seed, lines, caps, members, (0.7, 3.0));
        let solution = solved(&problem);
        let (objective, by_hand) = (solution.objective.unwrap(), greedy(&problem, if lines > 300 { 25.0 } else { 5.0 }));
        assert!(objective >= by_hand, "{lines} x {caps}: {objective} is below the greedy's {by_hand}");
        assert!(solution.gap.unwrap() <= 0.015, "{lines} x {caps}: gap {:?}", solution.gap);
    }
}

#[test]
fn steps_under_many_overlapping_caps_beat_the_greedy_in_the_same_steps() {
    for (seed, alpha) in [(21, (0.4, 1.0)), (22, (0.7, 3.0))] {
        let mut problem = overlapping(seed, 150, 30, 25, alpha);
        problem["step"] = json!(5.0);
        let solution = solved(&problem);
        let (objective, by_hand) = (solution.objective.unwrap(), greedy(&problem, 5.0));
        assert!(objective >= by_hand, "{alpha:?}: {objective} is below the greedy's {by_hand}");
        assert!(solution.gap.unwrap() <= 0.02, "{alpha:?}: gap {:?}", solution.gap);
    }
}

#[test]
fn minimums_and_a_budget_that_is_spent_whole_hold_under_many_caps() {
    let mut problem = overlapping(31, 300, 30, 30, (0.4, 1.0));
    problem["spend_all"] = json!(true);
    problem["budget"] = json!(15_000.0);
    for group in problem["groups"].as_array_mut().unwrap().iter_mut().step_by(2) {
        group["min"] = json!(0.5 * group["max"].as_f64().unwrap());
    }
    let solution = solved(&problem);
    assert_eq!(solution.status, Status::Optimal, "gap {:?}", solution.gap);
    let total: f64 = solution.allocation.values().sum();
    assert!((total - 15_000.0).abs() <= 1e-3, "{total}");
    assert!(solution.constraints.iter().all(|row| row.slack.unwrap() >= -1e-3), "{:?}", solution.constraints);
}

/// A problem whose groups leave hardly any room around a known allocation.
fn around_a_point(seed: u64, lines: usize, groups: usize, step: Option<f64>) -> Value {
    let mut draw = Draw(seed);
    let mut known = Vec::new();
    let arms: Vec<Value> = (0..lines)
        .map(|at| {
            let steps = (draw.next() * 12.0).floor();
            known.push(step.map_or(40.0 * steps, |step| step * steps));
            json!({"id": format!("line-{at}"), "beta": draw.between(200.0, 3_000.0), "alpha": draw.between(0.3, 4.0), "k": draw.between(50.0, 900.0),
                "max": 900.0})
        })
        .collect();
    // Whole steps need room for a few of them.
    let slack = if step.is_some() { 0.1 } else { 0.02 };
    let groups: Vec<Value> = (0..groups)
        .map(|at| {
            let members: Vec<usize> = (0..lines).filter(|_| draw.next() < 0.4).collect();
            let total: f64 = members.iter().map(|&arm| known[arm]).sum();
            let (min, max) = (total * draw.between(1.0 - slack, 1.0), total * draw.between(1.0, 1.0 + slack));
            json!({"name": format!("g{at}"), "arms": members, "min": min, "max": max})
        })
        .collect();
    json!({"budget": known.iter().sum::<f64>(), "spend_all": true, "step": step, "arms": arms, "groups": groups})
}

#[test]
fn an_allocation_is_found_where_limits_leave_hardly_any_room() {
    for seed in 0..8 {
        for (lines, groups, step) in [(12, 40, Some(50.0)), (30, 30, Some(50.0)), (20, 80, None), (6, 60, None)] {
            let solution = solved(&around_a_point(1_000 + seed, lines, groups, step));
            assert_ne!(solution.status, Status::Infeasible, "seed {seed}: {lines} x {groups}, step {step:?}: {:?}", solution.conflict);
        }
    }
}
