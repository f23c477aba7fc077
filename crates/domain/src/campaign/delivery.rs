//! Whether a campaign delivers at present: computed from its state and the facts, with one reason, beside the state that people set.

use serde::Serialize;

use super::CampaignStatus;
use super::life::{Facts, Flight};
use crate::money::format_micros;

/// Whether ads can be shown now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::AsRefStr, strum::Display, strum::VariantArray, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// Still a draft.
    NotScheduled,
    /// The first day is ahead, or it begins within the next minute.
    Scheduled,
    /// Nothing stands in the way.
    Delivering,
    /// Stopped by a person.
    Paused,
    /// The budget is spent.
    BudgetExhausted,
    /// No product can be advertised.
    NoEligibleSku,
    /// A creative breaks the retailer's policy or specs.
    PolicyBlocked,
    /// The retailer does not take part at present.
    RetailerInactive,
    /// The last day is over.
    Ended,
}

/// The status with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// The word.
    pub status: DeliveryStatus,
    /// The one reason, in a sentence.
    pub reason: String,
}

/// Computes it. Of several reasons the first in this order counts: over, stopped, not begun, retailer, policy, products, budget.
#[must_use]
pub fn delivery(status: CampaignStatus, flight: &Flight, facts: &Facts) -> Delivery {
    use DeliveryStatus as D;
    let say = |status: D, reason: String| Delivery { status, reason };
    let is_over = flight.end_date.filter(|end| *end < facts.today);
    match (status, is_over) {
        (CampaignStatus::Completed, _) => return say(D::Ended, "The campaign is completed.".to_owned()),
        (CampaignStatus::Archived, _) => return say(D::Ended, "The campaign is archived.".to_owned()),
        (CampaignStatus::Draft, _) => return say(D::NotScheduled, "The campaign is a draft; schedule it.".to_owned()),
        (_, Some(end)) => return say(D::Ended, format!("Its last day, {end}, is over.")),
        (CampaignStatus::Paused, _) => return say(D::Paused, "The campaign was paused.".to_owned()),
        (CampaignStatus::Scheduled | CampaignStatus::Active, None) => {}
    }
    let ahead = flight.start_date.filter(|start| *start > facts.today);
    if let Some(start) = ahead {
        return say(D::Scheduled, format!("Its first day, {start}, is ahead."));
    }
    if !facts.retailer_is_active {
        return say(D::RetailerInactive, "The retailer does not take part at present.".to_owned());
    }
    if let Some(first) = facts.failing_creatives.first() {
        let n = facts.failing_creatives.len();
        return say(D::PolicyBlocked, format!("{n} of its creatives break the retailer's policy or specs, the first is {first}."));
    }
    if flight.sku_count > 0 && !facts.has_eligible_sku {
        let reason = format!("None of its {} SKUs is in the retailer's catalogue, not excluded and not out of stock.", flight.sku_count);
        return say(D::NoEligibleSku, reason);
    }
    if let (Some(budget), Some(spent)) = (flight.budget_micros, facts.spent_micros)
        && spent >= budget
    {
        return say(
            D::BudgetExhausted,
            match &flight.currency {
                Some(currency) => format!("{} of {} {currency} are spent.", format_micros(spent), format_micros(budget)),
                None => format!("{} of {} are spent.", format_micros(spent), format_micros(budget)),
            },
        );
    }
    match status {
        CampaignStatus::Scheduled => say(D::Scheduled, "Its first day has come; it becomes active within a minute.".to_owned()),
        _ => say(D::Delivering, "Nothing stands in the way.".to_owned()),
    }
}
