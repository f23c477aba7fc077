//! Assignment on slots under races: many raters at once, clocks that run out, and a service that is killed, on each database. `RACE_SEED`
//! runs one seed again; failures name theirs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[macro_use]
#[path = "../api/house.rs"]
#[allow(dead_code, unused_macros, reason = "the house of the other tests has more than these need")]
mod house;

#[macro_use]
mod together;

mod actor;
mod crash;
mod ledger;
mod model;
mod orders;

/// The seeds of a test, or the one that is to be run again.
fn seeds(usual: &[u64]) -> Vec<u64> {
    std::env::var("RACE_SEED").ok().and_then(|text| text.parse().ok()).map_or_else(|| usual.to_vec(), |seed| vec![seed])
}
