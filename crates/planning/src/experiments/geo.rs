//! Lift in markets: the mean of the treated markets against a de-meaned synthetic control (Abadie, Diamond and Hainmueller 2010; de-meaned:
//! Doudchenko and Imbens 2016, Ferman and Pinto 2021), with conformal p-values and intervals (Chernozhukov, Wüthrich and Zhu 2021).
//!
//! The control's weights are at least 0, add up to 1 and fit the treated mean over the days before, after each series was reduced by its own
//! mean of those days. For a test of an effect c, c is taken from the days of the test, weights are fitted on all days, and the residuals
//! of the test are compared with those in other places of the series.

use serde::Serialize;

use super::finding::{Control, Finding, Interval, Sample};
use super::lot::Lot;
use super::simplex::simplex_least_squares;
use super::{ExperimentError, check_share, mean};

/// Random orders of the days that are drawn for the permutation test.
const DRAWS: usize = 9_999;
/// Fewest days before the test.
pub const LEAST_PRE_DAYS: usize = 14;
/// Most days, before and during the test.
const MOST_DAYS: usize = 10_000;
/// Weights below this are shown as none.
const SMALLEST_WEIGHT: f64 = 1e-6;

/// Series of markets over the days before the test and those of the test.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Series of the treated markets.
    pub treated: Vec<Vec<f64>>,
    /// Names of the control markets.
    pub control_names: Vec<String>,
    /// Their series.
    pub controls: Vec<Vec<f64>>,
    /// Days before the test; the rest are days of the test.
    pub pre_days: usize,
}

/// How a geo test is read.
#[derive(Debug, Clone)]
pub struct GeoQuestion<'a> {
    /// One less the level of the interval, and the limit of significance.
    pub alpha: f64,
    /// What the control is.
    pub control: &'a Control,
    /// What seeds the random orders.
    pub seed: &'a str,
}

/// What a geo test says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoReadout {
    /// Mean effect per treated market and day.
    pub att: Finding,
    /// Effect over treated markets and days of the test together.
    pub incremental: Finding,
    /// Incremental over what would have been without.
    pub lift: Option<Finding>,
    /// No effect at all: mean absolute residual of the test among random orders of the days.
    pub p_value: f64,
    /// The same among the cyclic shifts of the series, which keeps neighbouring days together; at least 1 over the number of days.
    pub p_value_moving_block: f64,
    /// Whether both p-values are at most alpha: on some day there was an effect.
    pub rejects_no_effect: bool,
    /// Whether the interval of the mean effect leaves out 0, which takes more: an effect that differs from day to day widens it.
    pub mean_effect_excludes_zero: bool,
    /// Observed and counterfactual total of the treated markets over the test.
    pub totals: [f64; 2],
    /// Weights of the control markets, largest first, those above nothing.
    pub weights: Vec<(String, f64)>,
    /// Observed less counterfactual on each day (treated mean), before and during the test.
    pub gaps: Vec<f64>,
    /// How well the control fits and whether the same is found where nothing was done.
    pub robustness: Robustness,
    /// Days before and during the test.
    pub days: [usize; 2],
    /// Treated and control markets.
    pub markets: [usize; 2],
}

/// What the method finds where there is nothing to find.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// Root mean squared gap before the test.
    pub pre_rmspe: f64,
    /// The same over the treated mean: small is good.
    pub pre_rmspe_relative: f64,
    /// Root mean squared gap of the test over that before.
    pub rmspe_ratio: f64,
    /// Share of control markets, and the treated, whose ratio is at least as large when each is taken for treated (placebo in space).
    pub placebo_p_value: f64,
    /// Control markets taken for treated.
    pub placebos: usize,
    /// Effect found when the test is moved into the last days before it (placebo in time); absent when too few days remain.
    pub placebo_in_time: Option<f64>,
}

/// Residuals of the treated mean against its synthetic control, fitted on the first `fit` days.
pub(crate) struct Fit {
    /// Observed less counterfactual on each day.
    pub gaps: Vec<f64>,
    /// Weights of the controls.
    pub weights: Vec<f64>,
}

pub(crate) fn fit(target: &[f64], controls: &[Vec<f64>], fit: usize) -> Result<Fit, ExperimentError> {
    let reduced = |series: &[f64]| -> Vec<f64> {
        let level = mean(series.get(..fit).unwrap_or_default());
        series.iter().map(|value| value - level).collect()
    };
    let target = reduced(target);
    let controls: Vec<Vec<f64>> = controls.iter().map(|series| reduced(series)).collect();
    let fitted: Vec<Vec<f64>> = controls.iter().map(|series| series.iter().take(fit).copied().collect()).collect();
    let weights = simplex_least_squares(&fitted, target.get(..fit).unwrap_or_default())?;
    let gaps = target
        .iter()
        .enumerate()
        .map(|(day, value)| value - controls.iter().zip(&weights).map(|(series, weight)| series[day] * weight).sum::<f64>())
        .collect();
    Ok(Fit { gaps, weights })
}

