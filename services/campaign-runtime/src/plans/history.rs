//! What is known of a campaign's placements and audiences: sums by week, in one grouped query.

use std::collections::BTreeMap;

use domain::invalid::Invalid;
use domain::scope::Scope;
use planning::metrics::Measures;
use planning::proposal::ArmHistory;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, summarise};

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
}

/// The campaign's own weeks; without any spend, those of the tenant's campaigns at the same retailer in the campaign's placements.
///
/// # Errors
/// [`StorageError::Invalid`] when there are more weeks and arms than one answer may have; else as any query.
pub fn gather(conn: &mut Connection, scope: &Scope, campaign: &Campaign, currency: &str) -> Result<History, StorageError> {
    let own = SummaryQuery { campaign: Some(campaign.id), ..SummaryQuery::default() };
    let arms = weeks(conn, scope, own, currency)?;
    if has_spend(&arms) {
        return Ok(History { arms, source: Source::Campaign });
    }
    let tenant = scope.narrowed_to(&campaign.tenant_id);
    let wider = SummaryQuery { retailer_id: Some(campaign.retailer_id.clone()), ..SummaryQuery::default() };
    let mut arms = weeks(conn, &tenant, wider, currency)?;
    let wanted: Vec<&str> =
        campaign.placement_types.as_array().map(|list| list.iter().filter_map(|entry| entry.as_str()).collect()).unwrap_or_default();
    if !wanted.is_empty() {
        arms.retain(|arm| wanted.contains(&arm.placement_type.as_str()));
    }
    if !has_spend(&arms) {
        arms.clear();
    }
    Ok(History { arms, source: Source::TenantAtRetailer })
}

fn has_spend(arms: &[ArmHistory]) -> bool {
    arms.iter().flat_map(|arm| &arm.history).any(|week| week.spend_micros.is_some_and(|spend| spend > 0))
}

fn weeks(conn: &mut Connection, scope: &Scope, query: SummaryQuery, currency: &str) -> Result<Vec<ArmHistory>, StorageError> {
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
        arms.entry((placement, segment)).or_default().push(Measures {
            impressions: row.impressions,
            clicks: row.clicks,
            conversions: row.conversions,
            spend_micros: row.spend_micros,
            revenue_micros: row.revenue_micros,
        });
    }
    let arms = arms.into_iter().map(|((placement_type, audience_segment), history)| ArmHistory {
        arm_id: format!("{placement_type}/{audience_segment}"),
        placement_type,
        audience_segment,
        history,
    });
    Ok(arms.collect())
}
