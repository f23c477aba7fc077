//! May this rater work? Wald's sequential probability ratio test (Wald 1945) on golden items: it stops as
//! soon as the evidence is clear, so good raters are through quickly and weak ones do not pass by luck.

use serde::{Deserialize, Serialize};

/// The test between "right with probability `unacceptable`" and "right with probability `acceptable`".
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SequentialTest {
    unacceptable: f64,
    acceptable: f64,
    false_pass: f64,
    false_fail: f64,
    cap: u32,
}

/// What the answers so far mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// The rater may work.
    Pass,
    /// The rater may not work: clearly too weak, or still unclear at the cap.
    Fail,
    /// Not decided yet.
    Continue {
        /// Most further items until a decision.
        at_most: u32,
    },
}

/// Settings that make no test.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidTest {
    /// The two accuracies are out of order or range.
    #[error("unacceptable accuracy {0} must be above 0 and below acceptable accuracy {1}, which must be below 1")]
    Accuracies(f64, f64),
    /// An error rate is out of range.
    #[error("error rates {0} and {1} must be above 0 and below 0.5")]
    ErrorRates(f64, f64),
    /// The cap allows no item.
    #[error("the cap must be at least 1 item")]
    Cap,
}

impl Default for SequentialTest {
    /// 0.60 against 0.85 at 5 % error each way, at most 40 items. A rater who is right 60 % of the time
    /// passes in 4 % of cases after 16 items on average; "8 of 10 right" would pass 17 % of them.
    fn default() -> Self {
        Self { unacceptable: 0.60, acceptable: 0.85, false_pass: 0.05, false_fail: 0.05, cap: 40 }
    }
}

impl SequentialTest {
    /// A test that passes a rater of accuracy `unacceptable` (p0) with probability of about `false_pass`
    /// (alpha) and fails one of accuracy `acceptable` (p1) with about `false_fail` (beta), within `cap`
    /// items.
    ///
    /// # Errors
    /// When the accuracies, the error rates or the cap make no test.
    pub fn new(unacceptable: f64, acceptable: f64, false_pass: f64, false_fail: f64, cap: u32) -> Result<Self, InvalidTest> {
        if !(unacceptable > 0.0 && unacceptable < acceptable && acceptable < 1.0) {
            return Err(InvalidTest::Accuracies(unacceptable, acceptable));
        }
        let is_rate = |rate: f64| rate > 0.0 && rate < 0.5;
        if !(is_rate(false_pass) && is_rate(false_fail)) {
            return Err(InvalidTest::ErrorRates(false_pass, false_fail));
        }
        if cap == 0 {
            return Err(InvalidTest::Cap);
        }
        Ok(Self { unacceptable, acceptable, false_pass, false_fail, cap })
    }

    /// Decides from the counts so far; call after each item and stop at the first decision. "Unsure"
    /// counts as not correct. Undecided at the cap is a fail.
    pub fn decide(&self, correct: u32, total: u32) -> Decision {
        let log_ratio = self.log_likelihood_ratio(correct, total);
        let (lower, upper) = self.bounds();
        if log_ratio >= upper {
            return Decision::Pass;
        }
        let at_most = self.cap.saturating_sub(total);
        if log_ratio <= lower || at_most == 0 {
            return Decision::Fail;
        }
        Decision::Continue { at_most }
    }

    /// Evidence so far: natural logarithm of how much more probable the answers are from a rater of the acceptable accuracy.
    pub fn log_likelihood_ratio(&self, correct: u32, total: u32) -> f64 {
        let right = f64::from(correct.min(total));
        let wrong = f64::from(total) - right;
        right * (self.acceptable / self.unacceptable).ln() + wrong * ((1.0 - self.acceptable) / (1.0 - self.unacceptable)).ln()
    }

    /// Evidence at which the rater fails, and at which the rater passes.
    pub fn bounds(&self) -> (f64, f64) {
        ((self.false_fail / (1.0 - self.false_pass)).ln(), ((1.0 - self.false_fail) / self.false_pass).ln())
    }

    /// Whether the answers pass by the exact binomial test of the unacceptable accuracy at the rate of false passes: what decides when there
    /// are no more items, so that the sequential test cannot come to its end.
    pub fn passes_exactly(&self, correct: u32, total: u32) -> bool {
        let (n, p) = (f64::from(total), self.unacceptable);
        let (mut term, mut tail) = (p.powf(n), 0.0);
        // From all right downwards: P(X = k - 1) = P(X = k) k (1 - p) / ((n - k + 1) p).
        for k in (correct.min(total)..=total).rev() {
            tail += term;
            let k = f64::from(k);
            term *= k * (1.0 - p) / ((n - k + 1.0) * p);
        }
        total > 0 && tail <= self.false_pass
    }

    /// Most items of the test.
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// The log-likelihood ratio after each answer, in order: how the evidence moved between the two bounds.
    #[must_use]
    pub fn path(&self, answers: &[bool]) -> Vec<f64> {
        let (right, wrong) = ((self.acceptable / self.unacceptable).ln(), ((1.0 - self.acceptable) / (1.0 - self.unacceptable)).ln());
        let steps = answers.iter().map(|is_right| if *is_right { right } else { wrong });
        steps
            .scan(0.0, |sum, step| {
                *sum += step;
                Some(*sum)
            })
            .collect()
    }
}
