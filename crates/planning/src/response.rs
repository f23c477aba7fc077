//! Response curves from history: what revenue a period's spend brought, with honest doubt. Each
//! arm gets a Hill curve over geometric adstock, `r(x) = beta x^alpha / (k^alpha + x^alpha)`, by
//! weighted least squares on a grid of carry-over, shape and half saturation, drawn towards the
//! campaign's overall curve; arms whose history cannot tell a curve use a named prior and say so.
//! Observed history is not an experiment: its curves describe association, and their errors do not
//! cover confounding; [`Calibration`]s from experiments correct their level.

pub mod calibration;
pub mod grid;

use serde::{Deserialize, Serialize};

use crate::optimizer::curve::Hill;
use crate::random::Random;
use calibration::Calibration;
use grid::{Fit, Prior};

/// One period of one arm, in whole currency units. Absent means not measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Spend of the period.
    pub spend: Option<f64>,
    /// Attributed revenue of the period.
    pub revenue: Option<f64>,
}

/// Where a curve comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The arm's own history.
    Fitted,
    /// A prior, scaled to the arm; [`Curve::prior`] names it.
    Pooled,
}

/// The prior of arms whose own history cannot tell a curve, when the campaign's can.
pub const PRIOR_OVERALL: &str = "overall curve of the campaign, scaled to the line's mean spend";
/// The prior when not even the campaign's history tells a curve: only the level is learned.
pub const PRIOR_MERIDIAN: &str =
    "Meridian default: slope 1, half saturation LogNormal(0.7, 0.4) + 0.1 in units of mean spend; level from the campaign's return";

/// Why an arm's own history cannot tell its curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotIdentifiable {
    /// No period has both spend and revenue.
    NoSpendMeasured,
    /// Fewer than [`MIN_PERIODS`] periods have both.
    TooFewPeriods,
    /// Spend hardly differs between periods, so its effect cannot be told from the level.
    NoSpendVariation,
    /// The curve's standard error at the mean spend is over half of its revenue there.
    TooNoisy,
}

/// Fewest periods with spend and revenue for a curve of its own.
pub const MIN_PERIODS: usize = 6;
/// Least coefficient of variation of spend for a curve of its own.
pub const MIN_VARIATION: f64 = 0.1;

/// Largest relative standard error at the mean spend for a curve of its own.
pub const MAX_RELATIVE_ERROR: f64 = 0.5;
/// Relative spread between arms that draws assume where it is not measured.
pub const ASSUMED_SPREAD: f64 = 0.5;

/// A response curve per period, with its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The most probable curve, at steady spend.
    pub hill: Hill,
    /// Share of a period's effect that carries over to the next.
    pub carry_over: f64,
    /// Own history or a prior.
    pub origin: Origin,
    /// Why a prior was used.
    pub verdict: Option<NotIdentifiable>,
    /// Which prior was used.
    pub prior: Option<&'static str>,
    /// Experiments that set the level.
    pub calibrated_by: Vec<String>,
    /// Mean measured spend of a period, absent when none was measured.
    pub mean_spend: Option<f64>,
    /// Periods with spend and revenue.
    pub periods: usize,
    fit: Fit,
    /// Extra relative standard error: spread between arms, for curves by prior.
    between: Option<f64>,
}

impl Curve {
    /// Expected revenue of a period with steady spend `x`.
    #[must_use]
    pub fn revenue(&self, x: f64) -> f64 {
        self.hill.response(x)
    }

    /// Standard error of [`Curve::revenue`] (of the mean, not of a single period): spread over
    /// the grid of curves by their fit, plus for curves by prior the spread between arms. Absent
    /// when too few arms are measured to know that spread.
    #[must_use]
    pub fn standard_error(&self, x: f64) -> Option<f64> {
        if x <= 0.0 {
            return Some(0.0);
        }
        let (_, own) = self.fit.moments(x);
        match self.origin {
            Origin::Fitted => Some(own.sqrt()),
            // An experiment on the arm itself makes the spread between arms irrelevant.
            Origin::Pooled if !self.calibrated_by.is_empty() => Some(own.sqrt()),
            Origin::Pooled => self.between.map(|spread| (own + (spread * self.revenue(x)).powi(2)).sqrt()),
        }
    }

