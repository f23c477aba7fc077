//! The maths of campaigns: budget optimisation, response curves, candidate plans, pacing and
//! derived metrics. Pure functions: no I/O, no clock, no randomness but from a stated
//! seed, so equal inputs give equal
//! answers on every machine.

pub mod anomalies;
pub mod comparison;
pub mod experiments;
pub mod figure;
pub mod metrics;
pub mod optimizer;
pub mod pacing;
pub mod proposal;
pub mod random;
pub mod response;
pub mod suppression;
