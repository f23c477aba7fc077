//! A second look at a plan from its own figures, whoever made it: do the numbers add up, and are
//! the constraints kept? Used before a plan is stored and before people judge it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::constraints::{Constraints, Unit};
use super::plan::CandidatePlan;

/// One question asked of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Name of the question, stable.
    pub check: String,
    /// The answer.
    pub passed: bool,
    /// The figures behind the answer.
    pub message: String,
    /// JSON pointer into the plan.
    pub place: String,
}

/// Checks a plan against a budget (micros, in the plan's currency) and constraints.
#[must_use]
pub fn verify(plan: &CandidatePlan, budget_micros: i64, constraints: &Constraints) -> Vec<Check> {
    let mut checks = vec![line_ids(plan), line_amounts(plan)];
    let spend: i128 = plan.allocation.iter().map(|line| i128::from(line.spend_micros)).sum();
    let revenue: i128 = plan.allocation.iter().map(|line| i128::from(line.expected_revenue_micros)).sum();
    checks.push(equal(
        &plan.currency,
        "spend_adds_up",
        "/expected/spend_micros",
        spend,
        plan.expected.spend_micros,
        "sum of the lines' spend",
    ));
    checks.push(equal(
        &plan.currency,
        "revenue_adds_up",
        "/expected/revenue_micros",
        revenue,
        plan.expected.revenue_micros,
        "sum of the lines' revenue",
    ));
    checks.push(equal(
        &plan.currency,
        "budget_is_the_stated_one",
        "/budget_micros",
        i128::from(budget_micros),
        plan.budget_micros,
        "stated budget",
    ));
    let left = i128::from(budget_micros) - spend;
    checks.push(equal(&plan.currency, "unallocated_adds_up", "/unallocated_micros", left, plan.unallocated_micros, "budget minus spend"));
    checks.push(shares(plan, budget_micros));
    checks.push(stated_roas(plan, spend, revenue));
    let money = |micros: i128| in_words(micros, &plan.currency);
    for (index, standing) in constraints.standings(&plan.allocation, &plan.expected, budget_micros).iter().enumerate() {
        let shown = |value: f64| match standing.unit {
            Unit::Micros => money(value as i128),
            Unit::Ratio => value.to_string(),
        };
        let value = standing.value.map_or("unknown".to_owned(), shown);
        checks.push(Check {
            check: format!("constraint.{}", standing.constraint),
            passed: standing.satisfied,
            message: format!("value {value}, limit {}", shown(standing.limit)),
            place: format!("/constraint_report/{index}"),
        });
    }
    checks
}

fn line_ids(plan: &CandidatePlan) -> Check {
    let mut seen = HashSet::new();
    let twice = plan.allocation.iter().position(|line| !seen.insert(line.arm_id.as_str()));
    Check {
        check: "arms_are_distinct".to_owned(),
        passed: twice.is_none(),
        message: twice
            .map_or_else(|| format!("{} lines, {} arms", plan.allocation.len(), seen.len()), |line| format!("line {line} repeats an arm")),
        place: twice.map_or_else(|| "/allocation".to_owned(), |line| format!("/allocation/{line}/arm_id")),
    }
}

fn line_amounts(plan: &CandidatePlan) -> Check {
    let wrong = plan.allocation.iter().position(|line| line.spend_micros < 0 || line.expected_revenue_micros < 0);
    Check {
        check: "amounts_are_not_negative".to_owned(),
        passed: wrong.is_none(),
        message: wrong.map_or_else(|| "no negative amount".to_owned(), |line| format!("line {line} has a negative amount")),
        place: wrong.map_or_else(|| "/allocation".to_owned(), |line| format!("/allocation/{line}")),
    }
}

/// An amount in currency units, exact.
fn in_words(micros: i128, currency: &str) -> String {
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let part = format!("{:06}", size % 1_000_000);
    let part = part.trim_end_matches('0');
    format!("{sign}{}.{part:0<2} {currency}", size / 1_000_000)
}

fn equal(currency: &str, check: &str, place: &str, computed: i128, stated: i64, what: &str) -> Check {
    Check {
        check: check.to_owned(),
        passed: computed == i128::from(stated),
        message: format!("{what} is {}, stated {}", in_words(computed, currency), in_words(i128::from(stated), currency)),
        place: place.to_owned(),
    }
}

fn shares(plan: &CandidatePlan, budget_micros: i64) -> Check {
    let off = plan.allocation.iter().position(|line| {
        let off = (line.share * budget_micros as f64 - line.spend_micros as f64).abs();
        off.is_nan() || off > 1e-6 * budget_micros as f64
    });
    Check {
        check: "shares_match_spend".to_owned(),
        passed: off.is_none(),
        message: off.map_or_else(
            || "every share is spend / budget".to_owned(),
            |line| format!("the share of line {line} is not its spend / budget"),
        ),
        place: off.map_or_else(|| "/allocation".to_owned(), |line| format!("/allocation/{line}/share")),
    }
}

fn stated_roas(plan: &CandidatePlan, spend: i128, revenue: i128) -> Check {
    let computed = (spend > 0).then(|| revenue as f64 / spend as f64);
    let passed = match (computed, plan.expected.roas.value) {
        (Some(computed), Some(stated)) => (computed - stated).abs() <= 1e-9 * computed.abs().max(1.0),
        (None, None) => true,
        _ => false,
    };
    Check {
        check: "roas_is_revenue_over_spend".to_owned(),
        passed,
        message: {
            let shown = |roas: Option<f64>| roas.map_or("none".to_owned(), |roas| roas.to_string());
            format!("computed {}, stated {}", shown(computed), shown(plan.expected.roas.value))
        },
        place: "/expected/roas".to_owned(),
    }
}
