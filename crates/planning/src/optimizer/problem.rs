//! The budget problem as people write it in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most arms accepted in one problem.
pub const MAX_ARMS: usize = 100_000;
/// Most groups accepted in one problem.
pub const MAX_GROUPS: usize = 200;
/// Most limits accepted in one problem.
pub const MAX_LIMITS: usize = 200;
/// Most SKUs in each list.
pub const MAX_SKUS: usize = 100_000;

/// A budget problem: maximise `sum value_i * r_i(x_i)` with
/// `r_i(x) = beta x^alpha / (k^alpha + x^alpha)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Free name, only for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Money to distribute; any experiment reserve is already taken off. When absent it is
    /// `total_budget * (1 - experiment_reserve_share)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Spend exactly the budget instead of at most the budget.
    #[serde(default)]
    pub spend_all: bool,
    /// Lowest `sum r_i / sum x_i`; the response is counted without the `value` factor.
    #[serde(default)]
    pub min_roas: Option<f64>,
    /// Highest `sum x_i / sum (r_i / order_value_i)`: what one conversion may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpa: Option<f64>,
    /// Every spend is a multiple of this amount; any amount when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Limits on the total spend of sets of arms.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Limits on the total spend of a retailer, placement, audience or SKU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// SKUs that may get nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded_skus: Vec<String>,
    /// SKUs that cannot be sold: their arms get nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_stock_skus: Vec<String>,
    /// Spend by arm id as it is now; the answer is not worse than this when it is feasible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<BTreeMap<String, f64>>,
    /// What money can be put on.
    pub arms: Vec<Arm>,
    /// Description of the objective; carried along, not computed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Budget before the reserve; used only when `budget` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_budget: Option<f64>,
    /// Share of the total budget kept for experiments; used only when `budget` is absent.
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
    /// Response per conversion, needed by `max_cpa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_value: Option<f64>,
    /// May get nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excluded: bool,
    /// Where the money goes, for [`Problem::limits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retailer: Option<String>,
    /// In what, for [`Problem::limits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// For whom, for [`Problem::limits`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// For what, for [`Problem::limits`] and the lists of SKUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
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

/// By what a [`Limit`] collects its arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// `Arm::retailer`.
    Retailer,
    /// `Arm::placement`.
    Placement,
    /// `Arm::audience`.
    Audience,
    /// `Arm::sku`.
    Sku,
}

/// A limit on the total spend of all arms of one retailer, placement, audience or SKU. Shares are
/// shares of the budget; of an amount and a share the stricter counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Which field of the arms is looked at.
    pub by: Dimension,
    /// The value it must have.
    pub of: String,
    /// Least total spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Most total spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Least share of the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_share: Option<f64>,
    /// Most share of the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<f64>,
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
        reader.end().map_err(|error| InvalidProblem { path: ".".to_owned(), message: format!("text after the problem: {error}") })?;
        problem.validate()?;
        Ok(problem)
    }
}

fn one() -> f64 {
    1.0
}
