//! Properties that hold for every problem: limits are kept, money adds up, equal inputs give equal
//! answers, and the answer is never worse than sharing the budget out in proportion.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::metrics::Measures;
use planning::optimizer::problem::{Arm, Group, Problem};
use planning::optimizer::{Status, solve};
use planning::proposal::constraints::{Constraints, most_micros};
use planning::proposal::verification::verify;
use planning::proposal::{ArmHistory, PlanningInput, ProposalError, propose};
use proptest::prelude::*;

fn arm() -> impl Strategy<Value = (f64, f64, f64, f64, f64)> {
    (0.0..50_000.0, 0.4..3.0, 50.0..8_000.0, 0.0..300.0, 100.0..9_000.0)
}

fn problem() -> impl Strategy<Value = Problem> {
    let arms = prop::collection::vec(arm(), 1..14);
    (arms, 0.05..1.1, any::<bool>(), prop::option::of(0.5..4.0), prop::option::of((0.2..1.0, 0.0..0.3))).prop_map(
        |(arms, share, spend_all, min_roas, limits)| {
            let arms: Vec<Arm> = arms
                .into_iter()
                .enumerate()
                .map(|(index, (beta, alpha, k, min, width))| {
                    let alpha = if index % 3 == 0 { 1.0 } else { alpha };
                    serde_json::from_value(serde_json::json!({
                        "id": format!("arm-{index}"), "beta": beta, "alpha": alpha, "k": k, "min": min, "max": min + width
                    }))
                    .unwrap()
                })
                .collect();
            let budget = share * arms.iter().map(|arm| arm.max.unwrap()).sum::<f64>();
            let groups = limits.map_or(Vec::new(), |(max, min)| {
                vec![Group {
                    name: "even".to_owned(),
                    arms: (0..arms.len()).step_by(2).collect(),
                    min: Some(min * budget),
                    max: Some(max * budget),
                }]
            });
            let text = serde_json::json!({"budget": budget, "spend_all": spend_all, "min_roas": min_roas, "arms": arms, "groups": groups});
            Problem::from_json(&text.to_string()).unwrap()
        },
    )
}

fn response(arm: &Arm, x: f64) -> f64 {
    let power = (x.max(0.0) / arm.k).powf(arm.alpha);
    arm.beta * power / (1.0 + power)
}

