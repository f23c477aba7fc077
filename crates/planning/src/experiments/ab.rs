//! Reading an A/B test from the sums of its arms: differences and relative lift with intervals, adjusted by a covariate when there is one,
//! and a winner only when the counts are right and the difference is significant.

use serde::Serialize;

use super::ExperimentError;
use super::finding::{Control, Finding, Interval, Sample};
use super::iroas::{TwoDifferences, delta_standard_error, fieller};
use super::noncentral::{t_quantile, t_two_sided_p};
use super::proportions::{katz_ratio, newcombe, pooled_p};
use super::sequential::{LEAST_UNITS, always_valid_p, half_width};
use super::srm::{RatioCheck, check_ratio};

/// Sums over the units of an arm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmSums {
    /// Its name.
    pub name: String,
    /// Units.
    pub n: u64,
    /// Sum of the metric; of a proportion, the number of successes.
    pub sum: f64,
    /// Sum of squares.
    pub sum_squares: f64,
    /// What was measured before the experiment: sum, sum of squares, and sum of products with the metric.
    pub covariate: Option<[f64; 3]>,
    /// Spend: sum, sum of squares and sum of products with the metric; the last two are absent when only the total is known.
    pub spend: Option<(f64, Option<[f64; 2]>)>,
}

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// A mean of any numbers.
    Mean,
    /// A share of units: each counts 0 or 1.
    Proportion,
}

/// When the test may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Analysis {
    /// Once, at the planned end.
    Fixed,
    /// At any time; the interval is tightest at this number of units.
    Sequential {
        /// Units in all arms.
        planned_units: u64,
    },
}

/// How an A/B test is read.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Kind of metric.
    pub metric: Metric,
    /// When it may be read.
    pub analysis: Analysis,
    /// Probability of any false finding over all comparisons (Bonferroni).
    pub alpha: f64,
    /// Shares of the arms as meant.
    pub weights: &'a [f64],
    /// What the first arm is.
    pub control: &'a Control,
}

/// One arm against the control, which is the first arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The arm.
    pub arm: String,
    /// Units of this arm and of the control.
    pub units: [u64; 2],
    /// Mean of the metric in this arm and in the control, adjusted when there is a covariate.
    pub means: [f64; 2],
    /// Arm less control.
    pub difference: Finding,
    /// Difference over the control's mean; absent when that is not above 0.
    pub relative_lift: Option<Finding>,
    /// Difference times the units of the arm.
    pub incremental: Finding,
    /// Incremental metric over incremental spend; absent without spend, or when both arms spent the same.
    pub iroas: Option<Finding>,
    /// Its standard error (delta method).
    pub iroas_standard_error: Option<f64>,
    /// Incremental spend of the arm.
    pub incremental_spend: Option<f64>,
    /// Two-sided; of a sequential analysis, valid at every look.
    pub p_value: f64,
    /// Whether `p_value` is below alpha over the number of comparisons; false, and said in `is_significant_reason`, when the counts are wrong.
    pub is_significant: bool,
    /// Why there is no verdict, whatever `p_value` is.
    pub is_significant_reason: Option<&'static str>,
}

/// Why there is no verdict: the counts per arm are not as meant.
pub const SAMPLE_RATIO_MISMATCH: &str = "sample_ratio_mismatch";

/// What an A/B test says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AbReadout {
    /// Whether the counts are as meant.
    pub sample_ratio: RatioCheck,
    /// Each arm against the control.
    pub comparisons: Vec<Comparison>,
    /// The arm that won; absent unless significant.
    pub winner: Option<String>,
    /// Why there is or is no winner.
    pub winner_reason: String,
    /// How the covariate was used: its coefficient and the share of variance it took away.
    pub covariate: Option<CovariateUse>,
    /// Alpha of each comparison.
    pub alpha_each: f64,
}

/// The covariate adjustment (CUPED: Deng, Xu, Kohavi and Walker 2013).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CovariateUse {
    /// Pooled coefficient of the metric on the covariate within arms.
    pub theta: f64,
    /// One less variance after over variance before.
    pub variance_reduction: f64,
}

/// Mean of an arm and the variance of its units.
#[derive(Debug, Clone, Copy)]
struct Moments {
    n: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of_mean(&self) -> f64 {
        self.variance / self.n
    }
}

/// Sum of products about the means.
fn centred(n: f64, products: f64, one: f64, other: f64) -> f64 {
    products - one * other / n
}

