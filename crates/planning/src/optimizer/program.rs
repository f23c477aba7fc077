//! The solver's own form of a budget problem: arms with curves and bounds, and coupling rows
//! `sum (cost_i x_i - gain_i r_i(x_i)) <= limit`, each scaled to about one.

use super::curve::Hill;

/// A separable program: maximise `sum value_i r_i(x_i)` over the box, subject to the rows.
#[derive(Debug, Clone)]
pub struct Program {
    /// Curves, values and bounds.
    pub arms: Vec<ProgramArm>,
    /// Coupling constraints.
    pub rows: Vec<Row>,
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
}

/// One coupling constraint in "at most" form.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name shown to people.
    pub name: String,
    /// The limit in the user's unit, shown to people.
    pub shown_limit: f64,
    /// Right-hand side, scaled.
    pub limit: f64,
    /// `(arm, cost, gain)`, scaled; `gain >= 0`.
    pub terms: Vec<(usize, f64, f64)>,
}

impl Row {
    /// Total spend of `arms` at most `limit`.
    #[must_use]
    pub fn spend_at_most(name: &str, arms: &[usize], limit: f64) -> Self {
        Self::spend(name, arms, limit, 1.0)
    }

    /// Total spend of `arms` at least `limit`.
    #[must_use]
    pub fn spend_at_least(name: &str, arms: &[usize], limit: f64) -> Self {
        Self::spend(name, arms, limit, -1.0)
    }

    /// `sum factor_i r_i >= floor * sum x_i` over all arms named in `factors`. `scale` is a
    /// typical total spend.
    #[must_use]
    pub fn return_at_least(name: &str, factors: &[(usize, f64)], floor: f64, scale: f64) -> Self {
        let scale = (floor * scale).max(1e-9);
        let terms = factors.iter().map(|&(arm, factor)| (arm, floor / scale, factor / scale)).collect();
        Self { name: name.to_owned(), shown_limit: floor, limit: 0.0, terms }
    }

    /// Left-hand side at the given spends and responses.
    #[must_use]
    pub fn usage(&self, spend: &[f64], response: &[f64]) -> f64 {
        self.terms.iter().map(|&(arm, cost, gain)| cost * spend[arm] - gain * response[arm]).sum()
    }

    fn spend(name: &str, arms: &[usize], limit: f64, sign: f64) -> Self {
        let scale = if limit > 0.0 { limit } else { 1.0 };
        let terms = arms.iter().map(|&arm| (arm, sign / scale, 0.0)).collect();
        Self { name: name.to_owned(), shown_limit: limit, limit: sign * limit / scale, terms }
    }
}

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

    /// Whether the spends satisfy all bounds and rows within tolerance.
    #[must_use]
    pub fn is_feasible(&self, spend: &[f64]) -> bool {
        let response = self.responses(spend);
        let inside = self.arms.iter().zip(spend).all(|(arm, &x)| {
            let slack = FEASIBLE * (1.0 + arm.high);
            x >= arm.low - slack && x <= arm.high + slack
        });
        inside && self.rows.iter().all(|row| row.usage(spend, &response) <= row.limit + FEASIBLE)
    }

    /// Names of the rows without slack.
    #[must_use]
    pub fn binding(&self, spend: &[f64]) -> Vec<String> {
        let response = self.responses(spend);
        self.rows.iter().filter(|row| row.limit - row.usage(spend, &response) <= 1e-6).map(|row| row.name.clone()).collect()
    }

    /// Whether any curve is S-shaped within its bounds.
    #[must_use]
    pub fn has_convex_part(&self) -> bool {
        self.arms.iter().any(|arm| arm.low < arm.high && arm.low < arm.curve.inflection())
    }
}
