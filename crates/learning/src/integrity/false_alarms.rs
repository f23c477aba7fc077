//! Many raters, many signals, looked at again and again: without care somebody honest is accused every day. Two corrections keep the
//! chance at the level: one for looking at the same rater repeatedly, one for looking at many raters at once.

use super::{Rules, Signal};
use crate::exact::benjamini_hochberg;

/// New judgments of a rater between two looks.
pub const JUDGMENTS_PER_LOOK: u64 = 50;

/// One rater's signals, and how often this rater has been looked at, this time included.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Signals in the order of [`super::Name::ALL`].
    pub signals: Vec<Signal>,
    /// Number of the look, from 1.
    pub look: u64,
}

/// Number of the look at a rater with this many judgments: 0 (no look yet) below [`JUDGMENTS_PER_LOOK`].
pub fn look_at(judgments: u64) -> u64 {
    judgments / JUDGMENTS_PER_LOOK
}

/// Corrects a p-value of look `j` for all looks that were and will be: `p * j^2 * pi^2 / 6`, at most 1. Because the sum of
/// `6 / (pi^2 j^2)` over all j is 1, an honest rater is accused in *any* of endlessly many looks with a chance of at most the level
/// (a union bound that spends the level over the looks).
pub fn over_looks(p: f64, look: u64) -> f64 {
    let j = look.max(1) as f64;
    (p * j * j * std::f64::consts::PI.powi(2) / 6.0).clamp(0.0, 1.0)
}

/// Sets `adjusted` of every signal: corrected over looks, then by Benjamini and Hochberg over the raters, separately for each signal.
/// Among the raters that one signal flags at `level`, at most that share is honest in expectation; when all raters are honest, the
/// chance of any flag of one signal is at most the level.
pub fn control(raters: &mut [Looked]) {
    for name in super::Name::ALL {
        let own = |looked: &Looked| looked.signals.iter().find(|signal| signal.name == name).and_then(|signal| signal.p);
        let p_values: Vec<Option<f64>> = raters.iter().map(|looked| own(looked).map(|p| over_looks(p, looked.look))).collect();
        for (looked, adjusted) in raters.iter_mut().zip(benjamini_hochberg(&p_values)) {
            for signal in looked.signals.iter_mut().filter(|signal| signal.name == name) {
                signal.adjusted = adjusted;
            }
        }
    }
}

/// The flagged ones.
pub fn flagged<'a>(signals: &'a [Signal], rules: &Rules) -> Vec<&'a Signal> {
    signals.iter().filter(|signal| signal.is_flagged(rules)).collect()
}
