//! The maths of experiments: who gets what, how many units it takes, and what was found, with intervals.
//!
//! Equal inputs give equal answers: whatever is drawn by lot is drawn from a generator that is seeded by the SHA-256 of named inputs.
//! A result is a [`finding::Finding`], which cannot be made without the number of units and the definition of the control.

pub mod ab;
pub mod assignment;
pub mod finding;
pub mod geo;
pub mod geo_power;
pub mod iroas;
pub mod lot;
pub mod noncentral;
pub mod power;
pub mod proportions;
pub mod sequential;
pub mod simplex;
pub mod srm;
pub mod switchback;

use statrs::distribution::{ContinuousCDF, Normal};

/// Why an experiment cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// An input breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// The input.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The data do not carry the computation.
    #[error("{0}")]
    NotEnough(String),
}

impl ExperimentError {
    /// An input that breaks a rule.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), message: message.into() }
    }
}

/// Refuses a share outside of the open interval from 0 to 1.
pub(crate) fn check_share(field: &str, share: f64) -> Result<(), ExperimentError> {
    if share > 0.0 && share < 1.0 { Ok(()) } else { Err(ExperimentError::invalid(field, "must lie between 0 and 1, both excluded")) }
}

/// The standard normal distribution.
pub(crate) fn standard_normal() -> Normal {
    Normal::standard()
}

/// Quantile of the standard normal distribution.
pub(crate) fn z(probability: f64) -> f64 {
    standard_normal().inverse_cdf(probability)
}

/// Two-sided p-value of a standard normal statistic.
pub(crate) fn two_sided_p(statistic: f64) -> f64 {
    (2.0 * standard_normal().sf(statistic.abs())).min(1.0)
}

/// Arithmetic mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}
