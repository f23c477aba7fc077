//! The relaxation by a primal-dual interior-point method with predictor and corrector (Mehrotra,
//! "On the implementation of a primal-dual interior point method", 1992; for the nonlinear rows
//! Nocedal and Wright, "Numerical Optimization", chapter 19). The number of its iterations hardly
//! grows with the number of rows, however much they overlap; column generation needs some thirty
//! points for each row that binds.
//!
//! It solves the concave envelope of a program without steps. Each arm is one or two segments: the
//! chord of an S-shaped curve, and what is concave. Rows are elastic: a violation costs the penalty.

use super::cholesky::Cholesky;
use super::envelope::{Segment, segments};
use super::program::Program;
use super::work::Work;

/// Where the method came to. Nothing is claimed for it: the caller prices the bound itself.
#[derive(Debug, Clone)]
pub struct Point {
    /// Price of each row, between 0 and the penalty.
    pub prices: Vec<f64>,
    /// Spend by arm, within its bounds.
    pub spend: Vec<f64>,
    /// What the envelopes promise for these spends.
    pub promised: Vec<f64>,
}

/// Relative duality gap at which the method stops.
const GAP: f64 = 1e-10;
const MAX_ITERATIONS: usize = 100;
/// Part of the way to the boundary that a step may go.
const TO_BOUNDARY: f64 = 0.995;
/// Part of its segment below which a spend at a bound counts as on it.
const ON_BOUND: f64 = 1e-9;

/// Solves the envelope of `program`, as far as the work reaches. `None` for a program without rows
/// or without anything to decide, or when the numbers break down.
#[must_use]
pub fn solve(program: &Program, penalty: f64, work: &Work) -> Option<Point> {
    let segments = segments(program);
    if program.rows.is_empty() || segments.is_empty() {
        return None;
    }
    work.looks(program.arms.len());
    work.operations(program.terms());
    let mut state = State::new(program, segments, penalty);
    for _ in 0..MAX_ITERATIONS {
        if work.is_used_up() {
            break;
        }
        work.operations(state.operations());
        state.evaluate();
        if state.is_solved() {
            break;
        }
        if !state.step() {
            break;
        }
    }
    state.point()
}

/// Everything the method keeps, by segment and by row. Objective and prices are divided by `unit`.
struct State<'a> {
    program: &'a Program,
    segments: Vec<Segment>,
    /// Rows of each arm: `(row, cost, gain)`.
    terms: Vec<Vec<(usize, f64, f64)>>,
    unit: f64,
    /// Price of a violation.
    penalty: f64,
    /// Limit less what the lower bounds use.
    room: Vec<f64>,
    share: Vec<f64>,
    at_low: Vec<f64>,
    at_high: Vec<f64>,
    price: Vec<f64>,
    slack: Vec<f64>,
    excess: Vec<f64>,
    /// Weight of the rows in the barrier, so that few rows count as much as many segments.
    row_weight: f64,
    response: Vec<f64>,
    slope: Vec<f64>,
    curvature: Vec<f64>,
    /// Gradient of the Lagrangian by segment.
    gradient: Vec<f64>,
    usage: Vec<f64>,
    objective: f64,
}

/// A direction, by segment and by row.
struct Direction {
    share: Vec<f64>,
    at_low: Vec<f64>,
    at_high: Vec<f64>,
    price: Vec<f64>,
    slack: Vec<f64>,
    excess: Vec<f64>,
}

