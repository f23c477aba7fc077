//! Candidate plans: several different, explained ways to spend a stated budget on a campaign's
//! arms, all within the constraints, so that people and reward models have something real to
//! choose from. Nothing is invented: what history does not hold stays absent with a reason.

pub mod apportionment;
pub mod assembly;
pub mod base;
pub mod constraints;
pub mod evidence;
pub mod measure;
mod names;
pub mod plan;
pub mod present;
pub mod pricing;
pub mod sampling;
pub mod strategy;
pub mod verification;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Measures;
use crate::optimizer::branch::{self, Effort, Outcome};
use crate::optimizer::program::Program;
use crate::optimizer::relaxation::Relaxation;
use crate::optimizer::work::Work;
use crate::optimizer::{REDUCIBLE, UNEXPLAINED, UNPROVEN, conflict, dual};
use crate::response::calibration::Calibration;

use constraints::Constraints;
use evidence::Evidence;
use plan::CandidatePlan;
use present::Now;
use pricing::Priced;
use strategy::{Answer, Strategy, Tailored};

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
        /// What is not proven about them, or why there is no way out, in words.
        unproven: Vec<String>,
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
    let now = present::read(input, &evidence);
    let known: Vec<Vec<f64>> = now.iter().filter(|now| now.is_complete).map(|now| now.spend.clone()).collect();
    let mut found = Found { plans: Vec::new(), allocations: Vec::new() };
    let mut revenue_plan: Option<Vec<f64>> = None;
    if base.arms.iter().any(|arm| arm.low > arm.high) || dual::prove_infeasible(&base, &Work::for_explaining(&base)).is_some() {
        return Err(infeasible(input, &evidence, &base));
    }
    for strategy in Strategy::catalogue(input) {
        if found.plans.len() == n {
            break;
        }
        let Some(tailored) = strategy.tailor(input, &evidence, &base, revenue_plan.as_deref(), &known) else { continue };
        let answer = match tailored.answer {
            Some(ref answer) => answer.clone(),
            None => match branch::maximise(&tailored.program, effort(&strategy, &tailored.program), &known) {
                Outcome::Found(best) => Answer { spend: best.spend, prices: Some(best.prices) },
                Outcome::NotFound { proven: true } if strategy.is_exploit() => return Err(infeasible(input, &evidence, &base)),
                Outcome::NotFound { .. } => continue,
            },
        };
        if strategy.is_exploit() {
            revenue_plan = Some(answer.spend.clone());
        }
        let Some(micros) = apportionment::to_micros(input, &evidence, &answer.spend) else { continue };
        if strategy.is_exploit() && micros.iter().all(|micros| *micros == 0) && !limits_nothing(&base) {
            // A plan that spends nothing keeps every limit and is no plan.
            return Err(infeasible(input, &evidence, &base::with_some_spend(&base)));
        }
        let mut draft =
            Draft { plan: assembly::assemble(input, &evidence, &strategy.name, tailored.rationale.clone(), &micros), micros, answer };
        if let Some(now) = &now {
            draft.take_over(now, input, &evidence, &base, &tailored);
        }
        if found.allocations.iter().any(|other| !differ(other, &draft.micros, input.budget_micros)) {
            continue;
        }
        let Draft { mut plan, micros, answer } = draft;
        if verification::verify(&plan, input.budget_micros, &input.constraints).iter().all(|check| check.passed) {
            plan.objective = tailored.objective.to_owned();
            plan.present = now.as_ref().map(|now| now.compare(&plan, &micros, &base, &tailored));
            plan.risk_factors = assembly::risks(&evidence, &plan, &micros);
            plan.risk_factors.extend(names::without_lines(input));
            pricing::write(&mut plan, &Priced { program: &tailored.program, base: &base, spend: &answer.spend, prices: answer.prices });
            found.plans.push(plan);
            found.allocations.push(micros);
        }
    }
    if found.plans.is_empty() {
        let rounded = "no plan keeps all constraints once amounts are rounded to micros; relax the tightest limit a little";
        let conflict = if revenue_plan.is_some() { rounded } else { UNPROVEN };
        return Err(ProposalError::Infeasible { conflict: vec![conflict.to_owned()], relaxation: Vec::new(), unproven: Vec::new() });
    }
    Ok(found.plans)
}

struct Found {
    plans: Vec<CandidatePlan>,
    allocations: Vec<Vec<i64>>,
}

/// A plan in the making.
struct Draft {
    plan: CandidatePlan,
    micros: Vec<i64>,
    answer: Answer,
}

impl Draft {
    /// Becomes the present plan where that is better in what this plan is made for: rounding must not
    /// cost what the solver guarantees, and a search over draws guarantees nothing by itself.
    fn take_over(&mut self, now: &Now, input: &PlanningInput, evidence: &Evidence, base: &Program, tailored: &Tailored) {
        let Some(better) = now.if_better(&self.plan, &self.micros, base, tailored) else { return };
        self.plan = assembly::assemble(input, evidence, &self.plan.strategy, Vec::new(), &better);
        let sentence =
            format!("The present plan is taken over: within the constraints none better was found in {}.", tailored.measure.words());
        self.plan.rationale.insert(0, sentence);
        self.micros = better;
        self.answer.spend.clone_from(&now.spend);
        self.answer.prices = pricing::after_replacement(&tailored.program, &now.spend, self.answer.prices.take());
    }
}

/// Why no plan is possible, and what would have to give.
fn infeasible(input: &PlanningInput, evidence: &Evidence, base: &Program) -> ProposalError {
    let work = Work::for_explaining(base);
    let Some(conflict) = work.within(work.most() / 2, |work| conflict::explain(base, work)) else {
        return ProposalError::Infeasible {
            conflict: vec![UNEXPLAINED.to_owned()],
            relaxation: Vec::new(),
            unproven: vec![UNEXPLAINED.to_owned()],
        };
    };
    let limits: Vec<String> = conflict.rows.into_iter().map(in_request_terms).collect();
    let ways = base::ways_out(input, evidence, &limits, &work);
    let reducible = (!conflict.is_irreducible).then(|| REDUCIBLE.to_owned());
    ProposalError::Infeasible {
        conflict: conflict.words.into_iter().map(in_request_terms).collect(),
        relaxation: ways.ways,
        unproven: reducible.into_iter().chain(ways.reason.map(|reason| format!("relaxation: {reason}"))).collect(),
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
    input.constraints.validate()?;
    names::validate(input)
}

/// Whether a program without return limits spends nothing because there is nothing to spend on.
fn limits_nothing(base: &Program) -> bool {
    branch::is_possible(&base::with_some_spend(base), &Work::for_explaining(base)) != Some(false)
}

/// The plan with the most revenue is searched to the end; in whole steps the others may miss a little of their own measure.
fn effort(strategy: &Strategy, program: &Program) -> Effort {
    if program.has_steps() && !strategy.is_exploit() { Effort::of_a_draw(program) } else { Effort::of_a_plan() }
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
    constraint.replace(conflict::CEILINGS, "max_share_per_arm").replace(conflict::FLOORS, "min_share_per_arm")
}

fn one() -> u32 {
    1
}

fn default_learning_share() -> f64 {
    0.15
}
