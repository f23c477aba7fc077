//! What is known of a campaign's placements and audiences: sums by week, in one grouped query.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use domain::invalid::Invalid;
use domain::scope::Scope;
use planning::metrics::Measures;
use planning::proposal::{ArmHistory, MAX_ARMS};
use planning::response::calibration::Calibration;
use storage::calibrations;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, SummaryRow, summarise};

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
    /// The Monday before which weeks were left out, because one plan cannot weigh them all.
    pub left_out_before: Option<NaiveDate>,
}

/// Weeks of stand-in history that are tried, when all of it is too much.
const WINDOWS: [u64; 9] = [208, 104, 52, 26, 13, 8, 4, 2, 1];

/// The id of a line.
#[must_use]
pub fn arm_id(placement: &str, audience: &str) -> String {
    format!("{placement}/{audience}")
}

/// The campaign's own weeks; without any spend, those of the tenant's campaigns at the same retailer in the campaign's placements, of which
/// the most recent are taken when there are too many: nobody's campaign is kept from planning by the size of another one.
///
/// # Errors
/// [`StorageError::Invalid`] when the campaign itself has more weeks and arms than one answer may have, or the others have in their last
/// week; else as any query.
pub fn gather(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    currency: &str,
    excluded_skus: &BTreeSet<String>,
) -> Result<History, StorageError> {
    let own = SummaryQuery { campaign: Some(campaign.id), ..SummaryQuery::default() };
    let read = Reading { scope, currency, retailer_id: &campaign.retailer_id, excluded_skus };
    let (arms, unavailable) = read.arms(conn, &own)?;
    if has_spend(&arms) {
        return Ok(History { arms, source: Source::Campaign, unavailable, left_out_before: None });
    }
    let tenant = scope.narrowed_to(&campaign.tenant_id);
    let wider = SummaryQuery { retailer_id: Some(campaign.retailer_id.clone()), ..SummaryQuery::default() };
    let ((mut arms, unavailable), left_out_before) = Reading { scope: &tenant, ..read }.most_recent(conn, &wider)?;
    let wanted: Vec<&str> =
        campaign.placement_types.as_array().map(|list| list.iter().filter_map(|entry| entry.as_str()).collect()).unwrap_or_default();
    if !wanted.is_empty() {
        arms.retain(|arm| wanted.contains(&arm.placement_type.as_str()));
    }
    if !has_spend(&arms) {
        arms.clear();
    }
    Ok(History { arms, source: Source::TenantAtRetailer, unavailable, left_out_before })
}

/// Arms with their weeks, and lines that cannot get money.
type Lines = (Vec<ArmHistory>, BTreeMap<String, String>);

/// How history is read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    scope: &'a Scope,
    currency: &'a str,
    retailer_id: &'a str,
    excluded_skus: &'a BTreeSet<String>,
}

impl Reading<'_> {
    fn arms(self, conn: &mut Connection, query: &SummaryQuery) -> Result<Lines, StorageError> {
        let rows = weeks(conn, self.scope, query)?;
        let missing = stock::gather(conn, self.scope, query, self.retailer_id, self.excluded_skus, self.currency)?;
        Ok((arms(rows, self.currency, &missing), missing.lines))
    }

    /// All weeks or, when they are too many, the most recent that fit, with the Monday of the first of them.
    fn most_recent(self, conn: &mut Connection, query: &SummaryQuery) -> Result<(Lines, Option<NaiveDate>), StorageError> {
        let mut refusal = match self.fitting(conn, query) {
            Err(refusal @ StorageError::Invalid(_)) => refusal,
            other => return Ok((other?, None)),
        };
        let by_week = SummaryQuery { group_by: vec![Dimension::Week], limit: MAX_GROUPS, ..query.clone() };
        let mondays = summarise(conn, self.scope, &by_week)?;
        let Some(last) = mondays.iter().filter_map(|row| row.group.first()?.parse::<NaiveDate>().ok()).max() else { return Err(refusal) };
        for window in WINDOWS {
            let from = last.checked_sub_days(Days::new(u64::from(PERIOD_DAYS) * (window - 1)));
            match self.fitting(conn, &SummaryQuery { from, ..query.clone() }) {
                Err(again @ StorageError::Invalid(_)) => refusal = again,
                other => return Ok((other?, from)),
            }
        }
        match &refusal {
            StorageError::Invalid(invalid) if invalid.fields.iter().any(|one| one.field.starts_with("constraints")) => Err(refusal),
            _ => {
                let why = "has no spend of its own, and the tenant's other campaigns at the retailer have more placements, audiences and \
                           products in their last week than one plan can weigh; send performance of this campaign first";
                Err(Invalid::one("campaign_id", why).into())
            }
        }
    }

    /// [`Self::arms`], refused when they are more than a plan may have.
    fn fitting(self, conn: &mut Connection, query: &SummaryQuery) -> Result<Lines, StorageError> {
        let lines = self.arms(conn, query)?;
        if lines.0.len() > MAX_ARMS {
            let why = format!("has over {MAX_ARMS} placements and audiences to plan from");
            return Err(Invalid::one("campaign_id", why).into());
        }
        Ok(lines)
    }
}

fn has_spend(arms: &[ArmHistory]) -> bool {
    arms.iter().flat_map(|arm| &arm.history).any(|week| week.spend_micros.is_some_and(|spend| spend > 0))
}

fn weeks(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Vec<SummaryRow>, StorageError> {
    let group_by = vec![Dimension::PlacementType, Dimension::AudienceSegment, Dimension::Week];
    let rows = summarise(conn, scope, &SummaryQuery { group_by, limit: MAX_GROUPS, ..query.clone() })?;
    if rows.len() > MAX_GROUPS {
        let why = format!("has over {MAX_GROUPS} weeks of placements and audiences; plan campaigns with fewer of them");
        return Err(Invalid::one("campaign_id", why).into());
    }
    Ok(rows)
}

fn arms(rows: Vec<SummaryRow>, currency: &str, missing: &Missing) -> Vec<ArmHistory> {
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
    arms.collect()
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
