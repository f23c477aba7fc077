//! A bounded number of places that tenants share fairly: connections, solvers. Whoever floods waits behind its own work.
//!
//! A tenant holds at most half of the places (at least one). It queues for its own share first and for the places of all only then, so
//! that at any time no more than that share of its requests stands in the common line, however many it has sent. And a bounded number of a
//! tenant's requests may wait; the next one is refused at once. Work without a tenant (the platform's own) queues for the places only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::StorageError;

/// Requests of one tenant that may wait for its share, for each place of the share.
const WAITING_PER_PLACE: usize = 32;
/// Tenants remembered before those with nothing to do are forgotten.
const REMEMBERED: usize = 1_000;

/// Places shared by tenants; cheap to clone.
#[derive(Clone)]
pub struct FairShare {
    places: Arc<Semaphore>,
    share: usize,
    max_waiting: usize,
    tenants: Arc<Mutex<HashMap<String, Arc<Lane>>>>,
}

struct Lane {
    places: Arc<Semaphore>,
    /// Requests that wait or hold a place.
    present: AtomicUsize,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _common: OwnedSemaphorePermit,
    _own: Option<OwnPlace>,
}

#[derive(Debug)]
struct OwnPlace {
    _permit: OwnedSemaphorePermit,
    _present: Present,
}

/// Counts a request of a tenant for as long as it is here, also when whoever asked stops waiting.
struct Present(Arc<Lane>);

impl std::fmt::Debug for Present {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Present")
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::AcqRel);
    }
}

impl FairShare {
    /// So many places, at least one.
    #[must_use]
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        let share = (places / 2).max(1);
        Self { places: Arc::new(Semaphore::new(places)), share, max_waiting: share * WAITING_PER_PLACE, tenants: Arc::default() }
    }

    /// How many places one tenant may hold at once.
    #[must_use]
    pub fn share(&self) -> usize {
        self.share
    }

    /// How many requests of one tenant may wait.
    #[must_use]
    pub fn max_waiting(&self) -> usize {
        self.max_waiting
    }

    /// Waits for a place; `None` is the platform.
    ///
    /// # Errors
    /// [`StorageError::Crowded`] when as many requests of the tenant wait as may.
    pub async fn acquire(&self, tenant: Option<&str>) -> Result<Place, StorageError> {
        let closed = |_| StorageError::Unavailable("the places are closed".to_owned());
        let own = match tenant {
            Some(tenant) => {
                let present = self.enter(tenant)?;
                let permit = Arc::clone(&present.0.places).acquire_owned().await.map_err(closed)?;
                Some(OwnPlace { _permit: permit, _present: present })
            }
            None => None,
        };
        let common = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        Ok(Place { _common: common, _own: own })
    }

    fn enter(&self, tenant: &str) -> Result<Present, StorageError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= REMEMBERED && !tenants.contains_key(tenant) {
            tenants.retain(|_, lane| lane.present.load(Ordering::Acquire) > 0);
        }
        let lane = tenants
            .entry(tenant.to_owned())
            .or_insert_with(|| Arc::new(Lane { places: Arc::new(Semaphore::new(self.share)), present: AtomicUsize::new(0) }));
        // Under the lock, so that a lane is never forgotten between being found and being counted.
        if lane.present.load(Ordering::Acquire) >= self.share + self.max_waiting {
            return Err(StorageError::Crowded);
        }
        lane.present.fetch_add(1, Ordering::AcqRel);
        Ok(Present(Arc::clone(lane)))
    }
}