fn check(arms: &[ArmSums], question: &Question<'_>) -> Result<(), ExperimentError> {
    let least = match question.analysis {
        Analysis::Fixed => 2,
        Analysis::Sequential { .. } => LEAST_UNITS,
    };
    for arm in arms {
        if arm.n < least {
            return Err(ExperimentError::NotEnough(format!("arm {:?} has {} units; at least {least} are needed", arm.name, arm.n)));
        }
        let n = arm.n as f64;
        if question.metric == Metric::Proportion && !(0.0..=n).contains(&arm.sum) {
            let message = format!("arm {:?} has {} successes of {n} units", arm.name, arm.sum);
            return Err(ExperimentError::invalid("value_sum", message));
        }
        // A sum of squares below the square of the sum over n cannot come from data; a little is rounding.
        if arm.sum_squares < arm.sum * arm.sum / n * (1.0 - 1e-9) - 1e-9 {
            let message = format!("arm {:?}: the sum of squares is smaller than the sum allows", arm.name);
            return Err(ExperimentError::invalid("value_sum_squares", message));
        }
    }
    super::check_share("alpha", question.alpha)
}

fn moments(arms: &[ArmSums]) -> (Vec<Moments>, Option<CovariateUse>) {
    let raw = |arm: &ArmSums| {
        let n = arm.n as f64;
        Moments { n, mean: arm.sum / n, variance: (centred(n, arm.sum_squares, arm.sum, arm.sum) / (n - 1.0)).max(0.0) }
    };
    let plain: Vec<Moments> = arms.iter().map(raw).collect();
    let covariates: Option<Vec<[f64; 3]>> = arms.iter().map(|arm| arm.covariate).collect();
    let Some(covariates) = covariates else { return (plain, None) };
    let within: Vec<[f64; 3]> = arms
        .iter()
        .zip(&covariates)
        .map(|(arm, [x, xx, xy])| {
            let n = arm.n as f64;
            [centred(n, *xx, *x, *x), centred(n, *xy, *x, arm.sum), centred(n, arm.sum_squares, arm.sum, arm.sum)]
        })
        .collect();
    let total = |at: usize| within.iter().map(|row| row[at]).sum::<f64>();
    let (sxx, sxy, syy) = (total(0), total(1), total(2));
    if sxx <= 0.0 || syy <= 0.0 {
        return (plain, None);
    }
    let theta = sxy / sxx;
    let all = arms.iter().map(|arm| arm.n as f64).sum::<f64>();
    let overall = covariates.iter().map(|row| row[0]).sum::<f64>() / all;
    let adjusted = plain.iter().zip(&covariates).zip(&within).map(|((arm, [x, ..]), [xx, xy, yy])| Moments {
        n: arm.n,
        mean: arm.mean - theta * (x / arm.n - overall),
        variance: ((yy - 2.0 * theta * xy + theta * theta * xx) / (arm.n - 1.0)).max(0.0),
    });
    let used = CovariateUse { theta, variance_reduction: sxy * sxy / (sxx * syy) };
    (adjusted.collect(), Some(used))
}

/// Reads a test. The first arm is the control.
///
/// # Errors
/// [`ExperimentError`] for impossible sums or too few units.
pub fn analyse(arms: &[ArmSums], question: &Question<'_>) -> Result<AbReadout, ExperimentError> {
    let counts: Vec<u64> = arms.iter().map(|arm| arm.n).collect();
    let sample_ratio = check_ratio(&counts, question.weights)?;
    check(arms, question)?;
    let (moments, covariate) = moments(arms);
    let alpha_each = question.alpha / (arms.len() - 1) as f64;
    let mut comparisons = Vec::with_capacity(arms.len() - 1);
    for at in 1..arms.len() {
        let pair = Pair { sums: [&arms[at], &arms[0]], moments: [moments[at], moments[0]], is_adjusted: covariate.is_some() };
        let found = pair.compare(question, alpha_each)?;
        comparisons.push(match sample_ratio.is_mismatch {
            true => Comparison { is_significant: false, is_significant_reason: Some(SAMPLE_RATIO_MISMATCH), ..found },
            false => found,
        });
    }
    let (winner, winner_reason) = winner(&sample_ratio, &comparisons, &arms[0].name);
    Ok(AbReadout { sample_ratio, comparisons, winner, winner_reason, covariate, alpha_each })
}

fn winner(ratio: &RatioCheck, comparisons: &[Comparison], control: &str) -> (Option<String>, String) {
    if ratio.is_mismatch {
        let why = format!("The counts per arm are not as meant (p = {:.2e}): find out why before any arm is believed.", ratio.p_value);
        return (None, why);
    }
    let best = comparisons
        .iter()
        .filter(|one| one.is_significant && one.difference.value() > 0.0)
        .max_by(|a, b| a.difference.value().total_cmp(&b.difference.value()));
    if let Some(best) = best {
        return (Some(best.arm.clone()), format!("Better than the control, p = {:.3e}.", best.p_value));
    }
    if comparisons.iter().all(|one| one.is_significant && one.difference.value() < 0.0) {
        return (Some(control.to_owned()), "Every other arm is significantly worse than the control.".to_owned());
    }
    (None, "No arm differs significantly from the control in its favour.".to_owned())
}

/// An arm and the control, in this order.
struct Pair<'a> {
    sums: [&'a ArmSums; 2],
    moments: [Moments; 2],
    is_adjusted: bool,
}

