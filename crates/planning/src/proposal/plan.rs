//! The shape of a candidate plan as services store and show it.

use serde::{Deserialize, Serialize};

use super::constraints::ConstraintStanding;
use crate::figure::Figure;
use crate::response::Origin;

/// One way to spend the budget, with what is expected of it and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidatePlan {
    /// Name of the strategy, unique within one answer.
    pub strategy: String,
    /// Plain sentences with the figures used.
    pub rationale: Vec<String>,
    /// ISO 4217 code of all money in the plan.
    pub currency: String,
    /// The budget planned, in micros.
    pub budget_micros: i64,
    /// Budget not allocated because the constraints do not allow or reward it, in micros.
    pub unallocated_micros: i64,
    /// Days covered.
    pub horizon_days: u32,
    /// Arms with money, in the order of the request.
    pub allocation: Vec<AllocationLine>,
    /// Totals over the lines.
    pub expected: Expected,
    /// Herfindahl index of the lines' shares of the plan's spend: 1 is everything on one arm;
    /// 0 when nothing is spent.
    pub concentration: f64,
    /// Share of the plan's spend on arms whose curve is pooled; 0 when nothing is spent.
    pub uncertainty_share: f64,
    /// How the plan stands to each constraint.
    pub constraint_report: Vec<ConstraintStanding>,
}

/// Money on one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationLine {
    /// The arm.
    pub arm_id: String,
    /// Its placement type.
    pub placement_type: String,
    /// Its audience segment.
    pub audience_segment: String,
    /// Spend in micros.
    pub spend_micros: i64,
    /// Spend / budget.
    pub share: f64,
    /// Expected revenue in micros.
    pub expected_revenue_micros: i64,
    /// Standard error of the expected revenue in micros; absent when not known.
    pub standard_error_micros: Option<i64>,
    /// Revenue of one more unit of spend.
    pub marginal_roas: f64,
    /// Whether the arm's own history or the campaign's overall curve was used.
    pub curve: Origin,
}

/// What a plan is expected to bring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Sum of the lines' spend.
    pub spend_micros: i64,
    /// Sum of the lines' expected revenue.
    pub revenue_micros: i64,
    /// Standard error of the revenue, errors of arms taken as independent.
    pub revenue_standard_error_micros: Figure<i64>,
    /// Revenue / spend.
    pub roas: Figure<f64>,
    /// 95 % interval of the expected return (normal errors).
    pub roas_interval: Figure<Interval>,
    /// Expected conversions: revenue of each arm over its own average order value.
    pub conversions: Figure<f64>,
    /// Expected impressions at each arm's historical impressions per money. Kinds of impressions
    /// differ between placements.
    pub impressions: Figure<f64>,
    /// Distinct people reached. History by period cannot tell it, because people repeat.
    pub reach: Figure<f64>,
}

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Coverage, for example 0.95.
    pub level: f64,
}
