//! Which retailers there are, as this process knows it, so that a request that names one is refused when there is none, and does not wait for
//! the database when there is.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use domain::invalid::Invalid;
use storage::error::StorageError;
use storage::reward_models::require_retailer;
use web::problem::Problem;

use crate::state::State;

/// Retailers remembered; when there are more, all are forgotten and asked for again.
const MOST: usize = 10_000;

/// Retailers that were seen to exist. A retailer is never given another id, and one that was removed only chooses the general model.
#[derive(Default)]
pub struct KnownRetailers(Mutex<HashSet<String>>);

impl KnownRetailers {
    fn has(&self, retailer_id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(retailer_id)
    }

    fn add(&self, retailer_id: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(retailer_id);
    }
}

/// Refuses a retailer that does not exist; the database is asked once for each. While it does not answer, whoever is named is believed: scores
/// do not need it.
///
/// # Errors
/// 422 on `retailer_id`.
pub async fn require(state: &State, retailer_id: &str) -> Result<(), Problem> {
    let known = &state.retailers;
    if known.has(retailer_id) {
        return Ok(());
    }
    let id = retailer_id.to_owned();
    match state.storage.read(move |conn| require_retailer(conn, &id)).await {
        Ok(()) => {
            known.add(retailer_id.to_owned());
            Ok(())
        }
        Err(StorageError::Invalid(_)) => {
            let why = format!("there is no retailer {retailer_id:?}; leave it out for the general model");
            Err(Invalid::one("retailer_id", why).into())
        }
        Err(error) => {
            tracing::warn!(%error, "whether a retailer exists could not be read; candidates are scored all the same");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let known = KnownRetailers::default();
        for place in 0..MOST {
            known.add(format!("rtl-{place}"));
        }
        assert!(known.has("rtl-0"));
        known.add("rtl-new".to_owned());
        assert!(known.has("rtl-new") && !known.has("rtl-0"), "all were forgotten, and one is known");
    }
}
