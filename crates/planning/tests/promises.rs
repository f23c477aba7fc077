//! What the plans of a set promise: none falls behind the present plan in what it is made for, and a
//! shadow price is what relaxing the limit brings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use planning::figure::Reason;
use planning::metrics::Measures;
use planning::optimizer::branch::{Effort, Outcome, maximise};
use planning::optimizer::program::Program;
use planning::proposal::constraints::Constraints;
use planning::proposal::evidence::Evidence;
use planning::proposal::plan::CandidatePlan;
use planning::proposal::strategy::Strategy;
use planning::proposal::{ArmHistory, PlanningInput, Present, base, pricing, propose, sampling};
use proptest::prelude::*;

/// Lines with `beta x / (k + x)` and a wobble of their own.
fn input(shapes: &[(f64, f64, f64, f64)], constraints: Constraints, seed: u64) -> PlanningInput {
    let arms = shapes.iter().enumerate().map(|(at, &(beta, k, spend, wobble))| ArmHistory {
        arm_id: format!("arm-{at}"),
        placement_type: if at % 2 == 0 { "mailer" } else { "display" }.to_owned(),
        audience_segment: if at % 3 == 0 { "new" } else { "all" }.to_owned(),
        history: (0..14_i32)
            .map(|week| {
                let spend = spend * (0.4 + 0.15 * f64::from(week));
                let revenue = beta * spend / (k + spend) * (1.0 + wobble * f64::from(week * 5 % 7 - 3));
                Measures {
                    conversions: Some((revenue / 4.0).round() as i64),
                    spend_micros: Some((spend * 1e6) as i64),
                    revenue_micros: Some((revenue * 1e6) as i64),
                    ..Measures::default()
                }
            })
            .collect(),
    });
    PlanningInput {
        arms: arms.collect(),
        budget_micros: 1_200_000_000,
        currency: "USD".to_owned(),
        horizon_days: 28,
        period_days: 7,
        constraints,
        learning_share: 0.15,
        seed,
        present: None,
        calibrations: Vec::new(),
        unavailable: BTreeMap::new(),
    }
}

fn units(input: &PlanningInput, spend_of: impl Fn(&str) -> i64) -> Vec<f64> {
    input.arms.iter().map(|arm| spend_of(&arm.arm_id) as f64 / 1e6).collect()
}

fn spend(input: &PlanningInput, plan: &CandidatePlan) -> Vec<f64> {
    units(input, |id| plan.allocation.iter().find(|line| line.arm_id == id).map_or(0, |line| line.spend_micros))
}

fn present_spend(input: &PlanningInput) -> Vec<f64> {
    units(input, |id| input.present.as_ref().unwrap().spend_micros.get(id).copied().unwrap_or(0))
}

