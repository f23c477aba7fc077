//! The budget optimiser: distributes a budget over arms with saturating (concave or S-shaped)
//! response curves, under bounds, group limits and a return floor, and proves how good the answer
//! is. Method: the relaxation replaces each S-shaped curve by its concave envelope and is solved by
//! column generation (few coupling constraints) or by an interior-point method (many); then branch
//! and bound on the arms whose relaxed spend lies between the branches of the envelope.

pub mod branch;
mod cholesky;
pub mod conflict;
pub mod curve;
pub mod dual;
mod envelope;
pub mod interior;
pub mod lattice;
pub mod master;
pub mod problem;
pub mod program;
pub mod relaxation;
mod repair;
pub mod report;
mod rounding;
pub mod translation;
pub mod validation;
pub mod work;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use branch::{Effort, Outcome};
use problem::{InvalidProblem, Problem};
use program::Program;
use relaxation::{Relaxation, WaysOut};
use report::{ConstraintReport, PresentReport};
use work::Work;

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
    /// `(upper_bound - objective) / upper_bound`; absent when infeasible.
    pub gap: Option<f64>,
    /// How each coupling constraint stands, with slack and shadow price; empty when infeasible.
    pub constraints: Vec<ConstraintReport>,
    /// Response of one more unit of spend, by arm id; null where the curve begins infinitely steep.
    pub marginal_roas: BTreeMap<String, Option<f64>>,
    /// Arms that may get nothing, with the reason.
    pub closed: BTreeMap<String, String>,
    /// When infeasible: ways out, the smallest relative change first, each checked by solving.
    pub relaxation: Vec<Relaxation>,
    /// Why there is no way out, or why there may be others than those given.
    #[serde(default)]
    pub relaxation_reason: Option<String>,
    /// When infeasible: what the bound on work left open, in words; empty when all is proven.
    #[serde(default)]
    pub unproven: Vec<String>,
    /// Comparison with the present spends, when they were given.
    pub present: Option<PresentReport>,
}

/// Said of a conflict that was not made as small as possible.
pub const REDUCIBLE: &str = "conflict: the bound on work was reached, so some of these limits may be spared";
/// Said when the search ruled everything out, but no set of limits was shown to be the reason.
pub const UNEXPLAINED: &str = "no allocation meets all limits; which of them contradict each other was not found within the bound on work";
/// Said when the search gave up.
pub const UNPROVEN: &str = "no allocation was found that meets all limits (search limit reached, so this is not a proof)";

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
    let present = report::present(problem);
    let known: Vec<Vec<f64>> = present.iter().cloned().collect();
    Ok(match branch::maximise(&program, Effort::default(), &known) {
        Outcome::Found(best) => {
            let gap = (best.upper_bound - best.objective) / best.upper_bound.abs().max(1e-12);
            Solution {
                status: if gap <= OPTIMAL_GAP { Status::Optimal } else { Status::BestKnown },
                objective: Some(best.objective),
                upper_bound: Some(best.upper_bound),
                allocation: problem.arms.iter().zip(&best.spend).map(|(arm, spend)| (arm.id.clone(), *spend)).collect(),
                binding: program.binding(&best.spend),
                conflict: Vec::new(),
                gap: Some(gap),
                constraints: report::constraints(&program, &best),
                marginal_roas: report::marginal(problem, &program, &best.spend),
                closed: problem.closed(),
                relaxation: Vec::new(),
                relaxation_reason: None,
                unproven: Vec::new(),
                present: present.map(|present| report::compare(problem, &program, &present, &best)),
            }
        }
        Outcome::NotFound { proven } => infeasible(problem, &program, proven),
    })
}

/// Why there is no allocation, and what would have to give.
fn infeasible(problem: &Problem, program: &Program, proven: bool) -> Solution {
    let work = Work::for_explaining(program);
    let found = work.within(work.most() / 2, |work| conflict::explain(program, work));
    let mut unproven = Vec::new();
    let ways = match &found {
        Some(found) => {
            if !found.is_irreducible {
                unproven.push(REDUCIBLE.to_owned());
            }
            report::relax(problem, &found.rows, &work)
        }
        None => {
            unproven.push(if proven { UNEXPLAINED } else { UNPROVEN }.to_owned());
            WaysOut { ways: Vec::new(), reason: Some("no conflict is known that it could start from".to_owned()) }
        }
    };
    Solution {
        status: Status::Infeasible,
        objective: None,
        upper_bound: None,
        allocation: BTreeMap::new(),
        binding: Vec::new(),
        conflict: found.map_or_else(|| unproven.clone(), |found| found.words),
        gap: None,
        constraints: Vec::new(),
        marginal_roas: BTreeMap::new(),
        closed: problem.closed(),
        relaxation: ways.ways,
        relaxation_reason: ways.reason,
        unproven,
        present: None,
    }
}