    /// Interval of the expected revenue at steady spend `x`: quantiles of the mixture of curves
    /// (normal errors of the level within each), not below 0.
    #[must_use]
    pub fn interval(&self, x: f64, level: f64) -> (f64, f64) {
        let (mean, variance) = self.fit.moments(x);
        let reach = 12.0 * variance.sqrt() + 1e-12;
        let below = |at: f64| -> f64 {
            let part = |one: &grid::Alternative| {
                let shape = Hill { beta: 1.0, ..one.curve }.response(x);
                let deviation = one.beta_variance.sqrt() * shape;
                one.weight * crate::comparison::probability_positive(at - one.curve.beta * shape, deviation)
            };
            self.fit.all.iter().map(part).sum()
        };
        let quantile = |wanted: f64| {
            let (mut low, mut high) = (mean - reach, mean + reach);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if below(middle) < wanted { low = middle } else { high = middle }
            }
            (0.5 * (low + high)).max(0.0)
        };
        (quantile((1.0 - level) / 2.0), quantile((1.0 + level) / 2.0))
    }

    /// One curve as it may be in truth. For curves by prior the spread between arms is drawn too,
    /// [`ASSUMED_SPREAD`] where it is not measured.
    pub fn draw(&self, random: &mut Random) -> Hill {
        let (mut left, level) = (random.uniform(), random.normal());
        let by_weight = |one: &&grid::Alternative| {
            left -= one.weight;
            left <= 0.0
        };
        let drawn = self.fit.all.iter().find(by_weight).unwrap_or(&self.fit.best);
        let mut beta = drawn.curve.beta + level * drawn.beta_variance.sqrt();
        let spread = random.normal() * self.between.unwrap_or(ASSUMED_SPREAD);
        if self.origin == Origin::Pooled && self.calibrated_by.is_empty() {
            beta *= 1.0 + spread;
        }
        Hill { beta: beta.max(0.0), ..drawn.curve }
    }
}

/// Fits one curve for each arm; `None` when no arm has a period with positive spend and revenue
/// measured, because then there is nothing to learn a level from. Periods stand in their order.
#[must_use]
pub fn fit(arms: &[Vec<Observation>], calibrations: &[Calibration]) -> Option<Vec<Curve>> {
    let histories: Vec<Vec<(f64, f64)>> = arms.iter().map(|arm| measured(arm)).collect();
    let means: Vec<Option<f64>> = histories.iter().map(|points| mean_spend(points)).collect();
    let known: Vec<f64> = means.iter().flatten().copied().collect();
    if known.is_empty() {
        return None;
    }
    let typical = known.iter().sum::<f64>() / known.len() as f64;
    let scaled: Vec<(f64, f64)> = histories
        .iter()
        .zip(&means)
        .filter_map(|(points, mean)| mean.map(|mean| (points, mean)))
        .flat_map(|(points, mean)| points.iter().map(move |(x, r)| (x / mean, r / mean)))
        .collect();
    let learns_shape = identifiable(&scaled).is_none();
    let overall = grid::fit(&scaled, 1.0, Prior::Meridian { learns_shape })?;
    let between = spread_between(&histories, &overall);
    let curve = |index: usize, points: &[(f64, f64)], mean: Option<f64>| {
        let scale = mean.unwrap_or(typical);
        let mut verdict = identifiable(points);
        let mut own = if verdict.is_none() { grid::fit(points, scale, Prior::Overall(&overall)) } else { None };
        if let Some(fitted) = &own {
            let (revenue, variance) = fitted.moments(scale);
            if variance.sqrt() > MAX_RELATIVE_ERROR * revenue {
                (own, verdict) = (None, Some(NotIdentifiable::TooNoisy));
            }
        }
        let origin = if own.is_some() { Origin::Fitted } else { Origin::Pooled };
        let mut fit = own.unwrap_or_else(|| overall.scaled(scale));
        let found: Vec<&Calibration> = calibrations.iter().filter(|calibration| calibration.arm == index).collect();
        let mut calibrated_by = Vec::new();
        if !found.is_empty()
            && let Some(updated) = calibration::update(&fit, &found)
        {
            fit = updated;
            calibrated_by = found.iter().map(|calibration| calibration.source.clone()).collect();
        }
        let prior = if learns_shape { PRIOR_OVERALL } else { PRIOR_MERIDIAN };
        Curve {
            hill: fit.best.curve,
            carry_over: fit.best.carry_over,
            origin,
            verdict,
            prior: (origin == Origin::Pooled).then_some(prior),
            calibrated_by,
            mean_spend: mean,
            periods: points.len(),
            fit,
            between,
        }
    };
    Some(histories.iter().zip(&means).enumerate().map(|(index, (points, mean))| curve(index, points, *mean)).collect())
}

fn measured(history: &[Observation]) -> Vec<(f64, f64)> {
    history
        .iter()
        .filter_map(|point| Some((point.spend?, point.revenue?)))
        .filter(|(spend, revenue)| spend.is_finite() && revenue.is_finite() && *spend >= 0.0)
        .collect()
}

