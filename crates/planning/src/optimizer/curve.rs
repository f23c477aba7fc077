//! The Hill response curve and its exact best response to a price, on which every bound rests.

/// `r(x) = beta x^alpha / (k^alpha + x^alpha)`: the saturation curve of Robyn and Meridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hill {
    /// Response at saturation.
    pub beta: f64,
    /// Shape; above 1 the curve is S-shaped.
    pub alpha: f64,
    /// Spend at half saturation.
    pub k: f64,
}

impl Hill {
    /// Response to a spend of `x >= 0`.
    #[must_use]
    pub fn response(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        let power = (x / self.k).powf(self.alpha);
        if power.is_finite() { self.beta * power / (1.0 + power) } else { self.beta }
    }

    /// Slope `dr/dx` at `x`: the marginal return. At 0 it is the limit, which is infinite for
    /// `alpha < 1` and 0 for `alpha > 1`.
    #[must_use]
    pub fn slope(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return match self.alpha.total_cmp(&1.0) {
                std::cmp::Ordering::Less => f64::INFINITY,
                std::cmp::Ordering::Equal => self.beta / self.k,
                std::cmp::Ordering::Greater => 0.0,
            };
        }
        let power = (x / self.k).powf(self.alpha);
        if power.is_finite() { self.beta * self.alpha * power / (x * (1.0 + power) * (1.0 + power)) } else { 0.0 }
    }

    /// Response, slope and curvature `d2r/dx2` at a spend of `x > 0`.
    #[must_use]
    pub fn derivatives(&self, x: f64) -> (f64, f64, f64) {
        let power = (x / self.k).powf(self.alpha);
        if !power.is_finite() {
            return (self.beta, 0.0, 0.0);
        }
        let rest = 1.0 / (1.0 + power);
        let slope = self.beta * self.alpha * power * rest * rest / x;
        (self.beta * power * rest, slope, slope * ((self.alpha - 1.0) - (self.alpha + 1.0) * power) * rest / x)
    }

    /// Where the concave envelope over `[low, high]` leaves its chord from `low` and joins the curve:
    /// `low` when the curve is concave there, `high` when the envelope is one chord.
    #[must_use]
    pub fn touching_point(&self, low: f64, high: f64) -> f64 {
        let turn = self.inflection();
        if low >= turn || high <= low {
            return low;
        }
        let base = self.response(low);
        // How far the tangent at x passes above the start of the chord; rises with x on the concave part.
        let above = |x: f64| self.response(x) - base - self.slope(x) * (x - low);
        if turn >= high || above(high) <= 0.0 {
            return high;
        }
        if low <= 0.0 {
            // From the origin the tangent touches where alpha = 1 + (x/k)^alpha.
            return (self.k * (self.alpha - 1.0).powf(1.0 / self.alpha)).clamp(turn, high);
        }
        let (mut before, mut after) = (turn, high);
        for _ in 0..60 {
            let middle = 0.5 * (before + after);
            if above(middle) > 0.0 {
                after = middle
            } else {
                before = middle
            }
            if after - before <= 1e-13 * after {
                break;
            }
        }
        after
    }

    /// Where the curve turns from convex to concave; 0 for concave curves.
    #[must_use]
    pub fn inflection(&self) -> f64 {
        if self.alpha <= 1.0 { 0.0 } else { self.k * ((self.alpha - 1.0) / (self.alpha + 1.0)).powf(1.0 / self.alpha) }
    }

    /// The spend in `[low, high]` that maximises `weight * r(x) - price * x`, for `weight >= 0`.
    #[must_use]
    pub fn best_response(&self, weight: f64, price: f64, low: f64, high: f64) -> f64 {
        if high <= low {
            return low;
        }
        let gain = weight * self.beta;
        if price <= 0.0 {
            return if price < 0.0 || gain > 0.0 { high } else { low };
        }
        if gain <= 0.0 {
            return low;
        }
        let Some(stationary) = self.concave_point(price / gain) else { return low };
        let turn = self.inflection();
        if low >= turn {
            return stationary.clamp(low, high);
        }
        let candidate = if turn >= high { high } else { stationary.clamp(turn, high) };
        let net = |x: f64| weight * self.response(x) - price * x;
        if net(candidate) > net(low) { candidate } else { low }
    }

    /// The point of the concave part whose slope is `ratio * beta`, if the curve is that steep.
    ///
    /// In `u = alpha ln(x/k)` the log slope is concave and falling, so Newton's method from the
    /// right end converges monotonically.
    fn concave_point(&self, ratio: f64) -> Option<f64> {
        if self.alpha == 1.0 {
            let root = (self.k / ratio).sqrt() - self.k;
            return (root > 0.0).then_some(root);
        }
        let target = (ratio * self.k / self.alpha).ln();
        let tilt = (self.alpha - 1.0) / self.alpha;
        let log_slope = |u: f64| tilt * u - 2.0 * softplus(u);
        if self.alpha > 1.0 {
            let turn = ((self.alpha - 1.0) / (self.alpha + 1.0)).ln();
            if target >= log_slope(turn) {
                return None;
            }
        }
        let mut u = -target * self.alpha / (self.alpha + 1.0);
        for _ in 0..80 {
            let derivative = tilt - 2.0 * logistic(u);
            let step = (log_slope(u) - target) / derivative;
            if !step.is_finite() {
                break;
            }
            u -= step;
            if step.abs() <= 1e-14 * (1.0 + u.abs()) {
                break;
            }
        }
        Some(self.k * (u / self.alpha).exp())
    }
}

