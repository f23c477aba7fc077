//! Candidate plans on histories like the real ones: in-store rows without clicks, mailings whose
//! spend is often missing, onsite rows without revenue.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use planning::comparison::{compare, is_close_call};
use planning::figure::Reason;
use planning::metrics::Measures;
use planning::proposal::constraints::Constraints;
use planning::proposal::verification::verify;
use planning::proposal::{ArmHistory, PlanningInput, ProposalError, propose};
use planning::response::Origin;

/// Ten weeks of `beta x / (k + x)` with a fixed wobble.
fn measured(id: &str, placement: &str, beta: f64, k: f64, base: f64) -> ArmHistory {
    let history = (0..10_i32)
        .map(|week| {
            let spend = base * (0.4 + 0.17 * f64::from(week));
            let revenue = beta * spend / (k + spend) * (1.0 + 0.05 * f64::from(week * 7 % 5 - 2));
            Measures {
                impressions: Some((spend * 900.0) as i64),
                clicks: None,
                conversions: Some((revenue / 3.0).round() as i64),
                spend_micros: Some((spend * 1e6) as i64),
                revenue_micros: Some((revenue * 1e6) as i64),
            }
        })
        .collect();
    ArmHistory { arm_id: id.to_owned(), placement_type: placement.to_owned(), audience_segment: format!("segment of {id}"), history }
}

fn unmeasured(id: &str, placement: &str) -> ArmHistory {
    let row = Measures { impressions: Some(5_000), clicks: Some(20), ..Measures::default() };
    ArmHistory { arm_id: id.to_owned(), placement_type: placement.to_owned(), audience_segment: "all".to_owned(), history: vec![row; 4] }
}

fn input() -> PlanningInput {
    PlanningInput {
        arms: vec![
            measured("a", "instore_display", 900.0, 300.0, 200.0),
            measured("b", "instore_display", 500.0, 150.0, 120.0),
            measured("c", "mailer", 700.0, 400.0, 150.0),
            measured("d", "mailer", 250.0, 90.0, 60.0),
            unmeasured("e", "recommendation_panel"),
        ],
        budget_micros: 4_000_000_001,
        currency: "USD".to_owned(),
        horizon_days: 28,
        period_days: 7,
        constraints: Constraints { spend_all: true, max_share_per_arm: Some(0.6), ..Constraints::default() },
        learning_share: 0.15,
        seed: 3,
        present: None,
        calibrations: Vec::new(),
        unavailable: Default::default(),
    }
}

#[test]
fn three_named_plans_that_differ_and_verify() {
    let input = input();
    let plans = propose(&input, 3).unwrap();
    let names: Vec<&str> = plans.iter().map(|plan| plan.strategy.as_str()).collect();
    assert_eq!(names, ["exploit", "balanced", "explore"]);
    for plan in &plans {
        let sum: i64 = plan.allocation.iter().map(|line| line.spend_micros).sum();
        assert_eq!(sum, input.budget_micros);
        assert!(verify(plan, input.budget_micros, &input.constraints).iter().all(|check| check.passed));
        assert!(plan.expected.revenue_micros <= plans[0].expected.revenue_micros);
        assert!(plan.constraint_report.iter().all(|standing| standing.satisfied));
        assert_eq!(plan.expected.reach.reason, Some(Reason::NotMeasured));
    }
    let more = propose(&input, 6).unwrap();
    let learning = more.iter().find(|plan| plan.strategy == "learn_while_earning").unwrap();
    let reserved: i64 = learning.allocation.iter().filter(|line| line.curve == Origin::Pooled).map(|line| line.spend_micros).sum();
    assert!(reserved as f64 >= 0.15 * input.budget_micros as f64 - 1.0);
}

#[test]
fn more_candidates_bring_more_different_plans() {
    let plans = propose(&input(), 8).unwrap();
    assert!(plans.len() >= 6, "{}", plans.len());
    for (index, plan) in plans.iter().enumerate() {
        for other in &plans[index + 1..] {
            assert_ne!(plan.allocation, other.allocation);
            assert_ne!(plan.strategy, other.strategy);
        }
    }
}

