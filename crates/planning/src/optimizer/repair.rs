//! Whole steps that keep every row, where rounding finds none: a walk of single steps towards less
//! violation that may not go back at once (tabu search; Glover 1989), and in which rows that stay
//! violated weigh more and more (breakout; Morris 1993).

use super::program::{FEASIBLE, Program};
use super::work::Work;

/// Most moves.
const MOVES: usize = 10_000;
/// Moves during which an arm stays where it was moved to, at least.
const TENURE: usize = 3;

/// Multiples near `spend` that keep all rows, when the walk meets some.
#[must_use]
pub(super) fn repair(program: &Program, spend: &[f64], work: &Work) -> Option<Vec<f64>> {
    let mut walk = Walk::new(program, spend);
    for now in 0..MOVES {
        if walk.is_feasible() {
            return Some(walk.spend);
        }
        work.looks(2 * program.arms.len());
        work.operations(4 * program.terms());
        if work.is_used_up() || !walk.go(now) {
            return None;
        }
    }
    None
}

struct Walk<'a> {
    program: &'a Program,
    spend: Vec<f64>,
    usage: Vec<f64>,
    /// Rows of each arm: `(row, cost, gain)`.
    terms: Vec<Vec<(usize, f64, f64)>>,
    /// For each arm the move before which it stays.
    held: Vec<usize>,
    /// How much the violation of each row counts.
    weight: Vec<f64>,
}

impl<'a> Walk<'a> {
    fn new(program: &'a Program, spend: &[f64]) -> Self {
        let spend: Vec<f64> = program.arms.iter().zip(spend).map(|(arm, &x)| arm.floor(x + 0.5 * arm.step)).collect();
        let mut terms = vec![Vec::new(); program.arms.len()];
        for (row, content) in program.rows.iter().enumerate() {
            content.terms.iter().for_each(|&(arm, cost, gain)| terms[arm].push((row, cost, gain)));
        }
        let response = program.responses(&spend);
        let usage = program.rows.iter().map(|row| row.usage(&spend, &response)).collect();
        Self { program, held: vec![0; spend.len()], weight: vec![1.0; program.rows.len()], spend, usage, terms }
    }

    fn over(&self, row: usize, usage: f64) -> f64 {
        self.weight[row] * (usage - self.program.rows[row].limit - 0.5 * FEASIBLE).max(0.0)
    }

    fn is_feasible(&self) -> bool {
        self.usage.iter().zip(&self.program.rows).all(|(usage, row)| *usage <= row.limit + FEASIBLE)
    }

    /// The spend after one step up or down; none beyond the bounds.
    fn moved(&self, arm: usize, count: f64) -> Option<f64> {
        let bounds = &self.program.arms[arm];
        if bounds.step <= 0.0 {
            return None;
        }
        let to = ((self.spend[arm] / bounds.step).round() + count) * bounds.step;
        (to >= bounds.low - 1e-9 * bounds.step && to <= bounds.high + 1e-9 * bounds.step).then_some(to)
    }

    fn changes(&self, arm: usize, to: f64) -> impl Iterator<Item = (usize, f64)> + '_ {
        let curve = &self.program.arms[arm].curve;
        let (more, response) = (to - self.spend[arm], curve.response(to) - curve.response(self.spend[arm]));
        self.terms[arm].iter().map(move |&(row, cost, gain)| (row, cost * more - if gain > 0.0 { gain * response } else { 0.0 }))
    }

    /// Takes the best allowed move, even one for the worse; false when there is none.
    fn go(&mut self, now: usize) -> bool {
        let mut best: Option<(f64, usize, f64)> = None;
        for arm in 0..self.spend.len() {
            for count in [-1.0, 1.0] {
                let Some(to) = self.moved(arm, count) else { continue };
                let change: f64 =
                    self.changes(arm, to).map(|(row, more)| self.over(row, self.usage[row] + more) - self.over(row, self.usage[row])).sum();
                if self.held[arm] <= now && best.is_none_or(|(held, ..)| change < held) {
                    best = Some((change, arm, to));
                }
            }
        }
        let Some((change, arm, to)) = best else { return self.held.iter().any(|until| *until > now) };
        if change >= 0.0 {
            for row in 0..self.usage.len() {
                if self.usage[row] > self.program.rows[row].limit + FEASIBLE {
                    self.weight[row] += 1.0;
                }
            }
        }
        let changes: Vec<(usize, f64)> = self.changes(arm, to).collect();
        changes.into_iter().for_each(|(row, more)| self.usage[row] += more);
        self.spend[arm] = to;
        // Of different lengths, so that the walk does not run in a circle.
        self.held[arm] = now + 1 + TENURE + (now * 7 + arm * 3) % 7;
        true
    }
}
