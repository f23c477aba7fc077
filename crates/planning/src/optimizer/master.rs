//! The small linear program that mixes candidate points: a dense revised simplex with as many
//! rows as coupling constraints plus one, kept warm while columns arrive.

use super::work::Work;

/// Maximise `sum w_k value_k - penalty * violation` over mixtures `w` of points, subject to
/// `sum w_k usage_k <= limit + violation` row by row.
#[derive(Debug)]
pub struct Master {
    limits: Vec<f64>,
    penalty: f64,
    points: Vec<Point>,
    basis: Vec<Variable>,
    inverse: Vec<f64>,
    level: Vec<f64>,
    pivots_since_factor: usize,
}

/// The answer of the linear program.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// Optimal value including penalties.
    pub value: f64,
    /// Price of each row, between 0 and the penalty.
    pub prices: Vec<f64>,
    /// `(point, weight)` with positive weight, weights summing to 1.
    pub weights: Vec<(usize, f64)>,
    /// Sum of row violations.
    pub violation: f64,
}

#[derive(Debug)]
struct Point {
    value: f64,
    usage: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Variable {
    Point(usize),
    Slack(usize),
    Violation(usize),
}

const TOLERANCE: f64 = 1e-11;

impl Master {
    /// Starts with one point.
    #[must_use]
    pub fn new(limits: &[f64], penalty: f64, value: f64, usage: Vec<f64>) -> Self {
        let rows = limits.len();
        let mut basis: Vec<Variable> =
            (0..rows).map(|row| if limits[row] >= usage[row] { Variable::Slack(row) } else { Variable::Violation(row) }).collect();
        basis.push(Variable::Point(0));
        let mut master = Self {
            limits: limits.to_vec(),
            penalty,
            points: vec![Point { value, usage }],
            basis,
            inverse: Vec::new(),
            level: Vec::new(),
            pivots_since_factor: 0,
        };
        master.factor();
        master
    }

    /// Adds a point.
    pub fn add(&mut self, value: f64, usage: Vec<f64>) {
        self.points.push(Point { value, usage });
    }

    /// Raises the price of violations.
    pub fn set_penalty(&mut self, penalty: f64) {
        self.penalty = penalty;
    }

    /// Optimises over the points so far, as far as the work reaches: a mixture that is found earlier
    /// is one of them all the same.
    pub fn solve(&mut self, work: &Work) -> Mixture {
        let size = self.limits.len() + 1;
        for pivot in 0..400 * size {
            work.operations(size * (self.points.len() + 2 * size));
            if work.is_used_up() {
                break;
            }
            let duals = self.duals();
            let Some(entering) = self.entering(&duals, pivot > 100 * size) else { break };
            let direction = self.times_inverse(&self.coefficients(entering));
            let mut leaving: Option<(usize, f64)> = None;
            for (row, &rate) in direction.iter().enumerate() {
                if rate > 1e-10 {
                    let step = self.level[row].max(0.0) / rate;
                    let better =
                        leaving.is_none_or(|(best, least)| step < least - 1e-14 || (step <= least + 1e-14 && rate > direction[best]));
                    if better {
                        leaving = Some((row, step));
                    }
                }
            }
            let Some((row, _)) = leaving else { break };
            work.operations(self.pivot(row, entering, &direction));
        }
        self.mixture()
    }

    fn mixture(&self) -> Mixture {
        let mut duals = self.duals();
        duals.pop();
        let (mut value, mut violation, mut weights) = (0.0, 0.0, Vec::new());
        for (variable, &level) in self.basis.iter().zip(&self.level) {
            let level = level.max(0.0);
            value += self.cost(*variable) * level;
            match *variable {
                Variable::Point(point) if level > 0.0 => weights.push((point, level)),
                Variable::Violation(_) => violation += level,
                _ => {}
            }
        }
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if total > 0.0 {
            weights.iter_mut().for_each(|(_, weight)| *weight /= total);
        }
        let prices = duals.iter().map(|price| price.clamp(0.0, self.penalty)).collect();
        Mixture { value, prices, weights, violation }
    }

    fn cost(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Point(point) => self.points[point].value,
            Variable::Slack(_) => 0.0,
            Variable::Violation(_) => -self.penalty,
        }
    }

    fn coefficients(&self, variable: Variable) -> Vec<f64> {
        let mut column = vec![0.0; self.limits.len() + 1];
        match variable {
            Variable::Point(point) => {
                column[..self.limits.len()].copy_from_slice(&self.points[point].usage);
                column[self.limits.len()] = 1.0;
            }
            Variable::Slack(row) => column[row] = 1.0,
            Variable::Violation(row) => column[row] = -1.0,
        }
        column
    }

    fn duals(&self) -> Vec<f64> {
        let size = self.limits.len() + 1;
        let mut duals = vec![0.0; size];
        for (row, variable) in self.basis.iter().enumerate() {
            let cost = self.cost(*variable);
            if cost != 0.0 {
                add(&mut duals, cost, &self.inverse[row * size..(row + 1) * size]);
            }
        }
        duals
    }

