//! The shape of a candidate plan as services store and show it.

use serde::{Deserialize, Serialize};

use super::constraints::ConstraintStanding;
use crate::figure::Figure;
use crate::response::{NotIdentifiable, Origin};

/// One way to spend the budget, with what is expected of it and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidatePlan {
    /// Name of the strategy, unique within one answer.
    pub strategy: String,
    /// What it maximises within the limits, in words; shadow prices count this.
    #[serde(default)]
    pub objective: String,
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
    /// Names of the constraints without slack.
    #[serde(default)]
    pub binding: Vec<String>,
    /// What may go wrong, in words.
    #[serde(default)]
    pub risk_factors: Vec<String>,
    /// Lines that get nothing whatever they would bring, with the reason.
    #[serde(default)]
    pub closed: Vec<ClosedLine>,
    /// Comparison with the present plan, when there is one.
    #[serde(default)]
    pub present: Option<PresentComparison>,
}

/// A line that may get nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClosedLine {
    /// The arm.
    pub arm_id: String,
    /// Why.
    pub reason: String,
}

/// How a plan differs from what is done now, scaled to the budget planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresentComparison {
    /// What the present plan is: the plan chosen last, the campaign's allocation, or recent spend.
    pub source: String,
    /// Whether it keeps the constraints of this request.
    pub is_feasible: bool,
    /// Constraints that it breaks.
    pub broken: Vec<String>,
    /// Its spend in micros.
    pub spend_micros: i64,
    /// What the same curves expect of it, in micros.
    pub expected_revenue_micros: i64,
    /// Spend of the plan minus its spend.
    pub spend_difference_micros: i64,
    /// Expected revenue of the plan minus that of the present plan.
    pub revenue_difference_micros: i64,
    /// What this plan is never worse in when the present plan is feasible; "nothing", with why, when
    /// nothing is promised.
    pub never_worse_in: String,
    /// That measure of both; absent when nothing is promised.
    #[serde(default)]
    pub measured: Option<Measured>,
}

/// A measure of a plan and of the present plan, in micros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Of the plan.
    pub plan_micros: i64,
    /// Of the present plan.
    pub present_micros: i64,
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
    /// Whether the arm's own history or a prior was used.
    pub curve: Origin,
    /// Why the arm's own history cannot tell its curve.
    #[serde(default)]
    pub not_identifiable: Option<NotIdentifiable>,
    /// The prior that stands in, by name.
    #[serde(default)]
    pub prior: Option<String>,
    /// Experiments that set the level of the curve.
    #[serde(default)]
    pub calibrated_by: Vec<String>,
    /// Share of a period's effect that carries over to the next.
    #[serde(default)]
    pub carry_over: f64,
    /// Periods of history with spend and revenue.
    #[serde(default)]
    pub history_periods: usize,
    /// Spend of the present plan on this arm; absent without a present plan.
    #[serde(default)]
    pub present_spend_micros: Option<i64>,
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
    /// 95 % interval of the revenue (normal errors).
    #[serde(default)]
    pub revenue_interval_micros: Option<MoneyInterval>,
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

/// A two-sided interval of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyInterval {
    /// Lower end in micros.
    pub low_micros: i64,
    /// Upper end in micros.
    pub high_micros: i64,
    /// Coverage in percent.
    pub level_percent: u32,
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