#[test]
fn unmeasured_conversions_give_no_figure() {
    let mut input = input();
    for row in &mut input.arms[0].history {
        row.conversions = None;
    }
    let plan = &propose(&input, 1).unwrap()[0];
    assert!(plan.allocation.iter().any(|line| line.arm_id == "a"));
    assert_eq!(plan.expected.conversions.value, None);
    assert_eq!(plan.expected.conversions.reason, Some(Reason::NotMeasured));
}

#[test]
fn return_floor_leaves_money_unspent_rather_than_wasted() {
    let mut input = input();
    input.constraints = Constraints { min_roas: Some(1.6), ..Constraints::default() };
    for plan in propose(&input, 3).unwrap() {
        assert!(plan.expected.roas.value.unwrap() >= 1.6);
        assert!(plan.unallocated_micros > 0);
    }
}

#[test]
fn cost_limit_counts_only_measured_conversions() {
    let mut input = input();
    input.constraints = Constraints { max_cpa_micros: Some(2_500_000), ..Constraints::default() };
    for plan in propose(&input, 3).unwrap() {
        assert!(plan.allocation.iter().all(|line| line.arm_id != "e"));
        let cpa = plan.expected.spend_micros as f64 / plan.expected.conversions.value.unwrap();
        assert!(cpa <= 2_500_000.0);
    }
}

#[test]
fn contradictions_are_named() {
    let conflict_of = |constraints: Constraints| match propose(&PlanningInput { constraints, ..input() }, 3) {
        Err(ProposalError::Infeasible { conflict, .. }) => conflict.join("; "),
        other => panic!("{other:?}"),
    };
    let text = conflict_of(Constraints { spend_all: true, max_share_per_arm: Some(0.1), ..Constraints::default() });
    assert!(text.contains("spend_all") && text.contains("max_share_per_arm"), "{text}");
    let text = conflict_of(Constraints { spend_all: true, min_roas: Some(50.0), ..Constraints::default() });
    assert!(text.contains("min_roas"), "{text}");
    let text = conflict_of(Constraints { min_share_per_arm: Some(0.3), ..Constraints::default() });
    assert!(text.contains("min_share_per_arm") && text.contains("budget"), "{text}");
    let all = ["instore_display", "mailer", "recommendation_panel"].map(str::to_owned);
    let text = conflict_of(Constraints { excluded_placements: all.into(), ..Constraints::default() });
    assert!(text.contains("excluded_placements"), "{text}");
}

#[test]
fn a_least_share_that_is_too_large_for_so_many_lines_has_a_way_out() {
    let constraints = Constraints { min_share_per_arm: Some(0.3), ..Constraints::default() };
    let Err(ProposalError::Infeasible { relaxation, .. }) = propose(&PlanningInput { constraints, ..input() }, 3) else { panic!() };
    let way = relaxation.iter().find(|way| way.changes[0].constraint == "min_share_per_arm").expect("a way out");
    assert!((way.changes[0].to - 0.2).abs() < 1e-4, "five lines can have a fifth each: {}", way.text);
    let constraints = Constraints { min_share_per_arm: Some(way.changes[0].to), ..Constraints::default() };
    assert!(propose(&PlanningInput { constraints, ..input() }, 1).is_ok(), "{}", way.text);
}

#[test]
fn a_largest_share_that_leaves_money_over_has_a_way_out() {
    let constraints = Constraints { spend_all: true, max_share_per_arm: Some(0.1), ..Constraints::default() };
    let Err(ProposalError::Infeasible { relaxation, .. }) = propose(&PlanningInput { constraints, ..input() }, 3) else { panic!() };
    let way = relaxation.iter().find(|way| way.changes[0].constraint == "max_share_per_arm").expect("a way out");
    let constraints = Constraints { spend_all: true, max_share_per_arm: Some(way.changes[0].to), ..Constraints::default() };
    assert!(propose(&PlanningInput { constraints, ..input() }, 1).is_ok(), "{}", way.text);
}

