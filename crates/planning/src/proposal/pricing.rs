//! What relaxing each limit would bring, written beside the limits. A limit has a price only at a
//! plan that is the best by the measure that was solved for; anywhere else more could be had without
//! touching a limit, and the figure is absent with that reason.

use super::plan::CandidatePlan;
use crate::figure::{Figure, Reason};
use crate::optimizer::branch::prices_at;
use crate::optimizer::program::{Program, ProgramArm};

/// Largest scaled room of a limit that binds.
const BINDING: f64 = 1e-6;

/// An allocation with the program that it is the best of.
#[derive(Debug)]
pub struct Priced<'a> {
    /// The limits of the request with the objective of the plan.
    pub program: &'a Program,
    /// The request's own bounds of the lines; a strategy may have tightened them.
    pub base: &'a Program,
    /// Spends in currency units.
    pub spend: &'a [f64],
    /// What each scaled row costs; absent where the allocation is no optimum.
    pub prices: Option<Vec<f64>>,
}

/// Prices at spends that take the place of the solved ones. Prices of whole steps are those without
/// steps, which do not depend on the spends.
#[must_use]
pub fn after_replacement(program: &Program, spend: &[f64], solved: Option<Vec<f64>>) -> Option<Vec<f64>> {
    if program.has_steps() { solved } else { prices_at(program, spend) }
}

/// Writes the shadow prices into the plan's constraint report.
pub fn write(plan: &mut CandidatePlan, priced: &Priced<'_>) {
    let response = priced.program.responses(priced.spend);
    for standing in &mut plan.constraint_report {
        let name = standing.constraint.as_str();
        standing.shadow_price = match &priced.prices {
            _ if name == "step" || name.starts_with("excluded_") => Figure::missing(Reason::NotGradual),
            None => Figure::missing(Reason::NotAnOptimum),
            Some(prices) if name == "max_share_per_arm" => Figure::of(priced.of_ceilings(prices)),
            Some(prices) if name == "min_share_per_arm" => Figure::of(priced.of_floors(prices)),
            Some(prices) => {
                let row = priced.program.rows.iter().zip(prices).find(|(row, _)| row.name == name);
                row.map_or(Figure::missing(Reason::NotAnOptimum), |(row, price)| {
                    let is_binding = row.limit - row.usage(priced.spend, &response) <= BINDING;
                    Figure::of(if is_binding { row.shadow_price(*price, priced.spend, &response) } else { 0.0 })
                })
            }
        };
    }
}

impl Priced<'_> {
    /// What all lines at their ceiling would gain if it were raised.
    fn of_ceilings(&self, prices: &[f64]) -> f64 {
        let gains = self.net_gains(prices).into_iter().zip(&self.base.arms).zip(self.spend);
        gains.filter(|((_, arm), x)| **x >= arm.high - BINDING * (1.0 + arm.high)).map(|((gain, _), _)| gain.max(0.0)).sum()
    }

    /// What all lines at their floor would gain if it were lowered.
    fn of_floors(&self, prices: &[f64]) -> f64 {
        let gains = self.net_gains(prices).into_iter().zip(&self.base.arms).zip(self.spend);
        let at_floor = |arm: &ProgramArm, x: f64| arm.low > 0.0 && x <= arm.low + BINDING * (1.0 + arm.low);
        gains.filter(|((_, arm), x)| at_floor(arm, **x)).map(|((gain, _), _)| (-gain).max(0.0)).sum()
    }

    /// For each line: what one more unit brings, less what it takes from the priced rows.
    fn net_gains(&self, prices: &[f64]) -> Vec<f64> {
        let mut weight: Vec<f64> = self.program.arms.iter().map(|arm| arm.value).collect();
        let mut cost = vec![0.0; weight.len()];
        for (row, price) in self.program.rows.iter().zip(prices) {
            for &(arm, taken, gain) in &row.terms {
                weight[arm] += price * gain;
                cost[arm] += price * taken;
            }
        }
        let arms = self.program.arms.iter().zip(self.spend).zip(weight.iter().zip(&cost));
        arms.map(|((arm, &x), (weight, cost))| weight * arm.curve.slope(x) - cost).collect()
    }
}
