//! The maths of experiments against published results, reference implementations and simulation.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod comparisons;
mod geolift;
mod power;
mod properties;
mod switchback;

use planning::experiments::finding::Control;

pub fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected} within {tolerance}");
}

pub fn control() -> Control {
    Control::new("units without the campaign").unwrap()
}
