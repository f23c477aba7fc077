//! Pairs of blocks of a switchback test from its observations: what falls into a washout is left out, pairs that are not whole as well.

use std::collections::BTreeMap;

use planning::experiments::switchback::{BlockPair, is_treated};
use storage::experiments::Experiment;
use storage::experiments::observations::{Observation, WHOLE_DAY};

use crate::experiments::definition::SwitchbackDesign;

/// Mean of the metric per period (hour, or day in tests of whole days) in the two blocks of each pair that have observations.
#[must_use]
pub fn pairs(row: &Experiment, design: &SwitchbackDesign, observations: &[Observation]) -> Vec<BlockPair> {
    // Sum and number of periods of the blocks of a unit.
    let mut blocks: BTreeMap<(&str, u64), (f64, u32)> = BTreeMap::new();
    for seen in observations {
        let hour = if seen.hour == WHOLE_DAY { 0 } else { u32::try_from(seen.hour).unwrap_or(0) };
        let at = seen.date.and_hms_opt(hour.min(23), 0, 0).map(|time| time.and_utc());
        let Some((block, hours)) = at.and_then(|at| design.block_at(at)) else { continue };
        if hours < design.washout_hours {
            continue;
        }
        let sum = blocks.entry((&seen.unit, block)).or_default();
        sum.0 += seen.value_sum;
        sum.1 += 1;
    }
    let mean = |unit: &str, block: u64| blocks.get(&(unit, block)).map(|(sum, periods)| sum / f64::from(*periods));
    let mut found = Vec::new();
    for unit in &design.units {
        for first in (0..design.blocks).step_by(2) {
            let (Some(one), Some(other)) = (mean(unit, first), mean(unit, first + 1)) else { continue };
            let (treated, control) = match is_treated(&row.experiment_id, &row.salt, unit, first) {
                true => (one, other),
                false => (other, one),
            };
            found.push(BlockPair { treated, control });
        }
    }
    found
}