impl<'a> State<'a> {
    fn new(program: &'a Program, segments: Vec<Segment>, penalty: f64) -> Self {
        let rows = program.rows.len();
        let mut terms = vec![Vec::new(); program.arms.len()];
        let mut room: Vec<f64> = program.rows.iter().map(|row| row.limit).collect();
        for (row, content) in program.rows.iter().enumerate() {
            for &(arm, cost, gain) in &content.terms {
                terms[arm].push((row, cost, gain));
                let low = program.arms[arm].low;
                room[row] -= cost * low - if gain > 0.0 { gain * program.arms[arm].curve.response(low) } else { 0.0 };
            }
        }
        let count = segments.len();
        let top: f64 =
            segments.iter().map(|segment| program.arms[segment.arm].value * segment.look(&program.arms[segment.arm], 1.0).0).sum();
        let unit = if top > 0.0 { top } else { penalty };
        let penalty = penalty / unit;
        let start = 1.0 / count as f64;
        let price = (0.5 * penalty).min(1.0);
        Self {
            program,
            terms,
            unit,
            penalty,
            room,
            share: vec![0.5; count],
            at_low: vec![start; count],
            at_high: vec![start; count],
            price: vec![price; rows],
            slack: vec![1.0; rows],
            excess: vec![(price / (penalty - price)).min(1.0); rows],
            row_weight: count as f64 / rows as f64,
            response: vec![0.0; count],
            slope: vec![0.0; count],
            curvature: vec![0.0; count],
            gradient: vec![0.0; count],
            usage: vec![0.0; rows],
            objective: 0.0,
            segments,
        }
    }

    /// What one iteration costs.
    fn operations(&self) -> usize {
        let rows = self.room.len();
        let pairs: usize = self.segments.iter().map(|segment| self.terms[segment.arm].len().pow(2) / 2 + 64).sum();
        // Whole cache lines at a time, which counts for less.
        pairs + rows * rows * rows / 12
    }

    fn evaluate(&mut self) {
        self.usage.iter_mut().zip(&self.room).for_each(|(usage, room)| *usage = -room);
        self.objective = 0.0;
        for (index, segment) in self.segments.iter().enumerate() {
            let arm = &self.program.arms[segment.arm];
            let share = self.share[index];
            let (response, slope, curvature) = segment.look(arm, share);
            let value = self.program.arms[segment.arm].value / self.unit;
            let (mut weight, mut cost_of_width) = (value, 0.0);
            for &(row, cost, gain) in &self.terms[segment.arm] {
                self.usage[row] += cost * segment.width * share - gain * response;
                weight += self.price[row] * gain;
                cost_of_width += self.price[row] * cost * segment.width;
            }
            self.objective += value * response;
            (self.response[index], self.slope[index]) = (response, slope);
            // Linearises the inverse of the slope instead of the slope: steep beginnings (alpha < 1)
            // are then left in a few steps, whatever their order of magnitude.
            let wanted = cost_of_width - self.at_low[index] + self.at_high[index];
            self.curvature[index] = -curvature * if slope > 0.0 { (wanted / slope).clamp(0.01 * weight, 100.0 * weight) } else { weight };
            self.gradient[index] = weight * slope - cost_of_width;
        }
    }

    /// Complementarity left, and the largest residuals of rows and gradients.
    fn is_solved(&self) -> bool {
        let scale = self.scale();
        let stationary = |index: usize| (self.gradient[index] + self.at_low[index] - self.at_high[index]).abs() * self.share[index];
        let dual: f64 = (0..self.share.len()).map(stationary).sum();
        let primal = self.worst_residual();
        self.gap() <= GAP * scale && dual <= 1e-10 * scale && primal <= 1e-9
    }

    /// What gaps are measured by: the objective, which is at most about 1, or what violations cost.
    fn scale(&self) -> f64 {
        self.objective.abs().max(1e-2)
    }

    fn worst_residual(&self) -> f64 {
        (0..self.room.len()).map(|row| self.residual(row).abs()).fold(0.0, f64::max)
    }

    /// `usage` is already less the room.
    fn residual(&self, row: usize) -> f64 {
        self.usage[row] - self.excess[row] + self.slack[row]
    }

    fn gap(&self) -> f64 {
        let boxes: f64 = (0..self.share.len())
            .map(|index| self.share[index] * self.at_low[index] + (1.0 - self.share[index]) * self.at_high[index])
            .sum();
        let rows: f64 =
            (0..self.room.len()).map(|row| self.slack[row] * self.price[row] + self.excess[row] * (self.penalty - self.price[row])).sum();
        boxes + rows
    }

    /// The centre's complementarity for one segment that matches the gap.
    fn centre(&self, gap: f64) -> f64 {
        gap / (4.0 * self.share.len() as f64)
    }

