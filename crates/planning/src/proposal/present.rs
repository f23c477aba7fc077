//! The present plan: what plans are compared with, and what the best expected plan never falls
//! behind.

use super::PlanningInput;
use super::assembly::assemble;
use super::evidence::{Evidence, MICROS};
use super::plan::{CandidatePlan, PresentComparison};
use super::verification::verify;

/// The present plan on the open arms.
#[derive(Debug)]
pub struct Now {
    /// Spend of each open arm, in currency units.
    pub spend: Vec<f64>,
    /// Whether all its money lies on open arms.
    pub is_complete: bool,
    source: String,
    micros: Vec<i64>,
    total_micros: i64,
    plan: CandidatePlan,
    broken: Vec<String>,
}

/// Reads the request's present plan.
#[must_use]
pub fn read(input: &PlanningInput, evidence: &Evidence) -> Option<Now> {
    let present = input.present.as_ref()?;
    let of = |arm: &super::evidence::ArmEvidence| present.spend_micros.get(&input.arms[arm.position].arm_id).copied().unwrap_or(0).max(0);
    let micros: Vec<i64> = evidence.arms.iter().map(of).collect();
    let total_micros: i64 = present.spend_micros.values().map(|micros| (*micros).max(0)).sum();
    let is_complete = micros.iter().sum::<i64>() == total_micros;
    let plan = assemble(input, evidence, "present", Vec::new(), &micros);
    let (low, _) = input.constraints.arm_bounds(input.budget_micros);
    let mut broken: Vec<String> = verify(&plan, input.budget_micros, &input.constraints)
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.check.trim_start_matches("constraint.").to_owned())
        .collect();
    if micros.iter().any(|micros| *micros < low) && !broken.iter().any(|name| name == "min_share_per_arm") {
        broken.push("min_share_per_arm".to_owned());
    }
    if !is_complete {
        broken.push("it spends on lines that are excluded, out of stock or unknown".to_owned());
    }
    let spend = micros.iter().map(|micros| *micros as f64 / MICROS).collect();
    Some(Now { spend, is_complete, source: present.source.clone(), micros, total_micros, plan, broken })
}

impl Now {
    /// The present spends when they are feasible and expected to bring more than the plan.
    #[must_use]
    pub fn if_better(&self, plan: &CandidatePlan) -> Option<Vec<i64>> {
        let is_better = self.plan.expected.revenue_micros > plan.expected.revenue_micros;
        (self.broken.is_empty() && is_better).then(|| self.micros.clone())
    }

    /// Compares a plan with the present one.
    #[must_use]
    pub fn compare(&self, plan: &CandidatePlan, measure: &str) -> PresentComparison {
        PresentComparison {
            source: self.source.clone(),
            is_feasible: self.broken.is_empty(),
            broken: self.broken.clone(),
            spend_micros: self.total_micros,
            expected_revenue_micros: self.plan.expected.revenue_micros,
            spend_difference_micros: plan.expected.spend_micros - self.total_micros,
            revenue_difference_micros: plan.expected.revenue_micros - self.plan.expected.revenue_micros,
            never_worse_in: measure.to_owned(),
        }
    }
}
