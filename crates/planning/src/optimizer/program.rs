//! The solver's own form of a budget problem: arms with curves, bounds and steps, and coupling
//! rows `sum (cost_i x_i - gain_i r_i(x_i)) <= limit`, each scaled to about one.

use serde::{Deserialize, Serialize};

use super::curve::Hill;

/// A separable program: maximise `sum value_i r_i(x_i)` over the box, subject to the rows.
#[derive(Debug, Clone)]
pub struct Program {
    /// Curves, values and bounds.
    pub arms: Vec<ProgramArm>,
    /// Coupling constraints.
    pub rows: Vec<Row>,
    /// Arms that may get nothing, with the most they could get if they were open.
    pub closed: Vec<(usize, f64)>,
    /// Ids of the arms when their bounds were stated one by one, so that a conflict names them.
    pub names: Option<Vec<String>>,
}

/// One arm.
#[derive(Debug, Clone, Copy)]
pub struct ProgramArm {
    /// Response curve.
    pub curve: Hill,
    /// Worth of one unit of response in the objective, 0 or more.
    pub value: f64,
    /// Least spend.
    pub low: f64,
    /// Most spend.
    pub high: f64,
    /// Spend is a multiple of this; 0 for any amount.
    pub step: f64,
    /// Least and most spend as they were stated, before they were moved to multiples of the step.
    pub stated: (f64, f64),
}

impl ProgramArm {
    /// An arm within stated bounds, of which its own are the multiples of the step.
    #[must_use]
    pub fn within(curve: Hill, value: f64, (low, high): (f64, f64), step: f64) -> Self {
        let mut arm = Self { curve, value, low, high, step, stated: (low, high) };
        arm.align();
        arm
    }

    /// The allowed spend in `[low, high]` that maximises `weight * r(x) - price * x`, for
    /// `weight >= 0`. With steps: a curve that is first convex, then concave has its best multiple
    /// at an end, beside the turning point or beside the best point of the concave part.
    #[must_use]
    pub fn best_response(&self, weight: f64, price: f64) -> f64 {
        let (low, high) = (self.low, self.high);
        let best = self.curve.best_response(weight, price, low, high);
        if self.step <= 0.0 || high <= low {
            return best;
        }
        let turn = self.curve.inflection().clamp(low, high);
        let concave = self.curve.best_response(weight, price, turn, high);
        let net = |x: f64| weight * self.curve.response(x) - price * x;
        let around = [best, turn, concave].into_iter().flat_map(|x| {
            let below = self.floor(x);
            [below, (below + self.step).min(high)]
        });
        around.fold(low, |held, x| if net(x) > net(held) { x } else { held })
    }

    /// The largest allowed spend that is not above `x`, but at least the least spend.
    #[must_use]
    pub fn floor(&self, x: f64) -> f64 {
        if self.step <= 0.0 {
            return x.clamp(self.low, self.high.max(self.low));
        }
        ((x / self.step + 1e-9).floor() * self.step).clamp(self.low, self.high.max(self.low))
    }

    /// The smallest allowed spend that is not below `x`, but at most the largest spend.
    #[must_use]
    pub fn ceil(&self, x: f64) -> f64 {
        let multiple = if self.step > 0.0 { (x / self.step - 1e-9).ceil() * self.step } else { x };
        multiple.max(self.low).min(self.high)
    }

    /// Moves the bounds inwards to multiples of the step.
    pub fn align(&mut self) {
        if self.step > 0.0 {
            self.low = (self.low / self.step - 1e-9).ceil() * self.step;
            self.high = (self.high / self.step + 1e-9).floor() * self.step;
        }
    }
}

/// Which side of a limit is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// The value may not exceed the limit.
    AtMost,
    /// The value may not fall below the limit.
    AtLeast,
}

/// What a row limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum of spends.
    Spend,
    /// Response over spend.
    Return,
    /// Spend over a weighted response (conversions).
    Cost,
}

/// One coupling constraint in "at most" form.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name shown to people.
    pub name: String,
    /// The limit in the user's unit, shown to people.
    pub shown_limit: f64,
    /// Which side of the shown limit is allowed.
    pub sense: Sense,
    /// What is limited.
    pub kind: Kind,
    /// Right-hand side, scaled.
    pub limit: f64,
    /// `(arm, cost, gain)`, scaled; `gain >= 0`.
    pub terms: Vec<(usize, f64, f64)>,
    scale: f64,
}

