//! Places for imports in one process: each import holds one from before its body is read until it has ended, whoever still listens. A
//! tenant holds at most half of them, so that however many files it sends, others find a place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use web::problem::Problem;

/// Places of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Places {
    all: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_tenant: HashMap<String, usize>,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    held: Arc<Mutex<Held>>,
    tenant: Option<String>,
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(all: usize) -> Self {
        Self { all, held: Arc::default() }
    }

    /// How many of them one tenant may hold.
    #[must_use]
    pub fn share(&self) -> usize {
        (self.all / 2).max(1)
    }

    /// How many are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// Takes a place at once or not at all; `None` is the platform, which has no share.
    ///
    /// # Errors
    /// 429 `tenant_busy` when the tenant holds its share, 503 when all places are held.
    pub fn take(&self, tenant: Option<&str>) -> Result<Place, Problem> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if tenant.is_some_and(|tenant| held.by_tenant.get(tenant).is_some_and(|own| *own >= self.share())) {
            let detail = "As many imports of your tenant as may are received, wait or run; send the file again when one has ended.";
            return Err(Problem::new("tenant_busy", detail).with_retry_after(30));
        }
        if held.all >= self.all {
            return Err(Problem::unavailable("importer", 30));
        }
        held.all += 1;
        if let Some(tenant) = tenant {
            *held.by_tenant.entry(tenant.to_owned()).or_default() += 1;
        }
        Ok(Place { held: Arc::clone(&self.held), tenant: tenant.map(str::to_owned) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(1);
        let Some(tenant) = &self.tenant else { return };
        if let Some(own) = held.by_tenant.get_mut(tenant) {
            *own -= 1;
            if *own == 0 {
                held.by_tenant.remove(tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tenant_that_floods_leaves_half_of_the_places_to_others() {
        let places = Places::new(6);
        let code = |tenant| places.take(tenant).map(drop).map_err(|problem| problem.code().to_owned());
        let mut flood: Vec<Place> = (0..3).map(|_| places.take(Some("a")).unwrap()).collect();
        assert_eq!(code(Some("a")), Err("tenant_busy".to_owned()));
        let others: Vec<Place> = ["b", "c"].map(|tenant| places.take(Some(tenant)).unwrap()).into();
        let own = places.take(None).unwrap();
        assert_eq!(code(Some("d")), Err("unavailable".to_owned()), "all are held");
        assert_eq!(code(None), Err("unavailable".to_owned()));
        flood.pop();
        assert_eq!(code(Some("d")), Ok(()), "what ended makes room");
        drop((flood, others, own));
        assert_eq!(places.held(), 0);
        assert!(places.held.lock().unwrap().by_tenant.is_empty(), "tenants with nothing to do are forgotten");
    }
}
