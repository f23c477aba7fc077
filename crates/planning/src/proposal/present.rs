//! The present plan: what plans are compared with, and what no plan falls behind in the measure
//! that it is made for.

use super::PlanningInput;
use super::assembly::assemble;
use super::evidence::{Evidence, MICROS};
use super::measure::Measure;
use super::plan::{CandidatePlan, Measured, PresentComparison};
use super::strategy::Tailored;
use super::verification::verify;
use crate::optimizer::program::Program;

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

/// Said where the present plan does not keep the bounds that a strategy sets itself.
const OUTSIDE: &str = "nothing: the present plan does not keep this plan's own caps or reserve";

impl Now {
    /// The present spends when they keep all limits and surpass the plan in its own measure.
    #[must_use]
    pub fn if_better(&self, plan: &CandidatePlan, micros: &[i64], base: &Program, tailored: &Tailored) -> Option<Vec<i64>> {
        if !self.broken.is_empty() || !self.keeps_bounds(tailored) {
            return None;
        }
        let own = worth(plan, micros, base, &tailored.measure)?;
        let present = worth(&self.plan, &self.micros, base, &tailored.measure)?;
        (present > own).then(|| self.micros.clone())
    }

    /// Compares a plan with the present one.
    #[must_use]
    pub fn compare(&self, plan: &CandidatePlan, micros: &[i64], base: &Program, tailored: &Tailored) -> PresentComparison {
        let is_held = self.keeps_bounds(tailored);
        let measured = |plan: &CandidatePlan, micros: &[i64]| {
            let worth = worth(plan, micros, base, &tailored.measure).filter(|_| is_held)?;
            Some(worth.round() as i64)
        };
        let (own, present) = (measured(plan, micros), measured(&self.plan, &self.micros));
        PresentComparison {
            source: self.source.clone(),
            is_feasible: self.broken.is_empty(),
            broken: self.broken.clone(),
            spend_micros: self.total_micros,
            expected_revenue_micros: self.plan.expected.revenue_micros,
            spend_difference_micros: plan.expected.spend_micros - self.total_micros,
            revenue_difference_micros: plan.expected.revenue_micros - self.plan.expected.revenue_micros,
            never_worse_in: if is_held { tailored.measure.words() } else { OUTSIDE }.to_owned(),
            measured: own.zip(present).map(|(plan_micros, present_micros)| Measured { plan_micros, present_micros }),
        }
    }

    fn keeps_bounds(&self, tailored: &Tailored) -> bool {
        let tolerance = 0.5 / MICROS;
        self.spend.iter().zip(&tailored.program.arms).all(|(x, arm)| *x >= arm.low - tolerance && *x <= arm.high + tolerance)
    }
}

/// A measure in micros; what plans show as their expected revenue is counted as it is shown.
fn worth(plan: &CandidatePlan, micros: &[i64], base: &Program, measure: &Measure) -> Option<f64> {
    let spend: Vec<f64> = micros.iter().map(|micros| *micros as f64 / MICROS).collect();
    match measure {
        Measure::Expected => Some(plan.expected.revenue_micros as f64),
        _ => measure.of(base, &spend).map(|worth| worth * MICROS),
    }
}