    /// One predictor and corrector; false when the numbers break down or nothing moves.
    fn step(&mut self) -> bool {
        let (count, rows) = (self.share.len(), self.room.len());
        let scale: Vec<f64> = (0..count)
            .map(|index| {
                let share = self.share[index];
                1.0 / (self.curvature[index] + self.at_low[index] / share + self.at_high[index] / (1.0 - share))
            })
            .collect();
        let Some(factor) = self.factor(&scale) else { return false };
        let gap = self.gap();
        let none = Direction {
            share: vec![0.0; count],
            at_low: vec![0.0; count],
            at_high: vec![0.0; count],
            price: vec![0.0; rows],
            slack: vec![0.0; rows],
            excess: vec![0.0; rows],
        };
        let mut affine = self.direction(&scale, &factor, 0.0, &none);
        let (primal, dual) = self.lengths(&affine, 1.0);
        let after = self.gap_after(&affine, primal, dual);
        let ratio = (after / gap).clamp(0.0, 1.0);
        // Not far ahead of the rows: where complementarity is all gone, nothing can move any more.
        let least = (1e-2 * self.worst_residual()).max(0.1 * GAP * self.scale()).min(gap);
        let centre = self.centre((gap * ratio.powi(3).max(1e-6)).max(least));
        // As far as the predictor could go, so far its second-order terms count.
        let damp = primal * dual;
        affine.share.iter_mut().for_each(|change| *change *= damp);
        affine.slack.iter_mut().for_each(|change| *change *= damp);
        affine.excess.iter_mut().for_each(|change| *change *= damp);
        let step = self.direction(&scale, &factor, centre, &affine);
        let (primal, dual) = self.lengths(&step, TO_BOUNDARY);
        let is_finite = step.share.iter().chain(&step.price).all(|change| change.is_finite());
        if !is_finite || !primal.is_finite() || !dual.is_finite() || primal.max(dual) < 1e-8 {
            return false;
        }
        self.advance(&step, primal, dual);
        true
    }

