//! The limits a plan must keep, and the one place that says how a plan stands to each of them;
//! proposal and verification both read it, so they cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ProposalError;
use super::plan::{AllocationLine, Expected};
use crate::figure::{Figure, Reason};

/// Limits of a plan. Shares are shares of the budget, 0 to 1; a share limit in micros is rounded
/// outwards to the next whole micro.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constraints {
    /// Spend the whole budget instead of at most the budget.
    pub spend_all: bool,
    /// Lowest expected revenue / spend of the plan.
    pub min_roas: Option<f64>,
    /// Highest expected spend / conversions of the plan, in micros.
    pub max_cpa_micros: Option<i64>,
    /// Highest share of a single arm.
    pub max_share_per_arm: Option<f64>,
    /// Lowest share of every arm that is not excluded.
    pub min_share_per_arm: Option<f64>,
    /// Placement types that get nothing.
    pub excluded_placements: BTreeSet<String>,
    /// Audience segments that get nothing.
    pub excluded_audiences: BTreeSet<String>,
    /// Highest share of a placement type.
    pub max_share_per_placement: BTreeMap<String, f64>,
    /// Lowest share of a placement type.
    pub min_share_per_placement: BTreeMap<String, f64>,
    /// Highest share of an audience segment.
    pub max_share_per_audience: BTreeMap<String, f64>,
    /// Lowest share of an audience segment.
    pub min_share_per_audience: BTreeMap<String, f64>,
    /// Every spend is a multiple of this many micros.
    pub step_micros: Option<i64>,
}

/// A limit on the spend of all lines of a placement type or an audience segment.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareLimit<'a> {
    /// Name in reports and conflicts.
    pub name: String,
    /// Whether placements or audiences are looked at.
    pub by_placement: bool,
    /// Which one.
    pub of: &'a str,
    /// Share of the budget.
    pub share: f64,
    /// Whether it is a lowest share.
    pub is_least: bool,
}

impl ShareLimit<'_> {
    /// Whether a line belongs to it.
    #[must_use]
    pub fn covers(&self, placement: &str, audience: &str) -> bool {
        self.of == if self.by_placement { placement } else { audience }
    }

    /// The limit in micros.
    #[must_use]
    pub fn micros(&self, budget_micros: i64) -> i64 {
        if self.is_least { least_micros(self.share, budget_micros) } else { most_micros(self.share, budget_micros) }
    }
}

/// Most limits of placements and audiences.
const MAX_SHARE_LIMITS: usize = 200;

/// How a plan stands to one constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstraintStanding {
    /// Name, for example `min_roas` or `max_share_per_placement.mailer`.
    pub constraint: String,
    /// Unit of limit, value and slack.
    pub unit: Unit,
    /// The limit.
    pub limit: f64,
    /// The plan's value; absent when it cannot be known.
    pub value: Option<f64>,
    /// Room left, negative when violated; absent when the value is.
    pub slack: Option<f64>,
    /// Whether the plan keeps the constraint. An unknown value does not.
    pub satisfied: bool,
    /// What the plan's own objective ([`CandidatePlan::objective`]) gains for each unit by which this
    /// limit alone is relaxed: money for money, or money for each 1.0 of a ratio; 0 when it does not
    /// bind. It holds for small moves. Where spends come in whole steps it is the price without steps.
    ///
    /// [`CandidatePlan::objective`]: super::plan::CandidatePlan::objective
    #[serde(default = "unpriced")]
    pub shadow_price: Figure<f64>,
}

/// Unit of a constraint's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Money in micros.
    Micros,
    /// A ratio such as ROAS.
    Ratio,
}