fn mean_spend(points: &[(f64, f64)]) -> Option<f64> {
    let mean = points.iter().map(|(x, _)| x).sum::<f64>() / points.len() as f64;
    (mean > 0.0).then_some(mean)
}

fn identifiable(points: &[(f64, f64)]) -> Option<NotIdentifiable> {
    let Some(mean) = mean_spend(points) else { return Some(NotIdentifiable::NoSpendMeasured) };
    if points.len() < MIN_PERIODS {
        return Some(NotIdentifiable::TooFewPeriods);
    }
    let variance = points.iter().map(|(x, _)| (x - mean).powi(2)).sum::<f64>() / points.len() as f64;
    (variance.sqrt() < MIN_VARIATION * mean).then_some(NotIdentifiable::NoSpendVariation)
}

/// Standard deviation between arms of actual over predicted revenue, from at least three arms.
fn spread_between(histories: &[Vec<(f64, f64)>], overall: &Fit) -> Option<f64> {
    let ratios: Vec<f64> = histories
        .iter()
        .filter_map(|points| {
            let mean = mean_spend(points)?;
            let actual: f64 = points.iter().map(|(_, r)| r).sum();
            let predicted: f64 = points.iter().map(|(x, _)| mean * overall.best.curve.response(x / mean)).sum();
            (predicted > 0.0).then(|| actual / predicted)
        })
        .collect();
    if ratios.len() < 3 {
        return None;
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (ratios.len() - 1) as f64;
    Some(variance.sqrt())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn history(beta: f64, k: f64, spends: &[f64], noise: &[f64]) -> Vec<Observation> {
        let noise = noise.iter().cycle();
        spends.iter().zip(noise).map(|(&x, e)| Observation { spend: Some(x), revenue: Some(beta * x / (k + x) * (1.0 + e)) }).collect()
    }

    const SPENDS: [f64; 10] = [20.0, 50.0, 80.0, 120.0, 160.0, 200.0, 260.0, 320.0, 400.0, 500.0];
    const NOISE: [f64; 5] = [0.03, -0.04, 0.01, 0.02, -0.02];

    #[test]
    fn recovers_a_known_curve_within_its_error() {
        let curves = fit(&[history(1000.0, 200.0, &SPENDS, &NOISE)], &[]).unwrap();
        let curve = &curves[0];
        assert_eq!(curve.origin, Origin::Fitted);
        for x in [100.0, 250.0, 450.0] {
            let truth = 1000.0 * x / (200.0 + x);
            let error = curve.standard_error(x).unwrap();
            assert!((curve.revenue(x) - truth).abs() < 0.08 * truth, "{} {truth}", curve.revenue(x));
            assert!((curve.revenue(x) - truth).abs() < 4.0 * error + 0.02 * truth && error > 0.0);
        }
        assert!(curve.standard_error(3000.0) > curve.standard_error(250.0));
    }

    #[test]
    fn says_what_it_cannot_tell() {
        let good = history(1000.0, 200.0, &SPENDS, &NOISE);
        let few = history(500.0, 200.0, &SPENDS[..3], &NOISE);
        let flat = history(900.0, 200.0, &[100.0; 12], &NOISE);
        let blind = vec![Observation { spend: None, revenue: Some(4.0) }; 20];
        let curves = fit(&[good, few, flat, blind], &[]).unwrap();
        let verdicts: Vec<_> = curves.iter().map(|curve| curve.verdict).collect();
        assert_eq!(
            verdicts,
            [None, Some(NotIdentifiable::TooFewPeriods), Some(NotIdentifiable::NoSpendVariation), Some(NotIdentifiable::NoSpendMeasured)]
        );
        assert!(curves[1..].iter().all(|curve| curve.origin == Origin::Pooled));
        assert_eq!(curves[3].mean_spend, None);
        assert!(curves[2].standard_error(100.0).unwrap() > curves[0].standard_error(100.0).unwrap());
    }

    #[test]
    fn nothing_measured_gives_nothing() {
        assert_eq!(fit(&[vec![Observation { spend: None, revenue: None }]], &[]), None);
        assert_eq!(fit(&[vec![], vec![]], &[]), None);
    }

    #[test]
    fn unknown_spread_of_a_pooled_arm_is_not_invented() {
        let curves = fit(&[history(1000.0, 200.0, &SPENDS, &NOISE), vec![]], &[]).unwrap();
        assert_eq!(curves[1].standard_error(100.0), None);
    }
}