impl Row {
    /// Total spend of `arms` at most `limit`.
    #[must_use]
    pub fn spend_at_most(name: &str, arms: &[usize], limit: f64) -> Self {
        Self::spend(name, arms, limit, Sense::AtMost)
    }

    /// Total spend of `arms` at least `limit`.
    #[must_use]
    pub fn spend_at_least(name: &str, arms: &[usize], limit: f64) -> Self {
        Self::spend(name, arms, limit, Sense::AtLeast)
    }

    /// `sum factor_i r_i >= floor * sum x_i` over all arms named in `factors`. `typical` is a
    /// typical total spend.
    #[must_use]
    pub fn return_at_least(name: &str, factors: &[(usize, f64)], floor: f64, typical: f64) -> Self {
        let scale = (floor * typical).max(1e-9);
        let terms = factors.iter().map(|&(arm, factor)| (arm, floor / scale, factor / scale)).collect();
        Self { name: name.to_owned(), shown_limit: floor, sense: Sense::AtLeast, kind: Kind::Return, limit: 0.0, terms, scale }
    }

    /// `sum x_i <= limit * sum factor_i r_i`: what one unit of the weighted response may cost.
    #[must_use]
    pub fn cost_at_most(name: &str, factors: &[(usize, f64)], limit: f64, typical: f64) -> Self {
        let scale = typical.max(1e-9);
        let terms = factors.iter().map(|&(arm, factor)| (arm, 1.0 / scale, limit * factor / scale)).collect();
        Self { name: name.to_owned(), shown_limit: limit, sense: Sense::AtMost, kind: Kind::Cost, limit: 0.0, terms, scale }
    }

    /// Puts the shown limit elsewhere, as if the row had been made there: what counts as satisfied
    /// depends on its scale.
    pub fn move_to(&mut self, limit: f64) {
        let sign = if self.sense == Sense::AtMost { 1.0 } else { -1.0 };
        let (scale, before) = (self.scale, self.shown_limit);
        match self.kind {
            Kind::Spend => {
                self.scale = if limit > 0.0 { limit } else { 1.0 };
                self.limit = sign * limit / self.scale;
                self.terms.iter_mut().for_each(|term| term.1 = sign / self.scale);
            }
            Kind::Return => self.terms.iter_mut().for_each(|term| term.1 += (limit - before) / scale),
            Kind::Cost => self.terms.iter_mut().for_each(|term| term.2 *= limit / before.max(1e-300)),
        }
        self.shown_limit = limit;
    }

    /// Left-hand side at the given spends and responses.
    #[must_use]
    pub fn usage(&self, spend: &[f64], response: &[f64]) -> f64 {
        self.terms.iter().map(|&(arm, cost, gain)| cost * spend[arm] - gain * response[arm]).sum()
    }

    /// What is limited, in the unit of the shown limit; absent for a ratio without a denominator.
    #[must_use]
    pub fn value(&self, spend: &[f64], response: &[f64]) -> Option<f64> {
        let (mut money, mut weighted) = (0.0, 0.0);
        for &(arm, _, gain) in &self.terms {
            money += spend[arm];
            weighted += gain * self.scale * response[arm];
        }
        match self.kind {
            Kind::Spend => Some(money),
            Kind::Return => (money > 0.0).then(|| weighted / money),
            Kind::Cost => (weighted > 0.0).then(|| money * self.shown_limit / weighted),
        }
    }

    /// What the objective gains for each unit (of the shown limit) by which this row is relaxed,
    /// from the price of the scaled row. Never negative.
    #[must_use]
    pub fn shadow_price(&self, price: f64, spend: &[f64], response: &[f64]) -> f64 {
        let weight = match self.kind {
            Kind::Spend => 1.0,
            Kind::Return => self.terms.iter().map(|&(arm, ..)| spend[arm]).sum(),
            Kind::Cost => {
                let limit = self.shown_limit.max(1e-300);
                self.terms.iter().map(|&(arm, _, gain)| gain * self.scale / limit * response[arm]).sum()
            }
        };
        (price / self.scale * weight).max(0.0)
    }

