//! The clock moves campaigns: scheduled ones become active on their first day, active ones are completed after their last, each by the day at its
//! retailer. Several processes may do it at once: a campaign that another one moved is passed over.

use chrono::{DateTime, TimeDelta, Utc};
use domain::campaign::CampaignStatus;
use domain::scope::Scope;
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, Campaign, due};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::store::Storage;

use super::{Refusal, facts_of, transition};

/// Campaigns looked at in one query.
const BATCH: i64 = 100;
/// The farthest that any zone is ahead of UTC, in hours.
const EARLIEST_ZONE_H: i64 = 14;

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advanced {
    /// Became active.
    pub begun: usize,
    /// Were completed.
    pub ended: usize,
    /// Were due to begin, and something stands in the way; their delivery status says what.
    pub blocked: usize,
}

/// Moves all campaigns that are due, each in a transaction of its own.
///
/// # Errors
/// When the database cannot be read or written; what was moved stays moved.
pub async fn advance(storage: &Storage, now: DateTime<Utc>) -> Result<Advanced, StorageError> {
    let mut done = Advanced::default();
    for to in [CampaignStatus::Active, CampaignStatus::Completed] {
        let mut after = 0;
        loop {
            let batch = storage.read(move |conn| candidates(conn, to, now, after)).await?;
            let Some(last) = batch.last() else { break };
            after = last.id;
            for row in batch {
                let campaign_id = row.campaign_id.clone();
                let moved = storage.transaction(move |conn| move_one(conn, row.id, to, now)).await?;
                match moved {
                    Moved::Yes if to == CampaignStatus::Active => done.begun += 1,
                    Moved::Yes => done.ended += 1,
                    Moved::Blocked(why) => {
                        tracing::debug!(campaign_id, why, "a campaign is due and cannot begin");
                        done.blocked += 1;
                    }
                    Moved::NotDue => {}
                }
            }
        }
    }
    Ok(done)
}

enum Moved {
    Yes,
    NotDue,
    Blocked(String),
}

/// Those that may be due somewhere on earth: the day at the retailer decides later.
fn candidates(conn: &mut Connection, to: CampaignStatus, now: DateTime<Utc>, after: i64) -> Result<Vec<Campaign>, StorageError> {
    let latest_day = (now + TimeDelta::hours(EARLIEST_ZONE_H)).date_naive();
    let scope = Scope::system("campaign clock");
    match to {
        CampaignStatus::Active => due::to_begin(conn, &scope, latest_day, after, BATCH),
        _ => due::to_end(conn, &scope, latest_day, after, BATCH),
    }
}

fn move_one(conn: &mut Connection, id: i64, to: CampaignStatus, now: DateTime<Utc>) -> Result<Moved, StorageError> {
    let scope = Scope::system("campaign clock");
    // Held until the end, and read again: another process may have moved it.
    let row = match campaigns::locked(conn, &scope, id) {
        Ok(row) => row,
        Err(StorageError::NotFound { .. }) => return Ok(Moved::NotDue),
        Err(error) => return Err(error),
    };
    let today = facts_of(conn, &row, now)?.today;
    let (from, reason) = match to {
        CampaignStatus::Active => (CampaignStatus::Scheduled, "Its first day has come."),
        _ => (CampaignStatus::Active, "Its last day is over."),
    };
    let is_due = match to {
        CampaignStatus::Active => row.start_date.is_some_and(|start| start <= today),
        _ => row.end_date.is_some_and(|end| end < today),
    };
    if row.status != from.as_ref() || !is_due {
        return Ok(Moved::NotDue);
    }
    match transition(conn, &scope, &row, to, &Change::of(Action::Transition).because(Some(reason)), now) {
        Ok(_) => Ok(Moved::Yes),
        Err(Refusal::Storage(StorageError::Conflict { code: "stale", .. })) => Ok(Moved::NotDue),
        Err(Refusal::Storage(StorageError::Invalid(invalid))) => Ok(Moved::Blocked(invalid.to_string())),
        Err(Refusal::Storage(error)) => Err(error),
        Err(refusal) => Ok(Moved::Blocked(refusal.to_string())),
    }
}
