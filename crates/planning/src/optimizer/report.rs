//! What a solution says about itself: how each constraint stands, what relaxing it would earn,
//! what one more unit would bring on each arm, and the difference to the present plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::branch::Best;
use super::problem::Problem;
use super::program::{Program, Sense};
use super::relaxation::{self, Knob, WaysOut};
use super::work::Work;

/// How an allocation stands to one constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstraintReport {
    /// Its name, as in `binding`.
    pub constraint: String,
    /// Which side of the limit is allowed.
    pub sense: Sense,
    /// The limit.
    pub limit: f64,
    /// Where the allocation is; absent for a ratio without a denominator.
    pub value: Option<f64>,
    /// Room left, in the unit of the limit.
    pub slack: Option<f64>,
    /// What the objective gains for each unit by which the limit is relaxed (raised when it is a
    /// most, lowered when it is a least). 0 when it is not binding.
    pub shadow_price: f64,
}

/// How the answer compares with what is done now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresentReport {
    /// Whether the present spends keep all constraints.
    pub is_feasible: bool,
    /// Their objective.
    pub objective: f64,
    /// Objective of the answer minus theirs; not negative when they are feasible.
    pub gain: f64,
    /// Constraints they break, by name.
    pub broken: Vec<String>,
    /// Spend of the answer minus present spend, by arm id, where they differ.
    pub difference: BTreeMap<String, f64>,
}

/// How each row stands.
#[must_use]
pub fn constraints(program: &Program, best: &Best) -> Vec<ConstraintReport> {
    let response = program.responses(&best.spend);
    let report = |(row, price): (&super::program::Row, &f64)| {
        let value = row.value(&best.spend, &response);
        let slack = value.map(|value| if row.sense == Sense::AtMost { row.shown_limit - value } else { value - row.shown_limit });
        let is_binding = row.limit - row.usage(&best.spend, &response) <= 1e-6;
        ConstraintReport {
            constraint: row.name.clone(),
            sense: row.sense,
            limit: row.shown_limit,
            value,
            slack,
            shadow_price: if is_binding { row.shadow_price(*price, &best.spend, &response) } else { 0.0 },
        }
    };
    program.rows.iter().zip(&best.prices).map(report).collect()
}

/// Response of one more unit of spend, by arm id; `None` where the curve begins infinitely steep.
#[must_use]
pub fn marginal(problem: &Problem, program: &Program, spend: &[f64]) -> BTreeMap<String, Option<f64>> {
    let slope = |(arm, &x): (&super::program::ProgramArm, &f64)| Some(arm.curve.slope(x)).filter(|slope| slope.is_finite());
    problem.arms.iter().map(|arm| arm.id.clone()).zip(program.arms.iter().zip(spend).map(slope)).collect()
}

/// The present spends in the order of the arms; an arm that is not named gets nothing.
#[must_use]
pub fn present(problem: &Problem) -> Option<Vec<f64>> {
    let present = problem.present.as_ref()?;
    Some(problem.arms.iter().map(|arm| present.get(&arm.id).copied().unwrap_or(0.0)).collect())
}

/// Compares the answer with the present spends.
#[must_use]
pub fn compare(problem: &Problem, program: &Program, present: &[f64], best: &Best) -> PresentReport {
    let response = program.responses(present);
    let objective = program.objective(&response);
    let over = |row: &&super::program::Row| row.usage(present, &response) > row.limit + super::program::FEASIBLE;
    let mut broken: Vec<String> = program.rows.iter().filter(over).map(|row| row.name.clone()).collect();
    let is_feasible = program.is_feasible(present);
    if !is_feasible && broken.is_empty() {
        broken.push("bounds or steps of the arms".to_owned());
    }
    let moved = problem.arms.iter().zip(best.spend.iter().zip(present));
    let difference = moved.filter(|(_, (new, old))| (*new - *old).abs() > 1e-9 * (1.0 + *old));
    PresentReport {
        is_feasible,
        objective,
        gain: best.objective - objective,
        broken,
        difference: difference.map(|(arm, (new, old))| (arm.id.clone(), new - old)).collect(),
    }
}

/// Ways to make a problem feasible whose rows of these names contradict each other.
#[must_use]
pub fn relax(problem: &Problem, conflict: &[String], work: &Work) -> WaysOut {
    let program = problem.program();
    // With `spend_all` the budget is both limits at once; letting money lie is the way out.
    let movable = program.rows.iter().filter(|row| row.name != "budget" || problem.limits.iter().all(|limit| limit.min_share.is_none()));
    let knobs: Vec<Knob> = movable.map(|row| Knob { constraint: row.name.clone(), from: row.shown_limit, sense: row.sense }).collect();
    let moved = |places: &[f64]| {
        let mut program = problem.program();
        for (knob, place) in knobs.iter().zip(places) {
            program.rows.iter_mut().filter(|row| row.name == knob.constraint).for_each(|row| row.move_to(*place));
        }
        program
    };
    relaxation::smallest(conflict, &knobs, &moved, work)
}