    /// `J D^-1 J' + E`, factored.
    fn factor(&self, scale: &[f64]) -> Option<Cholesky> {
        let rows = self.room.len();
        let mut matrix = vec![0.0; rows * rows];
        let mut column: Vec<(usize, f64)> = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            column.clear();
            column.extend(self.terms[segment.arm].iter().map(|&(row, cost, gain)| (row, cost * segment.width - gain * self.slope[index])));
            for &(row, entry) in &column {
                let scaled = entry * scale[index];
                for &(other, with) in column.iter().take_while(|(other, _)| *other <= row) {
                    matrix[row * rows + other] += scaled * with;
                }
            }
        }
        for row in 0..rows {
            matrix[row * rows + row] += self.slack[row] / self.price[row] + self.excess[row] / (self.penalty - self.price[row]);
        }
        Cholesky::of(matrix, rows)
    }

    /// Newton's direction towards complementarity `centre`, with the second-order terms of `before`.
    fn direction(&self, scale: &[f64], factor: &Cholesky, centre: f64, before: &Direction) -> Direction {
        let (count, rows) = (self.share.len(), self.room.len());
        let row_centre = centre * self.row_weight;
        let low = |index: usize| (centre - before.share[index] * before.at_low[index]) / self.share[index];
        let high = |index: usize| (centre + before.share[index] * before.at_high[index]) / (1.0 - self.share[index]);
        let right: Vec<f64> = (0..count).map(|index| self.gradient[index] + low(index) - high(index)).collect();
        let slack = |row: usize| (row_centre - before.slack[row] * before.price[row]) / self.price[row];
        let excess = |row: usize| (row_centre + before.excess[row] * before.price[row]) / (self.penalty - self.price[row]);
        let mut wanted: Vec<f64> = (0..rows).map(|row| self.usage[row] + slack(row) - excess(row)).collect();
        for (index, segment) in self.segments.iter().enumerate() {
            let moved = scale[index] * right[index];
            for &(row, cost, gain) in &self.terms[segment.arm] {
                wanted[row] += (cost * segment.width - gain * self.slope[index]) * moved;
            }
        }
        factor.solve(&mut wanted);
        let price = wanted;
        let share: Vec<f64> = self
            .segments
            .iter()
            .enumerate()
            .map(|(index, segment)| {
                let priced: f64 = self.terms[segment.arm]
                    .iter()
                    .map(|&(row, cost, gain)| (cost * segment.width - gain * self.slope[index]) * price[row])
                    .sum();
                scale[index] * (right[index] - priced)
            })
            .collect();
        Direction {
            at_low: (0..count).map(|at| low(at) - self.at_low[at] - self.at_low[at] / self.share[at] * share[at]).collect(),
            at_high: (0..count).map(|at| high(at) - self.at_high[at] + self.at_high[at] / (1.0 - self.share[at]) * share[at]).collect(),
            slack: (0..rows).map(|row| slack(row) - self.slack[row] - self.slack[row] / self.price[row] * price[row]).collect(),
            excess: (0..rows)
                .map(|row| excess(row) - self.excess[row] + self.excess[row] / (self.penalty - self.price[row]) * price[row])
                .collect(),
            share,
            price,
        }
    }

    /// How far primal and dual variables may go, each at most the whole step.
    fn lengths(&self, step: &Direction, part: f64) -> (f64, f64) {
        let longest = |held: f64, value: f64, change: f64| if change < 0.0 { held.min(-part * value / change) } else { held };
        let (mut primal, mut dual) = (1.0, 1.0);
        for index in 0..self.share.len() {
            primal = longest(primal, self.share[index], step.share[index]);
            primal = longest(primal, 1.0 - self.share[index], -step.share[index]);
            dual = longest(dual, self.at_low[index], step.at_low[index]);
            dual = longest(dual, self.at_high[index], step.at_high[index]);
        }
        for row in 0..self.room.len() {
            primal = longest(primal, self.slack[row], step.slack[row]);
            primal = longest(primal, self.excess[row], step.excess[row]);
            dual = longest(dual, self.price[row], step.price[row]);
            dual = longest(dual, self.penalty - self.price[row], -step.price[row]);
        }
        (primal, dual)
    }

    fn gap_after(&self, step: &Direction, primal: f64, dual: f64) -> f64 {
        let boxes: f64 = (0..self.share.len())
            .map(|at| {
                let share = self.share[at] + primal * step.share[at];
                share * (self.at_low[at] + dual * step.at_low[at]) + (1.0 - share) * (self.at_high[at] + dual * step.at_high[at])
            })
            .sum();
        let rows: f64 = (0..self.room.len())
            .map(|row| {
                let price = self.price[row] + dual * step.price[row];
                (self.slack[row] + primal * step.slack[row]) * price
                    + (self.excess[row] + primal * step.excess[row]) * (self.penalty - price)
            })
            .sum();
        boxes + rows
    }

    fn advance(&mut self, step: &Direction, primal: f64, dual: f64) {
        let go = |values: &mut [f64], changes: &[f64], length: f64| {
            values.iter_mut().zip(changes).for_each(|(value, change)| *value += length * change)
        };
        go(&mut self.share, &step.share, primal);
        go(&mut self.slack, &step.slack, primal);
        go(&mut self.excess, &step.excess, primal);
        go(&mut self.price, &step.price, dual);
        go(&mut self.at_low, &step.at_low, dual);
        go(&mut self.at_high, &step.at_high, dual);
    }

    fn point(mut self) -> Option<Point> {
        for index in 0..self.share.len() {
            let share = self.share[index];
            if share < ON_BOUND {
                self.share[index] = 0.0;
            } else if 1.0 - share < ON_BOUND {
                self.share[index] = 1.0;
            }
        }
        let arms = &self.program.arms;
        let mut spend: Vec<f64> = arms.iter().map(|arm| arm.low).collect();
        let mut promised: Vec<f64> = arms.iter().map(|arm| arm.curve.response(arm.low)).collect();
        for (index, segment) in self.segments.iter().enumerate() {
            spend[segment.arm] += self.share[index] * segment.width;
            promised[segment.arm] += segment.look(&arms[segment.arm], self.share[index]).0;
        }
        spend.iter_mut().zip(arms).for_each(|(x, arm)| *x = x.clamp(arm.low, arm.high.max(arm.low)));
        let prices: Vec<f64> = self.price.iter().map(|price| price * self.unit).collect();
        if !prices.iter().chain(&spend).chain(&promised).all(|number| number.is_finite()) {
            return None;
        }
        Some(Point { prices, spend, promised })
    }
}
