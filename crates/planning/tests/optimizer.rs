//! The optimiser against reference problems with a proven optimum.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::optimizer::problem::Problem;
use planning::optimizer::{Solution, Status, solve};

fn load_large() -> Problem {
    let file = std::fs::File::open(format!("{}/tests/data/d5-mixed-groups-10000.json.gz", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    Problem::from_json(&text).unwrap()
}

fn load(name: &str) -> Problem {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Problem::from_json(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn reference(problem: &Problem, field: &str) -> f64 {
    problem.reference.as_ref().unwrap()[field].as_f64().unwrap()
}

/// Checks every constraint from the problem alone and returns the objective.
fn checked_objective(problem: &Problem, solution: &Solution) -> f64 {
    let tolerance = 1e-6 * problem.money();
    let spend: Vec<f64> = problem.arms.iter().map(|arm| solution.allocation[&arm.id]).collect();
    let total: f64 = spend.iter().sum();
    assert!(total <= problem.money() + tolerance);
    let (mut objective, mut response) = (0.0, 0.0);
    for (arm, &x) in problem.arms.iter().zip(&spend) {
        assert!(x >= arm.min - tolerance && x <= arm.max.unwrap() + tolerance);
        let power = x.max(0.0).powf(arm.alpha);
        let r = arm.beta * power / (arm.k.powf(arm.alpha) + power);
        objective += arm.value * r;
        response += r;
    }
    for group in &problem.groups {
        let sum: f64 = group.arms.iter().map(|&arm| spend[arm]).sum();
        assert!(group.min.is_none_or(|min| sum >= min - tolerance), "{} below its minimum", group.name);
        assert!(group.max.is_none_or(|max| sum <= max + tolerance), "{} above its maximum", group.name);
    }
    assert!(problem.min_roas.is_none_or(|floor| response >= floor * total - tolerance));
    assert!((objective - solution.objective.unwrap()).abs() <= 1e-9 * objective);
    objective
}

fn quality(name: &str) -> (f64, Solution) {
    quality_of(name, load(name))
}

fn quality_of(name: &str, problem: Problem) -> (f64, Solution) {
    let solution = solve(&problem).unwrap();
    let ratio = checked_objective(&problem, &solution) / reference(&problem, "upper_bound");
    let bound = solution.upper_bound.unwrap() / reference(&problem, "objective");
    assert!(bound >= 1.0 - 1e-9, "{name}: the claimed bound is below a feasible objective");
    (ratio, solution)
}

#[test]
fn concave_problem_is_solved_to_optimality() {
    let (ratio, solution) = quality("d1-concave-10");
    assert!(ratio >= 0.999_999, "{ratio}");
    assert_eq!(solution.status, Status::Optimal);
    assert_eq!(solution.binding, ["budget"]);
}

#[test]
fn groups_with_reserve_are_solved_to_optimality() {
    let (ratio, solution) = quality("d2-groups-30");
    assert!(ratio >= 0.999_999, "{ratio}");
    assert_eq!(solution.status, Status::Optimal);
    assert!(solution.binding.contains(&"budget".to_owned()));
}

#[test]
fn tight_s_shaped_problem_is_not_stuck_in_a_local_optimum() {
    let (ratio, solution) = quality("d3-sshape-tight-30");
    assert!(ratio >= 0.999_9, "{ratio}");
    assert!(solution.upper_bound.unwrap() <= solution.objective.unwrap() * 1.001);
}

#[test]
fn return_floor_and_groups_bind_together() {
    let (ratio, solution) = quality("d4-mixed-groups-roas-300");
    assert!(ratio >= 0.999_999, "{ratio}");
    let price = |name: &str| solution.constraints.iter().find(|report| report.constraint == name).unwrap().shadow_price;
    assert!(price("budget") > 0.0 && price("min_roas") > 0.0);
    assert_eq!(solution.marginal_roas.len(), 300);
}

#[test]
fn ten_thousand_arms_are_solved_to_optimality() {
    let problem = load_large();
    assert_eq!(problem.arms.len(), 10_000);
    let (ratio, solution) = quality_of("d5", problem);
    assert!(ratio >= 0.999_999 && solution.status == Status::Optimal, "{ratio}");
}

#[test]
fn contradicting_group_minimums_are_named() {
    let solution = solve(&load("d6-infeasible-floors-30")).unwrap();
    assert_eq!(solution.status, Status::Infeasible);
    assert!(solution.allocation.is_empty() && solution.objective.is_none());
    let text = solution.conflict.join("; ");
    assert_eq!(solution.conflict.len(), 3, "{text}");
    for part in ["budget", "retailer=gamma min", "retailer=delta min"] {
        assert!(text.contains(part), "{text}");
    }
    // The arms of gamma cannot take its minimum at all, so no other single limit would be enough.
    let ways: Vec<&str> = solution.relaxation.iter().map(|way| way.text.as_str()).collect();
    assert_eq!(ways, ["lower group retailer=gamma min from 168413.25 to 122481.99 (by 45931.26)"]);
}

#[test]
fn unreachable_return_floor_is_named() {
    let mut problem = load("d1-concave-10");
    problem.min_roas = Some(1000.0);
    let solution = solve(&problem).unwrap();
    assert_eq!(solution.status, Status::Infeasible);
    let text = solution.conflict.join("; ");
    assert!(text.contains("min_roas") && text.contains("minimum spends"), "{text}");
}

#[test]
fn spend_all_uses_the_whole_budget() {
    let mut problem = load("d3-sshape-tight-30");
    problem.spend_all = true;
    let solution = solve(&problem).unwrap();
    let total: f64 = solution.allocation.values().sum();
    assert!((total - problem.money()).abs() <= 1e-6 * problem.money());
}

#[test]
fn errors_name_the_field() {
    let cases = [
        (r#"{"budget": 10, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": "x"}]}"#, "arms[0].k"),
        (r#"{"budget": -1, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1}]}"#, "budget"),
        (r#"{"budget": 10, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 0}]}"#, "arms[0].k"),
        (r#"{"budget": 10, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1, "min": 2, "max": 1}]}"#, "arms[0].max"),
        (r#"{"budget": 10, "arms": []}"#, "arms"),
        (
            r#"{"budget": 10, "groups": [{"name": "g", "arms": [4]}], "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1}]}"#,
            "groups[0].arms[0]",
        ),
        (
            r#"{"budget": 10, "groups": [{"name": "g", "arms": []}, {"name": "g", "arms": []}], "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1}]}"#,
            "groups[1].name",
        ),
        (
            r#"{"budget": 10, "limits": [{"by": "sku", "of": "x", "max": 3}], "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1, "sku": "y"}]}"#,
            "limits[0].of",
        ),
        (r#"{"budget": 1e308, "arms": [{"id": "a", "beta": 1, "alpha": 1, "k": 1}]}"#, "budget"),
    ];
    for (text, path) in cases {
        assert_eq!(Problem::from_json(text).unwrap_err().path, path, "{text}");
    }
    let unknown = Problem::from_json(r#"{"budget": 1, "min_roi": 3, "arms": []}"#).unwrap_err();
    assert!(unknown.to_string().contains("min_roi"), "{unknown}");
}

/// Two arms, everything to be spent, one limit on the first arm: a scan over all splits finds none
/// that meets the floor, while the concave relaxation alone does not see the contradiction.
#[test]
fn contradiction_hidden_by_an_s_shaped_curve_is_proven() {
    let text = r#"{"budget": 3015.677, "spend_all": true, "min_roas": 3.9414759,
        "groups": [{"name": "first", "arms": [0], "min": 549.08, "max": 2224.9}],
        "arms": [
            {"id": "a", "beta": 38128.51675861017, "alpha": 1.0, "k": 6195.261057228875, "min": 91.4587, "max": 6723.39},
            {"id": "b", "beta": 22686.18755259367, "alpha": 2.3412986339331625, "k": 3578.1434776345263, "min": 101.99, "max": 7474.55}
        ]}"#;
    let problem = Problem::from_json(text).unwrap();
    let (first, second) = (&problem.arms[0], &problem.arms[1]);
    let response = |arm: &planning::optimizer::problem::Arm, x: f64| {
        let power = (x / arm.k).powf(arm.alpha);
        arm.beta * power / (1.0 + power)
    };
    for step in 0..=3_000 {
        let x = 549.08 + (2224.9 - 549.08) * f64::from(step) / 3_000.0;
        let earned = response(first, x) + response(second, problem.money() - x);
        assert!(earned < 3.9414759 * problem.money(), "a split meets the floor");
    }
    let solution = solve(&problem).unwrap();
    assert_eq!(solution.status, Status::Infeasible);
    let text = solution.conflict.join("; ");
    assert!(text.contains("min_roas") && text.contains("group first max") && !text.contains("not a proof"), "{text}");
}
