//! A result as it may be shown: never without n, never without the control's definition.

use std::num::NonZeroU64;

use serde::Serialize;

use super::ExperimentError;

/// With what something is compared, in words; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Control(String);

impl Control {
    /// From a description.
    ///
    /// # Errors
    /// For an empty one.
    pub fn new(description: impl Into<String>) -> Result<Self, ExperimentError> {
        let description = description.into();
        if description.trim().is_empty() {
            return Err(ExperimentError::invalid("control", "the control's definition must not be empty"));
        }
        Ok(Self(description))
    }

    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// How many in all, treated and control together.
    pub n: NonZeroU64,
    /// What is counted: `units`, `market_days`, `block_pairs`.
    pub of: &'static str,
}

impl Sample {
    /// A sample that is not empty.
    ///
    /// # Errors
    /// [`ExperimentError::NotEnough`] for an empty one.
    pub fn new(n: u64, of: &'static str) -> Result<Self, ExperimentError> {
        let n = NonZeroU64::new(n).ok_or_else(|| ExperimentError::NotEnough(format!("there are no {of}")))?;
        Ok(Self { n, of })
    }
}

/// A range that holds the true value in a stated share of experiments. A missing bound is infinite, which JSON cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower bound; absent when unbounded.
    pub low: Option<f64>,
    /// Upper bound; absent when unbounded.
    pub high: Option<f64>,
    /// Share of experiments whose interval holds the truth.
    pub level: f64,
}

impl Interval {
    /// Between two bounds; what is not finite becomes unbounded.
    #[must_use]
    pub fn new(low: f64, high: f64, level: f64) -> Self {
        let finite = |bound: f64| bound.is_finite().then_some(bound);
        Self { low: finite(low), high: finite(high), level }
    }

    /// Whether a value lies inside.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.low.is_none_or(|low| low <= value) && self.high.is_none_or(|high| value <= high)
    }

    /// The same range times a factor above 0.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { low: self.low.map(|low| low * factor), high: self.high.map(|high| high * factor), level: self.level }
    }
}

/// A figure of an experiment. Its fields are private, so that none can be made or shown without n and control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    value: f64,
    interval: Interval,
    sample: Sample,
    control: Control,
    method: &'static str,
}

impl Finding {
    /// All of it.
    ///
    /// # Errors
    /// [`ExperimentError::NotEnough`] when the value is not a number.
    pub fn new(value: f64, interval: Interval, sample: Sample, control: &Control, method: &'static str) -> Result<Self, ExperimentError> {
        if !value.is_finite() {
            return Err(ExperimentError::NotEnough(format!("the figure ({method}) is not finite")));
        }
        Ok(Self { value, interval, sample, control: control.clone(), method })
    }

    /// The estimate.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Its interval.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// What it rests on.
    #[must_use]
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// With what it compares.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }
}
