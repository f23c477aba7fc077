//! The noncentral t distribution, which tells the exact power of a t test.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::gamma::ln_gamma;

use super::{ExperimentError, standard_normal};

/// Intervals of the quadrature, even.
const STEPS: usize = 2_000;

/// P(T <= t) for T noncentral t: the normal probability averaged over s = sqrt(chi-square / df), by Simpson's rule over the range
/// in which s has all but about 1e-20 of its mass.
#[must_use]
pub fn noncentral_t_cdf(t: f64, df: f64, noncentrality: f64) -> f64 {
    let normal = standard_normal();
    // s concentrates at 1 with standard deviation 1 / sqrt(2 df).
    let spread = 10.0 / (2.0 * df).sqrt();
    let (from, to) = ((1.0 - spread).max(0.0), 1.0 + spread * if df < 10.0 { 2.0 } else { 1.0 });
    let step = (to - from) / STEPS as f64;
    let constant = std::f64::consts::LN_2 + 0.5 * df * (0.5 * df).ln() - ln_gamma(0.5 * df);
    let at = |s: f64| {
        // With one degree of freedom the density is not 0 at 0.
        let s = s.max(f64::MIN_POSITIVE);
        let density = (constant + (df - 1.0) * s.ln() - 0.5 * df * s * s).exp();
        density * normal.cdf(t * s - noncentrality)
    };
    let sum: f64 = (0..=STEPS)
        .map(|index| {
            let weight = if index == 0 || index == STEPS { 1.0 } else { [2.0, 4.0][index % 2] };
            weight * at(from + step * index as f64)
        })
        .sum();
    (sum * step / 3.0).clamp(0.0, 1.0)
}

/// Quantile of Student's t distribution.
///
/// # Errors
/// When the degrees of freedom are not above 0.
pub fn t_quantile(probability: f64, df: f64) -> Result<f64, ExperimentError> {
    Ok(student(df)?.inverse_cdf(probability))
}

/// Two-sided p-value of a t statistic.
///
/// # Errors
/// When the degrees of freedom are not above 0.
pub fn t_two_sided_p(statistic: f64, df: f64) -> Result<f64, ExperimentError> {
    Ok((2.0 * student(df)?.sf(statistic.abs())).min(1.0))
}

fn student(df: f64) -> Result<StudentsT, ExperimentError> {
    StudentsT::new(0.0, 1.0, df).map_err(|error| ExperimentError::NotEnough(format!("degrees of freedom {df}: {error}")))
}