impl Constraints {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`ProposalError::Invalid`] naming the field.
    pub fn validate(&self) -> Result<(), ProposalError> {
        let wrong = |field: &str, message: String| Err(ProposalError::Invalid { field: format!("constraints.{field}"), message });
        let shares = [("max_share_per_arm", self.max_share_per_arm), ("min_share_per_arm", self.min_share_per_arm)];
        let of_groups = self.share_limits().into_iter().map(|limit| (limit.name, Some(limit.share)));
        for (field, share) in shares.into_iter().map(|(name, share)| (name.to_owned(), share)).chain(of_groups) {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return wrong(&field, format!("must be a share from 0 to 1, is {share}"));
            }
        }
        let pairs = [
            ("placement", &self.min_share_per_placement, &self.max_share_per_placement),
            ("audience", &self.min_share_per_audience, &self.max_share_per_audience),
        ];
        if let (Some(least), Some(most)) = (self.min_share_per_arm, self.max_share_per_arm)
            && least > most
        {
            return wrong("min_share_per_arm", format!("{least} is above max_share_per_arm, which is {most}"));
        }
        for (kind, least, most) in pairs {
            if let Some((of, least, most)) =
                least.iter().find_map(|(of, least)| most.get(of).filter(|most| *most < least).map(|most| (of, least, most)))
            {
                return wrong(
                    &format!("min_share_per_{kind}.{of}"),
                    format!("{least} is above max_share_per_{kind}.{of}, which is {most}"),
                );
            }
        }
        if let Some(floor) = self.min_roas.filter(|floor| !floor.is_finite() || *floor < 0.0) {
            return wrong("min_roas", format!("must be a ratio of 0 or more, is {floor}"));
        }
        if let Some(limit) = self.max_cpa_micros.filter(|limit| *limit <= 0) {
            return wrong("max_cpa_micros", format!("must be above 0, is {limit}"));
        }
        if self.share_limits().len() > MAX_SHARE_LIMITS {
            return wrong("max_share_per_placement", format!("at most {MAX_SHARE_LIMITS} shares of placements and audiences in all"));
        }
        if let Some(step) = self.step_micros.filter(|step| *step <= 0) {
            return wrong("step_micros", format!("must be above 0, is {step}"));
        }
        Ok(())
    }

    /// The limits of placements and audiences.
    #[must_use]
    pub fn share_limits(&self) -> Vec<ShareLimit<'_>> {
        let kinds = [
            ("max_share_per_placement", &self.max_share_per_placement, true, false),
            ("min_share_per_placement", &self.min_share_per_placement, true, true),
            ("max_share_per_audience", &self.max_share_per_audience, false, false),
            ("min_share_per_audience", &self.min_share_per_audience, false, true),
        ];
        let limits = kinds.into_iter().flat_map(|(kind, shares, by_placement, is_least)| {
            shares.iter().map(move |(of, share)| ShareLimit { name: format!("{kind}.{of}"), by_placement, of, share: *share, is_least })
        });
        limits.collect()
    }

    /// What spending all means: less than one step is left.
    #[must_use]
    pub fn whole_budget(&self, budget_micros: i64) -> i64 {
        budget_micros - budget_micros % self.step_micros.unwrap_or(1).max(1)
    }

    /// Least and most micros of a single arm under this budget.
    #[must_use]
    pub fn arm_bounds(&self, budget_micros: i64) -> (i64, i64) {
        let low = self.min_share_per_arm.map_or(0, |share| least_micros(share, budget_micros));
        let high = self.max_share_per_arm.map_or(budget_micros, |share| most_micros(share, budget_micros));
        (low, high)
    }

    /// How a plan stands to every constraint that is set, and to the budget.
    #[must_use]
    pub fn standings(&self, lines: &[AllocationLine], expected: &Expected, budget_micros: i64) -> Vec<ConstraintStanding> {
        let spend: i128 = lines.iter().map(|line| i128::from(line.spend_micros)).sum();
        let spend = spend as f64;
        let mut standings = vec![at_most("budget", Unit::Micros, budget_micros as f64, Some(spend))];
        if self.spend_all {
            standings.push(at_least("spend_all", Unit::Micros, self.whole_budget(budget_micros) as f64, Some(spend)));
        }
        if let Some(floor) = self.min_roas {
            // A plan that spends nothing breaks no return floor.
            let value = if spend > 0.0 { expected.roas.value } else { Some(floor) };
            standings.push(at_least("min_roas", Unit::Ratio, floor, value));
        }
        if let Some(limit) = self.max_cpa_micros {
            let value = match expected.conversions.value {
                _ if spend <= 0.0 => Some(0.0),
                Some(conversions) if conversions > 0.0 => Some(spend / conversions),
                _ => None,
            };
            standings.push(at_most("max_cpa", Unit::Micros, limit as f64, value));
        }
        let (low, high) = self.arm_bounds(budget_micros);
        if self.max_share_per_arm.is_some() {
            let most = lines.iter().map(|line| line.spend_micros).max().unwrap_or(0);
            standings.push(at_most("max_share_per_arm", Unit::Micros, high as f64, Some(most as f64)));
        }
        if self.min_share_per_arm.is_some() {
            let least = lines.iter().map(|line| line.spend_micros).min().unwrap_or(0);
            standings.push(at_least("min_share_per_arm", Unit::Micros, low as f64, Some(least as f64)));
        }
        let placed = |placement: &str| -> f64 {
            lines.iter().filter(|line| line.placement_type == placement).map(|line| line.spend_micros as f64).sum()
        };
        for placement in &self.excluded_placements {
            let name = format!("excluded_placements.{placement}");
            standings.push(at_most(&name, Unit::Micros, 0.0, Some(placed(placement))));
        }
        for audience in &self.excluded_audiences {
            let spent = lines.iter().filter(|line| line.audience_segment == *audience).map(|line| line.spend_micros as f64).sum();
            standings.push(at_most(&format!("excluded_audiences.{audience}"), Unit::Micros, 0.0, Some(spent)));
        }
        for limit in self.share_limits() {
            let covered = lines.iter().filter(|line| limit.covers(&line.placement_type, &line.audience_segment));
            let value = Some(covered.map(|line| line.spend_micros as f64).sum());
            let micros = limit.micros(budget_micros) as f64;
            let standing = if limit.is_least { at_least } else { at_most };
            standings.push(standing(&limit.name, Unit::Micros, micros, value));
        }
        if let Some(step) = self.step_micros {
            let off = lines.iter().map(|line| line.spend_micros % step).max().unwrap_or(0);
            standings.push(at_most("step", Unit::Micros, 0.0, Some(off as f64)));
        }
        standings
    }
}

