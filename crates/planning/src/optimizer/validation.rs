//! The checks of a budget problem, each naming the offending field.

use std::collections::HashSet;

use super::problem::{Group, InvalidProblem, Limit, MAX_ARMS, MAX_GROUPS, MAX_LIMITS, MAX_SKUS, Problem};

impl Problem {
    /// Checks ranges and references.
    ///
    /// # Errors
    /// [`InvalidProblem`] for the first field found wrong.
    pub fn validate(&self) -> Result<(), InvalidProblem> {
        self.validate_money()?;
        if self.arms.is_empty() || self.arms.len() > MAX_ARMS {
            let wrong = if self.arms.is_empty() {
                "needs at least one arm".to_owned()
            } else {
                format!("at most {MAX_ARMS} arms, has {}", self.arms.len())
            };
            return Err(invalid("arms", wrong));
        }
        if self.groups.len() > MAX_GROUPS {
            return Err(invalid("groups", format!("at most {MAX_GROUPS} groups, has {}", self.groups.len())));
        }
        if self.limits.len() > MAX_LIMITS {
            return Err(invalid("limits", format!("at most {MAX_LIMITS} limits, has {}", self.limits.len())));
        }
        for (name, list) in [("excluded_skus", &self.excluded_skus), ("out_of_stock_skus", &self.out_of_stock_skus)] {
            if list.len() > MAX_SKUS {
                return Err(invalid(name, format!("at most {MAX_SKUS} SKUs, has {}", list.len())));
            }
        }
        let mut seen = HashSet::new();
        for (index, arm) in self.arms.iter().enumerate() {
            let at = |field: &str| format!("arms[{index}].{field}");
            if !seen.insert(arm.id.as_str()) {
                return Err(invalid(at("id"), format!("arm id {:?} is used twice", arm.id)));
            }
            non_negative(at("beta"), arm.beta)?;
            positive(at("alpha"), arm.alpha)?;
            positive(at("k"), arm.k)?;
            non_negative(at("min"), arm.min)?;
            non_negative(at("value"), arm.value)?;
            match arm.order_value {
                Some(value) => positive(at("order_value"), value)?,
                None if self.max_cpa.is_some() => {
                    return Err(invalid(at("order_value"), "max_cpa needs the response of one conversion here"));
                }
                None => {}
            }
            if let Some(max) = arm.max {
                non_negative(at("max"), max)?;
                if max < arm.min {
                    return Err(invalid(at("max"), format!("{max} is below min {}", arm.min)));
                }
            }
        }
        let mut named = HashSet::new();
        for (index, group) in self.groups.iter().enumerate() {
            if !named.insert(group.name.as_str()) {
                return Err(invalid(format!("groups[{index}].name"), format!("{:?} is the name of another group too", group.name)));
            }
            group.validate(index, self.arms.len())?;
        }
        for (index, limit) in self.limits.iter().enumerate() {
            limit.validate(index)?;
            if !self.arms.iter().any(|arm| limit.field(arm) == Some(limit.of.as_str())) {
                return Err(invalid(format!("limits[{index}].of"), format!("no arm has the {} {:?}", limit.by.word(), limit.of)));
            }
        }
        for (id, spend) in self.present.iter().flatten() {
            if !seen.contains(id.as_str()) {
                return Err(invalid(format!("present.{id}"), "is no arm of this problem"));
            }
            non_negative(format!("present.{id}"), *spend)?;
        }
        Ok(())
    }

    fn validate_money(&self) -> Result<(), InvalidProblem> {
        if let Some(share) = self.experiment_reserve_share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(invalid("experiment_reserve_share", format!("must be a share from 0 to 1, is {share}")));
        }
        match (self.budget, self.total_budget) {
            (Some(budget), _) => non_negative("budget", budget)?,
            (None, Some(total)) => non_negative("total_budget", total)?,
            (None, None) => return Err(invalid("budget", "state budget, or total_budget with experiment_reserve_share")),
        }
        if let Some(floor) = self.min_roas {
            non_negative("min_roas", floor)?;
        }
        if let Some(limit) = self.max_cpa {
            positive("max_cpa", limit)?;
        }
        if let Some(step) = self.step {
            positive("step", step)?;
        }
        Ok(())
    }
}

impl Group {
    fn validate(&self, index: usize, arms: usize) -> Result<(), InvalidProblem> {
        let at = |field: &str| format!("groups[{index}].{field}");
        let mut seen = HashSet::new();
        for (position, &arm) in self.arms.iter().enumerate() {
            if arm >= arms {
                return Err(invalid(
                    format!("groups[{index}].arms[{position}]"),
                    format!("{arm} is not an arm: positions run from 0 to {}", arms.saturating_sub(1)),
                ));
            }
            if !seen.insert(arm) {
                return Err(invalid(format!("groups[{index}].arms[{position}]"), format!("arm {arm} is named twice in this group")));
            }
        }
        if let Some(min) = self.min {
            non_negative(at("min"), min)?;
        }
        if let Some(max) = self.max {
            non_negative(at("max"), max)?;
        }
        Ok(())
    }
}

impl Limit {
    fn validate(&self, index: usize) -> Result<(), InvalidProblem> {
        let at = |field: &str| format!("limits[{index}].{field}");
        for (field, amount) in [("min", self.min), ("max", self.max)] {
            if let Some(amount) = amount {
                non_negative(at(field), amount)?;
            }
        }
        for (field, share) in [("min_share", self.min_share), ("max_share", self.max_share)] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(invalid(at(field), format!("must be a share from 0 to 1, is {share}")));
            }
        }
        Ok(())
    }
}

/// Largest number: above it sums of money are no longer exact to the cent.
const MOST: f64 = 1e13;

fn invalid(path: impl Into<String>, message: impl Into<String>) -> InvalidProblem {
    InvalidProblem { path: path.into(), message: message.into() }
}

fn non_negative(path: impl Into<String>, value: f64) -> Result<(), InvalidProblem> {
    if (0.0..=MOST).contains(&value) { Ok(()) } else { Err(invalid(path, format!("must be a number from 0 to {MOST:e}, is {value:?}"))) }
}

fn positive(path: impl Into<String>, value: f64) -> Result<(), InvalidProblem> {
    if value > 0.0 && value <= MOST {
        Ok(())
    } else {
        Err(invalid(path, format!("must be a number above 0, at most {MOST:e}, is {value:?}")))
    }
}
