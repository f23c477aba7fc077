//! What is known of a campaign's placements and audiences: sums by week, in one grouped query.

use std::collections::{BTreeMap, BTreeSet};

use domain::invalid::Invalid;
use domain::scope::Scope;
use planning::metrics::Measures;
use planning::proposal::ArmHistory;
use planning::response::calibration::Calibration;
use storage::calibrations;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, summarise};

use super::stock::{self, Missing};

/// Days of one period of history.
pub const PERIOD_DAYS: u32 = 7;

/// Where the history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The campaign's own performance.
    Campaign,
    /// All of the tenant's campaigns at the same retailer, since the campaign has no spend of its own.
    TenantAtRetailer,
}

impl Source {
    /// In words, for answers and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::TenantAtRetailer => "tenant_at_retailer",
        }
    }
}

/// Arms with their weeks.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// One arm for each placement and audience; none without any spend.
    pub arms: Vec<ArmHistory>,
    /// Where they come from.
    pub source: Source,
    /// Lines that cannot get money, by arm id, with the reason.
    pub unavailable: BTreeMap<String, String>,
}

/// The id of a line.
#[must_use]
pub fn arm_id(placement: &str, audience: &str) -> String {
    format!("{placement}/{audience}")
}

/// The campaign's own weeks; without any spend, those of the tenant's campaigns at the same retailer in the campaign's placements.
///
/// # Errors
/// [`StorageError::Invalid`] when there are more weeks and arms than one answer may have; else as any query.
pub fn gather(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    currency: &str,
    excluded_skus: &BTreeSet<String>,
) -> Result<History, StorageError> {
    let own = SummaryQuery { campaign: Some(campaign.id), ..SummaryQuery::default() };
    let missing = stock::gather(conn, scope, &own, &campaign.retailer_id, excluded_skus, currency)?;
    let arms = weeks(conn, scope, own, currency, &missing)?;
    if has_spend(&arms) {
        return Ok(History { arms, source: Source::Campaign, unavailable: missing.lines });
    }
    let tenant = scope.narrowed_to(&campaign.tenant_id);
    let wider = SummaryQuery { retailer_id: Some(campaign.retailer_id.clone()), ..SummaryQuery::default() };
    let missing = stock::gather(conn, &tenant, &wider, &campaign.retailer_id, excluded_skus, currency)?;
    let mut arms = weeks(conn, &tenant, wider, currency, &missing)?;
    let wanted: Vec<&str> =
        campaign.placement_types.as_array().map(|list| list.iter().filter_map(|entry| entry.as_str()).collect()).unwrap_or_default();
    if !wanted.is_empty() {
        arms.retain(|arm| wanted.contains(&arm.placement_type.as_str()));
    }
    if !has_spend(&arms) {
        arms.clear();
    }
    Ok(History { arms, source: Source::TenantAtRetailer, unavailable: missing.lines })
}

fn has_spend(arms: &[ArmHistory]) -> bool {
    arms.iter().flat_map(|arm| &arm.history).any(|week| week.spend_micros.is_some_and(|spend| spend > 0))
}

fn weeks(
    conn: &mut Connection,
    scope: &Scope,
    query: SummaryQuery,
    currency: &str,
    missing: &Missing,
) -> Result<Vec<ArmHistory>, StorageError> {
    let group_by = vec![Dimension::PlacementType, Dimension::AudienceSegment, Dimension::Week];
    let rows = summarise(conn, scope, &SummaryQuery { group_by, limit: MAX_GROUPS, ..query })?;
    if rows.len() > MAX_GROUPS {
        let why = format!("has over {MAX_GROUPS} weeks of placements and audiences; plan campaigns with fewer of them");
        return Err(Invalid::one("campaign_id", why).into());
    }
    let mut arms: BTreeMap<(String, String), Vec<Measures>> = BTreeMap::new();
    for row in rows {
        // Rows of another currency cannot tell what this money brings; rows without money have none.
        if row.currency.as_deref().is_some_and(|own| own != currency) {
            continue;
        }
        let mut group = row.group.into_iter();
        let (Some(placement), Some(segment)) = (group.next(), group.next()) else { continue };
        let week = Measures {
            impressions: row.impressions,
            clicks: row.clicks,
            conversions: row.conversions,
            spend_micros: row.spend_micros,
            revenue_micros: row.revenue_micros,
        };
        let of_week = (placement, segment, group.next().unwrap_or_default());
        let lost = missing.weeks.get(&of_week);
        let history = arms.entry((of_week.0, of_week.1)).or_default();
        match lost {
            // A week of nothing but missing products tells nothing.
            Some((_, rows)) if *rows >= row.rows => {}
            Some((lost, _)) => history.push(stock::without(&week, lost)),
            None => history.push(week),
        }
    }
    let arms = arms.into_iter().map(|((placement_type, audience_segment), history)| ArmHistory {
        arm_id: arm_id(&placement_type, &audience_segment),
        placement_type,
        audience_segment,
        history,
    });
    Ok(arms.collect())
}

/// What experiments found about the lines of a campaign. A finding about the whole campaign, or about a placement for all audiences, holds
/// for each of its lines at that line's part of the test's spend (by their measured spend).
///
/// # Errors
/// As any query.
pub fn calibrations(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    currency: &str,
    arms: &[ArmHistory],
) -> Result<Vec<Calibration>, StorageError> {
    let past: Vec<f64> =
        arms.iter().map(|arm| arm.history.iter().filter_map(|week| week.spend_micros).map(|micros| micros.max(0) as f64).sum()).collect();
    let mut found = Vec::new();
    for row in calibrations::for_campaign(conn, scope, campaign.id)? {
        if row.currency != currency {
            continue;
        }
        let covers = |arm: &ArmHistory| {
            (row.placement_type.is_empty() || row.placement_type == arm.placement_type)
                && (row.audience_segment.is_empty() || row.audience_segment == arm.audience_segment)
        };
        let covered: Vec<usize> = (0..arms.len()).filter(|at| covers(&arms[*at])).collect();
        let whole: f64 = covered.iter().map(|&at| past[at]).sum();
        let by_week = row.spend_micros as f64 / 1e6 / f64::from(row.days) * f64::from(PERIOD_DAYS);
        for at in covered {
            let spend_level = if whole > 0.0 { by_week * past[at] / whole } else { 0.0 };
            if spend_level > 0.0 {
                let source = row.calibration_id.clone();
                found.push(Calibration { arm: at, roas: row.iroas, standard_error: row.standard_error, spend_level, source });
            }
        }
    }
    Ok(found)
}