    fn spend(name: &str, arms: &[usize], limit: f64, sense: Sense) -> Self {
        let scale = if limit > 0.0 { limit } else { 1.0 };
        let sign = if sense == Sense::AtMost { 1.0 } else { -1.0 };
        let terms = arms.iter().map(|&arm| (arm, sign / scale, 0.0)).collect();
        Self { name: name.to_owned(), shown_limit: limit, sense, kind: Kind::Spend, limit: sign * limit / scale, terms, scale }
    }
}

/// Part of a step by which a multiple may be missed by rounding errors.
pub const ON_STEP: f64 = 1e-9;
/// Largest scaled violation that still counts as satisfied.
pub const FEASIBLE: f64 = 1e-8;

impl Program {
    /// Responses at the given spends.
    #[must_use]
    pub fn responses(&self, spend: &[f64]) -> Vec<f64> {
        self.arms.iter().zip(spend).map(|(arm, &x)| arm.curve.response(x)).collect()
    }

    /// Objective at the given responses.
    #[must_use]
    pub fn objective(&self, response: &[f64]) -> f64 {
        self.arms.iter().zip(response).map(|(arm, r)| arm.value * r).sum()
    }

    /// Whether the spends satisfy all bounds, steps and rows within tolerance.
    #[must_use]
    pub fn is_feasible(&self, spend: &[f64]) -> bool {
        let response = self.responses(spend);
        let inside = self.arms.iter().zip(spend).all(|(arm, &x)| {
            let slack = FEASIBLE * (1.0 + arm.high);
            // An amount of very many steps is a multiple only as far as floating point can tell.
            let steps = x / arm.step;
            let on_step = arm.step <= 0.0 || (steps - steps.round()).abs() <= ON_STEP + 4.0 * f64::EPSILON * steps;
            x >= arm.low - slack && x <= arm.high + slack && on_step
        });
        inside && self.rows.iter().all(|row| row.usage(spend, &response) <= row.limit + FEASIBLE)
    }

    /// Names of the rows without slack.
    #[must_use]
    pub fn binding(&self, spend: &[f64]) -> Vec<String> {
        let response = self.responses(spend);
        self.rows.iter().filter(|row| row.limit - row.usage(spend, &response) <= 1e-6).map(|row| row.name.clone()).collect()
    }

    /// Terms of all rows.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.rows.iter().map(|row| row.terms.len()).sum()
    }

    /// What one look at everything costs, in looks at one arm's curve.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.arms.len() + self.terms() / 16) as u64
    }

    /// Whether any curve is S-shaped within its bounds.
    #[must_use]
    pub fn has_convex_part(&self) -> bool {
        self.arms.iter().any(|arm| arm.low < arm.high && arm.low < arm.curve.inflection())
    }

    /// Whether any arm is spent on in steps.
    #[must_use]
    pub fn has_steps(&self) -> bool {
        self.arms.iter().any(|arm| arm.step > 0.0)
    }

    /// The same program within other bounds.
    #[must_use]
    pub fn with_bounds(&self, bounds: &[(f64, f64)]) -> Self {
        let mut other = self.clone();
        for (arm, &(low, high)) in other.arms.iter_mut().zip(bounds) {
            (arm.low, arm.high) = (low, high);
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_multiple_beats_all_others() {
        for alpha in [0.6, 1.0, 1.4, 2.5] {
            for price in [0.1, 0.6, 1.3, 2.4, 4.0] {
                for (low, high, step) in [(0.0, 900.0, 50.0), (100.0, 700.0, 100.0), (0.0, 30.0, 10.0), (0.0, 900.0, 300.0)] {
                    let arm = ProgramArm::within(Hill { beta: 1000.0, alpha, k: 200.0 }, 1.0, (low, high), step);
                    let net = |x: f64| arm.curve.response(x) - price * x;
                    let multiples = (0..).map(|at| low + step * f64::from(at)).take_while(|x| *x <= high);
                    let best = multiples.map(net).fold(f64::NEG_INFINITY, f64::max);
                    let found = arm.best_response(1.0, price);
                    assert!((found / step).fract() < 1e-9 && net(found) >= best - 1e-9, "{alpha} {price} {low} {high} {step}: {found}");
                }
            }
        }
    }
}
