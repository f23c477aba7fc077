//! When the messenger goes: at every beat, soon after a client has said something, and when another process has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use storage::error::StorageError;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::RELAXED;
use super::ears::Ears;
use super::messenger::{Messenger, Pace};
use crate::state::State;

/// What is said within this time after a writing is written together.
const GATHER: Duration = Duration::from_millis(20);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// A process that stops waits so long for its sockets to close, so that members leave one by one and not all at once.
const LINGER: Duration = Duration::from_millis(2_500);
/// How often it looks meanwhile.
const LINGER_LOOK: Duration = Duration::from_millis(50);
/// Longest time for the last words.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why it goes.
enum Wake {
    Beat,
    Said,
    Told(BTreeSet<String>),
    Look,
}

/// Carries what clients say and show, until `shutdown`.
pub async fn carry_always(state: State, ears: Arc<Ears>, shutdown: CancellationToken) {
    let (pace, poll, relay) = (Pace::default(), state.settings.realtime_poll, state.hub.relay());
    let mut messenger = Messenger::new(state.clone(), pace);
    let now = Instant::now();
    let (mut beat_at, mut write_at, mut look_at) = (now, now, now);
    let (mut is_announced, mut is_down) = (false, false);
    loop {
        let (has_company, has_begun) = (messenger.has_company(), messenger.has_begun());
        let said = async {
            if !has_begun {
                relay.waits().await;
            }
            sleep_until(write_at).await;
        };
        let wake = tokio::select! {
            () = shutdown.cancelled() => break,
            () = sleep_until(beat_at) => Wake::Beat,
            () = said, if has_company => Wake::Said,
            processes = ears.hear_processes() => Wake::Told(processes),
            () = sleep_until(look_at), if has_company => Wake::Look,
        };
        let done = match wake {
            Wake::Beat => {
                beat_at = Instant::now() + pace.beat;
                messenger.beat().await
            }
            Wake::Said => {
                write_at = Instant::now() + GATHER;
                messenger.send().await.map(|has_more| {
                    if has_more && messenger.has_begun() {
                        write_at = Instant::now();
                    }
                })
            }
            Wake::Told(processes) => {
                let (are_others, has_new) = messenger.knows(&processes);
                is_announced |= are_others;
                // Its own announcements come back to it.
                if are_others || processes.is_empty() { hear(&mut messenger, has_new).await } else { Ok(()) }
            }
            Wake::Look => {
                look_at = Instant::now() + if is_announced { poll * RELAXED } else { poll };
                messenger.read().await.map(|found| is_announced &= found == 0)
            }
        };
        match done {
            Ok(()) if std::mem::take(&mut is_down) => tracing::info!("what clients say reaches other processes again"),
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_down, true) {
                    tracing::warn!(%error, "what clients say does not reach other processes; it is told here, and tried again");
                }
                messenger.give_up_when_cut_off();
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }
    if messenger.has_company() {
        linger(&state, &mut messenger).await;
    }
    match timeout(FAREWELL, messenger.leave()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the other processes find out by themselves that this one is gone"),
        Err(_) => tracing::debug!("the other processes find out by themselves that this one is gone"),
    }
}

async fn hear(messenger: &mut Messenger, has_new: bool) -> Result<(), StorageError> {
    if has_new {
        messenger.beat().await?;
    }
    messenger.read().await.map(drop)
}

/// Goes on carrying while sockets are closed one after the other.
async fn linger(state: &State, messenger: &mut Messenger) {
    let end = Instant::now() + LINGER;
    while state.hub.connections() > 0 && Instant::now() < end {
        sleep(LINGER_LOOK).await;
        if let Err(error) = messenger.send().await {
            tracing::debug!(%error, "the last words of clients do not reach other processes");
            return;
        }
    }
}
