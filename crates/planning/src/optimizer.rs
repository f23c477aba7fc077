//! The budget optimiser: distributes a budget over arms with saturating (concave or S-shaped)
//! response curves, under bounds, group limits and a return floor, and proves how good the answer
//! is. Method: Lagrangian dual over the coupling constraints by column generation (the relaxation
//! replaces each S-shaped curve by its concave envelope), then branch and bound on the arms whose
//! relaxed spend lies between the branches of the envelope.

pub mod branch;
pub mod conflict;
pub mod curve;
pub mod dual;
pub mod master;
pub mod problem;
pub mod program;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use branch::{Effort, Outcome};
use problem::{InvalidProblem, Problem};

/// How far an answer is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Within one millionth of the proven upper bound.
    Optimal,
    /// Feasible; `upper_bound` says how much better an unknown answer could be at most.
    BestKnown,
    /// No allocation satisfies the constraints; `conflict` names those that cannot hold together.
    Infeasible,
}

/// The answer to a [`Problem`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solution {
    /// How far the answer is proven.
    pub status: Status,
    /// `sum value_i * r_i(x_i)` of the allocation; absent when infeasible.
    pub objective: Option<f64>,
    /// Proven upper bound on the objective of any feasible allocation; absent when infeasible.
    pub upper_bound: Option<f64>,
    /// Spend by arm id, in the problem's money unit; empty when infeasible.
    pub allocation: BTreeMap<String, f64>,
    /// Coupling constraints (budget, groups, return floor) without slack. Bounds of single arms
    /// are not listed: they are visible from the allocation.
    pub binding: Vec<String>,
    /// When infeasible: constraints that cannot hold together, none of which can be left out.
    pub conflict: Vec<String>,
}

/// Largest relative gap that is still called optimal.
const OPTIMAL_GAP: f64 = 1e-6;

/// Solves a budget problem.
///
/// # Errors
/// [`InvalidProblem`] with the path of the field when the problem contradicts itself in form
/// (a negative budget, a group naming an unknown arm). Constraints that cannot hold together are
/// not an error but the answer [`Status::Infeasible`].
pub fn solve(problem: &Problem) -> Result<Solution, InvalidProblem> {
    problem.validate()?;
    let program = problem.program();
    let conflict = conflict::explain(&program);
    if !conflict.is_empty() {
        return Ok(infeasible(conflict));
    }
    Ok(match branch::maximise(&program, Effort::default()) {
        Outcome::Found(best) => {
            let gap = (best.upper_bound - best.objective) / best.upper_bound.abs().max(1e-12);
            Solution {
                status: if gap <= OPTIMAL_GAP { Status::Optimal } else { Status::BestKnown },
                objective: Some(best.objective),
                upper_bound: Some(best.upper_bound),
                allocation: problem.arms.iter().zip(&best.spend).map(|(arm, spend)| (arm.id.clone(), *spend)).collect(),
                binding: program.binding(&best.spend),
                conflict: Vec::new(),
            }
        }
        Outcome::NotFound { proven: true } => infeasible(conflict::explain_by_search(&program)),
        Outcome::NotFound { proven: false } => {
            infeasible(vec!["no allocation was found that meets all limits (search limit reached, so this is not a proof)".to_owned()])
        }
    })
}

fn infeasible(conflict: Vec<String>) -> Solution {
    Solution { status: Status::Infeasible, objective: None, upper_bound: None, allocation: BTreeMap::new(), binding: Vec::new(), conflict }
}