/// Every plan against a feasible present plan, measured again from the draws.
fn check_against_present(input: &PlanningInput, plans: &[CandidatePlan]) -> Result<(), TestCaseError> {
    let evidence = Evidence::gather(input).unwrap();
    let draws = sampling::draws(input, &evidence);
    for plan in plans {
        let present = plan.present.as_ref().unwrap();
        if !present.is_feasible {
            continue;
        }
        let Some(measured) = present.measured else {
            prop_assert!(present.never_worse_in.starts_with("nothing: "), "{}: {}", plan.strategy, present.never_worse_in);
            continue;
        };
        prop_assert!(
            measured.plan_micros >= measured.present_micros,
            "{} is worse in {}: {measured:?}",
            plan.strategy,
            present.never_worse_in
        );
        let (own, now) = (spend(input, plan), present_spend(input));
        match plan.strategy.as_str() {
            "exploit" => prop_assert!(present.revenue_difference_micros >= 0),
            "balanced" => prop_assert!(sampling::low_quantile(&draws, &own) >= sampling::low_quantile(&draws, &now)),
            "explore" if plan.rationale[0].contains("draw ") => {
                let attempt = plan.rationale[0].split("draw ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
                let drawn = sampling::draw(input, &evidence, attempt);
                let of = |spend: &[f64]| drawn.iter().zip(spend).map(|(curve, x)| curve.response(*x)).sum::<f64>();
                prop_assert!(of(&own) >= of(&now), "{} against {}", of(&own), of(&now));
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_falls_behind_a_feasible_present_plan_in_its_own_measure(
        shapes in prop::collection::vec((100.0..2_000.0f64, 40.0..900.0f64, 30.0..300.0f64, 0.0..0.2f64), 3..7),
        weights in prop::collection::vec(0.05..1.0f64, 7),
        used in 0.4..1.0f64,
        cap in prop::option::of(0.4..0.9f64),
        min_roas in prop::option::of(0.1..0.8f64),
        step in prop::option::of(Just(1_000_000i64)),
        seed in any::<u64>(),
        nearness in 0.0..1.0f64,
    ) {
        let constraints = Constraints {
            min_roas, step_micros: step,
            max_share_per_placement: cap.map(|cap| ("mailer".to_owned(), cap)).into_iter().collect(),
            ..Constraints::default()
        };
        let mut input = input(&shapes, constraints, seed);
        // Present plans near a plan of the set are the ones that a careless plan falls behind.
        let near = propose(&input, 3).ok().and_then(|plans| plans.last().cloned());
        let weight: f64 = weights.iter().take(shapes.len()).sum();
        let spend_micros = input.arms.iter().zip(&weights).map(|(arm, own)| {
            let even = used * 1.2e9 * own / weight;
            let planned = near.as_ref().and_then(|plan| plan.allocation.iter().find(|line| line.arm_id == arm.arm_id)).map_or(0.0, |line| line.spend_micros as f64);
            let micros = (nearness * planned + (1.0 - nearness) * even) as i64;
            (arm.arm_id.clone(), micros - micros % step.unwrap_or(1))
        });
        input.present = Some(Present { source: "test".to_owned(), spend_micros: spend_micros.collect() });
        let Ok(plans) = propose(&input, 6) else { return Ok(()) };
        check_against_present(&input, &plans)?;
        for plan in &plans {
            for standing in &plan.constraint_report {
                let price = &standing.shadow_price;
                prop_assert!(price.value.is_some() != price.reason.is_some(), "{} {standing:?}", plan.strategy);
                prop_assert!(price.value.is_none_or(|price| price.is_finite() && price >= 0.0), "{} {standing:?}", plan.strategy);
            }
            prop_assert!(!plan.objective.is_empty());
        }
    }
}

const DOUBTFUL: [(f64, f64, f64, f64); 5] = [
    (1_800.0, 500.0, 150.0, 0.2),
    (1_500.0, 350.0, 120.0, 0.01),
    (1_200.0, 400.0, 140.0, 0.14),
    (900.0, 200.0, 90.0, 0.02),
    (700.0, 300.0, 60.0, 0.2),
];

/// A present plan that is surer than what the balanced search finds: it takes the place of the plan.
#[test]
fn the_balanced_plan_is_not_less_sure_than_a_surer_present_plan() {
    let mut input = input(&DOUBTFUL, Constraints::default(), 11);
    let plans = propose(&input, 3).unwrap();
    let balanced = plans.iter().find(|plan| plan.strategy == "balanced").unwrap();
    let evidence = Evidence::gather(&input).unwrap();
    let draws = sampling::draws(&input, &evidence);
    // Climb from the balanced plan: money moves as long as the low quantile rises.
    let mut sure = spend(&input, balanced);
    let found = sampling::low_quantile(&draws, &sure);
    let mut best = found;
    for size in [40.0, 10.0, 2.0] {
        for pair in 0..25 * 8 {
            let (from, into) = (pair % 5, pair / 5 % 5);
            let mut moved = sure.clone();
            moved[from] -= size;
            moved[into] += size;
            if moved[from] >= 0.0 && sampling::low_quantile(&draws, &moved) > best {
                best = sampling::low_quantile(&draws, &moved);
                sure = moved;
            }
        }
    }
    assert!(best > found * 1.000_01, "there is nothing surer: {best} against {found}");
    let spend_micros = input.arms.iter().zip(&sure).map(|(arm, x)| (arm.arm_id.clone(), (x * 1e6).floor() as i64)).collect();
    input.present = Some(Present { source: "test".to_owned(), spend_micros });
    let plans = propose(&input, 3).unwrap();
    check_against_present(&input, &plans).unwrap();
    let balanced = plans.iter().find(|plan| plan.strategy == "balanced").unwrap();
    assert_eq!(spend(&input, balanced), present_spend(&input));
    assert!(balanced.rationale[0].contains("present plan"), "{:?}", balanced.rationale);
    // It is not the optimum of what was solved, so the prices of what was found are not shown for it.
    let budget = balanced.constraint_report.iter().find(|standing| standing.constraint == "budget").unwrap();
    assert_eq!(budget.shadow_price.reason, Some(Reason::NotAnOptimum));
}

/// The best of a program with one row moved.
fn best_with(program: &Program, row: &str, by: f64) -> f64 {
    let mut moved = program.clone();
    moved.rows.iter_mut().filter(|held| held.name == row).for_each(|held| held.move_to(held.shown_limit + by));
    match maximise(&moved, Effort { gap: 1e-12, ..Effort::default() }, &[]) {
        Outcome::Found(best) => best.objective,
        Outcome::NotFound { .. } => panic!("no solution"),
    }
}

#[test]
fn shadow_prices_of_every_strategy_are_the_gain_of_its_own_objective() {
    let constraints =
        Constraints { spend_all: true, max_share_per_placement: [("mailer".to_owned(), 0.25)].into(), ..Constraints::default() };
    let input = input(&DOUBTFUL, constraints, 11);
    let evidence = Evidence::gather(&input).unwrap();
    let base = base::program(&input, &evidence);
    let plans = propose(&input, 6).unwrap();
    let exploit = spend(&input, &plans[0]);
    let mut checked = Vec::new();
    for plan in &plans {
        let strategy = Strategy::catalogue(&input).into_iter().find(|strategy| strategy.name == plan.strategy).unwrap();
        let tailored = strategy.tailor(&input, &evidence, &base, Some(&exploit), &[]).unwrap();
        let price_of = |name: &str| plan.constraint_report.iter().find(|standing| standing.constraint == name).unwrap().shadow_price;
        let name = "max_share_per_placement.mailer";
        let Some(price) = price_of(name).value else {
            assert!(["explore", "present_mix"].contains(&plan.strategy.as_str()), "{} has no price", plan.strategy);
            continue;
        };
        let gained = (best_with(&tailored.program, name, 1.0) - best_with(&tailored.program, name, -1.0)) / 2.0;
        assert!((gained - price).abs() <= 0.02 * gained.abs() + 2e-3, "{}: {price}, gained {gained}", plan.strategy);
        checked.push((plan.strategy.clone(), price));
    }
    assert!(checked.iter().any(|(strategy, price)| strategy == "balanced" && *price > 0.01), "{checked:?}");
    assert!(checked.len() >= 3, "{checked:?}");
}

#[test]
fn limits_of_single_lines_have_prices_too() {
    let with = |most: f64, least: f64| {
        let constraints =
            Constraints { max_share_per_arm: Some(most), min_share_per_arm: Some(least), spend_all: true, ..Constraints::default() };
        propose(&input(&DOUBTFUL, constraints, 11), 1).unwrap().remove(0)
    };
    let revenue = |plan: &CandidatePlan| plan.expected.revenue_micros as f64 / 1e6;
    let plan = with(0.27, 0.12);
    let price_of =
        |name: &str| plan.constraint_report.iter().find(|standing| standing.constraint == name).unwrap().shadow_price.value.unwrap();
    // A thousandth of the budget is 1.2 currency units.
    let raised = (revenue(&with(0.271, 0.12)) - revenue(&with(0.269, 0.12))) / 2.4;
    let lowered = (revenue(&with(0.27, 0.119)) - revenue(&with(0.27, 0.121))) / 2.4;
    assert!(raised > 1e-3 && lowered > 1e-3, "{raised} {lowered}: the limits must bind here");
    assert!((price_of("max_share_per_arm") - raised).abs() < 0.03 * raised, "{} {raised}", price_of("max_share_per_arm"));
    assert!((price_of("min_share_per_arm") - lowered).abs() < 0.03 * lowered, "{} {lowered}", price_of("min_share_per_arm"));
}

#[test]
fn a_plan_that_is_no_optimum_has_no_price_and_says_so() {
    let constraints = Constraints { step_micros: Some(1_000_000), ..Constraints::default() };
    let plans = propose(&input(&DOUBTFUL, constraints, 11), 12).unwrap();
    let price_of = |strategy: &str, name: &str| {
        let plan = plans.iter().find(|plan| plan.strategy == strategy).unwrap();
        plan.constraint_report.iter().find(|standing| standing.constraint == name).unwrap().shadow_price
    };
    assert_eq!(price_of("exploit", "step").reason, Some(Reason::NotGradual));
    assert!(price_of("exploit", "budget").value.unwrap() > 0.0);
    let mix = propose(&input(&DOUBTFUL, Constraints::default(), 11), 12).unwrap();
    let mix = mix.iter().find(|plan| plan.strategy == "present_mix").unwrap();
    assert_eq!(mix.constraint_report[0].shadow_price.reason, Some(Reason::NotAnOptimum));
    assert!(mix.objective.starts_with("nothing"));
}

/// When the present plan takes the place of a plan, the prices are those at the present plan, or none.
#[test]
fn prices_belong_to_the_spends_that_are_shown() {
    let input = input(&DOUBTFUL, Constraints::default(), 11);
    let evidence = Evidence::gather(&input).unwrap();
    let base = base::program(&input, &evidence);
    let Outcome::Found(best) = maximise(&base, Effort::default(), &[]) else { panic!("no solution") };
    let stale = || Some(vec![123.0; base.rows.len()]);
    let prices = pricing::after_replacement(&base, &best.spend, stale()).unwrap();
    let gained = (best_with(&base, "budget", 1.0) - best_with(&base, "budget", -1.0)) / 2.0;
    let shown = base.rows[0].shadow_price(prices[0], &best.spend, &base.responses(&best.spend));
    assert!((shown - gained).abs() < 0.01 * gained, "{shown} {gained}");
    let even = vec![1_200.0 / 5.0; 5];
    assert_eq!(pricing::after_replacement(&base, &even, stale()), None);
}
