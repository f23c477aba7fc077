//! What runs beside requests: the pump to sockets, delivery to the RLHF backend, ending leases, looking at raters, and clearing away.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use peers::context::RequestContext;
use peers::error::PeerErrorKind;
use peers::judgments::JudgmentsReady;
use serde_json::Value;
use storage::error::StorageError;
use storage::outbox::{self, Destination, OutboxEvent};
use storage::{accounts, idempotency, rate_limits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::database::gauges::measure_always;

use crate::evidence::{self, Evidence};
use crate::integrity;
use crate::leases;
use crate::live;
use crate::reviews;
use crate::state::State;
use crate::upkeep;

/// Events delivered in one round.
const DELIVERY_BATCH: i64 = 50;
/// Rounds of delivery come at least this often.
const DELIVER_EVERY: Duration = Duration::from_secs(1);
/// Leases past their time are marked this often; they count as free at once.
const END_LEASES_EVERY: Duration = Duration::from_secs(5);
/// Decisions are looked over this often.
const LEARN_EVERY: Duration = Duration::from_secs(300);
/// Golden items are looked over this often.
const KEEP_UP_EVERY: Duration = Duration::from_secs(600);
/// The order of the queue is looked over this often.
const REORDER_EVERY: Duration = Duration::from_secs(600);
/// What the RLHF backend has chosen is looked for this often.
const SELECT_EVERY: Duration = Duration::from_secs(2);
/// Chosen tasks brought in order in one transaction, which holds their locks.
const SELECT_BATCH: i64 = 50;
/// Rows of the queue looked over in one transaction.
const REORDER_BATCH: i64 = 500;
/// Old rows are cleared away this often.
const CLEAR_EVERY: Duration = Duration::from_secs(600);
/// Events, kept answers and ended refresh tokens stay this long.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Accounts wait so long for an administrator.
const WAITS_AT_MOST: TimeDelta = TimeDelta::days(30);

/// Starts all jobs; each stops soon after `shutdown`.
#[must_use]
pub fn start(state: &State, shutdown: &CancellationToken) -> Vec<JoinHandle<()>> {
    let mut jobs = live::start(state, shutdown);
    jobs.extend([
        tokio::spawn(state.storage.clone().announce_until(shutdown.clone().cancelled_owned())),
        tokio::spawn(deliver_always(state.clone(), shutdown.clone())),
        tokio::spawn(end_leases_always(state.clone(), shutdown.clone())),
        tokio::spawn(clear_always(state.clone(), shutdown.clone())),
        tokio::spawn(learn_always(state.clone(), shutdown.clone())),
        tokio::spawn(keep_up_always(state.clone(), shutdown.clone())),
        tokio::spawn(reorder_always(state.clone(), shutdown.clone())),
        tokio::spawn(select_always(state.clone(), shutdown.clone())),
        tokio::spawn(look_always(state.clone(), shutdown.clone())),
        tokio::spawn(measure_always(state.storage.clone(), state.clock.clone(), reviews::gauges::count, shutdown.clone())),
    ]);
    jobs
}

/// Delivers events that are due to the RLHF backend, oldest first; how many were accepted. When the backend does not answer, the
/// round ends and the rest stays for the next one.
///
/// # Errors
/// As any query.
pub async fn deliver(state: &State) -> Result<usize, StorageError> {
    Ok(deliver_round(state).await?.accepted)
}

/// What a round of delivery came to.
struct Round {
    accepted: usize,
    is_peer_down: bool,
}

async fn deliver_round(state: &State) -> Result<Round, StorageError> {
    let now = state.clock.now();
    let due =
        state.storage.read(move |conn| outbox::due_on(conn, Destination::RlhfBackend, "judgments_ready", now, DELIVERY_BATCH)).await?;
    let mut accepted = 0;
    for event in due {
        match tell(state, &event).await {
            Ok(()) => {
                let (id, now) = (event.id, state.clock.now());
                state.storage.transaction(move |tx| outbox::delivered(tx, id, now)).await?;
                accepted += 1;
            }
            Err(failure) => {
                tracing::warn!(
                    event_id = event.event_id,
                    reason = failure.reason,
                    "a decision could not be passed on; it stays in the outbox"
                );
                let now = state.clock.now();
                state.storage.transaction(move |tx| outbox::failed(tx, &event, &failure.reason, now)).await?;
                if failure.is_of_the_peer {
                    return Ok(Round { accepted, is_peer_down: true });
                }
            }
        }
    }
    Ok(Round { accepted, is_peer_down: false })
}

struct Failure {
    reason: String,
    is_of_the_peer: bool,
}

async fn tell(state: &State, event: &OutboxEvent) -> Result<(), Failure> {
    let message =
        message_of(event).map_err(|error| Failure { reason: format!("the event cannot be read: {error}"), is_of_the_peer: false })?;
    let told = state.rlhf_backend.judgments_ready(&RequestContext::for_background_work(), &message).await;
    told.map(drop)
        .map_err(|error| Failure { is_of_the_peer: !matches!(error.kind, PeerErrorKind::Refused { .. }), reason: error.to_string() })
}

fn message_of(event: &OutboxEvent) -> Result<JudgmentsReady, serde_json::Error> {
    let mut payload = event.payload.0.clone();
    if let Some(payload) = payload.as_object_mut() {
        payload.insert("event_id".to_owned(), Value::String(event.event_id.clone()));
    }
    serde_json::from_value(payload)
}

async fn deliver_always(state: State, shutdown: CancellationToken) {
    loop {
        let round = deliver_round(&state).await;
        let is_peer_down = round.as_ref().is_ok_and(|round| round.is_peer_down);
        log("deliver decisions", round.map(|round| round.accepted));
        // A backend that does not answer is asked again after a while, and not with each task that is decided meanwhile.
        if is_peer_down && !pause(DELIVER_EVERY, &shutdown).await {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = state.decided.notified() => {}
            () = tokio::time::sleep(DELIVER_EVERY) => {}
        }
    }
}

async fn end_leases_always(state: State, shutdown: CancellationToken) {
    while pause(END_LEASES_EVERY, &shutdown).await {
        let now = state.clock.now();
        log("end leases", state.storage.transaction(move |tx| leases::end(tx, now)).await);
        log("warn of leases", state.storage.transaction(move |tx| leases::warn(tx, now)).await);
        state.after_commit();
    }
}

/// Looks over what earlier decisions say about raters.
async fn learn_always(state: State, shutdown: CancellationToken) {
    loop {
        log("look over decisions", learn(&state).await);
        if !pause(LEARN_EVERY, &shutdown).await {
            return;
        }
    }
}

/// Looks over the newest decisions; how many judgments of them.
///
/// # Errors
/// As any query.
pub async fn learn(state: &State) -> Result<usize, StorageError> {
    let known = state.known.clone();
    state
        .storage
        .read(move |conn| {
            // Counted here, on the thread that waits for the database anyway, and not on one that answers requests.
            let votes = storage::consensus::decided_votes(conn, evidence::NEWEST)?;
            known.replace(Evidence::from_votes(&votes));
            Ok(votes.len())
        })
        .await
}

/// Takes golden items out of use that are known, worn or doubtful.
async fn keep_up_always(state: State, shutdown: CancellationToken) {
    while pause(KEEP_UP_EVERY, &shutdown).await {
        log("look over golden items", upkeep::round(&state).await);
    }
}

/// Puts the queue in the order of the present weights: at the start, because they may have changed, and now and then.
async fn reorder_always(state: State, shutdown: CancellationToken) {
    loop {
        log("reorder the queue", reorder(&state, &shutdown).await);
        if !pause(REORDER_EVERY, &shutdown).await {
            return;
        }
    }
}

async fn reorder(state: &State, shutdown: &CancellationToken) -> Result<usize, StorageError> {
    let weights = crate::assignments::weights(&state.settings);
    let (mut after, mut changed) = (0, 0);
    while !shutdown.is_cancelled() {
        let (last, n) = state.storage.transaction(move |tx| storage::queue::reorder(tx, &weights, after, REORDER_BATCH)).await?;
        changed += n;
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(changed)
}

/// Brings the queue in order by what the RLHF backend has chosen to be judged next.
async fn select_always(state: State, shutdown: CancellationToken) {
    while pause(SELECT_EVERY, &shutdown).await {
        log("bring chosen tasks forward", apply_selections(&state).await);
    }
}

/// Takes over all that is new of the RLHF backend's choice; how many tasks.
///
/// # Errors
/// As any query.
pub async fn apply_selections(state: &State) -> Result<usize, StorageError> {
    let weights = crate::assignments::weights(&state.settings);
    let mut taken = 0;
    loop {
        let now = state.clock.now();
        let some = state.storage.transaction(move |tx| storage::selections::apply(tx, &weights, SELECT_BATCH, now)).await?;
        taken += some;
        if some < usize::try_from(SELECT_BATCH).unwrap_or(usize::MAX) {
            return Ok(taken);
        }
    }
}

async fn clear_always(state: State, shutdown: CancellationToken) {
    while pause(CLEAR_EVERY, &shutdown).await {
        let before: DateTime<Utc> = state.clock.now() - KEPT;
        log("clear events", state.storage.transaction(move |tx| outbox::sweep(tx, before)).await);
        log("clear kept answers", state.storage.transaction(move |tx| idempotency::sweep(tx, before)).await);
        let said_before = state.clock.now() - live::messenger::KEPT;
        log("clear messages of processes", state.storage.transaction(move |tx| storage::realtime::sweep(tx, said_before)).await);
        log("clear buckets", state.storage.transaction(move |tx| rate_limits::sweep(tx, before)).await);
        log("clear refresh tokens", state.storage.transaction(move |tx| accounts::sweep_tokens(tx, before)).await);
        let asked_before = state.clock.now() - WAITS_AT_MOST;
        log("clear accounts that nobody confirmed", state.storage.transaction(move |tx| accounts::sweep_waiting(tx, asked_before)).await);
        state.ended.forget_old(state.clock.now());
    }
}

/// Looks after the honesty of raters.
async fn look_always(state: State, shutdown: CancellationToken) {
    while pause(integrity::LOOK_EVERY, &shutdown).await {
        log("look at raters", integrity::round(&state).await);
    }
}

/// Waits; `false` when the process stops.
async fn pause(time: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

fn log(job: &str, result: Result<usize, StorageError>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::debug!(job, count, "job done"),
        Err(error) => tracing::warn!(job, %error, "job failed; it is tried again"),
    }
}