impl Pair<'_> {
    fn compare(&self, question: &Question<'_>, alpha: f64) -> Result<Comparison, ExperimentError> {
        let [arm, control] = self.moments;
        let (value, level) = (arm.mean - control.mean, 1.0 - alpha);
        let parts = [arm.of_mean(), control.of_mean()];
        let variance = parts[0] + parts[1];
        let n = self.sums[0].n + self.sums[1].n;
        let is_plain_share = question.metric == Metric::Proportion && !self.is_adjusted;
        let (quantile, p_value, method) = match question.analysis {
            Analysis::Sequential { planned_units } => {
                let planned = planned_units as f64;
                let p = always_valid_p(value, variance, n as f64, planned, alpha)?;
                (half_width(1.0, n as f64, planned, alpha)?, p, "normal mixture confidence sequence")
            }
            Analysis::Fixed => {
                let df = variance * variance
                    / (parts[0] * parts[0] / (arm.n - 1.0) + parts[1] * parts[1] / (control.n - 1.0)).max(f64::MIN_POSITIVE);
                let df = if df.is_finite() && df >= 1.0 { df } else { arm.n + control.n - 2.0 };
                let p = match variance > 0.0 {
                    true => t_two_sided_p(value / variance.sqrt(), df)?,
                    false => f64::from(u8::from(value == 0.0)),
                };
                (t_quantile(1.0 - alpha / 2.0, df)?, p, if self.is_adjusted { "Welch, CUPED" } else { "Welch" })
            }
        };
        let reach = quantile * variance.sqrt();
        let mut interval = Interval::new(value - reach, value + reach, level);
        let against =
            TwoDifferences { top: arm.mean, top_variance: parts[0], bottom: control.mean, bottom_variance: parts[1], covariance: 0.0 };
        let mut lift = fieller(&against, quantile, level);
        let (mut p_value, mut methods) = (p_value, [method, "Fieller"]);
        if is_plain_share && question.analysis == Analysis::Fixed {
            let (k1, n1, k2, n2) = (self.sums[0].sum, arm.n, self.sums[1].sum, control.n);
            interval = newcombe(k1, n1, k2, n2, alpha);
            lift = katz_ratio(k1, n1, k2, n2, alpha);
            (p_value, methods) = (pooled_p(k1, n1, k2, n2), ["Newcombe, pooled z test", "Katz log"]);
        }
        let found = |value: f64, interval: Interval, method: &'static str| {
            Finding::new(value, interval, Sample::new(n, "units")?, question.control, method)
        };
        let relative_lift = match control.mean > 0.0 {
            true => {
                let less_one = Interval { low: lift.low.map(|low| low - 1.0), high: lift.high.map(|high| high - 1.0), level };
                Some(found(arm.mean / control.mean - 1.0, less_one, methods[1])?)
            }
            false => None,
        };
        let spend = self.spend(value, variance);
        let iroas = match spend {
            Some(given) => Some(found(given.top / given.bottom, fieller(&given, quantile, level), "Fieller")?),
            None => None,
        };
        Ok(Comparison {
            arm: self.sums[0].name.clone(),
            units: [self.sums[0].n, self.sums[1].n],
            means: [arm.mean, control.mean],
            difference: found(value, interval, methods[0])?,
            relative_lift,
            incremental: found(value * arm.n, interval.times(arm.n), methods[0])?,
            iroas,
            iroas_standard_error: spend.map(|given| delta_standard_error(&given)).filter(|error| error.is_finite()),
            incremental_spend: spend.map(|given| given.bottom * arm.n),
            p_value,
            is_significant: p_value < alpha,
            is_significant_reason: None,
        })
    }

    /// Difference of the metric and of spend per unit. Where only totals of spend are known they count as exact.
    fn spend(&self, difference: f64, variance: f64) -> Option<TwoDifferences> {
        let [arm, control] = self.sums;
        let ((arm_spend, arm_more), (control_spend, control_more)) = (arm.spend?, control.spend?);
        let (n1, n2) = (arm.n as f64, control.n as f64);
        let bottom = arm_spend / n1 - control_spend / n2;
        // What is left of equal spends after rounding is no difference.
        if bottom.abs() <= 1e-9 * (arm_spend / n1).abs().max((control_spend / n2).abs()) {
            return None;
        }
        let (mut bottom_variance, mut covariance) = (0.0, 0.0);
        if let (Some(more1), Some(more2)) = (arm_more, control_more) {
            for (sums, spend, [squares, cross], n) in [(arm, arm_spend, more1, n1), (control, control_spend, more2, n2)] {
                bottom_variance += centred(n, squares, spend, spend).max(0.0) / ((n - 1.0) * n);
                covariance += centred(n, cross, spend, sums.sum) / ((n - 1.0) * n);
            }
        }
        Some(TwoDifferences { top: difference, top_variance: variance, bottom, bottom_variance, covariance })
    }
}
