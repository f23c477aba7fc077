//! Has a rater who once passed calibration become careless? A sequential test that never ends: it looks at every golden answer as it
//! comes, forgets good stretches, and asks for calibration to be taken again as soon as the recent answers fit a weak rater better.

use serde::{Deserialize, Serialize};

/// Page's cumulative sum (1954) of the log likelihood ratio between "still good" and "has drifted": a Wald test run backwards, restarted
/// whenever it would accept "still good".
///
/// With `good` accuracy p1 and `drifted` accuracy p0 < p1, S = max(0, S + x), x = ln(p0 / p1) for a right answer and
/// ln((1 - p0) / (1 - p1)) for a wrong one; the rater has drifted when S reaches `threshold`. Lorden (1971) and Moustakides (1986): no
/// test with as few false alarms finds the drift sooner in the worst case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DriftTest {
    good: f64,
    drifted: f64,
    threshold: f64,
}

/// What the golden answers since calibration say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// As good as in calibration.
    Steady,
    /// The sum is over half of the threshold: worth more golden items.
    Watch,
    /// Calibration is to be taken again.
    Retest,
}

/// Settings that make no test.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidDrift {
    /// The two accuracies are out of order or range.
    #[error("drifted accuracy {0} must be above 0 and below good accuracy {1}, which must be below 1")]
    Accuracies(f64, f64),
    /// The threshold is no positive number.
    #[error("threshold {0} must be above 0 and at most 50")]
    Threshold(f64),
}

impl Default for DriftTest {
    /// 0.85 against 0.60 (those of calibration) with threshold 4.5. Mean number of golden items until a false alarm, from the exact
    /// chain of sums (Brook and Evans 1972): 1,018 for a rater of 0.85 and 9,900 for one of 0.90; until a rater of 0.60 is found: 22, of
    /// 0.50: 14.
    fn default() -> Self {
        Self { good: 0.85, drifted: 0.60, threshold: 4.5 }
    }
}

impl DriftTest {
    /// A test for the fall from accuracy `good` to `drifted` that speaks at a sum of `threshold` (natural logarithm; ln 100 = 4.6 asks
    /// for odds of about 100 to 1).
    ///
    /// # Errors
    /// When the accuracies or the threshold make no test.
    pub fn new(good: f64, drifted: f64, threshold: f64) -> Result<Self, InvalidDrift> {
        if !(drifted > 0.0 && drifted < good && good < 1.0) {
            return Err(InvalidDrift::Accuracies(drifted, good));
        }
        if !(threshold > 0.0 && threshold <= 50.0) {
            return Err(InvalidDrift::Threshold(threshold));
        }
        Ok(Self { good, drifted, threshold })
    }

    /// The sum at which the test speaks.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The sum after one more answer; start at 0, and again at 0 after calibration was passed. A sum that is no number counts as 0.
    pub fn step(&self, sum: f64, is_right: bool) -> f64 {
        let ratio = if is_right { self.drifted / self.good } else { (1.0 - self.drifted) / (1.0 - self.good) };
        let before = if sum.is_finite() { sum } else { 0.0 };
        (before + ratio.ln()).max(0.0)
    }

    /// What a sum means.
    pub fn verdict(&self, sum: f64) -> Drift {
        if sum >= self.threshold {
            return Drift::Retest;
        }
        if sum >= self.threshold / 2.0 { Drift::Watch } else { Drift::Steady }
    }

    /// What a series of golden answers since calibration says, oldest first, with the sum at its end. A test that has spoken stays
    /// so: what comes after an alarm does not take it back.
    pub fn of_series(&self, answers: impl IntoIterator<Item = bool>) -> (Drift, f64) {
        let mut sum = 0.0;
        for is_right in answers {
            sum = self.step(sum, is_right);
            if sum >= self.threshold {
                return (Drift::Retest, sum);
            }
        }
        (self.verdict(sum), sum)
    }
}
