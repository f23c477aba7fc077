//! The maths of judgment: consensus from raters, agreement, calibration tests, reward models, and what to judge next.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no global random state. Where
//! randomness is needed (bootstrap, folds) the caller gives a seed, and the same seed gives the same
//! result. Every result is serialisable, so that a service can store it as it is.

pub mod agreement;
pub mod calibration;
pub mod checks_agreement;
pub mod consensus;
pub mod drift;
pub mod exact;
pub mod features;
pub mod golden;
pub mod integrity;
pub mod intervals;
pub mod judgment;
pub mod overlap;
pub mod reward;
pub mod selection;
pub mod uncertainty;
