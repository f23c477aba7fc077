//! Which arm a unit belongs to: a hash of experiment, salt and unit, so that the answer is the same everywhere and for ever.
//!
//! The rule, for anybody who wants to recompute it: take the SHA-256 of the four lines `endcap-assignment-v1`, experiment id, salt and
//! unit id, joined by line feeds (UTF-8, none at the end); its first eight bytes, big-endian, are h; the bucket is
//! floor(h * 10000 / 2^64); arms own consecutive buckets in their order, as many as their share in parts of ten thousand.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ExperimentError;
use super::lot::{hash64, scaled};

/// Buckets that arms share.
pub const BUCKETS: u32 = 10_000;

/// Most arms of an experiment.
pub const MOST_ARMS: usize = 10;

/// First line of what is hashed.
pub const VERSION: &str = "endcap-assignment-v1";

/// An arm and its share of the units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Parts of ten thousand.
    pub share: u32,
}

/// Checks that there are arms to compare and that their shares are all of the buckets.
///
/// # Errors
/// [`ExperimentError::Invalid`].
pub fn check_arms(arms: &[Arm]) -> Result<(), ExperimentError> {
    if !(2..=MOST_ARMS).contains(&arms.len()) {
        return Err(ExperimentError::invalid("arms", format!("must be 2 to {MOST_ARMS}, not {}", arms.len())));
    }
    let names: BTreeSet<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    if names.len() < arms.len() {
        return Err(ExperimentError::invalid("arms", "two arms have the same name"));
    }
    let total: u64 = arms.iter().map(|arm| u64::from(arm.share)).sum();
    if total != u64::from(BUCKETS) || arms.iter().any(|arm| arm.share == 0) {
        return Err(ExperimentError::invalid("arms", format!("shares must be above 0 and add up to {BUCKETS}, not {total}")));
    }
    Ok(())
}

/// The bucket of a unit, 0 to 9,999.
#[must_use]
pub fn bucket(experiment_id: &str, salt: &str, unit: &str) -> u32 {
    scaled(hash64(&[VERSION, experiment_id, salt, unit]), u64::from(BUCKETS)) as u32
}

/// Place of the arm that owns a bucket; `arms` passed [`check_arms`].
#[must_use]
pub fn arm_of(bucket: u32, arms: &[Arm]) -> usize {
    let mut end = 0;
    for (at, arm) in arms.iter().enumerate() {
        end += arm.share;
        if bucket < end {
            return at;
        }
    }
    arms.len().saturating_sub(1)
}
