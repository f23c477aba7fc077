//! Candidate plans: several different, explained ways to spend a stated budget on a campaign's
//! arms, all within the constraints, so that people and reward models have something real to
//! choose from. Nothing is invented: what history does not hold stays absent with a reason.

pub mod apportionment;
pub mod assembly;
pub mod base;
pub mod constraints;
pub mod evidence;
pub mod plan;
pub mod present;
pub mod sampling;
pub mod strategy;
pub mod verification;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Measures;
use crate::optimizer::branch::{self, Effort, Outcome};
use crate::optimizer::program::Program;
use crate::optimizer::relaxation::Relaxation;
use crate::optimizer::{conflict, dual};
use crate::response::calibration::Calibration;

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
    /// Where random draws of curves begin; equal seeds give equal plans.
    #[serde(default)]
    pub seed: u64,
    /// What is done now, scaled to the budget.
    #[serde(default)]
    pub present: Option<Present>,
    /// What experiments found.
    #[serde(default)]
    pub calibrations: Vec<Calibration>,
    /// Arms that cannot get money, by id, with the reason (such as stock).
    #[serde(default)]
    pub unavailable: BTreeMap<String, String>,
}

/// What is done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// Where it is known from, in words.
    pub source: String,
    /// Spend over the horizon by arm id.
    pub spend_micros: BTreeMap<String, i64>,
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
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
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
        /// Constraints that contradict each other, none of which can be spared.
        conflict: Vec<String>,
        /// Ways out, the smallest relative move first, each checked.
        relaxation: Vec<Relaxation>,
    },
}

/// Makes up to `n` different plans, the revenue-maximising one first. Fewer come back when the
/// constraints leave no room for `n` plans of which any two put at least two percent of the budget elsewhere.
/// Equal inputs give equal plans.
///
/// # Errors
/// [`ProposalError`] for a wrong field, for history without evidence, and for constraints that
/// cannot hold together.
pub fn propose(input: &PlanningInput, n: usize) -> Result<Vec<CandidatePlan>, ProposalError> {
    validate(input, n)?;
    let evidence = Evidence::gather(input)?;
    let base = base::program(input, &evidence);
    let infeasible = |conflict: conflict::Conflict| ProposalError::Infeasible {
        conflict: conflict.words.into_iter().map(in_request_terms).collect(),
        relaxation: base::ways_out(input, &evidence),
    };
    let quick = base.arms.iter().any(|arm| arm.low > arm.high) || dual::prove_infeasible(&base).is_some();
    if quick && let Some(conflict) = conflict::explain(&base) {
        return Err(infeasible(conflict));
    }
    let now = present::read(input, &evidence);
    let known: Vec<Vec<f64>> = now.iter().filter(|now| now.is_complete).map(|now| now.spend.clone()).collect();
    let mut found = Found { plans: Vec::new(), allocations: Vec::new() };
    let mut revenue_plan: Option<Vec<f64>> = None;
    for strategy in Strategy::catalogue(input) {
        if found.plans.len() == n {
            break;
        }
        let Some(tailored) = strategy.tailor(input, &evidence, &base, revenue_plan.as_deref(), &known) else { continue };
        let (ideal, prices) = match tailored.fixed {
            Some(spend) => (spend, None),
            None => match branch::maximise(&tailored.program, Effort::default(), &known) {
                Outcome::Found(best) => (best.spend, Some(best.prices)),
                Outcome::NotFound { proven: true } if revenue_plan.is_none() => match conflict::explain(&base) {
                    Some(conflict) => return Err(infeasible(conflict)),
                    None => continue,
                },
                Outcome::NotFound { .. } => continue,
            },
        };
        let is_exploit = revenue_plan.is_none();
        if is_exploit {
            revenue_plan = Some(ideal.clone());
        }
        let Some(micros) = apportionment::to_micros(input, &evidence, &ideal) else { continue };
        if found.allocations.iter().any(|other| !differ(other, &micros, input.budget_micros)) {
            continue;
        }
        let mut plan = assembly::assemble(input, &evidence, &strategy.name, tailored.rationale, &micros);
        let mut micros = micros;
        if is_exploit && let Some(better) = now.as_ref().and_then(|now| now.if_better(&plan)) {
            // Rounding must not cost what the solver guarantees.
            micros = better;
            plan = assembly::assemble(input, &evidence, &strategy.name, Vec::new(), &micros);
            plan.rationale.insert(0, "The present plan is the best within the constraints.".to_owned());
        }
        let kept = verification::verify(&plan, input.budget_micros, &input.constraints).iter().all(|check| check.passed);
        if kept {
            plan.present = now.as_ref().map(|now| now.compare(&plan, strategy.measure()));
            plan.risk_factors = assembly::risks(&evidence, &plan, &micros);
            if let Some(prices) = prices {
                price(&mut plan, &tailored.program, &prices, &ideal);
            }
            found.plans.push(plan);
            found.allocations.push(micros);
        }
    }
    if found.plans.is_empty() {
        return Err(ProposalError::Infeasible {
            conflict: vec![
                "no plan keeps all constraints once amounts are rounded to micros; relax the tightest limit a little".to_owned(),
            ],
            relaxation: Vec::new(),
        });
    }
    Ok(found.plans)
}

struct Found {
    plans: Vec<CandidatePlan>,
    allocations: Vec<Vec<i64>>,
}

/// Writes the shadow prices of the plan's own program beside its constraints.
fn price(plan: &mut CandidatePlan, program: &Program, prices: &[f64], ideal: &[f64]) {
    let response = program.responses(ideal);
    for (row, price) in program.rows.iter().zip(prices) {
        let is_binding = row.limit - row.usage(ideal, &response) <= 1e-6;
        let shown = if is_binding { row.shadow_price(*price, ideal, &response) } else { 0.0 };
        plan.constraint_report.iter_mut().filter(|standing| standing.constraint == row.name).for_each(|standing| {
            standing.shadow_price = Some(shown);
        });
    }
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
    if let Some(at) = input
        .calibrations
        .iter()
        .position(|one| one.arm >= input.arms.len() || !(one.standard_error > 0.0 && one.spend_level > 0.0 && one.roas.is_finite()))
    {
        return wrong(
            &format!("calibrations[{at}]"),
            "needs a known arm, a finite roas, and standard_error and spend_level above 0".to_owned(),
        );
    }
    let mut seen = std::collections::HashSet::new();
    for (index, arm) in input.arms.iter().enumerate() {
        if !seen.insert(arm.arm_id.as_str()) {
            return wrong(&format!("arms[{index}].arm_id"), format!("{:?} is used twice", arm.arm_id));
        }
    }
    input.constraints.validate()
}

/// Two allocations differ when at least two percent of the budget lie elsewhere: people who are
/// asked to choose must see what they choose between. What moves is counted where it leaves and
/// where it arrives.
fn differ(a: &[i64], b: &[i64], budget: i64) -> bool {
    let moved: i128 = a.iter().zip(b).map(|(x, y)| i128::from((x - y).abs())).sum();
    moved * 25 >= i128::from(budget)
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