fn softplus(u: f64) -> f64 {
    if u > 0.0 { u + (-u).exp().ln_1p() } else { u.exp().ln_1p() }
}

fn logistic(u: f64) -> f64 {
    1.0 / (1.0 + (-u).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_response_beats_a_fine_grid() {
        for alpha in [0.5, 0.8, 1.0, 1.3, 2.0, 3.0] {
            let curve = Hill { beta: 1000.0, alpha, k: 200.0 };
            for price in [0.05, 0.3, 1.0, 1.9, 3.0, 8.0] {
                for (low, high) in [(0.0, 900.0), (30.0, 120.0), (150.0, 700.0), (0.0, 40.0)] {
                    let net = |x: f64| curve.response(x) - price * x;
                    let found = net(curve.best_response(1.0, price, low, high));
                    let grid =
                        (0..=20_000).map(|step| net(low + (high - low) * f64::from(step) / 20_000.0)).fold(f64::NEG_INFINITY, f64::max);
                    assert!(found >= grid - 1e-9 * grid.abs().max(1.0), "alpha {alpha} price {price} [{low}, {high}]: {found} < {grid}");
                }
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        for alpha in [0.4, 0.9, 1.0, 2.3] {
            let curve = Hill { beta: 900.0, alpha, k: 150.0 };
            for x in [3.0, 80.0, 400.0] {
                let h = 1e-4 * x;
                let (response, slope, curvature) = curve.derivatives(x);
                let numeric = (curve.slope(x + h) - curve.slope(x - h)) / (2.0 * h);
                assert!((response - curve.response(x)).abs() < 1e-9 && (slope - curve.slope(x)).abs() < 1e-9);
                assert!((curvature - numeric).abs() <= 1e-5 * numeric.abs(), "alpha {alpha} at {x}: {curvature} or {numeric}");
            }
        }
    }

    #[test]
    fn the_chord_touches_and_stays_above() {
        for (alpha, low, high) in [(1.5, 0.0, 900.0), (3.0, 40.0, 2_000.0), (2.0, 10.0, 120.0), (2.5, 0.0, 60.0), (0.8, 0.0, 100.0)] {
            let curve = Hill { beta: 900.0, alpha, k: 150.0 };
            let touch = curve.touching_point(low, high);
            let rise = (curve.response(touch) - curve.response(low)) / (touch - low).max(1e-12);
            for step in 0..=200 {
                let x = low + (high - low) * f64::from(step) / 200.0;
                let chord = curve.response(low) + rise * (x - low);
                assert!(x >= touch || curve.response(x) <= chord + 1e-9, "alpha {alpha}: above the chord at {x}");
            }
            assert!(touch >= high || touch <= low || (curve.slope(touch) - rise).abs() < 1e-6 * rise, "alpha {alpha}: not a tangent");
        }
    }

    #[test]
    fn slope_is_the_derivative() {
        let curve = Hill { beta: 1000.0, alpha: 1.7, k: 200.0 };
        let numeric = (curve.response(150.001) - curve.response(149.999)) / 0.002;
        assert!((curve.slope(150.0) - numeric).abs() < 1e-6);
    }
}
