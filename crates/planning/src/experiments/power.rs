//! How many units an experiment takes, or which effect so many units can show. Textbook formulas, two groups of any ratio.

use serde::{Deserialize, Serialize};

use super::noncentral::{noncentral_t_cdf, t_quantile};
use super::{ExperimentError, check_share, standard_normal, z};
use statrs::distribution::ContinuousCDF;

/// Most units per group that are looked for.
const MOST_UNITS: f64 = 1e12;

/// What is asked of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Probability of finding the effect when it is there.
    pub power: f64,
    /// Probability of finding one when there is none.
    pub alpha: f64,
    /// 2 (either direction) or 1.
    pub sides: u8,
    /// Units of the second group for each one of the first.
    pub ratio: f64,
}

impl Demand {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ExperimentError::Invalid`].
    pub fn check(&self) -> Result<(), ExperimentError> {
        check_share("power", self.power)?;
        check_share("alpha", self.alpha)?;
        if self.power <= self.alpha {
            return Err(ExperimentError::invalid("power", "must be above alpha"));
        }
        if !matches!(self.sides, 1 | 2) {
            return Err(ExperimentError::invalid("sides", "must be 1 or 2"));
        }
        if !(self.ratio.is_finite() && (0.001..=1000.0).contains(&self.ratio)) {
            return Err(ExperimentError::invalid("ratio", "must be 0.001 to 1000"));
        }
        Ok(())
    }

    fn upper(&self) -> f64 {
        1.0 - self.alpha / f64::from(self.sides)
    }
}

/// By which distribution sizes are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// The normal approximation of textbooks.
    #[default]
    Normal,
    /// The exact power of Student's t test.
    StudentT,
}

/// Power of the two-sample test of means for a standardised effect, `n` units in the first group.
///
/// # Errors
/// As [`Demand::check`], or for fewer than two units.
pub fn power_of_means(effect: f64, n: f64, demand: &Demand, law: Law) -> Result<f64, ExperimentError> {
    demand.check()?;
    let second = n * demand.ratio;
    let df = n + second - 2.0;
    if df <= 0.0 {
        return Err(ExperimentError::invalid("n", "must leave at least one degree of freedom"));
    }
    let shift = effect.abs() * (n * second / (n + second)).sqrt();
    let two_sided = demand.sides == 2;
    Ok(match law {
        Law::Normal => {
            let (normal, limit) = (standard_normal(), z(demand.upper()));
            normal.sf(limit - shift) + if two_sided { normal.cdf(-limit - shift) } else { 0.0 }
        }
        Law::StudentT => {
            let limit = t_quantile(demand.upper(), df)?;
            1.0 - noncentral_t_cdf(limit, df, shift) + if two_sided { noncentral_t_cdf(-limit, df, shift) } else { 0.0 }
        }
    })
}

/// Units of the first group, not rounded, for a standardised effect (difference over standard deviation).
///
/// # Errors
/// [`ExperimentError::Invalid`] for an effect that is 0 or not a number, or one too small for any size.
pub fn size_for_means(effect: f64, demand: &Demand, law: Law) -> Result<f64, ExperimentError> {
    demand.check()?;
    if !effect.is_finite() || effect == 0.0 {
        return Err(ExperimentError::invalid("effect", "must be a number other than 0"));
    }
    let textbook = (z(demand.upper()) + z(demand.power)).powi(2) * (1.0 + 1.0 / demand.ratio) / (effect * effect);
    if textbook > MOST_UNITS {
        return Err(ExperimentError::invalid("effect", "is too small: no size would show it"));
    }
    if law == Law::Normal {
        return Ok(textbook);
    }
    let least = 2.0_f64.max(2.5 / (1.0 + demand.ratio));
    let (mut low, mut high) = (least, textbook.max(least) * 2.0 + 50.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if power_of_means(effect, middle, demand, law)? < demand.power {
            low = middle
        } else {
            high = middle
        }
        if high - low < 1e-9 * high {
            break;
        }
    }
    Ok(high)
}

/// Smallest standardised effect that `n` units of the first group show with the power asked for.
///
/// # Errors
/// As [`power_of_means`].
pub fn effect_for_means(n: f64, demand: &Demand, law: Law) -> Result<f64, ExperimentError> {
    power_of_means(0.0, n, demand, law)?;
    let textbook = (z(demand.upper()) + z(demand.power)) * ((1.0 + 1.0 / demand.ratio) / n).sqrt();
    if law == Law::Normal {
        return Ok(textbook);
    }
    let (mut low, mut high) = (0.0, textbook * 4.0 + 10.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if power_of_means(middle, n, demand, law)? < demand.power {
            low = middle
        } else {
            high = middle
        }
        if high - low < 1e-12 * high {
            break;
        }
    }
    Ok(high)
}

/// Units of the first group, not rounded, to tell the proportions `first` and `second` apart: the spread is pooled under no difference
/// and separate under the difference (Fleiss, Levin and Paik 2003, without continuity correction).
///
/// # Errors
/// [`ExperimentError::Invalid`] for proportions that are equal or not between 0 and 1.
pub fn size_for_proportions(first: f64, second: f64, demand: &Demand) -> Result<f64, ExperimentError> {
    demand.check()?;
    check_share("baseline", first)?;
    check_share("target", second)?;
    let (difference, ratio) = (second - first, demand.ratio);
    if difference == 0.0 {
        return Err(ExperimentError::invalid("target", "must differ from the baseline"));
    }
    let pooled = (first + ratio * second) / (1.0 + ratio);
    let null = (pooled * (1.0 - pooled) * (1.0 + 1.0 / ratio)).sqrt();
    let alternative = (first * (1.0 - first) + second * (1.0 - second) / ratio).sqrt();
    let n = ((z(demand.upper()) * null + z(demand.power) * alternative) / difference).powi(2);
    if n > MOST_UNITS { Err(ExperimentError::invalid("target", "is too near the baseline: no size would show it")) } else { Ok(n) }
}

/// The proportion above `baseline` that `n` units of the first group can tell from it.
///
/// # Errors
/// [`ExperimentError::Invalid`] when even a proportion of nearly 1 cannot be told apart.
pub fn proportion_for_size(baseline: f64, n: f64, demand: &Demand) -> Result<f64, ExperimentError> {
    check_share("baseline", baseline)?;
    let (mut low, mut high) = (baseline, 1.0 - 1e-9);
    if size_for_proportions(baseline, high, demand)? > n {
        return Err(ExperimentError::invalid("n", "is too small to show any increase over this baseline"));
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        let is_too_near = middle <= baseline || size_for_proportions(baseline, middle, demand).map_or(true, |needed| needed > n);
        if is_too_near { low = middle } else { high = middle }
    }
    Ok(high)
}

/// By how much randomising clusters of `size` units, whose outcomes correlate by `icc`, raises the size: 1 + (size - 1) icc (Kish 1965).
///
/// # Errors
/// [`ExperimentError::Invalid`].
pub fn design_effect(size: f64, icc: f64) -> Result<f64, ExperimentError> {
    if !(size.is_finite() && size >= 1.0) {
        return Err(ExperimentError::invalid("cluster.size", "must be at least 1"));
    }
    if !(0.0..=1.0).contains(&icc) {
        return Err(ExperimentError::invalid("cluster.icc", "must be 0 to 1"));
    }
    Ok(1.0 + (size - 1.0) * icc)
}
