//! From micros by arm to a whole plan: lines, totals, intervals and sentences.

use super::PlanningInput;
use super::base::over_horizon;
use super::constraints::{ConstraintStanding, Unit};
use super::evidence::{Evidence, MICROS};
use super::plan::{AllocationLine, CandidatePlan, Expected, Interval, MoneyInterval};
use crate::figure::{Figure, Reason};
use crate::response::Origin;

/// Two-sided 95 % quantile of the standard normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// Builds the plan of a strategy from whole micros, one entry for each open arm.
#[must_use]
pub fn assemble(input: &PlanningInput, evidence: &Evidence, strategy: &str, mut rationale: Vec<String>, micros: &[i64]) -> CandidatePlan {
    let allocation = lines(input, evidence, micros);
    let expected = totals(evidence, &allocation, micros);
    let spend = expected.spend_micros as f64;
    let (mut concentration, mut pooled) = (0.0, 0.0);
    if spend > 0.0 {
        for line in &allocation {
            let share = line.spend_micros as f64 / spend;
            concentration += share * share;
            if line.curve == Origin::Pooled {
                pooled += share;
            }
        }
    }
    rationale.extend(sentences(input, evidence, &allocation, &expected, pooled, micros));
    let constraint_report = input.constraints.standings(&allocation, &expected, input.budget_micros);
    CandidatePlan {
        strategy: strategy.to_owned(),
        objective: String::new(),
        rationale,
        currency: input.currency.clone(),
        budget_micros: input.budget_micros,
        unallocated_micros: input.budget_micros - expected.spend_micros,
        horizon_days: input.horizon_days,
        allocation,
        expected,
        concentration,
        uncertainty_share: pooled,
        binding: binding(&constraint_report, input.budget_micros),
        constraint_report,
        risk_factors: Vec::new(),
        closed: evidence.closed.clone(),
        present: None,
    }
}

/// Constraints with no more room than rounding leaves.
fn binding(report: &[ConstraintStanding], budget_micros: i64) -> Vec<String> {
    let tight = report.iter().filter(|standing| {
        let room = if standing.unit == Unit::Micros { 1e-6 * budget_micros as f64 } else { 1e-4 * standing.limit.abs() };
        standing.slack.is_some_and(|slack| slack <= room)
    });
    tight.map(|standing| standing.constraint.clone()).collect()
}

/// What may go wrong with a plan, in words.
#[must_use]
pub fn risks(evidence: &Evidence, plan: &CandidatePlan, micros: &[i64]) -> Vec<String> {
    let mut risks = Vec::new();
    if plan.uncertainty_share > 0.0 {
        risks.push(format!("{:.0} % of its spend rests on a prior, not on the line's own history", plan.uncertainty_share * 100.0));
    }
    if plan.concentration > 0.5 {
        risks.push(format!("it is concentrated: Herfindahl index {:.2}", plan.concentration));
    }
    let beyond = evidence.arms.iter().zip(micros).filter(|(arm, micros)| {
        **micros > 0 && arm.highest_spend.is_some_and(|highest| **micros as f64 / MICROS / evidence.periods > highest)
    });
    let beyond = beyond.count();
    if beyond > 0 {
        risks.push(format!("{beyond} lines spend more by period than was ever seen there"));
    }
    let money = |micros: i64| format!("{:.2} {}", micros as f64 / MICROS, plan.currency);
    if plan.unallocated_micros > 0 {
        risks.push(format!("{} stays unallocated", money(plan.unallocated_micros)));
    }
    if let Some(present) = plan.present.as_ref().filter(|present| present.revenue_difference_micros < 0) {
        risks.push(format!(
            "it is expected to bring {} less than the present plan",
            money(present.revenue_difference_micros.saturating_neg())
        ));
    }
    if plan.allocation.iter().all(|line| line.calibrated_by.is_empty()) {
        risks.push("no experiment has checked these response curves: attributed revenue may not be incremental".to_owned());
    }
    risks
}

fn lines(input: &PlanningInput, evidence: &Evidence, micros: &[i64]) -> Vec<AllocationLine> {
    let with_money = evidence.arms.iter().zip(micros).filter(|(_, micros)| **micros > 0);
    with_money
        .map(|(arm, &spend_micros)| {
            let request = &input.arms[arm.position];
            let spend = spend_micros as f64 / MICROS;
            let curve = over_horizon(&arm.curve.hill, evidence);
            AllocationLine {
                arm_id: request.arm_id.clone(),
                placement_type: request.placement_type.clone(),
                audience_segment: request.audience_segment.clone(),
                spend_micros,
                share: spend_micros as f64 / input.budget_micros as f64,
                expected_revenue_micros: (evidence.revenue(arm, spend) * MICROS).round() as i64,
                standard_error_micros: evidence.standard_error(arm, spend).map(|error| (error * MICROS).round() as i64),
                marginal_roas: curve.slope(spend),
                curve: arm.curve.origin,
                not_identifiable: arm.curve.verdict,
                prior: arm.curve.prior.map(str::to_owned),
                calibrated_by: arm.curve.calibrated_by.clone(),
                carry_over: arm.curve.carry_over,
                history_periods: arm.curve.periods,
                present_spend_micros: input.present.as_ref().map(|present| present.spend_micros.get(&request.arm_id).copied().unwrap_or(0)),
            }
        })
        .collect()
}