/// A highest share in micros, rounded up.
#[must_use]
pub fn most_micros(share: f64, budget_micros: i64) -> i64 {
    ((share * budget_micros as f64).ceil() as i64).clamp(0, budget_micros)
}

/// A lowest share in micros, rounded down.
#[must_use]
pub fn least_micros(share: f64, budget_micros: i64) -> i64 {
    ((share * budget_micros as f64).floor() as i64).clamp(0, budget_micros)
}

fn at_most(name: &str, unit: Unit, limit: f64, value: Option<f64>) -> ConstraintStanding {
    standing(name, unit, limit, value, value.map(|value| limit - value))
}

fn at_least(name: &str, unit: Unit, limit: f64, value: Option<f64>) -> ConstraintStanding {
    standing(name, unit, limit, value, value.map(|value| value - limit))
}

fn standing(name: &str, unit: Unit, limit: f64, value: Option<f64>, slack: Option<f64>) -> ConstraintStanding {
    let satisfied = slack.is_some_and(|slack| slack >= 0.0);
    ConstraintStanding { constraint: name.to_owned(), unit, limit, value, slack, satisfied, shadow_price: unpriced() }
}

/// A plan has prices only where it is an optimum.
fn unpriced() -> Figure<f64> {
    Figure::missing(Reason::NotAnOptimum)
}
