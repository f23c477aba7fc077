//! What the optimiser promises, against brute force: feasible always, proven bounds, steps, the
//! present plan, minimal conflicts, checked relaxations and shadow prices.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::optimizer::problem::Problem;
use planning::optimizer::{Solution, Status, solve};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(value: &Value) -> Problem {
    Problem::from_json(&value.to_string()).unwrap()
}

fn respond(arm: &Value, x: f64) -> f64 {
    let number = |key: &str| arm[key].as_f64().unwrap();
    let power = (x.max(0.0) / number("k")).powf(number("alpha"));
    number("beta") * power / (1.0 + power)
}

/// Objective when the spends keep every limit of this file's problems.
fn value(problem: &Value, spend: &[f64], tolerance: f64) -> Option<f64> {
    let arms = problem["arms"].as_array().unwrap();
    let total: f64 = spend.iter().sum();
    let earned: f64 = arms.iter().zip(spend).map(|(arm, &x)| respond(arm, x)).sum();
    let budget = problem["budget"].as_f64().unwrap();
    let inside = arms
        .iter()
        .zip(spend)
        .all(|(arm, &x)| x >= arm["min"].as_f64().unwrap() - tolerance && x <= arm["max"].as_f64().unwrap() + tolerance);
    let limits = problem["limits"].as_array().unwrap().iter().all(|limit| {
        let member = |arm: &&(&Value, &f64)| arm.0[limit["by"].as_str().unwrap()] == limit["of"];
        let sum: f64 = arms.iter().zip(spend).collect::<Vec<_>>().iter().filter(member).map(|(_, x)| **x).sum();
        limit["min_share"].as_f64().is_none_or(|share| sum >= share * budget - tolerance)
            && limit["max_share"].as_f64().is_none_or(|share| sum <= share * budget + tolerance)
    });
    let floor = problem["min_roas"].as_f64().is_none_or(|floor| earned >= floor * (total - tolerance));
    (inside && limits && floor && total <= budget + tolerance).then_some(earned)
}

fn small_problem(most_arms: usize, step: impl Strategy<Value = Option<f64>>) -> impl Strategy<Value = Value> {
    let arm = (100.0..50_000.0f64, 0.5..3.0f64, 50.0..1_500.0f64, 0usize..3, 3u32..9, any::<bool>());
    let shares = (prop::option::of(0.3..0.9f64), prop::option::of(0.05..0.4f64));
    (prop::collection::vec(arm, 2..=most_arms), 4u32..12, prop::option::of(0.3..5.0f64), shares, step).prop_map(
        |(arms, budget, min_roas, (max_share, min_share), step)| {
            let arms: Vec<Value> = arms
                .iter()
                .enumerate()
                .map(|(index, &(beta, alpha, k, min, width, concave))| {
                    let min = 100.0 * min.saturating_sub(1) as f64;
                    json!({"id": format!("a{index}"), "beta": beta, "alpha": if concave { 1.0 } else { alpha }, "k": k, "min": min,
                        "max": min + 100.0 * f64::from(width), "placement": if index % 2 == 0 { "search" } else { "display" },
                        "sku": format!("s{index}")})
                })
                .collect();
            let mut limits = Vec::new();
            if max_share.is_some() || min_share.is_some() {
                limits.push(json!({"by": "placement", "of": "search", "max_share": max_share, "min_share": min_share}));
            }
            json!({"budget": 100.0 * f64::from(budget), "min_roas": min_roas, "limits": limits, "arms": arms, "step": step})
        },
    )
}

