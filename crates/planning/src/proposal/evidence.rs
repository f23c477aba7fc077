//! What history says about each arm that may get money: its curve, order value and impressions.

use super::plan::ClosedLine;
use super::{ArmHistory, PlanningInput, ProposalError};
use crate::metrics::Measures;
use crate::response::{self, Curve, Observation};

/// Micros in one currency unit.
pub const MICROS: f64 = 1_000_000.0;

/// The arms open to money and what is known about them.
#[derive(Debug)]
pub struct Evidence {
    /// One entry for each open arm, in the order of the request.
    pub arms: Vec<ArmEvidence>,
    /// History periods within the horizon: curves are by period, plans by horizon.
    pub periods: f64,
    /// Arms that get nothing, each with the reason.
    pub closed: Vec<ClosedLine>,
    /// Ids of arms left out because `max_cpa` is set and their conversions are not measured.
    pub without_conversions: Vec<String>,
}

/// What is known about one arm.
#[derive(Debug)]
pub struct ArmEvidence {
    /// Position in the request.
    pub position: usize,
    /// Response by period.
    pub curve: Curve,
    /// Revenue of one conversion in currency units, if measured.
    pub order_value: Option<f64>,
    /// Impressions per currency unit of spend, if measured.
    pub impressions_per_unit: Option<f64>,
    /// Highest spend of a period so far, in currency units.
    pub highest_spend: Option<f64>,
    /// Spend of all history, in currency units; 0 when none was measured.
    pub past_spend: f64,
}

impl Evidence {
    /// Fits curves on all arms, then keeps those that are open to money.
    ///
    /// # Errors
    /// [`ProposalError::NoEvidence`] without any measured spend and revenue;
    /// [`ProposalError::Infeasible`] when exclusions leave no arm.
    pub fn gather(input: &PlanningInput) -> Result<Self, ProposalError> {
        let observations: Vec<Vec<Observation>> = input.arms.iter().map(|arm| arm.history.iter().map(observation).collect()).collect();
        let curves = response::fit(&observations, &input.calibrations).ok_or(ProposalError::NoEvidence)?;
        let limits = &input.constraints;
        let (mut without_conversions, mut closed) = (Vec::new(), Vec::new());
        let mut arms = Vec::new();
        for (position, (arm, curve)) in input.arms.iter().zip(curves).enumerate() {
            if let Some(reason) = closed_by(input, arm) {
                closed.push(ClosedLine { arm_id: arm.arm_id.clone(), reason });
                continue;
            }
            let order_value = ratio(&arm.history, |row| row.revenue_micros, |row| row.conversions)
                .map(|micros| micros / MICROS)
                .filter(|value| *value > 0.0);
            if limits.max_cpa_micros.is_some() && order_value.is_none() {
                without_conversions.push(arm.arm_id.clone());
                closed.push(ClosedLine {
                    arm_id: arm.arm_id.clone(),
                    reason: "max_cpa is set and its conversions are not measured".to_owned(),
                });
                continue;
            }
            let spends = arm.history.iter().filter_map(|row| row.spend_micros);
            arms.push(ArmEvidence {
                position,
                curve,
                order_value,
                impressions_per_unit: ratio(&arm.history, |row| row.impressions, |row| row.spend_micros)
                    .map(|per_micro| per_micro * MICROS),
                highest_spend: spends.clone().max().map(|micros| micros as f64 / MICROS),
                past_spend: spends.map(|micros| micros.max(0) as f64 / MICROS).sum(),
            });
        }
        if arms.is_empty() {
            let conflict = if without_conversions.is_empty() {
                "excluded_placements, excluded_audiences or stock (every arm is excluded or out of stock)".to_owned()
            } else {
                "max_cpa (no arm that is not excluded has measured conversions)".to_owned()
            };
            return Err(ProposalError::Infeasible { conflict: vec![conflict], relaxation: Vec::new(), unproven: Vec::new() });
        }
        let periods = f64::from(input.horizon_days) / f64::from(input.period_days);
        Ok(Self { arms, periods, closed, without_conversions })
    }

    /// Expected revenue of an arm over the horizon at a spend over the horizon.
    #[must_use]
    pub fn revenue(&self, arm: &ArmEvidence, spend: f64) -> f64 {
        self.periods * arm.curve.revenue(spend / self.periods)
    }

    /// Standard error of [`Evidence::revenue`]: a curve that is wrong is wrong in every period.
    #[must_use]
    pub fn standard_error(&self, arm: &ArmEvidence, spend: f64) -> Option<f64> {
        arm.curve.standard_error(spend / self.periods).map(|error| error * self.periods)
    }
}

fn closed_by(input: &PlanningInput, arm: &ArmHistory) -> Option<String> {
    if let Some(reason) = input.unavailable.get(&arm.arm_id) {
        return Some(reason.clone());
    }
    if input.constraints.excluded_placements.contains(&arm.placement_type) {
        return Some("its placement is excluded".to_owned());
    }
    input.constraints.excluded_audiences.contains(&arm.audience_segment).then(|| "its audience is excluded".to_owned())
}

fn observation(row: &Measures) -> Observation {
    let units = |micros: i64| micros as f64 / MICROS;
    Observation { spend: row.spend_micros.map(units), revenue: row.revenue_micros.map(units) }
}

/// Ratio of sums over the periods that have both measures.
fn ratio(
    history: &[Measures],
    numerator: impl Fn(&Measures) -> Option<i64>,
    denominator: impl Fn(&Measures) -> Option<i64>,
) -> Option<f64> {
    let (mut top, mut bottom) = (0i128, 0i128);
    for row in history {
        if let (Some(above), Some(below)) = (numerator(row), denominator(row)) {
            top += i128::from(above);
            bottom += i128::from(below);
        }
    }
    (bottom > 0).then(|| top as f64 / bottom as f64)
}
