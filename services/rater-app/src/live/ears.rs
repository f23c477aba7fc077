//! Hears that another process has committed events, or has something from its clients, on a database that announces it (PostgreSQL). Pump and
//! messenger ask the database anyway, less often while announcements come: what is lost on the way costs a delay and no event.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use rand::Rng as _;
use storage::error::StorageError;
use storage::store::Storage;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pauses before the connection is opened again, in milliseconds; each is shortened at random by up to a half.
const PAUSES_MS: [u64; 4] = [250, 1_000, 2_000, 5_000];

/// What was heard.
#[derive(Default)]
pub struct Ears {
    heard: Notify,
    /// Whether the last events that were found had been announced.
    useful: AtomicBool,
    /// Told of processes.
    told: Notify,
    processes: Mutex<BTreeSet<String>>,
}

impl Ears {
    /// Opens them until `shutdown`.
    #[must_use]
    pub fn open(storage: Storage, shutdown: CancellationToken) -> Arc<Self> {
        let ears = Arc::new(Self::default());
        let own = Arc::clone(&ears);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = own.listen(&storage) => {}
            }
        });
        ears
    }

    /// Waits for an announcement. Safe to cancel.
    pub async fn hear(&self) {
        self.heard.notified().await;
        self.useful.store(true, Ordering::Relaxed);
    }

    /// Waits for news of processes; which. None in particular: there may have been some while nobody listened. Safe to cancel.
    pub async fn hear_processes(&self) -> BTreeSet<String> {
        self.told.notified().await;
        std::mem::take(&mut *self.processes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Events were found without an announcement: until the next one comes the database is asked as often as one that has none.
    pub fn doubt(&self) {
        self.useful.store(false, Ordering::Relaxed);
    }

    /// Whether announcements come.
    #[must_use]
    pub fn are_useful(&self) -> bool {
        self.useful.load(Ordering::Relaxed)
    }

    /// Listens for ever, on one connection after the other; returns at once on a database without announcements.
    async fn listen(&self, storage: &Storage) {
        let mut failures = 0;
        loop {
            match self.listen_once(storage, &mut failures).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "announcements of events are not heard; asking the database instead"),
            }
            gauge!("realtime_listening").set(0.0);
            self.doubt();
            let most = PAUSES_MS.get(failures).copied().unwrap_or(5_000);
            failures = (failures + 1).min(PAUSES_MS.len() - 1);
            let pause = rand::rng().random_range(most / 2..=most);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn listen_once(&self, storage: &Storage, failures: &mut usize) -> Result<(), StorageError> {
        let Some(mut listener) = storage.listen().await? else { return Ok(()) };
        gauge!("realtime_listening").set(1.0);
        *failures = 0;
        // At once, too: something may have been announced while nobody listened.
        self.heard.notify_one();
        self.told.notify_one();
        loop {
            let heard = listener.heard().await?;
            if heard.has_events {
                self.heard.notify_one();
            }
            if !heard.processes.is_empty() {
                self.processes.lock().unwrap_or_else(PoisonError::into_inner).extend(heard.processes);
                self.told.notify_one();
            }
        }
    }
}