pub(crate) fn mean_series(series: &[Vec<f64>]) -> Vec<f64> {
    let days = series.first().map_or(0, Vec::len);
    (0..days).map(|day| series.iter().map(|one| one[day]).sum::<f64>() / series.len() as f64).collect()
}

/// Residuals under the hypothesis of a constant effect, weights fitted on all days.
pub(crate) fn residuals(target: &[f64], controls: &[Vec<f64>], pre: usize, effect: f64) -> Result<Vec<f64>, ExperimentError> {
    let without: Vec<f64> = target.iter().enumerate().map(|(day, value)| if day < pre { *value } else { value - effect }).collect();
    Ok(fit(&without, controls, target.len())?.gaps)
}

/// Share of random orders of the days (this one included) whose last days have at least as large a mean absolute residual.
pub(crate) fn permutation_p(residuals: &[f64], pre: usize, draws: usize, lot: &mut Lot) -> f64 {
    let mut values: Vec<f64> = residuals.iter().map(|value| value.abs()).collect();
    let statistic = |values: &[f64]| values.iter().skip(pre).sum::<f64>();
    let observed = statistic(&values);
    let mut as_large = 1_usize;
    for _ in 0..draws {
        lot.shuffle(&mut values);
        as_large += usize::from(statistic(&values) >= observed * (1.0 - 1e-12));
    }
    as_large as f64 / (draws + 1) as f64
}

/// Share of cyclic shifts (this one included) whose block of the test's length has at least as large a statistic.
fn shift_p(residuals: &[f64], pre: usize, statistic: impl Fn(&mut dyn Iterator<Item = f64>) -> f64) -> f64 {
    let days = residuals.len();
    let block = |shift: usize| statistic(&mut (pre..days).map(|day| residuals[(day + shift) % days]));
    let observed = block(0);
    let as_large = (0..days).filter(|shift| block(*shift) >= observed * (1.0 - 1e-12)).count();
    as_large as f64 / days as f64
}

fn absolute_p(residuals: &[f64], pre: usize) -> f64 {
    shift_p(residuals, pre, |block| block.map(f64::abs).sum())
}

fn average_p(residuals: &[f64], pre: usize) -> f64 {
    shift_p(residuals, pre, |block| block.sum::<f64>().abs())
}

/// Checks that there is a panel to read.
///
/// # Errors
/// [`ExperimentError`].
pub fn check_panel(panel: &Panel) -> Result<(), ExperimentError> {
    let days = panel.treated.first().map_or(0, Vec::len);
    if panel.treated.is_empty() || panel.controls.len() < 2 || panel.control_names.len() != panel.controls.len() {
        return Err(ExperimentError::NotEnough("a geo test needs a treated market and at least two control markets".to_owned()));
    }
    if panel.pre_days < LEAST_PRE_DAYS || days <= panel.pre_days {
        return Err(ExperimentError::NotEnough(format!("a geo test needs at least {LEAST_PRE_DAYS} days before it and one day of it")));
    }
    if days > MOST_DAYS {
        return Err(ExperimentError::invalid("series", format!("must have at most {MOST_DAYS} days")));
    }
    let whole = |series: &Vec<f64>| series.len() == days && series.iter().all(|value| value.is_finite());
    if panel.treated.iter().chain(&panel.controls).all(whole) {
        Ok(())
    } else {
        Err(ExperimentError::invalid("series", "every market needs a number on every day"))
    }
}