fn totals(evidence: &Evidence, lines: &[AllocationLine], micros: &[i64]) -> Expected {
    let spend_micros: i64 = lines.iter().map(|line| line.spend_micros).sum();
    let revenue_micros: i64 = lines.iter().fold(0, |sum, line| line.expected_revenue_micros.saturating_add(sum));
    let variance: Option<f64> = lines.iter().map(|line| line.standard_error_micros.map(|error| (error as f64).powi(2))).sum();
    let error = variance.map(f64::sqrt);
    let spend = spend_micros as f64;
    let roas = if spend_micros > 0 { Figure::of(revenue_micros as f64 / spend) } else { Figure::missing(Reason::ZeroDenominator) };
    let roas_interval = match (roas.value, error) {
        (Some(roas), Some(error)) => {
            let half = NORMAL_95 * error / spend;
            Figure::of(Interval { low: (roas - half).max(0.0), high: roas + half, level: 0.95 })
        }
        (None, _) => Figure::missing(Reason::ZeroDenominator),
        (_, None) => Figure::missing(Reason::UncertaintyUnknown),
    };
    let funded = || evidence.arms.iter().zip(micros).filter(|(_, micros)| **micros > 0);
    let conversions: Option<f64> =
        funded().zip(lines).map(|((arm, _), line)| arm.order_value.map(|value| line.expected_revenue_micros as f64 / MICROS / value)).sum();
    let impressions: Option<f64> =
        funded().map(|(arm, micros)| arm.impressions_per_unit.map(|per_unit| per_unit * *micros as f64 / MICROS)).sum();
    Expected {
        spend_micros,
        revenue_micros,
        revenue_standard_error_micros: error.map_or(Figure::missing(Reason::UncertaintyUnknown), |error| Figure::of(error.round() as i64)),
        revenue_interval_micros: error.map(|error| MoneyInterval {
            low_micros: ((revenue_micros as f64 - NORMAL_95 * error).max(0.0)) as i64,
            high_micros: (revenue_micros as f64 + NORMAL_95 * error) as i64,
            level_percent: 95,
        }),
        roas,
        roas_interval,
        conversions: conversions.map_or(Figure::missing(Reason::NotMeasured), Figure::of),
        impressions: impressions.map_or(Figure::missing(Reason::NotMeasured), Figure::of),
        reach: Figure::missing(Reason::NotMeasured),
    }
}

fn sentences(
    input: &PlanningInput,
    evidence: &Evidence,
    lines: &[AllocationLine],
    expected: &Expected,
    pooled: f64,
    micros: &[i64],
) -> Vec<String> {
    let money = |micros: i64| format!("{:.2} {}", micros as f64 / MICROS, input.currency);
    let mut sentences = vec![format!(
        "Spends {} of {} on {} of {} open arms over {} days and expects revenue of {}.",
        money(expected.spend_micros),
        money(input.budget_micros),
        lines.len(),
        evidence.arms.len(),
        input.horizon_days,
        money(expected.revenue_micros)
    )];
    if let Some(roas) = expected.roas.value {
        sentences.push(match expected.roas_interval.value {
            Some(interval) => {
                format!("Expected return on ad spend is {roas:.2}, with a 95 % interval from {:.2} to {:.2}.", interval.low, interval.high)
            }
            None => format!(
                "Expected return on ad spend is {roas:.2}; its uncertainty is unknown because fewer than three arms have measured spend."
            ),
        });
    }
    if let Some(largest) = lines.iter().max_by_key(|line| line.spend_micros) {
        sentences.push(format!(
            "The largest line is {} for {} with {:.1} % of the budget; one more unit there is expected to return {:.2}.",
            largest.placement_type,
            largest.audience_segment,
            largest.share * 100.0,
            largest.marginal_roas
        ));
    }
    if pooled > 0.0 {
        sentences.push(format!(
            "{:.1} % of the spend rests on the campaign's overall curve, because those arms' own history cannot tell one.",
            pooled * 100.0
        ));
    }
    let beyond = evidence.arms.iter().zip(micros).filter(|(arm, micros)| {
        let by_period = **micros as f64 / MICROS / evidence.periods;
        **micros > 0 && arm.highest_spend.is_some_and(|highest| by_period > highest)
    });
    let beyond = beyond.count();
    if beyond > 0 {
        sentences
            .push(format!("Lines that spend more by period than was ever seen there, so that their revenue is extrapolated: {beyond}."));
    }
    if !evidence.without_conversions.is_empty() {
        sentences.push(format!(
            "Arms that get nothing because their conversions are not measured, so that max_cpa could not be shown for them: {}.",
            evidence.without_conversions.len()
        ));
    }
    if expected.spend_micros < input.budget_micros {
        sentences.push(format!(
            "{} stays unallocated: the constraints do not allow it or more money would break them.",
            money(input.budget_micros - expected.spend_micros)
        ));
    }
    sentences
        .push("Curves are fitted to observed history, not to an experiment: expectations are associations, not proven effects.".to_owned());
    sentences
}