/// Objective when the spends keep every limit.
fn value_if_feasible(problem: &Problem, spend: &[f64], tolerance: f64) -> Option<f64> {
    let total: f64 = spend.iter().sum();
    let earned: f64 = problem.arms.iter().zip(spend).map(|(arm, &x)| response(arm, x)).sum();
    let inside = problem.arms.iter().zip(spend).all(|(arm, &x)| x >= arm.min - tolerance && x <= arm.max.unwrap() + tolerance);
    let groups = problem.groups.iter().all(|group| {
        let sum: f64 = group.arms.iter().map(|&arm| spend[arm]).sum();
        group.min.is_none_or(|min| sum >= min - tolerance) && group.max.is_none_or(|max| sum <= max + tolerance)
    });
    let floor = problem.min_roas.is_none_or(|floor| earned >= floor * (total - tolerance));
    let budget = total <= problem.money() + tolerance && (!problem.spend_all || total >= problem.money() - tolerance);
    (inside && groups && floor && budget).then_some(earned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn optimizer_keeps_limits_and_beats_proportional_plans(problem in problem(), weights in prop::collection::vec(0.0..1.0f64, 14)) {
        let solution = solve(&problem).unwrap();
        prop_assert_eq!(&solution, &solve(&problem).unwrap());
        let least: f64 = problem.arms.iter().map(|arm| arm.min).sum();
        let most: f64 = problem.arms.iter().map(|arm| arm.max.unwrap()).sum();
        let even = ((problem.money() - least) / (most - least)).clamp(0.0, 1.0);
        let proportional: Vec<f64> = problem.arms.iter().map(|arm| arm.min + even * (arm.max.unwrap() - arm.min)).collect();
        let total_weight: f64 = weights.iter().take(problem.arms.len()).sum::<f64>().max(1e-9);
        let random: Vec<f64> = problem.arms.iter().zip(&weights)
            .map(|(arm, weight)| (arm.min + (problem.money() - least).max(0.0) * weight / total_weight).min(arm.max.unwrap()))
            .collect();
        if solution.status == Status::Infeasible {
            prop_assert!(!solution.conflict.is_empty());
            for plan in [&proportional, &random] {
                prop_assert_eq!(value_if_feasible(&problem, plan, -1e-6 * problem.money()), None);
            }
            return Ok(());
        }
        let spend: Vec<f64> = problem.arms.iter().map(|arm| solution.allocation[&arm.id]).collect();
        let objective = value_if_feasible(&problem, &spend, 1e-6 * problem.money());
        prop_assert!(objective.is_some(), "limits are broken: {:?}", solution);
        let (objective, bound) = (objective.unwrap(), solution.upper_bound.unwrap());
        prop_assert!(objective <= bound * (1.0 + 1e-6) + 1e-6);
        prop_assert!(objective >= 0.99 * bound - 1e-6, "objective {objective} bound {bound}");
        if let Some(other) = value_if_feasible(&problem, &proportional, 0.0) {
            prop_assert!(objective >= other * (1.0 - 1e-9), "worse than the proportional plan");
        }
        if let Some(other) = value_if_feasible(&problem, &random, 0.0) {
            prop_assert!(other <= bound * (1.0 + 1e-9), "a feasible plan beats the bound");
        }
    }

    #[test]
    fn proposals_add_up_and_keep_constraints(
        shapes in prop::collection::vec((50.0..2_000.0f64, 20.0..900.0f64, 10.0..400.0f64, 0usize..16), 1..9),
        budget in 1_000_001i64..90_000_000_000,
        spend_all in any::<bool>(),
        max_share in prop::option::of(0.2..1.0f64),
        min_share in prop::option::of(0.0..0.1f64),
        cap in prop::option::of(0.1..0.9f64),
        min_roas in prop::option::of(0.2..2.5f64),
    ) {
        let arms = shapes.iter().enumerate().map(|(index, &(beta, k, base, periods))| ArmHistory {
            arm_id: format!("arm-{index}"),
            placement_type: if index % 2 == 0 { "mailer" } else { "display" }.to_owned(),
            audience_segment: "all".to_owned(),
            history: (0..periods).map(|period| {
                let spend = base * (0.5 + 0.1 * period as f64);
                let revenue = beta * spend / (k + spend) * (1.0 + 0.02 * ((period * 5 % 7) as f64 - 3.0));
                Measures { spend_micros: Some((spend * 1e6) as i64), revenue_micros: Some((revenue * 1e6) as i64), ..Measures::default() }
            }).collect(),
        }).collect();
        let constraints = Constraints {
            spend_all, min_roas, max_share_per_arm: max_share, min_share_per_arm: min_share,
            max_share_per_placement: cap.map(|share| ("mailer".to_owned(), share)).into_iter().collect(),
            ..Constraints::default()
        };
        let input = PlanningInput { arms, budget_micros: budget, currency: "USD".to_owned(), horizon_days: 30, period_days: 7, constraints, learning_share: 0.15, seed: 3, present: None, calibrations: Vec::new(), unavailable: Default::default() };
        let plans = match propose(&input, 5) {
            Ok(plans) => plans,
            Err(ProposalError::NoEvidence) => {
                prop_assert!(shapes.iter().all(|shape| shape.3 == 0));
                return Ok(());
            }
            Err(ProposalError::Infeasible { conflict, .. }) => {
                prop_assert!(!conflict.is_empty());
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert_eq!(&plans, &propose(&input, 5).unwrap());
        for plan in &plans {
            let failed: Vec<_> = verify(plan, budget, &input.constraints).into_iter().filter(|check| !check.passed).collect();
            prop_assert!(failed.is_empty(), "{failed:?}");
            let spend: i64 = plan.allocation.iter().map(|line| line.spend_micros).sum();
            prop_assert_eq!(spend, plan.expected.spend_micros);
            prop_assert_eq!(spend + plan.unallocated_micros, budget);
            prop_assert!(!spend_all || spend == budget);
            prop_assert!(max_share.is_none_or(|share| plan.allocation.iter().all(|line| line.spend_micros <= most_micros(share, budget))));
            let best = plans[0].expected.revenue_micros as f64;
            prop_assert!(plans[0].strategy != "exploit" || plan.expected.revenue_micros as f64 <= best * (1.0 + 1e-6) + 1e3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The best expected plan never falls behind a feasible present plan, and every plan says what it differs by.
    #[test]
    fn plans_are_not_worse_than_the_present_one(
        shapes in prop::collection::vec((50.0..2_000.0f64, 20.0..900.0f64, 10.0..400.0f64, 7usize..16, 0.0..1.0f64), 2..7),
        budget in 1_000_001i64..9_000_000_000,
        used in 0.2..1.0f64,
        cap in prop::option::of(0.3..0.9f64),
        least in prop::option::of(0.05..0.3f64),
        min_roas in prop::option::of(0.2..1.5f64),
        step in prop::option::of(Just(1_000_000i64)),
        seed in any::<u64>(),
    ) {
        let arms: Vec<ArmHistory> = shapes.iter().enumerate().map(|(index, &(beta, k, base, periods, _))| ArmHistory {
            arm_id: format!("arm-{index}"),
            placement_type: if index % 2 == 0 { "mailer" } else { "display" }.to_owned(),
            audience_segment: if index % 3 == 0 { "new" } else { "all" }.to_owned(),
            history: (0..periods).map(|period| {
                let spend = base * (0.5 + 0.1 * period as f64);
                let revenue = beta * spend / (k + spend) * (1.0 + 0.1 * ((period * 5 % 7) as f64 - 3.0));
                Measures { spend_micros: Some((spend * 1e6) as i64), revenue_micros: Some((revenue * 1e6) as i64), ..Measures::default() }
            }).collect(),
        }).collect();
        let weight: f64 = shapes.iter().map(|shape| shape.4 + 0.01).sum();
        let unit = step.unwrap_or(1);
        let spend_micros = arms.iter().zip(&shapes).map(|(arm, shape)| {
            let micros = (used * budget as f64 * (shape.4 + 0.01) / weight) as i64;
            (arm.arm_id.clone(), micros - micros % unit)
        }).collect();
        let constraints = Constraints {
            min_roas, step_micros: step,
            max_share_per_placement: cap.map(|share| ("mailer".to_owned(), share)).into_iter().collect(),
            min_share_per_audience: least.map(|share| ("new".to_owned(), share)).into_iter().collect(),
            ..Constraints::default()
        };
        let present = Some(planning::proposal::Present { source: "test".to_owned(), spend_micros });
        let input = PlanningInput { arms, budget_micros: budget, currency: "USD".to_owned(), horizon_days: 28, period_days: 7, constraints,
            learning_share: 0.15, seed, present, calibrations: Vec::new(), unavailable: Default::default() };
        let plans = match propose(&input, 3) {
            Ok(plans) => plans,
            Err(ProposalError::Infeasible { conflict, relaxation, .. }) => {
                prop_assert!(!conflict.is_empty());
                for way in relaxation {
                    prop_assert!(!way.text.is_empty() && way.relative > 0.0);
                }
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert_eq!(&plans, &propose(&input, 3).unwrap(), "equal seeds give equal plans");
        for plan in &plans {
            prop_assert!(verify(plan, budget, &input.constraints).iter().all(|check| check.passed));
            prop_assert!(plan.allocation.iter().all(|line| line.spend_micros % unit == 0));
            let present = plan.present.as_ref().unwrap();
            prop_assert_eq!(present.expected_revenue_micros + present.revenue_difference_micros, plan.expected.revenue_micros);
            if present.is_feasible && plan.strategy == "exploit" {
                prop_assert!(present.revenue_difference_micros >= 0, "worse by {}", present.revenue_difference_micros);
            }
        }
        let is_first_exploit = plans[0].strategy == "exploit";
        prop_assert!(is_first_exploit || !plans[0].present.as_ref().unwrap().is_feasible || step.is_some());
    }
}
