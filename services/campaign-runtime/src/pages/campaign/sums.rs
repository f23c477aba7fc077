//! What of a campaign's performance its page shows: the groups that the analytics answer, with the same small ones hidden.

use chrono::NaiveDate;
use domain::scope::Scope;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery};

use super::CampaignView;
use crate::analytics::table::{Group, gather};
use crate::pages::figures::Step;

/// Groups in one currency; a list that is too long to be added up at once is absent.
pub(super) struct Sums {
    /// The campaign's currency, or that of its rows.
    pub currency: Option<String>,
    /// Other currencies of its rows.
    pub others: Vec<String>,
    /// All rows of the wished days.
    pub total: Option<Group>,
    /// First and last day with rows.
    pub span: Option<(NaiveDate, NaiveDate)>,
    /// How fine the course over time is.
    pub step: Step,
    /// By the step.
    pub course: Option<Vec<Group>>,
    /// By placement.
    pub placements: Option<Vec<Group>>,
    /// By audience.
    pub audiences: Option<Vec<Group>>,
    /// By product, without the rows that name none.
    pub skus: Option<Vec<Group>>,
    /// By kind of impression.
    pub kinds: Vec<Group>,
}

/// Adds up the wished days of a campaign.
pub(super) fn find(conn: &mut Connection, scope: &Scope, campaign: &Campaign, view: &CampaignView) -> Result<Sums, StorageError> {
    let mut groups = |by: Option<Dimension>| {
        let query = SummaryQuery {
            campaign: Some(campaign.id),
            from: view.from,
            to: view.to,
            group_by: by.into_iter().collect(),
            limit: MAX_GROUPS,
            ..SummaryQuery::default()
        };
        match gather(conn, scope, &query) {
            // Far too many groups, or sums beyond 64 bits: fewer days can be shown.
            Err(StorageError::Invalid(_)) if by.is_some() => Ok(None),
            found => found,
        }
    };
    let total = groups(None)?.unwrap_or_default();
    let currency = campaign.currency.clone().or_else(|| total.iter().find_map(|group| group.row.currency.clone()));
    let others = total.iter().filter_map(|group| group.row.currency.clone()).filter(|own| Some(own) != currency.as_ref()).collect();
    let ours = |found: Option<Vec<Group>>| found.map(|groups| in_currency(groups, currency.as_deref()));
    let days = ours(groups(Some(Dimension::Day))?);
    let dates = days.iter().flatten().filter_map(|group| group.row.group.first()?.parse::<NaiveDate>().ok());
    let span = dates.fold(None, |span: Option<(NaiveDate, NaiveDate)>, day| {
        Some(span.map_or((day, day), |(first, last)| (first.min(day), last.max(day))))
    });
    let length = span.map_or(0, |(first, last)| (last - first).num_days() + 1);
    let step = view.by.unwrap_or_else(|| Step::for_days(length));
    let course = if step == Step::Day { days } else { ours(groups(Some(step.dimension()))?) };
    let mut skus = ours(groups(Some(Dimension::SkuId))?);
    skus.iter_mut().for_each(|skus| skus.retain(|group| group.row.group.first().is_some_and(|sku| !sku.is_empty())));
    Ok(Sums {
        placements: ours(groups(Some(Dimension::PlacementType))?),
        audiences: ours(groups(Some(Dimension::AudienceSegment))?),
        kinds: ours(groups(Some(Dimension::ImpressionKind))?).unwrap_or_default(),
        // With and without a currency there may be two groups of totals; the one with money speaks, and what it lacks is said.
        total: in_currency(total, currency.as_deref()).into_iter().max_by_key(|group| (group.row.currency.is_some(), group.row.rows)),
        others,
        span,
        step,
        course,
        skus,
        currency,
    })
}

/// Those whose money is in this currency or that have none.
fn in_currency(groups: Vec<Group>, currency: Option<&str>) -> Vec<Group> {
    groups.into_iter().filter(|group| group.row.currency.is_none() || group.row.currency.as_deref() == currency).collect()
}
