//! Intervals that hold at every look: whoever watches an experiment day by day and stops when it looks good errs with at most alpha.
//!
//! The normal-mixture confidence sequence (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021; mixture SPRT of Johari et al. 2022)
//! in its form for estimated variances (Waudby-Smith et al. 2024): with V the estimate's variance now and r = V-scaled mixing variance,
//! the half-width is sqrt(V (1 + r) / r * (ln(1 + r) + 2 ln(1 / alpha))). r = c * n / planned is fixed by the planned size, with
//! c = -2 ln(alpha) + ln(1 - 2 ln(alpha)), which makes the interval tightest there. It is valid asymptotically, so that looks begin at
//! [`LEAST_UNITS`] units per arm.

use super::{ExperimentError, check_share};

/// Units per arm from which looks are valid.
pub const LEAST_UNITS: u64 = 100;

/// Mixing ratio after `n` of `planned` units.
fn ratio(n: f64, planned: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    (twice + twice.ln_1p()) * n / planned
}

/// Half the width of the interval that holds at every look.
///
/// # Errors
/// [`ExperimentError::Invalid`] for an alpha outside of 0 to 1 or sizes that are not above 0.
pub fn half_width(variance: f64, n: f64, planned: f64, alpha: f64) -> Result<f64, ExperimentError> {
    check_share("alpha", alpha)?;
    if !(n > 0.0 && planned > 0.0) {
        return Err(ExperimentError::invalid("planned_units", "must be above 0"));
    }
    let r = ratio(n, planned, alpha);
    Ok((variance * (1.0 + r) / r * (r.ln_1p() - 2.0 * alpha.ln())).sqrt())
}

/// The p-value that holds at every look: the least alpha whose interval (with the mixture of `design_alpha`) leaves out 0.
///
/// # Errors
/// As [`half_width`].
pub fn always_valid_p(estimate: f64, variance: f64, n: f64, planned: f64, design_alpha: f64) -> Result<f64, ExperimentError> {
    half_width(variance, n, planned, design_alpha)?;
    if variance <= 0.0 {
        return Ok(if estimate == 0.0 { 1.0 } else { 0.0 });
    }
    let r = ratio(n, planned, design_alpha);
    let log = 0.5 * r.ln_1p() - 0.5 * estimate * estimate / variance * r / (1.0 + r);
    Ok(log.exp().min(1.0))
}
