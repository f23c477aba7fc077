//! The budget problem as people write it in JSON, and the checks that name the offending field.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::curve::Hill;
use super::program::{Program, ProgramArm, Row};

/// Most arms accepted in one problem.
pub const MAX_ARMS: usize = 100_000;
/// Most groups accepted in one problem.
pub const MAX_GROUPS: usize = 200;

/// A budget problem: maximise `sum value_i * r_i(x_i)` with
/// `r_i(x) = beta x^alpha / (k^alpha + x^alpha)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Free name, only for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Money to distribute; any experiment reserve is already taken off.
    pub budget: f64,
    /// Spend exactly the budget instead of at most the budget.
    #[serde(default)]
    pub spend_all: bool,
    /// Lowest `sum r_i / sum x_i`; the response is counted without the `value` factor.
    #[serde(default)]
    pub min_roas: Option<f64>,
    /// Limits on the total spend of sets of arms.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What money can be put on.
    pub arms: Vec<Arm>,
    /// Description of the objective; carried along, not computed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Budget before the reserve; carried along, not computed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_budget: Option<f64>,
    /// Reserve that `budget` already leaves out; carried along, not computed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_reserve_share: Option<f64>,
    /// Seed of a generated problem; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_seed: Option<serde_json::Value>,
    /// Known answer of a reference problem; never read by the solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<serde_json::Value>,
    /// Known cause of an infeasible reference problem; never read by the solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_conflict: Option<serde_json::Value>,
}

/// One thing money can be put on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Unique id.
    pub id: String,
    /// Response at saturation, in money.
    pub beta: f64,
    /// Shape: 1 or less is concave, more is S-shaped.
    pub alpha: f64,
    /// Spend at half saturation.
    pub k: f64,
    /// Least spend.
    #[serde(default)]
    pub min: f64,
    /// Most spend; the budget when absent.
    #[serde(default)]
    pub max: Option<f64>,
    /// Worth of one unit of response in the objective.
    #[serde(default = "one")]
    pub value: f64,
    /// Descriptive fields of the reference problems; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retailer: Option<String>,
    /// Descriptive; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Descriptive; carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_spend: Option<f64>,
    /// Descriptive: `value` already holds its effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Descriptive: `value` already holds its effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oos_probability: Option<f64>,
}

/// A limit on the total spend of a set of arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name used in `binding` and `conflict`.
    pub name: String,
    /// Positions in `Problem::arms`, from 0.
    pub arms: Vec<usize>,
    /// Least total spend.
    #[serde(default)]
    pub min: Option<f64>,
    /// Most total spend.
    #[serde(default)]
    pub max: Option<f64>,
}

/// What is wrong with a problem, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct InvalidProblem {
    /// Path of the field, for example `arms[3].max`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// Reads and checks a problem.
    ///
    /// # Errors
    /// [`InvalidProblem`] naming the field that is missing, unknown, of the wrong type or out of range.
    pub fn from_json(text: &str) -> Result<Self, InvalidProblem> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let problem: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| InvalidProblem { path: error.path().to_string(), message: error.inner().to_string() })?;
        reader.end().map_err(|error| invalid(".", format!("text after the problem: {error}")))?;
        problem.validate()?;
        Ok(problem)
    }

    /// Checks ranges and references.
    ///
    /// # Errors
    /// [`InvalidProblem`] for the first field found wrong.
    pub fn validate(&self) -> Result<(), InvalidProblem> {
        non_negative("budget", self.budget)?;
        if let Some(floor) = self.min_roas {
            non_negative("min_roas", floor)?;
        }
        if self.arms.is_empty() || self.arms.len() > MAX_ARMS {
            return Err(invalid("arms", format!("needs 1 to {MAX_ARMS} arms, has {}", self.arms.len())));
        }
        if self.groups.len() > MAX_GROUPS {
            return Err(invalid("groups", format!("at most {MAX_GROUPS} groups, has {}", self.groups.len())));
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
            if let Some(max) = arm.max {
                non_negative(at("max"), max)?;
                if max < arm.min {
                    return Err(invalid(at("max"), format!("{max} is below min {}", arm.min)));
                }
            }
        }
        for (index, group) in self.groups.iter().enumerate() {
            group.validate(index, self.arms.len())?;
        }
        Ok(())
    }

    /// The problem in the solver's form. Call after [`Problem::validate`].
    pub(super) fn program(&self) -> Program {
        let arms: Vec<ProgramArm> = self
            .arms
            .iter()
            .map(|arm| ProgramArm {
                curve: Hill { beta: arm.beta, alpha: arm.alpha, k: arm.k },
                value: arm.value,
                low: arm.min,
                high: arm.max.unwrap_or(self.budget.max(arm.min)),
            })
            .collect();
        let all: Vec<usize> = (0..arms.len()).collect();
        let mut rows = vec![Row::spend_at_most("budget", &all, self.budget)];
        if self.spend_all {
            rows.push(Row::spend_at_least("spend_all", &all, self.budget));
        }
        for group in &self.groups {
            if let Some(limit) = group.max {
                rows.push(Row::spend_at_most(&format!("group {} max", group.name), &group.arms, limit));
            }
            if let Some(limit) = group.min {
                rows.push(Row::spend_at_least(&format!("group {} min", group.name), &group.arms, limit));
            }
        }
        if let Some(floor) = self.min_roas {
            let factors: Vec<(usize, f64)> = all.iter().map(|&arm| (arm, 1.0)).collect();
            rows.push(Row::return_at_least("min_roas", &factors, floor, self.budget));
        }
        Program { arms, rows }
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

fn one() -> f64 {
    1.0
}

fn invalid(path: impl Into<String>, message: impl Into<String>) -> InvalidProblem {
    InvalidProblem { path: path.into(), message: message.into() }
}

fn non_negative(path: impl Into<String>, value: f64) -> Result<(), InvalidProblem> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(invalid(path, format!("must be a number of 0 or more, is {value}"))) }
}

fn positive(path: impl Into<String>, value: f64) -> Result<(), InvalidProblem> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(invalid(path, format!("must be a number above 0, is {value}"))) }
}
