//! When a campaign may move to another state, and what must hold while it is in one. Pure rules over facts that somebody else has gathered.

use chrono::NaiveDate;

use crate::campaign::CampaignStatus;
use crate::invalid::Invalid;
use crate::money::format_micros;

/// What a campaign says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flight {
    /// First day.
    pub start_date: Option<NaiveDate>,
    /// Last day, included.
    pub end_date: Option<NaiveDate>,
    /// Budget in micros of `currency`.
    pub budget_micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// How many products it names.
    pub sku_count: usize,
}

/// What the world says of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The day at the retailer.
    pub today: NaiveDate,
    /// Spend measured so far in the campaign's currency; absent when none is.
    pub spent_micros: Option<i64>,
    /// Whether it has any row of performance.
    pub has_performance: bool,
    /// Currencies that its rows name; a row without one is in the campaign's.
    pub row_currencies: Vec<String>,
    /// Whether the retailer takes part.
    pub retailer_is_active: bool,
    /// Whether a product it names is in the retailer's catalogue, not excluded and not known to be out of stock.
    pub has_eligible_sku: bool,
    /// Ids of its creatives that break the retailer's policy or specs.
    pub failing_creatives: Vec<String>,
}

/// Whether a campaign may be scheduled or run with these facts.
///
/// # Errors
/// [`Invalid`] naming everything that stands in the way.
pub fn check_ready(to: CampaignStatus, flight: &Flight, facts: &Facts) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    check_dates(&mut invalid, to, flight, facts.today);
    match flight.budget_micros {
        Some(budget) if budget > 0 => check_budget(&mut invalid, budget, facts.spent_micros),
        _ => invalid.add("total_budget", "must be stated and above 0 before the campaign is scheduled or active"),
    }
    check_skus(&mut invalid, flight.sku_count, facts.has_eligible_sku);
    if !facts.retailer_is_active {
        invalid.add("retailer_id", "is a retailer that does not take part at present");
    }
    if !facts.failing_creatives.is_empty() {
        let named = facts.failing_creatives.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        let n = facts.failing_creatives.len();
        invalid.add("creatives", format!("{n} of its creatives break the retailer's policy or specs ({named}); see their findings"));
    }
    invalid.into_result()
}

/// Whether a campaign in this state may be changed from one flight to another. Guards look at what changed only, so that a campaign whose
/// facts went bad by themselves can still be renamed.
///
/// # Errors
/// [`Invalid`] naming each field that may not be changed so.
pub fn check_change(status: CampaignStatus, before: &Flight, after: &Flight, facts: &Facts) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    let has_begun = matches!(status, CampaignStatus::Active | CampaignStatus::Paused | CampaignStatus::Completed);
    let is_planned = has_begun || status == CampaignStatus::Scheduled;
    if has_begun && before.start_date != after.start_date {
        invalid.add("start_date", format!("cannot change once the campaign is {status}"));
    }
    if before.currency != after.currency {
        check_currency(&mut invalid, status, before.currency.as_deref(), after.currency.as_deref(), facts);
    }
    if before.end_date != after.end_date && is_planned {
        match after.end_date {
            None => invalid.add("end_date", format!("is required while the campaign is {status}")),
            Some(end) if end < facts.today && status != CampaignStatus::Completed => {
                invalid.add(
                    "end_date",
                    format!("{end} is in the past (today is {} at the retailer); complete the campaign instead", facts.today),
                );
            }
            Some(_) => {}
        }
    }
    if status == CampaignStatus::Scheduled && before.start_date.is_some() && after.start_date.is_none() {
        invalid.add("start_date", "is required while the campaign is scheduled");
    }
    if before.budget_micros != after.budget_micros {
        match after.budget_micros {
            Some(budget) if budget > 0 || !is_planned => check_budget(&mut invalid, budget, facts.spent_micros),
            None if !is_planned => {}
            _ => invalid.add("total_budget", format!("must be above 0 while the campaign is {status}")),
        }
    }
    if matches!(status, CampaignStatus::Scheduled | CampaignStatus::Active | CampaignStatus::Paused) && before.sku_count > 0 {
        check_skus(&mut invalid, after.sku_count, true);
    }
    invalid.into_result()
}

/// Budget, spend and rows are amounts of the campaign's currency: another one would change what they mean and leave measured money out. Stating
/// the first one is no change, unless rows name another.
fn check_currency(invalid: &mut Invalid, status: CampaignStatus, before: Option<&str>, after: Option<&str>, facts: &Facts) {
    const WAY: &str = "copy the campaign (POST /v1/campaigns/{id}/clone) and set the currency of the copy";
    match before {
        Some(before) if status != CampaignStatus::Draft => {
            invalid.add("currency", format!("is {before} and cannot change: the campaign is {status}, not a draft; {WAY}"));
        }
        Some(before) if facts.has_performance => {
            invalid.add("currency", format!("is {before} and cannot change: the campaign has performance rows; {WAY}"));
        }
        Some(_) => {}
        None => {
            if let Some(other) = facts.row_currencies.iter().find(|other| after.is_some_and(|after| after != other.as_str())) {
                invalid.add("currency", format!("cannot be this one: the campaign has performance rows in {other}; {WAY}"));
            }
        }
    }
}

fn check_dates(invalid: &mut Invalid, to: CampaignStatus, flight: &Flight, today: NaiveDate) {
    for (field, date) in [("start_date", flight.start_date), ("end_date", flight.end_date)] {
        if date.is_none() {
            invalid.add(field, "is required before the campaign is scheduled or active");
        }
    }
    if let (Some(start), Some(end)) = (flight.start_date, flight.end_date)
        && end < start
    {
        invalid.add("end_date", "is before start_date");
    }
    if let Some(end) = flight.end_date.filter(|end| *end < today) {
        invalid.add("end_date", format!("{end} is in the past (today is {today} at the retailer)"));
    }
    if to == CampaignStatus::Active
        && let Some(start) = flight.start_date.filter(|start| *start > today)
    {
        invalid.add(
            "start_date",
            format!("{start} is ahead (today is {today} at the retailer): until then the campaign can only be scheduled, and becomes active by itself"),
        );
    }
}

fn check_budget(invalid: &mut Invalid, budget: i64, spent: Option<i64>) {
    if let Some(spent) = spent.filter(|spent| *spent > budget) {
        invalid.add("total_budget", format!("{} is below the {} that are spent already", format_micros(budget), format_micros(spent)));
    }
}

fn check_skus(invalid: &mut Invalid, count: usize, has_eligible: bool) {
    if count == 0 {
        invalid.add("target_skus", "at least one SKU is required before the campaign is scheduled or active");
    } else if !has_eligible {
        invalid.add("target_skus", "none of these SKUs is in the retailer's catalogue, not excluded and not out of stock");
    }
}
