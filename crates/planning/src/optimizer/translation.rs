//! From the problem that people write to the program that is solved: money, bounds, rows, and the
//! arms that may get nothing with the reason why.

use std::collections::{BTreeMap, HashSet};

use super::curve::Hill;
use super::problem::{Arm, Dimension, Limit, Problem};
use super::program::{Program, ProgramArm, Row};

/// Ceiling of an arm that states none, as a multiple of the budget.
const ABOVE_BUDGET: f64 = 1.01;

impl Problem {
    /// Money to distribute, after the reserve.
    #[must_use]
    pub fn money(&self) -> f64 {
        self.budget.unwrap_or_else(|| self.total_budget.unwrap_or(0.0) * (1.0 - self.experiment_reserve_share.unwrap_or(0.0)))
    }

    /// Arms that may get nothing, by id, each with the reason.
    #[must_use]
    pub fn closed(&self) -> BTreeMap<String, String> {
        let excluded: HashSet<&str> = self.excluded_skus.iter().map(String::as_str).collect();
        let gone: HashSet<&str> = self.out_of_stock_skus.iter().map(String::as_str).collect();
        let reason = |arm: &Arm| match arm.sku.as_deref() {
            _ if arm.excluded => Some("excluded".to_owned()),
            Some(sku) if excluded.contains(sku) => Some(format!("SKU {sku} is excluded")),
            Some(sku) if gone.contains(sku) => Some(format!("SKU {sku} is out of stock")),
            _ => None,
        };
        let dropped = |arm: &Arm| if arm.min > 0.0 { format!("; its least spend of {} is dropped", arm.min) } else { String::new() };
        self.arms.iter().filter_map(|arm| Some((arm.id.clone(), reason(arm)? + &dropped(arm)))).collect()
    }

    /// The problem in the solver's form. Call after [`Problem::validate`].
    #[must_use]
    pub fn program(&self) -> Program {
        let budget = self.money();
        let closed = self.closed();
        let step = self.step.unwrap_or(0.0);
        let mut shut = Vec::new();
        let arms: Vec<ProgramArm> = self
            .arms
            .iter()
            .enumerate()
            .map(|(index, arm)| {
                let curve = Hill { beta: arm.beta, alpha: arm.alpha, k: arm.k };
                // Above the budget, so that it is the budget which binds and has the price.
                let open = arm.max.unwrap_or((ABOVE_BUDGET * budget).max(arm.min));
                let mut made = ProgramArm::within(curve, arm.value, (arm.min, open), step);
                if closed.contains_key(&arm.id) {
                    shut.push((index, made.high));
                    (made.low, made.high, made.stated) = (0.0, 0.0, (0.0, 0.0));
                }
                made
            })
            .collect();
        let rows = self.rows(budget, step);
        Program { arms, rows, closed: shut, names: Some(self.arms.iter().map(|arm| arm.id.clone()).collect()) }
    }

    fn rows(&self, budget: f64, step: f64) -> Vec<Row> {
        let all: Vec<usize> = (0..self.arms.len()).collect();
        let mut rows = vec![Row::spend_at_most("budget", &all, budget)];
        if self.spend_all {
            // In steps, less than one step may be left.
            let whole = if step > 0.0 { (budget / step + 1e-9).floor() * step } else { budget };
            rows.push(Row::spend_at_least("spend_all", &all, whole));
        }
        for group in &self.groups {
            if let Some(limit) = group.max {
                rows.push(Row::spend_at_most(&format!("group {} max", group.name), &group.arms, limit));
            }
            if let Some(limit) = group.min {
                rows.push(Row::spend_at_least(&format!("group {} min", group.name), &group.arms, limit));
            }
        }
        for limit in &self.limits {
            let members: Vec<usize> = all.iter().copied().filter(|&arm| limit.field(&self.arms[arm]) == Some(limit.of.as_str())).collect();
            let name = |side: &str| format!("limit {side} {}={}", limit.by.word(), limit.of);
            let most = [limit.max, limit.max_share.map(|share| share * budget)].into_iter().flatten().reduce(f64::min);
            let least = [limit.min, limit.min_share.map(|share| share * budget)].into_iter().flatten().reduce(f64::max);
            rows.extend(most.map(|most| Row::spend_at_most(&name("max"), &members, most)));
            rows.extend(least.map(|least| Row::spend_at_least(&name("min"), &members, least)));
        }
        if let Some(floor) = self.min_roas {
            let factors: Vec<(usize, f64)> = all.iter().map(|&arm| (arm, 1.0)).collect();
            rows.push(Row::return_at_least("min_roas", &factors, floor, budget));
        }
        if let Some(limit) = self.max_cpa {
            let conversions = |arm: &Arm| arm.order_value.map_or(0.0, |value| 1.0 / value);
            let factors: Vec<(usize, f64)> = self.arms.iter().map(conversions).enumerate().collect();
            rows.push(Row::cost_at_most("max_cpa", &factors, limit, budget));
        }
        rows
    }
}

impl Limit {
    /// What this limit looks at in an arm.
    pub(super) fn field<'a>(&self, arm: &'a Arm) -> Option<&'a str> {
        let field = match self.by {
            Dimension::Retailer => &arm.retailer,
            Dimension::Placement => &arm.placement,
            Dimension::Audience => &arm.audience,
            Dimension::Sku => &arm.sku,
        };
        field.as_deref()
    }
}

impl Dimension {
    /// As in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Retailer => "retailer",
            Self::Placement => "placement",
            Self::Audience => "audience",
            Self::Sku => "sku",
        }
    }
}
