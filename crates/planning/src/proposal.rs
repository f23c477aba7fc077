//! Candidate plans: several different, explained ways to spend a stated budget on a campaign's
//! arms, all within the constraints, so that people and reward models have something real to
//! choose from. Nothing is invented: what history does not hold stays absent with a reason.

pub mod apportionment;
pub mod assembly;
pub mod constraints;
pub mod evidence;
pub mod plan;
pub mod strategy;
pub mod verification;

use serde::{Deserialize, Serialize};

use crate::metrics::Measures;
use crate::optimizer::branch::{self, Effort, Outcome};
use crate::optimizer::conflict;

use constraints::Constraints;
use evidence::Evidence;
use plan::CandidatePlan;
use strategy::Strategy;

/// Most candidate plans of one request.
pub const MAX_CANDIDATES: usize = 12;
/// Most arms of one request.
pub const MAX_ARMS: usize = 5_000;
/// Largest budget: beyond it micros are no longer exact in the arithmetic used.
pub const MAX_BUDGET_MICROS: i64 = 1_000_000_000_000_000;

/// What plans are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanningInput {
    /// Placement and audience pairs with their history.
    pub arms: Vec<ArmHistory>,
    /// Money to plan, in micros; always stated by the caller.
    pub budget_micros: i64,
    /// ISO 4217 code of all money here.
    pub currency: String,
    /// Days the plan covers.
    pub horizon_days: u32,
    /// Days one history period covers.
    #[serde(default = "one")]
    pub period_days: u32,
    /// Limits every plan must keep.
    #[serde(default)]
    pub constraints: Constraints,
    /// Share of the budget that the learning plan reserves for uncertain arms.
    #[serde(default = "default_learning_share")]
    pub learning_share: f64,
}

/// One arm: a placement type for an audience segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmHistory {
    /// Unique id.
    pub arm_id: String,
    /// Placement type, as in performance rows.
    pub placement_type: String,
    /// Audience segment, as in performance rows.
    pub audience_segment: String,
    /// Measures by period; absent measures are not zeros.
    pub history: Vec<Measures>,
}

/// Why there are no plans.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// A field of the request is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// No arm has spend and revenue in one period, so no response can be estimated.
    #[error("no arm has a period with positive spend and revenue measured; import performance rows with both, or plan by hand")]
    NoEvidence,
    /// The constraints cannot hold together.
    #[error("the constraints cannot hold together: {}", conflict.join("; "))]
    Infeasible {
        /// Constraints that contradict each other.
        conflict: Vec<String>,
    },
}

/// Makes up to `n` different plans, the revenue-maximising one first. Fewer come back when the
/// constraints leave no room for `n` plans that differ by at least one percent of the budget.
/// Equal inputs give equal plans.
///
/// # Errors
/// [`ProposalError`] for a wrong field, for history without evidence, and for constraints that
/// cannot hold together.
pub fn propose(input: &PlanningInput, n: usize) -> Result<Vec<CandidatePlan>, ProposalError> {
    validate(input, n)?;
    let evidence = Evidence::gather(input)?;
    let base = strategy::base_program(input, &evidence);
    if let Some(conflict) = conflict::explain(&base) {
        return Err(ProposalError::Infeasible { conflict: conflict.words.into_iter().map(in_request_terms).collect() });
    }
    let mut plans: Vec<CandidatePlan> = Vec::new();
    let mut allocations: Vec<Vec<i64>> = Vec::new();
    let mut revenue_plan: Option<Vec<f64>> = None;
    for strategy in Strategy::catalogue(input) {
        if plans.len() == n {
            break;
        }
        let Some(tailored) = strategy.tailor(input, &evidence, &base, revenue_plan.as_deref()) else { continue };
        let ideal = match tailored.fixed {
            Some(spend) => spend,
            None => match branch::maximise(&tailored.program, Effort::default(), &[]) {
                Outcome::Found(best) => best.spend,
                Outcome::NotFound { .. } => continue,
            },
        };
        if revenue_plan.is_none() {
            revenue_plan = Some(ideal.clone());
        }
        let Some(micros) = apportionment::to_micros(input, &evidence, &ideal) else { continue };
        if allocations.iter().any(|other| !differ(other, &micros, input.budget_micros)) {
            continue;
        }
        let plan = assembly::assemble(input, &evidence, &strategy.name, tailored.rationale, &micros);
        let kept = verification::verify(&plan, input.budget_micros, &input.constraints).iter().all(|check| check.passed);
        if kept {
            plans.push(plan);
            allocations.push(micros);
        }
    }
    if plans.is_empty() {
        return Err(ProposalError::Infeasible {
            conflict: vec![
                "no plan keeps all constraints once amounts are rounded to micros; relax the tightest limit a little".to_owned(),
            ],
        });
    }
    Ok(plans)
}

fn validate(input: &PlanningInput, n: usize) -> Result<(), ProposalError> {
    let wrong = |field: &str, message: String| Err(ProposalError::Invalid { field: field.to_owned(), message });
    if n == 0 || n > MAX_CANDIDATES {
        return wrong("candidates", format!("must be 1 to {MAX_CANDIDATES}, is {n}"));
    }
    if input.budget_micros <= 0 || input.budget_micros > MAX_BUDGET_MICROS {
        return wrong("budget_micros", format!("must be 1 to {MAX_BUDGET_MICROS}, is {}", input.budget_micros));
    }
    if input.currency.len() != 3 || !input.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return wrong("currency", format!("must be an ISO 4217 code such as USD, is {:?}", input.currency));
    }
    if input.horizon_days == 0 || input.horizon_days > 3_660 {
        return wrong("horizon_days", format!("must be 1 to 3660, is {}", input.horizon_days));
    }
    if input.period_days == 0 || input.period_days > 366 {
        return wrong("period_days", format!("must be 1 to 366, is {}", input.period_days));
    }
    if !(0.0..=1.0).contains(&input.learning_share) {
        return wrong("learning_share", format!("must be 0 to 1, is {}", input.learning_share));
    }
    if input.arms.is_empty() || input.arms.len() > MAX_ARMS {
        return wrong("arms", format!("needs 1 to {MAX_ARMS} arms, has {}", input.arms.len()));
    }
    let mut seen = std::collections::HashSet::new();
    for (index, arm) in input.arms.iter().enumerate() {
        if !seen.insert(arm.arm_id.as_str()) {
            return wrong(&format!("arms[{index}].arm_id"), format!("{:?} is used twice", arm.arm_id));
        }
    }
    input.constraints.validate()
}

/// Two allocations differ when at least one percent of the budget lies elsewhere.
fn differ(a: &[i64], b: &[i64], budget: i64) -> bool {
    let moved: i128 = a.iter().zip(b).map(|(x, y)| i128::from((x - y).abs())).sum();
    moved * 100 >= i128::from(budget)
}

/// The solver speaks of bounds of arms; the request calls them shares.
fn in_request_terms(constraint: String) -> String {
    constraint.replace("maximum spends of the arms", "max_share_per_arm").replace("minimum spends of the arms", "min_share_per_arm")
}

fn one() -> u32 {
    1
}

fn default_learning_share() -> f64 {
    0.15
}
