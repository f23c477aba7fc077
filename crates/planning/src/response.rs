//! Response curves from history: what revenue a period's spend brought, with honest doubt. Each
//! arm gets `r(x) = beta x / (k + x)` (Hill with alpha 1, the paid-media default of Meridian) by
//! weighted least squares on a grid of `k`, drawn towards the campaign's overall curve; arms whose
//! history cannot tell a curve use the overall curve and say so. Observed history is not an
//! experiment: the curves describe association, and their errors do not cover confounding.

use serde::{Deserialize, Serialize};

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
    /// The campaign's overall curve, scaled to the arm.
    Pooled,
}

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
}

/// Fewest periods with spend and revenue for a curve of its own.
pub const MIN_PERIODS: usize = 6;
/// Least coefficient of variation of spend for a curve of its own.
pub const MIN_VARIATION: f64 = 0.1;

/// A response curve per period, with its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Revenue of a period at saturation.
    pub beta: f64,
    /// Spend of a period at half saturation.
    pub k: f64,
    /// Own history or the overall curve.
    pub origin: Origin,
    /// Why the overall curve was used.
    pub verdict: Option<NotIdentifiable>,
    /// Mean measured spend of a period, absent when none was measured.
    pub mean_spend: Option<f64>,
    alternatives: Vec<Alternative>,
    /// Extra relative standard error: spread between arms, for pooled curves.
    between: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Alternative {
    weight: f64,
    beta: f64,
    beta_variance: f64,
    k: f64,
}

impl Curve {
    /// Expected revenue of a period with spend `x`.
    #[must_use]
    pub fn revenue(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { self.beta * x / (self.k + x) }
    }

    /// Standard error of [`Curve::revenue`] (of the mean, not of a single period): spread over
    /// the grid of curves by their fit, plus for pooled curves the spread between arms. Absent
    /// when too few arms are measured to know that spread.
    #[must_use]
    pub fn standard_error(&self, x: f64) -> Option<f64> {
        if x <= 0.0 {
            return Some(0.0);
        }
        let (mut mean, mut square, mut within) = (0.0, 0.0, 0.0);
        for alternative in &self.alternatives {
            let shape = x / (alternative.k + x);
            let predicted = alternative.beta * shape;
            mean += alternative.weight * predicted;
            square += alternative.weight * predicted * predicted;
            within += alternative.weight * alternative.beta_variance * shape * shape;
        }
        let own = (square - mean * mean).max(0.0) + within;
        match self.origin {
            Origin::Fitted => Some(own.sqrt()),
            Origin::Pooled => self.between.map(|spread| (own + (spread * self.revenue(x)).powi(2)).sqrt()),
        }
    }
}