/// Reads a geo test.
///
/// # Errors
/// [`ExperimentError`] as [`check_panel`].
pub fn analyse(panel: &Panel, question: &GeoQuestion<'_>) -> Result<GeoReadout, ExperimentError> {
    check_panel(panel)?;
    check_share("alpha", question.alpha)?;
    let (pre, target) = (panel.pre_days, mean_series(&panel.treated));
    let days = target.len();
    let found = fit(&target, &panel.controls, pre)?;
    let att = mean(&found.gaps[pre..]);
    let null = residuals(&target, &panel.controls, pre, 0.0)?;
    let p_value = permutation_p(&null, pre, DRAWS, &mut Lot::seeded(&["endcap-geo-v1", question.seed]));
    let p_value_moving_block = absolute_p(&null, pre);
    let interval = invert(&target, &panel.controls, pre, att, question.alpha)?;
    let scale = (panel.treated.len() * (days - pre)) as f64;
    let observed: f64 = target[pre..].iter().sum::<f64>() * panel.treated.len() as f64;
    let markets = [panel.treated.len(), panel.controls.len()];
    let sample = || Sample::new(((markets[0] + markets[1]) * days) as u64, "market_days");
    let method = "de-meaned synthetic control, conformal (moving blocks)";
    let finding = |value: f64, interval: Interval| Finding::new(value, interval, sample()?, question.control, method);
    let total = interval.times(scale);
    let relative = |incremental: f64| incremental / (observed - incremental);
    let lift = match observed - att * scale > 0.0 && observed > 0.0 {
        true => {
            let bound = |bound: Option<f64>| bound.filter(|bound| observed - bound > 0.0).map(relative);
            let interval = Interval { low: bound(total.low), high: bound(total.high), level: total.level };
            Some(finding(relative(att * scale), interval)?)
        }
        false => None,
    };
    let mut weights: Vec<(String, f64)> = panel.control_names.iter().cloned().zip(found.weights.iter().copied()).collect();
    weights.retain(|(_, weight)| *weight > SMALLEST_WEIGHT);
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(GeoReadout {
        att: finding(att, interval)?,
        incremental: finding(att * scale, total)?,
        lift,
        p_value,
        p_value_moving_block,
        rejects_no_effect: p_value <= question.alpha && p_value_moving_block <= question.alpha,
        mean_effect_excludes_zero: !interval.holds(0.0),
        totals: [observed, observed - att * scale],
        weights,
        robustness: robustness(panel, &target, &found.gaps)?,
        gaps: found.gaps,
        days: [pre, days - pre],
        markets,
    })
}

/// All constant effects whose mean residual in the test is not unusual among the shifts of the series.
fn invert(target: &[f64], controls: &[Vec<f64>], pre: usize, centre: f64, alpha: f64) -> Result<Interval, ExperimentError> {
    let level = 1.0 - alpha;
    let is_possible = |effect: f64| Ok::<bool, ExperimentError>(average_p(&residuals(target, controls, pre, effect)?, pre) > alpha);
    if 1.0 / target.len() as f64 > alpha || !is_possible(centre)? {
        return Ok(Interval { low: None, high: None, level });
    }
    let spread = (residuals(target, controls, pre, centre)?.iter().map(|value| value * value).sum::<f64>() / target.len() as f64).sqrt();
    let mut bounds = [None; 2];
    for (bound, sign) in bounds.iter_mut().zip([-1.0, 1.0]) {
        let (mut inside, mut step) = (centre, spread.max(centre.abs() * 1e-3).max(f64::MIN_POSITIVE));
        let mut outside = None;
        for _ in 0..30 {
            let next = centre + sign * step;
            if is_possible(next)? {
                inside = next;
                step *= 2.0;
            } else {
                outside = Some(next);
                break;
            }
        }
        let Some(mut outside) = outside else { continue };
        for _ in 0..24 {
            let middle = 0.5 * (inside + outside);
            if is_possible(middle)? { inside = middle } else { outside = middle }
        }
        *bound = Some(outside);
    }
    Ok(Interval { low: bounds[0], high: bounds[1], level })
}

fn rmspe(gaps: &[f64]) -> f64 {
    (gaps.iter().map(|gap| gap * gap).sum::<f64>() / gaps.len().max(1) as f64).sqrt()
}

fn robustness(panel: &Panel, target: &[f64], gaps: &[f64]) -> Result<Robustness, ExperimentError> {
    let pre = panel.pre_days;
    let ratio = |gaps: &[f64]| rmspe(&gaps[pre..]) / rmspe(&gaps[..pre]).max(f64::MIN_POSITIVE);
    let own = ratio(gaps);
    let mut as_large = 1_usize;
    for at in 0..panel.controls.len() {
        let others: Vec<Vec<f64>> = panel.controls.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, s)| s.clone()).collect();
        as_large += usize::from(ratio(&fit(&panel.controls[at], &others, pre)?.gaps) >= own);
    }
    let test = target.len() - pre;
    let placebo_in_time = match pre.checked_sub(test).filter(|before| *before >= LEAST_PRE_DAYS) {
        Some(before) => {
            let cut = |series: &Vec<f64>| series[..pre].to_vec();
            let controls: Vec<Vec<f64>> = panel.controls.iter().map(cut).collect();
            Some(mean(&fit(&target[..pre], &controls, before)?.gaps[before..]))
        }
        None => None,
    };
    let pre_rmspe = rmspe(&gaps[..pre]);
    Ok(Robustness {
        pre_rmspe,
        pre_rmspe_relative: pre_rmspe / mean(&target[..pre]).abs().max(f64::MIN_POSITIVE),
        rmspe_ratio: own,
        placebo_p_value: as_large as f64 / (panel.controls.len() + 1) as f64,
        placebos: panel.controls.len(),
        placebo_in_time,
    })
}
