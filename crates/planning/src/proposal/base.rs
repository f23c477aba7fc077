//! The request as a program: curves over the horizon, bounds and rows in currency units, and what
//! would have to give when nothing fits.

use super::PlanningInput;
use super::evidence::{ArmEvidence, Evidence, MICROS};
use crate::optimizer::curve::Hill;
use crate::optimizer::program::{Program, ProgramArm, Row};
use crate::optimizer::relaxation::{Knob, WaysOut, smallest};
use crate::optimizer::work::Work;

/// Return floors are solved this much higher, so that rounding to micros cannot break them.
const FLOOR_MARGIN: f64 = 1.0 + 1e-6;

const LEAST_OF_ARMS: &str = "min_share_per_arm";
const MOST_OF_ARMS: &str = "max_share_per_arm";

/// The curve of an arm over the horizon.
#[must_use]
pub fn over_horizon(hill: &Hill, evidence: &Evidence) -> Hill {
    Hill { beta: hill.beta * evidence.periods, k: hill.k * evidence.periods, alpha: hill.alpha }
}

/// The request as a program in currency units.
#[must_use]
pub fn program(input: &PlanningInput, evidence: &Evidence) -> Program {
    let limits = &input.constraints;
    let budget = input.budget_micros as f64 / MICROS;
    let (low, high) = limits.arm_bounds(input.budget_micros);
    let step = limits.step_micros.map_or(0.0, |step| step as f64 / MICROS);
    let bounds = (low as f64 / MICROS, high.max(low) as f64 / MICROS);
    let made = |arm: &ArmEvidence| ProgramArm::within(over_horizon(&arm.curve.hill, evidence), 1.0, bounds, step);
    let arms: Vec<ProgramArm> = evidence.arms.iter().map(made).collect();
    let all: Vec<usize> = (0..arms.len()).collect();
    let mut rows = vec![Row::spend_at_most("budget", &all, budget)];
    if limits.spend_all {
        rows.push(Row::spend_at_least("spend_all", &all, limits.whole_budget(input.budget_micros) as f64 / MICROS));
    }
    for limit in limits.share_limits() {
        let covered = |index: &usize| {
            let arm = &input.arms[evidence.arms[*index].position];
            limit.covers(&arm.placement_type, &arm.audience_segment)
        };
        let members: Vec<usize> = all.iter().copied().filter(covered).collect();
        let row = if limit.is_least { Row::spend_at_least } else { Row::spend_at_most };
        rows.push(row(&limit.name, &members, limit.share * budget));
    }
    if let Some(floor) = limits.min_roas {
        let factors: Vec<(usize, f64)> = all.iter().map(|&arm| (arm, 1.0)).collect();
        let mut row = Row::return_at_least("min_roas", &factors, floor * FLOOR_MARGIN, budget);
        row.shown_limit = floor;
        rows.push(row);
    }
    if let Some(limit) = limits.max_cpa_micros {
        let worth = limit as f64 / MICROS;
        let conversions = |arm: &ArmEvidence| arm.order_value.map_or(0.0, |value| 1.0 / value);
        let factors: Vec<(usize, f64)> = evidence.arms.iter().map(conversions).enumerate().collect();
        let mut row = Row::cost_at_most("max_cpa", &factors, worth / FLOOR_MARGIN, budget);
        row.shown_limit = worth;
        rows.push(row);
    }
    Program { arms, rows, closed: Vec::new(), names: None }
}

/// Name of the row that asks for any spend at all.
pub const SOME_SPEND: &str = "spending at least 1 % of the budget";
/// What counts as spending anything, as a share of the budget.
const SOME: f64 = 0.01;

/// The program with the demand that something is spent.
#[must_use]
pub fn with_some_spend(base: &Program) -> Program {
    let mut program = base.clone();
    let all: Vec<usize> = (0..program.arms.len()).collect();
    let budget = program.rows.first().map_or(0.0, |row| row.shown_limit);
    program.rows.push(Row::spend_at_least(SOME_SPEND, &all, SOME * budget));
    program
}

/// The smallest moves of the request's limits that make plans possible, each checked, given the
/// names of the limits that contradict each other. Shares stay
/// shares: a larger budget moves the limits of lines, placements and audiences with it.
#[must_use]
pub fn ways_out(input: &PlanningInput, evidence: &Evidence, conflict: &[String], work: &Work) -> WaysOut {
    use crate::optimizer::program::Sense::{AtLeast, AtMost};
    let limits = &input.constraints;
    let budget = input.budget_micros as f64 / MICROS;
    let mut knobs = Vec::new();
    let mut knob = |constraint: &str, from: Option<f64>, sense| {
        knobs.extend(from.map(|from| Knob { constraint: constraint.to_owned(), from, sense }));
    };
    knob("spend_all", limits.spend_all.then_some(budget), AtLeast);
    knob("min_roas", limits.min_roas, AtLeast);
    knob("max_cpa", limits.max_cpa_micros.map(|micros| micros as f64 / MICROS), AtMost);
    knob(LEAST_OF_ARMS, limits.min_share_per_arm, AtLeast);
    knob(MOST_OF_ARMS, limits.max_share_per_arm, AtMost);
    for limit in limits.share_limits() {
        knob(&limit.name, Some(limit.share), if limit.is_least { AtLeast } else { AtMost });
    }
    let moved = |places: &[f64]| {
        let mut moved = program(input, evidence);
        if conflict.iter().any(|row| row == SOME_SPEND) {
            moved = with_some_spend(&moved);
        }
        for (knob, place) in knobs.iter().zip(places).filter(|(knob, place)| **place != knob.from) {
            for arm in &mut moved.arms {
                match knob.constraint.as_str() {
                    LEAST_OF_ARMS => arm.stated.0 = place * budget,
                    MOST_OF_ARMS => arm.stated.1 = (place * budget).clamp(arm.stated.0, budget.max(arm.stated.0)),
                    _ => break,
                }
                (arm.low, arm.high) = arm.stated;
                arm.align();
            }
            let is_share = knob.constraint.contains("_share_per_");
            for row in moved.rows.iter_mut().filter(|row| row.name == knob.constraint) {
                row.move_to(if is_share { place * budget } else { *place });
            }
        }
        moved
    };
    smallest(conflict, &knobs, &moved, work)
}