/// The best of all allocations in steps of 100.
fn brute_force(problem: &Value) -> Option<(f64, Vec<f64>)> {
    let arms = problem["arms"].as_array().unwrap();
    let mut best: Option<(f64, Vec<f64>)> = None;
    let mut spend: Vec<f64> = arms.iter().map(|arm| arm["min"].as_f64().unwrap()).collect();
    loop {
        if let Some(found) = value(problem, &spend, 1e-6)
            && best.as_ref().is_none_or(|held| found > held.0)
        {
            best = Some((found, spend.clone()));
        }
        let mut at = 0;
        loop {
            if at == arms.len() {
                return best;
            }
            spend[at] += 100.0;
            if spend[at] <= arms[at]["max"].as_f64().unwrap() {
                break;
            }
            spend[at] = arms[at]["min"].as_f64().unwrap();
            at += 1;
        }
    }
}

fn spends(problem: &Problem, solution: &Solution) -> Vec<f64> {
    problem.arms.iter().map(|arm| solution.allocation[&arm.id]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_reach_the_best_of_all_multiples(written in small_problem(4, Just(Some(100.0)))) {
        let solution = solve(&read(&written)).unwrap();
        let best = brute_force(&written);
        let Some((best, _)) = best else {
            prop_assert_eq!(solution.status, Status::Infeasible);
            return Ok(());
        };
        prop_assert!(solution.status != Status::Infeasible, "{:?}", solution.conflict);
        let spend = spends(&read(&written), &solution);
        prop_assert!(spend.iter().all(|x| (x / 100.0 - (x / 100.0).round()).abs() < 1e-9), "{spend:?}");
        prop_assert!(value(&written, &spend, 1e-3).is_some(), "limits are broken: {spend:?}");
        let (objective, bound) = (solution.objective.unwrap(), solution.upper_bound.unwrap());
        prop_assert!(bound >= best * (1.0 - 1e-9) && objective <= bound * (1.0 + 1e-12));
        prop_assert!(objective >= best * (1.0 - 1e-9), "{objective} is below {best}");
    }

    #[test]
    fn any_amounts_beat_every_grid(written in small_problem(4, Just(None))) {
        let solution = solve(&read(&written)).unwrap();
        let Some((best, grid)) = brute_force(&written) else { return Ok(()) };
        prop_assert!(solution.status != Status::Infeasible, "{:?} although {grid:?}", solution.conflict);
        let spend = spends(&read(&written), &solution);
        prop_assert!(value(&written, &spend, 1e-3).is_some());
        prop_assert!(solution.objective.unwrap() >= best * (1.0 - 1e-6), "{:?} below {best} {grid:?}", solution.objective);
        prop_assert!(solution.upper_bound.unwrap() >= best * (1.0 - 1e-9));
        let bound = solution.upper_bound.unwrap();
        // Where nothing may be spent there is no gap to speak of.
        if bound > 1e-6 {
            prop_assert!(((bound - solution.objective.unwrap()) / bound - solution.gap.unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn never_worse_than_a_feasible_present_plan(written in small_problem(6, prop::option::of(Just(100.0))), weights in prop::collection::vec(0u32..6, 6)) {
        let mut written = written;
        let present: serde_json::Map<String, Value> = written["arms"].as_array().unwrap().iter().zip(&weights)
            .map(|(arm, weight)| (arm["id"].as_str().unwrap().to_owned(), json!(arm["min"].as_f64().unwrap() + 100.0 * f64::from(*weight)))).collect();
        let spend: Vec<f64> = written["arms"].as_array().unwrap().iter().map(|arm| present[arm["id"].as_str().unwrap()].as_f64().unwrap()).collect();
        written["present"] = json!(present);
        let solution = solve(&read(&written)).unwrap();
        if let Some(now) = value(&written, &spend, 0.0) {
            prop_assert!(solution.status != Status::Infeasible);
            let report = solution.present.unwrap();
            prop_assert!(report.is_feasible && report.gain >= 0.0 && solution.objective.unwrap() >= now * (1.0 - 1e-12));
        } else if let Some(report) = &solution.present {
            prop_assert!(value(&written, &spend, 1e-3).is_some() || (!report.is_feasible && !report.broken.is_empty()));
        }
    }

    #[test]
    fn conflicts_are_irreducible_and_relaxations_work(written in small_problem(5, Just(None)), floor in 5.0..60.0f64, shares in (0.4..0.9f64, 0.4..0.9f64)) {
        let mut written = written;
        written["min_roas"] = json!(floor);
        written["limits"] = json!([{"by": "placement", "of": "search", "min_share": shares.0}, {"by": "placement", "of": "display", "min_share": shares.1}]);
        let solution = solve(&read(&written)).unwrap();
        if solution.status != Status::Infeasible {
            return Ok(());
        }
        prop_assert!(!solution.conflict.is_empty());
        for left_out in &solution.conflict {
            let rest = only(&written, &solution.conflict, left_out);
            prop_assert!(solve(&read(&rest)).unwrap().status != Status::Infeasible, "{:?} holds without {left_out}", solution.conflict);
        }
        let whole = only(&written, &solution.conflict, "");
        prop_assert_eq!(solve(&read(&whole)).unwrap().status, Status::Infeasible, "{:?} is no conflict", solution.conflict);
        prop_assert!(solution.relaxation.windows(2).all(|pair| pair[0].relative <= pair[1].relative));
        for way in &solution.relaxation {
            let moved = apply(&written, way);
            prop_assert!(solve(&read(&moved)).unwrap().status != Status::Infeasible, "{} is not enough", way.text);
            if let [change] = way.changes.as_slice() {
                let mut less = way.clone();
                less.changes[0].to = change.from + 0.99 * (change.to - change.from);
                prop_assert_eq!(solve(&read(&apply(&written, &less))).unwrap().status, Status::Infeasible, "{} is more than needed", way.text);
            }
        }
    }
}

/// The problem with only the constraints of the conflict, without one of them.
fn only(written: &Value, conflict: &[String], left_out: &str) -> Value {
    let has = |name: &str| conflict.iter().any(|words| words.starts_with(name) && words != left_out);
    let mut rest = written.clone();
    let sum: f64 = written["arms"].as_array().unwrap().iter().map(|arm| arm["max"].as_f64().unwrap()).sum();
    let budget = written["budget"].as_f64().unwrap();
    let mut limits: Vec<Value> = Vec::new();
    for limit in written["limits"].as_array().unwrap() {
        let of = limit["of"].as_str().unwrap();
        if has(&format!("limit min placement={of}")) {
            // As an amount, because the budget may be left out.
            limits.push(json!({"by": "placement", "of": of, "min": limit["min_share"].as_f64().unwrap() * budget}));
        }
    }
    rest["limits"] = json!(limits);
    if !has("budget") {
        rest["budget"] = json!(100.0 * sum.max(budget));
    }
    if !has("min_roas") {
        rest["min_roas"] = Value::Null;
    }
    let words = |kind: &str| conflict.iter().find(|words| words.starts_with(kind) && *words != left_out).cloned();
    let (floors, ceilings) = (words("minimum spends"), words("maximum spends"));
    let named = |words: &Option<String>, id: &str| {
        words
            .as_ref()
            .is_some_and(|words| words.starts_with(&format!("{} spends of the arms (", &words[..7])) || words.contains(&format!(" {id}")))
    };
    for arm in rest["arms"].as_array_mut().unwrap() {
        let id = arm["id"].as_str().unwrap().to_owned();
        if !named(&floors, &id) {
            arm["min"] = json!(0.0);
        }
        if !named(&ceilings, &id) {
            arm["max"] = json!(100.0 * sum.max(budget));
        }
    }
    rest
}

fn apply(written: &Value, way: &planning::optimizer::relaxation::Relaxation) -> Value {
    let mut moved = written.clone();
    let budget = written["budget"].as_f64().unwrap();
    for limit in moved["limits"].as_array_mut().unwrap() {
        limit["min"] = json!(limit["min_share"].as_f64().unwrap() * budget);
        limit["min_share"] = Value::Null;
    }
    for change in &way.changes {
        match change.constraint.as_str() {
            "budget" => moved["budget"] = json!(change.to),
            "min_roas" => moved["min_roas"] = json!(change.to),
            name => {
                let of = name.trim_start_matches("limit min placement=");
                let limits = moved["limits"].as_array_mut().unwrap();
                limits.iter_mut().find(|limit| limit["of"] == of).unwrap()["min"] = json!(change.to);
            }
        }
    }
    moved
}

#[test]
fn shadow_prices_are_the_gain_of_one_more_unit() {
    let base = json!({"budget": 1000.0, "min_roas": 4.2, "max_cpa": 9.0,
    "limits": [{"by": "placement", "of": "a", "max": 350.0}, {"by": "retailer", "of": "r", "min": 300.0}],
    "arms": [
        {"id": "x", "beta": 4000.0, "alpha": 1.0, "k": 300.0, "placement": "a", "order_value": 40.0},
        {"id": "y", "beta": 2500.0, "alpha": 0.8, "k": 500.0, "placement": "b", "order_value": 30.0},
        {"id": "z", "beta": 900.0, "alpha": 1.0, "k": 400.0, "placement": "b", "retailer": "r", "order_value": 20.0}
    ]});
    let objective = |problem: &Value| solve(&read(problem)).unwrap().objective.unwrap();
    for drop in [vec!["min_roas", "max_cpa"], vec!["max_cpa"], vec!["min_roas"]] {
        let mut problem = base.clone();
        drop.iter().for_each(|field| problem[*field] = Value::Null);
        let solution = solve(&read(&problem)).unwrap();
        assert_eq!(solution.status, Status::Optimal);
        let mut binding = 0;
        for report in &solution.constraints {
            let small = 1e-4 * report.limit;
            let mut moved = problem.clone();
            match report.constraint.as_str() {
                "budget" => moved["budget"] = json!(1000.0 + small),
                "limit max placement=a" => moved["limits"][0]["max"] = json!(350.0 + small),
                "limit min retailer=r" => moved["limits"][1]["min"] = json!(300.0 - small),
                "min_roas" => moved["min_roas"] = json!(4.2 - small),
                "max_cpa" => moved["max_cpa"] = json!(9.0 + small),
                other => panic!("{other}"),
            }
            let gained = (objective(&moved) - objective(&problem)) / small;
            binding += usize::from(report.shadow_price > 0.0);
            assert!((gained - report.shadow_price).abs() <= 0.01 * gained.abs() + 1e-3, "{drop:?} {report:?}: gained {gained}");
            assert!(report.slack.unwrap() >= -1e-4 && (report.shadow_price == 0.0 || report.slack.unwrap() < 1e-2), "{report:?}");
        }
        assert!(binding >= 2, "{:?}", solution.constraints);
    }
}

#[test]
fn closed_arms_get_nothing_and_say_why() {
    let problem = json!({"total_budget": 1000.0, "experiment_reserve_share": 0.1, "spend_all": true, "step": 50.0,
    "excluded_skus": ["s1"], "out_of_stock_skus": ["s2"],
    "arms": [
        {"id": "x", "beta": 4000.0, "alpha": 1.0, "k": 300.0, "sku": "s1"},
        {"id": "y", "beta": 2500.0, "alpha": 0.8, "k": 500.0, "sku": "s2", "min": 100.0},
        {"id": "z", "beta": 900.0, "alpha": 1.0, "k": 400.0, "sku": "s3"},
        {"id": "w", "beta": 900.0, "alpha": 1.0, "k": 300.0, "excluded": true}
    ]});
    let solution = solve(&read(&problem)).unwrap();
    assert_eq!(solution.allocation["z"], 900.0, "the reserve of 10 % is kept back");
    assert!(["x", "y", "w"].iter().all(|arm| solution.allocation[*arm] == 0.0));
    assert_eq!(solution.closed["y"], "SKU s2 is out of stock; its least spend of 100 is dropped");
    assert_eq!(solution.closed["x"], "SKU s1 is excluded");
    let mut impossible = problem;
    impossible["limits"] = json!([{"by": "sku", "of": "s2", "min": 100.0}]);
    let solution = solve(&read(&impossible)).unwrap();
    assert_eq!(solution.status, Status::Infeasible);
    assert_eq!(solution.conflict, ["limit min sku=s2 (100)", "excluded or out of stock (3 arms)"]);
    assert!(solution.relaxation[0].text.starts_with("lower limit min sku=s2 from 100 to 0"), "{:?}", solution.relaxation);
}

#[test]
fn limits_one_after_the_other_are_moved_together() {
    let problem = json!({"budget": 1000.0,
    "limits": [{"by": "placement", "of": "a", "min": 600.0, "max": 500.0}, {"by": "placement", "of": "b", "min": 300.0, "max": 100.0}],
    "arms": [
        {"id": "x", "beta": 4000.0, "alpha": 1.0, "k": 300.0, "placement": "a"},
        {"id": "y", "beta": 2500.0, "alpha": 0.8, "k": 500.0, "placement": "b"}
    ]});
    let solution = solve(&read(&problem)).unwrap();
    assert_eq!(solution.conflict.len(), 2, "{:?}", solution.conflict);
    let way = &solution.relaxation[0];
    assert!(way.changes.len() >= 2 && way.relative < 0.8, "{}", way.text);
    let mut moved = problem.clone();
    for change in &way.changes {
        let (side, of) = change.constraint.trim_start_matches("limit ").split_once(" placement=").unwrap();
        moved["limits"][usize::from(of == "b")][side] = json!(change.to);
    }
    assert_eq!(solve(&read(&moved)).unwrap().status, Status::Optimal, "{}", way.text);
}

#[test]
fn bounds_without_a_multiple_of_the_step_are_a_conflict_that_names_it() {
    let line = |id: &str| json!({"id": id, "beta": 100.0, "alpha": 1.0, "k": 50.0});
    let with = |id: &str, min: f64, max: Option<f64>| {
        let mut line = line(id);
        (line["min"], line["max"]) = (json!(min), json!(max));
        line
    };
    let alone = solve(&read(&json!({"budget": 100.0, "step": 30.0, "arms": [with("a", 10.0, Some(20.0))]}))).unwrap();
    assert_eq!(alone.status, Status::Infeasible);
    assert!(alone.conflict.iter().any(|part| part == "step (30)"), "{:?}", alone.conflict);
    let six: Vec<Value> = (0..6).map(|at| with(&format!("a{at}"), 2.0, None)).collect();
    let many = solve(&read(&json!({"budget": 20.0, "step": 6.0, "arms": six}))).unwrap();
    assert!(many.conflict.iter().any(|part| part == "step (6)"), "{:?}", many.conflict);
    let group = json!([{"name": "g", "arms": [0, 1], "min": 8.0, "max": 13.99999}]);
    let almost = solve(&read(&json!({"budget": 100.0, "step": 7.0, "groups": group, "arms": [line("a"), line("b")]}))).unwrap();
    assert_eq!(almost.status, Status::Infeasible, "14 is above 13.99999: {:?}", almost.allocation);
}

#[test]
fn the_price_of_the_budget_is_the_marginal_return_where_nothing_else_binds() {
    let solution = solve(&read(&json!({"budget": 100.0, "arms": [{"id": "a", "beta": 100.0, "alpha": 1.0, "k": 50.0}]}))).unwrap();
    let (price, marginal) = (solution.constraints[0].shadow_price, solution.marginal_roas["a"].unwrap());
    assert!((price - marginal).abs() < 1e-3 * marginal, "{price} is not {marginal}");
}