#[test]
fn a_plan_that_spends_nothing_is_no_plan() {
    let constraints = Constraints { min_roas: Some(50.0), ..Constraints::default() };
    let Err(ProposalError::Infeasible { conflict, relaxation, .. }) = propose(&PlanningInput { constraints, ..input() }, 3) else {
        panic!()
    };
    assert!(conflict.iter().any(|limit| limit.starts_with("min_roas")), "{conflict:?}");
    let way = relaxation.iter().find(|way| way.changes[0].constraint == "min_roas").expect("a way out");
    let constraints = Constraints { min_roas: Some(way.changes[0].to), ..Constraints::default() };
    let plans = propose(&PlanningInput { constraints, ..input() }, 1).unwrap();
    assert!(!plans[0].allocation.is_empty(), "{}", way.text);
}

#[test]
fn limits_that_contradict_each_other_by_themselves_are_wrong_fields() {
    let one = |name: &str, share: f64| [(name.to_owned(), share)].into();
    let cases = [
        (Constraints { min_share_per_arm: Some(0.3), max_share_per_arm: Some(0.2), ..Constraints::default() }, "min_share_per_arm"),
        (
            Constraints {
                min_share_per_placement: one("mailer", 0.6),
                max_share_per_placement: one("mailer", 0.5),
                ..Constraints::default()
            },
            "min_share_per_placement.mailer",
        ),
        (Constraints { min_share_per_placement: one("mailr", 0.1), ..Constraints::default() }, "min_share_per_placement.mailr"),
        (
            Constraints {
                min_share_per_placement: one("mailer", 0.1),
                excluded_placements: ["mailer".to_owned()].into(),
                ..Constraints::default()
            },
            "min_share_per_placement.mailer",
        ),
    ];
    for (constraints, path) in cases {
        match propose(&PlanningInput { constraints, ..input() }, 3) {
            Err(ProposalError::Invalid { field, message }) => assert_eq!(field, format!("constraints.{path}"), "{message}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn limits_on_what_no_line_has_are_said() {
    let mut input = input();
    input.constraints.excluded_placements = ["zzz".to_owned()].into();
    input.constraints.max_share_per_placement = [("spp".to_owned(), 0.2)].into();
    for plan in propose(&input, 3).unwrap() {
        for name in ["excluded_placements.zzz", "max_share_per_placement.spp"] {
            assert!(plan.risk_factors.iter().any(|risk| risk.contains(name)), "{:?}", plan.risk_factors);
        }
    }
}

#[test]
fn no_measured_spend_is_said() {
    let mut input = input();
    input.arms.drain(..4);
    assert_eq!(propose(&input, 3), Err(ProposalError::NoEvidence));
}

#[test]
fn tampered_plans_fail_at_the_right_place() {
    let input = input();
    let mut plan = propose(&input, 1).unwrap().remove(0);
    plan.allocation[1].spend_micros += 1;
    let checks = verify(&plan, input.budget_micros, &input.constraints);
    let failed: Vec<&str> = checks.iter().filter(|check| !check.passed).map(|check| check.check.as_str()).collect();
    assert!(failed.contains(&"spend_adds_up") && failed.contains(&"constraint.budget"), "{failed:?}");
}

#[test]
fn a_plan_is_a_close_call_with_itself() {
    let plans = propose(&input(), 3).unwrap();
    let same = compare(&plans[0], &plans[0]);
    assert_eq!(same.probability_first.value, Some(0.5));
    assert!(is_close_call(&same, 0.6));
    let forward = compare(&plans[0], &plans[1]).probability_first.value.unwrap();
    let backward = compare(&plans[1], &plans[0]).probability_first.value.unwrap();
    assert!((forward + backward - 1.0).abs() < 1e-9 && forward > 0.5);
}

#[test]
fn plans_survive_json() {
    let input = input();
    for plan in propose(&input, 3).unwrap() {
        let text = serde_json::to_string(&plan).unwrap();
        let back: planning::proposal::plan::CandidatePlan = serde_json::from_str(&text).unwrap();
        assert!(verify(&back, input.budget_micros, &input.constraints).iter().all(|check| check.passed));
        let spends =
            |plan: &planning::proposal::plan::CandidatePlan| -> Vec<i64> { plan.allocation.iter().map(|line| line.spend_micros).collect() };
        assert_eq!(spends(&back), spends(&plan));
        assert_eq!(back.rationale, plan.rationale);
    }
}

#[test]
fn the_three_plans_rest_on_different_reasons() {
    let mut input = input();
    // A doubtful arm: noisy, so its curve may be much better or worse.
    for (week, row) in input.arms[2].history.iter_mut().enumerate() {
        row.revenue_micros = row.revenue_micros.map(|micros| if week % 2 == 0 { micros / 2 } else { micros * 3 / 2 });
    }
    let plans = propose(&input, 3).unwrap();
    let spend = |plan: &planning::proposal::plan::CandidatePlan, arm: &str| {
        plan.allocation.iter().find(|line| line.arm_id == arm).map_or(0, |line| line.spend_micros)
    };
    assert_eq!(plans.iter().map(|plan| plan.strategy.as_str()).collect::<Vec<_>>(), ["exploit", "balanced", "explore"]);
    assert!(plans[0].expected.revenue_micros >= plans[1].expected.revenue_micros.max(plans[2].expected.revenue_micros));
    let deviation = |at: usize| plans[at].expected.revenue_standard_error_micros.value.unwrap();
    assert!(deviation(1) < deviation(0), "the balanced plan is surer");
    assert!(plans[1].rationale[0].contains("200 draws") && plans[2].rationale[0].contains("seed 3"));
    let again = propose(&PlanningInput { seed: 4, ..input.clone() }, 3).unwrap();
    assert_ne!(again[2].allocation, plans[2].allocation, "another seed explores elsewhere");
    assert_eq!(again[0].allocation, plans[0].allocation);
    assert!(
        spend(&plans[0], "a") > 0 && plans.iter().all(|plan| !plan.risk_factors.is_empty() && plan.binding.contains(&"budget".to_owned()))
    );
    let budget = plans[0].constraint_report.iter().find(|standing| standing.constraint == "budget").unwrap();
    let funded = plans[0].allocation.iter().filter(|line| line.spend_micros > 0 && line.share < 0.59);
    for line in funded {
        // At the best plan every funded line returns the same at the margin: the budget's shadow price.
        let spend_all = plans[0].constraint_report.iter().find(|standing| standing.constraint == "spend_all").unwrap();
        let price = budget.shadow_price.value.unwrap() - spend_all.shadow_price.value.unwrap();
        assert!((line.marginal_roas - price).abs() < 1e-3 * line.marginal_roas, "{} {price}", line.marginal_roas);
    }
}

#[test]
fn experiments_and_stock_change_plans() {
    let mut input = input();
    input.unavailable.insert("a".to_owned(), "all its SKUs are out of stock".to_owned());
    input.calibrations.push(planning::response::calibration::Calibration {
        arm: 1,
        roas: 0.2,
        standard_error: 0.02,
        spend_level: 100.0,
        source: "exp-7".to_owned(),
    });
    let plan = &propose(&input, 1).unwrap()[0];
    assert!(plan.allocation.iter().all(|line| line.arm_id != "a"));
    assert_eq!(plan.closed[0].reason, "all its SKUs are out of stock");
    let line = plan.allocation.iter().find(|line| line.arm_id == "b");
    assert!(line.is_none_or(|line| line.calibrated_by == ["exp-7"] && line.marginal_roas < 0.5));
    let text = match propose(
        &PlanningInput { constraints: Constraints { spend_all: true, min_roas: Some(50.0), ..Constraints::default() }, ..input },
        3,
    ) {
        Err(ProposalError::Infeasible { relaxation, .. }) => relaxation[0].text.clone(),
        other => panic!("{other:?}"),
    };
    assert!(text.contains("min_roas") || text.contains("spend_all"), "{text}");
}
