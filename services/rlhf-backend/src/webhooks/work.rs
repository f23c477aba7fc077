//! What runs in the background: events become deliveries, those that are due are sent by a bounded number of tasks, and old ones are removed.
//! Any number of processes may do it at once.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::webhooks::deliveries;
use storage::webhooks::queue::{self, Attempt, Places};
use storage::webhooks::reading::{self, Carried};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use web::database::gauges::Gauge;

use super::{events, sending};
use crate::state::State;

/// Attempts of one process at once.
pub const AT_ONCE: usize = 32;

/// Of these, of one tenant: one with many slow receivers leaves the others half of the places.
const OF_TENANT: usize = AT_ONCE / 2;

/// Of these, to one webhook: a slow receiver leaves the others their places.
pub const OF_EACH: usize = 4;

/// A webhook for which so many deliveries wait is switched off.
const MOST_PENDING: i64 = 20_000;

/// How often the outbox and the queue are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often old deliveries are removed, and how many at once.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const SWEPT: i64 = 5_000;

/// How much longer than the longest attempt a delivery is held.
const HOLD_ON: TimeDelta = TimeDelta::seconds(30);

/// How long attempts may go on after the process was told to stop; those that are not done are repeated by another.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Reads on in the outbox.
///
/// # Errors
/// As any query.
pub async fn carry(state: &State) -> Result<Carried, StorageError> {
    if !state.storage.read(reading::is_behind).await? {
        return Ok(Carried::default());
    }
    let now = state.clock.now();
    state.storage.transaction(move |conn| reading::carry(conn, &events::told, MOST_PENDING, now)).await
}

/// Reads on until `shutdown`.
pub async fn carry_always(state: State, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match carry(&state).await {
            Ok(carried) => {
                if carried.deliveries > 0 {
                    state.webhooks.due.notify_one();
                }
                if carried.has_more {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "events could not be made into deliveries to webhooks and will be later"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Takes attempts that are due; `busy` names webhook and tenant of those that are under way.
///
/// # Errors
/// As any query.
pub async fn take(state: &State, busy: Vec<(String, Option<String>)>) -> Result<Vec<Attempt>, StorageError> {
    let now = state.clock.now();
    if busy.len() >= AT_ONCE || !state.storage.read(move |conn| queue::is_due(conn, now)).await? {
        return Ok(Vec::new());
    }
    let hold = TimeDelta::from_std(state.settings.webhooks.timeout).unwrap_or(HOLD_ON) + HOLD_ON;
    let places = Places { at_once: AT_ONCE, of_tenant: OF_TENANT, of_each: OF_EACH, busy };
    state.storage.transaction(move |conn| queue::take(conn, &places, hold, now)).await
}

/// Makes an attempt and notes what came of it.
pub async fn make(state: &State, attempt: Attempt) {
    let ended = sending::send(state, &attempt).await;
    let (now, delivery_id) = (state.clock.now(), attempt.delivery.delivery_id.clone());
    match state.storage.transaction(move |conn| queue::finish(conn, &attempt, &ended, now)).await {
        Ok(true) => {}
        Ok(false) => tracing::info!(delivery_id, "an attempt ended after somebody else had taken the delivery over"),
        Err(error) => tracing::warn!(%error, delivery_id, "what came of an attempt could not be noted; it will be repeated"),
    }
}

/// Sends until `shutdown`.
pub async fn send_always(state: State, shutdown: CancellationToken) {
    let mut running: JoinSet<()> = JoinSet::new();
    let mut receivers: HashMap<Id, (String, Option<String>)> = HashMap::new();
    while !shutdown.is_cancelled() {
        match take(&state, receivers.values().cloned().collect()).await {
            Ok(attempts) => {
                for attempt in attempts {
                    let (state, receiver) = (state.clone(), (attempt.webhook.webhook_id.clone(), attempt.webhook.tenant_id.clone()));
                    let task = running.spawn(async move { make(&state, attempt).await });
                    receivers.insert(task.id(), receiver);
                }
            }
            Err(error) => tracing::warn!(%error, "deliveries to webhooks could not be taken and will be later"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(done) = running.join_next_with_id(), if !running.is_empty() => {
                let id = done.map_or_else(|error| error.id(), |(id, ())| id);
                receivers.remove(&id);
            }
            () = state.webhooks.due.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    let _ = tokio::time::timeout(FINISH_WITHIN, async { while running.join_next().await.is_some() {} }).await;
}

/// Removes old deliveries until `shutdown`.
pub async fn sweep_always(state: State, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match sweep(&state).await {
            Ok(n) if n >= usize::try_from(SWEPT).unwrap_or(usize::MAX) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old deliveries to webhooks could not be removed and will be later"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Removes deliveries that are done and older than the retention; how many.
///
/// # Errors
/// As any query.
pub async fn sweep(state: &State) -> Result<usize, StorageError> {
    let before = state.clock.now() - TimeDelta::days(i64::from(state.settings.webhooks.retention_days));
    state.storage.transaction(move |conn| deliveries::sweep(conn, before, SWEPT)).await
}

/// What waits, for whoever is on call.
///
/// # Errors
/// As any query.
pub fn gauges(conn: &mut Connection, now: DateTime<Utc>) -> Result<[Gauge; 2], StorageError> {
    let waiting = deliveries::waiting(conn, now)?;
    Ok([
        Gauge::new("endcap_webhook_deliveries_pending", waiting.pending as f64),
        Gauge::new("endcap_webhook_overdue_seconds", waiting.overdue.as_seconds_f64()),
    ])
}