    /// The variable with the best reduced value, or the first good one when `first` guards
    /// against cycling.
    fn entering(&self, duals: &[f64], first: bool) -> Option<Variable> {
        let rows = self.limits.len();
        let mut best: Option<(Variable, f64)> = None;
        let mut offer = |variable: Variable, gain: f64, scale: f64| {
            let gain = gain / scale;
            if gain > TOLERANCE && best.is_none_or(|(_, most)| !first && gain > most) {
                best = Some((variable, gain));
            }
        };
        let scale = duals[rows].abs().max(1.0);
        for (index, point) in self.points.iter().enumerate() {
            let priced: f64 = point.usage.iter().zip(duals).map(|(use_, dual)| use_ * dual).sum();
            offer(Variable::Point(index), point.value - priced - duals[rows], scale.max(point.value.abs()));
        }
        let scale = self.penalty.max(1.0);
        for (row, dual) in duals[..rows].iter().enumerate() {
            offer(Variable::Slack(row), -dual, scale);
            offer(Variable::Violation(row), dual - self.penalty, scale);
        }
        best.map(|(variable, _)| variable)
    }

    fn times_inverse(&self, column: &[f64]) -> Vec<f64> {
        let size = column.len();
        self.inverse.chunks_exact(size).map(|row| row.iter().zip(column).map(|(a, b)| a * b).sum()).collect()
    }

    /// Exchanges a variable of the basis; returns how many operations that took.
    fn pivot(&mut self, row: usize, entering: Variable, direction: &[f64]) -> usize {
        let size = direction.len();
        self.basis[row] = entering;
        self.pivots_since_factor += 1;
        if self.pivots_since_factor >= 30 {
            return self.factor();
        }
        let scale = 1.0 / direction[row];
        let entering: Vec<f64> = self.inverse[row * size..(row + 1) * size].iter().map(|value| value * scale).collect();
        self.level[row] *= scale;
        let level = self.level[row];
        let mut changed = 1;
        for (other, &rate) in direction.iter().enumerate() {
            if other != row && rate != 0.0 {
                add(&mut self.inverse[other * size..(other + 1) * size], -rate, &entering);
                self.level[other] -= rate * level;
                changed += 1;
            }
        }
        self.inverse[row * size..(row + 1) * size].copy_from_slice(&entering);
        changed * size
    }

    /// Recomputes the basis inverse, so that rounding errors do not pile up; returns how many
    /// operations that took.
    fn factor(&mut self) -> usize {
        let size = self.limits.len() + 1;
        let mut matrix = vec![0.0; size * size];
        for (position, variable) in self.basis.iter().enumerate() {
            for (row, value) in self.coefficients(*variable).into_iter().enumerate() {
                matrix[row * size + position] = value;
            }
        }
        let operations;
        (self.inverse, operations) = invert(matrix, size);
        let mut right = self.limits.clone();
        right.push(1.0);
        self.level = self.times_inverse(&right);
        self.pivots_since_factor = 0;
        operations
    }
}

/// `target += factor * other`, cell by cell.
fn add(target: &mut [f64], factor: f64, other: &[f64]) {
    target.iter_mut().zip(other).for_each(|(cell, value)| *cell += factor * value);
}

/// Gauss-Jordan inverse with partial pivoting of a row-major matrix, and the operations that it took.
/// A vanishing pivot (which a simplex basis does not have) leaves its row as it is.
fn invert(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, usize) {
    let mut inverse = vec![0.0; size * size];
    (0..size).for_each(|index| inverse[index * size + index] = 1.0);
    let mut changed = size;
    for column in 0..size {
        let pivot =
            (column..size).max_by(|&a, &b| matrix[a * size + column].abs().total_cmp(&matrix[b * size + column].abs())).unwrap_or(column);
        if matrix[pivot * size + column].abs() < 1e-300 {
            continue;
        }
        let scale = 1.0 / matrix[pivot * size + column];
        let take = |from: &mut [f64]| {
            let taken: Vec<f64> = from[pivot * size..(pivot + 1) * size].iter().map(|value| value * scale).collect();
            from.copy_within(column * size..(column + 1) * size, pivot * size);
            from[column * size..(column + 1) * size].copy_from_slice(&taken);
            taken
        };
        let (own, unit) = (take(&mut matrix), take(&mut inverse));
        for row in (0..size).filter(|row| *row != column) {
            let rate = matrix[row * size + column];
            if rate != 0.0 {
                add(&mut matrix[row * size..(row + 1) * size], -rate, &own);
                add(&mut inverse[row * size..(row + 1) * size], -rate, &unit);
                changed += 2;
            }
        }
    }
    (inverse, changed * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_two_points_to_meet_a_limit() {
        // Value 0 at usage 0, value 10 at usage 2, limit 1: the mixture half and half is worth 5.
        let mut master = Master::new(&[1.0], 100.0, 0.0, vec![0.0]);
        master.add(10.0, vec![2.0]);
        let mixture = master.solve(&Work::up_to(1_000));
        assert!((mixture.value - 5.0).abs() < 1e-12);
        assert!((mixture.prices[0] - 5.0).abs() < 1e-12);
        assert!(mixture.violation.abs() < 1e-12);
    }

    #[test]
    fn pays_the_penalty_when_no_mixture_fits() {
        let mut master = Master::new(&[1.0], 7.0, 0.0, vec![3.0]);
        let mixture = master.solve(&Work::up_to(1_000));
        assert!((mixture.violation - 2.0).abs() < 1e-12);
        assert!((mixture.value + 14.0).abs() < 1e-12);
    }
}
