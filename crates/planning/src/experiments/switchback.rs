//! Switchback tests: time is cut into blocks, and of each two neighbouring blocks of a unit one is treated, by lot. The lot is the reason
//! why the readout needs no model: signs of the pairs' differences are flipped as the lot could have flipped them.

use serde::Serialize;

use super::finding::{Control, Finding, Interval, Sample};
use super::iroas::{TwoDifferences, fieller};
use super::lot::{Lot, hash64};
use super::noncentral::t_quantile;
use super::{ExperimentError, check_share, mean};

/// First line of what is hashed for the lot of a pair.
pub const VERSION: &str = "endcap-switchback-v1";
/// Up to this many pairs all flips are looked at, 2 to the power of the pairs.
const EXACT_PAIRS: usize = 12;
/// Else so many flips are drawn.
const DRAWS: usize = 9_999;
/// Fewest pairs of blocks.
pub const LEAST_PAIRS: usize = 5;

/// Whether a block of a unit is treated. The rule: the first 64 bits of the SHA-256 of the five lines `endcap-switchback-v1`, experiment
/// id, salt, unit, pair number (block / 2); when they are below 2^63 the first block of the pair is treated, else the second.
#[must_use]
pub fn is_treated(experiment_id: &str, salt: &str, unit: &str, block: u64) -> bool {
    let lot = hash64(&[VERSION, experiment_id, salt, unit, &(block / 2).to_string()]);
    (lot < 1 << 63) == block.is_multiple_of(2)
}

/// Mean of the metric per period in the treated and in the other block of a pair, after the washout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockPair {
    /// In the treated block.
    pub treated: f64,
    /// In the other.
    pub control: f64,
}

/// What a switchback test says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SwitchbackReadout {
    /// Mean difference of treated and control blocks, per period.
    pub difference: Finding,
    /// Over the mean of the control blocks; absent when that is not above 0.
    pub relative_lift: Option<Finding>,
    /// Two-sided, from the lot itself.
    pub p_value: f64,
    /// Whether all flips were looked at.
    pub is_exact: bool,
    /// Whether `p_value` is at most alpha.
    pub is_significant: bool,
}

/// Reads a switchback test.
///
/// # Errors
/// [`ExperimentError`] for too few pairs.
pub fn analyse(pairs: &[BlockPair], alpha: f64, control: &Control, seed: &str) -> Result<SwitchbackReadout, ExperimentError> {
    check_share("alpha", alpha)?;
    if pairs.len() < LEAST_PAIRS {
        return Err(ExperimentError::NotEnough(format!("{} pairs of blocks are complete; at least {LEAST_PAIRS} are needed", pairs.len())));
    }
    let differences: Vec<f64> = pairs.iter().map(|pair| pair.treated - pair.control).collect();
    let flips = Flips::of(pairs.len(), seed);
    let value = mean(&differences);
    let p_value = flips.p_value(&differences, 0.0);
    let level = 1.0 - alpha;
    let interval = flips.invert(&differences, value, alpha);
    let sample = || Sample::new(pairs.len() as u64, "block_pairs");
    let controls: Vec<f64> = pairs.iter().map(|pair| pair.control).collect();
    let level_of_control = mean(&controls);
    let relative_lift = match level_of_control > 0.0 {
        true => {
            let (m, quantile) = (pairs.len() as f64, t_quantile(1.0 - alpha / 2.0, (pairs.len() - 1) as f64)?);
            let moment = |a: &[f64], b: &[f64]| {
                let (middle_a, middle_b) = (mean(a), mean(b));
                a.iter().zip(b).map(|(x, y)| (x - middle_a) * (y - middle_b)).sum::<f64>() / ((m - 1.0) * m)
            };
            let given = TwoDifferences {
                top: value,
                top_variance: moment(&differences, &differences),
                bottom: level_of_control,
                bottom_variance: moment(&controls, &controls),
                covariance: moment(&differences, &controls),
            };
            Some(Finding::new(value / level_of_control, fieller(&given, quantile, level), sample()?, control, "Fieller, pairs")?)
        }
        false => None,
    };
    Ok(SwitchbackReadout {
        difference: Finding::new(value, interval, sample()?, control, "randomisation inference on pairs of blocks")?,
        relative_lift,
        p_value,
        is_exact: pairs.len() <= EXACT_PAIRS,
        is_significant: p_value <= alpha,
    })
}

/// The flips of signs that the lot could have made.
struct Flips(Vec<Vec<bool>>);

impl Flips {
    fn of(pairs: usize, seed: &str) -> Self {
        if pairs <= EXACT_PAIRS {
            return Self((0..1_usize << pairs).map(|flip| (0..pairs).map(|pair| flip >> pair & 1 == 1).collect()).collect());
        }
        let mut lot = Lot::seeded(&["endcap-switchback-flips-v1", seed]);
        let mut flips = vec![vec![false; pairs]];
        flips.extend((0..DRAWS).map(|_| (0..pairs).map(|_| lot.draw() >> 63 == 1).collect()));
        Self(flips)
    }

    /// Share of flips with a sum at least as far from 0, after `effect` was taken from every difference.
    fn p_value(&self, differences: &[f64], effect: f64) -> f64 {
        let sum = |flips: &[bool]| {
            let signed = differences.iter().zip(flips).map(|(value, flip)| if *flip { effect - value } else { value - effect });
            signed.sum::<f64>().abs()
        };
        let observed = differences.iter().map(|value| value - effect).sum::<f64>().abs();
        let scale = differences.iter().map(|value| (value - effect).abs()).sum::<f64>();
        let as_large = self.0.iter().filter(|flips| sum(flips) >= observed - 1e-12 * scale).count();
        as_large as f64 / self.0.len() as f64
    }

    fn invert(&self, differences: &[f64], centre: f64, alpha: f64) -> Interval {
        let least = differences.iter().copied().fold(f64::INFINITY, f64::min);
        let most = differences.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let width = (most - least).max(f64::MIN_POSITIVE);
        let bound = |sign: f64| {
            let (mut inside, mut outside) = (centre, centre + sign * 2.0 * width);
            if self.p_value(differences, outside) > alpha {
                return sign * f64::INFINITY;
            }
            for _ in 0..40 {
                let middle = 0.5 * (inside + outside);
                if self.p_value(differences, middle) > alpha { inside = middle } else { outside = middle }
            }
            outside
        };
        Interval::new(bound(-1.0), bound(1.0), 1.0 - alpha)
    }
}
