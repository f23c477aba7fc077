//! Plans for campaigns that are over: proposed, compared and judged as any, but nothing is chosen and the campaign stays as it is.

use chrono::{DateTime, Utc};
use domain::campaign::CampaignStatus;
use domain::scope::Scope;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::plans::{self as stored, Choice};
use storage::reflections::NewReflectionLog;

use super::telling::tell;

/// What is said of the best plan where nothing is chosen.
pub const RECOMMENDED: &str = "recommended";

/// Why nothing is chosen for a campaign, when it is over.
#[must_use]
pub fn over(campaign: &Campaign) -> Option<String> {
    let status: CampaignStatus = campaign.status.parse().ok()?;
    status.is_over().then(|| {
        format!(
            "The campaign is {status}: plans are for study, nothing is chosen and its allocation stays. To use one, copy the campaign (POST \
             /v1/campaigns/{}/clone) and plan the copy.",
            campaign.campaign_id
        )
    })
}

/// Refuses what would change the allocation of a campaign that is over.
///
/// # Errors
/// [`StorageError::Conflict`] (`conflict`).
pub fn refuse_over(campaign: &Campaign) -> Result<(), StorageError> {
    over(campaign).map_or(Ok(()), |why| Err(StorageError::conflict("conflict", why)))
}

/// Closes a set that was judged for study: nothing is chosen, what was found stays with it.
///
/// # Errors
/// As any query.
pub fn set_aside(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    choice: &Choice<'_>,
    log: &NewReflectionLog,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    stored::set_aside(conn, scope, &log.session_id, choice.reason, choice.decided_by, now)?;
    tell(conn, scope, campaign, None, log, now)
}
