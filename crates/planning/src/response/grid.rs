//! The grid of curves: for each carry-over, shape and half saturation the level that fits best,
//! weighted by how well it fits and by a prior. The spread over the grid is the doubt.

use crate::optimizer::curve::Hill;

/// Shares of a period's effect that carry over to the next (geometric adstock).
const CARRY_OVER: [f64; 4] = [0.0, 0.25, 0.5, 0.75];
/// Shapes: 1 is Meridian's default for paid media, Robyn allows 0.5 to 3.
const SHAPES: [f64; 4] = [0.7, 1.0, 1.5, 2.2];
/// Half saturations, from a tenth to fifty times the mean spend.
const HALVES: i32 = 25;

/// One curve of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alternative {
    /// Probability within the grid.
    pub weight: f64,
    /// The curve, by period.
    pub curve: Hill,
    /// Variance of its level.
    pub beta_variance: f64,
    /// Share that carries over to the next period.
    pub carry_over: f64,
}

/// The grid after seeing a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The most probable curve.
    pub best: Alternative,
    /// All curves that are not negligible, weights summing to 1.
    pub all: Vec<Alternative>,
}

/// What is believed before the history.
#[derive(Debug, Clone, Copy)]
pub enum Prior<'a> {
    /// Slope 1 and half saturation `LogNormal(0.7, 0.4) + 0.1` in units of the mean spend.
    Meridian {
        /// Whether the history may change the shape, or only set the level.
        learns_shape: bool,
    },
    /// The overall curve of the campaign, in units of mean spend, scaled to this mean spend.
    Overall(&'a Fit),
}

impl Fit {
    /// Of these alternatives, whose weights need not sum to 1.
    #[must_use]
    pub fn of(mut all: Vec<Alternative>) -> Option<Self> {
        let best = all.iter().copied().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
        all.retain(|one| one.weight > 1e-6 * best.weight);
        let total: f64 = all.iter().map(|one| one.weight).sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        all.iter_mut().for_each(|one| one.weight /= total);
        Some(Self { best: Alternative { weight: best.weight / total, ..best }, all })
    }

    /// Curves in units of mean spend, carried over to an arm with this mean spend.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> Self {
        let grow = |one: &Alternative| Alternative {
            curve: Hill { beta: one.curve.beta * scale, k: one.curve.k * scale, ..one.curve },
            beta_variance: one.beta_variance * scale * scale,
            ..*one
        };
        Self { best: grow(&self.best), all: self.all.iter().map(grow).collect() }
    }

    /// Expected revenue at a steady spend, with its variance.
    #[must_use]
    pub fn moments(&self, x: f64) -> (f64, f64) {
        let (mut mean, mut square, mut within) = (0.0, 0.0, 0.0);
        for one in &self.all {
            let shape = Hill { beta: 1.0, ..one.curve }.response(x);
            let predicted = one.curve.beta * shape;
            mean += one.weight * predicted;
            square += one.weight * predicted * predicted;
            within += one.weight * one.beta_variance * shape * shape;
        }
        (mean, (square - mean * mean).max(0.0) + within)
    }
}

/// Weighted least squares for the level at each curve of the grid. Weights fall with spend,
/// because large periods vary more. With an overall curve, its prediction at the mean spend counts
/// as one more period. Each curve is weighted by `exp(-loss / 2)`.
#[must_use]
pub fn fit(points: &[(f64, f64)], mean: f64, prior: Prior<'_>) -> Option<Fit> {
    let weights: Vec<f64> = points.iter().map(|(x, _)| 2.0 * mean / (mean + x)).collect();
    let overall = match prior {
        Prior::Overall(fit) => Some(fit.best)
            .map(|best| Alternative { curve: Hill { beta: best.curve.beta * mean, k: best.curve.k * mean, ..best.curve }, ..best }),
        Prior::Meridian { .. } => None,
    };
    let mut candidates: Vec<(Alternative, f64, f64)> = Vec::new();
    for carry_over in CARRY_OVER {
        let held = steady(points, carry_over);
        for alpha in SHAPES {
            let powers: Vec<f64> = held.iter().map(|x| x.powf(alpha)).collect();
            for step in 0..HALVES {
                let k = mean * 0.1 * 500f64.powf(f64::from(step) / f64::from(HALVES - 1));
                let half = k.powf(alpha);
                let (mut zz, mut zr) = (0.0, 0.0);
                for ((power, (_, r)), w) in powers.iter().zip(points).zip(&weights) {
                    let z = power / (half + power);
                    zz += w * z * z;
                    zr += w * z * r;
                }
                if let Some(overall) = &overall {
                    let z = Hill { beta: 1.0, alpha, k }.response(mean);
                    zz += z * z;
                    zr += z * overall.curve.response(mean);
                }
                if zz <= 0.0 {
                    return None;
                }
                let beta = (zr / zz).max(0.0);
                let residual = |((power, (_, r)), w): ((&f64, &(f64, f64)), &f64)| w * (r - beta * power / (half + power)).powi(2);
                let loss: f64 = powers.iter().zip(points).zip(&weights).map(residual).sum();
                let curve = Hill { beta, alpha, k };
                let pull = pull(prior, overall.as_ref(), &curve, carry_over, mean);
                candidates.push((Alternative { weight: pull, curve, beta_variance: zz, carry_over }, loss, pull));
            }
        }
    }
    let freedom = points.len().saturating_sub(3).max(1) as f64;
    let least = candidates.iter().map(|candidate| candidate.1).fold(f64::INFINITY, f64::min);
    // A perfect fit still leaves doubt of rounding size, which keeps the weights finite.
    let noise = (least / freedom).max(1e-12 * mean * mean);
    let learns = !matches!(prior, Prior::Meridian { learns_shape: false });
    let score = |candidate: &(Alternative, f64, f64)| if learns { candidate.1 / noise + candidate.2 } else { candidate.2 };
    let top = candidates.iter().map(score).fold(f64::INFINITY, f64::min);
    let weighted = candidates.iter().map(|candidate| Alternative {
        weight: ((top - score(candidate)) / 2.0).exp(),
        beta_variance: noise / candidate.0.beta_variance,
        ..candidate.0
    });
    Fit::of(weighted.collect())
}

/// Spend as it works: part of each period's carries over to the next. Steady spend stays as it is.
fn steady(points: &[(f64, f64)], carry_over: f64) -> Vec<f64> {
    let mut held = points.first().map_or(0.0, |point| point.0);
    let step = |(x, _): &(f64, f64)| {
        held = (1.0 - carry_over) * x + carry_over * held;
        held
    };
    points.iter().map(step).collect()
}

/// Squared distance from the prior in standard deviations.
fn pull(prior: Prior<'_>, overall: Option<&Alternative>, curve: &Hill, carry_over: f64, mean: f64) -> f64 {
    match (prior, overall) {
        (Prior::Overall(_), Some(overall)) => {
            (curve.k / overall.curve.k).ln().powi(2)
                + ((curve.alpha / overall.curve.alpha).ln() / 0.35).powi(2)
                + ((carry_over - overall.carry_over) / 0.25).powi(2)
        }
        _ => {
            let half = (curve.k / mean - 0.1).max(0.01).ln();
            ((half - 0.7) / 0.4).powi(2) + (curve.alpha.ln() / 0.35).powi(2) + (carry_over / 0.35).powi(2)
        }
    }
}
