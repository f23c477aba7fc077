//! What a plan is good at: each strategy has one measure, in which its plan is compared with the
//! present plan.

use super::sampling::low_quantile;
use crate::optimizer::curve::Hill;
use crate::optimizer::program::Program;

/// In what a strategy's plan is not worse than the present plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// Revenue of the fitted curves.
    Expected,
    /// Revenue that nine of ten of these draws of the curves reach.
    LowQuantile(Vec<Vec<Hill>>),
    /// Revenue of one draw of the curves.
    Drawn(Vec<Hill>),
    /// Revenue with a weight for each line.
    Weighted(Vec<f64>),
    /// Nothing is promised.
    Nothing,
}

impl Measure {
    /// In words, after "not worse in".
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Expected => "expected revenue",
            Self::LowQuantile(_) => "revenue that nine of ten draws of the curves reach",
            Self::Drawn(_) => "revenue if the curves are as drawn",
            Self::Weighted(_) => "its own weighted revenue",
            Self::Nothing => "nothing: it is the mix of the history",
        }
    }

    /// The measure of spends (currency units); `None` when nothing is promised. `base` holds the
    /// fitted curves.
    #[must_use]
    pub fn of(&self, base: &Program, spend: &[f64]) -> Option<f64> {
        let weighted = |weights: &[f64]| base.responses(spend).iter().zip(weights).map(|(revenue, weight)| weight * revenue).sum();
        match self {
            Self::Expected => Some(base.responses(spend).iter().sum()),
            Self::LowQuantile(draws) => Some(low_quantile(draws, spend)),
            Self::Drawn(curves) => Some(curves.iter().zip(spend).map(|(curve, &x)| curve.response(x)).sum()),
            Self::Weighted(weights) => Some(weighted(weights)),
            Self::Nothing => None,
        }
    }
}
