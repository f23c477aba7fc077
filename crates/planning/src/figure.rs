//! A number that may be absent, together with the reason why: absent is never shown as 0.

use serde::{Deserialize, Serialize};

/// A value, or the reason why there is none. Exactly one of the two is present when built by
/// [`Figure::of`] and [`Figure::missing`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure<T> {
    /// The value, if it could be computed.
    pub value: Option<T>,
    /// Why there is no value.
    pub reason: Option<Reason>,
}

/// Why a figure has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An input was not measured.
    NotMeasured,
    /// The denominator is zero.
    ZeroDenominator,
    /// No budget was stated.
    NoBudget,
    /// Start or end date is missing.
    NoDates,
    /// The flight has not begun.
    NotStarted,
    /// The end lies before the start.
    InvalidDates,
    /// The spread of the estimate is not known.
    UncertaintyUnknown,
    /// The result does not fit the money range.
    OutOfRange,
    /// The retailer has not declared how it attributes.
    NotDeclared,
    /// The group is smaller than the retailer's policy lets be shown.
    BelowMinimumCellSize,
    /// The period compared with has no such group.
    NoSuchGroup,
    /// There are too few days to say what is usual.
    TooFewDays,
    /// The plan is not the best by any measure that was solved for, so no limit has a price at it.
    NotAnOptimum,
    /// The limit does not move by degrees.
    NotGradual,
}

impl<T> Figure<T> {
    /// A known value.
    #[must_use]
    pub fn of(value: T) -> Self {
        Self { value: Some(value), reason: None }
    }

    /// No value, for this reason.
    #[must_use]
    pub fn missing(reason: Reason) -> Self {
        Self { value: None, reason: Some(reason) }
    }
}
