//! Removes bytes that nobody can ask for any more: of files that were removed or replaced, and of uploads that broke off.

use std::time::Duration;

use chrono::TimeDelta;
use storage::artifacts as stored;
use storage::error::StorageError;
use supabase::objects::ObjectError;
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// Uploads that say nothing for so long are given up; one that goes on speaks twice a minute.
const SILENT: TimeDelta = TimeDelta::minutes(15);

/// How often to look without being called.
const EVERY: Duration = Duration::from_secs(60);

/// Most files in one round.
const ROUND: i64 = 100;

/// Makes the store ready, then sweeps until `shutdown`.
pub async fn keep_sweeping(state: State, shutdown: CancellationToken) {
    let mut is_ready = false;
    while !shutdown.is_cancelled() {
        if !is_ready {
            is_ready = prepare(&state).await;
        }
        match round(&state).await {
            Ok(ROUND) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what artifacts left behind could not be looked for and will be later"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = state.artifacts.doomed.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Makes the store ready for its first object, and clears what a process that was killed left in a local one.
pub async fn prepare(state: &State) -> bool {
    let done = match state.artifacts.current() {
        Ok(objects) => objects.prepare().await.map_err(|error| error.to_string()),
        Err(why) => Err(why.to_owned()),
    };
    if let Err(why) = &done {
        tracing::warn!(why, "the store of artifacts is not ready and will be tried again; endcap doctor says what to do");
    }
    done.is_ok()
}

/// Removes the bytes of at most a hundred uploads; how many were removed.
///
/// # Errors
/// When the database does not answer.
pub async fn round(state: &State) -> Result<i64, StorageError> {
    let now = state.clock.now();
    let doomed = state.storage.transaction(move |conn| stored::doomed(conn, now - SILENT, now, ROUND)).await?;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for artifact in &doomed {
        let removed = match state.artifacts.named(&artifact.store) {
            Ok(objects) => objects.remove(&artifact.bucket, &artifact.key()).await,
            Err(why) => Err(ObjectError::Refused(why.to_owned())),
        };
        match removed {
            Ok(()) => gone.push(artifact.id),
            Err(error) => {
                tracing::warn!(%error, artifact_id = artifact.artifact_id, "the bytes of an artifact could not be removed and will be later");
                kept.push(artifact.id);
            }
        }
    }
    let removed = i64::try_from(gone.len()).unwrap_or(ROUND);
    if !doomed.is_empty() {
        state
            .storage
            .transaction(move |conn| {
                stored::forget(conn, &gone)?;
                stored::postpone(conn, &kept, now)
            })
            .await?;
    }
    Ok(removed)
}