/// Fits one curve for each arm; `None` when no arm has a period with positive spend and revenue
/// measured, because then there is nothing to learn from.
#[must_use]
pub fn fit(arms: &[Vec<Observation>]) -> Option<Vec<Curve>> {
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
    let overall = fit_grid(&scaled, 1.0, None)?;
    let between = spread_between(&histories, &overall);
    Some(
        histories
            .iter()
            .zip(&means)
            .map(|(points, mean)| {
                let scale = mean.unwrap_or(typical);
                let verdict = identifiable(points);
                let own = if verdict.is_none() { fit_grid(points, scale, Some(&overall)) } else { None };
                let (origin, fitted) = match own {
                    Some(own) => (Origin::Fitted, own),
                    None => (Origin::Pooled, overall.scaled(scale)),
                };
                Curve { beta: fitted.beta, k: fitted.k, origin, verdict, mean_spend: *mean, alternatives: fitted.alternatives, between }
            })
            .collect(),
    )
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

#[derive(Debug, Clone)]
struct Fit {
    beta: f64,
    k: f64,
    alternatives: Vec<Alternative>,
}

impl Fit {
    /// A curve in units of the arm's mean spend, carried over to an arm with mean spend `scale`.
    fn scaled(&self, scale: f64) -> Self {
        let alternatives = self.alternatives.iter().map(|alternative| Alternative {
            weight: alternative.weight,
            beta: alternative.beta * scale,
            beta_variance: alternative.beta_variance * scale * scale,
            k: alternative.k * scale,
        });
        Self { beta: self.beta * scale, k: self.k * scale, alternatives: alternatives.collect() }
    }
}

/// Number of grid values of `k`, from a tenth to fifty times the mean spend.
const GRID: i32 = 33;

/// Weighted least squares for `beta` at each `k` of the grid. Weights fall with spend, because
/// large periods vary more. With an overall curve, its prediction at the mean spend counts as one
/// more period, and `k` has a log-normal prior (log standard deviation 1) around the overall `k`.
/// Each grid point is weighted by `exp(-loss / 2)`, which carries the doubt about `k`.
fn fit_grid(points: &[(f64, f64)], mean: f64, overall: Option<&Fit>) -> Option<Fit> {
    let prior = overall.map(|fit| fit.scaled(mean));
    let weights: Vec<f64> = points.iter().map(|(x, _)| 2.0 * mean / (mean + x)).collect();
    let mut candidates = Vec::new();
    for step in 0..GRID {
        let k = mean * 0.1 * 500f64.powf(f64::from(step) / f64::from(GRID - 1));
        let (mut zz, mut zr) = (0.0, 0.0);
        for ((x, r), w) in points.iter().zip(&weights) {
            let z = x / (k + x);
            zz += w * z * z;
            zr += w * z * r;
        }
        let mut pull = 0.0;
        if let Some(prior) = &prior {
            let z = mean / (k + mean);
            zz += z * z;
            zr += z * prior.beta * mean / (prior.k + mean);
            pull = (k / prior.k).ln().powi(2);
        }
        if zz <= 0.0 {
            return None;
        }
        let beta = (zr / zz).max(0.0);
        let loss: f64 = points.iter().zip(&weights).map(|((x, r), w)| w * (r - beta * x / (k + x)).powi(2)).sum();
        candidates.push((k, beta, zz, loss, pull));
    }
    let freedom = points.len().saturating_sub(2).max(1) as f64;
    let least = candidates.iter().map(|candidate| candidate.3).fold(f64::INFINITY, f64::min);
    // A perfect fit still leaves doubt of rounding size, which keeps the weights finite.
    let noise = (least / freedom).max(1e-12 * mean * mean);
    let score = |candidate: &(f64, f64, f64, f64, f64)| candidate.3 / noise + candidate.4;
    let best = candidates.iter().min_by(|a, b| score(a).total_cmp(&score(b))).copied()?;
    let total: f64 = candidates.iter().map(|candidate| ((score(&best) - score(candidate)) / 2.0).exp()).sum();
    let alternatives = candidates.iter().map(|candidate| Alternative {
        weight: ((score(&best) - score(candidate)) / 2.0).exp() / total,
        beta: candidate.1,
        beta_variance: noise / candidate.2,
        k: candidate.0,
    });
    Some(Fit { beta: best.1, k: best.0, alternatives: alternatives.collect() })
}

/// Standard deviation between arms of actual over predicted revenue, from at least three arms.
fn spread_between(histories: &[Vec<(f64, f64)>], overall: &Fit) -> Option<f64> {
    let ratios: Vec<f64> = histories
        .iter()
        .filter_map(|points| {
            let mean = mean_spend(points)?;
            let actual: f64 = points.iter().map(|(_, r)| r).sum();
            let predicted: f64 = points.iter().map(|(x, _)| mean * overall.beta * (x / mean) / (overall.k + x / mean)).sum();
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
        let curves = fit(&[history(1000.0, 200.0, &SPENDS, &NOISE)]).unwrap();
        let curve = &curves[0];
        assert_eq!(curve.origin, Origin::Fitted);
        for x in [100.0, 250.0, 450.0] {
            let truth = 1000.0 * x / (200.0 + x);
            let error = curve.standard_error(x).unwrap();
            assert!((curve.revenue(x) - truth).abs() < 0.06 * truth, "{} {truth}", curve.revenue(x));
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
        let curves = fit(&[good, few, flat, blind]).unwrap();
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
        assert_eq!(fit(&[vec![Observation { spend: None, revenue: None }]]), None);
        assert_eq!(fit(&[vec![], vec![]]), None);
    }

    #[test]
    fn unknown_spread_of_a_pooled_arm_is_not_invented() {
        let curves = fit(&[history(1000.0, 200.0, &SPENDS, &NOISE), vec![]]).unwrap();
        assert_eq!(curves[1].standard_error(100.0), None);
    }
}
