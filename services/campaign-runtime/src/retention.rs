//! Drops what is no longer kept: performance that is older than the configured number of months, of which the sums stay, and reflection logs
//! that are older than the configured number of days.

use chrono::TimeDelta;
use storage::error::StorageError;
use storage::performance::retention::{self, Swept};
use storage::reflections;

use crate::state::State;

/// Most steps of one sweep; the next sweep goes on.
const MAX_STEPS: usize = 1_000;

/// Reflection logs dropped in one step.
const LOGS_AT_ONCE: i64 = 1_000;

/// Sets since when rows are kept and removes what is older, each bounded step in a transaction of its own; what was removed. Does nothing without
/// the setting.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn sweep(state: &State) -> Result<Swept, StorageError> {
    let now = state.clock.now();
    let months = state.settings.performance_retention_months;
    let Some(kept_from) = months.and_then(|months| retention::kept_from(now.date_naive(), months)) else { return Ok(Swept::default()) };
    // Told before anything is removed: what is going is not written any more.
    state.storage.transaction(move |conn| retention::advance(conn, kept_from, now)).await?;
    let mut all = Swept::default();
    for _ in 0..MAX_STEPS {
        let swept = state.storage.transaction(retention::sweep).await?;
        all.months += swept.months;
        all.rows += swept.rows;
        all.has_more = swept.has_more;
        if !swept.has_more {
            break;
        }
    }
    Ok(all)
}

/// Removes reflection logs that are older than the setting, each bounded step in a transaction of its own; how many. Does nothing when all are kept.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn sweep_reflection_logs(state: &State) -> Result<usize, StorageError> {
    let Some(days) = state.settings.reflection_retention_days else { return Ok(0) };
    let before = state.clock.now() - TimeDelta::days(i64::from(days));
    let mut all = 0;
    for _ in 0..MAX_STEPS {
        let swept = state.storage.transaction(move |conn| reflections::sweep(conn, before, LOGS_AT_ONCE)).await?;
        all += swept;
        if swept == 0 {
            break;
        }
    }
    Ok(all)
}
